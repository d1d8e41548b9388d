//! The command line of `shm_rd`.

use clap::Parser;
use shm_cli::AddressArgs;

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
    /// What to read from
    #[command(flatten)]
    pub address: AddressArgs,

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

fn parse_seconds(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(seconds) if seconds >= 0.0 => Ok(seconds),
        _ => Err("expected a number of seconds such as 2.5".to_owned()),
    }
}
