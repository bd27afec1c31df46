//! Whether intervals hold what they promise: where known truths lie among posterior draws (Talts et
//! al. 2018, "Validating Bayesian inference algorithms with simulation-based calibration").

use ndarray::{ArrayView2, s};
use rayon::prelude::*;

use crate::draws::Draws;
use crate::error::{Error, Result};
use crate::score::Convention;
use crate::svi::Outcome;

/// Draws a truth is ranked among. 400 possible ranks: every level that is a multiple of 1/200 is met
/// exactly, no quantile has to be interpolated.
pub const DRAWS: u32 = 399;

/// Ranks of known truths: 0 below all draws, 1 above, uniform where intervals hold what they promise.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Ranks {
    /// One for each pixel and endmember, N K numbers.
    pub abundances: Vec<f64>,
    /// One for each endmember and band, K L numbers.
    pub endmembers: Vec<f64>,
}

/// The rank of a truth among draws, 0 to 1: the middle of its place. Draws that equal it count half
/// on either side.
pub fn rank<T: PartialOrd>(truth: &T, draws: impl Iterator<Item = T>) -> f64 {
    let (mut below, mut equal, mut count) = (0_u32, 0_u32, 0_u32);
    for draw in draws {
        count += 1;
        below += u32::from(draw < *truth);
        equal += u32::from(draw == *truth);
    }
    (f64::from(below) + 0.5 * f64::from(equal + 1)) / f64::from(count + 1)
}

/// The share of ranks that lie inside the central interval of a probability `level`, 0 to 1; none
/// without ranks.
pub fn coverage(ranks: &[f64], level: f64) -> Option<f64> {
    let inside = ranks.iter().filter(|&&rank| (rank - 0.5).abs() <= 0.5 * level).count();
    (!ranks.is_empty()).then(|| inside as f64 / ranks.len() as f64)
}

/// Ranks of the truth under a fitted guide. The truth, endmembers (K, L) and abundances (N, K), is in
/// the `convention`; `matching[t]` is the estimated endmember that stands for the true one t.
///
/// # Errors
///
/// [`Error::Scene`] when sizes differ.
pub fn ranks(
    outcome: &Outcome,
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
    let of_pixel = |n: usize| -> Vec<f64> {
        let drawn = draws.abundances(n);
        let truth = abundances.slice(s![n, ..]);
        truth
            .iter()
            .zip(matching)
            .map(|(truth, &e)| rank(truth, drawn.iter().map(|w| w[e])))
            .collect()
    };
    let of_abundances: Vec<Vec<f64>> = (0..pixels).into_par_iter().map(of_pixel).collect();
    let of_endmembers = endmembers.indexed_iter().map(|((t, band), truth)| {
        rank(truth, draws.spectra().iter().map(|spectra| spectra[matching[t]][band]))
    });
    Ok(Ranks { abundances: of_abundances.concat(), endmembers: of_endmembers.collect() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_among_draws() {
        let draws = || [1.0, 2.0, 3.0].into_iter();
        assert_eq!([0.0, 1.5, 4.0].map(|x| rank(&x, draws())), [0.125, 0.375, 0.875]);
        // A constant that is met exactly lies in the middle.
        assert_eq!(rank(&1.0, [1.0; 3].into_iter()), 0.5);
        assert_eq!(coverage(&[], 0.9), None);
    }
}
