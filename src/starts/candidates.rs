//! Spectra that could stand in for an endmember of a fit: a search tries them to get from one mode
//! to another.

use ndarray::{Array1, Array2};
use rand::{SeedableRng, rngs::ChaCha8Rng};
use rayon::prelude::*;

use super::finder::Finder;
use super::kmeans::kmeans;
use crate::engine::ground::error::{Error, Result};
use crate::scene::Cube;
use crate::statistics::moments::products;
use crate::statistics::principal::Spread;

/// The share of the pixels that count as badly explained, and how many at least and at most.
const WORST: f64 = 0.02;
const FEWEST: usize = 10;
const MOST: usize = 4000;

/// A spectrum and how much of the scene speaks for it.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    /// Mean spectrum, (L), reflectance.
    pub spectrum: Array1<f64>,
    /// How much of the scene speaks for it, 0 to 1: for a cluster its share of the pixels, for
    /// badly explained pixels their share of the sum of squared residuals.
    pub weight: f64,
}

/// The centres of about 5 K clusters of spectral shape, the largest first. The seed decides between
/// ways to cluster.
///
/// # Errors
///
/// What [`start`](super::start) refuses: [`Error::Setting`](crate::Error::Setting) for a number of
/// endmembers that is 0 or more than the cube has pixels or bands,
/// [`Error::Scene`](crate::Error::Scene) when the cube holds a value that is not finite.
pub fn cluster_candidates(cube: &Cube, k: usize, seed: u64) -> Result<Vec<Candidate>> {
    let finder = Finder::new(cube, k, true, seed)?;
    let clusters = finder.clusters(seed, (seed % 3) as usize);
    let spectra = clusters.spectra.rows().into_iter().map(|row| row.to_owned());
    Ok(sorted(spectra.zip(clusters.shares.iter().copied())))
}

/// Mean spectra of the pixels that a fit explains worst, in at most `groups` groups by the
/// direction of the residual, the weightiest first. `fitted` gives the fit's mean spectrum of a
/// pixel, (L).
///
/// Worst are the 2 % with the largest squared residual, 10 to 4,000 of them. Residuals are compared
/// along the leading directions of these, `groups` + 2 of them, as the rest is noise, and each
/// pixel counts in its group's mean by the square of that part of its residual. Pixels whose
/// residual is not finite are left out; without any residual there are no candidates.
///
/// # Errors
///
/// [`Error::Setting`] when `groups` is 0, [`Error::Scene`] when a fitted spectrum has another
/// number of bands.
pub fn residual_candidates(
    cube: &Cube,
    fitted: impl Fn(usize) -> Array1<f64> + Sync,
    groups: usize,
    seed: u64,
) -> Result<Vec<Candidate>> {
    if groups == 0 {
        return Err(Error::setting("groups", 0, "give 1 or more."));
    }
    let (n, bands) = (cube.pixels(), cube.bands());
    let residual = |pixel: usize| -> Option<Vec<f64>> {
        let fitted = fitted(pixel);
        let all = cube.spectrum(pixel).iter().zip(&fitted).map(|(&y, f)| f64::from(y) - f);
        (fitted.len() == bands).then(|| all.collect())
    };
    let square = |pixel: usize| -> Option<f64> {
        let sum: f64 = residual(pixel)?.iter().map(|r| r * r).sum();
        Some(if sum.is_finite() { sum } else { 0.0 })
    };
    let squares: Option<Vec<f64>> = (0..n).into_par_iter().map(square).collect();
    let squares = squares.ok_or_else(|| {
        Error::Scene(format!("A fitted spectrum does not have the cube's {bands} bands."))
    })?;
    let total: f64 = squares.iter().sum();
    let mut worst: Vec<usize> = (0..n).filter(|&pixel| squares[pixel] > 0.0).collect();
    worst.sort_unstable_by(|&a, &b| squares[b].total_cmp(&squares[a]).then(a.cmp(&b)));
    worst.truncate(((WORST * n as f64) as usize).clamp(FEWEST, MOST));
    if worst.is_empty() {
        return Ok(Vec::new());
    }

    let mut left = Cube::zeros(worst.len(), bands);
    for (to, &pixel) in worst.iter().enumerate() {
        let values = residual(pixel).unwrap_or_default();
        left.spectrum_mut(to).iter_mut().zip(values).for_each(|(to, r)| *to = r as f32);
    }
    let axes = Spread::about_zero(&left).leading(groups + 2).vectors;
    let mut points = products(&left, axes.view());
    let weights: Vec<f64> = points.rows().into_iter().map(|p| p.dot(&p)).collect();
    for (mut point, weight) in points.rows_mut().into_iter().zip(&weights) {
        if *weight > 0.0 {
            point /= weight.sqrt();
        }
    }
    let count = groups.min(worst.len());
    let labels = kmeans(&points, &weights, count, &mut ChaCha8Rng::seed_from_u64(seed));

    let mut sums = Array2::<f64>::zeros((count, bands));
    let (mut sizes, mut shares) = (vec![0.0; count], vec![0.0; count]);
    for ((&pixel, &label), weight) in worst.iter().zip(&labels).zip(&weights) {
        let mut sum = sums.row_mut(label);
        sum.iter_mut().zip(cube.spectrum(pixel)).for_each(|(s, &y)| *s += weight * f64::from(y));
        sizes[label] += weight;
        shares[label] += squares[pixel] / total;
    }
    let filled = (0..count).filter(|&c| sizes[c] > 0.0);
    Ok(sorted(filled.map(|c| (&sums.row(c) / sizes[c], shares[c]))))
}

fn sorted(candidates: impl Iterator<Item = (Array1<f64>, f64)>) -> Vec<Candidate> {
    let mut all: Vec<Candidate> =
        candidates.map(|(spectrum, weight)| Candidate { spectrum, weight }).collect();
    all.sort_by(|a, b| b.weight.total_cmp(&a.weight));
    all
}
