//! The table, for people and for programs. Reporters only read.

use std::io::{self, Write};

use clap::ValueEnum;

use crate::commands::bench::measurement::{
    Comparison, Measurement, Row, Spread, Standing, Table, Target, Unit,
};
use crate::process::untrusted::Guard;

mod json;
mod markdown;
mod text;

/// The forms of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Form {
    /// For people
    Text,
    /// For programs
    Json,
    /// To be pasted into an issue
    Markdown,
}

/// Writes the table.
///
/// # Errors
///
/// Those of the writer.
pub fn write(table: &Table, form: Form, out: &mut dyn Write) -> io::Result<()> {
    // Commands have the paths of the machine in them.
    let mut guard = Guard::new(out);
    match form {
        Form::Text => text::write(table, &mut guard),
        Form::Json => json::write(table, &mut guard),
        Form::Markdown => markdown::write(table, &mut guard),
    }?;
    guard.finish()
}

/// The heads of the columns.
const COLUMNS: [&str; 6] = ["what", "ours", "beside", "ratio", "target", ""];

/// A row's columns.
fn columns(row: &Row) -> [String; 6] {
    let row = match row {
        Row::Compared(row) => row,
        Row::Skipped { name, why, .. } => {
            let rest = [(); 4].map(|()| String::new());
            let [ours, ratio, target, standing] = rest;
            return [name.clone(), ours, format!("skipped: {why}"), ratio, target, standing];
        }
    };
    let side = |it: &Measurement| format!("{} {}", it.of, number(row.unit, it.value.median));
    [
        row.name.clone(),
        number(row.unit, row.ours.value.median),
        row.peer.as_ref().map(side).unwrap_or_default(),
        row.ratio.map(|it| ratio(it.median)).unwrap_or_default(),
        target(row),
        standing(row),
    ]
}

fn target(row: &Comparison) -> String {
    match row.target {
        None => String::new(),
        Some(Target::Ours(most)) => format!("≤ {}", number(row.unit, most)),
        Some(Target::Ratio(most)) => format!("ratio ≤ {}", ratio(most)),
    }
}

fn standing(row: &Comparison) -> String {
    match row.standing() {
        Standing::NoTarget => String::new(),
        Standing::Met => "met".to_owned(),
        Standing::MissedBy(part) => format!("missed by {:.0} %", (part * 100.0).max(1.0)),
    }
}

/// The values of a side, where they are more than one.
fn spread(unit: Unit, value: Spread) -> String {
    let Spread { median, min, max, count } = value;
    let median = number(unit, median);
    if count == 1 {
        return median;
    }
    format!("{median}, of {count} from {} to {}", number(unit, min), number(unit, max))
}

/// How the table ends.
fn summary(table: &Table) -> String {
    let count = |is: &dyn Fn(&Row) -> bool| table.rows.iter().filter(|row| is(row)).count();
    let compared =
        |row: &Row, wanted: Standing| matches!(row, Row::Compared(it) if it.standing() == wanted);
    let (missed, met) = (count(&Row::is_missed), count(&|row| compared(row, Standing::Met)));
    let skipped = count(&|row| matches!(row, Row::Skipped { .. }));
    format!("{} rows: {met} targets met, {missed} missed; {skipped} skipped", table.rows.len())
}

fn machine(table: &Table) -> String {
    let it = &table.machine;
    let load = format!("load {} before and {} after", it.load_before, it.load_after);
    format!("{}, {} cores, Linux {}; {load}", it.cpu, it.cores, it.kernel)
}

fn ratio(ratio: f64) -> String {
    if ratio < 0.1 { format!("{ratio:.3}") } else { format!("{ratio:.2}") }
}

/// A number with its unit.
fn number(unit: Unit, value: f64) -> String {
    match unit {
        Unit::Instructions | Unit::SystemCalls | Unit::ClientStarts => thousands(value),
        Unit::Bytes => format!("{:.2} MiB", value / f64::from(1 << 20)),
        Unit::Percent => format!("{value:.1} %"),
        // Each up to what it would round to the next one's.
        Unit::Seconds if value < 9.995e-6 => format!("{:.2} µs", value * 1e6),
        Unit::Seconds if value < 0.9995e-3 => format!("{:.0} µs", value * 1e6),
        Unit::Seconds if value < 0.99995 => format!("{:.1} ms", value * 1e3),
        Unit::Seconds => format!("{value:.2} s"),
    }
}

/// A whole number with a comma before each three digits.
fn thousands(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut shown = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            shown.push(',');
        }
        shown.push(digit);
    }
    shown
}
