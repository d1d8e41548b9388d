//! How much the tests do: in the usual run, and in a soak, for which `SHM_SOAK=1` asks.

use std::env;
use std::time::Duration;

/// How much each test does.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// Containers of the one experiment on each engine that has many.
    pub containers: usize,
    /// Engines on which the whole matrix is asked.
    pub whole_matrix: &'static [&'static str],
    /// Engines on which every fault is tried; on others the first of each kind is.
    pub every_fault: &'static [&'static str],
    /// Whether Podman goes through what Docker goes through by the same code.
    pub podman_like_docker: bool,
    /// Random scripts on namespaces.
    pub random_scripts: u32,
    /// Random scripts on an engine, which starts a container in a hundred times as long.
    pub random_scripts_on_engines: u32,
    /// Faults of each kind that hit runs on namespaces.
    pub kills: usize,
    /// Faults of each kind that hit runs on an engine.
    pub kills_on_engines: usize,
    /// Pairs of a write and a read in one process.
    pub rounds: usize,
    /// Pairs of a write and a read by processes; a multiple of 40.
    pub rounds_of_processes: usize,
    /// How long writers of whole messages are killed.
    pub killing: Duration,
}

impl Effort {
    /// What this run of the tests is to do.
    ///
    /// # Panics
    ///
    /// If `SHM_SOAK` is neither 0 nor 1.
    #[must_use]
    pub fn current() -> Self {
        match env::var("SHM_SOAK").as_deref() {
            Ok("1") => Self::of(true),
            Ok("" | "0") | Err(_) => Self::of(false),
            Ok(value) => panic!("SHM_SOAK is 0 or 1, and not {value:?}"),
        }
    }

    /// Each line has the usual run's and the soak's.
    fn of(soak: bool) -> Self {
        let column = usize::from(soak);
        Self {
            containers: [8, 64][column],
            whole_matrix: [&["namespaces"][..], &["namespaces", "docker", "podman", "kubernetes"]]
                [column],
            every_fault: [&[][..], &["namespaces", "docker"]][column],
            podman_like_docker: soak,
            random_scripts: [500, 6000][column],
            random_scripts_on_engines: [10, 120][column],
            kills: [20, 600][column],
            kills_on_engines: [2, 60][column],
            rounds: [2000, 10_000][column],
            rounds_of_processes: [40, 200][column],
            killing: [3, 120].map(Duration::from_secs)[column],
        }
    }
}
