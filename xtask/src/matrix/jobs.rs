//! The scripts of a matrix carried out on one engine, several at a time.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use shm_core::posix::Name;
use shm_core::{Address, Carrier, Target};
use tempfile::TempDir;

use super::grid::{CellResult, Grid, Outcome, Run, ScriptRun};
use super::judge;
use crate::engine::Engine;
use crate::engine::clean_up::CleanUp;
use crate::engine::tool::LARGE_TEXT;
use crate::engine::workshop::Workshop;
use crate::interrupt::Interrupt;
use crate::plan::Plan;
use crate::progress::Progress;
use crate::quirk::{QUIRKS, Quirk};
use crate::run;
use crate::script::matrix::{Group, Question, TOO_MUCH_MEMORY};
use crate::script::{Action, Objects};

/// What all scripts of a matrix have in common.
pub(super) struct Jobs<'a> {
    pub(super) groups: &'a [Group],
    pub(super) text: &'a str,
    pub(super) volume: &'a Path,
    /// How many scripts at a time.
    pub(super) at_once: usize,
    /// How often each.
    pub(super) repeat: usize,
    pub(super) interrupt: &'a Interrupt,
}

/// The folder that all containers share, with what the scripts need in it.
pub(super) fn volume(groups: &[Group]) -> Result<TempDir> {
    let volume = tempfile::tempdir().context("the volume could not be made")?;
    if groups.iter().any(Group::exhausts_memory) {
        let path = volume.path().join(LARGE_TEXT);
        let written = File::create(&path)
            .and_then(|mut file| io::copy(&mut io::repeat(b'x').take(TOO_MUCH_MEMORY), &mut file));
        written.with_context(|| format!("{} could not be written", path.display()))?;
    }
    Ok(volume)
}

impl Jobs<'_> {
    /// Carries out everything on one engine, and judges it.
    pub(super) fn on(&self, workshop: &Workshop, progress: &Progress) -> Result<Grid> {
        let started = Instant::now();
        let mut scripts = Vec::new();
        let mut cells = Vec::new();
        for (script, answers) in self.all(workshop, progress)? {
            scripts.push(script);
            cells.extend(answers);
        }
        let engine = workshop.info.clone();
        let gone = QUIRKS.iter().filter(|quirk| quirk.concerns(&engine) && is_gone(quirk, &cells));
        let (duration, gone) = (started.elapsed(), gone.collect());
        Ok(Grid { engine, duration, scripts, cells, gone })
    }

    /// All groups, several at a time; the results in the groups' order.
    fn all(
        &self,
        workshop: &Workshop,
        progress: &Progress,
    ) -> Result<Vec<(ScriptRun, Vec<CellResult>)>> {
        let next = AtomicUsize::new(0);
        let done = Mutex::new(Vec::new());
        thread::scope(|scope| {
            for _ in 0..self.at_once.clamp(1, self.groups.len()) {
                scope.spawn(|| {
                    while let Some(index) = Some(next.fetch_add(1, Ordering::Relaxed))
                        && let Some(group) = self.groups.get(index)
                        && self.interrupt.signal().is_none()
                    {
                        let results = self.group(workshop, index, group);
                        progress.group_done(&group.script.name);
                        done.lock().unwrap_or_else(PoisonError::into_inner).push((index, results));
                    }
                });
            }
        });
        let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
        done.sort_by_key(|(index, _)| *index);
        let results = done.into_iter().map(|(_, results)| results).collect::<Result<_>>()?;
        match self.interrupt.name() {
            Some(signal) => bail!("interrupted by {signal}; what was made has been removed"),
            None => Ok(results),
        }
    }

    /// One script, and what its runs say of its cells.
    fn group(
        &self,
        workshop: &Workshop,
        index: usize,
        group: &Group,
    ) -> Result<(ScriptRun, Vec<CellResult>)> {
        let name = group.script.name.clone();
        let engine = self.engine(workshop, group);
        if let Some(why) = group.others().find_map(|action| engine.lacks(action)) {
            let skip = |question| judge::skipped(question, index, why);
            let cells = group.questions.iter().map(skip).collect();
            return Ok((ScriptRun { name, runs: vec![] }, cells));
        }
        let lacks = |mechanism| engine.lacks(&Action::Write(mechanism, String::new()));
        let script = group.script.clone().without(|mechanism| lacks(mechanism).is_some());
        let plan = Plan::new(script, workshop.info.rules())?;
        let mut runs = Vec::with_capacity(self.repeat);
        while runs.len() < self.repeat && self.interrupt.signal().is_none() {
            runs.push(self.carry_out(&plan, &*self.engine(workshop, group))?);
        }
        let judge = |question: &Question| match lacks(question.cell.mechanism) {
            Some(why) => judge::skipped(question, index, why),
            None => judge::judge(question, index, &plan, &runs, &workshop.info),
        };
        let cells = group.questions.iter().map(judge).collect();
        Ok((ScriptRun { name, runs }, cells))
    }

    fn engine(&self, workshop: &Workshop, group: &Group) -> Box<dyn Engine> {
        workshop.engine(group.script.objects, Some(self.volume.to_owned()))
    }

    /// Carries a script out once, and removes all that it made.
    fn carry_out(&self, plan: &Plan, engine: &dyn Engine) -> Result<Run> {
        let mut steps = Vec::with_capacity(plan.len());
        let clean_up = CleanUp::new(engine, true);
        let finished = run::run(plan, engine, self.interrupt, &mut steps, &mut |_| {});
        let cleaned = clean_up.now();
        self.clean_host(plan.script.objects);
        cleaned?;
        Ok(Run { steps, aborted: finished.err().map(|aborted| aborted.to_string()) })
    }

    /// Removes what containers in the host's namespace left there: the names are this script's
    /// own, and what holds its text is too.
    fn clean_host(&self, objects: Objects) {
        let key = objects.key;
        let mut targets = vec![
            Target::Memory(Address::from(key)),
            Target::Carrier(Carrier::Semaphores(key)),
            Target::Carrier(Carrier::Queue(key)),
            Target::Carrier(Carrier::Mqueue(key)),
        ];
        if let Ok(name) = objects.name().parse::<Name>() {
            targets.push(Target::Memory(Address::from(name)));
        }
        for target in targets {
            if read(&target).is_some_and(|text| text == self.text.as_bytes()) {
                // What cannot be removed now is told by the next run that meets it.
                let _ = target.remove();
            }
        }
    }
}

/// The start of the text in it, if it is there and may be read.
fn read(target: &Target) -> Option<Vec<u8>> {
    match target {
        Target::Memory(address) => {
            let mut text = Vec::new();
            address.open().ok()?.text().take(64).read_to_end(&mut text).ok()?;
            Some(text)
        }
        Target::Carrier(carrier) => carrier.read_text().ok(),
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
