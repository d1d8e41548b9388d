//! The POSIX message queues, which only the file system `mqueue` lists.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use serde::Serialize;
use shm_cli::mounts::Mount;

use crate::dev_shm::{entries, octal};

pub(crate) const DIRECTORY: &str = "/dev/mqueue";

/// A POSIX message queue.
#[derive(Debug, Serialize)]
pub(crate) struct Mqueue {
    pub(crate) name: String,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) mode: String,
    /// The bytes of all messages in it, or `None` without permission to read it.
    pub(crate) used_bytes: Option<u64>,
}

/// Returns the queues of the namespace that the mount at `/dev/mqueue` belongs to.
pub(crate) fn list() -> io::Result<Vec<Mqueue>> {
    let mount = Mount::of_path(Path::new(DIRECTORY))?;
    if mount.mount_point != DIRECTORY || mount.file_system != "mqueue" {
        let reason = format!("no file system of type mqueue is mounted at {DIRECTORY}");
        return Err(io::Error::new(io::ErrorKind::NotFound, reason));
    }
    let mut queues = Vec::new();
    for (name, metadata) in entries(DIRECTORY)? {
        let status = fs::read_to_string(Path::new(DIRECTORY).join(&name));
        queues.push(Mqueue {
            name,
            uid: metadata.uid(),
            gid: metadata.gid(),
            mode: octal(&metadata),
            used_bytes: status.ok().and_then(|status| parse_size(&status)),
        });
    }
    Ok(queues)
}

/// Parses `QSIZE:129 NOTIFY:0 ...`, `mq_overview(7)`.
fn parse_size(status: &str) -> Option<u64> {
    status.split_ascii_whitespace().find_map(|field| field.strip_prefix("QSIZE:")?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::parse_size;

    #[test]
    fn the_size_of_a_queue_is_parsed() {
        let status = "QSIZE:129        NOTIFY:2     SIGNO:0     NOTIFY_PID:8260  \n";
        assert_eq!(parse_size(status), Some(129));
        assert_eq!(parse_size("text"), None);
    }
}
