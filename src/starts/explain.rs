//! Which few spectra explain many others as their mixtures.

use ndarray::{Array2, ArrayView2};
use rand::{RngExt, SeedableRng, rngs::ChaCha8Rng};
use rayon::prelude::*;

use super::nnls::Solver;

/// Rounds of exchanges at most; two to four are usual.
const ROUNDS: usize = 20;
/// An exchange that gains a smaller share of what is left is round-off.
const LEAST_GAIN: f64 = 1e-9;

/// Spectra to be explained by non-negative mixtures of some of C candidates. All of them are taken
/// as shapes: at length one.
pub(super) struct Explained {
    /// Products of candidates, (C, C).
    gram: Array2<f64>,
    /// Products of targets and candidates, (T, C).
    products: Array2<f64>,
    weights: Vec<f64>,
}

impl Explained {
    /// Candidates (C, L), targets (T, L) and the weights of these (T).
    pub(super) fn new(
        candidates: ArrayView2<f64>,
        targets: ArrayView2<f64>,
        weights: &[f64],
    ) -> Self {
        let (candidates, targets) = (shapes(candidates), shapes(targets));
        Explained {
            gram: candidates.dot(&candidates.t()),
            products: targets.dot(&candidates.t()),
            weights: weights.to_vec(),
        }
    }

    /// What mixtures of the `chosen` candidates leave of the targets: weighted sum of squares.
    pub(super) fn left(&self, chosen: &[usize]) -> f64 {
        let mut solver = Solver::new(chosen.len());
        let mut target = vec![0.0; chosen.len()];
        let mut left = 0.0;
        for (products, weight) in self.products.rows().into_iter().zip(&self.weights) {
            target.iter_mut().zip(chosen).for_each(|(to, &c)| *to = products[c]);
            let gram = |i: usize, j: usize| self.gram[[chosen[i], chosen[j]]];
            solver.solve(gram, &target);
            left += weight * solver.left(gram, &target, 1.0);
        }
        left
    }

    /// `k` candidates (all, when there are fewer) that leave least: a first one at random, others
    /// as each leaves least, then exchanges until none gains.
    pub(super) fn choose(&self, k: usize, seed: u64) -> Vec<usize> {
        let count = self.gram.nrows();
        if count <= k {
            return (0..count).collect();
        }
        let mut chosen = vec![ChaCha8Rng::seed_from_u64(seed).random_range(0..count)];
        let mut left = self.left(&chosen);
        while chosen.len() < k {
            let place = chosen.len();
            chosen.push(0);
            let Some((least, candidate)) = self.best(&chosen, place) else { break };
            (left, chosen[place]) = (least, candidate);
        }
        for _ in 0..ROUNDS {
            let mut gained = false;
            for place in 0..k {
                if let Some((least, candidate)) = self.best(&chosen, place)
                    && least < left * (1.0 - LEAST_GAIN)
                {
                    (left, chosen[place]) = (least, candidate);
                    gained = true;
                }
            }
            if !gained {
                break;
            }
        }
        chosen
    }

    /// What the best candidate for a place leaves, and which it is; the first of equals.
    fn best(&self, chosen: &[usize], place: usize) -> Option<(f64, usize)> {
        let others = |c: usize| chosen.iter().enumerate().any(|(at, &o)| at != place && o == c);
        let lefts: Vec<(f64, usize)> = (0..self.gram.nrows())
            .into_par_iter()
            .filter(|&c| !others(c))
            .map(|c| {
                let mut trial = chosen.to_vec();
                trial[place] = c;
                (self.left(&trial), c)
            })
            .collect();
        lefts.into_iter().min_by(|a, b| a.0.total_cmp(&b.0))
    }
}

/// Spectra at length one; black ones stay.
fn shapes(spectra: ArrayView2<f64>) -> Array2<f64> {
    let mut shapes = spectra.to_owned();
    for mut row in shapes.rows_mut() {
        let length = row.dot(&row).sqrt();
        if length > 0.0 {
            row /= length;
        }
    }
    shapes
}
