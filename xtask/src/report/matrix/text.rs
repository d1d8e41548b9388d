//! The matrix as text: a row for each mode and event, a column for each observer, and a letter for
//! each mechanism.

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};

use super::{
    LEGEND, Matrix, SIGNS, columns, disagreements, mark, remarks, skipped_mode, square, summary,
};
use crate::judge::results::{CellOutcome, CellResult, Grid};

const BOLD: Style = Style::new().bold();
const FAINT: Style = Style::new().dimmed();
const YELLOW: Style = AnsiColor::Yellow.on_default();
const RED: Style = AnsiColor::Red.on_default().bold();

/// The width of a column.
const WIDTH: usize = 16;
/// The maximum number of cells that are listed for one reason.
const NAMED: usize = 8;

pub(super) fn write(matrix: &Matrix, out: &mut dyn Write) -> io::Result<()> {
    for (number, grid) in matrix.grids.iter().enumerate() {
        if number > 0 {
            writeln!(out)?;
        }
        write_grid(grid, out)?;
    }
    let disagreements = disagreements(matrix);
    if !disagreements.is_empty() {
        write!(out, "\n{BOLD}{:<36}", "Where the engines differ")?;
        for grid in &matrix.grids {
            write!(out, "{:<WIDTH$}", grid.engine.title())?;
        }
        writeln!(out, "{BOLD:#}")?;
        for (name, squares) in disagreements {
            write!(out, "  {name:<34}")?;
            for text in squares {
                write!(out, "{text:<WIDTH$}")?;
            }
            writeln!(out)?;
        }
    }
    Ok(())
}

fn write_grid(grid: &Grid, out: &mut dyn Write) -> io::Result<()> {
    let engine = &grid.engine;
    writeln!(out, "{BOLD}The matrix on {} {}{BOLD:#}", engine.title(), engine.version)?;
    writeln!(out, "engine: {}; kernel {}", engine.chosen, engine.kernel)?;
    writeln!(out, "{LEGEND}\n{SIGNS}")?;
    let rows: Vec<_> = grid.rows().collect();
    for mode in rows.chunk_by(|a, b| a[0].cell.sharing == b[0].cell.sharing) {
        let sharing = mode[0][0].cell.sharing;
        if let Some(reason) = skipped_mode(mode) {
            writeln!(out, "\n{BOLD}{sharing:<20}{BOLD:#}{FAINT}skipped: {reason}{FAINT:#}")?;
            continue;
        }
        let [a, b, c, d] = columns(sharing);
        writeln!(out, "\n{BOLD}{sharing:<20}{a:<WIDTH$}{b:<WIDTH$}{c:<WIDTH$}{d}{BOLD:#}")?;
        for row in mode {
            write_row(row, out)?;
        }
    }
    write_remarks(grid, out)?;
    writeln!(out, "\n{}", summary(grid))
}

fn write_row(row: &[CellResult], out: &mut dyn Write) -> io::Result<()> {
    let mut line = format!("  {:<18}", row[0].cell.event);
    for observer in columns(row[0].cell.sharing) {
        let (text, outcome) = square(row, observer);
        let style = match outcome {
            Some(outcome) if outcome.is_bad() => RED,
            Some(CellOutcome::Quirk) => YELLOW,
            Some(CellOutcome::Skipped) => FAINT,
            _ => Style::new(),
        };
        let text = format!("{text}{}", mark(outcome));
        // The padding is outside the style, so that `trim_end` can remove it.
        let padding = " ".repeat(WIDTH.saturating_sub(text.len()));
        line = format!("{line}{style}{text}{style:#}{padding}");
    }
    writeln!(out, "{}", line.trim_end())
}

fn write_remarks(grid: &Grid, out: &mut dyn Write) -> io::Result<()> {
    for (cells, reason) in remarks(grid) {
        let outcome = cells[0].outcome;
        let style = if outcome.is_bad() { RED } else { Style::new() };
        writeln!(out, "\n{style}{outcome}{style:#}: {reason}")?;
        for cell in cells.iter().take(NAMED) {
            writeln!(out, "  {}", cell.cell)?;
        }
        if cells.len() > NAMED {
            writeln!(out, "  and {} more", cells.len() - NAMED)?;
        }
        if let Some(quirk) = cells[0].quirk {
            writeln!(out, "  known: {}", quirk.citation)?;
        }
    }
    for quirk in &grid.gone {
        writeln!(out, "\n{} {}: {}", quirk.id, quirk.absence(), quirk.citation)?;
    }
    Ok(())
}
