//! The work of `shm_rd`.

use std::io::{self, BufWriter, Read, Write};
use std::thread;
use std::time::{Duration, Instant};

use serde::Serialize;
use shm_core::stat::SegmentId;
use shm_core::text::{Escaped, Spaced};
use shm_core::{Address, Carrier, Errno, Error, Failure, IpcNamespace, Memory, Segment, Target};

use crate::args::Args;

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
    ipc_namespace: Option<IpcNamespace>,
}

/// A string where the text is UTF-8, else an array of its bytes.
#[derive(Serialize)]
#[serde(untagged)]
enum JsonText {
    Utf8(String),
    Bytes(Vec<u8>),
}

impl From<Vec<u8>> for JsonText {
    fn from(bytes: Vec<u8>) -> Self {
        String::from_utf8(bytes).map_or_else(|error| Self::Bytes(error.into_bytes()), Self::Utf8)
    }
}

#[derive(Serialize)]
struct Outcome {
    ok: bool,
    #[serde(flatten)]
    result: Option<WasRead>,
    error: Option<Failure>,
}

/// Why the text did not get from the memory to the output.
enum Interruption {
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
const FAILED: u8 = 255;

/// Does what `args` ask for, reports it on `stdout`, which may be a terminal, and `stderr`, and
/// returns the exit status.
pub fn run(args: &Args, terminal: bool, stdout: impl Write, mut stderr: impl Write) -> u8 {
    let mut stdout = BufWriter::with_capacity(64 * 1024, stdout);
    match read(args, terminal, &mut stdout) {
        Ok(()) => 0,
        Err(interruption) => {
            // With both outputs gone there is nobody left to tell.
            let _ = report(args, interruption, &mut stdout, &mut stderr);
            FAILED
        }
    }
}

fn report(
    args: &Args,
    interruption: Interruption,
    stdout: &mut impl Write,
    stderr: &mut impl Write,
) -> io::Result<()> {
    match interruption {
        Interruption::Output(error) => writeln!(stderr, "standard output failed: {error}"),
        Interruption::Memory(failure) if args.json => {
            print_json(&Outcome { ok: false, result: None, error: Some(failure) }, stdout)
        }
        Interruption::Memory(failure) => {
            writeln!(stderr, "{failure}")?;
            if !args.raw {
                writeln!(stdout, "shm read failed")?;
            }
            stdout.flush()
        }
    }
}

fn read(args: &Args, terminal: bool, stdout: &mut impl Write) -> Result<(), Interruption> {
    let failed = |error: Error| Interruption::Memory(error.into());
    match args.target() {
        Target::Memory(address) => {
            let memory = open(args, &address).map_err(failed)?;
            if args.json {
                return Ok(print(describe(address, &memory)?, stdout)?);
            }
            print_text(args, terminal, &mut memory.text(), stdout)
        }
        Target::Carrier(carrier) => {
            let text = wait(args, || carrier.read_text(), |text| Ok(text.is_empty()));
            let text = text.map_err(failed)?;
            if args.json {
                return Ok(print(describe_carrier(carrier, text), stdout)?);
            }
            print_text(args, terminal, &mut &text[..], stdout)
        }
    }
}

fn print_text(
    args: &Args,
    terminal: bool,
    text: &mut impl Read,
    stdout: &mut impl Write,
) -> Result<(), Interruption> {
    match (args.raw, terminal) {
        (true, false) => _ = io::copy(text, stdout)?,
        (true, true) => {
            let mut escaped = Escaped::new(&mut *stdout);
            io::copy(text, &mut escaped)?;
            escaped.finish()?;
        }
        (false, escape) => {
            io::copy(text, &mut Spaced::new(&mut *stdout, escape))?;
            writeln!(stdout, "\nshm read success")?;
        }
    }
    Ok(stdout.flush()?)
}

/// Opens the memory, once it is there and has a text in it if `--wait` says so.
fn open(args: &Args, address: &Address) -> Result<Memory, Error> {
    wait(args, || address.open(), is_empty)
}

/// What `get` gets, once that is there and not empty if `--wait` says so.
fn wait<T>(
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
        _ => error.errno() == Some(Errno::ENOENT),
    }
}

fn is_empty(memory: &Memory) -> Result<bool, Error> {
    let mut first = [0];
    memory.read_at(0, &mut first)?;
    Ok(first == [0])
}

fn describe(address: Address, memory: &Memory) -> Result<WasRead, Interruption> {
    let mut bytes = Vec::new();
    memory.text().read_to_end(&mut bytes)?;
    Ok(WasRead {
        address: Target::Memory(address),
        shmid: memory.segment().map(Segment::id),
        size: Some(memory.size().map_err(|error| Interruption::Memory(error.into()))?),
        length: bytes.len(),
        text: JsonText::from(bytes),
        ipc_namespace: IpcNamespace::current().ok(),
    })
}

fn describe_carrier(carrier: Carrier, text: Vec<u8>) -> WasRead {
    WasRead {
        address: Target::Carrier(carrier),
        shmid: None,
        size: None,
        length: text.len(),
        text: JsonText::from(text),
        ipc_namespace: IpcNamespace::current().ok(),
    }
}

fn print(read: WasRead, stdout: &mut impl Write) -> io::Result<()> {
    print_json(&Outcome { ok: true, result: Some(read), error: None }, stdout)
}

fn print_json(outcome: &Outcome, stdout: &mut impl Write) -> io::Result<()> {
    serde_json::to_writer(&mut *stdout, outcome)?;
    writeln!(stdout)?;
    stdout.flush()
}
