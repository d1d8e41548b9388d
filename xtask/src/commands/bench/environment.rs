//! What all groups measure with: the tools, programs in C, docker, and the two sides of a row.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::commands::bench::interleave::interleave;
use crate::commands::bench::measurement::{Group, Measurement, Row, Target, TargetStatus, Unit};
use crate::engine::EngineKind;
use crate::engine::dist::Dist;
use crate::engine::docker::client;
use crate::engine::docker::remove::Remover;
use crate::process::interrupt::Interrupt;
use crate::process::invocation::{Invocation, Output};
use crate::process::labels::RunId;
use crate::process::ledger::{EngineAt, Entry, Ledger};

/// Makes an IPC namespace, in which the article's key is free.
const UNSHARE: [&str; 4] = ["unshare", "--user", "--map-root-user", "--ipc"];

/// Programs to compare with, and one that times starts of a program.
const PROGRAMS: [(&str, &str); 3] = [
    ("floor", include_str!("baselines/floor.c")),
    ("floor_read", include_str!("baselines/floor_read.c")),
    ("starts", include_str!("baselines/starts.c")),
];

/// A side of a row.
pub(super) struct Side {
    pub(super) of: &'static str,
    pub(super) command: Invocation,
    /// Finds the measured value of a run of the command.
    pub(super) value: fn(&Output) -> Option<f64>,
}

pub(super) struct Environment<'a> {
    pub(super) interrupt: &'a Interrupt,
    /// The checkout that is measured, with its tools.
    pub(super) dist: Dist,
    /// The id that all containers carry.
    pub(super) run: RunId,
    /// Names the containers.
    pub(super) ledger: Ledger,
    /// The engine that has them, where docker answers.
    pub(super) docker: Option<EngineAt>,
    pairs: usize,
    folder: PathBuf,
}

impl<'a> Environment<'a> {
    /// Builds the tools where they are not those of the sources, and the programs where there is a compiler.
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

    /// Returns why one of these programs cannot be used here.
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

    /// Has the ledger name containers before a command makes them with the run's id as their label.
    pub(super) fn record_containers(&self, names: impl IntoIterator<Item = String>) -> Result<()> {
        for name in names {
            let engine = self.docker.clone().context("docker does not say what it is")?;
            self.ledger.record(Entry::Container { engine, run: self.run.clone(), name })?;
        }
        Ok(())
    }

    /// Runs a command that has to succeed.
    pub(super) fn run(&self, command: &Invocation) -> Result<Output> {
        let output = command.clone().timeout(Duration::from_mins(20)).run(self.interrupt)?;
        if !output.succeeded() {
            let (command, status) = (output.command_line(), output.status());
            bail!("`{command}` failed, exit status {status}\n  {}", output.stderr_tail());
        }
        Ok(output)
    }

    /// Measures our side and, where there is one, a baseline, at most so often, unless the row is skipped.
    pub(super) fn row(
        &self,
        (group, name, unit): (Group, String, Unit),
        skipped: Option<String>,
        most_pairs: usize,
        target: Option<Target>,
        sides: &[Side],
    ) -> Result<Row> {
        let count = if skipped.is_some() { 0 } else { sides.len() };
        let pairs = self.pairs.min(most_pairs);
        let measured = interleave(pairs, count, |side| {
            let output = self.run(&sides[side].command)?;
            (sides[side].value)(&output).with_context(|| {
                let (command, printed) = (output.command_line(), output.stderr_tail());
                format!("`{command}` printed no measured value, but\n  {printed}")
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
        Ok(Row { group, name, unit, ours, baseline, ratio, target, status, skipped })
    }
}

impl Drop for Environment<'_> {
    fn drop(&mut self) {
        if let Some(at) = &self.docker {
            let remover = Remover { at, interrupt: self.interrupt.for_cleaning() };
            // The ledger still names what is left.
            let _ = remover.everything(&self.run, &self.ledger, true);
        }
    }
}

/// A script in its own IPC namespace and without environment variables. Each variable costs a program instructions.
pub(super) fn private(script: &str) -> Invocation {
    Invocation::new("env", [&["-i"], &UNSHARE[..], &["sh", "-c", script]].concat())
}

/// The value of a command that prints nanoseconds.
pub(super) fn printed_time(output: &Output) -> Option<f64> {
    output.text().parse().ok().map(|nanoseconds: f64| nanoseconds * 1e-9)
}
