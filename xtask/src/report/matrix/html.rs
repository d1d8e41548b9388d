//! The matrix as an HTML page, with coloured grids. A click on a cell shows its evidence.

use std::fmt::Display;
use std::io::{self, Write};

use maud::{Markup, PreEscaped, html};
use serde_json::Value;
use shm_core::text::escape;

use super::{
    LEGEND, Matrix, SIGNS, columns, disagreements, json, letter, mark, remarks, skipped_mode,
    square, summary,
};
use crate::judge::results::{CellOutcome, CellResult, Grid, Visibility};
use crate::report::page::page;
use crate::script::Mechanism;
use crate::script::matrix::Observer;

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

pub(super) fn write(matrix: &Matrix, out: &mut dyn Write) -> io::Result<()> {
    let titles: Vec<_> = matrix.grids.iter().map(|grid| grid.engine.title()).collect();
    let title = format!("The matrix on {}", titles.join(", "));
    // The output of a container could end the script element.
    let data =
        escaped(serde_json::to_value(json::document(matrix))?).to_string().replace("</", "<\\/");
    let body = html! {
        h1 { (title) }
        div.cards { @for grid in &matrix.grids { (card(grid)) } }
        p { (LEGEND) ". " (SIGNS) "." }
        (filters(matrix))
        @for mode in modes(matrix) { (section(matrix, mode)) }
        (differences(matrix))
        @for grid in &matrix.grids { (explained(grid)) }
        dialog {
            form method="dialog" { button.close aria-label="close" { "×" } }
            div {}
        }
        script type="application/json" id="data" { (PreEscaped(data)) }
        script { (PreEscaped(SCRIPT)) }
    };
    out.write_all(page(&title, STYLE, &body).into_string().as_bytes())
}

/// Escapes all texts of a document, because the page does not escape them.
fn escaped(mut document: Value) -> Value {
    match &mut document {
        Value::String(text) => *text = escape(text.as_bytes()),
        Value::Array(all) => all.iter_mut().for_each(|it| *it = escaped(it.take())),
        Value::Object(all) => all.values_mut().for_each(|it| *it = escaped(it.take())),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
    document
}

fn card(grid: &Grid) -> Markup {
    let engine = &grid.engine;
    let (class, word) = if grid.passed() {
        ("badge good", "as predicted")
    } else {
        ("badge bad", "not as predicted")
    };
    html! {
        div {
            h3 { (engine.title()) " " (engine.version) " " span class=(class) { (word) } }
            p { (summary(grid)) }
            p.faint { "kernel " (engine.kernel) "; engine: " (engine.chosen) }
        }
    }
}

/// Returns the filters, which stay hidden in a browser without JavaScript.
fn filters(matrix: &Matrix) -> Markup {
    fn group(name: &str, values: impl IntoIterator<Item = impl Display>) -> Markup {
        html! {
            fieldset {
                legend { (name) }
                @for value in values {
                    @let value = value.to_string();
                    label { input type="checkbox" name=(name) value=(value) checked; " " (value) }
                }
            }
        }
    }
    html! {
        form #filters hidden {
            (group("mechanism", Mechanism::ALL))
            (group("mode", modes(matrix)))
            (group("verdict", CellOutcome::ALL))
        }
    }
}

/// Returns the modes. All grids have the same ones.
fn modes(matrix: &Matrix) -> Vec<&'static str> {
    let cells = matrix.grids.first().map_or(&[][..], |grid| &grid.cells);
    let mut modes: Vec<_> = cells.iter().map(|cell| cell.cell.sharing).collect();
    modes.dedup();
    modes
}

/// Returns the section of a mode, with the tables of all engines.
fn section(matrix: &Matrix, mode: &str) -> Markup {
    html! {
        section data-mode=(mode) {
            h2 { (mode) }
            div.engines {
                @for (number, grid) in matrix.grids.iter().enumerate() {
                    div.engine data-title=(grid.engine.title()) {
                        @if matrix.grids.len() > 1 { h3 { (grid.engine.title()) } }
                        (table(grid, number, mode))
                    }
                }
            }
        }
    }
}

fn table(grid: &Grid, number: usize, mode: &str) -> Markup {
    let rows: Vec<_> = grid.rows().filter(|row| row[0].cell.sharing == mode).collect();
    if let Some(reason) = skipped_mode(&rows) {
        return html! { p.faint.skipped { "skipped: " (reason) } };
    }
    let index = |cell: &CellResult| grid.cells.iter().position(|it| std::ptr::eq(it, cell));
    html! {
        div.scroll {
            table.grid {
                thead {
                    tr { th {} @for observer in columns(mode) { th scope="col" { (observer) } } }
                }
                tbody {
                    @for row in rows {
                        tr {
                            th scope="row" { (row[0].cell.event) }
                            @for observer in columns(mode) {
                                td { (square_of(row, observer, number, &index)) }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn square_of(
    row: &[CellResult],
    observer: Observer,
    number: usize,
    index: &impl Fn(&CellResult) -> Option<usize>,
) -> Markup {
    let (_, outcome) = square(row, observer);
    html! {
        span.square {
            @for cell in row.iter().filter(|cell| cell.cell.observer == observer) {
                button type="button" class={ "cell " (class(cell)) " " (cell.outcome) }
                    title={ (cell.cell) ": " (cell.sight()) ", " (cell.outcome) }
                    data-engine=(number) data-cell=[index(cell)]
                    data-mechanism=(cell.cell.mechanism)
                    data-verdict=(cell.outcome) { (letter(cell)) }
            }
        }
        span.mark { (mark(outcome)) }
    }
}

fn class(cell: &CellResult) -> &'static str {
    match (cell.outcome, cell.sight()) {
        (outcome, _) if outcome.is_bad() => "bad",
        (CellOutcome::Quirk, _) => "known",
        (_, Visibility::Seen) => "good",
        (_, Visibility::Limited) => "limit",
        _ => "none",
    }
}

fn differences(matrix: &Matrix) -> Markup {
    let disagreements = disagreements(matrix);
    html! {
        @if !disagreements.is_empty() {
            h2 { "Where the engines differ" }
            div.scroll {
                table {
                    thead {
                        tr {
                            th {}
                            @for grid in &matrix.grids { th { (grid.engine.title()) } }
                        }
                    }
                    tbody {
                        @for (name, squares) in &disagreements {
                            tr {
                                td { (name) }
                                @for text in squares { td.mono { (text) } }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Returns the remarks on a grid.
fn explained(grid: &Grid) -> Markup {
    let remarks = remarks(grid);
    html! {
        @if !remarks.is_empty() || !grid.gone.is_empty() {
            h2 { "Remarks on " (grid.engine.title()) }
            @for (cells, reason) in &remarks {
                p {
                    span class={ "badge " (class(cells[0])) } { (cells[0].outcome) } " "
                    (reason)
                    @if let Some(quirk) = cells[0].quirk { ". Known: " (quirk.citation) }
                }
                details {
                    summary.faint { (cells.len()) " cells" }
                    p.mono {
                        @for cell in cells { (cell.cell) " " }
                    }
                }
            }
            @for quirk in &grid.gone { p { strong { (quirk.id) } " " (quirk.absence()) "." } }
        }
    }
}
