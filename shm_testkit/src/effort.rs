//! How much work the tests do, in an ordinary run and in a soak run (`SHM_SOAK=1`).

use std::env;
use std::time::Duration;

/// How much work each test does.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// Containers of the experiment with many containers.
    pub containers: usize,
    /// Engines on which the whole matrix runs.
    pub whole_matrix: &'static [&'static str],
    /// Engines on which every fault is injected; the others get the first fault of each kind.
    pub every_fault: &'static [&'static str],
    /// Whether Podman also runs the trials of the code that it shares with Docker.
    pub podman_like_docker: bool,
    /// Random scripts on namespaces.
    pub random_scripts: u32,
    /// Random scripts on an engine, which takes a hundred times as long to start a container.
    pub random_scripts_on_engines: u32,
    /// Faults of each kind injected into runs on namespaces.
    pub kills: usize,
    /// Faults of each kind injected into runs on an engine.
    pub kills_on_engines: usize,
    /// Runs on an engine at the same time.
    pub runs_at_once: usize,
    /// Nested folders in a volume. The kernel refuses a path through more than 2,048 of them.
    pub nested_folders: u32,
    /// Pairs of a write and a read in one process.
    pub rounds: usize,
    /// Pairs of a write and a read by separate processes; a multiple of 40.
    pub rounds_of_processes: usize,
    /// How long a test keeps killing writers of framed messages.
    pub killing: Duration,
}

impl Effort {
    /// Returns how much work this test run does. `SHM_SOAK` must be 0, 1 or empty.
    #[must_use]
    pub fn current() -> Self {
        match env::var("SHM_SOAK").as_deref() {
            Ok("1") => Self::of(true),
            Ok("" | "0") | Err(_) => Self::of(false),
            Ok(value) => panic!("SHM_SOAK must be 0 or 1, not {value:?}"),
        }
    }

    /// Each array holds the value for an ordinary run, then the value for a soak run.
    fn of(soak: bool) -> Self {
        let column = usize::from(soak);
        Self {
            containers: [8, 64][column],
            whole_matrix: [&["namespaces"][..], &["namespaces", "docker", "podman", "kubernetes"]]
                [column],
            every_fault: [&[][..], &["namespaces", "docker"]][column],
            podman_like_docker: soak,
            random_scripts: [200, 6000][column],
            random_scripts_on_engines: [5, 120][column],
            kills: [20, 600][column],
            kills_on_engines: [2, 60][column],
            runs_at_once: [2, 8][column],
            nested_folders: [10_000, 100_000][column],
            rounds: [2000, 10_000][column],
            rounds_of_processes: [40, 200][column],
            killing: [3, 120].map(Duration::from_secs)[column],
        }
    }
}
