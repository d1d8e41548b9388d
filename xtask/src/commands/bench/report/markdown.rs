//! The table to be pasted where Markdown is shown.

use std::io::{self, Write};

use crate::commands::bench::measurement::{Measurement, Row, Table};
use crate::commands::bench::report::{COLUMNS, columns, machine, spread, summary};
use crate::report::markdown::{code, inline};

pub(super) fn write(table: &Table, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "## What it costs\n\n{}.\n\n{}.", inline(machine(table)), summary(table))?;
    for rows in table.rows.chunk_by(|a, b| a.group() == b.group()) {
        let Some(first) = rows.first() else { continue };
        writeln!(out, "\n### {}\n\n| {} |", first.group().title(), COLUMNS.join(" | "))?;
        writeln!(out, "|---|---:|---|---:|---|---|")?;
        for row in rows {
            writeln!(out, "| {} |", columns(row).map(|cell| inline(&cell)).join(" | "))?;
        }
        writeln!(out)?;
        for row in rows {
            write_details(row, out)?;
        }
    }
    Ok(())
}

fn write_details(row: &Row, out: &mut dyn Write) -> io::Result<()> {
    let Row::Compared(row) = row else { return Ok(()) };
    writeln!(out, "- **{}**", inline(&row.name))?;
    for Measurement { of, value, command } in
        [Some(&row.ours), row.peer.as_ref()].into_iter().flatten()
    {
        writeln!(out, "  - {}: {}: {}", inline(of), spread(row.unit, *value), code(command))?;
    }
    Ok(())
}
