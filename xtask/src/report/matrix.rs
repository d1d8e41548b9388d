//! The report of a matrix, in all formats.

use std::io::{self, Write};

use super::Format;
use crate::judge::results::{CellOutcome, CellResult, Grid, Visibility};
use crate::process::untrusted::Untrusted;
use crate::script::Mechanism;
use crate::script::matrix::Observer;

mod html;
mod json;
mod junit;
mod markdown;
mod text;

/// The results of all engines.
#[derive(Debug)]
pub struct Matrix {
    /// One grid for each engine, in the order of the command line.
    pub grids: Vec<Grid>,
}

impl Matrix {
    /// Returns whether all cells are proven, and all differences are known.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.grids.iter().all(Grid::passed)
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

/// The meaning of the letters in a grid.
const LEGEND: &str = "S System V segment, s semaphores, q message queue; m POSIX message queue, \
                      P POSIX object; F file";
/// The meaning of the other signs in a grid.
const SIGNS: &str = "- absent; L limited; x refused; . skipped; ! differs, unstable or unproven; \
                     ~ known difference";

/// Returns the observers of a mode, in the order of the columns.
fn columns(sharing: &str) -> [Observer; 4] {
    let second = if sharing == "shm-volume" { Observer::Apart } else { Observer::Other };
    let third = if sharing == "container" { Observer::Donor } else { Observer::Joiner };
    [Observer::Own, second, third, Observer::Host]
}

/// Returns what an observer sees of each mechanism, and the worst outcome.
fn square(row: &[CellResult], observer: Observer) -> (String, Option<CellOutcome>) {
    let cells: Vec<_> = row.iter().filter(|cell| cell.cell.observer == observer).collect();
    let outcome = cells
        .iter()
        .map(|cell| cell.outcome)
        .max_by_key(|outcome| CellOutcome::ALL.iter().position(|it| it == outcome));
    let all = |outcome| !cells.is_empty() && cells.iter().all(|cell| cell.outcome == outcome);
    let text = if all(CellOutcome::Skipped) {
        SKIPPED.to_owned()
    } else if !cells.is_empty() && cells.iter().all(|cell| cell.sight() == Visibility::Refused) {
        "refused".to_owned()
    } else {
        cells.iter().map(|cell| letter(cell)).collect::<Vec<_>>().join(" ")
    };
    (text, outcome)
}

fn letter(cell: &CellResult) -> &'static str {
    if cell.outcome == CellOutcome::Skipped {
        return ".";
    }
    match (cell.sight(), cell.cell.mechanism) {
        (Visibility::Seen, Mechanism::Sysv) => "S",
        (Visibility::Seen, Mechanism::Sem) => "s",
        (Visibility::Seen, Mechanism::Msg) => "q",
        (Visibility::Seen, Mechanism::Mqueue) => "m",
        (Visibility::Seen, Mechanism::Posix) => "P",
        (Visibility::Seen, Mechanism::File) => "F",
        (Visibility::Absent, _) => "-",
        (Visibility::Limited, _) => "L",
        (Visibility::Refused, _) => "x",
        (Visibility::Unknown, _) => "?",
    }
}

/// Returns the sign of an outcome, for output without colour.
fn mark(outcome: Option<CellOutcome>) -> &'static str {
    match outcome {
        Some(outcome) if outcome.is_bad() => " !",
        Some(CellOutcome::Quirk) => " ~",
        _ => "",
    }
}

/// Returns the reason if all rows of a mode were skipped for the same one.
fn skipped_mode(rows: &[&[CellResult]]) -> Option<Untrusted> {
    let mut cells = rows.iter().flat_map(|row| *row);
    let first = cells.next()?;
    let same =
        |cell: &CellResult| cell.outcome == CellOutcome::Skipped && cell.reason == first.reason;
    (same(first) && cells.all(same)).then_some(first.reason.as_deref()?.into())
}

/// Returns the squares that differ between engines, each with the text of every engine.
fn disagreements(matrix: &Matrix) -> Vec<(String, Vec<String>)> {
    let Some((first, others)) = matrix.grids.split_first() else { return vec![] };
    let mut found = Vec::new();
    for (number, row) in first.rows().enumerate() {
        let cell = &row[0].cell;
        for observer in columns(cell.sharing) {
            // All grids have the same rows.
            let others = others.iter().filter_map(|grid| grid.rows().nth(number));
            let squares: Vec<_> =
                [row].into_iter().chain(others).map(|row| square(row, observer).0).collect();
            let mut seen = squares.iter().filter(|text| *text != SKIPPED);
            let same = seen.next().is_none_or(|first| seen.all(|it| it == first));
            if !same {
                let name = format!("{}/{}/{observer}", cell.sharing, cell.event);
                found.push((name, squares));
            }
        }
    }
    found
}

const SKIPPED: &str = "skipped";

/// Returns the numbers of cells by outcome, in words.
fn summary(grid: &Grid) -> String {
    let cells = grid.cells.len();
    let counts: Vec<_> = CellOutcome::ALL
        .into_iter()
        .map(|outcome| (outcome, grid.count(outcome)))
        .filter(|(_, count)| *count > 0)
        .map(|(outcome, count)| match outcome {
            CellOutcome::Agrees => format!("{count} as predicted"),
            CellOutcome::Refused => format!("{count} refused as predicted"),
            CellOutcome::Quirk if count == 1 => "1 known difference".to_owned(),
            CellOutcome::Quirk => format!("{count} known differences"),
            CellOutcome::Skipped => format!("{count} skipped"),
            CellOutcome::Unstable => format!("{count} unstable"),
            CellOutcome::Unproven => format!("{count} unproven"),
            CellOutcome::Differs => format!("{count} not as predicted"),
        })
        .collect();
    let cells = if cells == 1 { "1 cell".to_owned() } else { format!("{cells} cells") };
    format!("{cells} in {:.1} s: {}", grid.duration.as_secs_f64(), counts.join(", "))
}

/// Returns the cells with a reason, grouped by outcome and reason. Leaves out predicted refusals.
fn remarks(grid: &Grid) -> Vec<(Vec<&CellResult>, Untrusted)> {
    let mut remarks: Vec<(Vec<&CellResult>, Untrusted)> = Vec::new();
    for cell in &grid.cells {
        let Some(reason) = cell.reason.as_deref().filter(|_| cell.outcome != CellOutcome::Refused)
        else {
            continue;
        };
        match remarks
            .iter_mut()
            .find(|(cells, it)| *it == reason && cells[0].outcome == cell.outcome)
        {
            Some((cells, _)) => cells.push(cell),
            None => remarks.push((vec![cell], reason.into())),
        }
    }
    remarks
}
