//! Whole messages in a System V segment.
//!
//! A reader of shared memory can get a mix of an old and a new text while a writer writes. A frame has
//! two slots: the writer fills the slot that no reader is given, then publishes it with one store. A
//! reader gets one whole message, old or new, and never waits for a writer: it attaches read-only,
//! copies the message, and checks that the slot was not reused meanwhile. `layout.rs` has the layout,
//! `protocol.rs` the argument why the memory orderings suffice.
//!
//! Writers take turns through a semaphore with the segment's key and mode. The kernel releases this
//! lock when its holder ends, so a writer that is killed blocks nobody. [`Reader::writing`] reports a
//! message that such a writer left unfinished.
//!
//! All processes must have the same byte order.
//!
//! ```
//! use std::time::Duration;
//!
//! use shm_core::Key;
//! use shm_frame::{Reader, WriteState, Writer};
//!
//! # fn main() -> shm_frame::Result<()> {
//! let key: Key = "0x5ca1ab1f".parse().unwrap();
//! let (mut writer, _) = Writer::open_or_create(key, 1024, 0o600, Duration::from_secs(1))?;
//! writer.write(b"one")?;
//!
//! let reader = Reader::open(key)?;
//! let mut message = Vec::new();
//! assert_eq!(reader.read(&mut message)?, 1);
//! assert_eq!(message, b"one");
//! assert_eq!(reader.writing(1), WriteState::Idle);
//!
//! writer.remove()?;
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]

mod check;
mod error;
mod layout;
mod protocol;
mod reader;
mod retry;
mod state;
mod writer;
mod writer_lock;

pub use error::{Error, FrameError, LockHolder, Result};
pub use layout::capacity;
pub use reader::Reader;
pub use state::WriteState;
pub use writer::{Writer, remove};
