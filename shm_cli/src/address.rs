//! The arguments that name shared memory or another IPC object.

use std::path::PathBuf;

use clap::Args;
use shm_core::posix::Name;
use shm_core::stat::SegmentId;
use shm_core::{Address, IpcObject, Key, Target};

/// The key of the tools if no `--key` is given.
pub const DEFAULT_KEY: Key = Key::new(20_231_125).unwrap();

/// The memory or object that a tool uses. All arguments except `--key` are in the group `address`.
#[derive(Debug, Args)]
pub struct AddressArgs {
    /// Key of the System V segment or the --object, decimal or 0x hexadecimal [default: 20231125]
    #[arg(long, value_name = "KEY", conflicts_with_all = ["posix", "file"], allow_hyphen_values = true)]
    key: Option<Key>,

    /// Use the existing System V segment with this shmid, with a key or without (`IPC_PRIVATE`);
    /// `shm_ls` lists the ids
    #[arg(long, value_name = "SHMID", group = "address", conflicts_with = "key", value_parser = parse_id)]
    id: Option<SegmentId>,

    /// Use a POSIX object (/dev/shm/NAME) instead of a System V segment
    #[arg(long, value_name = "NAME", group = "address")]
    posix: Option<Name>,

    /// Use a regular file instead of a System V segment
    #[arg(long, value_name = "PATH", group = "address")]
    file: Option<PathBuf>,

    /// Use another IPC object instead of a System V segment: sem (one semaphore for each byte), msg
    /// (a System V message queue) or mqueue (a POSIX message queue)
    #[arg(long, value_name = "OBJECT", group = "address", value_parser = ["sem", "msg", "mqueue"])]
    object: Option<String>,
}

impl AddressArgs {
    /// Returns the key, or the default key.
    #[must_use]
    pub fn key(&self) -> Key {
        self.key.unwrap_or(DEFAULT_KEY)
    }

    /// Returns the memory or the object that the arguments name.
    #[must_use]
    pub fn target(&self) -> Target {
        let ipc_object = self.object.as_deref().and_then(|name| IpcObject::named(name, self.key()));
        ipc_object.map_or_else(|| Target::Memory(self.address()), Target::IpcObject)
    }

    fn address(&self) -> Address {
        match (&self.posix, &self.file, self.id) {
            (Some(name), _, _) => name.clone().into(),
            (_, Some(path), _) => path.clone().into(),
            (_, _, Some(id)) => id.into(),
            _ => self.key().into(),
        }
    }
}

/// Parses a shmid, for the command line.
///
/// # Errors
///
/// A message if the text is not a number from 0 to 2147483647.
pub fn parse_id(text: &str) -> Result<SegmentId, String> {
    match text.parse() {
        Ok(id) if id >= 0 => Ok(SegmentId(id)),
        _ => Err("expected a shmid as shm_ls prints it, such as 32769".to_owned()),
    }
}
