//! The command line of `shm_rd`.

use std::path::PathBuf;

use clap::Parser;
use shm_core::posix::Name;
use shm_core::{Address, IpcObject, Key, Target};

/// Reads a text from shared memory, as `shm_wr` wrote it.
#[derive(Debug, Parser)]
#[command(
    name = "shm_rd",
    version,
    after_help = "Exit status: 0 read; 255 not read, with the reason on standard error; \
                  2 wrong usage.\nA terminal is shown control characters as \\xNN."
)]
#[expect(clippy::struct_excessive_bools, reason = "one for each flag of the command line")]
pub struct Args {
    /// Key of the System V segment, or of the --object, decimal or 0x hexadecimal [default: 20231125]
    #[arg(long, value_name = "KEY", conflicts_with_all = ["posix", "file"], allow_hyphen_values = true)]
    pub key: Option<Key>,

    /// Use a POSIX object (/dev/shm/NAME) instead of a System V segment
    #[arg(long, value_name = "NAME", group = "address")]
    pub posix: Option<Name>,

    /// Use a regular file instead of a System V segment
    #[arg(long, value_name = "PATH", group = "address")]
    pub file: Option<PathBuf>,

    /// Use another object of the IPC namespace: semaphores, one a byte, a System V or a POSIX
    /// message queue
    #[arg(long, value_name = "OBJECT", group = "address", value_parser = ["sem", "msg", "mqueue"])]
    pub object: Option<String>,

    /// Read a whole message, as the writer's --framed left it; say so where a writer died of the next one
    #[arg(long, conflicts_with = "address")]
    pub framed: bool,

    /// Print the text alone: no space behind each byte, no newline, no message
    #[arg(long)]
    pub raw: bool,

    /// Wait until there is a text; with =SECONDS no longer than that
    #[arg(
        long,
        value_name = "SECONDS",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "inf",
        value_parser = parse_seconds
    )]
    pub wait: Option<f64>,

    /// Print the text's XXH3 checksum too, as `shm_wr --checksum` does; with --raw on standard error
    #[arg(long)]
    pub checksum: bool,

    /// Print one JSON object, for results and errors both
    #[arg(long, conflicts_with = "raw")]
    pub json: bool,
}

impl Args {
    /// What to read from.
    #[must_use]
    pub fn target(&self) -> Target {
        let ipc_object = |name| IpcObject::named(name, self.key.unwrap_or_default());
        let ipc_object = self.object.as_deref().and_then(ipc_object);
        ipc_object.map_or_else(|| Target::Memory(self.address()), Target::IpcObject)
    }

    fn address(&self) -> Address {
        match (&self.posix, &self.file) {
            (Some(name), _) => name.clone().into(),
            (_, Some(path)) => path.clone().into(),
            _ => self.key.unwrap_or_default().into(),
        }
    }
}

fn parse_seconds(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(seconds) if seconds >= 0.0 => Ok(seconds),
        _ => Err("expected a number of seconds such as 2.5".to_owned()),
    }
}
