//! The smallest simplex that holds the pixels: endmembers of scenes without pure pixels.
//!
//! Where no pixel is pure, every corner of the cloud is a mixture, and what finds corners finds
//! wrong spectra. But mixtures of two materials lie on the edges of the simplex, and of all but one
//! on its faces: the smallest simplex around the cloud has them right. Noise puts pixels outside of
//! the true one, so that the volume is weighed against how far abundances fall below zero, as in
//! SISAL (Bioucas-Dias 2009, "A variable splitting augmented Lagrangian approach to linear spectral
//! unmixing", WHISPERS); here the hinge is smooth and L-BFGS (Nocedal 1980, "Updating quasi-Newton
//! matrices with limited storage") finds the minimum.

use std::collections::VecDeque;

use nalgebra::{DMatrix, DVector};
use ndarray::Array2;

use crate::scene::Cube;

/// What a mean over pixels of the abundances below zero costs, against the log of the volume: with
/// a hundred about one pixel in a hundred may lie outside of each face. Which is right depends on
/// the noise and cannot be told from how well a start fits, so starts take these in turn.
pub(super) const PENALTIES: [f64; 3] = [100.0, 300.0, 30.0];
/// Abundance over which the hinge is rounded off.
const SOFT: f64 = 0.01;
/// Points, at most; of more, every so many.
const ENOUGH: usize = 4000;
/// Steps of L-BFGS, at most, and the gain that ends them.
const STEPS: usize = 300;
const SETTLED: f64 = 1e-7;
/// Steps that L-BFGS remembers.
const MEMORY: usize = 10;
/// An endmember is at most so many times as bright or as dark as the mean pixel.
const MOST_SIZE: f64 = 3.0;
/// Halvings of a step, at most.
const HALVINGS: usize = 30;

/// Abundances (N, K) in the smallest simplex around `points`, (N, K) with a constant last column,
/// from the simplex with these points as vertices; each row has the sum 1, and may have values
/// below 0. None where the points do not span as many dimensions.
pub(super) fn smallest(
    points: &Array2<f64>,
    vertices: &[usize],
    penalty: f64,
) -> Option<Array2<f64>> {
    let k = points.ncols();
    if k < 2 || vertices.len() != k {
        return None;
    }
    // Coordinates in units of the first simplex: its vertices are the unit vectors, and a step of
    // one is as long in every direction.
    let first = DMatrix::from_fn(k, k, |i, j| points[[vertices[i], j]]);
    let inverse = first.try_inverse()?;
    let inverse = Array2::from_shape_fn((k, k), |(i, j)| inverse[(i, j)]);
    let shares = points.dot(&inverse);
    if shares.iter().any(|x| !x.is_finite()) {
        return None;
    }
    let every = shares.nrows().div_ceil(ENOUGH).max(1);
    let rows = shares.nrows().div_ceil(every);
    let part = DMatrix::from_fn(rows, k, |n, j| shares[[n * every, j]]);
    let cost = |x: &DVector<f64>| cost(&part, x, penalty);
    let found = minimise(&cost, DVector::from_iterator(k * (k - 1), unit(k)))?;
    let inverse = simplex(&found, k).try_inverse()?;
    Some(shares.dot(&Array2::from_shape_fn((k, k), |(i, j)| inverse[(i, j)])))
}

/// Spectra (K, L) with which shares (N, K) of the spectra in `base`, those of `cube` or their
/// shapes, fit best, of the sizes with which brightness differs least between pixels. None where
/// the shares of an endmember are all alike.
pub(super) fn spectra(cube: &Cube, base: &Cube, shares: &Array2<f64>) -> Option<Array2<f64>> {
    let (k, bands) = (shares.ncols(), base.bands());
    let mut square = DMatrix::<f64>::zeros(k, k);
    let mut products = DMatrix::<f64>::zeros(k, bands);
    for (n, row) in shares.rows().into_iter().enumerate() {
        for i in 0..k {
            (0..k).for_each(|j| square[(i, j)] += row[i] * row[j]);
            let spectrum = base.spectrum(n);
            (0..bands).for_each(|l| products[(i, l)] += row[i] * f64::from(spectrum[l]));
        }
    }
    let found = square.cholesky()?.solve(&products);
    let sizes = if std::ptr::eq(cube, base) { vec![1.0; k] } else { sizes(cube, base, shares) };
    let value = |i: usize, l: usize| -> f64 { sizes[i] * found[(i, l)] };
    Some(Array2::from_shape_fn((k, bands), |(i, l)| value(i, l).max(0.0)))
}

/// Sizes of endmembers (K) with which the amounts of shapes, shares (N, K) times the brightness of
/// pixels, become shares whose sum is as near to 1 as can be; each within a factor of three.
fn sizes(cube: &Cube, base: &Cube, shares: &Array2<f64>) -> Vec<f64> {
    let k = shares.ncols();
    let (mut square, mut sums) = (DMatrix::<f64>::zeros(k, k), DVector::<f64>::zeros(k));
    for (n, row) in shares.rows().into_iter().enumerate() {
        let sum = |cube: &Cube| cube.spectrum(n).iter().map(|&y| f64::from(y)).sum::<f64>();
        let bright = sum(cube) / sum(base).max(f64::MIN_POSITIVE);
        for i in 0..k {
            (0..k).for_each(|j| square[(i, j)] += bright * bright * row[i] * row[j]);
            sums[i] += bright * row[i];
        }
    }
    let inverses = square.cholesky().map(|factor| factor.solve(&sums));
    let size = |i: usize| {
        let inverse = inverses.as_ref().map_or(1.0, |all| all[i]);
        let size = if inverse > 0.0 { 1.0 / inverse } else { MOST_SIZE };
        size.clamp(1.0 / MOST_SIZE, MOST_SIZE)
    };
    (0..k).map(size).collect()
}

/// The first simplex as the minimiser sees it: all coordinates of its vertices but the last, a
/// column after the other.
fn unit(k: usize) -> impl Iterator<Item = f64> {
    (0..k - 1).flat_map(move |j| (0..k).map(move |i| f64::from(u8::from(i == j))))
}

/// Vertices as rows; their shares have the sum 1.
fn simplex(x: &DVector<f64>, k: usize) -> DMatrix<f64> {
    let mut vertices = DMatrix::<f64>::zeros(k, k);
    for i in 0..k {
        let mut rest = 1.0;
        for j in 0..k - 1 {
            vertices[(i, j)] = x[j * k + i];
            rest -= x[j * k + i];
        }
        vertices[(i, k - 1)] = rest;
    }
    vertices
}

/// Log of the volume and what abundances below zero cost, and the gradient; none where the simplex
/// is flat.
fn cost(points: &DMatrix<f64>, x: &DVector<f64>, penalty: f64) -> Option<Valued> {
    let k = points.ncols();
    let vertices = simplex(x, k);
    let determinant = vertices.determinant().abs();
    let inverse = vertices.try_inverse()?;
    let mut below = points * &inverse;
    let mut sum = 0.0;
    for a in below.iter_mut() {
        let rounded = a.hypot(SOFT);
        // A hinge of the value below zero, and its slope by the abundance.
        let (cost, slope) = match *a < 0.0 {
            true => (rounded - SOFT, *a / rounded),
            false => (0.0, 0.0),
        };
        sum += cost;
        *a = slope;
    }
    let each = penalty / points.nrows() as f64;
    let value = determinant.ln() + each * sum;
    // d inverse = - inverse d vertices inverse.
    let by_inverse = points.tr_mul(&below) * each;
    let across = inverse.transpose();
    let by_vertices = &across - &across * by_inverse * &across;
    let gradient = DVector::from_fn(k * (k - 1), |at, _| {
        let (j, i) = (at / k, at % k);
        // The last share gives way to the others.
        by_vertices[(i, j)] - by_vertices[(i, k - 1)]
    });
    let finite = value.is_finite() && gradient.iter().all(|g| g.is_finite());
    finite.then_some((value, gradient))
}

/// A cost and its gradient.
type Valued = (f64, DVector<f64>);

/// The minimum that L-BFGS finds from x; none where the cost has no value there.
fn minimise(
    cost: &impl Fn(&DVector<f64>) -> Option<Valued>,
    mut x: DVector<f64>,
) -> Option<DVector<f64>> {
    let (mut value, mut gradient) = cost(&x)?;
    let mut memory: VecDeque<(DVector<f64>, DVector<f64>)> = VecDeque::new();
    for _ in 0..STEPS {
        let mut direction = -newton(&memory, &gradient);
        let mut slope = direction.dot(&gradient);
        if slope >= 0.0 {
            memory.clear();
            direction = -&gradient;
            slope = direction.dot(&gradient);
        }
        // The first step of all has no scale yet: a tenth of an abundance.
        let mut length = match memory.is_empty() {
            true => (0.1 / direction.amax().max(f64::MIN_POSITIVE)).min(1.0),
            false => 1.0,
        };
        let mut next = None;
        for _ in 0..HALVINGS {
            let at = &x + &direction * length;
            match cost(&at) {
                Some((less, by)) if less <= value + 1e-4 * length * slope => {
                    next = Some((at, less, by));
                    break;
                }
                _ => length *= 0.5,
            }
        }
        let Some((at, less, by)) = next else { break };
        let gain = value - less;
        let (step, turn) = (&at - &x, &by - &gradient);
        if step.dot(&turn) > 0.0 {
            memory.push_back((step, turn));
            if memory.len() > MEMORY {
                memory.pop_front();
            }
        }
        (x, value, gradient) = (at, less, by);
        if gain < SETTLED {
            break;
        }
    }
    Some(x)
}

/// The inverse Hessian, as the last steps and turns of the gradient tell it, times the gradient.
fn newton(
    memory: &VecDeque<(DVector<f64>, DVector<f64>)>,
    gradient: &DVector<f64>,
) -> DVector<f64> {
    let mut left = gradient.clone();
    let mut shares = Vec::with_capacity(memory.len());
    for (step, turn) in memory.iter().rev() {
        let share = step.dot(&left) / step.dot(turn);
        left -= turn * share;
        shares.push(share);
    }
    if let Some((step, turn)) = memory.back() {
        left *= step.dot(turn) / turn.dot(turn);
    }
    for ((step, turn), share) in memory.iter().zip(shares.into_iter().rev()) {
        let back = turn.dot(&left) / step.dot(turn);
        left += step * (share - back);
    }
    left
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Points of a triangle without its corners: on its edges and inside, and vertices among them.
    fn cut_triangle() -> (Array2<f64>, Array2<f64>) {
        let corners = ndarray::array![[0.0, 0.0, 1.0], [4.0, 1.0, 1.0], [1.0, 3.0, 1.0]];
        let mut shares = Vec::new();
        for i in 0..40 {
            let x = 0.3 + 0.4 * f64::from(i) / 39.0;
            shares.extend([[x, 1.0 - x, 0.0], [0.0, x, 1.0 - x], [1.0 - x, 0.0, x]]);
            shares.push([1.0 / 3.0; 3]);
        }
        let shares = Array2::from(shares);
        (shares.dot(&corners), shares)
    }

    #[test]
    fn a_triangle_without_its_corners_is_found_from_its_edges() {
        let (points, shares) = cut_triangle();
        let found = smallest(&points, &[0, 1, 2], 300.0).unwrap();
        // Vertices may come in any order: the largest share of the first point tells it.
        let worst = (0..3)
            .flat_map(|turn| {
                [[turn, (turn + 1) % 3, (turn + 2) % 3], [turn, (turn + 2) % 3, (turn + 1) % 3]]
            })
            .map(|order| {
                (&found.select(ndarray::Axis(1), &order) - &shares)
                    .iter()
                    .fold(0.0f64, |most, d| most.max(d.abs()))
            })
            .fold(f64::INFINITY, f64::min);
        // The rounded hinge lets a face lie half its rounding inside.
        assert!(worst < SOFT, "{worst}");
        // The vertices it began from are far away: abundances of 0.7 at most.
        assert!(
            smallest(&points, &[0, 1, 2], 1e-9).is_none_or(|far| { far.iter().any(|a| *a < -0.2) })
        );
    }

    #[test]
    fn the_gradient_is_that_of_the_cost() {
        let (points, _) = cut_triangle();
        let points = DMatrix::from_fn(points.nrows(), 3, |n, j| points[[n, j]] / 4.0);
        let x =
            DVector::from_iterator(6, unit(3).enumerate().map(|(i, x)| 0.9 * x + 0.03 * i as f64));
        let (_, gradient) = cost(&points, &x, 50.0).unwrap();
        for i in 0..6 {
            let at = |h: f64| {
                let mut moved = x.clone();
                moved[i] += h;
                cost(&points, &moved, 50.0).unwrap().0
            };
            let difference = (at(1e-6) - at(-1e-6)) / 2e-6;
            // Central differences: some 1e-9 of rounding over 1e-6.
            assert!((gradient[i] - difference).abs() < 1e-5, "{i}: {} {difference}", gradient[i]);
        }
    }

    #[test]
    fn flat_clouds_have_no_simplex() {
        let flat = Array2::from_shape_fn((9, 3), |(n, j)| if j == 2 { 1.0 } else { n as f64 });
        assert!(smallest(&flat, &[0, 1, 2], 100.0).is_none());
        assert!(smallest(&Array2::ones((4, 1)), &[0], 100.0).is_none());
    }
}
