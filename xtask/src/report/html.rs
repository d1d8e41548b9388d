//! The report as an HTML page.

use std::io::{self, Write};

use maud::{Markup, html};

use super::page::page;
use super::{ConclusionResult, Report, action, identities, printed, reason};
use crate::judge::verdict::StepResult;
use crate::process::untrusted::Untrusted;

pub(super) fn write(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    let engine = &report.engine;
    let title =
        format!("The {}'s experiment on {} {}", report.script, engine.title(), engine.version);
    let body = html! {
        h1 { (title) }
        p { (super::summary(report)) "." }
        p.faint {
            "engine: " (engine.chosen) "; kernel " (engine.kernel) "; base " (report.base) ", key "
            (report.key)
        }
        h2 { "Conclusions" }
        @for result in &report.conclusions { (conclusion(result)) }
        @for steps in report.sections() {
            h2 { (steps[0].planned.step.section) }
            @for result in steps { (step(result)) }
        }
    };
    out.write_all(page(&title, "", &body).into_string().as_bytes())
}

fn conclusion(result: &ConclusionResult) -> Markup {
    html! {
        div.step {
            h3 { (badge(result.verdict.word())) " " (result.finding()) }
            @if let Some(reason) = reason(&result.verdict) { p { (reason) } }
            @for (place, seen) in &result.namespaces {
                p.faint { (place) " was in " (identities(seen)) }
            }
        }
    }
}

fn step(result: &StepResult) -> Markup {
    let observed = result.observed.as_ref();
    html! {
        div.step id=(result.planned.step.id) {
            (badge(result.verdict.word())) " " strong { (result.planned.step.place) } " "
            code { (action(result)) }
            @if let Some(reason) = reason(&result.verdict) { p { (reason) } }
            @if let Some(observed) = observed {
                @for text in [&observed.output.stderr, &observed.output.stdout] {
                    @if !text.is_empty() {
                        pre { (printed(text).trim_end()) }
                    }
                }
                p.faint {
                    @if let Some(reader) = result.planned.step.control_of() {
                        "control of " (reader) "; "
                    }
                    @if let Some(namespace) = &observed.namespace {
                        (Untrusted::from(namespace.to_string())) "; "
                    }
                    (super::time(observed.output.duration))
                }
            }
        }
    }
}

/// Returns the badge of a verdict, by its name.
pub(super) fn badge(word: &str) -> Markup {
    let class = match word {
        "pass" => "badge good",
        "skip" => "badge none",
        _ => "badge bad",
    };
    html! { span class=(class) { (word) } }
}
