//! The matrix as JSON. Each change of its schema increments `schema_version`.

use std::io::{self, Write};

use serde::Serialize;

use super::Matrix;
use crate::engine::EngineInfo;
use crate::engine::observation::Identity;
use crate::judge::results::{self, CellResult, Grid, Outcome, ScriptRun, Visibility};
use crate::process::untrusted::json::write_pretty;
use crate::report::json::Step;
use crate::script::matrix::Cell;

#[derive(Serialize)]
pub(super) struct Document<'a> {
    schema_version: u32,
    script: &'static str,
    engines: Vec<OnEngine<'a>>,
    verdict: &'static str,
}

#[derive(Serialize)]
struct OnEngine<'a> {
    engine: &'a EngineInfo,
    duration_ms: u128,
    cells: Vec<Row<'a>>,
    scripts: Vec<Script<'a>>,
    quirks_gone: Vec<Quirk>,
    verdict: &'static str,
}

#[derive(Serialize)]
struct Row<'a> {
    #[serde(flatten)]
    cell: &'a Cell,
    predicted: Visibility,
    observed: &'a [Visibility],
    ipc_namespace: &'a Option<Identity>,
    verdict: Outcome,
    quirk: Option<Quirk>,
    reason: Option<&'a str>,
    script: &'a str,
    steps: &'a [String],
}

#[derive(Serialize)]
struct Quirk {
    id: &'static str,
    citation: &'static str,
    racy: bool,
}

#[derive(Serialize)]
struct Script<'a> {
    name: &'a str,
    runs: Vec<Run<'a>>,
}

#[derive(Serialize)]
struct Run<'a> {
    steps: Vec<Step<'a>>,
    aborted: Option<&'a str>,
}

pub(super) fn write(matrix: &Matrix, out: &mut dyn Write) -> io::Result<()> {
    write_pretty(out, &document(matrix))
}

pub(super) fn document(matrix: &Matrix) -> Document<'_> {
    Document {
        schema_version: 1,
        script: "matrix",
        engines: matrix.grids.iter().map(on_engine).collect(),
        verdict: verdict(matrix.passed()),
    }
}

fn on_engine(grid: &Grid) -> OnEngine<'_> {
    OnEngine {
        engine: &grid.engine,
        duration_ms: grid.duration.as_millis(),
        cells: grid.cells.iter().map(|cell| row(grid, cell)).collect(),
        scripts: grid.scripts.iter().map(script).collect(),
        quirks_gone: grid.gone.iter().map(|it| quirk(it)).collect(),
        verdict: verdict(grid.passed()),
    }
}

fn row<'a>(grid: &'a Grid, cell: &'a CellResult) -> Row<'a> {
    Row {
        cell: &cell.cell,
        predicted: cell.predicted,
        observed: &cell.observed,
        ipc_namespace: &cell.namespace,
        verdict: cell.outcome,
        quirk: cell.quirk.map(quirk),
        reason: cell.reason.as_deref(),
        script: &grid.scripts[cell.script].name,
        steps: &cell.steps,
    }
}

fn quirk(quirk: &crate::judge::quirk::Quirk) -> Quirk {
    Quirk { id: quirk.id, citation: quirk.citation, racy: quirk.racy }
}

fn script(script: &ScriptRun) -> Script<'_> {
    Script { name: &script.name, runs: script.runs.iter().map(run).collect() }
}

fn run(run: &results::Run) -> Run<'_> {
    Run { steps: run.steps.iter().map(Step::new).collect(), aborted: run.aborted.as_deref() }
}

fn verdict(passed: bool) -> &'static str {
    if passed { "pass" } else { "fail" }
}
