//! The command line of `shm_ls`.

use clap::Parser;

/// Lists the System V segments of this IPC namespace, as `ipcs -m` does.
#[derive(Debug, Parser)]
#[command(
    name = "shm_ls",
    version,
    after_help = "Exit status: 0 listed, or asked to stop watching; 1 failed, with the reason on \
                  standard error; 2 wrong usage."
)]
pub struct Args {
    /// Print the namespace's limits instead, as `ipcs -m -l` does
    #[arg(long)]
    pub limits: bool,

    /// Print a line for each segment that appears, changes or goes, until SIGTERM
    #[arg(long, conflicts_with = "limits")]
    pub watch: bool,

    /// Print JSON: one object, or one a line with --watch; errors too
    #[arg(long)]
    pub json: bool,
}
