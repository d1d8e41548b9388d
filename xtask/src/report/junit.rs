//! The report as `JUnit` XML, with a test case for each step and each conclusion.

use std::io::{self, Write};

use quick_junit::{NonSuccessKind, TestCase, TestCaseStatus, TestSuite};

use super::{Report, printed, reason};
use crate::engine::EngineInfo;
use crate::engine::observation::Observation;
use crate::judge::verdict::Verdict;
use crate::process::invocation::command_line;
use crate::process::untrusted::Untrusted;

pub(super) fn write(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    let title = report.engine.title();
    let mut suite = suite(format!("{} on {title}", report.script), &report.engine);
    suite.set_time(report.duration);
    for result in &report.steps {
        let mut case = TestCase::new(&result.planned.step.id, status_of(&result.verdict));
        case.set_classname(format!("{}.{title}", report.script));
        if let Some(observed) = &result.observed {
            case.set_time(observed.output.duration);
            case.set_system_out(printed_output(observed));
        }
        suite.add_test_case(case);
    }
    for result in &report.conclusions {
        let mut case = TestCase::new(result.conclusion.id, status_of(&result.verdict));
        case.set_classname(format!("{}.{title}.conclusions", report.script));
        suite.add_test_case(case);
    }
    let mut document = quick_junit::Report::new(&report.script);
    document.set_time(report.duration).add_test_suite(suite);
    serialize(&document, out)
}

/// Returns an empty test suite with the properties of an engine.
pub(super) fn suite(name: String, engine: &EngineInfo) -> TestSuite {
    let mut suite = TestSuite::new(name);
    suite.add_property(("engine", &engine.title()[..]));
    suite.add_property(("version", &engine.version.to_string()[..]));
    suite.add_property(("kernel", &engine.kernel.to_string()[..]));
    suite
}

/// Writes the document. Renames the attribute `disabled` of quick-junit, which counts skipped
/// cases, because Jenkins requires `skipped`.
pub(super) fn serialize(report: &quick_junit::Report, out: &mut dyn Write) -> io::Result<()> {
    let document = report.to_string().map_err(io::Error::other)?;
    for line in document.lines() {
        // A line of a text cannot start with this tag, because its `<` is escaped.
        if line.trim_start().starts_with("<testsuite ") {
            writeln!(out, "{}", line.replacen(" disabled=", " skipped=", 1))?;
        } else {
            writeln!(out, "{line}")?;
        }
    }
    Ok(())
}

/// Returns a command with its output.
pub(super) fn printed_output(observed: &Observation) -> String {
    let command = match &observed.output.command[..] {
        [] => String::new(),
        command => format!("$ {}\n", Untrusted::from(command_line(command))),
    };
    command + &printed(&observed.output.stdout) + &printed(&observed.output.stderr)
}

/// Returns a status by the name of a verdict. A success has no message.
pub(super) fn status(word: &str, message: Option<Untrusted>) -> TestCaseStatus {
    let mut status = match word {
        "pass" => TestCaseStatus::success(),
        "skip" => TestCaseStatus::skipped(),
        "error" => TestCaseStatus::non_success(NonSuccessKind::Error),
        _ => TestCaseStatus::non_success(NonSuccessKind::Failure),
    };
    if word == "unproven" {
        status.set_type(word);
    }
    if let Some(message) = message {
        status.set_message(message.to_string());
    }
    status
}

fn status_of(verdict: &Verdict) -> TestCaseStatus {
    status(verdict.word(), reason(verdict))
}
