//! Measures how long a build of the tools takes.

use anyhow::Result;

use crate::commands::bench::environment::{BenchEnvironment, Side};
use crate::commands::bench::measurement::{BenchGroup, BenchRow, Limit, Unit};
use crate::process::invocation::{Invocation, Output};

/// Builds a copy of the sources, so that the checkout does not change.
pub(super) fn rows(environment: &BenchEnvironment<'_>) -> Result<Vec<BenchRow>> {
    let (root, copy) = (environment.dist.context().display(), environment.file("checkout"));
    let prepare = format!(
        "rm -rf {copy} && mkdir {copy} && cd {copy} && \
         tar -C {root} --exclude ./target --exclude ./dist --exclude ./.git -c . | tar -x && \
         cargo build --quiet --package xtask --target-dir target"
    );
    environment.run(&Invocation::new("sh", ["-c", &prepare]))?;
    let row = |name: &str, change: &str, max_pairs, limit| {
        let dist = format!("cd {copy} && {change} && target/debug/xtask dist");
        let command = Invocation::new("sh", ["-c", &dist]);
        let value = |it: &Output| Some(it.duration.as_secs_f64());
        let ours = Side { of: "cargo xtask dist", command, value };
        let name = (BenchGroup::Build, name.to_owned(), Unit::Seconds);
        environment.row(name, None, max_pairs, Some(Limit::Ours(limit)), &[ours])
    };
    Ok(vec![
        row("the tools alone, cold", "rm -rf target/static", 1, 40.0)?,
        row("after a change in shm_wr", "echo '// A change.' >>shm_wr/src/write.rs", 3, 10.0)?,
    ])
}
