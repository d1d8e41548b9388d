//! Writes the table as text or JSON.

use std::io::{self, Write};

use clap::ValueEnum;
use serde::Serialize;

use crate::commands::bench::measurement::{BenchRow, Limit, Measurement, Stats, Unit};
use crate::process::untrusted::Guard;
use crate::process::untrusted::json::write_pretty;

/// The forms of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum BenchForm {
    /// For people
    Text,
    /// For programs
    Json,
}

/// The JSON table. Times are in seconds, sizes in bytes.
#[derive(Serialize)]
struct BenchDocument<'a> {
    schema_version: u32,
    machine: &'a str,
    rows: &'a [BenchRow],
}

/// Writes the table of the rows.
///
/// # Errors
///
/// Returns the errors of the writer.
pub fn write(
    machine: &str,
    rows: &[BenchRow],
    form: BenchForm,
    out: &mut dyn Write,
) -> io::Result<()> {
    // Commands contain paths, which are untrusted.
    let mut guard = Guard::new(out);
    match form {
        BenchForm::Text => write_text(machine, rows, &mut guard),
        BenchForm::Json => {
            write_pretty(&mut guard, &BenchDocument { schema_version: 1, machine, rows })
        }
    }?;
    guard.finish()
}

fn write_text(machine: &str, rows: &[BenchRow], out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "Measurements\n{machine}")?;
    for group in rows.chunk_by(|a, b| a.group == b.group) {
        let value = group[0].group.to_possible_value();
        let title = value.as_ref().and_then(|it| it.get_help()).map(ToString::to_string);
        writeln!(out, "\n{}\n", title.unwrap_or_default())?;
        write_line(["what", "ours", "baseline", "ratio", "target", ""], out)?;
        group.iter().try_for_each(|row| write_row(row, out))?;
    }
    writeln!(out, "\nMeasured commands")?;
    for row in rows.iter().filter(|row| row.ours.is_some()) {
        writeln!(out, "\n  {}", row.name)?;
        for side in row.ours.iter().chain(&row.baseline) {
            let Stats { median, min, max, count } = side.value;
            let [median, min, max] = [median, min, max].map(|it| number(row.unit, it));
            let spread = format!(", {count} values from {min} to {max}");
            let spread = if count > 1 { &spread } else { "" };
            writeln!(out, "    {}: {median}{spread}\n      $ {}", side.of, side.command)?;
        }
    }
    let count = |met| rows.iter().filter(|row| row.status.met == Some(met)).count();
    let (rows, skipped) = (rows.len(), rows.iter().filter(|row| row.skipped.is_some()).count());
    let (met, missed) = (count(true), count(false));
    writeln!(out, "\n{rows} rows: {met} targets met, {missed} missed; {skipped} skipped")
}

fn write_row(row: &BenchRow, out: &mut dyn Write) -> io::Result<()> {
    let ours = row.ours.as_ref().map(|it| number(row.unit, it.value.median)).unwrap_or_default();
    let describe = |it: &Measurement| format!("{} {}", it.of, number(row.unit, it.value.median));
    let baseline = row.baseline.as_ref().map(describe).unwrap_or_default();
    let format_ratio = |it| if it < 0.1 { format!("{it:.3}") } else { format!("{it:.2}") };
    let ratio = row.ratio.map(|it| format_ratio(it.median)).unwrap_or_default();
    let target = match row.target {
        Some(Limit::Ours(limit)) => format!("≤ {}", number(row.unit, limit)),
        Some(Limit::Ratio(limit)) => format!("ratio ≤ {}", format_ratio(limit)),
        None => String::new(),
    };
    let status = match (row.status.met, row.status.missed_by, &row.skipped) {
        (_, _, Some(why)) => format!("skipped: {why}"),
        (_, Some(part), _) => format!("missed by {:.0} %", (part * 100.0).max(1.0)),
        (met, ..) => met.map(|_| "met".to_owned()).unwrap_or_default(),
    };
    write_line([&row.name, &ours, &baseline, &ratio, &target, &status], out)
}

fn write_line(cells: [&str; 6], out: &mut dyn Write) -> io::Result<()> {
    let [name, ours, baseline, ratio, target, status] = cells;
    let line =
        format!("  {name:<44}  {ours:>9}  {baseline:<30}  {ratio:>5}  {target:<12}  {status}");
    writeln!(out, "{}", line.trim_end())
}

/// Formats a number with its unit.
fn number(unit: Unit, value: f64) -> String {
    match unit {
        Unit::Count => {
            let digits = format!("{value:.0}");
            let groups = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy);
            groups.collect::<Vec<_>>().join(",")
        }
        Unit::Bytes => format!("{:.2} MiB", value / f64::from(1 << 20)),
        // Above these limits a value would be rounded up to the next unit.
        Unit::Seconds if value < 9.995e-6 => format!("{:.2} µs", value * 1e6),
        Unit::Seconds if value < 0.9995e-3 => format!("{:.0} µs", value * 1e6),
        Unit::Seconds if value < 0.99995 => format!("{:.1} ms", value * 1e3),
        Unit::Seconds => format!("{value:.2} s"),
    }
}
