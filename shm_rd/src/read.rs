//! The work of `shm_rd`.

use std::io::{self, BufWriter, Read, Write};
use std::thread;
use std::time::{Duration, Instant};

use serde::Serialize;
use shm_core::frame::Flaw;
use shm_core::progress::Progress;
use shm_core::stat::SegmentId;
use shm_core::text::{Escaped, EscapedJson, Spaced};
use shm_core::{
    Address, Carrier, Checksum, Descriptor, Errno, Error, Failure, IpcNamespace, Memory, Segment,
    Target, fault, transfer,
};

use crate::args::Args;
use crate::framed;

/// How often `--wait` looks: neither mechanism tells when something appears.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// What was read, as `--json` prints it.
#[derive(Serialize)]
struct WasRead {
    address: Target,
    shmid: Option<SegmentId>,
    size: Option<u64>,
    length: usize,
    text: JsonText,
    #[serde(skip_serializing_if = "Option::is_none")]
    checksum: Option<Checksum>,
    ipc_namespace: Option<IpcNamespace>,
}

/// A string where the text is UTF-8, else an array of its bytes.
#[derive(Serialize)]
#[serde(untagged)]
pub(crate) enum JsonText {
    Utf8(String),
    Bytes(Vec<u8>),
}

impl From<Vec<u8>> for JsonText {
    fn from(bytes: Vec<u8>) -> Self {
        String::from_utf8(bytes).map_or_else(|error| Self::Bytes(error.into_bytes()), Self::Utf8)
    }
}

#[derive(Serialize)]
struct Outcome<T> {
    ok: bool,
    #[serde(flatten)]
    result: Option<T>,
    error: Option<Failure>,
}

/// Why the text did not get from the memory to the output.
pub(crate) enum Interruption {
    Memory(Failure),
    Output(io::Error),
}

impl From<io::Error> for Interruption {
    /// A reader of shared memory wraps the crate's error; what is left comes from the output.
    fn from(error: io::Error) -> Self {
        match error.downcast::<Error>() {
            Ok(error) => Self::Memory(error.into()),
            Err(error) => Self::Output(error),
        }
    }
}

/// The status that a C program's `return -1` becomes.
pub const FAILED: u8 = 255;
/// How much is read and written at once, in bytes: what stays in the processor's cache.
const PIECE: usize = 64 * 1024;
const FIRST_PIECE: usize = 4096;

/// Does what `args` ask for, reports it on `stdout`, which may be a terminal, and `stderr`, and
/// returns the exit status.
pub fn run(args: &Args, terminal: bool, stdout: Descriptor, mut stderr: impl Write) -> u8 {
    let mut buffered = BufWriter::with_capacity(PIECE, stdout);
    let done = if args.framed {
        framed::read(args, terminal, &mut buffered, &mut stderr)
    } else {
        read(args, terminal, &mut buffered, &mut stderr)
    };
    match done {
        Ok(()) => 0,
        Err(interruption) => {
            // With both outputs gone there is nobody left to tell.
            let _ = report(args, interruption, &mut buffered, &mut stderr);
            FAILED
        }
    }
}

/// Prepares the message for a missing page, whose access ends the process. For the start of the program.
pub fn prepare_for_fault(args: &Args) {
    let Target::Memory(Address::SysV(key)) = args.target() else { return };
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    let failure = Interruption::Memory(fault::failure(key));
    // Writing to memory does not fail.
    let _ = report(args, failure, &mut stdout, &mut stderr);
    fault::end_with(stdout, stderr, FAILED);
}

fn report(
    args: &Args,
    interruption: Interruption,
    stdout: &mut impl Write,
    stderr: &mut impl Write,
) -> io::Result<()> {
    match interruption {
        Interruption::Output(error) => writeln!(stderr, "standard output failed: {error}"),
        Interruption::Memory(failure) if args.json => print_json(
            &Outcome::<WasRead> { ok: false, result: None, error: Some(failure) },
            stdout,
        ),
        Interruption::Memory(failure) => {
            writeln!(stderr, "{failure}")?;
            if !args.raw {
                writeln!(stdout, "shm read failed")?;
            }
            stdout.flush()
        }
    }
}

fn read(
    args: &Args,
    terminal: bool,
    stdout: &mut BufWriter<Descriptor>,
    stderr: &mut impl Write,
) -> Result<(), Interruption> {
    let failed = |error: Error| Interruption::Memory(error.into());
    let mut checksum = args.checksum.then(Checksum::default);
    match args.target() {
        Target::Memory(address) => {
            let memory = open(args, &address).map_err(failed)?;
            if args.json {
                return Ok(print(describe(address, &memory, checksum)?, stdout)?);
            }
            match &memory {
                // Nobody but the kernel has to see the bytes that are printed.
                Memory::SysV(_, attachment) if args.raw && !terminal && !args.checksum => {
                    let mut progress = Progress::new(None);
                    transfer::drain(attachment, stdout.get_ref().0, &mut progress)?;
                }
                _ => print_text(args, terminal, &mut memory.text(), stdout, &mut checksum)?,
            }
        }
        Target::Carrier(carrier) => {
            let text = wait(args, || carrier.read_text(), |text| Ok(text.is_empty()));
            let text = text.map_err(failed)?;
            if args.json {
                return Ok(print(describe_carrier(carrier, text, checksum), stdout)?);
            }
            print_text(args, terminal, &mut &text[..], stdout, &mut checksum)?;
        }
    }
    print_checksum(args, checksum, stdout, stderr)
}

/// Prints the checksum behind the text, if one was asked for.
pub(crate) fn print_checksum(
    args: &Args,
    checksum: Option<Checksum>,
    stdout: &mut impl Write,
    stderr: &mut impl Write,
) -> Result<(), Interruption> {
    match checksum {
        // There standard output is the text alone, and it is there before it is vouched for.
        Some(checksum) if args.raw => {
            stdout.flush()?;
            let _ = writeln!(stderr, "checksum {checksum}");
        }
        Some(checksum) => writeln!(stdout, "checksum {checksum}")?,
        None => {}
    }
    Ok(stdout.flush()?)
}

pub(crate) fn print_text(
    args: &Args,
    terminal: bool,
    text: &mut impl Read,
    stdout: &mut impl Write,
    checksum: &mut Option<Checksum>,
) -> Result<(), Interruption> {
    match (args.raw, terminal) {
        (true, false) => copy(text, stdout, checksum, true)?,
        (true, true) => {
            let mut escaped = Escaped::new(&mut *stdout);
            copy(text, &mut escaped, checksum, false)?;
            escaped.finish()?;
        }
        (false, escape) => {
            copy(text, &mut Spaced::new(&mut *stdout, escape), checksum, !terminal)?;
            writeln!(stdout, "\nshm read success")?;
        }
    }
    Ok(())
}

fn copy(
    text: &mut impl Read,
    output: &mut impl Write,
    checksum: &mut Option<Checksum>,
    tell: bool,
) -> io::Result<()> {
    let mut progress = tell.then(|| Progress::new(None));
    // Most texts are short, and a large buffer takes more instructions than the rest of the program.
    let mut buffer = vec![0; FIRST_PIECE];
    let mut done = 0;
    loop {
        let length = text.read(&mut buffer)?;
        if length == 0 {
            return Ok(());
        }
        let piece = &buffer[..length];
        if let Some(checksum) = checksum {
            checksum.update(piece);
        }
        output.write_all(piece)?;
        done += length as u64;
        if let Some(progress) = &mut progress {
            progress.reached(done);
        }
        if length == FIRST_PIECE {
            buffer.resize(PIECE, 0);
        }
    }
}

/// Opens the memory, once it is there and has a text in it if `--wait` says so.
fn open(args: &Args, address: &Address) -> Result<Memory, Error> {
    wait(args, || address.open(), is_empty)
}

/// What `get` gets, once that is there and not empty if `--wait` says so.
pub(crate) fn wait<T>(
    args: &Args,
    get: impl Fn() -> Result<T, Error>,
    is_empty: impl Fn(&T) -> Result<bool, Error>,
) -> Result<T, Error> {
    let Some(seconds) = args.wait else { return get() };
    // A time that no clock holds is as good as none.
    let limit = Duration::try_from_secs_f64(seconds).ok();
    let deadline = limit.and_then(|limit| Instant::now().checked_add(limit));
    loop {
        let answer = get();
        let late = deadline.is_some_and(|deadline| Instant::now() >= deadline);
        match &answer {
            Ok(found) if late || !is_empty(found)? => return answer,
            Err(error) if late || !is_absence(error) => return answer,
            _ => thread::sleep(LOOK_EVERY),
        }
    }
}

/// Whether there is nothing to open, or was by the time that a segment which had been found was to
/// be attached.
fn is_absence(error: &Error) -> bool {
    match error {
        Error::Attach { errno, .. } => matches!(*errno, Errno::EINVAL | Errno::EIDRM),
        Error::Frame { flaw, .. } => matches!(flaw, Flaw::Blank | Flaw::Empty(_)),
        _ => error.errno() == Some(Errno::ENOENT),
    }
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
) -> Result<WasRead, Interruption> {
    let mut bytes = Vec::new();
    memory.text().read_to_end(&mut bytes).map_err(|error| match error.kind() {
        io::ErrorKind::OutOfMemory => Interruption::Memory(Failure::new(
            "the text does not fit into the memory of this process",
            "--json takes as much memory as the text has bytes, and a limit is met",
            "print it with --raw, or raise the limit: ulimit -v, ulimit -d",
        )),
        _ => error.into(),
    })?;
    if let Some(checksum) = &mut checksum {
        checksum.update(&bytes);
    }
    Ok(WasRead {
        address: Target::Memory(address),
        shmid: memory.segment().map(Segment::id),
        size: Some(memory.size().map_err(|error| Interruption::Memory(error.into()))?),
        length: bytes.len(),
        text: JsonText::from(bytes),
        checksum,
        ipc_namespace: IpcNamespace::current().ok(),
    })
}

fn describe_carrier(carrier: Carrier, text: Vec<u8>, mut checksum: Option<Checksum>) -> WasRead {
    if let Some(checksum) = &mut checksum {
        checksum.update(&text);
    }
    WasRead {
        address: Target::Carrier(carrier),
        shmid: None,
        size: None,
        length: text.len(),
        text: JsonText::from(text),
        checksum,
        ipc_namespace: IpcNamespace::current().ok(),
    }
}

pub(crate) fn print(read: impl Serialize, stdout: &mut impl Write) -> io::Result<()> {
    print_json(&Outcome { ok: true, result: Some(read), error: None }, stdout)
}

fn print_json(outcome: &Outcome<impl Serialize>, stdout: &mut impl Write) -> io::Result<()> {
    serde_json::to_writer(EscapedJson(&mut *stdout), outcome)?;
    writeln!(stdout)?;
    stdout.flush()
}
