//! Weighted draws of the amounts of sixteen pixels given a scene.
//!
//! Likelihood times the densities of Dirichlet and brightness is a normal in the amounts times a
//! power of each. Amounts are drawn one after the other, the smallest first, each from its normal
//! given those before, as if those after could be negative, times its power (the simulator of
//! Geweke, Hajivassiliou and Keane for truncated normals, with the powers of the modified
//! half-normal; Sun, Kong and Pal 2023); without brightness the last is 1 minus the others. Weights
//! are density over proposal.

use pulp::{Simd, WithSimd};

use super::known::Known;
use super::power_normal::Of;
use super::vector::V;
use crate::engine::ground::lanes::{LANES, Lanes};

/// Precision that the proposal has beside the likelihood's, around the amounts that fit best: it
/// holds amounts that no band tells apart near 1. Weights take it out again.
const RIDGE: f32 = 1.0;
/// The least logarithm of an amount that the common mixture looks at: that of the least f32.
const LEAST_LOG: f32 = -87.0;

/// Draws that are made side by side: each amount waits for those before it.
const TOGETHER: usize = 2;

/// What draws are made of, and where they go. All in the pixel's own order of the amounts.
pub(super) struct Amounts<'a> {
    pub(super) known: &'a Known,
    /// Slope of the log likelihood at `around`, (K, LANES).
    pub(super) linear: &'a [f32],
    /// Minus its curvature, (K, K, LANES).
    pub(super) square: &'a [f32],
    /// Amounts that fit best, (K, LANES).
    pub(super) around: &'a [f32],
    /// Powers of the amounts, (K, LANES).
    pub(super) powers: &'a [f32],
    /// What the common mixture adds to them, (K, LANES).
    pub(super) common: &'a [f32],
    /// Log odds of having it, apart from the abundances; none where there is no common mixture.
    pub(super) log_odds: Option<f32>,
    /// Where their tables begin, (K).
    pub(super) bases: &'a [Lanes<u32>],
    /// Shifts of the points, (free).
    pub(super) shifts: &'a [Lanes<u32>],
    /// Steps from one point to the next, (free).
    pub(super) steps: &'a [u32],
    /// Number of the first point.
    pub(super) first: u32,
    /// Room for [`Amounts::room`] values, LANES each.
    pub(super) room: &'a mut [f32],
    /// The draws, (count, K, LANES).
    pub(super) amounts: &'a mut [f32],
    /// Logarithms of their weights, (count, LANES).
    pub(super) logs: &'a mut [f32],
}

impl Amounts<'_> {
    /// Values a lane that draws of so many free amounts need room for: factor, centre, inverse of
    /// the factor's diagonal and its logarithm.
    pub(super) fn room(free: usize) -> usize {
        free * free + 3 * free
    }
}

impl WithSimd for Amounts<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        for part in (0..LANES).step_by(S::F32_LANES) {
            self.draw(simd, part);
        }
    }
}

impl Amounts<'_> {
    /// Draws the amounts of the pixels whose lanes begin at `part`.
    #[inline(always)]
    fn draw<S: Simd>(&mut self, simd: S, part: usize) {
        let (k, free) = (self.known.k, self.known.free());
        let (factor, rest) = self.room.split_at_mut(free * free * LANES);
        let (centre, rest) = rest.split_at_mut(free * LANES);
        let (sds, log_sds) = rest.split_at_mut(free * LANES);
        propose(simd, part, (k, free), (self.linear, self.square), (factor, centre, sds));
        for a in 0..free {
            let at = a * LANES + part;
            V::load(simd, sds, at).ln().store(log_sds, at);
        }
        let count = self.logs.len() / LANES;
        let mut at = 0;
        while at + TOGETHER <= count {
            self.points::<S, TOGETHER>(simd, part, at);
            at += TOGETHER;
        }
        for at in at..count {
            self.points::<S, 1>(simd, part, at);
        }
    }

    /// Draws number `at` to `at + N` of these pixels.
    #[inline(always)]
    fn points<S: Simd, const N: usize>(&mut self, simd: S, part: usize, at: usize) {
        let (k, free) = (self.known.k, self.known.free());
        let (factor, rest) = self.room.split_at(free * free * LANES);
        let (centre, rest) = rest.split_at(free * LANES);
        let (sds, log_sds) = rest.split_at(free * LANES);
        let u = &mut self.amounts[at * k * LANES..(at + N) * k * LANES];
        let load = |from: &[f32], column: usize| V::load(simd, from, column * LANES + part);
        let words = |lanes: &Lanes<u32>| S::as_simd_u32s(&lanes[part..part + S::F32_LANES]).0[0];
        let c = |x: f32| V::splat(simd, x);
        let zero = [c(0.0); N];
        let (mut log, mut total, mut common) = (zero, zero, zero);
        for a in 0..free {
            let (around, exponent, sd) = (load(self.around, a), load(self.powers, a), load(sds, a));
            let mut pull = zero;
            for b in 0..a {
                let (factor, middle) =
                    (load(factor, b * free + a), load(self.around, b) + load(centre, b));
                for (n, pull) in pull.iter_mut().enumerate() {
                    *pull = factor.mul_add(load(u, n * k + b) - middle, *pull);
                }
            }
            let middle = around + load(centre, a);
            let (base, log_sd) = (words(&self.bases[a]), load(log_sds, a));
            let more = load(self.common, a);
            for n in 0..N {
                let mean = sd.neg_mul_add(pull[n], middle);
                let point = self.first.wrapping_add((at + n) as u32);
                let shift = simd.splat_u32s(point.wrapping_mul(self.steps[a]));
                let word = simd.add_u32s(words(&self.shifts[a]), shift);
                let x = self.known.tables.draw(Of { base, exponent, mean, sd, log_sd }, word);
                x.value.store(u, (n * k + a) * LANES + part);
                total[n] = total[n] + x.value;
                log[n] = exponent.mul_add(x.log, log[n]) - x.density;
                // Logarithms of nothing would make nothing of what has no power.
                common[n] = more.mul_add(x.log.max(c(LEAST_LOG)), common[n]);
            }
        }
        for n in 0..N {
            let u = &mut u[n * k * LANES..(n + 1) * k * LANES];
            let (mut log, total, mut common) = (log[n], total[n], common[n]);
            if let Some(precision) = self.known.brightness {
                let g = total.ln();
                log = log - g.mul_add(g * c(0.5 * precision), g * c(self.known.alpha));
                for a in 0..k {
                    common = load(self.common, a).neg_mul_add(g, common);
                }
            } else {
                let last = c(1.0) - total;
                last.max(c(0.0)).store(u, (k - 1) * LANES + part);
                // The density of an amount that is not drawn is over the amount itself.
                let power = load(self.powers, k - 1) - c(1.0);
                let log_last = last.max(c(f32::MIN_POSITIVE)).ln();
                let own = power.mul_add(log_last, log);
                common = load(self.common, k - 1).mul_add(log_last, common);
                log = c(0.0).less(last).select(own, c(f32::NEG_INFINITY));
            }
            if let Some(log_odds) = self.log_odds {
                // log(1 + odds), of either sign.
                let x = common + c(log_odds);
                let (above, size) = (x.max(c(0.0)), x.max(c(0.0) - x));
                log = log + above + (c(1.0) + (c(0.0) - size).exp()).ln();
            }
            for i in 0..k {
                // Those before it twice, as the form is symmetric.
                let own = load(u, i) - load(self.around, i);
                let mut product = load(self.square, i * k + i) * own * c(0.5);
                for j in 0..i {
                    let off = load(u, j) - load(self.around, j);
                    product = load(self.square, i * k + j).mul_add(off, product);
                }
                log = own.mul_add(load(self.linear, i) - product, log);
            }
            // Where no draw is possible, the amounts that fit best stand.
            let none = c(f32::NEG_INFINITY);
            let sound = log.less(c(f32::INFINITY)).select(log, none);
            sound.store(self.logs, (at + n) * LANES + part);
            let stands = none.less(sound);
            for a in 0..k {
                stands.select(load(u, a), load(self.around, a)).store(u, a * LANES + part);
            }
        }
    }
}

/// The normal that amounts are proposed from, one after the other: its precision P is `U U'` with U
/// upper triangular (`factor`), `centre` its mean less the amounts that fit best, `sds` the inverse
/// of U's diagonal.
#[inline(always)]
fn propose<S: Simd>(
    simd: S,
    part: usize,
    (k, free): (usize, usize),
    (linear, square): (&[f32], &[f32]),
    (factor, centre, sds): (&mut [f32], &mut [f32], &mut [f32]),
) {
    let load = |from: &[f32], column: usize| V::load(simd, from, column * LANES + part);
    let ridge = V::splat(simd, RIDGE);
    let g = |i: usize, j: usize| load(square, i * k + j);
    // Without brightness the last amount is 1 minus the others: it goes from form and slope.
    let (last, all) = (k - 1, free == k);
    for a in (0..free).rev() {
        for b in (0..=a).rev() {
            let mut rest = g(a, b);
            if !all {
                rest = rest - g(a, last) - g(last, b) + g(last, last);
            }
            for c in a + 1..free {
                rest = load(factor, a * free + c).neg_mul_add(load(factor, b * free + c), rest);
            }
            let to = (b * free + a) * LANES + part;
            if a == b {
                // A pivot that rounding or a value that is no number took away.
                let pivot = (rest + ridge).max(ridge).sqrt();
                pivot.store(factor, to);
                (V::splat(simd, 1.0) / pivot).store(sds, a * LANES + part);
            } else {
                (rest * load(sds, a)).store(factor, to);
            }
        }
    }
    // U U' centre = slope.
    for a in (0..free).rev() {
        let mut rest = load(linear, a);
        if !all {
            rest = rest - load(linear, last);
        }
        for c in a + 1..free {
            rest = load(factor, a * free + c).neg_mul_add(load(centre, c), rest);
        }
        (rest * load(sds, a)).store(centre, a * LANES + part);
    }
    for a in 0..free {
        let mut rest = load(centre, a);
        for b in 0..a {
            rest = load(factor, b * free + a).neg_mul_add(load(centre, b), rest);
        }
        (rest * load(sds, a)).store(centre, a * LANES + part);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::engine::model::Model;
    use crate::posterior::nested::known::tests::flat;
    use crate::posterior::nested::power_normal::base;
    use pulp::Arch;

    /// Amounts, (K), and weight of one draw.
    type Draw = (Vec<f32>, f64);

    /// Weighted draws of a pixel whose log likelihood is `linear'd - d'square d / 2` around the
    /// amounts 0.3; all lanes have the same pixel, and other points.
    fn drawn(model: &Model, linear: &[f32], square: &[f32], count: usize) -> Vec<Draw> {
        let known = Known::of(&flat(model, 8, 2));
        let (k, free) = (known.k, known.free());
        let spread =
            |values: &[f32]| -> Vec<f32> { values.iter().flat_map(|&x| [x; LANES]).collect() };
        let bases: Vec<Lanes<u32>> = (0..k).map(|i| [base(i); LANES]).collect();
        let shifts: Vec<Lanes<u32>> = (0..free as u32)
            .map(|a| std::array::from_fn(|i| (i as u32 + 7 * a + 1).wrapping_mul(0x9e37_79b9)))
            .collect();
        let steps: Vec<u32> =
            [1_779_033_703, 3_144_134_277, 1_013_904_242, 2_773_480_762][..free].to_vec();
        let more = known.common.as_ref().map_or(vec![0.0; k], |common| common.more.clone());
        let mut amounts = vec![0.0; count * k * LANES];
        let mut logs = vec![0.0; count * LANES];
        Arch::new().dispatch(Amounts {
            known: &known,
            linear: &spread(linear),
            square: &spread(square),
            around: &spread(&vec![0.3; k]),
            powers: &spread(&known.dirichlet),
            common: &spread(&more),
            log_odds: known.common.as_ref().map(|common| common.log_odds),
            bases: &bases,
            shifts: &shifts,
            steps: &steps,
            first: 0,
            room: &mut vec![0.0; Amounts::room(free) * LANES],
            amounts: &mut amounts,
            logs: &mut logs,
        });
        let top = logs.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let weight = |log: f32| match top > f32::NEG_INFINITY {
            true => f64::from(log - top).exp(),
            false => 1.0,
        };
        let total: f64 = logs.iter().map(|&log| weight(log)).sum();
        let one = |at: usize| {
            let (draw, lane) = (at / LANES, at % LANES);
            let u = (0..k).map(|a| amounts[(draw * k + a) * LANES + lane]).collect();
            (u, weight(logs[at]) / total)
        };
        (0..count * LANES).map(one).collect()
    }

    /// Mean of each amount and the share of the first below 0.05, by draws and by summing the
    /// density over log amounts: K = 2 with brightness, K = 3 without.
    fn compare(brightness: bool, linear: &[f32], square: &[f32], off: f64) -> Vec<(f64, f64)> {
        let k = linear.len();
        let model = Model {
            concentration: 0.3 * k as f64,
            brightness: brightness.then_some(0.5),
            ..Model::new(k)
        };
        let mut found = vec![0.0; k + 1];
        for (u, w) in drawn(&model, linear, square, 2000) {
            (0..k).for_each(|i| found[i] += w * f64::from(u[i]));
            found[k] += if u[0] < 0.05 { w } else { 0.0 };
        }
        let (mut total, mut truth) = (0.0, vec![0.0; k + 1]);
        for a in 0..1000 {
            for b in 0..1000 {
                let y = [a, b].map(|i| -14.0 + 15.0 * (f64::from(i) + 0.5) / 1000.0);
                let mut u = y.map(f64::exp).to_vec();
                let mut log = (0.3 + off) * y[0] + 0.3 * y[1];
                let sum: f64 = u.iter().sum();
                if brightness {
                    // Dirichlet(0.3, 0.3) and Normal(0, 0.5^2) of log brightness, in log amounts.
                    log -= 0.6 * sum.ln() + 2.0 * sum.ln().powi(2);
                } else if sum < 1.0 {
                    log += (0.3 - 1.0) * (1.0 - sum).ln();
                    u.push(1.0 - sum);
                } else {
                    continue;
                }
                for i in 0..k {
                    let row: f64 =
                        (0..k).map(|j| f64::from(square[i * k + j]) * (u[j] - 0.3)).sum();
                    log += (u[i] - 0.3) * (f64::from(linear[i]) - 0.5 * row);
                }
                let density = (log - 10.0).exp();
                total += density;
                (0..k).for_each(|i| truth[i] += density * u[i]);
                truth[k] += if u[0] < 0.05 { density } else { 0.0 };
            }
        }
        found.into_iter().zip(truth.into_iter().map(|x| x / total)).collect()
    }

    fn close(pairs: &[(f64, f64)]) -> bool {
        // 32,000 draws, of which a half or more count: 0.5 / 126 at most for a share; five times
        // that.
        pairs.iter().all(|(found, truth)| (found - truth).abs() < 0.02)
    }

    #[test]
    fn draws_have_the_moments_that_integration_gives() {
        // Correlated amounts, of which the first is hardly there, on a shelf, or surely there.
        for first in [-80.0, -50.0, 0.0] {
            let square = [200.0, 120.0, 120.0, 150.0];
            let pairs = compare(true, &[first, 20.0], &square, 0.0);
            assert!(close(&pairs), "{first}: {pairs:?}");
            let square = [200.0, 120.0, 40.0, 120.0, 150.0, 60.0, 40.0, 60.0, 90.0];
            let pairs = compare(false, &[first, 5.0, 3.0], &square, 0.0);
            assert!(close(&pairs), "{first}: {pairs:?}");
        }
        // Another power of the first amount: seen.
        let square = [200.0, 120.0, 120.0, 150.0];
        assert!(!close(&compare(true, &[-45.0, 20.0], &square, 0.5)));
    }

    #[test]
    fn forms_that_say_nothing_or_are_not_finite_have_draws_all_the_same() {
        for (linear, square) in [(0.0, 0.0), (f32::NAN, 1.0), (1e20, 1e30), (0.0, f32::INFINITY)] {
            for brightness in [true, false] {
                let model = Model { brightness: brightness.then_some(1.0), ..Model::new(3) };
                let draws = drawn(&model, &[linear; 3], &[square; 9], 20);
                assert!(draws.iter().all(|(u, _)| u.iter().all(|u| u.is_finite() && *u >= 0.0)));
                assert!((draws.iter().map(|d| d.1).sum::<f64>() - 1.0).abs() < 1e-9);
            }
        }
    }

    #[test]
    fn one_endmember_fills_its_pixels() {
        for brightness in [None, Some(1.0)] {
            let model = Model { brightness, ..Model::new(1) };
            // A likelihood with mean 0.8 and sd 0.1.
            let draws = drawn(&model, &[50.0], &[100.0], 100);
            let mean: f64 = draws.iter().map(|(u, w)| f64::from(u[0]) * w).sum();
            let truth = if brightness.is_some() { 0.8 } else { 1.0 };
            // The prior moves the mean by (0.1 / 0.8)^2 at most; 1,600 draws by 0.01.
            assert!((mean - truth).abs() < 0.026, "{mean}");
        }
    }
}
