//! The matrix as `JUnit` XML, with a test case for each cell.

use std::io::{self, Write};
use std::time::Duration;

use quick_junit::{NonSuccessKind, TestCase, TestCaseStatus};

use super::Matrix;
use crate::judge::results::{CellOutcome, CellResult, Grid};
use crate::judge::verdict::StepResult;
use crate::process::untrusted::Untrusted;
use crate::report::junit::{printed_output, serialize, suite};

pub(super) fn write(matrix: &Matrix, out: &mut dyn Write) -> io::Result<()> {
    let mut document = quick_junit::Report::new("matrix");
    document.set_time(matrix.grids.iter().map(|grid| grid.duration).sum());
    for grid in &matrix.grids {
        let title = grid.engine.title();
        for cells in grid.cells.chunk_by(|a, b| a.cell.sharing == b.cell.sharing) {
            let mode = cells[0].cell.sharing;
            let mut suite = suite(format!("{title}: {mode}"), &grid.engine);
            let cases: Vec<_> = cells.iter().map(|cell| case(&title, grid, cell)).collect();
            suite.set_time(cases.iter().filter_map(|case| case.time).sum::<Duration>());
            suite.add_test_cases(cases);
            document.add_test_suite(suite);
        }
    }
    serialize(&document, out)
}

fn case(title: &str, grid: &Grid, cell: &CellResult) -> TestCase {
    let mut status = match cell.outcome {
        CellOutcome::Skipped => TestCaseStatus::skipped(),
        bad if bad.is_bad() => TestCaseStatus::non_success(NonSuccessKind::Failure),
        _ => TestCaseStatus::success(),
    };
    if let Some(reason) = &cell.reason {
        status.set_message(Untrusted::from(&reason[..]).to_string());
    }
    status.set_type(cell.outcome.to_string());
    let mut case = TestCase::new(cell.cell.to_string(), status);
    case.set_classname(format!("matrix.{title}.{}.{}", cell.cell.sharing, cell.cell.event));
    let steps: Vec<_> = steps(grid, cell).collect();
    case.set_time(steps.iter().filter_map(|it| Some(it.observed.as_ref()?.output.duration)).sum());
    let printed = steps.iter().filter_map(|it| it.observed.as_ref()).map(printed_output);
    case.set_system_out(printed.collect::<String>());
    case
}

/// Iterates over the steps that answer a cell, in all runs.
fn steps<'a>(grid: &'a Grid, cell: &'a CellResult) -> impl Iterator<Item = &'a StepResult> {
    let runs = grid.scripts[cell.script].runs.iter();
    let steps = runs.flat_map(|run| &run.steps);
    steps.filter(|result| cell.steps.contains(&result.planned.step.id))
}
