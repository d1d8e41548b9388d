//! The matrix as JSON. Each change of its schema increments `schema_version`.

use std::io::{self, Write};

use serde::Serialize;

use super::Matrix;
use crate::engine::EngineInfo;
use crate::engine::observation::Identity;
use crate::judge::quirk::Quirk;
use crate::judge::results::{CellOutcome, CellResult, Grid, ScriptRun, Visibility};
use crate::process::untrusted::json::write_pretty;
use crate::script::matrix::Cell;

#[derive(Serialize)]
pub(super) struct MatrixDocumentJson<'a> {
    schema_version: u32,
    script: &'static str,
    engines: Vec<OnEngine<'a>>,
    verdict: &'static str,
}

#[derive(Serialize)]
struct OnEngine<'a> {
    engine: &'a EngineInfo,
    duration_ms: u128,
    cells: Vec<RowJson<'a>>,
    scripts: &'a [ScriptRun],
    quirks_gone: &'a [&'static Quirk],
    verdict: &'static str,
}

#[derive(Serialize)]
struct RowJson<'a> {
    #[serde(flatten)]
    cell: &'a Cell,
    predicted: Visibility,
    observed: &'a [Visibility],
    ipc_namespace: &'a Option<Identity>,
    verdict: CellOutcome,
    quirk: Option<&'static Quirk>,
    reason: Option<&'a str>,
    script: &'a str,
    steps: &'a [String],
}

pub(super) fn write(matrix: &Matrix, out: &mut dyn Write) -> io::Result<()> {
    write_pretty(out, &document(matrix))
}

pub(super) fn document(matrix: &Matrix) -> MatrixDocumentJson<'_> {
    MatrixDocumentJson {
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
        scripts: &grid.scripts,
        quirks_gone: &grid.gone,
        verdict: verdict(grid.passed()),
    }
}

fn row<'a>(grid: &'a Grid, cell: &'a CellResult) -> RowJson<'a> {
    RowJson {
        cell: &cell.cell,
        predicted: cell.predicted,
        observed: &cell.observed,
        ipc_namespace: &cell.namespace,
        verdict: cell.outcome,
        quirk: cell.quirk,
        reason: cell.reason.as_deref(),
        script: &grid.scripts[cell.script].name,
        steps: &cell.steps,
    }
}

fn verdict(passed: bool) -> &'static str {
    if passed { "pass" } else { "fail" }
}
