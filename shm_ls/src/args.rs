//! The command line of `shm_ls`.

use std::time::Duration;

use clap::Parser;
use shm_cli::address::parse_id;
use shm_core::stat::SegmentId;

/// Lists the System V segments of this IPC namespace, as `ipcs -m` does.
#[derive(Debug, Parser)]
#[command(
    name = "shm_ls",
    version,
    after_help = "Exit status: 0 listed, or --watch got a signal to stop; 1 failed, with the \
                  reason on standard error or in the JSON; 2 wrong usage."
)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub struct Args {
    /// Print everything that this container has: segments, semaphores, message queues of System V
    /// and of POSIX, POSIX objects, what is mounted at /dev/shm, the limits and the memory cgroup
    /// with their use. FULL and NEARLY FULL (more than 80 %) mark what is used up
    #[arg(long, conflicts_with_all = ["limits", "watch", "id"])]
    pub all_objects: bool,

    /// Print the limits of the namespace instead, as `ipcs -m -l` does
    #[arg(long)]
    pub limits: bool,

    /// Print a line for each segment that appears, changes or disappears, until SIGTERM,
    /// SIGINT (Ctrl-C) or SIGHUP. The kernel does not report changes: the list is read every 250 ms,
    /// or every --interval. A segment that lives shorter can be missed
    #[arg(long, conflicts_with = "limits")]
    pub watch: bool,

    /// With --watch, the time between two readings of the list, from 1 to 3600000 ms. Each takes
    /// about 50 microseconds of processor time
    #[arg(
        long,
        value_name = "MILLISECONDS",
        requires = "watch",
        default_value = "250",
        hide_default_value = true,
        value_parser = parse_interval
    )]
    pub interval: Duration,

    /// List only the segment with this shmid
    #[arg(long, value_name = "SHMID", conflicts_with = "limits", value_parser = parse_id)]
    pub id: Option<SegmentId>,

    /// Print JSON, also for errors: one object that always has everything that --all-objects
    /// prints, or with --watch one object per line
    #[arg(long)]
    pub json: bool,
}

fn parse_interval(text: &str) -> Result<Duration, String> {
    match text.parse() {
        Ok(milliseconds @ 1..=3_600_000) => Ok(Duration::from_millis(milliseconds)),
        _ => Err("expected a number of milliseconds from 1 to 3600000, such as 250".to_owned()),
    }
}
