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
    /// the factor's diagonal and its logarithm, and what a draw is off the centre.
    pub(super) fn room(free: usize) -> usize {
        free * free + 4 * free
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
        let (sds, rest) = rest.split_at_mut(free * LANES);
        let (log_sds, off) = rest.split_at_mut(free * LANES);
        let load = |from: &[f32], column: usize| V::load(simd, from, column * LANES + part);
        let c = |x: f32| V::splat(simd, x);
        propose(simd, part, (k, free), (self.linear, self.square), (factor, centre, sds));
        for a in 0..free {
            load(sds, a).ln().store(log_sds, a * LANES + part);
        }
        let words = |lanes: &Lanes<u32>| S::as_simd_u32s(&lanes[part..part + S::F32_LANES]).0[0];
        let draws = self.amounts.chunks_exact_mut(k * LANES).zip(self.logs.chunks_exact_mut(LANES));
        for (point, (u, logs)) in (self.first..).zip(draws) {
            let (mut log, mut total) = (c(0.0), c(0.0));
            for a in 0..free {
                let (around, centre) = (load(self.around, a), load(centre, a));
                let (exponent, sd) = (load(self.powers, a), load(sds, a));
                let mut pull = c(0.0);
                for b in 0..a {
                    pull = load(factor, b * free + a).mul_add(load(off, b), pull);
                }
                let mean = sd.neg_mul_add(pull, around + centre);
                let shift = simd.splat_u32s(point.wrapping_mul(self.steps[a]));
                let word = simd.add_u32s(words(&self.shifts[a]), shift);
                let (base, log_sd) = (words(&self.bases[a]), load(log_sds, a));
                let x = self.known.tables.draw(Of { base, exponent, mean, sd, log_sd }, word);
                (x.value - around - centre).store(off, a * LANES + part);
                x.value.store(u, a * LANES + part);
                total = total + x.value;
                log = exponent.mul_add(x.log, log) - x.density;
            }
            if let Some(precision) = self.known.brightness {
                let g = total.ln();
                log = log - g.mul_add(g * c(0.5 * precision), g * c(self.known.alpha));
            } else {
                let last = c(1.0) - total;
                last.max(c(0.0)).store(u, (k - 1) * LANES + part);
                // The density of an amount that is not drawn is over the amount itself.
                let power = load(self.powers, k - 1) - c(1.0);
                let own = power.mul_add(last.max(c(f32::MIN_POSITIVE)).ln(), log);
                log = c(0.0).less(last).select(own, c(f32::NEG_INFINITY));
            }
            for i in 0..k {
                let mut product = c(0.0);
                for j in 0..k {
                    let off = load(u, j) - load(self.around, j);
                    product = load(self.square, i * k + j).mul_add(off, product);
                }
                let slope = product.neg_mul_add(c(0.5), load(self.linear, i));
                log = (load(u, i) - load(self.around, i)).mul_add(slope, log);
            }
            // Where no draw is possible, the amounts that fit best stand.
            let none = c(f32::NEG_INFINITY);
            let sound = log.less(c(f32::INFINITY)).select(log, none);
            sound.store(logs, part);
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
