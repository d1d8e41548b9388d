//! `cargo xtask matrix`: every mechanism, sharing mode and event, held to the model.

use std::io::Read;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use anyhow::{Result, bail};
use shm_core::posix::Name;
use shm_core::{Address, Key};

use crate::cli::MatrixArgs;
use crate::engine::clean_up::CleanUp;
use crate::engine::discover::{self, Wanted};
use crate::engine::image::SCRATCH;
use crate::engine::workshop::Workshop;
use crate::exit_code::Exit;
use crate::host;
use crate::interrupt::Interrupt;
use crate::ledger::random_number;
use crate::plan::Plan;
use crate::progress::Progress;
use crate::quirk;
use crate::report::grid::{CellResult, Grid, Sight};
use crate::report::output;
use crate::run::{self, Aborted, StepResult};
use crate::script::Objects;
use crate::script::matrix::{Cell, Group, groups};
use crate::verdict::{Difference, Verdict};

/// Runs the matrix and writes the report.
///
/// # Errors
///
/// Where it could not be carried out, with the reason and the next step.
pub fn run(args: &MatrixArgs, interrupt: &Interrupt) -> Result<Exit> {
    let text = format!("{:016x}", random_number());
    let groups = selected(groups(unused_key, &text), args.only.as_deref());
    if groups.is_empty() {
        bail!(
            "--only {} selects no cell; next step: see cargo xtask matrix --list",
            args.only.as_deref().unwrap_or_default()
        );
    }
    if args.list {
        let mut cells = groups.iter().flat_map(|group| &group.cells);
        output::write(None, |out| cells.try_for_each(|(cell, _)| writeln!(out, "{cell}")))?;
        return Ok(Exit::AsPredicted);
    }
    output::check(args.output.as_deref())?;
    let progress = Progress::start("looking for an engine");
    let kind = args.engine.kind();
    let found = discover::find(&Wanted { kind, base: SCRATCH, interrupt })?;
    progress.say("building the tools");
    let workshop = Workshop::open(found, SCRATCH, interrupt)?;
    let volume = tempfile::tempdir()?;
    progress.count_groups(groups.len());
    let started = Instant::now();
    let jobs = Jobs { workshop: &workshop, volume: volume.path(), interrupt, text: &text };
    let cells = jobs.all(&groups, args.jobs, &progress);
    progress.end();
    let grid = Grid { engine: workshop.info.clone(), duration: started.elapsed(), cells: cells? };
    output::write(args.output.as_deref(), |out| grid.write(args.format, out))?;
    Ok(if grid.passed() { Exit::AsPredicted } else { Exit::Differs })
}

/// The groups with the cells that `pattern` selects: `mechanism/sharing/event/observer`, where `*`
/// stands for any and parts may be missing at the end.
fn selected(groups: Vec<Group>, pattern: Option<&str>) -> Vec<Group> {
    let Some(pattern) = pattern else { return groups };
    let selects = |cell: &Cell| {
        let name = cell.to_string();
        let mut parts = name.split('/');
        pattern
            .split('/')
            .all(|wanted| parts.next().is_some_and(|it| wanted == "*" || wanted == it))
    };
    let narrow = |mut group: Group| {
        group.cells.retain(|(cell, _)| selects(cell));
        (!group.cells.is_empty()).then_some(group)
    };
    groups.into_iter().filter_map(narrow).collect()
}

/// A key that nobody uses on the host.
fn unused_key() -> Key {
    loop {
        let number =
            i32::from_ne_bytes(random_number().to_ne_bytes()[..4].try_into().unwrap_or_default());
        if let Some(key) = Key::new(number)
            && host::demand_unused(key).is_ok()
        {
            return key;
        }
    }
}

/// What the scripts of one matrix have in common.
struct Jobs<'a> {
    workshop: &'a Workshop,
    volume: &'a Path,
    interrupt: &'a Interrupt,
    text: &'a str,
}

impl Jobs<'_> {
    /// All groups, several at a time; the results in the groups' order.
    fn all(&self, groups: &[Group], jobs: usize, progress: &Progress) -> Result<Vec<CellResult>> {
        let next = AtomicUsize::new(0);
        let done = Mutex::new(Vec::new());
        thread::scope(|scope| {
            for _ in 0..jobs.clamp(1, groups.len()) {
                scope.spawn(|| {
                    while let Some(index) = Some(next.fetch_add(1, Ordering::Relaxed))
                        && let Some(group) = groups.get(index)
                        && self.interrupt.signal().is_none()
                    {
                        let results = self.one(group);
                        progress.group_done(&group.script.name);
                        done.lock().unwrap_or_else(PoisonError::into_inner).push((index, results));
                    }
                });
            }
        });
        let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
        done.sort_by_key(|(index, _)| *index);
        let mut cells = Vec::new();
        for (_, results) in done {
            cells.extend(results?);
        }
        match self.interrupt.name() {
            Some(signal) => bail!("interrupted by {signal}; what was made has been removed"),
            None => Ok(cells),
        }
    }

    /// One script, and what it says of its cells.
    fn one(&self, group: &Group) -> Result<Vec<CellResult>> {
        let plan = Plan::new(group.script.clone(), self.workshop.info.name.policy())?;
        let engine = self.workshop.engine(group.script.objects, Some(self.volume.to_owned()));
        let mut steps = Vec::with_capacity(plan.len());
        let clean_up = CleanUp::new(&*engine, true);
        let finished = run::run(&plan, &*engine, self.interrupt, &mut steps, &mut |_| {});
        let cleaned = clean_up.now();
        self.clean_host(group.script.objects);
        cleaned?;
        let engine = self.workshop.info.name;
        let judge = |(cell, step): &(Cell, String)| {
            let result = judge(cell, step, &plan, &steps, finished.as_ref().err());
            // Known is that something is still seen, not that anything else went wrong.
            let known = result.predicted == Sight::Absent
                && result.observed == Sight::Seen
                && finished.is_ok()
                && broken_setting(&steps, cell).is_none();
            let quirk = if known { quirk::of(engine, cell) } else { None };
            CellResult { quirk, ..result }
        };
        Ok(group.cells.iter().map(judge).collect())
    }

    /// Removes what containers in the host's namespace left there: the names are this script's
    /// own, and what holds its text is too.
    fn clean_host(&self, objects: Objects) {
        let mut addresses = vec![Address::from(objects.key)];
        addresses.extend(objects.name().parse::<Name>().map(Address::from));
        for address in addresses {
            let mut text = Vec::new();
            let read = address.open().map(|memory| memory.text().take(64).read_to_end(&mut text));
            if read.is_ok_and(|read| read.is_ok()) && text == self.text.as_bytes() {
                // What cannot be removed now is told by the next run that meets it.
                let _ = address.remove();
            }
        }
    }
}

/// What the steps of its script say of a cell.
fn judge(
    cell: &Cell,
    step: &str,
    plan: &Plan,
    steps: &[StepResult],
    aborted: Option<&Aborted>,
) -> CellResult {
    let result = |predicted, observed, verdict| CellResult {
        cell: cell.clone(),
        predicted,
        observed,
        verdict,
        quirk: None,
        namespace: None,
    };
    let place = cell.observer.place();
    let Some(planned) = plan.stages.iter().flatten().find(|planned| planned.step.id == step) else {
        // The model has no such step: the observer's container is refused.
        let refusal = steps
            .iter()
            .rev()
            .find(|result| result.planned.step.place == place && result.planned.is_refused());
        return match (refusal, aborted) {
            (Some(refusal), _) => {
                let observed = refusal.observed.as_ref().map_or(Sight::Unknown, Sight::of);
                result(Sight::Refused, observed, refusal.verdict.clone())
            }
            (None, Some(aborted)) => result(Sight::Refused, Sight::Unknown, failed(aborted)),
            (None, None) => {
                result(Sight::Refused, Sight::Unknown, Verdict::Skip("nobody was asked".to_owned()))
            }
        };
    };
    let predicted = Sight::of(&planned.predicted);
    let Some(carried_out) = steps.iter().find(|result| result.planned.step.id == step) else {
        let verdict = aborted.map_or(Verdict::Skip("not carried out".to_owned()), failed);
        return result(predicted, Sight::Unknown, verdict);
    };
    let observed = carried_out.observed.as_ref().map_or(Sight::Unknown, Sight::of);
    let broken = broken_setting(steps, cell);
    let verdict = broken.map_or(&carried_out.verdict, |broken| &broken.verdict).clone();
    let namespace = carried_out.observed.as_ref().and_then(|observed| observed.namespace.clone());
    CellResult { namespace, ..result(predicted, observed, verdict) }
}

/// What went wrong before the question was asked: a cell is only as good as that.
fn broken_setting<'a>(steps: &'a [StepResult], cell: &Cell) -> Option<&'a StepResult> {
    let control = format!("control-{}", cell.mechanism.word());
    steps.iter().find(|result| {
        let id = &result.planned.step.id;
        let setting = id.starts_with("run-") || id.starts_with("event-") || *id == control;
        setting && matches!(result.verdict, Verdict::Fail(_))
    })
}

/// The verdict on a cell whose script could not be carried out.
fn failed(aborted: &Aborted) -> Verdict {
    Verdict::Fail(Difference {
        what: "script",
        predicted: "carried out".to_owned(),
        observed: aborted.to_string(),
    })
}
