//! The way of the kernel to a file: the directories that it enters, with those behind links.

use std::ffi::OsString;
use std::fs;
use std::path::{Component, Path, PathBuf};

use shm_core::Access;
use shm_core::posix::caution::{file_system_of, folder_of};

/// The maximum number of links that are followed, as in the kernel.
const MAX_LINKS: u32 = 40;

/// The way to a file. Behind a directory that this process cannot enter, links are not seen.
pub(super) struct Way {
    /// The directories that are entered, in that order.
    pub(super) folders: Vec<PathBuf>,
    /// The path without links.
    pub(super) end: PathBuf,
}

impl Way {
    pub(super) fn to(path: &Path, access: Access) -> Self {
        let mut components = pushed(path, Vec::new());
        let mut end = start(path);
        let (mut folders, mut links) = (Vec::new(), 0);
        while let Some(component) = components.pop() {
            let next = end.join(component);
            let folder = folder_of(&next).to_owned();
            // A new file, and the removal of a name, follow no link at the end of the path. Only the
            // kernel can follow a link of /proc to an open file.
            let follows =
                !components.is_empty() || !matches!(access, Access::Create | Access::Remove);
            let follows = follows && file_system_of(&folder) != Some("proc");
            if folders.last() != Some(&folder) {
                folders.push(folder);
            }
            match fs::read_link(&next).ok().filter(|_| follows && links < MAX_LINKS) {
                Some(target) => {
                    links += 1;
                    if target.has_root() {
                        end = start(&target);
                    }
                    components = pushed(&target, components);
                }
                None => end = next,
            }
        }
        Self { folders, end }
    }
}

/// Returns where a path starts.
fn start(path: &Path) -> PathBuf {
    PathBuf::from(if path.has_root() { "/" } else { "" })
}

/// Puts the components of a path on a stack, the first one on top.
fn pushed(path: &Path, mut stack: Vec<OsString>) -> Vec<OsString> {
    let names = path.components().rev().filter_map(|component| match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        _ => None,
    });
    stack.extend(names);
    stack
}
