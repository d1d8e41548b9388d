//! Reports of runs, for people and for programs. Reporters only read the results.

use std::io::{self, Write};
use std::time::Duration;

use clap::ValueEnum;
use shm_cli::text::Escaped;
use shm_core::Key;
use shm_core::text::escape;

use crate::engine::EngineInfo;
use crate::engine::observation::Identity;
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

/// The format of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Text for people
    Text,
    /// JSON for programs
    Json,
    /// Markdown for an issue
    Markdown,
    /// `JUnit` XML for CI servers
    Junit,
    /// One self-contained HTML page
    Html,
}

/// The results of a run.
#[derive(Debug)]
pub struct Report {
    /// The engine.
    pub engine: EngineInfo,
    /// The base image of the tools.
    pub base: Untrusted,
    /// The name of the script.
    pub script: String,
    /// The key of the segments.
    pub key: Key,
    /// The duration of the steps.
    pub duration: Duration,
    /// The results of the steps.
    pub steps: Vec<StepResult>,
    /// The results of the conclusions.
    pub conclusions: Vec<ConclusionResult>,
}

/// The result of a conclusion.
#[derive(Debug)]
pub struct ConclusionResult {
    /// The conclusion.
    pub conclusion: Conclusion,
    /// Whether it holds on the model; `None` if that is inconclusive.
    pub predicted: Option<bool>,
    /// Whether it holds on the engine; `None` if that is inconclusive.
    pub observed: Option<bool>,
    /// The comparison of the two.
    pub verdict: Verdict,
    /// The namespaces of each place in order, which explain the result.
    pub namespaces: Vec<(Place, Vec<Identity>)>,
}

impl ConclusionResult {
    /// Returns the statement, after "no" if the engine disproved it.
    #[must_use]
    pub fn finding(&self) -> String {
        let statement = self.conclusion.statement;
        match (self.observed, &self.verdict) {
            (Some(false), Verdict::Pass) => format!("no, as predicted ({statement})"),
            (Some(false), _) => format!("no ({statement})"),
            _ => statement.to_owned(),
        }
    }
}

impl Report {
    /// Creates a report, with the conclusions from the steps of a run.
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

    /// Fails the conclusion about the host, because the run created a segment there.
    pub fn contradict_host_isolation(&mut self) {
        let is_about_the_host =
            |it: &&mut ConclusionResult| it.conclusion.id == article::HOST_ISOLATED;
        if let Some(it) = self.conclusions.iter_mut().find(is_about_the_host)
            && !it.verdict.is_bad()
        {
            it.verdict = Verdict::Fail(Difference {
                what: "segment on the host",
                predicted: "none".to_owned(),
                observed: "one that the run created".to_owned(),
            });
        }
    }

    fn verdicts(&self) -> impl Iterator<Item = &Verdict> {
        let steps = self.steps.iter().map(|step| &step.verdict);
        steps.chain(self.conclusions.iter().map(|conclusion| &conclusion.verdict))
    }

    /// Iterates over the sections of the script. Each has at least one step.
    fn sections(&self) -> impl Iterator<Item = &[StepResult]> {
        self.steps.chunk_by(|a, b| a.planned.step.section == b.planned.step.section)
    }

    /// Returns whether all results are as predicted and proven.
    #[must_use]
    pub fn passed(&self) -> bool {
        !self.verdicts().any(Verdict::is_bad)
    }

    /// Returns the name of the run's verdict.
    #[must_use]
    pub fn word(&self) -> &'static str {
        let fails = |verdict: &Verdict| matches!(verdict, Verdict::Fail(_));
        match self.passed() {
            true => "pass",
            false if self.verdicts().any(fails) => "fail",
            false => "unproven",
        }
    }

    /// Writes the report.
    ///
    /// # Errors
    ///
    /// Returns the errors of `out`.
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
    /// Writes and flushes a report in this format. Escapes control characters that the parts of the
    /// report missed, except the styles of [`Format::Text`].
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
    let observe = |id: &str| verdict::find(steps, id)?.observed.as_ref();
    let predict = |id: &str| verdict::find(steps, id).map(|result| &result.planned.predicted);
    let predicted = verdict::holds(&plan.script, conclusion, predict);
    let observed = verdict::holds(&plan.script, conclusion, observe);
    let skipped = conclusion.evidence.iter().find_map(|evidence| {
        let verdict = &verdict::find(steps, &evidence.step)?.verdict;
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

/// Returns the numbers of steps and conclusions by verdict, in words.
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

/// Returns the command of a step, or `None` if the step ran no command.
fn command(result: &StepResult) -> Option<Untrusted> {
    let observed = result.observed.as_ref().filter(|observed| !observed.output.command.is_empty());
    observed.map(|it| command_line(&it.output.command).into())
}

/// Returns the command of a step, or the description of a step without a command.
fn action(result: &StepResult) -> Untrusted {
    command(result).unwrap_or_else(|| describe(&result.planned).into())
}

/// Returns the reason of a verdict, which may quote an engine or a container.
fn reason(verdict: &Verdict) -> Option<Untrusted> {
    verdict.reason().map(Untrusted::from)
}

/// Returns the list of namespaces as text.
fn identities(identities: &[Identity]) -> Untrusted {
    identities.iter().map(Identity::to_string).collect::<Vec<_>>().join(", then ").into()
}

/// Returns a text that names the reader of a control; empty for other steps.
fn control(result: &StepResult) -> String {
    let of = result.planned.step.control_of();
    of.map(|reader| format!(", a control of {reader}")).unwrap_or_default()
}

/// Escapes the output of a command, and removes the carriage returns of a terminal.
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
    fn every_format_escapes_control_characters_that_its_parts_print() {
        for format in Format::value_variants() {
            let mut out = Vec::new();
            let text = "\x1b]0;title\x07\x1b[2J\u{202e}\u{fffe}\n";
            format.write(&mut out, |out| out.write_all(text.as_bytes())).unwrap();
            let shown = "\\x1b]0;title\\x07\\x1b[2J\\xe2\\x80\\xae\\xef\\xbf\\xbe\n";
            assert_eq!(String::from_utf8(out).unwrap(), shown, "{format:?}");
        }
    }
}
