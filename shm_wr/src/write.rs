//! The work of `shm_wr`.

use std::fmt;
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;

use serde::Serialize;
use shm_core::memory::WritableMemory;
use shm_core::stat::SegmentId;
use shm_core::text::EscapedJson;
use shm_core::{
    Address, Carrier, Checksum, Descriptor, Errno, Error, Failure, IpcNamespace, Origin, Segment,
    Target, fault,
};

use crate::args::Args;
use crate::framed;
use crate::stream::{self, JUDGED};

/// The status that a C program's `return -1` becomes.
pub const FAILED: u8 = 255;
pub(crate) const DEFAULT_SIZE: usize = 1024;
pub(crate) const DEFAULT_MODE: u32 = 0o666;
const NO_TEXT: &str = "place input str, example: ./shm_wr abcd";

/// What was written, as `--json` prints it.
#[derive(Debug, Serialize)]
struct Written {
    address: Target,
    shmid: Option<SegmentId>,
    origin: Origin,
    size: u64,
    length: u64,
    truncated: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    checksum: Option<Checksum>,
    ipc_namespace: Option<IpcNamespace>,
}

impl fmt::Display for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        success(f, self.checksum.as_ref())
    }
}

/// What is printed of a text that was written.
pub(crate) fn success(f: &mut fmt::Formatter<'_>, checksum: Option<&Checksum>) -> fmt::Result {
    f.write_str("shm write success")?;
    checksum.map_or(Ok(()), |checksum| write!(f, "\nchecksum {checksum}"))
}

#[derive(Serialize)]
struct Removed {
    address: Target,
    removed: bool,
}

impl fmt::Display for Removed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("shm remove success")
    }
}

#[derive(Serialize)]
struct Outcome<T> {
    ok: bool,
    #[serde(flatten)]
    result: Option<T>,
    error: Option<Failure>,
}

/// Does what `args` ask for, reports it on `stdout` and `stderr`, and returns the exit status.
pub fn run(args: &Args, stdin: Descriptor, mut stdout: impl Write, mut stderr: impl Write) -> u8 {
    let reported = if args.remove {
        let address = args.target();
        let removed = if args.framed { framed::remove(args) } else { address.remove() };
        let removed = removed.map_err(Failure::from);
        let removed = removed.map(|()| Removed { address, removed: true });
        report(args, "remove", removed, &mut stdout, &mut stderr)
    } else if args.text.is_none() && !args.stdin && !args.json {
        writeln!(stderr, "{NO_TEXT}").map(|()| false)
    } else if args.framed {
        report(args, "write", framed::write(args, stdin), &mut stdout, &mut stderr)
    } else {
        let written = write(args, stdin);
        report(args, "write", written, &mut stdout, &mut stderr)
    };
    match reported {
        Ok(true) => 0,
        Ok(false) => FAILED,
        Err(error) => {
            // With both outputs gone there is nobody left to tell.
            let _ = writeln!(stderr, "standard output failed: {error}");
            FAILED
        }
    }
}

/// Prepares the message for a missing page, whose access ends the process. For the start of the program.
pub fn prepare_for_fault(args: &Args) {
    let Target::Memory(Address::SysV(key)) = args.target() else { return };
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    let failed = Err::<Written, _>(fault::failure(key));
    // Writing to memory does not fail.
    let _ = report(args, "write", failed, &mut stdout, &mut stderr);
    fault::end_with(stdout, stderr, FAILED);
}

/// Prints the result; returns whether it was a success.
fn report<T: Serialize + fmt::Display>(
    args: &Args,
    verb: &str,
    result: Result<T, Failure>,
    stdout: &mut impl Write,
    stderr: &mut impl Write,
) -> io::Result<bool> {
    let ok = result.is_ok();
    match result {
        _ if args.json => {
            let (result, error) = match result {
                Ok(value) => (Some(value), None),
                Err(failure) => (None, Some(failure)),
            };
            serde_json::to_writer(EscapedJson(&mut *stdout), &Outcome { ok, result, error })?;
            writeln!(stdout)?;
        }
        Err(failure) => {
            writeln!(stderr, "{failure}")?;
            writeln!(stdout, "shm {verb} failed")?;
        }
        Ok(value) => writeln!(stdout, "{value}")?,
    }
    stdout.flush()?;
    Ok(ok)
}

fn write(args: &Args, stdin: Descriptor) -> Result<Written, Failure> {
    let size = args.size.unwrap_or(DEFAULT_SIZE);
    let mode = args.mode.unwrap_or(DEFAULT_MODE);
    match args.target() {
        Target::Memory(address) => write_memory(args, stdin, address, size, mode),
        Target::Carrier(carrier) => write_carrier(args, stdin, carrier, size, mode),
    }
}

fn write_carrier(
    args: &Args,
    stdin: Descriptor,
    carrier: Carrier,
    size: usize,
    mode: u32,
) -> Result<Written, Failure> {
    let capacity = size as u64;
    let (text, truncated) = fit(text(args, stdin, capacity)?, capacity, args.truncate)?;
    let origin = carrier.write_text(&text, size, mode, args.create_new)?;
    Ok(Written {
        address: Target::Carrier(carrier),
        shmid: None,
        origin,
        size: capacity,
        length: text.len() as u64,
        truncated,
        checksum: checksum(args, &text),
        ipc_namespace: if args.json { IpcNamespace::current().ok() } else { None },
    })
}

/// The checksum, where one is asked for, of what is known of a text.
pub(crate) fn checksum(args: &Args, text: &[u8]) -> Option<Checksum> {
    args.checksum.then(|| {
        let mut checksum = Checksum::default();
        checksum.update(text);
        checksum
    })
}

fn write_memory(
    args: &Args,
    stdin: Descriptor,
    address: Address,
    size: usize,
    mode: u32,
) -> Result<Written, Failure> {
    // What is there decides how much fits, and must be known before anything is made or written.
    let existing = if args.create_new { None } else { find(&address, size)? };
    let capacity = match &existing {
        Some(memory) => memory.size()?.max(size as u64),
        None => size as u64,
    };
    let text = text(args, stdin, capacity.min(JUDGED))?;
    let goes_on = args.stdin && text.len() as u64 == JUDGED && capacity > JUDGED;
    let streamed = goes_on && !text.contains(&0);
    if streamed && !args.truncate {
        may_fit(&text, stdin, capacity)?;
    }
    let (text, cut) = if streamed { (text, false) } else { fit(text, capacity, args.truncate)? };

    let (memory, origin) = match existing {
        Some(memory) => {
            memory.grow(size)?;
            (memory, Origin::Opened)
        }
        None if args.create_new => (address.create_new(size, mode)?, Origin::Created),
        None => address.open_or_create(size, mode)?,
    };
    let mut checksum = checksum(args, &text);
    let (length, truncated) = if streamed {
        stream::write(&memory, &text, stdin, checksum.as_mut(), args.truncate)?
    } else {
        memory.write_text(&text)?;
        (text.len() as u64, cut)
    };
    Ok(Written {
        shmid: memory.segment().map(Segment::id),
        origin,
        size: memory.size()?,
        length,
        truncated,
        checksum,
        ipc_namespace: if args.json { IpcNamespace::current().ok() } else { None },
        address: Target::Memory(address),
    })
}

/// Refuses what is known not to fit before any of it is written.
fn may_fit(head: &[u8], stdin: Descriptor, capacity: u64) -> Result<(), Failure> {
    let length = stdin.remaining().map(|remaining| remaining.saturating_add(head.len() as u64));
    if length.is_some_and(|length| length >= capacity) {
        return Err(does_not_fit(capacity, ""));
    }
    Ok(())
}

fn find(address: &Address, size: usize) -> Result<Option<WritableMemory>, Error> {
    match address.open_writable(size) {
        Ok(memory) => Ok(Some(memory)),
        Err(error) if error.errno() == Some(Errno::ENOENT) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The text that was given; of standard input its first bytes, at most `limit`.
pub(crate) fn text(args: &Args, stdin: Descriptor, limit: u64) -> Result<Vec<u8>, Failure> {
    if let Some(text) = &args.text {
        return Ok(text.as_bytes().to_vec());
    }
    if !args.stdin {
        return Err(Failure::new(NO_TEXT, "there is no text to write", "give TEXT or --stdin"));
    }
    let mut text = Vec::new();
    stdin.take(limit).read_to_end(&mut text).map_err(|error| unreadable(&error, ""))?;
    Ok(text)
}

/// A text that a reader will see whole, and whether it had to be cut for that.
fn fit(mut text: Vec<u8>, capacity: u64, cut: bool) -> Result<(Vec<u8>, bool), Failure> {
    let room = usize::try_from(capacity.saturating_sub(1)).unwrap_or(usize::MAX);
    let nul = text.iter().position(|byte| *byte == 0);
    let length = nul.unwrap_or(text.len()).min(room);
    if capacity == 0 {
        return Err(Failure::new(
            "the text does not fit",
            "0 bytes do not even hold the NUL that ends a text",
            "give a larger --size",
        ));
    }
    if length == text.len() || cut {
        let truncated = length < text.len();
        text.truncate(length);
        return Ok((text, truncated));
    }
    Err(match nul {
        Some(position) if position <= room => has_nul(position as u64, ""),
        _ => does_not_fit(capacity, ""),
    })
}

// What a text is refused for, with what it left, if that is not what was there before.

pub(crate) fn has_nul(position: u64, left: &str) -> Failure {
    Failure::new(
        format!("the text has a NUL at byte {position}"),
        format!("a text ends at its first NUL: readers would not see what comes behind it{left}"),
        "leave the NUL out, or give --truncate to write what comes before it",
    )
}

pub(crate) fn does_not_fit(capacity: u64, left: &str) -> Failure {
    let room = capacity.saturating_sub(1);
    Failure::new(
        "the text does not fit",
        format!("{capacity} bytes hold a text of {room} bytes and the NUL that ends it{left}"),
        "give --truncate to cut it, or a larger --size (an existing segment is removed first \
         with --remove)",
    )
}

pub(crate) fn unreadable(error: &io::Error, left: &str) -> Failure {
    Failure::new(
        format!("standard input cannot be read: {error}"),
        format!("the program or file behind it failed{left}"),
        "give the text as argument",
    )
}
