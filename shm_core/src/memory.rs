//! One interface to the three mechanisms: System V segments, POSIX objects and files.

use std::io::{self, Read};
use std::os::fd::AsFd;
use std::path::PathBuf;

use serde::ser::{Serialize, SerializeStruct, Serializer};

use crate::posix::{Location, Name, Object};
use crate::stat::SegmentId;
use crate::text::Text;
use crate::{Attachment, Error, Key, Origin, Segment, WritableAttachment};

/// The address of shared memory: a key, a shmid, a name or a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// A System V segment, by its key.
    SysV(Key),
    /// An existing System V segment, by its shmid. It may have no key (`IPC_PRIVATE`).
    Id(SegmentId),
    /// A POSIX object, by its name, or a file, by its path.
    File(Location),
}

impl From<Key> for Address {
    fn from(key: Key) -> Self {
        Self::SysV(key)
    }
}

impl From<SegmentId> for Address {
    fn from(id: SegmentId) -> Self {
        Self::Id(id)
    }
}

impl From<Name> for Address {
    fn from(name: Name) -> Self {
        Self::File(Location::Posix(name))
    }
}

impl From<PathBuf> for Address {
    fn from(path: PathBuf) -> Self {
        Self::File(Location::File(path))
    }
}

impl Serialize for Address {
    /// Serializes as `{"mechanism":"sysv","key":"0x..."}`, or with the `shmid` or the `path` in place
    /// of the key.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("Address", 2)?;
        fields.serialize_field("mechanism", self.mechanism())?;
        match self {
            Self::SysV(key) => fields.serialize_field("key", key)?,
            Self::Id(id) => fields.serialize_field("shmid", id)?,
            Self::File(location) => {
                fields.serialize_field("path", &location.path().to_string_lossy())?;
            }
        }
        fields.end()
    }
}

impl Address {
    /// Returns the name of the mechanism: `sysv`, `posix` or `file`.
    #[must_use]
    pub fn mechanism(&self) -> &'static str {
        match self {
            Self::SysV(_) | Self::Id(_) => "sysv",
            Self::File(Location::Posix(_)) => "posix",
            Self::File(Location::File(_)) => "file",
        }
    }

    /// Opens existing memory for reading.
    ///
    /// # Errors
    ///
    /// Those of [`Segment::open`] and [`Segment::attach`], or of [`Object::open`].
    pub fn open(&self) -> crate::Result<Memory> {
        match self {
            Self::SysV(key) => Memory::attach(Segment::open(*key)?),
            Self::Id(id) => Memory::attach(Segment::from_id(*id)),
            Self::File(location) => Object::open(location).map(Memory::File),
        }
    }

    /// Opens existing memory for reading and writing. A System V segment must have at least `size`
    /// bytes. A smaller file or POSIX object can [grow](WritableMemory::grow).
    ///
    /// # Errors
    ///
    /// Those of [`Segment::open_writable`] and [`Segment::attach_writable`], or of
    /// [`Object::open_writable`]. For a shmid, [`Error::OutOfBounds`] if the segment is smaller.
    pub fn open_writable(&self, size: usize) -> crate::Result<WritableMemory> {
        match self {
            Self::SysV(key) => WritableMemory::attach(Segment::open_writable(*key, size)?),
            Self::Id(id) => {
                let memory = WritableMemory::attach(Segment::from_id(*id))?;
                let (length, actual) = (size as u64, memory.size()?);
                if actual < length {
                    return Err(Error::OutOfBounds { offset: 0, length, size: actual });
                }
                Ok(memory)
            }
            Self::File(location) => Object::open_writable(location).map(WritableMemory::File),
        }
    }

    /// Creates memory of `size` bytes with the permission bits `mode`. It must not exist yet.
    ///
    /// # Errors
    ///
    /// Those of [`Segment::create_new`], [`Segment::attach_writable`] or [`Object::create_new`];
    /// [`Error::ChosenId`] for a shmid.
    pub fn create_new(&self, size: usize, mode: u32) -> crate::Result<WritableMemory> {
        match self {
            Self::SysV(key) => WritableMemory::attach(Segment::create_new(*key, size, mode)?),
            Self::Id(id) => Err(Error::ChosenId { id: *id }),
            Self::File(location) => {
                Object::create_new(location, size as u64, mode).map(WritableMemory::File)
            }
        }
    }

    /// Opens existing memory for writing, or creates it. Returns which of the two it did. Never
    /// creates a segment for a shmid.
    ///
    /// # Errors
    ///
    /// Those of [`Segment::open_or_create`], [`Segment::attach_writable`] or
    /// [`Object::open_or_create`].
    pub fn open_or_create(
        &self,
        size: usize,
        mode: u32,
    ) -> crate::Result<(WritableMemory, Origin)> {
        match self {
            Self::SysV(key) => {
                let (segment, origin) = Segment::open_or_create(*key, size, mode)?;
                Ok((WritableMemory::attach(segment)?, origin))
            }
            Self::Id(_) => Ok((self.open_writable(size)?, Origin::Opened)),
            Self::File(location) => {
                let (object, origin) = Object::open_or_create(location, size as u64, mode)?;
                Ok((WritableMemory::File(object), origin))
            }
        }
    }

    /// Removes the memory. Existing attachments and open files stay valid.
    ///
    /// # Errors
    ///
    /// Those of [`Segment::find`] and [`Segment::remove`], or of [`Location::remove`].
    pub fn remove(&self) -> crate::Result<()> {
        match self {
            Self::SysV(key) => Segment::find(*key)?.remove(),
            Self::Id(id) => Segment::from_id(*id).remove(),
            Self::File(location) => location.remove(),
        }
    }
}

/// Open shared memory: a segment with its attachment `A`, or a file.
#[derive(Debug)]
pub enum Shared<A> {
    /// A System V segment.
    SysV(Segment, A),
    /// A POSIX object or a file.
    File(Object),
}

/// Shared memory, open for reading.
pub type Memory = Shared<Attachment>;

/// Shared memory, open for reading and writing.
pub type WritableMemory = Shared<WritableAttachment>;

impl<A: AsRef<Attachment>> Shared<A> {
    /// Returns the current size in bytes.
    ///
    /// # Errors
    ///
    /// Those of [`Object::size`].
    pub fn size(&self) -> crate::Result<u64> {
        match self {
            Self::SysV(_, attachment) => Ok(attachment.as_ref().size() as u64),
            Self::File(object) => object.size(),
        }
    }

    /// Returns the System V segment, or `None` for another mechanism.
    #[must_use]
    pub fn segment(&self) -> Option<Segment> {
        match self {
            Self::SysV(segment, _) => Some(*segment),
            Self::File(_) => None,
        }
    }
}

impl Memory {
    fn attach(segment: Segment) -> crate::Result<Self> {
        Ok(Self::SysV(segment, segment.attach()?))
    }

    /// Copies the available bytes from `offset` on into `buffer`; returns their number.
    ///
    /// # Errors
    ///
    /// Those of [`Object::read_at`].
    pub fn read_at(&self, offset: u64, buffer: &mut [u8]) -> crate::Result<usize> {
        match self {
            Self::SysV(_, attachment) => {
                let offset = usize::try_from(offset).unwrap_or(usize::MAX);
                Ok(attachment.read_at(offset, buffer))
            }
            Self::File(object) => object.read_at(offset, buffer),
        }
    }

    /// Returns the start of the text, at most 4096 bytes. The kernel makes the copy, so a missing
    /// page of a segment is an error and does not raise SIGBUS. Use it for untrusted segments.
    ///
    /// # Errors
    ///
    /// Those of `pipe(2)` and [`Object::read_at`]; [`Error::Fault`].
    pub fn text_start(&self) -> io::Result<Vec<u8>> {
        const MAX_LENGTH: usize = 4096;
        let mut bytes = vec![0; MAX_LENGTH];
        let copied = match self {
            Self::SysV(segment, attachment) => {
                // The write does not block: a pipe has room for so many bytes, `pipe(7)`.
                let (mut reader, writer) = io::pipe()?;
                let range = 0..attachment.size().min(MAX_LENGTH);
                let fault = |_| io::Error::other(crate::Error::Fault { id: segment.id() });
                let written = attachment.write_to(range, writer.as_fd()).map_err(fault)?;
                reader.read_exact(&mut bytes[..written])?;
                written
            }
            Self::File(object) => object.read_at(0, &mut bytes).map_err(io::Error::other)?,
        };
        let length = memchr::memchr(0, &bytes[..copied]).unwrap_or(copied);
        bytes.truncate(length);
        Ok(bytes)
    }

    /// Returns a reader of the text: the bytes up to the first NUL or the end of the memory.
    #[must_use]
    pub fn text(&self) -> Text<'_> {
        Text::new(self)
    }
}

impl WritableMemory {
    fn attach(segment: Segment) -> crate::Result<Self> {
        Ok(Self::SysV(segment, segment.attach_writable()?))
    }

    /// Grows a smaller file to `size` bytes. A System V segment never changes its size.
    ///
    /// # Errors
    ///
    /// Those of [`Object::grow`].
    pub fn grow(&self, size: usize) -> crate::Result<()> {
        match self {
            Self::SysV(..) => Ok(()),
            Self::File(object) => object.grow(size as u64),
        }
    }

    /// Copies `bytes` to the memory from `offset` on.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfBounds`] if they do not fit; then nothing is
    /// written. Those of [`Object::write_at`].
    pub fn write_at(&self, offset: u64, bytes: &[u8]) -> crate::Result<()> {
        match self {
            Self::SysV(_, attachment) => {
                attachment.write_at(usize::try_from(offset).unwrap_or(usize::MAX), bytes)
            }
            Self::File(object) => object.write_at(offset, bytes),
        }
    }

    /// Copies `bytes` and a terminating NUL to the start of the memory. Writes the first byte last:
    /// a reader that waits for a text finds the complete text.
    ///
    /// # Errors
    ///
    /// Those of [`write_at`](Self::write_at).
    pub fn write_text(&self, bytes: &[u8]) -> crate::Result<()> {
        let terminated = [bytes, &[0]].concat();
        let (first, rest) = terminated.split_at(1);
        self.write_at(1, rest)?;
        self.write_at(0, first)
    }
}
