//! Weighted draws of the amounts of sixteen pixels given a scene.
//!
//! Likelihood times the densities of Dirichlet and brightness is a normal in the amounts times a
//! power of each. Amounts are drawn one after the other, the smallest first, each from its normal
//! given those before, as if those after could be negative, times its power (the simulator of
//! Geweke, Hajivassiliou and Keane for truncated normals, with the powers of the modified
//! half-normal; Sun, Kong and Pal 2023); without brightness the last is 1 minus the others. Weights
//! are density over proposal.
//!
//! With a common mixture the density is a sum of two (equation 34), and each has draws of its own,
//! weighted for themselves: those of the mixture come from a normal above zero that is like the
//! likelihood times its Dirichlet. From the sparse one's they would nearly all be worth nothing.

use pulp::{Simd, WithSimd};

use super::known::Known;
use super::power_normal::{Of, base};
use super::propose::{Proposal, Quadratic, narrow};
use super::vector::V;
use crate::engine::ground::lanes::{LANES, Lanes};

/// The least logarithm of an amount that the common mixture looks at: that of the least f32.
const LEAST_LOG: f32 = -87.0;

/// Draws that are made side by side: each amount waits for those before it.
const TOGETHER: usize = 2;
/// Of so many draws that follow each other all but the first [`SPARSE`] are proposed around the
/// common mixture, where there is one: few, as nearly all of these are worth as much.
const CYCLE: usize = 8;
const SPARSE: usize = 6;

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
    /// Values a lane that draws of K amounts, so many of them free, need room for: two proposals,
    /// and what the second is of.
    pub(super) fn room(k: usize, free: usize) -> usize {
        2 * Proposal::room(free) + k * k + k
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
        let own = Proposal::room(free) * LANES;
        let (sparse, rest) = self.room.split_at_mut(own);
        let (mixed, room) = rest.split_at_mut(own);
        let own = Quadratic { linear: self.linear, square: self.square };
        Proposal::write(simd, part, (k, free), own, sparse);
        if self.log_odds.is_some() {
            let prior = (self.powers, self.common, self.known.brightness);
            let with = narrow(simd, part, k, (own, self.around), prior, room);
            Proposal::write(simd, part, (k, free), with, mixed);
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
        let is_mixed = self.log_odds.is_some() && (self.first as usize + at) % CYCLE >= SPARSE;
        let own = Proposal::room(free) * LANES;
        let Proposal { factor, centre, sds, log_sds } =
            Proposal::of(free, if is_mixed { &self.room[own..2 * own] } else { &self.room[..own] });
        // The table of power one: a normal above zero.
        let normal = simd.splat_u32s(base(k));
        let u = &mut self.amounts[at * k * LANES..(at + N) * k * LANES];
        let load = |from: &[f32], column: usize| V::load(simd, from, column * LANES + part);
        let words = |lanes: &Lanes<u32>| S::as_simd_u32s(&lanes[part..part + S::F32_LANES]).0[0];
        let c = |x: f32| V::splat(simd, x);
        let zero = [c(0.0); N];
        let (mut log, mut total, mut common) = (zero, zero, zero);
        for a in 0..free {
            let (around, power, sd) = (load(self.around, a), load(self.powers, a), load(sds, a));
            let exponent = if is_mixed { c(1.0) } else { power };
            let mut pull = zero;
            for b in 0..a {
                let (factor, middle) =
                    (load(factor, b * free + a), load(self.around, b) + load(centre, b));
                for (n, pull) in pull.iter_mut().enumerate() {
                    *pull = factor.mul_add(load(u, n * k + b) - middle, *pull);
                }
            }
            let middle = around + load(centre, a);
            let base = if is_mixed { normal } else { words(&self.bases[a]) };
            let (root, log_sd) = (load(factor, a * free + a), load(log_sds, a));
            let more = load(self.common, a);
            for n in 0..N {
                let mean = sd.neg_mul_add(pull[n], middle);
                let point = self.first.wrapping_add((at + n) as u32);
                let shift = simd.splat_u32s(point.wrapping_mul(self.steps[a]));
                let word = simd.add_u32s(words(&self.shifts[a]), shift);
                let x = self.known.tables.draw(Of { base, exponent, mean, sd, root, log_sd }, word);
                x.value.store(u, (n * k + a) * LANES + part);
                total[n] = total[n] + x.value;
                log[n] = power.mul_add(x.log, log[n]) - x.density;
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
                // Either mean is over all draws, of which a part is its own.
                let (all, sparse) = (CYCLE as f32, SPARSE as f32);
                log = match is_mixed {
                    true => log + common + c(log_odds + (all / (all - sparse)).ln()),
                    false => log + c((all / sparse).ln()),
                };
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::engine::ground::math::ln_dirichlet;
    use crate::engine::model::{Common, Model};
    use crate::posterior::nested::known::tests::flat;
    use crate::posterior::nested::mixture::Shift;
    use crate::posterior::nested::power_normal::base;
    use pulp::Arch;

    /// Amounts, (K), and weight of one draw.
    type Draw = (Vec<f32>, f64);

    /// What all amounts are that forms are written around: of pixels without brightness they have
    /// sum one.
    fn around(known: &Known) -> f32 {
        known.brightness.map_or(1.0 / known.k as f32, |_| 0.3)
    }

    /// Weighted draws of a pixel whose log likelihood is `linear'd - d'square d / 2` around these
    /// amounts; all lanes have the same pixel, and other points.
    fn drawn(model: &Model, linear: &[f32], square: &[f32], count: usize) -> Vec<Draw> {
        drawn_given(&Known::of(&flat(model, 8, 2)), linear, square, count)
    }

    fn drawn_given(known: &Known, linear: &[f32], square: &[f32], count: usize) -> Vec<Draw> {
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
            known,
            linear: &spread(linear),
            square: &spread(square),
            around: &spread(&vec![around(known); k]),
            powers: &spread(&known.dirichlet),
            common: &spread(&more),
            log_odds: known.common.as_ref().map(|common| common.log_odds),
            bases: &bases,
            shifts: &shifts,
            steps: &steps,
            first: 0,
            room: &mut vec![0.0; Amounts::room(k, free) * LANES],
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
        let known = known(brightness, linear.len(), None);
        compare_given(&known, linear, square, off)
    }

    /// Dirichlets with 0.3 for each endmember, and of as many pixels another with these parameters.
    fn known(brightness: bool, k: usize, other: Option<&[f64]>) -> Known {
        let common = other.map(|_| Common { concentration: 12.0, sd: 1.5 });
        let brightness = brightness.then_some(0.5);
        let concentration = 0.3 * k as f64;
        let model = Model { concentration, brightness, common, ..Model::new(k) };
        let mut known = Known::of(&flat(&model, 8, 2));
        if let Some(other) = other {
            let log_odds = ln_dirichlet(other) - ln_dirichlet(&vec![0.3; k]);
            let more = other.iter().map(|b| (b - 0.3) as f32).collect();
            known.common = Some(Shift { more, log_odds: log_odds as f32 });
        }
        known
    }

    fn compare_given(known: &Known, linear: &[f32], square: &[f32], off: f64) -> Vec<(f64, f64)> {
        let (k, brightness) = (known.k, known.brightness.is_some());
        let middle = f64::from(around(known));
        let mut found = vec![0.0; k + 1];
        for (u, w) in drawn_given(known, linear, square, 2000) {
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
                        (0..k).map(|j| f64::from(square[i * k + j]) * (u[j] - middle)).sum();
                    log += (u[i] - middle) * (f64::from(linear[i]) - 0.5 * row);
                }
                if let Some(Shift { more, log_odds }) = &known.common {
                    let whole: f64 = u.iter().sum();
                    let more = more.iter().zip(&u).map(|(b, u)| f64::from(*b) * (u / whole).ln());
                    log += (f64::from(*log_odds) + more.sum::<f64>()).exp().ln_1p();
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

    /// Of two Dirichlets, one of them narrow: pixels that may have either, and surely the narrow
    /// one.
    #[test]
    fn draws_of_a_common_mixture_have_the_moments_that_integration_gives() {
        let square = [200.0, 120.0, 120.0, 150.0];
        let three = [200.0, 120.0, 40.0, 120.0, 150.0, 60.0, 40.0, 60.0, 90.0];
        for total in [20.0, 1000.0] {
            for slope in [-50.0, 0.0] {
                let other = known(true, 2, Some(&[0.4 * total, 0.6 * total]));
                let pairs = compare_given(&other, &[slope, 20.0], &square, 0.0);
                assert!(close(&pairs), "{total} {slope}: {pairs:?}");
                let shares = [0.3 * total, 0.45 * total, 0.25 * total];
                let other = known(false, 3, Some(&shares));
                let pairs = compare_given(&other, &[slope, 5.0, 3.0], &three, 0.0);
                assert!(close(&pairs), "{total} {slope}: {pairs:?}");
            }
        }
        // One draw in four is of the mixture, and worth half of a whole one at least; of the others
        // next to none is worth anything.
        let other = known(true, 2, Some(&[4000.0, 6000.0]));
        let draws = drawn_given(&other, &[0.0, 20.0], &square, 2000);
        let worth = draws.iter().map(|(_, w)| w * w).sum::<f64>().recip();
        assert!(worth > draws.len() as f64 / 8.0, "{worth}");
        // Another mixture: seen.
        let one = known(true, 2, Some(&[400.0, 600.0]));
        let mut seen = compare_given(&one, &[0.0, 20.0], &square, 0.0);
        let two = known(true, 2, Some(&[600.0, 400.0]));
        let truths = compare_given(&two, &[0.0, 20.0], &square, 0.0);
        seen.iter_mut().zip(truths).for_each(|(seen, truth)| seen.1 = truth.1);
        assert!(!close(&seen), "{seen:?}");
    }

    #[test]
    fn forms_that_say_nothing_or_are_not_finite_have_draws_all_the_same() {
        for (linear, square) in [(0.0, 0.0), (f32::NAN, 1.0), (1e20, 1e30), (0.0, f32::INFINITY)] {
            for brightness in [true, false] {
                for other in [None, Some(&[200.0, 300.0, 500.0][..])] {
                    let known = known(brightness, 3, other);
                    let draws = drawn_given(&known, &[linear; 3], &[square; 9], 20);
                    let mut all = draws.iter().flat_map(|(u, _)| u);
                    assert!(all.all(|u| u.is_finite() && *u >= 0.0));
                    assert!((draws.iter().map(|d| d.1).sum::<f64>() - 1.0).abs() < 1e-9);
                }
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
