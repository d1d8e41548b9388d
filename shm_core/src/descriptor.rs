//! Standard input and output as they are: a call a piece, nothing kept in a buffer.

use std::fs::{File, Metadata};
use std::io::{self, Read, Seek, Write};
use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd};

use crate::{Errno, sys};

/// An open descriptor that is read and written without a buffer of its own, `read(2)` and
/// `write(2)`.
#[derive(Clone, Copy, Debug)]
pub struct Descriptor<'a>(pub BorrowedFd<'a>);

impl Descriptor<'_> {
    /// How many bytes a regular file has from where it is read next; `None` for what is no regular
    /// file, which does not tell.
    #[must_use]
    pub fn remaining(self) -> Option<u64> {
        self.extent().map(|extent| extent.end.saturating_sub(extent.start))
    }

    /// Returns where a regular file is read next, and where it ends; `None` for anything else.
    #[must_use]
    pub fn extent(self) -> Option<Range<u64>> {
        let mut file = File::from(self.0.try_clone_to_owned().ok()?);
        let metadata = file.metadata().ok().filter(Metadata::is_file)?;
        Some(file.stream_position().ok()?..metadata.len())
    }

    /// Sets where a file is read next. `lseek(2)`.
    ///
    /// # Errors
    ///
    /// Those of `lseek(2)`.
    pub fn seek(self, place: u64) -> io::Result<()> {
        sys::seek(self.0, place).map_err(Errno::into)
    }

    /// Reads into `buffer`, `read(2)`; from the offset `at` of a file, `pread(2)`. Returns the number of
    /// bytes, 0 at the end of the input.
    ///
    /// # Errors
    ///
    /// Those of `read(2)` and `pread(2)`.
    pub fn read_from(self, at: Option<u64>, buffer: &mut [u8]) -> Result<usize, Errno> {
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
