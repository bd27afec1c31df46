//! The Dirichlet of the abundances, learned from pixels whose amounts are integrated out: equation
//! 44. Fixed in advance it is wrong in either direction: where most abundances are exactly zero,
//! one that expects traces of everything takes them from what is there.

use pulp::{Simd, WithSimd};
use statrs::function::gamma::{digamma, inv_digamma};

use super::vector::V;
use crate::engine::ground::lanes::LANES;

/// The least parameter: of smaller ones a draw in six is less than the least f32.
const LEAST: f64 = 0.02;
/// A step of expectation and maximisation is short where amounts are uncertain, and all of the way
/// where they are known: one that is longer by half leads to the maximum either way.
const STRETCH: f64 = 1.5;
/// What a step multiplies or divides a parameter by, at most.
const MOST_CHANGE: f64 = 2.5;
/// Rounds of the fixed point, each of which leaves about half of what is missing.
const ROUNDS: usize = 30;
/// The least abundance whose logarithm is taken.
const LEAST_SHARE: f32 = 1e-37;

/// Parameters after a step from `now`, (K), given the mean logarithms of the abundances, (K). The
/// parameters `a` of the highest likelihood have `ψ(a_k) - ψ(Σ a)` for these (Minka 2000,
/// "Estimating a Dirichlet distribution"). None becomes more than `most`, (K): that no pixel is
/// pure is no reason to expect fewer traces, and spectra would have to be more extreme for it.
pub(super) fn step(now: &[f64], logs: &[f64], most: &[f64]) -> Vec<f64> {
    let mut best = now.to_vec();
    // Pixels that are no numbers say nothing.
    if !logs.iter().all(|log| log.is_finite()) {
        return best;
    }
    for _ in 0..ROUNDS {
        let all = digamma(best.iter().sum());
        best.iter_mut().zip(logs).for_each(|(a, log)| *a = inv_digamma(log + all).max(LEAST));
    }
    let one = |((best, now), most): ((f64, &f64), &f64)| {
        let by = (best / now).powf(STRETCH).clamp(1.0 / MOST_CHANGE, MOST_CHANGE);
        (now * by).clamp(LEAST.min(*most), *most)
    };
    best.into_iter().zip(now).zip(most).map(one).collect()
}

/// Means over weighted draws of the logarithms of the abundances.
pub(super) struct Logs<'a> {
    pub(super) k: usize,
    /// Amounts of each draw, (draws, K, LANES).
    pub(super) amounts: &'a [f32],
    /// Weights with the sum one, (draws, LANES).
    pub(super) weights: &'a [f32],
    /// The means, (K, LANES).
    pub(super) logs: &'a mut [f32],
}

impl WithSimd for Logs<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Logs { k, amounts, weights, logs } = self;
        let least = V::splat(simd, LEAST_SHARE);
        logs.fill(0.0);
        let rows = amounts.chunks_exact(k * LANES).zip(weights.chunks_exact(LANES));
        for (u, weight) in rows {
            for part in (0..LANES).step_by(S::F32_LANES) {
                let weight = V::load(simd, weight, part);
                let mut total = V::splat(simd, f32::MIN_POSITIVE);
                for at in (part..k * LANES).step_by(LANES) {
                    total = total + V::load(simd, u, at);
                }
                for at in (part..k * LANES).step_by(LANES) {
                    let share = (V::load(simd, u, at) / total).max(least);
                    weight.mul_add(share.ln(), V::load(simd, logs, at)).store(logs, at);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pulp::Arch;

    /// What Dirichlets have for mean logarithms leads back to them, or to the most that is allowed.
    #[test]
    fn parameters_are_those_of_the_mean_logarithms() {
        let truth = [0.05, 0.3, 0.12];
        let all = digamma(truth.iter().sum());
        let logs = truth.map(|a| digamma(a) - all);
        let mut a = vec![0.2; 3];
        for _ in 0..20 {
            a = step(&a, &logs, &[0.2, 0.4, 0.2]);
        }
        for (found, truth) in a.iter().zip(truth) {
            assert!((found / truth - 1.0).abs() < 1e-3, "{a:?}");
        }
        for _ in 0..10 {
            a = step(&a, &logs, &[0.2; 3]);
        }
        assert_eq!(a[1], 0.2);
        assert!(a[0] < 0.06, "{a:?}");
        // Of abundances that are all but nothing the least, and of no numbers nothing new.
        assert_eq!(step(&[0.02, 0.2], &[-80.0, -1e-3], &[0.2; 2])[0], LEAST);
        assert_eq!(step(&[0.1, 0.2], &[f64::NAN; 2], &[0.2; 2]), [0.1, 0.2]);
    }

    #[test]
    fn logarithms_are_means_over_weighted_draws() {
        let draws = [([0.3f32, 0.1], 0.25f32), ([0.0, 0.5], 0.75)];
        let (mut amounts, mut weights) = (Vec::new(), Vec::new());
        for (u, weight) in draws {
            u.iter().for_each(|&u| amounts.extend([u; LANES]));
            weights.extend([weight; LANES]);
        }
        let mut logs = [1.0; 2 * LANES];
        let (amounts, weights, to) = (&amounts[..], &weights[..], &mut logs[..]);
        Arch::new().dispatch(Logs { k: 2, amounts, weights, logs: to });
        let first = 0.25 * 0.75f32.ln() + 0.75 * LEAST_SHARE.ln();
        let second = 0.25 * 0.25f32.ln();
        for lane in 0..LANES {
            assert!((logs[lane] - first).abs() < 1e-3, "{}", logs[lane]);
            assert!((logs[LANES + lane] - second).abs() < 1e-5, "{}", logs[LANES + lane]);
        }
    }
}
