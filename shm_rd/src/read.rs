//! Reads a text from memory, semaphores or a queue.

use std::io::{self, BufWriter, Read, Write};

use serde::Serialize;
use shm_cli::outcome::print_outcome;
use shm_cli::progress::Progress;
use shm_cli::{Checksum, Failure, transfer};
use shm_core::stat::SegmentId;
use shm_core::{Address, Descriptor, Error, IpcNamespace, IpcObject, Memory, Segment, Target};

use crate::args::Args;
use crate::output::{JsonText, ReadError, print_checksum, print_text};
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
) -> Result<(), ReadError> {
    let failed = |error: Error| ReadError::Memory(error.into());
    let mut checksum = args.checksum.then(Checksum::default);
    match args.address.target() {
        Target::Memory(address) => {
            let memory = open(args, &address).map_err(failed)?;
            if args.json {
                return Ok(print_outcome(Ok(&describe(address, &memory, checksum)?), stdout)?);
            }
            match &memory {
                // Nothing changes or checks the bytes, so the kernel can copy them directly.
                Memory::SysV(_, attachment) if args.raw && !terminal && !args.checksum => {
                    let mut progress = Progress::new(None);
                    transfer::drain(attachment, stdout.get_ref().0, &mut progress)?;
                }
                _ => print_text(args, terminal, &mut memory.text(), stdout, &mut checksum)?,
            }
        }
        Target::IpcObject(ipc_object) => {
            let text = wait(args, || ipc_object.read_text(), |text| Ok(text.is_empty()));
            let text = text.map_err(failed)?;
            if args.json {
                let read = describe_ipc_object(ipc_object, text, checksum);
                return Ok(print_outcome(Ok(&read), stdout)?);
            }
            print_text(args, terminal, &mut &text[..], stdout, &mut checksum)?;
        }
    }
    print_checksum(args, checksum, stdout, stderr)
}

/// Opens the memory. With `--wait`, waits until it exists and has a text.
fn open(args: &Args, address: &Address) -> Result<Memory, Error> {
    wait(args, || address.open(), is_empty)
}

fn is_empty(memory: &Memory) -> Result<bool, Error> {
    let mut first = [0];
    memory.read_at(0, &mut first)?;
    Ok(first == [0])
}

fn describe(
    address: Address,
    memory: &Memory,
    mut checksum: Option<Checksum>,
) -> Result<ReadText, ReadError> {
    let mut bytes = Vec::new();
    memory.text().read_to_end(&mut bytes).map_err(|error| match error.kind() {
        io::ErrorKind::OutOfMemory => ReadError::Memory(Failure::new(
            "the text does not fit into the memory of this process",
            "--json needs as much memory as the text has bytes, and a limit is too low",
            "print it with --raw, or raise the limit: ulimit -v, ulimit -d",
        )),
        _ => error.into(),
    })?;
    if let Some(checksum) = &mut checksum {
        checksum.update(&bytes);
    }
    Ok(ReadText {
        address: Target::Memory(address),
        shmid: memory.segment().map(Segment::id),
        size: Some(memory.size().map_err(|error| ReadError::Memory(error.into()))?),
        length: bytes.len(),
        text: JsonText::from(bytes),
        checksum,
        ipc_namespace: IpcNamespace::current().ok(),
    })
}

fn describe_ipc_object(
    ipc_object: IpcObject,
    text: Vec<u8>,
    mut checksum: Option<Checksum>,
) -> ReadText {
    if let Some(checksum) = &mut checksum {
        checksum.update(&text);
    }
    ReadText {
        address: Target::IpcObject(ipc_object),
        shmid: None,
        size: None,
        length: text.len(),
        text: JsonText::from(text),
        checksum,
        ipc_namespace: IpcNamespace::current().ok(),
    }
}
