//! What was measured, as plain values.

use clap::ValueEnum;
use serde::Serialize;

/// What belongs together, and is measured when it is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Group {
    /// What one start of a tool costs
    Process,
    /// How fast much data goes in and out
    Data,
    /// How long a round trip takes
    Messages,
    /// What the experiment's time goes into
    Experiment,
    /// How long the tools take to build, minutes
    Build,
}

impl Group {
    /// Those that are measured where none is named.
    pub const USUAL: [Self; 4] = [Self::Process, Self::Data, Self::Messages, Self::Experiment];

    /// What it asks.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Process => "Process: what one start of a tool costs",
            Self::Data => "Data: how fast much of it goes in and out",
            Self::Messages => "Messages: how long a round trip takes",
            Self::Experiment => "Experiment: what its time goes into",
            Self::Build => "Build: how long the tools take",
        }
    }
}

/// What the numbers count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Instructions in user space.
    Instructions,
    /// System calls.
    SystemCalls,
    /// Starts of an engine's client.
    ClientStarts,
    /// Bytes.
    Bytes,
    /// Seconds of wall time.
    Seconds,
    /// Parts of a hundred.
    Percent,
}

/// One quantity, measured several times.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Spread {
    /// The middle one, or the mean of the two in the middle.
    pub median: f64,
    /// The least.
    pub min: f64,
    /// The largest.
    pub max: f64,
    /// How many there are.
    pub count: usize,
}

impl Spread {
    /// Of these values; `None` where there are none.
    #[must_use]
    pub fn of(values: &[f64]) -> Option<Self> {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let (min, max) = (*sorted.first()?, *sorted.last()?);
        let (upper, count) = (sorted[sorted.len() / 2], sorted.len());
        let median = if count.is_multiple_of(2) {
            f64::midpoint(sorted[count / 2 - 1], upper)
        } else {
            upper
        };
        Some(Self { median, min, max, count })
    }
}

impl From<f64> for Spread {
    /// Of a value that is the same each time.
    fn from(value: f64) -> Self {
        Self { median: value, min: value, max: value, count: 1 }
    }
}

/// What one side came to.
#[derive(Clone, Debug, Serialize)]
pub struct Measurement {
    /// Who did it.
    pub of: String,
    /// What it came to.
    pub value: Spread,
    /// What was run, to be pasted into a shell.
    pub command: String,
}

/// What is to be at most a number.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// Our median.
    Ours(f64),
    /// The median of the ratios.
    Ratio(f64),
}

/// One thing measured for us, and, where there is one to compare with, for a peer.
#[derive(Clone, Debug, Serialize)]
pub struct Comparison {
    /// What it belongs to.
    pub group: Group,
    /// What was measured.
    pub name: String,
    /// In what.
    pub unit: Unit,
    /// Our side.
    pub ours: Measurement,
    /// The other.
    pub peer: Option<Measurement>,
    /// Ours over the peer's, of each pair.
    pub ratio: Option<Spread>,
    /// What it is to be.
    pub target: Option<Target>,
}

/// How a comparison stands to its target.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// There is none.
    NoTarget,
    /// It is met.
    Met,
    /// It is missed, by so much of it.
    MissedBy(f64),
}

impl Comparison {
    /// How it stands to its target.
    #[must_use]
    pub fn standing(&self) -> Standing {
        let (value, most) = match (self.target, self.ratio) {
            (Some(Target::Ours(most)), _) => (self.ours.value.median, most),
            (Some(Target::Ratio(most)), Some(ratio)) => (ratio.median, most),
            _ => return Standing::NoTarget,
        };
        if value <= most { Standing::Met } else { Standing::MissedBy(value / most - 1.0) }
    }
}

/// A row of the table.
#[derive(Clone, Debug)]
pub enum Row {
    /// It was measured.
    Compared(Box<Comparison>),
    /// It was not, and why.
    Skipped {
        /// What it belongs to.
        group: Group,
        /// What was to be measured.
        name: String,
        /// Why it was not.
        why: String,
    },
}

impl Row {
    /// What it belongs to.
    #[must_use]
    pub fn group(&self) -> Group {
        match self {
            Self::Compared(it) => it.group,
            Self::Skipped { group, .. } => *group,
        }
    }

    /// Whether it misses its target.
    #[must_use]
    pub fn is_missed(&self) -> bool {
        matches!(self, Self::Compared(it) if matches!(it.standing(), Standing::MissedBy(_)))
    }
}

/// The whole, with where and when it was measured.
#[derive(Clone, Debug)]
pub struct Table {
    /// Where.
    pub machine: Machine,
    /// What.
    pub rows: Vec<Row>,
}

/// The machine that it was measured on, and how busy that was.
#[derive(Clone, Debug, Serialize)]
pub struct Machine {
    /// Its processor, in the kernel's words.
    pub cpu: String,
    /// How many processors there are for us.
    pub cores: usize,
    /// The kernel's release.
    pub kernel: String,
    /// How many processes wanted a processor in the minute before, by `/proc/loadavg`.
    pub load_before: String,
    /// The same in the last minute of measuring.
    pub load_after: String,
}
