//! The arguments that name shared memory or another IPC object.

use std::path::PathBuf;

use clap::Args;
use shm_core::posix::Name;
use shm_core::{Address, IpcObject, Key, Target};

/// The key of the tools if no `--key` is given.
pub const DEFAULT_KEY: Key = Key::new(20_231_125).unwrap();

/// The memory or object that a tool uses. All arguments except `--key` are in the group `address`.
#[derive(Debug, Args)]
pub struct AddressArgs {
    /// Key of the System V segment or the --object, decimal or 0x hexadecimal [default: 20231125]
    #[arg(long, value_name = "KEY", conflicts_with_all = ["posix", "file"], allow_hyphen_values = true)]
    key: Option<Key>,

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
        match (&self.posix, &self.file) {
            (Some(name), _) => name.clone().into(),
            (_, Some(path)) => path.clone().into(),
            _ => self.key().into(),
        }
    }
}
