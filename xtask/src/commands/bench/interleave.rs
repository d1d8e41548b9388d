//! Measures two sides in turn, so that what disturbs the machine disturbs both alike.

use anyhow::{Context, Result};

use crate::commands::bench::measurement::Stats;

/// Measures so many sides, by their numbers, `rounds` times in turn. The order changes with each round. Several
/// rounds have a warm-up before them, one that is not counted. Returns the statistics of each side and, of two,
/// those of the ratios of the first to the second.
///
/// # Errors
///
/// The first error of a side.
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
