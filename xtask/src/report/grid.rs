//! The matrix as a grid: a row a mode and event, a column an observer, a letter a mechanism.

use std::io::{self, Write};
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use serde::Serialize;

use super::Format;
use crate::engine::EngineInfo;
use crate::observation::{Identity, Observation, State};
use crate::quirk::Quirk;
use crate::script::Mechanism;
use crate::script::matrix::{Cell, Event, Observer};
use crate::verdict::Verdict;

/// All cells of a run.
#[derive(Debug)]
pub struct Grid {
    /// Where it ran.
    pub engine: EngineInfo,
    /// From the first script to the last.
    pub duration: Duration,
    /// The cells, those of a script together.
    pub cells: Vec<CellResult>,
}

/// A cell, judged.
#[derive(Debug)]
pub struct CellResult {
    /// The question.
    pub cell: Cell,
    /// The model's answer.
    pub predicted: Sight,
    /// The engine's.
    pub observed: Sight,
    /// How the two compare.
    pub verdict: Verdict,
    /// The known difference that explains this one.
    pub quirk: Option<&'static Quirk>,
    /// The IPC namespace of the observer.
    pub namespace: Option<Identity>,
}

/// What an observer sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Sight {
    /// The text.
    Seen,
    /// Nothing: ENOENT.
    Absent,
    /// Nothing, for its container was refused.
    Refused,
    /// Neither can be said.
    Unknown,
}

impl Sight {
    /// What an observation of a read, or of a start, shows.
    #[must_use]
    pub fn of(observation: &Observation) -> Self {
        match (observation.state, observation.exit_code) {
            (Some(State::Refused), _) => Self::Refused,
            // A start that was not refused shows nothing yet.
            (Some(_), _) => Self::Unknown,
            (_, Some(0)) => Self::Seen,
            (_, Some(255)) if is_enoent(observation) => Self::Absent,
            _ => Self::Unknown,
        }
    }
}

fn is_enoent(observation: &Observation) -> bool {
    String::from_utf8_lossy(observation.tool_error()).contains("failed, errno: 2 ")
}

impl CellResult {
    /// Whether it differs from what was predicted, and nothing that is known explains it.
    #[must_use]
    pub fn differs(&self) -> bool {
        matches!(self.verdict, Verdict::Fail(_)) && self.quirk.is_none()
    }
}

impl Grid {
    /// Whether nothing differs that is not known to.
    #[must_use]
    pub fn passed(&self) -> bool {
        !self.cells.iter().any(CellResult::differs)
    }

    /// Writes it.
    ///
    /// # Errors
    ///
    /// Those of the writer.
    pub fn write(&self, format: Format, out: &mut dyn Write) -> io::Result<()> {
        match format {
            Format::Text => self.write_text(out),
            Format::Json => self.write_json(out),
        }?;
        out.flush()
    }

    fn write_text(&self, out: &mut dyn Write) -> io::Result<()> {
        let engine = &self.engine;
        writeln!(out, "{BOLD}The matrix on {} {}{BOLD:#}", engine.name, engine.version)?;
        writeln!(out, "engine: {}; kernel {}", engine.chosen, engine.kernel)?;
        writeln!(out, "S P F  sees the System V segment, the POSIX object, the file on a volume")?;
        writeln!(out, "-  does not; !  not as predicted; ~  a known difference")?;
        let mut row = None;
        for cells in self.cells.chunk_by(|a, b| same_row(&a.cell, &b.cell)) {
            let cell = &cells[0].cell;
            if row.is_none_or(|sharing| sharing != cell.sharing) {
                row = Some(cell.sharing);
                write_heading(cell.sharing, out)?;
            }
            write_row(cell.event, cells, out)?;
        }
        self.write_differences(out)?;
        let differ = self.cells.iter().filter(|cell| cell.differs()).count();
        let known = self.cells.iter().filter(|cell| cell.quirk.is_some()).count();
        let seconds = self.duration.as_secs_f64();
        write!(out, "\n{} cells in {seconds:.1} s: ", self.cells.len())?;
        match (differ, known) {
            (0, 0) => writeln!(out, "all as predicted"),
            (0, known) => writeln!(out, "as predicted, but for {known} known differences"),
            (differ, 0) => writeln!(out, "{differ} not as predicted"),
            (differ, known) => {
                writeln!(out, "{differ} not as predicted, and {known} known differences")
            }
        }
    }

    fn write_differences(&self, out: &mut dyn Write) -> io::Result<()> {
        for cell in &self.cells {
            if let Some(reason) = cell.verdict.reason() {
                writeln!(out, "\n{}: {reason}", cell.cell)?;
            }
            if let Some(quirk) = cell.quirk {
                writeln!(out, "  known: {}", quirk.citation)?;
            }
        }
        Ok(())
    }

    fn write_json(&self, out: &mut dyn Write) -> io::Result<()> {
        let document = Document {
            schema_version: 1,
            engine: &self.engine,
            script: "matrix",
            duration_ms: self.duration.as_millis(),
            cells: self.cells.iter().map(Row::new).collect(),
            verdict: if self.passed() { "pass" } else { "fail" },
        };
        serde_json::to_writer_pretty(&mut *out, &document)?;
        writeln!(out)
    }
}

const BOLD: Style = Style::new().bold();
const YELLOW: Style = AnsiColor::Yellow.on_default();
const RED: Style = AnsiColor::Red.on_default().bold();

fn same_row(a: &Cell, b: &Cell) -> bool {
    a.sharing == b.sharing && a.event == b.event
}

fn write_heading(sharing: &str, out: &mut dyn Write) -> io::Result<()> {
    let [a, b, c, d] = columns(sharing).map(Observer::word);
    writeln!(out, "\n{BOLD}{sharing:<20}{a:<12}{b:<12}{c:<12}{d}{BOLD:#}")
}

/// The observers of a mode.
fn columns(sharing: &str) -> [Observer; 4] {
    let fourth = if sharing == "container" { Observer::Donor } else { Observer::Joiner };
    [Observer::Own, Observer::Other, fourth, Observer::Host]
}

fn write_row(event: Event, cells: &[CellResult], out: &mut dyn Write) -> io::Result<()> {
    let mut line = format!("  {:<18}", event.word());
    for observer in columns(cells[0].cell.sharing) {
        let seen: Vec<_> = cells.iter().filter(|cell| cell.cell.observer == observer).collect();
        let differs = seen.iter().any(|cell| cell.differs());
        let known = seen.iter().any(|cell| cell.quirk.is_some());
        let text = if !seen.is_empty() && seen.iter().all(|cell| cell.observed == Sight::Refused) {
            "refused".to_owned()
        } else {
            seen.iter().map(|cell| letter(cell)).collect::<Vec<_>>().join(" ")
        };
        // Without colour the mark tells.
        let (mark, style) = match (differs, known) {
            (true, _) => (" !", RED),
            (false, true) => (" ~", YELLOW),
            (false, false) => ("", Style::new()),
        };
        let text = format!("{text}{mark}");
        // The padding stays outside the colour, where it can be cut.
        let padding = " ".repeat(12_usize.saturating_sub(text.len()));
        line = format!("{line}{style}{text}{style:#}{padding}");
    }
    writeln!(out, "{}", line.trim_end())
}

fn letter(cell: &CellResult) -> &'static str {
    match (cell.observed, cell.cell.mechanism) {
        (Sight::Seen, Mechanism::Sysv) => "S",
        (Sight::Seen, Mechanism::Posix) => "P",
        (Sight::Seen, Mechanism::File) => "F",
        (Sight::Absent, _) => "-",
        (Sight::Refused, _) => "x",
        (Sight::Unknown, _) => "?",
    }
}

#[derive(Serialize)]
struct Document<'a> {
    schema_version: u32,
    engine: &'a EngineInfo,
    script: &'static str,
    duration_ms: u128,
    cells: Vec<Row<'a>>,
    verdict: &'static str,
}

#[derive(Serialize)]
struct Row<'a> {
    #[serde(flatten)]
    cell: &'a Cell,
    predicted: Sight,
    observed: [Sight; 1],
    ipc_namespace: &'a Option<Identity>,
    verdict: &'static str,
    quirk: Option<&'static str>,
    reason: Option<String>,
}

impl<'a> Row<'a> {
    fn new(result: &'a CellResult) -> Self {
        let verdict = match (&result.verdict, result.observed) {
            (Verdict::Pass, Sight::Refused) => "refused",
            (Verdict::Pass, _) => "agrees",
            (Verdict::Fail(_), _) if result.quirk.is_some() => "quirk",
            (Verdict::Fail(_), _) => "differs",
            (Verdict::Skip(_), _) => "skipped",
        };
        Self {
            cell: &result.cell,
            predicted: result.predicted,
            observed: [result.observed],
            ipc_namespace: &result.namespace,
            verdict,
            quirk: result.quirk.map(|quirk| quirk.citation),
            reason: result.verdict.reason(),
        }
    }
}
