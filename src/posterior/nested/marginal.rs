//! Mean, sd and quantiles of an amount from its weighted draws.

use pulp::{Simd, WithSimd};

use super::vector::V;
use crate::engine::ground::lanes::{LANES, Lanes};

/// The quantiles that are kept.
pub const QUANTILES: [f32; 3] = [0.05, 0.5, 0.95];
/// Halvings of the range of a pixel's draws that a quantile is found by: no quantile is off by more
/// than 1/256 of the range, and where that is some 8 sds, shares lie evenly within what is left.
pub(super) const HALVINGS: usize = 8;

/// Mean, sd and quantiles of one amount of sixteen pixels.
pub(super) struct Marginal<'a> {
    pub(super) k: usize,
    pub(super) a: usize,
    pub(super) shares: &'a [f32],
    pub(super) weights: &'a [f32],
    pub(super) found: &'a mut [Lanes<f32>; 5],
}

impl WithSimd for Marginal<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Marginal { k, a, shares, weights, found } = self;
        let c = |x: f32| V::splat(simd, x);
        let draws = weights.len() / LANES;
        for part in (0..LANES).step_by(S::F32_LANES) {
            let share = |d: usize| V::load(simd, shares, (d * k + a) * LANES + part);
            let weight = |d: usize| V::load(simd, weights, d * LANES + part);
            let (mut mean, mut total) = (c(0.0), c(0.0));
            let (mut least, mut most) = (c(1.0), c(0.0));
            for d in 0..draws {
                let (share, weight) = (share(d), weight(d));
                mean = weight.mul_add(share, mean);
                total = total + weight;
                // Draws without weight are none.
                let counts = c(1e-9).less(weight);
                least = counts.select(share.min(least), least);
                most = counts.select(share.max(most), most);
            }
            // The sum of the weights is 1, but for its rounding.
            let mean = mean / total;
            // Many draws may have the least share, or the most.
            let (mut square, mut above, mut under) = (c(0.0), c(0.0), c(0.0));
            for d in 0..draws {
                let (share, weight) = (share(d), weight(d));
                let off = share - mean;
                square = (weight * off).mul_add(off, square);
                above = least.less(share).select(above + weight, above);
                under = share.less(most).select(under + weight, under);
            }
            // The weight of the draws up to either end.
            let (mut low, mut high) = ([least; 3], [most; 3]);
            let (mut to_low, mut to_high) = ([total - above; 3], [under; 3]);
            let half = c(0.5);
            for _ in 0..HALVINGS {
                let middle: [V<S>; 3] = std::array::from_fn(|q| (low[q] + high[q]) * half);
                let mut below = [c(0.0); 3];
                for d in 0..draws {
                    let (share, weight) = (share(d), weight(d));
                    for q in 0..3 {
                        let more = below[q] + weight;
                        below[q] = share.less(middle[q]).select(more, below[q]);
                    }
                }
                for q in 0..3 {
                    let up = below[q].less(c(QUANTILES[q]));
                    low[q] = up.select(middle[q], low[q]);
                    to_low[q] = up.select(below[q], to_low[q]);
                    high[q] = up.select(high[q], middle[q]);
                    to_high[q] = up.select(to_high[q], below[q]);
                }
            }
            mean.store(&mut found[0], part);
            square.max(c(0.0)).sqrt().store(&mut found[1], part);
            for q in 0..3 {
                let wanted = c(QUANTILES[q]);
                let between = (wanted - to_low[q]) / (to_high[q] - to_low[q]);
                let at = (high[q] - low[q]).mul_add(between, low[q]);
                let at = to_low[q].less(wanted).select(at, low[q]);
                to_high[q].less(wanted).select(high[q], at).store(&mut found[2 + q], part);
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use pulp::Arch;

    /// The shares of a pixel, spread evenly over `from..to` but for `none` of them that are `end`.
    fn spread(draws: usize, none: usize, end: f32, (from, to): (f32, f32)) -> Vec<f32> {
        let share = |d: usize| from + (to - from) * (d as f32 + 0.5) / (draws - none) as f32;
        (0..draws - none).map(share).chain(std::iter::repeat_n(end, none)).collect()
    }

    #[test]
    fn quantiles_are_those_of_the_weighted_draws() {
        let draws = 1000;
        let core = |d: usize| if d.is_multiple_of(100) { 1.0 } else { 0.01 + 2e-5 * d as f32 };
        let pixels = [
            spread(draws, 0, 0.0, (0.0, 1.0)),
            // A tenth of the draws have nothing; too few of them to be a quantile; most have all.
            spread(draws, 100, 0.0, (0.1, 0.9)),
            spread(draws, 30, 0.0, (0.4, 0.5)),
            spread(draws, 970, 1.0, (0.2, 1.0)),
            vec![0.3; draws],
            // Nearly all in a fiftieth of the range.
            (0..draws).map(core).collect(),
        ];
        let mut shares = vec![0.0; draws * LANES];
        let mut weights = vec![1.0 / draws as f32; draws * LANES];
        for (lane, values) in pixels.iter().enumerate() {
            (0..draws).for_each(|d| shares[d * LANES + lane] = values[d]);
        }
        // One more whose draws above 0.5 have no weight.
        let last = pixels.len();
        for (d, share) in pixels[0].iter().enumerate() {
            shares[d * LANES + last] = *share;
            weights[d * LANES + last] = if *share < 0.5 { 2.0 / draws as f32 } else { 0.0 };
        }
        let mut found = [[0.0; LANES]; 5];
        Arch::new().dispatch(Marginal {
            k: 1,
            a: 0,
            shares: &shares,
            weights: &weights,
            found: &mut found,
        });
        for lane in 0..=last {
            let mut of: Vec<(f32, f32)> = (0..draws)
                .map(|d| (shares[d * LANES + lane], weights[d * LANES + lane]))
                .filter(|of| of.1 > 0.0)
                .collect();
            of.sort_by(|a, b| a.0.total_cmp(&b.0));
            for (q, &wanted) in QUANTILES.iter().enumerate() {
                let mut below = 0.0;
                let at = of.iter().find(|of| {
                    below += of.1;
                    below >= wanted
                });
                let (at, got) = (at.unwrap().0, found[2 + q][lane]);
                let (least, most) = (of[0].0, of[of.len() - 1].0);
                // Draws next to each other are a thousandth of the range apart, but where nearly
                // all are in one step of the search.
                let steps = if lane == 5 { (1 << HALVINGS) as f32 } else { 950.0 };
                let step = (most - least) / steps;
                assert!((at - got).abs() <= step, "lane {lane}, {wanted}: {got}, not {at}");
                // An end that many draws have is met.
                let is_end = at == least || at == most;
                assert!(!is_end || at == got, "lane {lane}, {wanted}: {got}, not {at}");
            }
        }
    }
}
