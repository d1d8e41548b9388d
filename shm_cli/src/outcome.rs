//! The JSON that each tool prints.

use std::io::{self, Write};

use serde::Serialize;

use crate::Failure;
use crate::text::EscapedJson;

/// `{"ok":true,...,"error":null}` with the fields of the result, or `{"ok":false,"error":{...}}`.
#[derive(Serialize)]
struct Outcome<'a, T> {
    ok: bool,
    #[serde(flatten)]
    result: Option<&'a T>,
    error: Option<&'a Failure>,
}

/// Prints the outcome of a tool as one line of JSON.
///
/// # Errors
///
/// The errors of the output.
pub fn print_outcome<T: Serialize>(
    result: Result<&T, &Failure>,
    output: &mut impl Write,
) -> io::Result<()> {
    let (result, error) = (result.ok(), result.err());
    print_json(&Outcome { ok: error.is_none(), result, error }, output)?;
    output.flush()
}

/// Prints a value as one line of JSON that is safe on a terminal.
///
/// # Errors
///
/// The errors of the output.
pub fn print_json(value: &impl Serialize, output: &mut impl Write) -> io::Result<()> {
    serde_json::to_writer(EscapedJson(&mut *output), value)?;
    writeln!(output)
}
