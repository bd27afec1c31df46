//! The amounts of sixteen pixels that fit best, given the quadratic form of their log likelihood.

use pulp::{Simd, WithSimd};

use super::vector::V;
use crate::engine::ground::lanes::LANES;

/// The most sweeps over the amounts for one variance: with spectra of nearly one shape amounts then
/// lie within a hundredth of those that fit best, and what they leave within 2 % of the noise.
pub(super) const SWEEPS: usize = 12;

/// What a sweep of a pixel gains at least, nats, lest it is the last: with it a sweep that moves an
/// amount by a hundredth of its sd ends the descent.
const ENOUGH: f32 = 1e-4;

/// Finds the amounts of the highest likelihood that are not negative: one after the other in turn,
/// unless they have sum 1, and then each two in turn, of which one takes what the other gives.
/// Where two spectra are nearly one shape, one amount after the other gets nowhere.
pub(super) struct Descend<'a> {
    /// Number of endmembers, K.
    pub(super) k: usize,
    /// Whether the amounts of a pixel have sum 1.
    pub(super) sum_is_one: bool,
    /// Slope of the log likelihood at the amounts, (K, LANES).
    pub(super) linear: &'a [f32],
    /// Minus its curvature, (K, K, LANES).
    pub(super) square: &'a [f32],
    /// The amounts that the forms are written around, with sum 1 if that is asked; then those that
    /// were found, (K, LANES).
    pub(super) around: &'a mut [f32],
}

impl WithSimd for Descend<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        // The slope at the amounts; it follows them.
        let mut slope = self.linear.to_vec();
        for part in (0..LANES).step_by(S::F32_LANES) {
            self.descend(simd, part, &mut slope);
        }
        let Descend { k, sum_is_one, around, .. } = self;
        let mut total = [0.0f32; LANES];
        for u in around.chunks_exact(LANES) {
            for lane in 0..LANES {
                total[lane] += u[lane];
            }
        }
        for u in around.chunks_exact_mut(LANES) {
            for lane in 0..LANES {
                let sound = total[lane] > 0.0 && total[lane] < f32::INFINITY;
                // A pixel without light, or that is no number, has no amounts to tell apart.
                let even = if sum_is_one { 1.0 / k as f32 } else { 1e-6 };
                let scaled = if sum_is_one { u[lane] / total[lane] } else { u[lane] };
                u[lane] = if sound { scaled } else { even };
            }
        }
    }
}

impl Descend<'_> {
    /// Sweeps until they gain no more. A pixel stays where its own sweep is the last, whatever
    /// those beside it do.
    #[inline(always)]
    fn descend<S: Simd>(&mut self, simd: S, part: usize, slope: &mut [f32]) {
        let (k, square) = (self.k, self.square);
        let c = |x: f32| V::splat(simd, x);
        let at = |i: usize, j: usize| V::load(simd, square, (i * k + j) * LANES + part);
        let (none, least) = (c(0.0), c(f32::MIN_POSITIVE));
        let mut moves = c(1.0);
        for _ in 0..SWEEPS {
            let mut gain = none;
            for i in (0..k).filter(|_| !self.sum_is_one) {
                let here = i * LANES + part;
                let (u, bend) = (V::load(simd, self.around, here), at(i, i).max(least));
                let to = (moves * V::load(simd, slope, here) / bend + u).max(none);
                let step = to - u;
                gain = (step * step).mul_add(bend, gain);
                to.store(self.around, here);
                for m in 0..k {
                    let place = m * LANES + part;
                    at(m, i).neg_mul_add(step, V::load(simd, slope, place)).store(slope, place);
                }
            }
            for (i, j) in (0..k).flat_map(|i| (0..i).map(move |j| (i, j))) {
                let places = (i * LANES + part, j * LANES + part);
                let (u, v) =
                    (V::load(simd, self.around, places.0), V::load(simd, self.around, places.1));
                let bend = (at(i, i) + at(j, j) - c(2.0) * at(i, j)).max(least);
                let rise = V::load(simd, slope, places.0) - V::load(simd, slope, places.1);
                let step = (moves * rise / bend).max(none - u).min(v);
                gain = (step * step).mul_add(bend, gain);
                (u + step).store(self.around, places.0);
                (v - step).store(self.around, places.1);
                for m in 0..k {
                    let place = m * LANES + part;
                    let bend = at(m, i) - at(m, j);
                    bend.neg_mul_add(step, V::load(simd, slope, place)).store(slope, place);
                }
            }
            let goes_on = c(2.0 * ENOUGH).less(gain);
            moves = goes_on.select(moves, none);
            if !none.less(moves).any() {
                break;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pulp::Arch;

    /// The amounts that three descents from even ones end at, and in units of the log likelihood
    /// how much more the best ones have, which are found one set of positive amounts after the
    /// other.
    fn descended(sum_is_one: bool, target: &[f64]) -> (Vec<f64>, f64) {
        let (k, bands) = (target.len(), 60);
        // Smooth spectra, each a hundredth of a radian or two from the next one.
        let c = |i: usize, l: usize| {
            let x = l as f64 / bands as f64;
            0.4 + 0.2 * (3.0 * x + 0.05 * i as f64).sin() + 0.03 * (4.0 * x * i as f64).cos()
        };
        let sum = |f: &dyn Fn(usize) -> f64| (0..bands).map(f).sum::<f64>();
        let square = |i: usize, j: usize| 1e4 * sum(&|l| c(i, l) * c(j, l));
        let slope =
            |u: &[f64], i: usize| (0..k).map(|j| square(i, j) * (target[j] - u[j])).sum::<f64>();
        let spread = |x: f64| [x as f32; LANES];
        let mut around = vec![1.0 / k as f32; k * LANES];
        let squares: Vec<f32> = (0..k * k).flat_map(|at| spread(square(at / k, at % k))).collect();
        let amounts = |around: &[f32]| -> Vec<f64> {
            around.iter().step_by(LANES).map(|&u| f64::from(u)).collect()
        };
        for _ in 0..3 {
            let u = amounts(&around);
            let linear: Vec<f32> = (0..k).flat_map(|i| spread(slope(&u, i))).collect();
            let (linear, square, around) = (&linear[..], &squares[..], &mut around[..]);
            Arch::new().dispatch(Descend { k, sum_is_one, linear, square, around });
        }
        let height =
            |u: &[f64]| -> f64 { (0..k).map(|i| 0.5 * (u[i] - target[i]) * slope(u, i)).sum() };
        let best = (1u32..1 << k)
            .filter_map(|set| {
                let of: Vec<usize> = (0..k).filter(|i| set >> i & 1 == 1).collect();
                let n = of.len() + usize::from(sum_is_one);
                let last = of.len();
                let system = nalgebra::DMatrix::from_fn(n, n, |a, b| match (a < last, b < last) {
                    (true, true) => square(of[a], of[b]),
                    (false, false) => 0.0,
                    _ => 1.0,
                });
                let wanted = nalgebra::DVector::from_fn(n, |a, _| match a < last {
                    true => slope(&vec![0.0; k], of[a]),
                    false => 1.0,
                });
                let found = system.lu().solve(&wanted)?;
                let mut u = vec![0.0; k];
                of.iter().zip(found.iter()).for_each(|(&i, &x)| u[i] = x);
                u.iter().all(|&u| u >= 0.0).then_some(u)
            })
            .map(|u| height(&u))
            .fold(f64::NEG_INFINITY, f64::max);
        let found = amounts(&around);
        let short = best - height(&found);
        (found, short)
    }

    #[test]
    fn descents_end_at_the_amounts_that_fit_best() {
        // Inside, at an edge, and beyond it.
        for target in [[0.3, 0.1, 0.2, 0.4], [0.0, 0.5, 0.0, 0.5], [0.8, -0.3, 0.6, -0.1]] {
            for sum_is_one in [false, true] {
                let (u, short) = descended(sum_is_one, &target);
                assert!(u.iter().all(|&u| u >= 0.0));
                assert!(!sum_is_one || (u.iter().sum::<f64>() - 1.0).abs() < 1e-6, "{u:?}");
                // A fiftieth of what a sd off costs; f32 of sums of 1e5 may add a hundredth.
                assert!(short < 0.02, "{target:?} {sum_is_one}: {u:?}, short of {short}");
            }
        }
    }
}
