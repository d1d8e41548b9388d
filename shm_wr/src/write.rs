//! Writes a text to memory, semaphores or a queue.

use shm_cli::{Checksum, Failure};
use shm_core::memory::WritableMemory;
use shm_core::{
    Address, Descriptor, Errno, Error, IpcNamespace, IpcObject, Origin, Segment, Target,
};

use crate::args::{Args, DEFAULT_MODE, DEFAULT_SIZE};
use crate::input::{does_not_fit, fit, text};
use crate::report::Written;
use crate::stream::{self, HEAD};

pub(crate) fn write(args: &Args, stdin: Descriptor) -> Result<Written, Failure> {
    let target = args.address.target();
    // A segment that is named by its id exists already, with a size of any number of bytes.
    let default_size = if let Target::Memory(Address::Id(_)) = target { 0 } else { DEFAULT_SIZE };
    let size = args.size.unwrap_or(default_size);
    let mode = args.mode.unwrap_or(DEFAULT_MODE);
    match target {
        Target::Memory(address) => write_memory(args, stdin, address, size, mode),
        Target::IpcObject(ipc_object) => write_ipc_object(args, stdin, ipc_object, size, mode),
    }
}

fn write_ipc_object(
    args: &Args,
    stdin: Descriptor,
    ipc_object: IpcObject,
    size: usize,
    mode: u32,
) -> Result<Written, Failure> {
    let capacity = size as u64;
    let (text, truncated) = fit(text(args, stdin, capacity)?, capacity, args.truncate)?;
    let origin = ipc_object.write_text(&text, size, mode, args.create_new)?;
    Ok(Written {
        address: Target::IpcObject(ipc_object),
        shmid: None,
        origin,
        size: Some(capacity),
        capacity: None,
        length: text.len() as u64,
        truncated,
        generation: None,
        checksum: args.checksum.then(|| Checksum::of(&text)),
        ipc_namespace: if args.json { IpcNamespace::current().ok() } else { None },
    })
}

fn write_memory(
    args: &Args,
    stdin: Descriptor,
    address: Address,
    size: usize,
    mode: u32,
) -> Result<Written, Failure> {
    // The size of existing memory decides what fits. Check it before anything is created or
    // written.
    let existing = if args.create_new { None } else { find(&address, size)? };
    let capacity = match &existing {
        Some(memory) => memory.size()?.max(size as u64),
        None => size as u64,
    };
    let text = text(args, stdin, capacity.min(HEAD))?;
    let goes_on = args.stdin && text.len() as u64 == HEAD && capacity > HEAD;
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
    let mut checksum = args.checksum.then(|| Checksum::of(&text));
    let (length, truncated) = if streamed {
        stream::write(&memory, &text, stdin, checksum.as_mut(), args.truncate)?
    } else {
        memory.write_text(&text)?;
        (text.len() as u64, cut)
    };
    Ok(Written {
        shmid: memory.segment().map(Segment::id),
        origin,
        size: Some(memory.size()?),
        capacity: None,
        length,
        truncated,
        generation: None,
        checksum,
        ipc_namespace: if args.json { IpcNamespace::current().ok() } else { None },
        address: Target::Memory(address),
    })
}

/// Refuses an input of a known length that does not fit.
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
