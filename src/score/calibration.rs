//! Whether intervals hold what they promise: where known truths lie among posterior draws (Talts et
//! al. 2018, "Validating Bayesian inference algorithms with simulation-based calibration").

use ndarray::{Array2, ArrayView2};
use rayon::prelude::*;

use crate::convention::{Convention, without_traces};
use crate::engine::ground::error::{Error, Result};
use crate::engine::guide::Guide;
use crate::engine::layout::Params;
use crate::engine::pixels::Pixels;
use crate::posterior::draws::Draws;
use crate::posterior::nested::{self, Nested};
use crate::posterior::peaks::scale;

/// Draws that a truth is placed among. 400 possible places: every level that is a multiple of 1/200
/// is met exactly, no quantile has to be interpolated.
pub const DRAWS: u32 = 399;

/// Where known truths lie among draws: 0 below all draws, 1 above, uniform where intervals hold
/// what they promise.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Places {
    /// Places of the abundances, one for each pixel and endmember: N K numbers in the order of the
    /// truth.
    pub abundances: Vec<f64>,
    /// Places of the spectra, one for each endmember and band: K L numbers.
    pub endmembers: Vec<f64>,
}

/// Where a truth lies among draws, 0 to 1: the middle of its place. Draws that equal it count half
/// on either side. The truth's own weight is that of an average draw.
pub fn place<T: PartialOrd>(truth: &T, draws: impl Iterator<Item = (T, f64)>) -> f64 {
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

/// The share of places that lie inside the central interval of a probability `level`, 0 to 1; none
/// without places.
pub fn coverage(places: &[f64], level: f64) -> Option<f64> {
    let inside = places.iter().filter(|&&place| (place - 0.5).abs() <= 0.5 * level).count();
    (!places.is_empty()).then(|| inside as f64 / places.len() as f64)
}

/// What is known of a scene: endmembers (K, L) and abundances (N, K) in the convention, and for
/// each of them the number of the estimated endmember that stands for it.
#[derive(Debug, Clone, Copy)]
pub struct Known<'a> {
    /// What an abundance is a share of.
    pub convention: Convention,
    /// Spectra, (K, L).
    pub endmembers: ArrayView2<'a, f64>,
    /// Abundances, (N, K).
    pub abundances: ArrayView2<'a, f32>,
    /// Estimated endmember of each true one, (K).
    pub matching: &'a [usize],
}

impl Known<'_> {
    /// Refuses a truth of other sizes than the fit's.
    fn check(&self, p: &Params) -> Result<()> {
        let (k, bands, pixels) = (p.k(), p.bands as usize, p.pixels as usize);
        let (spectra, shares) = (self.endmembers.dim(), self.abundances.dim());
        let sound = self.matching.len() == k && self.matching.iter().all(|&e| e < k);
        if spectra == (k, bands) && shares == (pixels, k) && sound {
            return Ok(());
        }
        Err(Error::Scene(format!(
            "The fit has {k} endmembers, {bands} bands and {pixels} pixels; the truth has \
             {spectra:?} spectra, {shares:?} abundances and {} pairs; sizes must agree.",
            self.matching.len()
        )))
    }

    /// Places of a pixel's abundances among weighted draws of them.
    fn among(&self, pixel: usize, drawn: &[Vec<f32>], weights: &[f64]) -> Vec<f64> {
        let of = |(truth, &e): (&f32, &usize)| {
            place(truth, drawn.iter().map(|w| w[e]).zip(weights.iter().copied()))
        };
        // As draws have it.
        let mut truth = self.abundances.row(pixel).to_vec();
        without_traces(&mut truth);
        truth.iter().zip(self.matching).map(of).collect()
    }

    /// Places of spectra among draws of them: draws, then endmembers, then bands.
    fn among_spectra(&self, drawn: &[Vec<Vec<f64>>]) -> Vec<f64> {
        let of = |((t, band), truth): ((usize, usize), &f64)| {
            place(truth, drawn.iter().map(|spectra| (spectra[self.matching[t]][band], 1.0)))
        };
        self.endmembers.indexed_iter().map(of).collect()
    }
}

/// Places of the truth under the fitted guide of these pixels.
///
/// # Errors
///
/// [`Error::Scene`] when sizes differ.
pub fn places(guide: &Guide, of: &Pixels, truth: &Known) -> Result<Places> {
    let p = &guide.params;
    truth.check(p)?;
    let draws = Draws::new(guide, of, truth.convention, DRAWS);
    let equal = vec![1.0; DRAWS as usize];
    let of_pixel = |n| truth.among(n, &draws.abundances(n), &equal);
    let abundances: Vec<Vec<f64>> = (0..p.pixels as usize).into_par_iter().map(of_pixel).collect();
    Ok(Places { abundances: abundances.concat(), endmembers: truth.among_spectra(draws.spectra()) })
}

/// Places of the truth under the nested posterior of a fit.
///
/// # Errors
///
/// [`Error::Scene`] when sizes differ.
pub fn nested_places(nested: &Nested, truth: &Known) -> Result<Places> {
    let p = nested.params();
    truth.check(p)?;
    let mut spectra = nested.spectra(DRAWS as usize);
    let plain = spectra[..nested::SCENES].to_vec();
    let heights = scale(&mut spectra, truth.convention);
    let scenes = nested.scenes(&plain, &heights);
    let of_pixels = nested.pixels().arrange(truth.abundances.to_owned());
    let arranged = Known { abundances: of_pixels.view(), ..*truth };
    let of_block = |block| -> Vec<f64> {
        let first = block * nested::BLOCK;
        let of_pixel = |(n, drawn): (usize, nested::Drawn)| {
            arranged.among(first + n, &drawn.shares, &drawn.weights)
        };
        nested.drawn(block, &scenes).into_iter().enumerate().flat_map(of_pixel).collect()
    };
    let blocks: Vec<Vec<f64>> = (0..nested.blocks()).into_par_iter().map(of_block).collect();
    let found = Array2::from_shape_vec(truth.abundances.dim(), blocks.concat())
        .map_err(|error| Error::Fit(format!("places have no shape: {error}")))?;
    let abundances = nested.pixels().restore(found).into_iter().collect();
    Ok(Places { abundances, endmembers: truth.among_spectra(&spectra) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_among_draws() {
        let draws = || [1.0, 2.0, 3.0].into_iter().map(|x| (x, 1.0));
        assert_eq!([0.0, 1.5, 4.0].map(|x| place(&x, draws())), [0.125, 0.375, 0.875]);
        // A constant that is met exactly lies in the middle.
        assert_eq!(place(&1.0, [(1.0, 1.0); 3].into_iter()), 0.5);
        // A weight of two counts as two draws, of an average weight of 4/3.
        let weighted = [(1.0, 2.0), (2.0, 1.0), (3.0, 1.0)].into_iter();
        assert_eq!(place(&1.5, weighted), (2.0 + 0.5 * 4.0 / 3.0) / (4.0 + 4.0 / 3.0));
        assert_eq!(coverage(&[], 0.9), None);
    }
}
