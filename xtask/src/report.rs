//! What a run showed, for people and for programs. Reporters only read.

use std::io::{self, Write};
use std::time::Duration;

use clap::ValueEnum;
use shm_cli::text::Escaped;
use shm_core::Key;
use shm_core::text::escape;

use crate::engine::EngineInfo;
use crate::engine::observation::{Identity, Observation};
use crate::judge::run::{describe, namespaces};
use crate::judge::verdict::{self, Difference, StepResult, Verdict};
use crate::model::plan::Plan;
use crate::process::invocation::command_line;
use crate::process::untrusted::{Guard, Untrusted};
use crate::script::{Conclusion, Place, article};

mod html;
mod json;
mod junit;
mod markdown;
pub mod matrix;
pub mod nodes;
pub mod output;
mod page;
pub mod progress;
mod text;

/// The forms of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people
    Text,
    /// For programs
    Json,
    /// To be pasted into an issue
    Markdown,
    /// For CI servers: `JUnit`'s XML
    Junit,
    /// One self-contained page
    Html,
}

/// A run, judged.
#[derive(Debug)]
pub struct Report {
    /// Where it ran.
    pub engine: EngineInfo,
    /// The image that the tools were put into.
    pub base: Untrusted,
    /// The script's name.
    pub script: String,
    /// The key of all its segments.
    pub key: Key,
    /// From the first step to the last.
    pub duration: Duration,
    /// Its steps.
    pub steps: Vec<StepResult>,
    /// What follows from them.
    pub conclusions: Vec<ConclusionResult>,
}

/// A conclusion, judged.
#[derive(Debug)]
pub struct ConclusionResult {
    /// What was to be concluded.
    pub conclusion: Conclusion,
    /// Whether the model says that it holds; `None` where it says neither.
    pub predicted: Option<bool>,
    /// Whether the engine showed that it holds; `None` where it showed neither.
    pub observed: Option<bool>,
    /// How the two compare.
    pub verdict: Verdict,
    /// Why: the namespaces that each place was in, one after another.
    pub namespaces: Vec<(Place, Vec<Identity>)>,
}

impl ConclusionResult {
    /// What was found, in words: the statement, or that it is not so.
    #[must_use]
    pub fn finding(&self) -> String {
        let not = if self.observed == Some(false) { "it is not so that " } else { "" };
        format!("{not}{}", self.conclusion.statement)
    }
}

impl Report {
    /// Draws the conclusions from the steps of a run.
    #[must_use]
    pub fn new(
        engine: EngineInfo,
        base: String,
        plan: &Plan,
        steps: Vec<StepResult>,
        duration: Duration,
    ) -> Self {
        let conclude = |conclusion: &Conclusion| conclude(plan, conclusion, &steps);
        let conclusions = plan.script.conclusions.iter().map(conclude).collect();
        let (script, key) = (plan.script.name.clone(), plan.script.objects.key);
        Self { engine, base: base.into(), script, key, duration, steps, conclusions }
    }

    /// Has the conclusion about the host fail: the run has made a segment there.
    pub fn contradict_host_isolation(&mut self) {
        let is_about_the_host =
            |it: &&mut ConclusionResult| it.conclusion.id == article::HOST_ISOLATED;
        if let Some(it) = self.conclusions.iter_mut().find(is_about_the_host)
            && !it.verdict.is_bad()
        {
            it.verdict = Verdict::Fail(Difference {
                what: "segment on the host",
                predicted: "none".to_owned(),
                observed: "one that the run has made".to_owned(),
            });
        }
    }

    fn verdicts(&self) -> impl Iterator<Item = &Verdict> {
        let steps = self.steps.iter().map(|step| &step.verdict);
        steps.chain(self.conclusions.iter().map(|conclusion| &conclusion.verdict))
    }

    /// Whether nothing differs from what was predicted, and all of it is proven.
    #[must_use]
    pub fn passed(&self) -> bool {
        !self.verdicts().any(Verdict::is_bad)
    }

    /// The verdict on the run in a word.
    #[must_use]
    pub fn word(&self) -> &'static str {
        let fails = |verdict: &Verdict| matches!(verdict, Verdict::Fail(_));
        match self.passed() {
            true => "pass",
            false if self.verdicts().any(fails) => "fail",
            false => "unproven",
        }
    }

    /// Writes it.
    ///
    /// # Errors
    ///
    /// Those of the writer.
    pub fn write(&self, format: Format, out: &mut dyn Write) -> io::Result<()> {
        format.write(out, |out| match format {
            Format::Text => text::write(self, out),
            Format::Json => json::write(self, out),
            Format::Markdown => markdown::write(self, out),
            Format::Junit => junit::write(self, out),
            Format::Html => html::write(self, out),
        })
    }
}

impl Format {
    /// Has a report of this form written and flushed. Whatever its parts let through, nothing that
    /// drives a terminal gets past this writer, but for the styles of the form for people.
    fn write(
        self,
        out: &mut dyn Write,
        report: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> io::Result<()> {
        if self == Self::Text {
            let mut guard = Guard::new(out);
            report(&mut guard)?;
            return guard.finish();
        }
        let mut escaped = Escaped::new(&mut *out);
        report(&mut escaped)?;
        escaped.finish()?;
        out.flush()
    }
}

fn conclude(plan: &Plan, conclusion: &Conclusion, steps: &[StepResult]) -> ConclusionResult {
    let find = |id: &str| steps.iter().find(|result| result.planned.step.id == id);
    let observe = |id: &str| find(id)?.observed.as_ref();
    let predict = |id: &str| -> Option<&Observation> { Some(&find(id)?.planned.predicted) };
    let predicted = verdict::holds(&plan.script, conclusion, predict);
    let observed = verdict::holds(&plan.script, conclusion, observe);
    let skipped = conclusion.evidence.iter().find_map(|evidence| {
        let verdict = &find(&evidence.step)?.verdict;
        matches!(verdict, Verdict::Skip(_)).then(|| verdict.clone())
    });
    let verdict = skipped.unwrap_or_else(|| {
        match (verdict::conclusion(predicted, observed), verdict::missing_proof(conclusion, steps))
        {
            (Verdict::Pass, Some(why)) => Verdict::Unproven(why),
            (verdict, _) => verdict,
        }
    });
    let namespaces =
        conclusion.places.iter().map(|place| (*place, namespaces(steps, *place))).collect();
    ConclusionResult { conclusion: conclusion.clone(), predicted, observed, verdict, namespaces }
}

/// How many steps and conclusions came out how, in words.
fn summary(report: &Report) -> String {
    let count = |wanted: &str| report.verdicts().filter(|v| v.word() == wanted).count();
    let (steps, conclusions) = (report.steps.len(), report.conclusions.len());
    let counts: Vec<_> =
        [("fail", "not as predicted"), ("unproven", "unproven"), ("skip", "skipped")]
            .into_iter()
            .map(|(word, words)| (count(word), words))
            .filter(|(count, _)| *count > 0)
            .map(|(count, words)| format!("{count} {words}"))
            .collect();
    let outcome = match (report.passed(), counts.join("; ")) {
        (true, counts) if counts.is_empty() => "all as predicted".to_owned(),
        (true, counts) => format!("as predicted; {counts}"),
        (false, counts) => counts,
    };
    let time = time(report.duration);
    format!("{steps} steps and {conclusions} conclusions in {time}: {outcome}")
}

/// The command that did a step, where a command did.
fn command(result: &StepResult) -> Option<Untrusted> {
    let observed = result.observed.as_ref().filter(|observed| !observed.output.command.is_empty());
    observed.map(|it| command_line(&it.output.command).into())
}

/// What was done in a step: the command that did it, or else in words.
fn action(result: &StepResult) -> Untrusted {
    command(result).unwrap_or_else(|| describe(&result.planned).into())
}

/// Why a verdict is no pass: it may quote an engine or a container.
fn reason(verdict: &Verdict) -> Option<Untrusted> {
    verdict.reason().map(Untrusted::from)
}

/// The namespaces that a place was in, one after another.
fn identities(identities: &[Identity]) -> Untrusted {
    identities.iter().map(Identity::to_string).collect::<Vec<_>>().join(", then ").into()
}

/// Which reader a step is a control of, in words; empty where it is none.
fn control(result: &StepResult) -> String {
    let of = result.planned.step.control_of();
    of.map(|reader| format!(", a control of {reader}")).unwrap_or_default()
}

/// What a command printed, safe to show: without the carriage returns of what was a terminal.
fn printed(bytes: &[u8]) -> String {
    escape(bytes).replace("\\x0d\n", "\n")
}

fn time(duration: Duration) -> String {
    if duration < Duration::from_secs(1) {
        format!("{} ms", duration.as_millis())
    } else {
        format!("{:.1} s", duration.as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum;

    use super::Format;

    #[test]
    fn no_form_lets_through_what_drives_a_terminal_though_its_parts_do() {
        for format in Format::value_variants() {
            let mut out = Vec::new();
            let text = "\x1b]0;title\x07\x1b[2J\u{202e}\u{fffe}\n";
            format.write(&mut out, |out| out.write_all(text.as_bytes())).unwrap();
            let shown = "\\x1b]0;title\\x07\\x1b[2J\\xe2\\x80\\xae\\xef\\xbf\\xbe\n";
            assert_eq!(String::from_utf8(out).unwrap(), shown, "{format:?}");
        }
    }
}
