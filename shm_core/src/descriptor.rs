//! Standard input and output without a buffer: each read or write is one system call.

use std::fs::{File, Metadata};
use std::io::{self, Read, Seek, Write};
use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd};

use crate::{Errno, sys};

/// An open descriptor, read and written without a buffer: `read(2)` and `write(2)`.
#[derive(Clone, Copy, Debug)]
pub struct Descriptor<'a>(pub BorrowedFd<'a>);

impl Descriptor<'_> {
    /// Returns the number of bytes from the current offset of a regular file to its end; `None` for
    /// anything else, whose size is unknown.
    #[must_use]
    pub fn remaining(self) -> Option<u64> {
        self.extent().map(|extent| extent.end.saturating_sub(extent.start))
    }

    /// Returns the current offset of a regular file and its end; `None` for anything else.
    #[must_use]
    pub fn extent(self) -> Option<Range<u64>> {
        let mut file = File::from(self.0.try_clone_to_owned().ok()?);
        let metadata = file.metadata().ok().filter(Metadata::is_file)?;
        Some(file.stream_position().ok()?..metadata.len())
    }

    /// Sets the offset of a file from its start. `lseek(2)`.
    ///
    /// # Errors
    ///
    /// Those of `lseek(2)`; `EOVERFLOW` for an offset that is too large.
    pub fn seek(self, place: u64) -> Result<(), Errno> {
        sys::seek(self.0, place)
    }

    /// Reads into `buffer`, `read(2)`; with `at`, from this offset of a file, `pread(2)`. Returns
    /// the number of bytes, 0 at the end of the input.
    ///
    /// # Errors
    ///
    /// Those of `read(2)` and `pread(2)`.
    pub fn read_at(self, at: Option<u64>, buffer: &mut [u8]) -> Result<usize, Errno> {
        sys::read_bytes(self.0, at, buffer)
    }
}

impl AsFd for Descriptor<'_> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0
    }
}

impl Read for Descriptor<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        sys::read_bytes(self.0, None, buffer).map_err(Errno::into)
    }
}

impl Write for Descriptor<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        sys::write_bytes(self.0, bytes).map_err(Errno::into)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
