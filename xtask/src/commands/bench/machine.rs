//! Where it is measured.

use std::{fs, thread};

use crate::commands::bench::measurement::Machine;
use crate::engine::kernel_release;

/// This machine, before anything is measured.
#[must_use]
pub(super) fn this() -> Machine {
    let cpus = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpus.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    Machine {
        cpu: model.map_or_else(|| "unknown".to_owned(), |(_, name)| name.trim().to_owned()),
        cores: thread::available_parallelism().map_or(1, Into::into),
        kernel: kernel_release().to_string(),
        load_before: load(),
        load_after: String::new(),
    }
}

/// The load of the last minute.
pub(super) fn load() -> String {
    let loads = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    loads.split(' ').next().unwrap_or_default().to_owned()
}
