//! A text that is longer than what is held in memory to be judged first.

use shm_cli::progress::Progress;
use shm_cli::transfer::{self, EndReason, Filled, TransferError};
use shm_cli::{Checksum, Failure};
use shm_core::memory::WritableMemory;
use shm_core::{Descriptor, Error};

use crate::input;

/// How much of a text is read before anything is made or written, in bytes.
pub(crate) const JUDGED: u64 = 1 << 20;

/// What a refused text leaves, for nobody knew before that it would be refused.
const LEFT_EMPTY: &str = "; it was being written when that came up, and an empty text is left";

/// Writes a text that starts with `head`, which is not empty and has no NUL, and goes on in
/// `stdin`. Its first byte is held back, as a NUL, until everything else is there: whoever begins to
/// read meanwhile sees an empty text, also after this process was killed. A reader that is in the
/// middle of the text before, or a second writer, can mix them: `--framed` is for that. Returns its
/// length, and whether it was cut.
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
    memory.write_at(1, rest).map_err(broken_off)?;

    let room = head.len() as u64..capacity.saturating_sub(1);
    let total = |rest: u64| rest.saturating_add(head.len() as u64).min(room.end);
    let mut progress = Progress::new(remaining.map(total));
    let filled = transfer::fill(memory, room, stdin, checksum, &mut progress);
    drop(progress);
    match filled.map_err(interrupted)? {
        Filled { end, stop: EndReason::Nul } if !cut => Err(input::has_nul(end, LEFT_EMPTY)),
        Filled { stop: EndReason::Room, .. } if !cut => {
            Err(input::does_not_fit(capacity, LEFT_EMPTY))
        }
        Filled { end, stop } => {
            memory.write_at(end, &[0]).map_err(broken_off)?;
            memory.write_at(0, first).map_err(broken_off)?;
            Ok((end, stop != EndReason::Input))
        }
    }
}

fn interrupted(interruption: TransferError) -> Failure {
    match interruption {
        TransferError::Descriptor(error) => input::unreadable(&error, LEFT_EMPTY),
        TransferError::Memory(error) => broken_off(error),
    }
}

fn broken_off(error: Error) -> Failure {
    Failure::from(error).leaving(LEFT_EMPTY)
}
