//! Mean and covariance of weighted draws of sixteen pixels.

use pulp::{Simd, WithSimd};

use super::vector::{V, weigh};
use crate::engine::ground::lanes::LANES;

/// Makes weights of their logarithms, and mean and covariance of the amounts.
pub(super) struct Spread<'a> {
    pub(super) k: usize,
    pub(super) draws: usize,
    pub(super) amounts: &'a [f32],
    pub(super) weights: &'a mut [f32],
    pub(super) mean: &'a mut [f32],
    pub(super) spread: &'a mut [f32],
    /// Logarithm of the sum of the weights, (LANES).
    pub(super) log_sum: &'a mut [f32],
}

impl WithSimd for Spread<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Spread { k, draws, amounts, weights, mean, spread, log_sum } = self;
        let c = |x: f32| V::splat(simd, x);
        for part in (0..LANES).step_by(S::F32_LANES) {
            let rows = (0..draws).map(|d| d * LANES + part);
            weigh(simd, weights, rows, 1.0).store(log_sum, part);
            let amount = |d: usize, a: usize| V::load(simd, amounts, (d * k + a) * LANES + part);
            for a in 0..k {
                let mut sum = c(0.0);
                for d in 0..draws {
                    sum = V::load(simd, weights, d * LANES + part).mul_add(amount(d, a), sum);
                }
                sum.store(mean, a * LANES + part);
            }
            for a in 0..k {
                let of_a = V::load(simd, mean, a * LANES + part);
                for b in 0..=a {
                    let of_b = V::load(simd, mean, b * LANES + part);
                    let mut sum = c(0.0);
                    for d in 0..draws {
                        let weight = V::load(simd, weights, d * LANES + part);
                        let off = weight * (amount(d, a) - of_a);
                        sum = off.mul_add(amount(d, b) - of_b, sum);
                    }
                    sum.store(spread, (a * k + b) * LANES + part);
                    sum.store(spread, (b * k + a) * LANES + part);
                }
            }
        }
    }
}
