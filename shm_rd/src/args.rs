//! The command line of `shm_rd`.

use clap::Parser;
use shm_cli::AddressArgs;

/// Reads a text from shared memory, as `shm_wr` wrote it.
#[derive(Debug, Parser)]
#[command(
    name = "shm_rd",
    version,
    after_help = "Exit status: 0 read; 255 not read, with the reason on standard error or in the \
                  JSON; 2 wrong usage.\nOn a terminal, control characters are shown as \\xNN."
)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub struct Args {
    /// Where to read
    #[command(flatten)]
    pub address: AddressArgs,

    /// Read the last whole message of a writer with --framed; print a note if a writer died while
    /// it wrote the next one
    #[arg(long, conflicts_with = "address")]
    pub framed: bool,

    /// Print only the text: no space after each byte, no newline, no message
    #[arg(long)]
    pub raw: bool,

    /// Wait until there is a text; with =SECONDS, at most that long
    #[arg(
        long,
        value_name = "SECONDS",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "inf",
        value_parser = parse_seconds
    )]
    pub wait: Option<f64>,

    /// Also print the XXH3 checksum of the text, as `shm_wr --checksum` does; with --raw, on stderr
    #[arg(long)]
    pub checksum: bool,

    /// Print one JSON object, for a result or an error
    #[arg(long, conflicts_with = "raw")]
    pub json: bool,
}

fn parse_seconds(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(seconds) if seconds >= 0.0 => Ok(seconds),
        _ => Err("expected a number of seconds such as 2.5".to_owned()),
    }
}
