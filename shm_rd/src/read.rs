//! Reads a text from memory, semaphores or a queue.

use std::io::{self, BufWriter, Read, Write};

use serde::Serialize;
use shm_cli::outcome::print_outcome;
use shm_cli::progress::Progress;
use shm_cli::{Checksum, Failure, ToolError, transfer};
use shm_core::stat::SegmentId;
use shm_core::{Descriptor, IpcNamespace, Key, Memory, Segment, Target};

use crate::args::Args;
use crate::output::{JsonText, print_text};
use crate::wait::wait;

/// The result, as `--json` prints it.
#[derive(Serialize)]
struct ReadText {
    address: Target,
    shmid: Option<SegmentId>,
    size: Option<u64>,
    length: usize,
    text: JsonText,
    #[serde(skip_serializing_if = "Option::is_none")]
    checksum: Option<Checksum>,
    ipc_namespace: Option<IpcNamespace>,
}

pub(crate) fn read(
    args: &Args,
    terminal: bool,
    stdout: &mut BufWriter<Descriptor>,
    stderr: &mut impl Write,
) -> Result<(), ToolError> {
    let target = args.address.target();
    let (shmid, size, text) = match &target {
        Target::Memory(address) => {
            let memory = wait(args, || Ok(address.open()?), is_empty)?;
            if !args.json {
                print_memory(args, terminal, &memory, stdout, stderr)?;
                note_frame(&memory, stderr);
                return Ok(());
            }
            let text = whole_text(&memory)?;
            note_frame(&memory, stderr);
            (memory.segment().map(Segment::id), Some(memory.size()?), text)
        }
        Target::IpcObject(ipc_object) => {
            let text = wait(args, || Ok(ipc_object.read_text()?), |text| Ok(text.is_empty()))?;
            if !args.json {
                return print_text(args, terminal, &mut &text[..], stdout, stderr);
            }
            (None, None, text)
        }
    };
    let result = ReadText {
        address: target,
        shmid,
        size,
        length: text.len(),
        checksum: args.checksum.then(|| Checksum::of(&text)),
        text: text.into(),
        ipc_namespace: IpcNamespace::current().ok(),
    };
    Ok(print_outcome(Ok(&result), stdout)?)
}

fn print_memory(
    args: &Args,
    terminal: bool,
    memory: &Memory,
    stdout: &mut BufWriter<Descriptor>,
    stderr: &mut impl Write,
) -> Result<(), ToolError> {
    match memory {
        // Nothing changes or checks the bytes, so the kernel can copy them directly.
        Memory::SysV(_, attachment) if args.raw && !terminal && !args.checksum => {
            transfer::drain(attachment, stdout.get_ref().0, &mut Progress::new(None))?;
            Ok(())
        }
        _ => print_text(args, terminal, &mut memory.text(), stdout, stderr),
    }
}

/// Prints a note if the segment is a frame, whose text is only the frame's mark.
fn note_frame(memory: &Memory, stderr: &mut impl Write) {
    let mut first = [0; 8];
    let is_read = |bytes: &mut _| memory.read_at(0, bytes).is_ok_and(|count| count == 8);
    let Some(segment) = memory.segment() else { return };
    if is_read(&mut first) && shm_frame::is_mark(first) {
        let key = segment.stat().ok().and_then(|stat| Key::new(stat.key));
        let key = key.map_or_else(String::new, |key| format!(" --key {key}"));
        // The text was printed, so a failure of the note is not an error.
        let _ = writeln!(
            stderr,
            "note: shm_wr --framed wrote this segment; to read its message: shm_rd --framed{key}"
        );
    }
}

fn is_empty(memory: &Memory) -> shm_frame::Result<bool> {
    let mut first = [0];
    memory.read_at(0, &mut first)?;
    Ok(first == [0])
}

/// Returns the text for `--json`.
fn whole_text(memory: &Memory) -> Result<Vec<u8>, ToolError> {
    let mut text = Vec::new();
    match memory.text().read_to_end(&mut text) {
        Ok(_) => Ok(text),
        Err(error) if error.kind() == io::ErrorKind::OutOfMemory => {
            Err(ToolError::Memory(Failure::new(
                "the text does not fit into the memory of this process",
                "--json needs as much memory as the text has bytes, and a limit is too low",
                "print it with --raw, or raise the limit: ulimit -v, ulimit -d",
            )))
        }
        Err(error) => Err(error.into()),
    }
}
