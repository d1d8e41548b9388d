//! Where a program is.

use std::env;
use std::ffi::OsStr;
use std::path::PathBuf;

use rustix::fs::{Access, access};

/// The file that a program's name means in the folders of `path`, a PATH; `None` where there is none,
/// and for what is a path already.
pub(crate) fn find(name: &str, path: &OsStr) -> Option<PathBuf> {
    if name.contains('/') {
        return None;
    }
    let mut files = env::split_paths(path).map(|folder| folder.join(name));
    files.find(|file| file.is_file() && access(file, Access::EXEC_OK).is_ok())
}
