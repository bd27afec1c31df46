//! Fully constrained least squares: abundances on the simplex for given endmembers.

use super::normal::solve;
use super::sums::{padded, products};
use crate::engine::ground::error::{Error, Result};
use crate::scene::Cube;
use ndarray::{Array2, Axis};
use rayon::prelude::*;

/// Abundances that are non-negative, sum to one and bring `endmembers` (K, L) closest to each pixel
/// of `cube` (N pixels, L bands) in least squares. Gives (N, K), each row on the simplex.
///
/// Heinz and Chang (2001), "Fully constrained least squares linear spectral mixture analysis method
/// for material quantification in hyperspectral imagery", IEEE TGRS 39(3). Solved exactly by an
/// active-set method (Lawson and Hanson 1974, chapter 23, with the sum kept as an equation rather
/// than weighted in).
///
/// Where the answer is not unique (collinear endmembers) it is one of the best points, and of equal
/// endmembers the first has the whole share; where the input is not finite the row is some point of
/// the simplex.
///
/// # Errors
///
/// [`Error::Scene`] when there is no endmember or when the numbers of bands differ.
pub fn fcls(cube: &Cube, endmembers: &Array2<f64>) -> Result<Array2<f32>> {
    fcls_scaled(cube, endmembers, |_| 1.0)
}

/// [`fcls`] with the spectrum of each pixel times its own `factor`, (N).
pub(super) fn fcls_scaled(
    cube: &Cube,
    endmembers: &Array2<f64>,
    factor: impl Fn(usize) -> f64 + Sync,
) -> Result<Array2<f32>> {
    check_bands(cube, endmembers)?;
    let (k, bands) = endmembers.dim();
    let problem = Problem::new(endmembers, cube.stride());
    let mut abundances = Array2::zeros((cube.pixels(), k));
    if bands == 0 {
        abundances.column_mut(0).fill(1.0);
        return Ok(abundances);
    }
    abundances
        .axis_iter_mut(Axis(0))
        .into_par_iter()
        .with_min_len(64)
        .zip(cube.padded().par_chunks_exact(cube.stride()).with_min_len(64))
        .enumerate()
        .for_each_init(
            || Solver::new(k),
            |solver, (pixel, (mut row, spectrum))| {
                let solution = solver.solve(&problem, spectrum, factor(pixel));
                row.iter_mut().zip(solution).for_each(|(to, &from)| *to = from as f32);
            },
        );
    Ok(abundances)
}

/// Refuses endmembers that the cube cannot be made of.
pub(super) fn check_bands(cube: &Cube, endmembers: &Array2<f64>) -> Result<()> {
    let (k, bands) = endmembers.dim();
    if k == 0 {
        return Err(Error::Scene("Abundances need at least 1 endmember; none was given.".into()));
    }
    if bands != cube.bands() {
        return Err(Error::Scene(format!(
            "The endmembers have {bands} bands and the cube has {}; give both at the same bands.",
            cube.bands()
        )));
    }
    Ok(())
}

/// The endmembers, as all pixels need them. They are taken relative to their mean m: on the simplex
/// y - sum w_k c_k = (y - m) - sum w_k (c_k - m), and the Gram matrix of the differences keeps the
/// digits that similar spectra would lose.
struct Problem {
    k: usize,
    /// c_k - m, (K, stride), zero in the padding.
    centred: Vec<f64>,
    /// (c_k - m) . m, (K).
    offset: Vec<f64>,
    /// (c_j - m) . (c_k - m), (K, K).
    gram: Vec<f64>,
}

impl Problem {
    fn new(endmembers: &Array2<f64>, stride: usize) -> Self {
        let (k, bands) = endmembers.dim();
        let mean: Vec<f64> =
            endmembers.columns().into_iter().map(|band| band.sum() / k as f64).collect();
        let off = Array2::from_shape_fn((k, bands), |(j, l)| endmembers[[j, l]] - mean[l]);
        let centred = padded(off.view(), stride);
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f64>();
        let row = |j: usize| &centred[j * stride..][..stride];
        let offset = (0..k).map(|j| dot(&row(j)[..bands], &mean)).collect();
        let gram = (0..k * k).map(|at| dot(row(at / k), row(at % k))).collect();
        Problem { k, centred, offset, gram }
    }

    fn gram(&self, i: usize, j: usize) -> f64 {
        self.gram[i * self.k + j]
    }
}

/// Scratch of one thread, so that no pixel allocates.
struct Solver {
    /// (c_k - m) . (y - m).
    target: Vec<f64>,
    /// The abundances, always on the simplex.
    w: Vec<f64>,
    /// The endmembers that may be above zero, in the order they came in.
    support: Vec<usize>,
    /// Endmembers that round-off alone would let into the present support.
    barred: Vec<bool>,
    /// The unconstrained solution on the support.
    z: Vec<f64>,
    factor: Vec<f64>,
}

impl Solver {
    fn new(k: usize) -> Self {
        Solver {
            target: vec![0.0; k],
            w: vec![0.0; k],
            support: Vec::with_capacity(k),
            barred: vec![false; k],
            z: vec![0.0; k],
            factor: vec![0.0; k * k],
        }
    }

    /// The abundances of one pixel; `spectrum` has `stride` values.
    fn solve(&mut self, problem: &Problem, spectrum: &[f32], factor: f64) -> &[f64] {
        let k = problem.k;
        let mut scale = 0.0_f64;
        products(&problem.centred, spectrum, &mut self.target);
        for j in 0..k {
            let product = factor * self.target[j];
            self.target[j] = product - problem.offset[j];
            scale = scale.max(product.abs()).max(problem.offset[j].abs()).max(problem.gram(j, j));
        }
        // A gradient below this is round-off of the products above, of which K meet in one.
        let tolerance = 32.0 * (k as f64).max(4.0) * f64::EPSILON * scale;

        // The nearest endmember alone.
        let cost = |j: usize| problem.gram(j, j) - 2.0 * self.target[j];
        let nearest = (1..k).fold(0, |best, j| if cost(j) < cost(best) { j } else { best });
        self.w.fill(0.0);
        self.w[nearest] = 1.0;
        self.support.clear();
        self.support.push(nearest);
        self.barred.fill(false);

        // Every accepted step lowers the cost, so no support comes twice and the loop ends by
        // itself, in practice within K steps; the ceiling is for round-off.
        for _ in 0..20 * k {
            let Some(entering) = self.steepest(problem, tolerance) else { break };
            self.support.push(entering);
            if self.settle(problem, entering) {
                self.barred.fill(false);
            } else {
                self.barred[entering] = true;
            }
        }
        let sum: f64 = self.w.iter().sum();
        self.w.iter_mut().for_each(|w| *w /= sum);
        &self.w
    }

    /// The endmember outside the support that lowers the cost most, if one does.
    fn steepest(&self, problem: &Problem, tolerance: f64) -> Option<usize> {
        let gradient = |j: usize| {
            self.support.iter().map(|&i| problem.gram(j, i) * self.w[i]).sum::<f64>()
                - self.target[j]
        };
        // The multiplier of the sum: the gradient that the support's members have in common.
        let level: f64 = self.support.iter().map(|&i| self.w[i] * gradient(i)).sum();
        let mut best = None;
        let mut lowest = level - tolerance;
        for j in (0..problem.k).filter(|&j| !self.barred[j] && !self.support.contains(&j)) {
            let value = gradient(j);
            if value < lowest {
                (best, lowest) = (Some(j), value);
            }
        }
        best
    }

    /// Moves `w` to the minimum on the support, dropping members that reach zero on the way. False
    /// when the entering endmember adds no direction of its own: then `w` has not moved.
    fn settle(&mut self, problem: &Problem, entering: usize) -> bool {
        let mut moved = false;
        loop {
            if !self.minimise(problem) || (!moved && self.z[entering] <= 0.0) {
                self.support.retain(|&j| j != entering || moved);
                return moved;
            }
            let blocking = self
                .support
                .iter()
                .filter(|&&j| self.z[j] <= 0.0)
                .map(|&j| (self.w[j] / (self.w[j] - self.z[j]), j))
                .fold(None, |best: Option<(f64, usize)>, (step, j)| match best {
                    Some((shortest, _)) if shortest <= step => best,
                    _ => Some((step, j)),
                });
            let (step, blocker) = match blocking {
                None => (1.0, None),
                Some((step, j)) => (step, Some(j)),
            };
            for &j in &self.support {
                self.w[j] += step * (self.z[j] - self.w[j]);
            }
            moved = true;
            let Some(blocker) = blocker else { return true };
            self.w[blocker] = 0.0;
            for &j in &self.support {
                self.w[j] = self.w[j].max(0.0);
            }
            let w = &self.w;
            self.support.retain(|&j| w[j] > 0.0);
        }
    }

    /// Writes the minimum on the support, with sum one and signs free, to `z`. False when the
    /// support's spectra are linearly dependent (as points: relative to the first of them).
    fn minimise(&mut self, problem: &Problem) -> bool {
        let Solver { target, support, z, factor, .. } = self;
        let Some((&first, rest)) = support.split_first() else { return false };
        let g = |i: usize, j: usize| problem.gram(i, j);
        // The Gram matrix of c_j - c_first.
        let value = |i, j| g(i, j) - g(i, first) - g(j, first) + g(first, first);
        let rhs = |i: usize| target[i] - target[first] - g(i, first) + g(first, first);
        // Less than round-off of the sums above is no direction of its own.
        let noise = |i| {
            let diagonal = g(i, i) - 2.0 * g(i, first) + g(first, first);
            1e-13 * (g(i, i) + g(first, first)).max(diagonal)
        };
        if !solve(rest, value, rhs, noise, factor, z) {
            return false;
        }
        z[first] = 1.0 - rest.iter().rev().map(|&j| z[j]).sum::<f64>();
        z[first].is_finite()
    }
}
