//! What `/proc/PID/maps` shows of shared memory.

use std::path::Path;

use serde::{Deserialize, Serialize};
use shm_core::stat::SegmentId;

use crate::device::Device;

/// A System V segment that a process has attached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attachment {
    /// The shmid: the inode of the mapped file.
    pub shmid: SegmentId,
    /// The key at creation. The kernel's table shows 0 after a segment is marked for destruction;
    /// the maps keep the key.
    pub key: i32,
    /// The number of mappings. An attachment that `mprotect(2)` has split has several, and each
    /// counts in `nattch`.
    pub mappings: u64,
}

/// A file that a process has mapped from a directory for POSIX objects.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MappedFile {
    /// The device of its file system.
    pub device: Device,
    /// Its inode.
    pub inode: u64,
    /// Its name below `/dev/shm`.
    pub name: String,
    /// Whether its name was removed.
    pub deleted: bool,
}

/// The shared memory of a process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Maps {
    /// The System V segments, each once.
    pub attachments: Vec<Attachment>,
    /// The POSIX objects, each once.
    pub files: Vec<MappedFile>,
}

/// Parses `/proc/PID/maps`. Ignores lines of other mappings.
#[must_use]
pub fn parse(text: &str) -> Maps {
    let mut maps = Maps::default();
    for line in text.lines() {
        // Most lines have another path: the parts are taken only from those that can matter.
        if line.contains("/SYSV") {
            add_attachment(&mut maps.attachments, line);
        }
        if line.contains("/dev/shm/") {
            add_file(&mut maps.files, line);
        }
    }
    maps
}

fn add_attachment(attachments: &mut Vec<Attachment>, line: &str) {
    let Some((_, inode, path)) = fields(line) else { return };
    let Some(key) = parse_key(path) else { return };
    let Ok(shmid) = i32::try_from(inode).map(SegmentId) else { return };
    match attachments.iter_mut().find(|found| found.shmid == shmid) {
        Some(found) => found.mappings += 1,
        None => attachments.push(Attachment { shmid, key, mappings: 1 }),
    }
}

fn add_file(files: &mut Vec<MappedFile>, line: &str) {
    let Some((device, inode, path)) = fields(line) else { return };
    let (path, deleted) = match path.strip_suffix(DELETED) {
        Some(path) => (path, true),
        None => (path, false),
    };
    let Ok(name) = Path::new(path).strip_prefix("/dev/shm") else { return };
    let name = name.to_string_lossy().into_owned();
    let file = MappedFile { device, inode, name, deleted };
    if !files.contains(&file) {
        files.push(file);
    }
}

const DELETED: &str = " (deleted)";

/// Parses the path of a segment, which the kernel always shows as deleted. A file can have such a
/// path only in a root directory that its user can write to.
fn parse_key(path: &str) -> Option<i32> {
    let digits = path.strip_prefix("/SYSV")?.strip_suffix(DELETED)?;
    let is_key = digits.len() == 8 && digits.bytes().all(|it| it.is_ascii_hexdigit());
    is_key.then(|| u32::from_str_radix(digits, 16).ok())?.map(u32::cast_signed)
}

/// Returns the device, the inode and the path of a line.
fn fields(line: &str) -> Option<(Device, u64, &str)> {
    // 7f21a8e00000-7f21a8e01000 rw-s 00000000 00:01 32769     /SYSV0134b3d5 (deleted)
    let mut fields = line.splitn(6, ' ');
    let device = Device::parse_hexadecimal(fields.nth(3)?)?;
    let inode = fields.next()?.parse().ok()?;
    Some((device, inode, fields.next()?.trim_start_matches(' ')))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use shm_core::stat::SegmentId;

    use super::{Attachment, Device, MappedFile, parse};

    #[test]
    fn the_segments_and_the_objects_of_a_process_are_found() {
        let maps = parse(
            "00400000-00452000 r-xp 00000000 08:02 173521      /usr/bin/dbus-daemon\n\
             7f21a8e00000-7f21a8e01000 rw-s 00000000 00:01 32769                      /SYSV0134b3d5 (deleted)\n\
             7f21a8e01000-7f21a8e02000 r--s 00001000 00:01 32769                      /SYSV0134b3d5 (deleted)\n\
             7f21a8f00000-7f21a8f01000 rw-s 00000000 00:01 2                          /SYSVffffffff (deleted)\n\
             7f21a9000000-7f21a9001000 rw-s 00000000 00:1a 7                          /dev/shm/a b (deleted)\n\
             7f21a9001000-7f21a9002000 rw-s 00001000 00:1a 7                          /dev/shm/a b (deleted)\n\
             7f21a9002000-7f21a9003000 rw-s 00000000 00:1a 8                          /dev/shm/c\n\
             7f21a9004000-7f21a9005000 rw-s 00000000 00:1a 9                          /srv/dev/shm/c\n\
             7f21a9006000-7f21a9007000 rw-p 00000000 00:00 0 \n",
        );
        let attachment =
            |shmid, key, mappings| Attachment { shmid: SegmentId(shmid), key, mappings };
        assert_eq!(maps.attachments, [attachment(32_769, 0x0134_b3d5, 2), attachment(2, -1, 1)]);
        let file = |inode, name: &str, deleted| MappedFile {
            device: Device { major: 0, minor: 0x1a },
            inode,
            name: name.to_owned(),
            deleted,
        };
        assert_eq!(maps.files, [file(7, "a b", true), file(8, "c", false)]);
    }

    #[test]
    fn a_file_with_the_name_of_a_segment_is_not_a_segment() {
        let line = |path| format!("7f21a8e00000-7f21a8e01000 rw-s 00000000 00:01 3    {path}\n");
        for path in ["/SYSV0134b3d5", "/SYSV0134b3 (deleted)", "/x/SYSV0134b3d5 (deleted)"] {
            assert_eq!(parse(&line(path)).attachments, [], "{path}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in "(?s).*") {
            let _ = parse(&text);
        }
    }
}
