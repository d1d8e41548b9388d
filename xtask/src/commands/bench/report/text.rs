//! The table for people.

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};

use crate::commands::bench::measurement::{Measurement, Row, Table, Unit};
use crate::commands::bench::report::{COLUMNS, columns, machine, spread, summary};

const HEADING: Style = Style::new().bold();
const FAINT: Style = Style::new().dimmed();

/// The columns of numbers, and the one with a colour.
const OURS: usize = 1;
const RATIO: usize = 3;
const STANDING: usize = 5;

pub(super) fn write(table: &Table, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "{HEADING}What it costs{HEADING:#}\n{}", machine(table))?;
    for rows in table.rows.chunk_by(|a, b| a.group() == b.group()) {
        let Some(first) = rows.first() else { continue };
        writeln!(out, "\n{HEADING}{}{HEADING:#}\n", first.group().title())?;
        write_table(rows, out)?;
    }
    writeln!(out, "\n{HEADING}How each was measured{HEADING:#}")?;
    for row in &table.rows {
        write_details(row, out)?;
    }
    writeln!(out, "\n{}", summary(table))
}

fn write_table(rows: &[Row], out: &mut dyn Write) -> io::Result<()> {
    let lines: Vec<_> = rows.iter().map(columns).collect();
    let heads = COLUMNS.map(str::to_owned);
    let width = |column: usize| {
        // What a skipped row says may go over the columns behind it.
        let cells = lines.iter().zip(rows).filter(|(_, row)| matches!(row, Row::Compared(_)));
        let names = lines.iter().filter(|_| column == 0);
        let cells = cells.map(|(line, _)| line).chain(names).chain([&heads]);
        cells.map(|line| line[column].chars().count()).max().unwrap_or_default()
    };
    let widths: [usize; COLUMNS.len()] = std::array::from_fn(width);
    let styles = [FAINT].into_iter().chain(rows.iter().map(style));
    for (line, style) in [&heads].into_iter().chain(&lines).zip(styles) {
        let cells =
            line.iter().zip(widths).enumerate().map(|(column, (cell, width))| match column {
                RATIO | OURS => format!("  {cell:>width$}"),
                STANDING if cell.is_empty() => String::new(),
                STANDING => format!("  {style}{cell}{style:#}"),
                _ => format!("  {cell:<width$}"),
            });
        writeln!(out, "{}", cells.collect::<String>().trim_end())?;
    }
    Ok(())
}

fn style(row: &Row) -> Style {
    match row {
        Row::Compared(_) if row.is_missed() => AnsiColor::Red.on_default().bold(),
        Row::Compared(_) => AnsiColor::Green.on_default().bold(),
        Row::Skipped { .. } => AnsiColor::Yellow.on_default(),
    }
}

fn write_details(row: &Row, out: &mut dyn Write) -> io::Result<()> {
    let Row::Compared(row) = row else { return Ok(()) };
    writeln!(out, "\n  {HEADING}{}{HEADING:#}", row.name)?;
    write_side(row.unit, &row.ours, out)?;
    row.peer.as_ref().map_or(Ok(()), |peer| write_side(row.unit, peer, out))
}

fn write_side(unit: Unit, side: &Measurement, out: &mut dyn Write) -> io::Result<()> {
    let Measurement { of, value, command } = side;
    writeln!(out, "    {of}: {}\n      {FAINT}${FAINT:#} {command}", spread(unit, *value))
}
