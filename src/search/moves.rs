//! Moves from one mode to another: one endmember gives way to a spectrum that the fit explains badly.

use ndarray::{Array1, Array2};

use super::judge::Fitted;
use crate::error::Result;
use crate::scene::Cube;
use crate::score::sad;
use crate::starts::{Candidate, cluster_candidates, misfits, residual_candidates};

/// A replacement.
pub struct Move {
    pub what: String,
    /// (K, L), reflectance.
    pub endmembers: Array2<f64>,
}

/// Groups of badly explained pixels.
const GROUPS: usize = 4;
/// A candidate closer to an endmember than this is no news, radians.
const NEWS: f64 = 0.03;

/// Up to `count` moves from a fit, those that explain the scene best with FCLS first; each
/// candidate takes the place that suits it best.
pub fn propose(
    cube: &Cube,
    from: &Fitted,
    brightness: bool,
    count: usize,
    seed: u64,
) -> Result<Vec<Move>> {
    let Some(posterior) = from.posterior() else { return Ok(Vec::new()) };
    let k = from.endmembers.nrows();
    let named = |what: &'static str| move |candidate: Candidate| (what, candidate.spectrum);
    let candidates: Vec<(&str, Array1<f64>)> =
        residual_candidates(cube, |n| posterior.fitted(n), GROUPS, seed)?
            .into_iter()
            .map(named("pixels explained worst"))
            .chain(cluster_candidates(cube, k, seed)?.into_iter().map(named("a cluster's centre")))
            .filter(|(_, spectrum)| {
                from.endmembers.rows().into_iter().all(|c| sad(c, spectrum.view()) > NEWS)
            })
            .collect();
    let sets: Vec<Array2<f64>> = candidates
        .iter()
        .flat_map(|(_, spectrum)| {
            (0..k).map(move |at| {
                let mut set = from.endmembers.clone();
                set.row_mut(at).assign(spectrum);
                set
            })
        })
        .collect();
    let misfits = misfits(cube, &sets, brightness, seed)?;
    let mut moves: Vec<(f64, Move)> = candidates
        .iter()
        .zip(misfits.chunks_exact(k).zip(sets.chunks_exact(k)))
        .filter_map(|(&(what, _), (misfits, sets))| {
            let at = (0..k).min_by(|&a, &b| misfits[a].total_cmp(&misfits[b]))?;
            let what = format!("{what} for endmember {}", at + 1);
            Some((misfits[at], Move { what, endmembers: sets[at].clone() }))
        })
        .collect();
    moves.sort_by(|a, b| a.0.total_cmp(&b.0));
    Ok(moves.into_iter().take(count).map(|(_, one)| one).collect())
}
