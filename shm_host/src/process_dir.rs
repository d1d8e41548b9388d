//! The directory of a process in `/proc`, held open.
//!
//! A process id can be reused between two readings. A directory that is held open answers only for
//! its process, and fails with `ESRCH` when the process is gone.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;

use rustix::fs::{AtFlags, CWD, Dir, Mode, OFlags, Stat, openat, readlinkat, statat};

/// The directory of a process or of one of its threads.
#[derive(Debug)]
pub(crate) struct ProcessDir {
    directory: OwnedFd,
}

impl ProcessDir {
    pub(crate) fn open(pid: u32) -> io::Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = openat(CWD, format!("/proc/{pid}"), flags, Mode::empty())?;
        Ok(Self { directory })
    }

    pub(crate) fn file(&self, name: &str) -> io::Result<File> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        Ok(openat(&self.directory, name, flags, Mode::empty())?.into())
    }

    /// Reads a whole file. Names in it are chosen by others and need not be UTF-8.
    pub(crate) fn text(&self, name: &str) -> io::Result<String> {
        let mut bytes = Vec::new();
        self.file(name)?.read_to_end(&mut bytes)?;
        Ok(String::from_utf8(bytes)
            .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
    }

    /// Returns the metadata of the file that a link such as `ns/ipc` leads to.
    pub(crate) fn target(&self, name: &str) -> io::Result<Stat> {
        Ok(statat(&self.directory, name, AtFlags::empty())?)
    }

    /// Returns the text of a link, such as `ipc:[4026531839]`.
    pub(crate) fn link(&self, name: &str) -> io::Result<String> {
        let target = readlinkat(&self.directory, name, Vec::new())?;
        Ok(target.to_string_lossy().into_owned())
    }

    /// Returns a directory of the process, such as its root, without reading it.
    pub(crate) fn directory(&self, name: &str) -> io::Result<OwnedFd> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(openat(&self.directory, name, flags, Mode::empty())?)
    }

    /// Returns the numbers that a directory such as `task` or `fd` lists.
    pub(crate) fn numbers(&self, name: &str) -> io::Result<Vec<u32>> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        numbers(&mut Dir::new(openat(&self.directory, name, flags, Mode::empty())?)?)
    }
}

/// Returns the ids of all processes that `/proc` shows, in ascending order.
pub(crate) fn process_ids() -> io::Result<Vec<u32>> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    numbers(&mut Dir::new(openat(CWD, "/proc", flags, Mode::empty())?)?)
}

fn numbers(directory: &mut Dir) -> io::Result<Vec<u32>> {
    let mut found = Vec::new();
    for entry in directory {
        // Other entries of /proc have names.
        let entry = entry?;
        let number = entry.file_name().to_str().ok().and_then(|name| name.parse::<u32>().ok());
        found.extend(number);
    }
    found.sort_unstable();
    Ok(found)
}
