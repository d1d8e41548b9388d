//! The report as Markdown, for example for an issue.

use std::fmt::Display;
use std::io::{self, Write};

use super::{Report, command, printed, reason};
use crate::engine::observation::Observation;
use crate::judge::run::describe;
use crate::judge::verdict::StepResult;

pub(super) fn write(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    let engine = &report.engine;
    let (title, version) = (inline(engine.title()), inline(&engine.version));
    writeln!(out, "## The {}'s experiment on {title} {version}\n", report.script)?;
    writeln!(
        out,
        "{}. Kernel {}, base {}, key {}.\n",
        super::summary(report),
        inline(&engine.kernel),
        code(&report.base),
        code(report.key)
    )?;
    writeln!(out, "| conclusion | verdict |\n|---|---|")?;
    for result in &report.conclusions {
        let verdict = &result.verdict;
        let reason = reason(verdict).map(|it| format!(": {}", inline(it))).unwrap_or_default();
        writeln!(out, "| {} | {}{reason} |", result.finding(), verdict.word())?;
    }
    for steps in report.sections() {
        writeln!(out, "\n### {}\n", steps[0].planned.step.section)?;
        steps.iter().try_for_each(|result| write_step(result, out))?;
    }
    Ok(())
}

fn write_step(result: &StepResult, out: &mut dyn Write) -> io::Result<()> {
    let place = result.planned.step.place;
    let what = command(result).map_or_else(|| describe(&result.planned), code);
    let reason = reason(&result.verdict).map(|it| format!(": {}", inline(it))).unwrap_or_default();
    let control = super::control(result);
    writeln!(out, "- **{place}** {what} — {}{reason}{control}", result.verdict.word())?;
    let block = result.observed.as_ref().map(block).unwrap_or_default();
    if !block.is_empty() {
        writeln!(out, "\n  ```text")?;
        for line in block.lines() {
            writeln!(out, "  {line}")?;
        }
        writeln!(out, "  ```\n")?;
    }
    Ok(())
}

/// Returns the output of a command, without fences that would end the surrounding code block.
fn block(observed: &Observation) -> String {
    let text = [&observed.output.stderr[..], &observed.output.stdout].map(printed).concat();
    text.replace("```", "'''").trim_end().to_owned()
}

/// Escapes a text for a line or a table cell.
pub(crate) fn inline(text: impl Display) -> String {
    let mut shown = String::new();
    for character in text.to_string().replace('\n', " ").chars() {
        if r"\`*_[]<>|#".contains(character) {
            shown.push('\\');
        }
        shown.push(character);
    }
    shown
}

/// Formats a text as inline code for a line or a table cell.
pub(crate) fn code(text: impl Display) -> String {
    let text = text.to_string();
    if text.is_empty() {
        return String::new();
    }
    format!("`{}`", text.replace(['`', '\n'], " ").replace('|', r"\|"))
}
