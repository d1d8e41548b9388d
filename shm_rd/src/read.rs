//! The work of `shm_rd`.

use std::io::{self, BufWriter, Read, Write};
use std::thread;
use std::time::{Duration, Instant};

use serde::Serialize;
use shm_core::stat::SegmentId;
use shm_core::text::{Escaped, Spaced};
use shm_core::{Address, Errno, Error, Failure, IpcNamespace, Memory, Segment};

use crate::args::Args;

/// How often `--wait` looks: neither mechanism tells when something appears.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// What was read, as `--json` prints it.
#[derive(Serialize)]
struct WasRead {
    address: Address,
    shmid: Option<SegmentId>,
    size: u64,
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
    let memory = open(args).map_err(|error| Interruption::Memory(error.into()))?;
    if args.json {
        let result = Some(describe(args, &memory)?);
        print_json(&Outcome { ok: true, result, error: None }, stdout)?;
        return Ok(());
    }
    let mut text = memory.text();
    match (args.raw, terminal) {
        (true, false) => _ = io::copy(&mut text, stdout)?,
        (true, true) => {
            let mut escaped = Escaped::new(&mut *stdout);
            io::copy(&mut text, &mut escaped)?;
            escaped.finish()?;
        }
        (false, escape) => {
            io::copy(&mut text, &mut Spaced::new(&mut *stdout, escape))?;
            writeln!(stdout, "\nshm read success")?;
        }
    }
    Ok(stdout.flush()?)
}

/// Opens the memory, once it is there and has a text in it if `--wait` says so.
fn open(args: &Args) -> Result<Memory, Error> {
    let address = args.address();
    let Some(seconds) = args.wait else { return address.open() };
    // A time that no clock holds is as good as none.
    let limit = Duration::try_from_secs_f64(seconds).ok();
    let deadline = limit.and_then(|limit| Instant::now().checked_add(limit));
    loop {
        let opened = address.open();
        let late = deadline.is_some_and(|deadline| Instant::now() >= deadline);
        match &opened {
            Ok(memory) if late || !is_empty(memory)? => {
                return opened;
            }
            Err(error) if late || !is_absence(error) => return opened,
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

fn describe(args: &Args, memory: &Memory) -> Result<WasRead, Interruption> {
    let mut bytes = Vec::new();
    memory.text().read_to_end(&mut bytes)?;
    Ok(WasRead {
        address: args.address(),
        shmid: memory.segment().map(Segment::id),
        size: memory.size().map_err(|error| Interruption::Memory(error.into()))?,
        length: bytes.len(),
        text: String::from_utf8(bytes)
            .map_or_else(|error| JsonText::Bytes(error.into_bytes()), JsonText::Utf8),
        ipc_namespace: IpcNamespace::current().ok(),
    })
}

fn print_json(outcome: &Outcome, stdout: &mut impl Write) -> io::Result<()> {
    serde_json::to_writer(&mut *stdout, outcome)?;
    writeln!(stdout)?;
    stdout.flush()
}
