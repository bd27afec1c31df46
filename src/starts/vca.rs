//! Vertex component analysis: the pixels at the corners of the data cloud.
//!
//! Nascimento and Dias (2005), "Vertex component analysis: a fast algorithm to unmix hyperspectral
//! data", IEEE TGRS 43(4). The data are projected to K dimensions; then, K times, the pixel is
//! taken that lies farthest along a random direction orthogonal to the pixels taken before.

use super::{check_count, check_finite};
use crate::engine::ground::error::Result;
use crate::scene::Cube;
use crate::statistics::moments::{mean_spectrum, products};
use crate::statistics::principal::{Leading, Spread};
use ndarray::{Array1, Array2, Axis, s};
use rand::{SeedableRng, rngs::ChaCha8Rng};
use rand_distr::{Distribution, StandardNormal};
use rayon::prelude::*;

/// A pixel this much darker than the mean, along the mean, carries no shape: the perspective
/// projection would blow its noise up into a corner.
const DARK: f64 = 1e-3;
/// Scores and distances below this share of the largest are round-off.
const NEGLIGIBLE: f64 = 1e-9;

/// Indices of `k` different pixels of `cube` (N pixels, L bands) near the vertices of its simplex.
///
/// The projection follows the paper: affine, on K - 1 principal components, when the estimated
/// signal-to-noise ratio is below 15 + 10 log10 K dB; perspective, on K eigenvectors of the
/// correlation matrix, above. Sums are in f64. Directions are drawn from a normal distribution (the
/// paper's code: uniform), the same for the same seed. Three cases that the paper leaves open:
///
/// - K = 1: the pixel with the smallest spectral angle to the mean spectrum.
/// - Where the data span fewer than K dimensions, the rest are the pixels farthest from all taken
///   so far, so that a spectrum repeats only when there are fewer than K different ones.
/// - Pixels below 0.1 % of the mean brightness are not taken in the perspective projection, unless
///   nothing else is left.
///
/// # Errors
///
/// What [`start`](super::start) refuses: [`Error::Setting`](crate::Error::Setting) for a number of
/// endmembers that is 0 or more than the cube has pixels or bands,
/// [`Error::Scene`](crate::Error::Scene) when the cube holds a value that is not finite.
pub fn vca(cube: &Cube, k: usize, seed: u64) -> Result<Vec<usize>> {
    Ok(candidates(cube, k, seed)?.pop().unwrap_or_default())
}

/// The pixels found in the affine projection and, where the paper would take the perspective one,
/// those found in that, last. The perspective projection cancels brightness, but divides by it:
/// the noise of a dark material such as water becomes a cloud of its own, in which corners are
/// found. Which of the two suits a scene shows only in how well the result fits.
pub(super) fn candidates(cube: &Cube, k: usize, seed: u64) -> Result<Vec<Vec<usize>>> {
    check_count(cube, k)?;
    check_finite(cube)?;
    Ok(Projections::new(cube, k).corners(cube, seed))
}

/// The cloud of pixels in K dimensions: what searches with several seeds share.
pub(super) struct Projections {
    k: usize,
    /// The affine projection, and the perspective one where the paper takes it; none for K = 1.
    points: Vec<Points>,
}

impl Projections {
    /// The cloud of a cube of finite values with at least `k` pixels and bands.
    pub(super) fn new(cube: &Cube, k: usize) -> Self {
        if k == 1 {
            return Projections { k, points: Vec::new() };
        }
        let mean = mean_spectrum(cube);
        let spread = Spread::new(cube, mean.clone());
        let components = spread.leading(k);
        let mut points = vec![affine(cube, &mean, &components.vectors)];
        let ratio = signal_to_noise(&mean, spread.total(), &components);
        if ratio >= 15.0 + 10.0 * (k as f64).log10() {
            points.push(perspective(cube, spread.moved_to_zero(), k));
        }
        Projections { k, points }
    }

    /// The K pixels of each projection.
    pub(super) fn corners(&self, cube: &Cube, seed: u64) -> Vec<Vec<usize>> {
        if self.k == 1 {
            return vec![vec![nearest_to_mean(cube)]];
        }
        let take = |points| corners(cube, points, &mut ChaCha8Rng::seed_from_u64(seed));
        self.points.iter().map(take).collect()
    }

    /// Coordinates along the K - 1 leading principal components and a last one that all pixels have
    /// in common, (N, K); none for K = 1.
    pub(super) fn affine(&self) -> Option<&Array2<f64>> {
        self.points.first().map(|points| &points.at)
    }
}

/// The pixel with the smallest angle to the mean spectrum; the first of equals.
fn nearest_to_mean(cube: &Cube) -> usize {
    let mean = mean_spectrum(cube);
    let cosine = |pixel: usize| {
        let (mut product, mut square) = (0.0, 0.0);
        for (&y, m) in cube.spectrum(pixel).iter().zip(&mean) {
            product += f64::from(y) * m;
            square += f64::from(y).powi(2);
        }
        // A black pixel has no direction: behind every other.
        if square > 0.0 { product / square.sqrt() } else { f64::NEG_INFINITY }
    };
    farthest(cube.pixels(), cosine).map_or(0, |(pixel, _)| pixel)
}

/// The cloud in K dimensions, and which of its points may be taken.
struct Points {
    /// Coordinates of the pixels, (N, K).
    at: Array2<f64>,
    usable: Vec<bool>,
}

/// The paper's estimate in dB: power inside the K leading dimensions against the
/// power outside; `spread` is the sum of all variances.
fn signal_to_noise(mean: &Array1<f64>, spread: f64, components: &Leading) -> f64 {
    let (bands, k) = components.vectors.dim();
    let mean_power = mean.dot(mean);
    let total_power = spread + mean_power;
    let explained: f64 = components.values.iter().sum();
    let signal_power = explained + mean_power;
    // The bounds keep noise-free and all-zero scenes finite.
    let least = f64::EPSILON * total_power + f64::MIN_POSITIVE;
    let signal = (signal_power - k as f64 / bands as f64 * total_power).max(least);
    let noise = (total_power - signal_power).max(least);
    10.0 * (signal / noise).log10()
}

/// K - 1 principal components, and the same last coordinate for all.
fn affine(cube: &Cube, mean: &Array1<f64>, components: &Array2<f64>) -> Points {
    let k = components.ncols();
    let plane = components.slice(s![.., ..k - 1]);
    let mut at = Array2::zeros((cube.pixels(), k));
    at.slice_mut(s![.., ..k - 1]).assign(&(products(cube, plane) - mean.dot(&plane)));
    let radius = greatest_length(&at);
    at.column_mut(k - 1).fill(radius);
    Points { at, usable: vec![true; cube.pixels()] }
}

/// K eigenvectors of the correlation matrix, each pixel divided by its length along the mean.
fn perspective(cube: &Cube, correlation: Spread<'_>, k: usize) -> Points {
    let mut at = products(cube, correlation.leading(k).vectors.view());
    let centre = at.sum_axis(Axis(0)) / cube.pixels() as f64;
    let along = at.dot(&centre);
    let darkest = DARK * centre.dot(&centre);
    let mut usable: Vec<bool> = along.iter().map(|&a| a > darkest).collect();
    for (mut row, &a) in at.rows_mut().into_iter().zip(&along) {
        if a > darkest { row /= a } else { row.fill(0.0) }
    }
    if usable.iter().filter(|&&u| u).count() < k {
        usable.fill(true);
    }
    Points { at, usable }
}

fn greatest_length(points: &Array2<f64>) -> f64 {
    points.rows().into_iter().map(|row| row.dot(&row)).fold(0.0, f64::max).sqrt()
}

/// Takes K points, each as far as possible along a direction orthogonal to those before.
fn corners(cube: &Cube, points: &Points, rng: &mut ChaCha8Rng) -> Vec<usize> {
    let (n, k) = points.at.dim();
    let mut free = points.usable.clone();
    let size = greatest_length(&points.at);
    // Orthonormal basis of the points taken. The paper starts from the last axis, so that the
    // first direction lies in the plane of the cloud; that axis goes when a point comes.
    let mut basis: Vec<Array1<f64>> = vec![unit(k, k - 1)];
    let mut picked: Vec<usize> = Vec::with_capacity(k);
    while picked.len() < k {
        let direction = orthogonal(&basis, k, rng);
        let best = farthest(n, |pixel| {
            if free[pixel] { points.at.row(pixel).dot(&direction).abs() } else { f64::NEG_INFINITY }
        });
        let pixel = match best {
            Some((pixel, score)) if score > NEGLIGIBLE * size => pixel,
            // The points taken span the cloud.
            _ => farthest_from(cube, &free, &picked),
        };
        free[pixel] = false;
        if picked.is_empty() {
            basis.clear();
        }
        picked.push(pixel);
        if let Some(new) = remainder(points.at.row(pixel).to_owned(), &basis, NEGLIGIBLE * size) {
            basis.push(new);
        }
    }
    picked
}

/// The free pixel whose spectrum is farthest from the nearest one taken; the first of equals. The
/// spectra decide, as the perspective projection does not tell a spectrum from its multiples.
fn farthest_from(cube: &Cube, free: &[bool], picked: &[usize]) -> usize {
    let distance = |pixel: usize| {
        if !free[pixel] {
            return f64::NEG_INFINITY;
        }
        let square = |&other: &usize| {
            let pairs = cube.spectrum(pixel).iter().zip(cube.spectrum(other));
            pairs.map(|(&a, &b)| (f64::from(a) - f64::from(b)).powi(2)).sum::<f64>()
        };
        picked.iter().map(square).fold(f64::INFINITY, f64::min)
    };
    farthest(free.len(), distance).map_or(0, |(pixel, _)| pixel)
}

/// A random unit vector orthogonal to `basis`, which has fewer than `k` members.
fn orthogonal(basis: &[Array1<f64>], k: usize, rng: &mut ChaCha8Rng) -> Array1<f64> {
    let draw = (0..k).map(|_| StandardNormal.sample(rng)).collect();
    // A draw inside the span has probability zero; an axis then serves as well.
    remainder(draw, basis, NEGLIGIBLE)
        .or_else(|| (0..k).find_map(|axis| remainder(unit(k, axis), basis, NEGLIGIBLE)))
        .unwrap_or_else(|| unit(k, 0))
}

/// What `vector` has outside the span of `basis`, at length one; none when that is at most `least`.
fn remainder(mut vector: Array1<f64>, basis: &[Array1<f64>], least: f64) -> Option<Array1<f64>> {
    // Twice is enough (Kahan; Parlett 1980, section 6.9).
    for _ in 0..2 {
        for member in basis {
            let share = vector.dot(member);
            vector.scaled_add(-share, member);
        }
    }
    let length = vector.dot(&vector).sqrt();
    (length > least).then(|| vector / length)
}

fn unit(k: usize, axis: usize) -> Array1<f64> {
    let mut vector = Array1::zeros(k);
    vector[axis] = 1.0;
    vector
}

/// The pixel with the highest score and the score; the first of equals.
fn farthest(pixels: usize, score: impl Fn(usize) -> f64 + Sync) -> Option<(usize, f64)> {
    (0..pixels)
        .into_par_iter()
        .with_min_len(1024)
        .map(|pixel| (pixel, score(pixel)))
        .reduce_with(|a, b| if b.1 > a.1 || (b.1 == a.1 && b.0 < a.0) { b } else { a })
}
