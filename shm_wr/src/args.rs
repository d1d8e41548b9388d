//! The command line of `shm_wr`.

use std::ffi::OsString;

use clap::Parser;
use shm_cli::AddressArgs;

/// The size of new memory, in bytes, if no `--size` is given.
pub(crate) const DEFAULT_SIZE: usize = 1024;
/// The permission bits of new memory if no `--mode` is given.
pub(crate) const DEFAULT_MODE: u32 = 0o666;

/// Writes a text into shared memory, for `shm_rd` to read.
#[derive(Debug, Parser)]
#[command(
    name = "shm_wr",
    version,
    after_help = "Exit status: 0 done; 255 failed, with the reason on standard error or in the \
                  JSON; 2 wrong usage.\nPut -- before a text that starts with a dash."
)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub struct Args {
    /// Text to write; any bytes
    pub text: Option<OsString>,

    /// Where to write
    #[command(flatten)]
    pub address: AddressArgs,

    /// Size in bytes of a new segment, POSIX object, file or --object; an existing segment must
    /// have at least this size, an existing POSIX object or file grows to it; K, M and G multiply
    /// by 1024 [default: 1024]
    #[arg(long, value_name = "BYTES", value_parser = parse_size, conflicts_with = "id")]
    pub size: Option<usize>,

    /// Permission bits of a new segment, POSIX object, file or --object, in octal; the umask does
    /// not apply [default: 0666]
    #[arg(long, value_name = "MODE", value_parser = parse_mode, conflicts_with = "id")]
    pub mode: Option<u32>,

    /// Fail if the segment, POSIX object, file or --object exists already
    #[arg(long, conflicts_with = "id")]
    pub create_new: bool,

    /// Cut a text that does not fit, or that contains a NUL, instead of failing
    #[arg(long)]
    pub truncate: bool,

    /// Read the text from standard input. A text of more than 1 MiB is written while it is read:
    /// readers see an empty text until the write completes, and after it fails
    #[arg(long, conflicts_with = "text")]
    pub stdin: bool,

    /// Write a whole message: readers with --framed get this message or the one before, never a
    /// mix; writers wait for each other at a semaphore with the same key
    #[arg(long, conflicts_with = "address")]
    pub framed: bool,

    /// Remove the segment, POSIX object, file or --object instead of writing; with --framed, also
    /// the semaphores
    #[arg(long, conflicts_with_all = ["text", "stdin", "size", "mode", "create_new", "truncate"])]
    pub remove: bool,

    /// Also print the XXH3 checksum of the text, as `shm_rd --checksum` does
    #[arg(long, conflicts_with = "remove")]
    pub checksum: bool,

    /// Print one JSON object, for a result or an error
    #[arg(long)]
    pub json: bool,
}

fn parse_size(text: &str) -> Result<usize, String> {
    let size = parse_size::Config::new()
        .with_binary()
        .parse_size(text)
        .map_err(|error| format!("{error}; expected a number of bytes such as 1024, 64K or 1G"))?;
    usize::try_from(size).map_err(|error| error.to_string())
}

fn parse_mode(text: &str) -> Result<u32, String> {
    match u32::from_str_radix(text, 8) {
        Ok(mode) if mode <= 0o777 => Ok(mode),
        _ => Err("expected octal permission bits from 0000 to 0777, such as 0600".to_owned()),
    }
}
