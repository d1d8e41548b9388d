//! The matrix for people: a row a mode and event, a column an observer, a letter a mechanism.

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};

use super::{LEGEND, Matrix, SIGNS, columns, remarks, square, summary};
use crate::matrix::grid::{CellResult, Grid, Outcome};
use crate::script::matrix::Observer;

const BOLD: Style = Style::new().bold();
const FAINT: Style = Style::new().dimmed();
const YELLOW: Style = AnsiColor::Yellow.on_default();
const RED: Style = AnsiColor::Red.on_default().bold();

/// How wide a column of the grid is.
const WIDTH: usize = 16;
/// How many cells are named that have a reason in common.
const NAMED: usize = 8;

pub(super) fn write(matrix: &Matrix, out: &mut dyn Write) -> io::Result<()> {
    for (number, grid) in matrix.grids.iter().enumerate() {
        if number > 0 {
            writeln!(out)?;
        }
        write_grid(grid, out)?;
    }
    Ok(())
}

fn write_grid(grid: &Grid, out: &mut dyn Write) -> io::Result<()> {
    let engine = &grid.engine;
    writeln!(out, "{BOLD}The matrix on {} {}{BOLD:#}", engine.title(), engine.version)?;
    writeln!(out, "engine: {}; kernel {}", engine.chosen, engine.kernel)?;
    writeln!(out, "{LEGEND}\n{SIGNS}")?;
    let mut mode = "";
    for row in grid.rows() {
        let sharing = row[0].cell.sharing;
        if mode != sharing {
            mode = sharing;
            let [a, b, c, d] = columns(sharing).map(Observer::word);
            writeln!(out, "\n{BOLD}{sharing:<20}{a:<WIDTH$}{b:<WIDTH$}{c:<WIDTH$}{d}{BOLD:#}")?;
        }
        write_row(row, out)?;
    }
    write_remarks(grid, out)?;
    writeln!(out, "\n{}", summary(grid))
}

fn write_row(row: &[CellResult], out: &mut dyn Write) -> io::Result<()> {
    let mut line = format!("  {:<18}", row[0].cell.event.word());
    for observer in columns(row[0].cell.sharing) {
        let (text, outcome) = square(row, observer);
        // Without colour the mark tells.
        let (mark, style) = match outcome {
            Some(outcome) if outcome.is_bad() => (" !", RED),
            Some(Outcome::Quirk) => (" ~", YELLOW),
            Some(Outcome::Skipped) => ("", FAINT),
            _ => ("", Style::new()),
        };
        let text = format!("{text}{mark}");
        // The padding stays outside the colour, where it can be cut.
        let padding = " ".repeat(WIDTH.saturating_sub(text.len()));
        line = format!("{line}{style}{text}{style:#}{padding}");
    }
    writeln!(out, "{}", line.trim_end())
}

fn write_remarks(grid: &Grid, out: &mut dyn Write) -> io::Result<()> {
    for (cells, reason) in remarks(grid) {
        let word = cells[0].outcome.word();
        let style = if cells[0].outcome.is_bad() { RED } else { Style::new() };
        writeln!(out, "\n{style}{word}{style:#}: {reason}")?;
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
        let how = if quirk.racy { "did not show this time" } else { "no longer shows" };
        writeln!(out, "\n{}: {how}: {}", quirk.id, quirk.citation)?;
    }
    Ok(())
}
