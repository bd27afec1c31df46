//! Whether intervals hold what they promise: where known truths lie among posterior draws (Talts et
//! al. 2018, "Validating Bayesian inference algorithms with simulation-based calibration").

use ndarray::ArrayView2;
use rayon::prelude::*;

use crate::draws::Draws;
use crate::error::{Error, Result};
use crate::reweight::{self, Reweighting};
use crate::scene::Cube;
use crate::score::Convention;
use crate::svi::Outcome;

/// Draws a truth is ranked among. 400 possible ranks: every level that is a multiple of 1/200 is met
/// exactly, no quantile has to be interpolated.
pub const DRAWS: u32 = reweight::DRAWS;

/// Ranks of known truths: 0 below all draws, 1 above, uniform where intervals hold what they promise.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Ranks {
    /// One for each pixel and endmember, N K numbers.
    pub abundances: Vec<f64>,
    /// The same among weighted draws ([`Reweighting`]); empty with covariance noise.
    pub reweighted: Vec<f64>,
    /// One for each endmember and band, K L numbers.
    pub endmembers: Vec<f64>,
}

/// The rank of a truth among draws, 0 to 1: the middle of its place. Draws that equal it count half
/// on either side. The truth's own weight is that of an average draw.
pub fn rank<T: PartialOrd>(truth: &T, draws: impl Iterator<Item = (T, f64)>) -> f64 {
    let (mut below, mut equal, mut total, mut count) = (0.0, 0.0, 0.0, 0.0);
    for (draw, weight) in draws {
        count += 1.0;
        total += weight;
        below += if draw < *truth { weight } else { 0.0 };
        equal += if draw == *truth { weight } else { 0.0 };
    }
    let own = total / count;
    (below + 0.5 * (equal + own)) / (total + own)
}

/// The share of ranks that lie inside the central interval of a probability `level`, 0 to 1; none
/// without ranks.
pub fn coverage(ranks: &[f64], level: f64) -> Option<f64> {
    let inside = ranks.iter().filter(|&&rank| (rank - 0.5).abs() <= 0.5 * level).count();
    (!ranks.is_empty()).then(|| inside as f64 / ranks.len() as f64)
}

/// Ranks of the truth under a fitted guide of a cube. The truth, endmembers (K, L) and abundances (N, K), is in
/// the `convention`; `matching[t]` is the estimated endmember that stands for the true one t.
///
/// # Errors
///
/// [`Error::Scene`] when sizes differ.
pub fn ranks(
    outcome: &Outcome,
    cube: &Cube,
    convention: Convention,
    endmembers: ArrayView2<f64>,
    abundances: ArrayView2<f32>,
    matching: &[usize],
) -> Result<Ranks> {
    let p = &outcome.params;
    let (k, bands, pixels) = (p.k(), p.bands as usize, p.pixels as usize);
    let sound = matching.len() == k && matching.iter().all(|&e| e < k);
    if endmembers.dim() != (k, bands) || abundances.dim() != (pixels, k) || !sound {
        return Err(Error::Scene(format!(
            "The fit has {k} endmembers, {bands} bands and {pixels} pixels; the truth has {:?} spectra, \
             {:?} abundances and {} pairs; sizes must agree.",
            endmembers.dim(),
            abundances.dim(),
            matching.len()
        )));
    }
    let draws = Draws::new(p, &outcome.globals, &outcome.locals, convention, DRAWS);
    let among = |n: usize, drawn: &[Vec<f32>], weights: &[f64]| -> Vec<f64> {
        let of = |(truth, &e): (&f32, &usize)| {
            rank(truth, drawn.iter().map(|w| w[e]).zip(weights.iter().copied()))
        };
        abundances.row(n).iter().zip(matching).map(of).collect()
    };
    let equal = vec![1.0; DRAWS as usize];
    let plain: Vec<Vec<f64>> =
        (0..pixels).into_par_iter().map(|n| among(n, &draws.abundances(n), &equal)).collect();
    let reweighting = Reweighting::new(p, cube, &outcome.globals, &outcome.locals);
    let reweighted = reweighting.map(|reweighting| -> Vec<Vec<f64>> {
        let one = |n| {
            let (drawn, weights) = draws.weighted(&reweighting, n);
            among(n, &drawn, &weights)
        };
        (0..pixels).into_par_iter().map(one).collect()
    });
    let of_endmembers = endmembers.indexed_iter().map(|((t, band), truth)| {
        rank(truth, draws.spectra().iter().map(|spectra| (spectra[matching[t]][band], 1.0)))
    });
    Ok(Ranks {
        abundances: plain.concat(),
        reweighted: reweighted.unwrap_or_default().concat(),
        endmembers: of_endmembers.collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_among_draws() {
        let draws = || [1.0, 2.0, 3.0].into_iter().map(|x| (x, 1.0));
        assert_eq!([0.0, 1.5, 4.0].map(|x| rank(&x, draws())), [0.125, 0.375, 0.875]);
        // A constant that is met exactly lies in the middle.
        assert_eq!(rank(&1.0, [(1.0, 1.0); 3].into_iter()), 0.5);
        // A weight of two counts as two draws, of an average weight of 4/3.
        let weighted = [(1.0, 2.0), (2.0, 1.0), (3.0, 1.0)].into_iter();
        assert_eq!(rank(&1.5, weighted), (2.0 + 0.5 * 4.0 / 3.0) / (4.0 + 4.0 / 3.0));
        assert_eq!(coverage(&[], 0.9), None);
    }
}
