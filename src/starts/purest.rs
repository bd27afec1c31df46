//! The mean of an endmember's purest pixels: a robust stand-in for one extreme pixel.

use crate::engine::ground::error::{Error, Result};
use crate::scene::Cube;
use ndarray::{Array2, ArrayView1, Axis};
use rayon::prelude::*;

/// Share of the scene's pixels that count as an endmember's purest, at most. Where many are pure
/// the mean is over many: over the 1 % with the most it is still a corner of the cloud, from where
/// pure pixels look mixed, and a fit stays there (docs/evidence.md).
const FRACTION: f64 = 0.1;
/// Fewest pixels in a mean, where the scene has so many.
const FEWEST: usize = 5;
/// A pixel with less than this share of the fifth highest abundance is not pure: a material that
/// fills three pixels in a thousand would else be a mean over mixtures.
const NEAR_PUREST: f64 = 0.9;

/// Mean spectra (K, L) of the 10 % of the pixels, at least 5 and at most all, in which each
/// endmember is most abundant, given abundances (N, K) for a cube of N pixels and L bands; fewer,
/// where the abundance falls below 0.9 of the fifth highest before.
///
/// All pixels that tie with the last one are in (many can have an abundance of exactly 1), so that
/// the order of the pixels does not matter; pixels without the endmember are out. An endmember that
/// no pixel holds keeps its spectrum in `current` (K, L).
///
/// # Errors
///
/// [`Error::Scene`] when the sizes do not agree.
pub fn purest(cube: &Cube, abundances: &Array2<f32>, current: &Array2<f64>) -> Result<Array2<f64>> {
    if abundances.nrows() != cube.pixels() || current.dim() != (abundances.ncols(), cube.bands()) {
        return Err(Error::Scene(format!(
            "Abundances are {:?}, endmembers {:?} and the cube {:?}; they must be (pixels, \
             endmembers), (endmembers, bands) and (pixels, bands).",
            abundances.dim(),
            current.dim(),
            (cube.pixels(), cube.bands())
        )));
    }
    let mut spectra = current.clone();
    spectra
        .axis_iter_mut(Axis(0))
        .into_par_iter()
        .zip(abundances.axis_iter(Axis(1)).into_par_iter())
        .for_each(|(mut spectrum, abundance)| {
            let Some(least) = least_abundance(abundance) else { return };
            spectrum.fill(0.0);
            let mut count = 0.0;
            for (pixel, _) in abundance.iter().enumerate().filter(|&(_, &a)| a >= least) {
                spectrum
                    .iter_mut()
                    .zip(cube.spectrum(pixel))
                    .for_each(|(to, &y)| *to += f64::from(y));
                count += 1.0;
            }
            spectrum /= count;
        });
    Ok(spectra)
}

/// The abundance from which on a pixel counts as pure; none when no pixel holds the endmember.
fn least_abundance(abundance: ArrayView1<f32>) -> Option<f32> {
    let mut held: Vec<f32> = abundance.iter().copied().filter(|&a| a > 0.0).collect();
    let wanted = ((FRACTION * abundance.len() as f64) as usize).max(FEWEST).min(held.len());
    let last = wanted.checked_sub(1)?;
    let (higher, &mut least, _) = held.select_nth_unstable_by(last, |a, b| b.total_cmp(a));
    if higher.len() < FEWEST {
        return Some(least);
    }
    let (_, fifth, _) = higher.select_nth_unstable_by(FEWEST - 1, |a, b| b.total_cmp(a));
    Some(least.max((NEAR_PUREST * f64::from(*fifth)) as f32))
}
