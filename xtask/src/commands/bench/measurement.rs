//! The measured values as plain data. The JSON table is their serialized form.

use clap::ValueEnum;
use serde::Serialize;

/// A group of rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum BenchGroup {
    /// Cost of one start of a tool
    Process,
    /// Speed of bulk data
    Data,
    /// Duration of a round trip
    Messages,
    /// Duration of a run of the experiment
    Experiment,
    /// Duration of a build of the tools
    Build,
}

/// The unit of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Unit {
    /// Instructions or system calls.
    Count,
    /// Bytes.
    Bytes,
    /// Seconds of wall-clock time.
    Seconds,
}

/// The statistics of one quantity, measured several times.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Stats {
    /// The middle value, or the mean of the two in the middle.
    pub median: f64,
    /// The smallest value.
    pub min: f64,
    /// The largest value.
    pub max: f64,
    /// The number of values.
    pub count: usize,
}

impl Stats {
    /// Returns the statistics of these values, or `None` if there are none.
    #[must_use]
    pub fn of(values: &[f64]) -> Option<Self> {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let (min, max, count) = (*sorted.first()?, *sorted.last()?, sorted.len());
        let median = f64::midpoint(sorted[(count - 1) / 2], sorted[count / 2]);
        Some(Self { median, min, max, count })
    }
}

/// A measured side of a row.
#[derive(Clone, Debug, Serialize)]
pub struct Measurement {
    /// Its name.
    pub of: String,
    /// Its values.
    pub value: Stats,
    /// The measured command, which can be pasted into a shell in the checkout.
    pub command: String,
}

/// An upper limit.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Limit {
    /// The limit of our median.
    Ours(f64),
    /// The limit of the median of the ratios.
    Ratio(f64),
}

/// The status of a target.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct TargetStatus {
    /// Whether the target is met; `None` if there is no target or nothing was measured.
    pub met: Option<bool>,
    /// By which fraction of the limit a missed target is exceeded.
    pub missed_by: Option<f64>,
}

impl TargetStatus {
    /// Compares our values or the ratios with a target.
    #[must_use]
    pub fn of(target: Option<Limit>, ours: Option<Stats>, ratio: Option<Stats>) -> Self {
        let over = match target {
            Some(Limit::Ours(limit)) => ours.map(|it| it.median / limit - 1.0),
            Some(Limit::Ratio(limit)) => ratio.map(|it| it.median / limit - 1.0),
            None => None,
        };
        Self { met: over.map(|over| over <= 0.0), missed_by: over.filter(|over| *over > 0.0) }
    }
}

/// A row of the table.
#[derive(Clone, Debug, Serialize)]
pub struct BenchRow {
    /// Its group.
    pub group: BenchGroup,
    /// The name of the quantity.
    pub name: String,
    /// The unit of the quantity.
    pub unit: Unit,
    /// Our side.
    pub ours: Option<Measurement>,
    /// The other side, if any.
    pub baseline: Option<Measurement>,
    /// The ratio of our value to the baseline's, over all pairs.
    pub ratio: Option<Stats>,
    /// The limit.
    pub target: Option<Limit>,
    /// Whether the target is met.
    #[serde(flatten)]
    pub status: TargetStatus,
    /// Why nothing was measured.
    pub skipped: Option<String>,
}
