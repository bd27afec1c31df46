//! The pixels that searches for starts look at: all of a small scene, some of a large one.

use std::borrow::Cow;

use ndarray::{Array1, Array2, Axis};
use rand::{SeedableRng, rngs::ChaCha8Rng};
use rand_distr::{Distribution, StandardNormal};
use rayon::prelude::*;

use crate::scene::Cube;
use crate::statistics::moments::products;
use crate::statistics::principal::Spread;

/// Scenes with more pixels are sampled, to about this many.
const MOST: usize = 20_000;
/// Pixels drawn at random from a large scene; the others are those that chance would miss.
const RANDOM: usize = 12_000;
/// Pixels that the bulk of the scene explains worst.
const UNEXPLAINED: usize = 4_000;
/// Directions in which extremes are taken, and how many at each of the two ends.
pub(super) const DIRECTIONS: usize = 64;
const EXTREMES: usize = 32;

/// Pixels that stand for a scene.
pub(super) struct Sample<'a> {
    pub(super) cube: Cow<'a, Cube>,
    /// How many pixels of the scene each stands for, (n).
    pub(super) weights: Vec<f64>,
}

impl<'a> Sample<'a> {
    /// A sample of a cube of finite values. A large scene gives a random part and, so that no rare
    /// material is lost, the pixels farthest from the span of `k` directions of that part, and
    /// those at the ends of random directions inside the span ("pixel purity", Boardman 1993),
    /// brightness divided out. Only the random part stands for more than itself.
    pub(super) fn new(cube: &'a Cube, k: usize, seed: u64) -> Self {
        let n = cube.pixels();
        if n <= MOST {
            return Sample { cube: Cow::Borrowed(cube), weights: vec![1.0; n] };
        }
        let (bulk, chosen) = parts(cube, k, seed, (RANDOM, UNEXPLAINED, EXTREMES));
        let each = (n - chosen.len()) as f64 / bulk.len().max(1) as f64;
        let mut all: Vec<(usize, f64)> = chosen.iter().map(|&pixel| (pixel, 1.0)).collect();
        all.extend(bulk.iter().map(|&pixel| (pixel, each)));
        all.sort_unstable_by_key(|&(pixel, _)| pixel);
        let (pixels, weights): (Vec<usize>, Vec<f64>) = all.into_iter().unzip();
        Sample { cube: Cow::Owned(cube.select(&pixels)), weights }
    }
}

/// Pixels drawn at random, and those that chance would miss: how many at random, of those that the
/// bulk explains worst, and at each end of each direction.
fn parts(
    cube: &Cube,
    k: usize,
    seed: u64,
    (random, unexplained, extremes): (usize, usize, usize),
) -> (Vec<usize>, Vec<usize>) {
    let n = cube.pixels();
    let rng = &mut ChaCha8Rng::seed_from_u64(seed);
    let mut bulk = rand::seq::index::sample(rng, n, random.min(n)).into_vec();
    bulk.sort_unstable();
    let part = cube.select(&bulk);
    let axes = Spread::about_zero(&part).leading(k).vectors;
    let mut at = products(cube, axes.view());

    let mut forced = vec![false; n];
    let left: Vec<f64> = at
        .axis_iter(Axis(0))
        .into_par_iter()
        .enumerate()
        .map(|(pixel, along)| {
            let square: f64 = cube.spectrum(pixel).iter().map(|&y| f64::from(y).powi(2)).sum();
            square - along.dot(&along)
        })
        .collect();
    highest(&left, unexplained).into_iter().for_each(|pixel| forced[pixel] = true);
    divide_brightness(&mut at);
    for pixel in ends(&at, extremes, rng) {
        forced[pixel] = true;
    }
    bulk.retain(|&pixel| !forced[pixel]);
    (bulk, (0..n).filter(|&pixel| forced[pixel]).collect())
}

/// Divides each row by its first coordinate, which lies along the bulk of the scene. A pixel darker
/// than a tenth of the mean is divided by that tenth, so that its noise does not become an extreme.
fn divide_brightness(at: &mut Array2<f64>) {
    let mean = at.column(0).sum() / at.nrows().max(1) as f64;
    for mut row in at.rows_mut() {
        // The sign of an eigenvector is open; both rows and mean have it.
        let along = (row[0] / mean).max(0.1);
        if along.is_finite() {
            row /= along;
        }
    }
}

/// The `extremes` pixels at each of both ends of random directions.
fn ends(at: &Array2<f64>, extremes: usize, rng: &mut ChaCha8Rng) -> Vec<usize> {
    let directions: Vec<Array1<f64>> = (0..DIRECTIONS)
        .map(|_| (0..at.ncols()).map(|_| StandardNormal.sample(rng)).collect())
        .collect();
    let of = |direction: &Array1<f64>| {
        let scores = at.dot(direction).to_vec();
        let mut found = highest(&scores, extremes);
        found.extend(highest(&scores.iter().map(|s| -s).collect::<Vec<f64>>(), extremes));
        found
    };
    directions.par_iter().map(of).collect::<Vec<_>>().concat()
}

/// The `count` places with the highest scores; of equals, the first.
fn highest(scores: &[f64], count: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    if count < order.len() {
        order.select_nth_unstable_by(count, |&a, &b| {
            scores[b].total_cmp(&scores[a]).then(a.cmp(&b))
        });
        order.truncate(count);
    }
    order
}
