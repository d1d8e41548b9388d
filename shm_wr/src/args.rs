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
    after_help = "Exit status: 0 written; 255 not written, with the reason on standard error; \
                  2 wrong usage.\nA text that starts with a dash goes behind --."
)]
#[expect(clippy::struct_excessive_bools, reason = "one for each flag of the command line")]
pub struct Args {
    /// Text to write; any bytes
    pub text: Option<OsString>,

    /// What to write to
    #[command(flatten)]
    pub address: AddressArgs,

    /// Size in bytes to make it with; K, M and G multiply by 1024 [default: 1024]
    #[arg(long, value_name = "BYTES", value_parser = parse_size)]
    pub size: Option<usize>,

    /// Permission bits to make it with, in octal; the umask does not apply [default: 0666]
    #[arg(long, value_name = "MODE", value_parser = parse_mode)]
    pub mode: Option<u32>,

    /// Fail if it is there already
    #[arg(long)]
    pub create_new: bool,

    /// Cut a text that does not fit, or that has a NUL in it, instead of refusing it
    #[arg(long)]
    pub truncate: bool,

    /// Take the text from standard input. One of over 1 MiB is written as it comes: who begins
    /// to read sees an empty text until it is whole, and after it was refused
    #[arg(long, conflicts_with = "text")]
    pub stdin: bool,

    /// Write a whole message: readers with --framed get it or the one before, never a mix; writers
    /// take turns through a semaphore with the same key
    #[arg(long, conflicts_with = "address")]
    pub framed: bool,

    /// Remove it instead of writing; with --framed the semaphore too
    #[arg(long, conflicts_with_all = ["text", "stdin", "size", "mode", "create_new", "truncate"])]
    pub remove: bool,

    /// Print the text's XXH3 checksum, as `shm_rd --checksum` does
    #[arg(long, conflicts_with = "remove")]
    pub checksum: bool,

    /// Print one JSON object, for results and errors both
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
