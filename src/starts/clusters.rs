//! Clusters of spectral shape, and the ones of which all others are mixtures.

use ndarray::{Array2, ArrayView2, Axis};
use rand::{SeedableRng, rngs::ChaCha8Rng};

use super::candidates::Candidate;
use super::explain::Explained;
use super::kmeans::kmeans;
use super::sample::Sample;
use crate::scene::Cube;
use crate::statistics::moments::products;
use crate::statistics::principal::Spread;

/// Clusters an endmember: enough for mixtures to have their own, and for a material that fills
/// few pixels.
const EACH: usize = 5;
/// What a group of badly explained pixels counts, as a share of the scene.
const GROUP: f64 = 0.005;
/// Spectra that stand for the kinds of pixel in a scene.
pub(super) struct Clusters {
    /// Mean spectra, (C, L), reflectance; none is empty.
    pub(super) spectra: Array2<f64>,
    /// Shares of the scene's pixels, (C).
    pub(super) shares: Vec<f64>,
    /// How much the shape of each counts, 0 to 1: less, the darker it is.
    bright: Vec<f64>,
}

impl Clusters {
    /// About five clusters an endmember, at most as many as there are pixels.
    ///
    /// Compared are [`directions`] at length one, but for pixels darker than `floor` times the mean
    /// length, which keep a length below one: their shape is noise.
    pub(super) fn new(
        sample: &Sample,
        directions: &Array2<f64>,
        k: usize,
        floor: f64,
        seed: u64,
    ) -> Self {
        let cube = &*sample.cube;
        let (n, weights) = (cube.pixels(), &sample.weights);
        let mut points = directions.clone();
        let lengths: Vec<f64> = points.rows().into_iter().map(|p| p.dot(&p).sqrt()).collect();
        let floor = (floor * lengths.iter().sum::<f64>() / n.max(1) as f64).max(f64::MIN_POSITIVE);
        for (mut point, length) in points.rows_mut().into_iter().zip(&lengths) {
            point /= length.max(floor);
        }
        let count = (EACH * k).min(n);
        let labels = kmeans(&points, weights, count, &mut ChaCha8Rng::seed_from_u64(seed));

        let mut spectra = Array2::zeros((count, cube.bands()));
        let mut sizes = vec![0.0; count];
        for (pixel, (&label, &weight)) in labels.iter().zip(weights).enumerate() {
            let mut sum = spectra.row_mut(label);
            sum.iter_mut()
                .zip(cube.spectrum(pixel))
                .for_each(|(s, &y)| *s += weight * f64::from(y));
            sizes[label] += weight;
        }
        let total: f64 = sizes.iter().sum();
        let filled: Vec<usize> = (0..count).filter(|&c| sizes[c] > 0.0).collect();
        let mut spectra = spectra.select(Axis(0), &filled);
        spectra.rows_mut().into_iter().zip(&filled).for_each(|(mut row, &c)| row /= sizes[c]);
        let bright = |row: ndarray::ArrayView1<f64>| (row.dot(&row).sqrt() / floor).min(1.0);
        Clusters {
            bright: spectra.rows().into_iter().map(bright).collect(),
            spectra,
            shares: filled.iter().map(|&c| sizes[c] / total).collect(),
        }
    }

    /// Takes in groups of badly explained pixels, such as those of
    /// [`residual_candidates`](super::residual_candidates). Each counts as 0.5 % of the scene,
    /// which is about what such a group has.
    pub(super) fn add(&mut self, groups: Vec<Candidate>) {
        for group in groups {
            if self.spectra.push_row(group.spectrum.view()).is_ok() {
                self.shares.push(GROUP);
                self.bright.push(1.0);
            }
        }
    }

    /// `k` of the clusters, chosen so that all are best explained as their mixtures; fewer
    /// where there are fewer.
    pub(super) fn corners(&self, k: usize, seed: u64) -> Array2<f64> {
        let chosen = self.explained_by(self.spectra.view()).choose(k, seed);
        self.spectra.select(Axis(0), &chosen)
    }

    /// The clusters as what `candidates`, (C, L), have to explain.
    pub(super) fn explained_by(&self, candidates: ArrayView2<f64>) -> Explained {
        let weights: Vec<f64> =
            self.shares.iter().zip(&self.bright).map(|(share, b)| share * b * b).collect();
        Explained::new(candidates, self.spectra.view(), &weights)
    }
}

/// The pixels along the leading directions of the scene, 2 K + 6 of them, (n, directions): across
/// hundreds of bands the noise of all is larger than what tells materials apart.
pub(super) fn directions(cube: &Cube, k: usize) -> Array2<f64> {
    products(cube, Spread::about_zero(cube).leading(2 * k + 6).vectors.view())
}
