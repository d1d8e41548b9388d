//! `shm_rd --framed`: whole messages.

use std::io::Write;

use serde::Serialize;
use shm_cli::outcome::print_outcome;
use shm_cli::{Checksum, ToolError};
use shm_core::stat::SegmentId;
use shm_core::{Address, IpcNamespace};
use shm_frame::{Reader, WriteState};

use crate::args::Args;
use crate::output::{JsonText, print_text};
use crate::wait::wait;

/// The result, as `--json` prints it.
#[derive(Serialize)]
struct ReadMessage {
    address: Address,
    shmid: SegmentId,
    capacity: usize,
    length: usize,
    text: JsonText,
    generation: u64,
    writing: WriteState,
    #[serde(skip_serializing_if = "Option::is_none")]
    checksum: Option<Checksum>,
    ipc_namespace: Option<IpcNamespace>,
}

pub(crate) fn read(
    args: &Args,
    terminal: bool,
    stdout: &mut impl Write,
    stderr: &mut impl Write,
) -> Result<(), ToolError> {
    let key = args.address.key();
    let get = || {
        let reader = Reader::open(key)?;
        let mut text = Vec::new();
        let generation = reader.read(&mut text)?;
        Ok((reader, generation, text))
    };
    let (reader, generation, text) = wait(args, get, |_| Ok(false))?;
    let writing = reader.writing(generation);
    if args.json {
        let result = ReadMessage {
            address: key.into(),
            shmid: reader.segment().id(),
            capacity: reader.capacity(),
            length: text.len(),
            checksum: args.checksum.then(|| Checksum::of(&text)),
            text: text.into(),
            generation,
            writing,
            ipc_namespace: IpcNamespace::current().ok(),
        };
        return Ok(print_outcome(Ok(&result), stdout)?);
    }
    print_text(args, terminal, &mut &text[..], stdout, stderr)?;
    let state = match writing {
        WriteState::Idle | WriteState::UnderWay => return Ok(()),
        WriteState::Died => "a writer died while it wrote the next one",
        WriteState::Unknown => {
            "a writer began the next one; this process cannot find out whether that writer still \
             runs, because it cannot read the semaphore"
        }
    };
    // The message was printed, so a failure of the note is not an error.
    let _ = writeln!(stderr, "note: this is message {generation}, the last whole message; {state}");
    Ok(())
}
