//! The command line of `shm_ls`.

use clap::Parser;

/// Lists the System V segments of this IPC namespace, as `ipcs -m` does.
#[derive(Debug, Parser)]
#[command(
    name = "shm_ls",
    version,
    after_help = "Exit status: 0 listed, or --watch got a signal to stop; 1 failed, with the \
                  reason on standard error or in the JSON; 2 wrong usage."
)]
pub struct Args {
    /// Print the limits of the namespace instead, as `ipcs -m -l` does
    #[arg(long)]
    pub limits: bool,

    /// Print a line for each segment that appears, changes or disappears, until SIGTERM,
    /// SIGINT (Ctrl-C) or SIGHUP
    #[arg(long, conflicts_with = "limits")]
    pub watch: bool,

    /// Print JSON, also for errors: one object, or with --watch one object per line
    #[arg(long)]
    pub json: bool,
}
