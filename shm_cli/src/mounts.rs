//! The mounts that this process sees.

use std::fs;
use std::io;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, StatxFlags, statx};
use serde::{Deserialize, Serialize};

/// A mount: a line of `/proc/PID/mountinfo`, `proc_pid_mountinfo(5)`.
///
/// The texts can come from a container, and are not escaped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mount {
    /// The number of the mount.
    pub id: u64,
    /// The directory or file of the file system that is mounted. `/` is the whole file system.
    pub root: String,
    /// The path at which it is mounted.
    pub mount_point: String,
    /// The flags of the mount, such as `rw` and `noexec`.
    pub flags: Vec<String>,
    /// The type of the file system, such as `tmpfs`.
    pub file_system: String,
    /// The source, which is any text for a tmpfs: Docker's `/dev/shm` has `shm`.
    pub source: String,
    /// The options of the file system, such as `rw` and `size=65536k`.
    pub options: Vec<String>,
}

impl Mount {
    /// Returns the mount that has the file at `path`.
    ///
    /// # Errors
    ///
    /// The errors of `/proc/self/mountinfo`; `NotFound` if no mount has the path.
    pub fn of_path(path: &Path) -> io::Result<Self> {
        let mounts = read()?;
        // The kernel knows which of several mounts on each other is visible.
        let id = statx(CWD, path, AtFlags::empty(), StatxFlags::MNT_ID)
            .ok()
            .filter(|found| {
                StatxFlags::from_bits_retain(found.stx_mask).contains(StatxFlags::MNT_ID)
            })
            .map(|found| found.stx_mnt_id);
        mounts
            .iter()
            .find(|mount| Some(mount.id) == id)
            .or_else(|| covering(&mounts, path))
            .cloned()
            .ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
    }

    /// Returns whether nothing can be written through the mount.
    #[must_use]
    pub fn is_read_only(&self) -> bool {
        self.flags.iter().chain(&self.options).any(|flag| flag == "ro")
    }

    fn parse(line: &str) -> Option<Self> {
        let (mount, file_system) = line.split_once(" - ")?;
        let mut mount = mount.split(' ');
        let mut file_system = file_system.split(' ');
        let list = |text: &str| text.split(',').map(unescape).collect();
        Some(Self {
            id: mount.next()?.parse().ok()?,
            // The number of the parent and that of the device come before the root.
            root: unescape(mount.nth(2)?),
            mount_point: unescape(mount.next()?),
            flags: list(mount.next()?),
            file_system: unescape(file_system.next()?),
            source: unescape(file_system.next()?),
            options: list(file_system.next()?),
        })
    }
}

/// Returns all mounts.
///
/// # Errors
///
/// The errors of `/proc/self/mountinfo`.
pub fn read() -> io::Result<Vec<Mount>> {
    Ok(parse(&String::from_utf8_lossy(&fs::read("/proc/self/mountinfo")?)))
}

/// Parses `/proc/PID/mountinfo`. Ignores invalid lines.
#[must_use]
pub fn parse(mountinfo: &str) -> Vec<Mount> {
    mountinfo.lines().filter_map(Mount::parse).collect()
}

/// Returns the mount with the longest mount point that `path` begins with. Of several with the same
/// mount point, the last covers the others.
#[must_use]
pub fn covering<'a>(mounts: &'a [Mount], path: &Path) -> Option<&'a Mount> {
    mounts
        .iter()
        .filter(|mount| path.starts_with(&mount.mount_point))
        .max_by_key(|mount| Path::new(&mount.mount_point).components().count())
}

/// Replaces the kernel's `\040` and other octal escapes.
fn unescape(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, others @ ..] = rest {
        let byte = others.get(..3).filter(|_| *first == b'\\').and_then(octal);
        bytes.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { &others[3..] } else { others };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn octal(digits: &[u8]) -> Option<u8> {
    digits.iter().try_fold(0_u8, |value, digit| {
        let digit = digit.checked_sub(b'0').filter(|digit| *digit < 8)?;
        value.checked_mul(8)?.checked_add(digit)
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{Mount, covering, parse};

    const DOCKER: &str = "\
        599 484 0:61 / / rw,relatime master:180 - overlay overlay rw,lowerdir=/a:/b\n\
        601 599 0:64 / /dev rw,nosuid - tmpfs tmpfs rw,size=65536k,mode=755\n\
        604 601 0:60 / /dev/shm rw,nosuid,nodev,noexec,relatime - tmpfs shm rw,size=65536k\n\
        605 599 254:0 /var/lib/docker/containers/ID/hosts /etc/hosts rw - ext4 /dev/vda rw\n\
        606 599 0:65 /a\\040b /with\\040space\\134 ro - tmpfs  rw,nr_inodes=3\n\
        not a mount\n";

    #[test]
    fn the_fields_of_a_mount_are_parsed() {
        let mounts = parse(DOCKER);
        assert_eq!(mounts.len(), 5);
        let shm = &mounts[2];
        assert_eq!((shm.id, &*shm.mount_point, &*shm.source), (604, "/dev/shm", "shm"));
        assert_eq!(shm.flags, ["rw", "nosuid", "nodev", "noexec", "relatime"]);
        assert_eq!((&*shm.file_system, &*shm.root), ("tmpfs", "/"));
        assert_eq!(shm.options, ["rw", "size=65536k"]);
        assert_eq!(mounts[3].root, "/var/lib/docker/containers/ID/hosts");
        let spaces = &mounts[4];
        assert_eq!((&*spaces.root, &*spaces.mount_point), ("/a b", "/with space\\"));
        assert_eq!((&*spaces.source, spaces.is_read_only()), ("", true));
    }

    #[test]
    fn the_longest_mount_point_has_the_path_and_the_last_covers_the_others() {
        let mounts = parse(&format!("{DOCKER}700 601 0:9 / /dev/shm rw - tmpfs over rw\n"));
        let source = |path: &str| &*covering(&mounts, Path::new(path)).unwrap().source;
        assert_eq!(source("/dev/shm/x"), "over");
        assert_eq!(source("/dev/shmx"), "tmpfs");
        assert_eq!(source("/etc/hosts"), "/dev/vda");
        assert_eq!(source("/etc/hostname"), "overlay");
        assert_eq!(covering(&[], Path::new("/")), None);
    }

    #[test]
    fn the_mount_of_proc_is_found() {
        let mount = Mount::of_path(Path::new("/proc/self/stat")).unwrap();
        assert_eq!((&*mount.mount_point, &*mount.file_system), ("/proc", "proc"));
    }
}
