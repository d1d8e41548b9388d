//! Measures two sides in alternation, so that a disturbance of the machine affects both.

use anyhow::{Context, Result};

use crate::commands::bench::measurement::Stats;

/// Calls `measure` with the number of each side, `rounds` times, in alternating order. If there are
/// several rounds, a warm-up round comes first and is not counted. Returns the statistics of each
/// side and, for two sides, those of the ratios of the first to the second.
///
/// # Errors
///
/// Fails with the first error of `measure`, or if there is no round.
pub fn interleave(
    rounds: usize,
    sides: usize,
    mut measure: impl FnMut(usize) -> Result<f64>,
) -> Result<(Vec<Stats>, Option<Stats>)> {
    let mut values = vec![Vec::new(); sides];
    let warm_up = usize::from(rounds > 1);
    for round in 0..rounds + warm_up {
        for place in 0..sides {
            let side = if round % 2 == 0 { place } else { sides - 1 - place };
            values[side].push(measure(side)?);
        }
    }
    let values: Vec<_> = values.iter().map(|values| &values[warm_up..]).collect();
    let ratios: Vec<_> = match &values[..] {
        [ours, baseline] => ours.iter().zip(*baseline).map(|(ours, it)| ours / it).collect(),
        _ => vec![],
    };
    let stats = values.iter().map(|values| Stats::of(values).context("nothing was measured"));
    Ok((stats.collect::<Result<_>>()?, Stats::of(&ratios)))
}
