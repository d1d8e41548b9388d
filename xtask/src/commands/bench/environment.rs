//! The environment that all groups share: the tools, programs in C, docker, and the sides of a row.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::commands::bench::interleave::interleave;
use crate::commands::bench::measurement::{
    BenchGroup, BenchRow, Limit, Measurement, TargetStatus, Unit,
};
use crate::engine::EngineKind;
use crate::engine::dist::Dist;
use crate::engine::docker::client;
use crate::engine::docker::remove::Remover;
use crate::process::interrupt::Interrupt;
use crate::process::invocation::{Invocation, Output};
use crate::process::labels::RunId;
use crate::process::ledger::{EngineAt, Entry, Ledger};

/// Makes a new IPC namespace, where the article's key is free.
const UNSHARE: [&str; 4] = ["unshare", "--user", "--map-root-user", "--ipc"];

/// The baselines, and a program that measures starts of a program.
const PROGRAMS: [(&str, &str); 3] = [
    ("floor", include_str!("baselines/floor.c")),
    ("floor_read", include_str!("baselines/floor_read.c")),
    ("starts", include_str!("baselines/starts.c")),
];

/// A side of a row.
pub(super) struct Side {
    pub(super) of: &'static str,
    pub(super) command: Invocation,
    /// Extracts the measured value from the command's output.
    pub(super) value: fn(&Output) -> Option<f64>,
}

pub(super) struct BenchEnvironment<'a> {
    pub(super) interrupt: &'a Interrupt,
    /// The checkout that is measured, with its tools.
    pub(super) dist: Dist,
    /// The run id in the label of all containers.
    pub(super) run: RunId,
    /// The ledger that names the containers.
    pub(super) ledger: Ledger,
    /// The docker engine, if it answers.
    pub(super) docker: Option<EngineAt>,
    pairs: usize,
    folder: PathBuf,
}

impl<'a> BenchEnvironment<'a> {
    /// Builds the tools, and compiles the programs if gcc is installed.
    pub(super) fn open(pairs: usize, interrupt: &'a Interrupt) -> Result<Self> {
        let dist = Dist::current(interrupt)?;
        let folder = dist.context().join("target/bench");
        fs::create_dir_all(&folder).context("cannot make the folder target/bench")?;
        let (run, ledger) = (RunId::random(), Ledger::default());
        let docker = client::current(EngineKind::Docker, "docker", interrupt).ok();
        let environment = Self { interrupt, dist, run, ledger, docker, pairs, folder };
        if environment.missing(&["gcc"]).is_none() {
            for (name, text) in PROGRAMS {
                let (program, source) =
                    (environment.file(name), environment.file(&format!("{name}.c")));
                fs::write(&source, text)?;
                let compile = ["-O2", "-static", "-o", &program, &source];
                environment.run(&Invocation::new("gcc", compile))?;
            }
        }
        Ok(environment)
    }

    /// Returns the path of a file in `target/bench`.
    pub(super) fn file(&self, name: &str) -> String {
        self.folder.join(name).to_string_lossy().into_owned()
    }

    /// Returns why the first unusable one of these programs cannot be used.
    pub(super) fn missing(&self, needs: &[&str]) -> Option<String> {
        needs.iter().find_map(|program| {
            let probe = match *program {
                "unshare" => &[&UNSHARE[1..], &["true"]].concat()[..],
                "docker" => &["version"],
                _ => &["--version"],
            };
            match Invocation::new(program, probe.iter().copied()).run(self.interrupt) {
                Ok(it) if it.succeeded() => None,
                Ok(it) => Some(format!("{program} cannot be used: {}", it.stderr_tail())),
                Err(error) => Some(error.to_string()),
            }
        })
    }

    /// Records containers in the ledger before a command makes them with the run's label.
    pub(super) fn record_containers(&self, names: impl IntoIterator<Item = String>) -> Result<()> {
        for name in names {
            let engine = self.docker.clone().context("cannot read the identity of docker")?;
            self.ledger.record(Entry::Container { engine, run: self.run.clone(), name })?;
        }
        Ok(())
    }

    /// Runs a command and fails if the command fails.
    pub(super) fn run(&self, command: &Invocation) -> Result<Output> {
        let output = command.clone().timeout(Duration::from_mins(20)).run(self.interrupt)?;
        if !output.succeeded() {
            let (command, status) = (output.command_line(), output.status());
            bail!(
                "`{command}` failed, exit status {status}\n  {}\nnext step: run the command by \
                 hand, and check its output",
                output.stderr_tail()
            );
        }
        Ok(output)
    }

    /// Measures the sides `max_pairs` times at most, unless the row is skipped.
    pub(super) fn row(
        &self,
        (group, name, unit): (BenchGroup, String, Unit),
        skipped: Option<String>,
        max_pairs: usize,
        target: Option<Limit>,
        sides: &[Side],
    ) -> Result<BenchRow> {
        let count = if skipped.is_some() { 0 } else { sides.len() };
        let pairs = self.pairs.min(max_pairs);
        let measured = interleave(pairs, count, |side| {
            let output = self.run(&sides[side].command)?;
            (sides[side].value)(&output).with_context(|| {
                let (command, printed) = (output.command_line(), output.stderr_tail());
                format!("`{command}` printed no measured value; it printed\n  {printed}")
            })
        });
        let (values, ratio) = measured.with_context(|| format!("measuring {name}"))?;
        let status = TargetStatus::of(target, values.first().copied(), ratio);
        let root = format!("{}/", self.dist.context().to_string_lossy());
        let mut measured = sides.iter().zip(values).map(|(side, value)| {
            let command = side.command.command_line().to_string().replace(&root, "");
            Measurement { of: side.of.to_owned(), value, command }
        });
        let (ours, baseline) = (measured.next(), measured.next());
        Ok(BenchRow { group, name, unit, ours, baseline, ratio, target, status, skipped })
    }
}

impl Drop for BenchEnvironment<'_> {
    fn drop(&mut self) {
        if let Some(at) = &self.docker {
            let remover = Remover { at, interrupt: self.interrupt.for_cleaning() };
            // The ledger keeps the names of containers that cannot be removed.
            let _ = remover.everything(&self.run, &self.ledger, true);
        }
    }
}

/// Returns a command that runs a script in a new IPC namespace. Its environment is empty, because
/// each variable costs a program instructions.
pub(super) fn private(script: &str) -> Invocation {
    Invocation::new("env", [&["-i"], &UNSHARE[..], &["sh", "-c", script]].concat())
}

/// Returns the value of a command that prints nanoseconds.
pub(super) fn printed_time(output: &Output) -> Option<f64> {
    output.text().parse().ok().map(|nanoseconds: f64| nanoseconds * 1e-9)
}
