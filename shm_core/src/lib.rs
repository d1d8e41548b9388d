//! System V and POSIX shared memory, semaphores and message queues on Linux.
//!
//! The crate wraps `shmget(2)`, `shmat(2)`, `shmdt(2)`, `shmctl(2)`, `shm_open(3)` and the calls on
//! semaphores and message queues. It lists the segments of an IPC namespace and identifies the
//! namespace. An error contains the call, its arguments and the errno. Only this crate of the
//! workspace has `unsafe` code: in the private module `sys` and in [`attachment`].
//!
//! No method returns shared memory as `&[u8]`, because other processes can write to it at any time.
//! Bytes are copied in and out through atomics.
//!
//! ```
//! use std::io::Read;
//!
//! use shm_core::segment::RemoveOnDrop;
//! use shm_core::{Address, Key, Segment};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let key: Key = "0x5ca1ab1e".parse()?;
//! let (memory, _created) = Address::from(key).open_or_create(1024, 0o600)?;
//! // Without this guard, the segment outlives the process.
//! let _guard = RemoveOnDrop(Segment::find(key)?);
//! memory.write_text(b"hello")?;
//!
//! let mut text = String::new();
//! Address::from(key).open()?.text().read_to_string(&mut text)?;
//! assert_eq!(text, "hello");
//! # Ok(())
//! # }
//! ```

#[cfg(not(target_pointer_width = "64"))]
compile_error!(
    "shm_core supports only 64-bit targets: it loads 64-bit words from read-only memory in one \
     access, and the sizes in the kernel's structures have 64 bits"
);

pub mod attachment;
pub mod descriptor;
pub mod errno;
pub mod error;
pub mod ipc_object;
pub mod key;
pub mod limits;
pub mod memory;
pub mod namespace;
mod origin;
pub mod posix;
pub mod probe;
pub mod program;
pub mod segment;
pub mod semaphores;
pub mod stat;
pub mod stop;
mod sys;
pub mod table;
pub mod text;

pub use attachment::{Attachment, WritableAttachment};
pub use descriptor::Descriptor;
pub use errno::Errno;
pub use error::{Access, Error, Result};
pub use ipc_object::{IpcObject, Target};
pub use key::Key;
pub use limits::{Limits, Usage};
pub use memory::{Address, Memory};
pub use namespace::IpcNamespace;
pub use origin::Origin;
pub use posix::Object;
pub use segment::Segment;
pub use semaphores::SemaphoreSet;
pub use stat::Stat;
