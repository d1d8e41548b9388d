//! Two sides in turn, so that what disturbs the machine disturbs both alike.

use anyhow::{Context, Result};

use crate::commands::bench::measurement::Spread;

/// What pairs came to.
pub(super) struct Pairs {
    pub(super) ours: Spread,
    pub(super) peer: Spread,
    /// Ours over the peer's, of each pair.
    pub(super) ratio: Spread,
}

/// Measures both sides once to warm up, which is not counted, and then `count` times in turn; who goes
/// first changes with each pair.
pub(super) fn measure(
    count: usize,
    mut ours: impl FnMut() -> Result<f64>,
    mut peer: impl FnMut() -> Result<f64>,
) -> Result<Pairs> {
    let (mut of_ours, mut of_peer, mut ratios) = (vec![], vec![], vec![]);
    for pair in 0..=count {
        let (first, second);
        if pair % 2 == 0 {
            (first, second) = (ours()?, peer()?);
        } else {
            let of_peer = peer()?;
            (first, second) = (ours()?, of_peer);
        }
        if pair > 0 {
            of_ours.push(first);
            of_peer.push(second);
            ratios.push(first / second);
        }
    }
    let spread = |values: &[f64]| Spread::of(values).context("no pair was measured");
    Ok(Pairs { ours: spread(&of_ours)?, peer: spread(&of_peer)?, ratio: spread(&ratios)? })
}

/// Measures one side `count` times, with a warm-up.
pub(super) fn alone(count: usize, mut ours: impl FnMut() -> Result<f64>) -> Result<Spread> {
    ours()?;
    let values = (0..count).map(|_| ours()).collect::<Result<Vec<_>>>()?;
    Spread::of(&values).context("nothing was measured")
}
