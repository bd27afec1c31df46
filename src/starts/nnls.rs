//! Non-negative least squares: amounts that need not sum to one.

use ndarray::{Array2, Axis};
use rayon::prelude::*;

use super::normal::solve;
use crate::engine::ground::error::Result;
use crate::scene::Cube;

/// Amounts that are non-negative and bring `endmembers` (K, L) closest to each pixel of `cube` (N
/// pixels, L bands) in least squares, whatever their sum. Gives (N, K).
///
/// Lawson and Hanson (1974), "Solving least squares problems", chapter 23, exact. Where the answer
/// is not unique it is one of the best points; where the input is not finite, amounts are zero.
///
/// # Errors
///
/// What [`fcls`](super::fcls()) refuses: [`Error::Scene`](crate::Error::Scene) when there is no
/// endmember, or when the numbers of bands differ.
pub fn nnls(cube: &Cube, endmembers: &Array2<f64>) -> Result<Array2<f32>> {
    super::fcls::check_bands(cube, endmembers)?;
    let k = endmembers.nrows();
    let gram = endmembers.dot(&endmembers.t());
    let mut amounts = Array2::zeros((cube.pixels(), k));
    amounts.axis_iter_mut(Axis(0)).into_par_iter().with_min_len(64).enumerate().for_each_init(
        || (Solver::new(k), vec![0.0; k]),
        |(solver, target), (pixel, mut row)| {
            for (to, endmember) in target.iter_mut().zip(endmembers.rows()) {
                let products = endmember.into_iter().zip(cube.spectrum(pixel));
                *to = products.map(|(c, &y)| c * f64::from(y)).sum();
            }
            let solution = solver.solve(|i, j| gram[[i, j]], target);
            row.iter_mut().zip(solution).for_each(|(to, &from)| *to = from as f32);
        },
    );
    Ok(amounts)
}

/// Solves problems of K unknowns, given by their Gram matrix and their products with the target, so
/// that many of them need no pass over bands. Scratch of one thread.
pub(super) struct Solver {
    w: Vec<f64>,
    /// The unknowns that may be above zero, in the order they came in.
    support: Vec<usize>,
    /// Unknowns that round-off alone would let into the present support.
    barred: Vec<bool>,
    /// The unconstrained solution on the support.
    z: Vec<f64>,
    factor: Vec<f64>,
}

impl Solver {
    pub(super) fn new(k: usize) -> Self {
        Solver {
            w: vec![0.0; k],
            support: Vec::with_capacity(k),
            barred: vec![false; k],
            z: vec![0.0; k],
            factor: vec![0.0; k * k],
        }
    }

    /// The w >= 0 with the least w'Gw - 2 w't, for a Gram matrix G and targets t, (K).
    pub(super) fn solve(&mut self, gram: impl Fn(usize, usize) -> f64, target: &[f64]) -> &[f64] {
        let k = target.len();
        self.w.fill(0.0);
        self.support.clear();
        self.barred.fill(false);
        // A gradient below this is round-off of the products, of which K meet in one.
        let largest = target.iter().fold(0.0_f64, |most, t| most.max(t.abs()));
        let tolerance = 32.0 * (k as f64).max(4.0) * f64::EPSILON * largest;
        // Every accepted step lowers the cost, so no support comes twice; the ceiling is for
        // round-off.
        for _ in 0..20 * k {
            let mut best = (None, tolerance);
            for (j, &at) in target.iter().enumerate() {
                if self.barred[j] || self.support.contains(&j) {
                    continue;
                }
                let slope = at - self.support.iter().map(|&i| gram(j, i) * self.w[i]).sum::<f64>();
                if slope > best.1 {
                    best = (Some(j), slope);
                }
            }
            let (Some(entering), _) = best else { break };
            self.support.push(entering);
            if self.settle(&gram, target, entering) {
                self.barred.fill(false);
            } else {
                self.barred[entering] = true;
            }
        }
        &self.w
    }

    /// What the last solution leaves of a target of this square: |x - sum w c|^2, never below zero.
    pub(super) fn left(
        &self,
        gram: impl Fn(usize, usize) -> f64,
        target: &[f64],
        square: f64,
    ) -> f64 {
        let mut left = square;
        for &i in &self.support {
            let mixed: f64 = self.support.iter().map(|&j| gram(i, j) * self.w[j]).sum();
            left += self.w[i] * (mixed - 2.0 * target[i]);
        }
        left.max(0.0)
    }

    /// Moves `w` to the minimum on the support, dropping members that reach zero on the way. False
    /// when the entering one adds no direction of its own: then `w` has not moved.
    fn settle(
        &mut self,
        gram: &impl Fn(usize, usize) -> f64,
        target: &[f64],
        entering: usize,
    ) -> bool {
        let mut moved = false;
        loop {
            if !self.minimise(gram, target) || (!moved && self.z[entering] <= 0.0) {
                self.support.retain(|&j| j != entering || moved);
                return moved;
            }
            let blocking = self
                .support
                .iter()
                .filter(|&&j| self.z[j] <= 0.0)
                .map(|&j| (self.w[j] / (self.w[j] - self.z[j]), j))
                .min_by(|a, b| a.0.total_cmp(&b.0));
            let step = blocking.map_or(1.0, |(step, _)| step);
            for &j in &self.support {
                self.w[j] = (self.w[j] + step * (self.z[j] - self.w[j])).max(0.0);
            }
            moved = true;
            let Some((_, blocker)) = blocking else { return true };
            self.w[blocker] = 0.0;
            let w = &self.w;
            self.support.retain(|&j| w[j] > 0.0);
        }
    }

    /// Writes the minimum on the support, signs free, to `z`, by the Cholesky factor of the
    /// support's Gram matrix. False when its members are linearly dependent.
    fn minimise(&mut self, gram: &impl Fn(usize, usize) -> f64, target: &[f64]) -> bool {
        let Solver { support, factor, z, .. } = self;
        // Less than round-off of the Gram matrix is no direction of its own.
        let noise = |i: usize| 1e-13 * gram(i, i);
        solve(support, gram, |i| target[i], noise, factor, z)
            && support.iter().all(|&j| z[j].is_finite())
    }
}
