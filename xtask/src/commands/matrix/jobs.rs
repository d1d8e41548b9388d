//! The scripts of a matrix carried out on one engine, several at a time.

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
use crate::judge::execution::{Concluded, execute};
use crate::judge::quirk::{QUIRKS, Quirk};
use crate::judge::results::{CellResult, Grid, Outcome, Run, ScriptRun};
use crate::model::plan::Plan;
use crate::process::interrupt::Interrupt;
use crate::process::ledger::{Entry, Ledger, LeftoverManifest};
use crate::process::parallel;
use crate::process::untrusted::Untrusted;
use crate::process::volume::Volume;
use crate::report::progress::Progress;
use crate::script::matrix::{Group, Question, TOO_MUCH_MEMORY};
use crate::script::{Action, Objects};

/// What all scripts of a matrix have in common.
pub(super) struct Jobs<'a> {
    pub(super) groups: &'a [Group],
    /// The folder that all containers share, where they are on this host.
    pub(super) volume: Option<&'a Path>,
    /// How many scripts at a time.
    pub(super) at_once: usize,
    /// How often each.
    pub(super) repeat: usize,
    pub(super) interrupt: &'a Interrupt,
}

/// What the scripts of a matrix use on the host, and may leave there.
pub(super) struct Shared<'a> {
    /// The folder that all containers share.
    pub(super) volume: Volume,
    left: LeftoverManifest,
    ledger: &'a Ledger,
}

impl<'a> Shared<'a> {
    /// Makes the folder with what the scripts need in it, and writes down what they may leave on the host.
    pub(super) fn prepare(groups: &[Group], text: &str, ledger: &'a Ledger) -> Result<Self> {
        let next_step = "next step: name a folder with 100 MB of room, TMPDIR=FOLDER";
        let left = may_leave(groups.iter(), text);
        ledger.record(Entry::Memory(left.clone()))?;
        let made = Volume::make(ledger);
        let volume = made.with_context(|| format!("the volume could not be made; {next_step}"))?;
        if groups.iter().any(Group::exhausts_memory) {
            let path = volume.path().join(LARGE_TEXT);
            let written = File::create(&path).and_then(|mut file| {
                io::copy(&mut io::repeat(b'x').take(TOO_MUCH_MEMORY), &mut file)
            });
            written.with_context(|| {
                format!("{} could not be written; {next_step}", Untrusted::path(&path))
            })?;
        }
        Ok(Self { volume, left, ledger })
    }
}

impl Drop for Shared<'_> {
    fn drop(&mut self) {
        let objects = |key: &i32| Key::new(*key).map(Objects::from);
        let mut left = self.left.keys.iter().filter_map(objects);
        if left.all(|objects| host::strays(objects, &self.left.text).is_empty()) {
            self.ledger.forget(|entry| *entry == Entry::Memory(self.left.clone()));
        }
    }
}

/// What groups may leave in the IPC namespace of a host.
pub(super) fn may_leave<'a>(
    groups: impl Iterator<Item = &'a Group>,
    text: &str,
) -> LeftoverManifest {
    let keys = groups.map(|group| group.script.objects.key.raw()).collect();
    LeftoverManifest { text: text.to_owned(), keys }
}

impl Jobs<'_> {
    /// Carries out everything on one engine, and judges it.
    pub(super) fn on(&self, session: &Session, progress: &Progress) -> Result<Grid> {
        let started = Instant::now();
        let mut scripts = Vec::new();
        let mut cells = Vec::new();
        for (script, answers) in self.all(session, progress)? {
            scripts.push(script);
            cells.extend(answers);
        }
        let engine = session.info.clone();
        let gone = QUIRKS.iter().filter(|quirk| quirk.concerns(&engine) && is_gone(quirk, &cells));
        let (duration, gone) = (started.elapsed(), gone.collect());
        Ok(Grid { engine, duration, scripts, cells, gone })
    }

    /// All groups, several at a time, and after them one by one those that nothing can go on beside;
    /// the results in the groups' order.
    fn all(
        &self,
        session: &Session,
        progress: &Progress,
    ) -> Result<Vec<(ScriptRun, Vec<CellResult>)>> {
        let groups = self.groups.iter().enumerate();
        let (alone, beside): (Vec<_>, Vec<_>) =
            groups.partition(|(_, group)| group.needs_its_node_alone());
        let work = |_, (index, group): &(usize, &Group)| -> Result<_> {
            let results = self.group(session, *index, group);
            progress.group_done(&group.script.name);
            Ok((*index, results?))
        };
        let mut results = parallel::each(&beside, self.at_once, self.interrupt, work)?;
        results.extend(parallel::each(&alone, 1, self.interrupt, work)?);
        if let Some(signal) = self.interrupt.name() {
            bail!("interrupted by {signal}; what was made has been removed");
        }
        results.sort_by_key(|(index, _)| *index);
        Ok(results.into_iter().map(|(_, results)| results).collect())
    }

    /// One script, and what its runs say of its cells.
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
        while runs.len() < self.repeat && self.interrupt.signal().is_none() {
            runs.push(self.execute_step(&plan, &*self.engine(session, group))?);
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

    /// Carries a script out once, and removes all that it made.
    fn execute_step(&self, plan: &Plan, engine: &dyn Engine) -> Result<Run> {
        let execution = execute(plan, engine, self.interrupt, false, &mut |_| {});
        if engine.is_on_this_host() {
            // What cannot be removed now is told by the next run that meets it.
            let texts: BTreeSet<_> = plan.script.texts().collect();
            for text in texts {
                let _ = host::remove_strays(plan.script.objects, text);
            }
        }
        let Concluded { steps, error, .. } = execution.conclude()?;
        match error {
            // It says nothing about the engine.
            Some(disturbed) if disturbed.is_disturbed() => Err(disturbed.into()),
            error => Ok(Run { steps, aborted: error.map(|it| it.to_string()) }),
        }
    }
}

/// Whether a known difference that is no matter of luck could have shown, and did not.
fn is_gone(quirk: &Quirk, cells: &[CellResult]) -> bool {
    let asked = |cell: &&CellResult| {
        (quirk.applies)(&cell.cell) && !matches!(cell.outcome, Outcome::Skipped | Outcome::Refused)
    };
    let mut asked = cells.iter().filter(asked).peekable();
    asked.peek().is_some() && asked.all(|cell| cell.quirk.is_none())
}
