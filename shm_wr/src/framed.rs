//! `shm_wr --framed`: whole messages.

use std::io::Write;
use std::time::Duration;

use shm_cli::memory_warning::memory_warning;
use shm_cli::{Checksum, Failure};
use shm_core::{Address, Descriptor, Error, IpcNamespace, Origin, Segment};
use shm_frame::Writer;

use crate::args::{Args, DEFAULT_MODE, DEFAULT_SIZE};
use crate::input::text;
use crate::report::Written;

/// The longest wait for the write lock.
pub(crate) const LOCK_TIMEOUT: Duration = Duration::from_secs(5);

pub(crate) fn write(
    args: &Args,
    stdin: Descriptor,
    stderr: &mut impl Write,
) -> Result<Written, Failure> {
    let key = args.address.key();
    let size = args.size.unwrap_or(DEFAULT_SIZE);
    let mode = args.mode.unwrap_or(DEFAULT_MODE);
    // The size of an existing segment decides what fits. The text is read before the lock is taken,
    // so that other writers do not wait for a user who types.
    let existing = if args.create_new { None } else { Segment::find(key).ok() };
    let bytes = existing.and_then(|segment| segment.stat().ok()).map_or(size, |stat| {
        let existing = usize::try_from(stat.size).unwrap_or(usize::MAX);
        existing.max(size)
    });
    let capacity = shm_frame::capacity(bytes);
    let mut text = text(args, stdin, capacity as u64 + 1)?;
    let truncated = args.truncate && text.len() > capacity;
    if truncated {
        text.truncate(capacity);
    }
    if text.len() > capacity {
        return Err(does_not_fit(bytes, capacity));
    }
    if let Some(warning) = memory_warning(&Address::SysV(key), 0, text.len() as u64) {
        // If standard error fails, there is no way to report it.
        let _ = writeln!(stderr, "{warning}");
    }
    let (mut writer, origin) = if args.create_new {
        (Writer::create_new(key, size, mode, LOCK_TIMEOUT)?, Origin::Created)
    } else {
        Writer::open_or_create(key, size, mode, LOCK_TIMEOUT)?
    };
    let generation = writer.write(&text).map_err(|error| match error {
        // The segment was replaced after the check above.
        shm_frame::Error::Call(Error::OutOfBounds { .. }) => does_not_fit(bytes, writer.capacity()),
        error => error.into(),
    })?;
    Ok(Written {
        address: args.address.target(),
        shmid: Some(writer.segment().id()),
        origin,
        size: None,
        capacity: Some(writer.capacity()),
        length: text.len() as u64,
        truncated,
        generation: Some(generation),
        checksum: args.checksum.then(|| Checksum::of(&text)),
        ipc_namespace: if args.json { IpcNamespace::current().ok() } else { None },
    })
}

fn does_not_fit(size: usize, capacity: usize) -> Failure {
    Failure::new(
        "the text does not fit",
        format!("a frame of {size} bytes has two slots of {capacity} bytes for messages"),
        "give --truncate to cut it, or a larger --size (first remove an existing segment: --remove \
         --framed)",
    )
}
