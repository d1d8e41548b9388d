//! The report as text.

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};

use super::{ConclusionResult, Report, action, identities, printed, reason, time};
use crate::engine::observation::Observation;
use crate::judge::verdict::{StepResult, Verdict};
use crate::process::untrusted::Untrusted;
use crate::script::Action;

const HEADING: Style = Style::new().bold();
const FAINT: Style = Style::new().dimmed();

/// Returns the style of a verdict, by its name.
pub(super) fn style(word: &str) -> Style {
    let color = match word {
        "pass" => AnsiColor::Green,
        "skip" => AnsiColor::Yellow,
        _ => AnsiColor::Red,
    };
    color.on_default().bold()
}

/// Returns the verdict in colour. Failures are in capitals, which are visible without colour.
fn word(verdict: &Verdict) -> String {
    let (style, word) = (style(verdict.word()), verdict.word());
    let word = if verdict.is_bad() { word.to_uppercase() } else { word.to_owned() };
    format!("{style}{word}{style:#}")
}

pub(super) fn write(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    let engine = &report.engine;
    let title =
        format!("The {}'s experiment on {} {}", report.script, engine.title(), engine.version);
    writeln!(out, "{HEADING}{title}{HEADING:#}")?;
    writeln!(out, "engine: {}; kernel {}", engine.chosen, engine.kernel)?;
    writeln!(out, "base {}, key {}", report.base, report.key)?;
    for steps in report.sections() {
        writeln!(out, "\n{HEADING}{}{HEADING:#}", steps[0].planned.step.section)?;
        steps.iter().try_for_each(|result| write_step(result, out))?;
    }
    writeln!(out, "\n{HEADING}Conclusions{HEADING:#}")?;
    for result in &report.conclusions {
        write_conclusion(result, out)?;
    }
    writeln!(out, "\n{}", super::summary(report))
}

fn write_step(result: &StepResult, out: &mut dyn Write) -> io::Result<()> {
    let place = result.planned.step.place;
    let what = action(result);
    writeln!(out, "\n{HEADING}{place:<5}{HEADING:#} {what}")?;
    if let Some(observed) = &result.observed {
        write_output(result, observed, out)?;
    }
    let comment = reason(&result.verdict).unwrap_or_else(|| "as predicted".into());
    write!(out, "      {}: {comment}{}", word(&result.verdict), super::control(result))?;
    if let Some(observed) = &result.observed {
        let namespace = observed.namespace.as_ref().map(|namespace| format!("; {namespace}"));
        let namespace = Untrusted::from(namespace.unwrap_or_default());
        let facts = format!("{namespace}; {}", time(observed.output.duration));
        write!(out, "{FAINT}{facts}{FAINT:#}")?;
    }
    writeln!(out)
}

/// Writes the output of a command. After a passed step, standard error is only the tool's error.
fn write_output(
    result: &StepResult,
    observed: &Observation,
    out: &mut dyn Write,
) -> io::Result<()> {
    let predicted = matches!(result.verdict, Verdict::Pass);
    let stderr = match result.planned.step.action {
        _ if !predicted => &observed.output.stderr[..],
        Action::Write(..) | Action::Control(..) | Action::Read(_) | Action::List => {
            observed.tool_error()
        }
        // Engines print progress messages there.
        _ => &[],
    };
    for text in [stderr, &observed.output.stdout] {
        for line in printed(text).lines().filter(|line| !line.is_empty()) {
            writeln!(out, "      {FAINT}|{FAINT:#} {line}")?;
        }
    }
    Ok(())
}

fn write_conclusion(result: &ConclusionResult, out: &mut dyn Write) -> io::Result<()> {
    let (id, finding) = (result.conclusion.id, result.finding());
    writeln!(out, "\n{}  {HEADING}{id}{HEADING:#}: {finding}", word(&result.verdict))?;
    if let Some(reason) = reason(&result.verdict) {
        writeln!(out, "      {reason}")?;
    }
    for (place, seen) in &result.namespaces {
        let list = if seen.is_empty() { "not seen".into() } else { identities(seen) };
        writeln!(out, "      {place:<5} was in {list}")?;
    }
    Ok(())
}
