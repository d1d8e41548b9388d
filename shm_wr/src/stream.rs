//! A text that is too long to be checked before it is written.

use shm_cli::progress::Progress;
use shm_cli::transfer::{self, EndReason, Filled, TransferError};
use shm_cli::{Checksum, Failure};
use shm_core::memory::WritableMemory;
use shm_core::{Descriptor, Error};

use crate::input;

/// The number of bytes of a text that are read before anything is created or written.
pub(crate) const HEAD: u64 = 1 << 20;

/// What a failure after the start of the write leaves in the memory.
const LEFT_EMPTY: &str = "; the write had already begun, and an empty text is left";

/// Writes the text that consists of `head`, which is not empty and has no NUL, and the bytes of
/// `stdin`. Returns its length, and whether it was cut.
///
/// The first byte is a NUL until all other bytes are written. A reader that begins before that sees
/// an empty text, also if this process is killed. A reader that began earlier, or a second writer,
/// can get a mix of two texts; `--framed` prevents that.
pub(crate) fn write(
    memory: &WritableMemory,
    head: &[u8],
    stdin: Descriptor,
    checksum: Option<&mut Checksum>,
    cut: bool,
) -> Result<(u64, bool), Failure> {
    let (first, rest) = head.split_at(1);
    let capacity = memory.size()?;
    let remaining = stdin.remaining();
    memory.write_at(0, &[0])?;
    memory.write_at(1, rest).map_err(write_failed)?;

    let room = head.len() as u64..capacity.saturating_sub(1);
    let total = |rest: u64| rest.saturating_add(head.len() as u64).min(room.end);
    let mut progress = Progress::new(remaining.map(total));
    let filled = transfer::fill(memory, room, stdin, checksum, &mut progress);
    drop(progress);
    match filled.map_err(transfer_failed)? {
        Filled { end, stop: EndReason::Nul } if !cut => Err(input::has_nul(end, LEFT_EMPTY)),
        Filled { stop: EndReason::Room, .. } if !cut => {
            Err(input::does_not_fit(capacity, LEFT_EMPTY))
        }
        Filled { end, stop } => {
            memory.write_at(end, &[0]).map_err(write_failed)?;
            memory.write_at(0, first).map_err(write_failed)?;
            Ok((end, stop != EndReason::Input))
        }
    }
}

fn transfer_failed(error: TransferError) -> Failure {
    match error {
        TransferError::Descriptor(error) => input::unreadable(&error, LEFT_EMPTY),
        TransferError::Memory(error) => write_failed(error),
    }
}

fn write_failed(error: Error) -> Failure {
    Failure::from(error).leaving(LEFT_EMPTY)
}
