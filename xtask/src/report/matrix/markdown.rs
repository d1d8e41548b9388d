//! The matrix as Markdown, for example for an issue.

use std::io::{self, Write};

use super::{
    LEGEND, Matrix, SIGNS, columns, disagreements, mark, remarks, skipped_mode, square, summary,
};
use crate::judge::results::{CellResult, Grid};
use crate::report::markdown::{code, inline};

pub(super) fn write(matrix: &Matrix, out: &mut dyn Write) -> io::Result<()> {
    for grid in &matrix.grids {
        write_grid(grid, out)?;
    }
    let disagreements = disagreements(matrix);
    if !disagreements.is_empty() {
        let titles: Vec<_> = matrix.grids.iter().map(|grid| inline(grid.engine.title())).collect();
        writeln!(out, "## Where the engines differ\n\n| | {} |", titles.join(" | "))?;
        writeln!(out, "|---{}|", "|---".repeat(titles.len()))?;
        for (name, squares) in disagreements {
            let squares: Vec<_> = squares.iter().map(code).collect();
            writeln!(out, "| {name} | {} |", squares.join(" | "))?;
        }
        writeln!(out)?;
    }
    Ok(())
}

fn write_grid(grid: &Grid, out: &mut dyn Write) -> io::Result<()> {
    let engine = &grid.engine;
    writeln!(out, "## The matrix on {} {}\n", inline(engine.title()), inline(&engine.version))?;
    writeln!(out, "{}. Kernel {}.\n", summary(grid), inline(&engine.kernel))?;
    writeln!(out, "{LEGEND}. {SIGNS}.\n")?;
    let rows: Vec<_> = grid.rows().collect();
    for mode in rows.chunk_by(|a, b| a[0].cell.sharing == b[0].cell.sharing) {
        write_mode(mode, out)?;
    }
    for (cells, reason) in remarks(grid) {
        let names: Vec<_> = cells.iter().map(|cell| code(&cell.cell)).collect();
        writeln!(out, "- **{}**: {}", cells[0].outcome, inline(reason))?;
        if let Some(quirk) = cells[0].quirk {
            writeln!(out, "  Known: {}", inline(quirk.citation))?;
        }
        writeln!(out, "  <details><summary>{} cells</summary>", cells.len())?;
        writeln!(out, "\n  {}\n  </details>", names.join(", "))?;
    }
    for quirk in &grid.gone {
        writeln!(out, "- **{}** {}", quirk.id, quirk.absence())?;
    }
    writeln!(out)
}

/// Writes the rows of one mode as a table.
fn write_mode(rows: &[&[CellResult]], out: &mut dyn Write) -> io::Result<()> {
    let sharing = rows[0][0].cell.sharing;
    if let Some(reason) = skipped_mode(rows) {
        return writeln!(out, "**{sharing}**: skipped: {}\n", inline(reason));
    }
    let columns = columns(sharing);
    writeln!(out, "| **{sharing}** | {} |", columns.map(|it| it.to_string()).join(" | "))?;
    writeln!(out, "|---|---|---|---|---|")?;
    for row in rows {
        let squares = columns.map(|observer| {
            let (text, outcome) = square(row, observer);
            code(format_args!("{text}{}", mark(outcome)))
        });
        writeln!(out, "| {} | {} |", row[0].cell.event, squares.join(" | "))?;
    }
    writeln!(out)
}
