//! The table for programs: `schema_version`, `machine`, and `rows`. Times are in seconds, sizes in bytes,
//! and `missed_by` is a part of the target.

use std::io::{self, Write};

use serde::Serialize;

use crate::commands::bench::measurement::{Comparison, Group, Machine, Row, Standing, Table};
use crate::process::untrusted::json::write_pretty;

#[derive(Serialize)]
struct Document<'a> {
    schema_version: u32,
    machine: &'a Machine,
    rows: Vec<Entry<'a>>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Entry<'a> {
    Compared {
        #[serde(flatten)]
        row: &'a Comparison,
        met: Option<bool>,
        missed_by: Option<f64>,
    },
    Skipped {
        group: Group,
        name: &'a str,
        skipped: &'a str,
    },
}

impl<'a> From<&'a Row> for Entry<'a> {
    fn from(row: &'a Row) -> Self {
        match row {
            Row::Compared(row) => {
                let (met, missed_by) = match row.standing() {
                    Standing::NoTarget => (None, None),
                    Standing::Met => (Some(true), None),
                    Standing::MissedBy(part) => (Some(false), Some(part)),
                };
                Self::Compared { row, met, missed_by }
            }
            Row::Skipped { group, name, why } => {
                Self::Skipped { group: *group, name, skipped: why }
            }
        }
    }
}

pub(super) fn write(table: &Table, out: &mut dyn Write) -> io::Result<()> {
    let rows = table.rows.iter().map(Entry::from).collect();
    let document = Document { schema_version: 1, machine: &table.machine, rows };
    write_pretty(out, &document)
}
