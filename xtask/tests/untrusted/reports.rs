//! Reports in every format.

use std::time::Duration;

use assert_cmd::Command;
use clap::ValueEnum;
use regex::Regex;
use shm_cli::DEFAULT_KEY;
use xtask::engine::kubernetes::nodes::Node;
use xtask::engine::observation::{Identity, Observation};
use xtask::engine::{EngineInfo, EngineKind, Rules, discover};
use xtask::judge::evaluate;
use xtask::judge::results::{CellOutcome, Grid, Run, ScriptRun};
use xtask::judge::verdict::{Difference, Judge, StepResult, Verdict};
use xtask::model::plan::Plan;
use xtask::process::invocation::Output;
use xtask::report::matrix::Matrix;
use xtask::report::nodes::{self, NodeResult, NodesReport};
use xtask::report::{Format, Report};
use xtask::script::article;
use xtask::script::matrix::{World, groups};

use crate::{HOSTILE, assert_tame};

type Form<'a> = &'a dyn Fn(Format, &mut Vec<u8>) -> std::io::Result<()>;

/// Checks a report in every format; each must contain the beginning of the hostile text.
fn check(write: Form<'_>) {
    let style = Regex::new("\x1b\\[[0-9;]*m").unwrap();
    for format in Format::value_variants() {
        let mut report = Vec::new();
        write(*format, &mut report).unwrap();
        let report = String::from_utf8(report).unwrap();
        let start = if *format == Format::Json { "\\u001b]0;evil" } else { "\\x1b" };
        assert!(report.contains(start), "{format:?}: {report}");
        match format {
            Format::Text => {
                assert!(!report.contains("\x1b[38;5;99m"), "{report:?}");
                assert_tame(&style.replace_all(&report, ""));
            }
            Format::Json => {
                assert_tame(&report);
                let read: serde_json::Value = serde_json::from_str(&report).unwrap();
                assert!(has(&read, HOSTILE), "the text is not read back unchanged: {read}");
            }
            Format::Junit => {
                assert_tame(&report);
                assert_well_formed(&report);
            }
            Format::Markdown => assert_tame(&report),
            Format::Html => {
                assert_tame(&report);
                // The script of the page shows its data, so the data must be escaped too.
                assert!(!report.contains("\\u202e") && !report.contains("\\u001b"), "{report}");
            }
        }
    }
}

/// Returns whether a document contains a text.
fn has(value: &serde_json::Value, text: &str) -> bool {
    use serde_json::Value;
    match value {
        Value::String(it) => it == text,
        Value::Array(all) => all.iter().any(|it| has(it, text)),
        Value::Object(all) => all.values().any(|it| has(it, text)),
        _ => false,
    }
}

fn assert_well_formed(report: &str) {
    let schema = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/junit.xsd");
    let path = std::env::var_os("PATH").unwrap_or_default();
    if !std::env::split_paths(&path).any(|folder| folder.join("xmllint").exists()) {
        let required = std::env::var("SHM_REQUIRE_ENGINES").unwrap_or_default();
        assert!(!required.contains("xmllint"), "xmllint is required, but not installed");
        return;
    }
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), report).unwrap();
    let args = ["--noout", "--schema", schema];
    Command::new("xmllint").args(args).arg(file.path()).assert().success();
}

fn engine() -> EngineInfo {
    let (version, kernel) = (HOSTILE.into(), HOSTILE.into());
    let chosen = format!("docker: {HOSTILE}").into();
    EngineInfo { name: EngineKind::Podman, version, kernel, chosen, ..discover::model().info }
}

/// Returns an observation with hostile text in every field that can hold it.
fn observed(planned: &Observation) -> Observation {
    let output = Output {
        command: ["docker", "exec", HOSTILE].map(str::to_owned).to_vec(),
        stdout: HOSTILE.into(),
        stderr: format!("shm failed, errno: {HOSTILE}\n").into(),
        ..planned.output.clone()
    };
    let namespace = Some(Identity::Unknown(HOSTILE.to_owned()));
    Observation { output, namespace, ..planned.clone() }
}

/// Returns the steps of a plan: the first is skipped, the second fails, the others are judged.
fn steps(plan: &Plan) -> Vec<StepResult> {
    let mut judge = Judge::new(DEFAULT_KEY, None);
    let planned = plan.stages.iter().flatten().enumerate();
    let step = planned.map(|(number, planned)| {
        let observed = observed(&planned.predicted);
        let verdict = match number {
            0 => Verdict::Skip(HOSTILE.to_owned()),
            1 => Verdict::Fail(Difference {
                what: "script",
                predicted: "carried out".to_owned(),
                observed: HOSTILE.to_owned(),
            }),
            _ => judge.step(planned, &observed),
        };
        StepResult { planned: planned.clone(), observed: Some(observed), verdict }
    });
    step.collect()
}

fn report() -> Report {
    let rules = Rules::from(EngineKind::Podman.policy());
    let plan = Plan::new(article::script(DEFAULT_KEY, &[], "fresh"), rules).unwrap();
    Report::new(engine(), HOSTILE.to_owned(), &plan, steps(&plan), Duration::ZERO)
}

#[test]
fn a_report_of_an_experiment_escapes_untrusted_text() {
    let report = report();
    check(&|format, out| report.write(format, out));
}

#[test]
fn a_report_of_nodes_escapes_untrusted_text() {
    let node = |name: &str| Node {
        name: name.parse().unwrap(),
        runtime: HOSTILE.into(),
        kernel: HOSTILE.into(),
        unfit: Some(HOSTILE.into()),
    };
    let outcomes = [
        nodes::NodeOutcome::Skipped(HOSTILE.to_owned()),
        nodes::NodeOutcome::Failed(HOSTILE.to_owned()),
        nodes::NodeOutcome::Judged(Box::new(report())),
    ];
    let row = |outcome| NodeResult { node: node("a"), duration: Duration::ZERO, outcome };
    let nodes = outcomes.into_iter().map(row).collect();
    let fleet = NodesReport { engine: engine(), duration: Duration::ZERO, nodes };
    check(&|format, out| fleet.write(format, out));
}

#[test]
fn a_report_of_a_matrix_escapes_untrusted_text() {
    let groups = groups(World::Containers, || DEFAULT_KEY, "text");
    let group = groups.into_iter().find(|it| it.script.name.contains("restart")).unwrap();
    let rules = Rules::from(EngineKind::Podman.policy());
    let plan = Plan::new(group.script.clone(), rules).unwrap();
    let run = Run { steps: steps(&plan), aborted: Some(HOSTILE.to_owned()) };
    let (engine, runs) = (engine(), vec![run]);
    let ask = |question| evaluate::judge(question, 0, &plan, &runs, &engine);
    let mut cells: Vec<_> = group.questions.iter().map(ask).collect();
    for cell in &mut cells {
        cell.reason = Some(HOSTILE.to_owned());
    }
    let skipped = cells.iter_mut().filter(|cell| cell.cell.sharing != "container").take(1);
    skipped.for_each(|cell| cell.outcome = CellOutcome::Skipped);
    let scripts = vec![ScriptRun { name: group.script.name, runs }];
    let grid = Grid { engine, duration: Duration::ZERO, scripts, cells, gone: vec![] };
    let matrix = Matrix { grids: vec![grid] };
    check(&|format, out| matrix.write(format, out));
}
