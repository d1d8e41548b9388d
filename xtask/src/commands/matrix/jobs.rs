//! Runs the scripts of a matrix on one engine, several in parallel.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use shm_core::Key;

use crate::commands::session::Session;
use crate::engine::tool::LARGE_TEXT;
use crate::engine::{Engine, host};
use crate::judge::evaluate;
use crate::judge::execution::execute;
use crate::judge::quirk::{QUIRKS, Quirk};
use crate::judge::results::{CellOutcome, CellResult, Grid, Run, ScriptRun};
use crate::model::plan::Plan;
use crate::process::interrupt::Interrupt;
use crate::process::ledger::{Entry, Ledger, LeftoverManifest};
use crate::process::parallel;
use crate::process::untrusted::Untrusted;
use crate::process::volume::Volume;
use crate::report::progress::ProgressLine;
use crate::script::matrix::{Group, Question, TOO_MUCH_MEMORY};
use crate::script::{Action, Objects};

/// The data that all scripts of a matrix share.
pub(super) struct Jobs<'a> {
    pub(super) groups: &'a [Group],
    /// The folder that all containers share; `None` if they do not run on this host.
    pub(super) volume: Option<&'a Path>,
    /// The number of scripts that run in parallel.
    pub(super) at_once: usize,
    /// The number of runs of each script.
    pub(super) repeat: usize,
    pub(super) interrupt: &'a Interrupt,
}

/// What the scripts of a matrix use on the host and may leave there.
pub(super) struct SharedState<'a> {
    /// The folder that all containers share.
    pub(super) volume: Volume,
    left: LeftoverManifest,
    ledger: &'a Ledger,
}

impl<'a> SharedState<'a> {
    /// Makes the folder with its files, and records what the scripts may leave on the host.
    pub(super) fn prepare(groups: &[Group], text: &str, ledger: &'a Ledger) -> Result<Self> {
        let next_step = "next step: set TMPDIR to a folder with 100 MB of free space";
        let left = leftover_manifest(groups.iter(), text);
        ledger.record(Entry::Memory(left.clone()))?;
        let made = Volume::make(ledger);
        let volume = made.with_context(|| format!("cannot make the shared folder\n{next_step}"))?;
        if groups.iter().any(Group::exhausts_memory) {
            let path = volume.shared.join(LARGE_TEXT);
            let written = File::create(&path).and_then(|mut file| {
                io::copy(&mut io::repeat(b'x').take(TOO_MUCH_MEMORY), &mut file)
            });
            written
                .with_context(|| format!("cannot write {}\n{next_step}", Untrusted::path(&path)))?;
        }
        Ok(Self { volume, left, ledger })
    }
}

impl Drop for SharedState<'_> {
    fn drop(&mut self) {
        let objects = |key: &i32| Key::new(*key).map(Objects::from);
        let mut left = self.left.keys.iter().filter_map(objects);
        if left.all(|objects| host::strays(objects, &self.left.text).is_empty()) {
            self.ledger.forget(|entry| *entry == Entry::Memory(self.left.clone()));
        }
    }
}

/// Returns what the groups may leave in the IPC namespace of a host.
pub(super) fn leftover_manifest<'a>(
    groups: impl Iterator<Item = &'a Group>,
    text: &str,
) -> LeftoverManifest {
    let keys = groups.map(|group| group.script.objects.key.raw()).collect();
    LeftoverManifest { text: text.to_owned(), keys }
}

impl Jobs<'_> {
    /// Runs all scripts on one engine and judges their cells.
    pub(super) fn run_on(&self, session: &Session, progress: &ProgressLine) -> Result<Grid> {
        let started = Instant::now();
        let mut scripts = Vec::new();
        let mut cells = Vec::new();
        for (script, results) in self.all(session, progress)? {
            scripts.push(script);
            cells.extend(results);
        }
        let engine = session.info.clone();
        let gone =
            QUIRKS.iter().filter(|quirk| quirk.concerns(&engine) && is_absent(quirk, &cells));
        let (duration, gone) = (started.elapsed(), gone.collect());
        Ok(Grid { engine, duration, scripts, cells, gone })
    }

    /// Runs the groups in parallel, and afterwards one by one those that need their node alone.
    /// Returns the results in the groups' order.
    fn all(
        &self,
        session: &Session,
        progress: &ProgressLine,
    ) -> Result<Vec<(ScriptRun, Vec<CellResult>)>> {
        let groups = self.groups.iter().enumerate();
        let (alone, beside): (Vec<_>, Vec<_>) =
            groups.partition(|(_, group)| group.needs_its_node_alone());
        let work = |(index, group): &(usize, &Group)| -> Result<_> {
            let results = self.group(session, *index, group);
            progress.group_done(&group.script.name);
            Ok((*index, results?))
        };
        let mut results = parallel::each(&beside, self.at_once, self.interrupt, work)?;
        results.extend(parallel::each(&alone, 1, self.interrupt, work)?);
        if let Some(signal) = self.interrupt.name() {
            bail!("interrupted by {signal}; if something is left, cargo xtask clean removes it");
        }
        results.sort_by_key(|(index, _)| *index);
        Ok(results.into_iter().map(|(_, results)| results).collect())
    }

    /// Runs one script and judges its cells.
    fn group(
        &self,
        session: &Session,
        index: usize,
        group: &Group,
    ) -> Result<(ScriptRun, Vec<CellResult>)> {
        let name = group.script.name.clone();
        let engine = self.engine(session, group);
        if let Some(why) = group.others().find_map(|action| engine.unsupported_reason(action)) {
            let skip = |question| evaluate::skipped(question, index, why);
            let cells = group.questions.iter().map(skip).collect();
            return Ok((ScriptRun { name, runs: vec![] }, cells));
        }
        let unsupported =
            |mechanism| engine.unsupported_reason(&Action::Write(mechanism, String::new()));
        let script = group.script.clone().without(|mechanism| unsupported(mechanism).is_some());
        let plan = Plan::new(script, session.info.rules())?;
        let mut runs = Vec::with_capacity(self.repeat);
        for _ in 0..self.repeat {
            // An incomplete run is repeated once. Both runs count.
            for _ in 0..2 {
                if self.interrupt.signal().is_some() {
                    break;
                }
                let run = self.run_once(&plan, &*self.engine(session, group))?;
                let is_complete = !evaluate::is_incomplete(&run);
                runs.push(run);
                if is_complete {
                    break;
                }
            }
        }
        let judge = |question: &Question| match unsupported(question.cell.mechanism) {
            Some(why) => evaluate::skipped(question, index, why),
            None => evaluate::judge(question, index, &plan, &runs, &session.info),
        };
        let cells = group.questions.iter().map(judge).collect();
        Ok((ScriptRun { name, runs }, cells))
    }

    fn engine(&self, session: &Session, group: &Group) -> Box<dyn Engine> {
        session.engine(group.script.objects, self.volume.map(Path::to_owned))
    }

    /// Runs a script once and removes all that it made.
    fn run_once(&self, plan: &Plan, engine: &dyn Engine) -> Result<Run> {
        let execution = execute(plan, engine, self.interrupt, false, &mut |_| {});
        if engine.is_on_this_host() {
            // The ledger keeps the names of objects that cannot be removed now.
            let texts: BTreeSet<_> = plan.script.texts().collect();
            for text in texts {
                let _ = host::remove_strays(plan.script.objects, text);
            }
        }
        let (_, error) = execution.ended?;
        match error {
            // A disturbed run says nothing about the engine.
            Some(disturbed) if disturbed.is_disturbed() => Err(disturbed.into()),
            error => Ok(Run { steps: execution.steps, aborted: error.map(|it| it.to_string()) }),
        }
    }
}

/// Returns whether cells that the quirk applies to were run, and none of them showed it.
fn is_absent(quirk: &Quirk, cells: &[CellResult]) -> bool {
    let was_run = |cell: &&CellResult| {
        (quirk.applies)(&cell.cell)
            && !matches!(
                cell.outcome,
                CellOutcome::Skipped | CellOutcome::Refused | CellOutcome::Unclear
            )
    };
    let mut cells = cells.iter().filter(was_run).peekable();
    cells.peek().is_some() && cells.all(|cell| cell.quirk.is_none())
}
