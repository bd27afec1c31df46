//! Draws from the power normal, `x^(a - 1) exp(-(x - m)^2 / (2 s^2))` for x > 0: the posterior of
//! an amount of which the Dirichlet expects little, under a Gaussian likelihood (the modified
//! half-normal; Sun, Kong and Pal 2023). A pixel in each lane of a
//! vector, from tables of quantiles.

use pulp::Simd;
use rayon::prelude::*;

use super::vector::{Mask, V};

/// Tables of power normals: for each of some exponents a > 0 one for each of a range of means, in
/// sds.
#[derive(Debug, Clone)]
pub(super) struct PowerNormals {
    /// Tables one after the other, [`TABLE`] pairs each: where a cell begins, in logarithms of the
    /// value, and the log density of the logarithm in it.
    pub(super) cells: Vec<f32>,
}

/// One drawn value of each pixel.
#[derive(Clone, Copy)]
pub(super) struct Values<S: Simd> {
    pub(super) value: V<S>,
    /// Logarithm of the value, also where the value underflows to zero.
    pub(super) log: V<S>,
    /// Log density of the logarithm under the tables that it is drawn from: they are close to the
    /// power normal, and weights make up for the rest.
    pub(super) density: V<S>,
}

/// The power normals of some pixels: mean and sd > 0, the exponent, and where its tables begin.
/// What many draws share is there beside it, as divisions and logarithms are dear.
#[derive(Clone, Copy)]
pub(super) struct Of<S: Simd> {
    pub(super) base: S::u32s,
    pub(super) exponent: V<S>,
    pub(super) mean: V<S>,
    pub(super) sd: V<S>,
    /// One over the sd.
    pub(super) root: V<S>,
    /// The logarithm of the sd.
    pub(super) log_sd: V<S>,
}

/// Means beyond so many sds, either way, use the last table.
const FAR: f32 = 12.0;
/// Tables to one sd of the mean.
const FINE: f32 = 4.0;
/// Cells of equal probability.
const CELLS: usize = 64;
/// How often the last cell is halved: it holds the tail to the right, down to a probability of
/// 1e-6.
const HALVINGS: usize = 14;
/// Pairs of a table: its cells, and the end of the last one.
const TABLE: usize = CELLS + HALVINGS;
/// Tables of one exponent.
const TABLES: usize = 2 * (FAR as usize) * (FINE as usize) + 1;
/// Points of the integral behind a table.
const GRID: usize = 1000;

/// Where the tables of exponent number `i` begin.
pub(super) fn base(i: usize) -> u32 {
    (2 * i * TABLES * TABLE) as u32
}

impl PowerNormals {
    pub(super) fn new(exponents: &[f64]) -> Self {
        let table = |at: usize| {
            let mut cells = Vec::with_capacity(2 * TABLE);
            let mean = (at % TABLES) as f64 / f64::from(FINE) - f64::from(FAR);
            append(exponents[at / TABLES], mean, &mut cells);
            cells
        };
        let tables = (0..exponents.len() * TABLES).into_par_iter();
        PowerNormals { cells: tables.flat_map_iter(table).collect() }
    }

    /// The values at the probabilities that words of 32 bits stand for.
    #[inline(always)]
    pub(super) fn draw<S: Simd>(&self, of: Of<S>, words: S::u32s) -> Values<S> {
        let Of { base, exponent, mean, sd, root, log_sd } = of;
        let simd = mean.simd;
        let c = |x: f32| V::splat(simd, x);
        let u = |x: u32| simd.splat_u32s(x);
        let ratio = mean * root;
        // Not a number becomes the first table.
        let clamped = ratio.max(c(-FAR)).min(c(FAR));
        // A whole number, rounded, in the mantissa of 2^23.
        let table = (clamped + c(FAR)).mul_add(c(FINE), c(8_388_608.0));
        let table = simd.and_u32s(simd.transmute_u32s_f32s(table.v), u(0x007f_ffff));
        // The first six bits are the cell, those behind them the place in it.
        let cell = simd.wrapping_dyn_shr_u32s(words, u(26));
        let inside = simd.wrapping_dyn_shr_u32s(simd.wrapping_dyn_shl_u32s(words, u(6)), u(9));
        let inside = simd.transmute_f32s_u32s(simd.or_u32s(inside, u(0x3f80_0000)));
        let inside = (mean.of(inside) - c(1.0)).max(c(6e-8));
        let is_first = simd.equal_u32s(cell, u(0));
        let is_last = simd.equal_u32s(cell, u(CELLS as u32 - 1));
        // The exponent of what is left: each cell of the tail is half of the one before.
        let left = (c(1.0) - inside).max(c(6e-8)).min(c(0.999_999_94));
        let halving = simd.wrapping_dyn_shr_u32s(simd.transmute_u32s_f32s(left.v), u(23));
        let halving = simd.min_u32s(simd.sub_u32s(u(126), halving), u(HALVINGS as u32 - 1));
        let doubled = simd.wrapping_dyn_shl_u32s(simd.add_u32s(halving, u(127)), u(23));
        let within = left.neg_mul_add(mean.of(simd.transmute_f32s_u32s(doubled)), c(1.0));
        let end = Mask { simd, m: simd.equal_u32s(halving, u(HALVINGS as u32 - 1)) };
        let within = end.select(within, within + within).min(c(1.0));
        let part = Mask { simd, m: is_last }.select(within, inside);
        let before = simd.select_u32s(is_first, u(0), simd.sub_u32s(cell, u(1)));
        let in_tail = simd.add_u32s(halving, u(CELLS as u32 - 2));
        let cell = simd.select_u32s(is_last, in_tail, before);
        // Rows of a table are pairs, 2 TABLE = 2^7 + 2^4 + 2^3 + 2^2 numbers.
        let row = |bits: u32| simd.wrapping_dyn_shl_u32s(table, u(bits));
        let rows = simd.add_u32s(simd.add_u32s(row(7), row(4)), simd.add_u32s(row(3), row(2)));
        let at = simd.add_u32s(rows, simd.wrapping_dyn_shl_u32s(cell, u(1)));
        let at = simd.add_u32s(at, base);
        let (begin, flat, next) = self.gather(simd, at);

        let mut log = (next - begin).mul_add(part, begin);
        let mut density = flat;
        let first = Mask { simd, m: is_first };
        if first.any() {
            // Left of the first cell the density is that of the power alone.
            let below = inside.ln();
            log = first.select(begin + below / exponent, log);
            let alone = exponent.ln() + below - c((CELLS as f32).ln());
            density = first.select(alone, density);
        }
        let mut log_scale = log_sd;
        let under = ratio.less(c(-FAR));
        if under.any() {
            // Far below zero only the slope at zero counts, mean / sd^2.
            log_scale = under.select(log_sd + (c(-FAR) / ratio).ln(), log_sd);
        }
        log = log + log_scale;
        let mut value = log.exp();
        let above = c(FAR).less(ratio);
        if above.any() {
            // The power is flat far above zero: a normal, as in the last table but for its place.
            let moved = value + (sd.neg_mul_add(c(FAR), mean));
            let of_moved = moved.ln();
            value = above.select(moved, value);
            density = above.select(density + of_moved - log, density);
            log = above.select(of_moved, log);
        }
        Values { value, log, density }
    }

    /// Where cells begin, the density in them, and where they end.
    #[inline(always)]
    fn gather<S: Simd>(&self, simd: S, at: S::u32s) -> (V<S>, V<S>, V<S>) {
        let none = simd.splat_f32s(0.0);
        let (mut begin, mut flat, mut end) = (none, none, none);
        let at = bytemuck::cast_slice::<S::u32s, u32>(std::slice::from_ref(&at));
        let begins = bytemuck::cast_slice_mut::<S::f32s, f32>(std::slice::from_mut(&mut begin));
        let flats = bytemuck::cast_slice_mut::<S::f32s, f32>(std::slice::from_mut(&mut flat));
        let ends = bytemuck::cast_slice_mut::<S::f32s, f32>(std::slice::from_mut(&mut end));
        let places = begins.iter_mut().zip(flats).zip(ends);
        for (&at, ((begin, flat), end)) in at.iter().zip(places) {
            let cells = &self.cells[at as usize..at as usize + 3];
            (*begin, *flat, *end) = (cells[0], cells[1], cells[2]);
        }
        (V { simd, v: begin }, V { simd, v: flat }, V { simd, v: end })
    }
}

/// Appends a table for sd 1. The density of y = log x is `exp(a y - (e^y - m)^2 / 2)`; left of the
/// grid it is e^(a y).
fn append(a: f64, mean: f64, cells: &mut Vec<f32>) {
    let height = |y: f64| a * y - 0.5 * (y.exp() - mean).powi(2);
    let first = (1e-3 / (1.0 + mean.abs())).ln();
    let last = (mean.max(0.0) + a.sqrt() + 9.0).ln();
    let width = (last - first) / GRID as f64;
    let middles: Vec<f64> = (0..GRID).map(|i| height(first + (i as f64 + 0.5) * width)).collect();
    let top = middles.iter().copied().fold(height(first), f64::max);
    let mut total = (height(first) - top).exp() / a;
    let mut below = vec![total];
    for middle in middles {
        total += width * (middle - top).exp();
        below.push(total);
    }
    let quantile = |p: f64| -> f64 {
        let wanted = p * total;
        if wanted <= below[0] {
            return first + (wanted / below[0]).ln() / a;
        }
        let i = below.partition_point(|sum| *sum < wanted).min(GRID);
        let inside = (wanted - below[i - 1]) / (below[i] - below[i - 1]);
        first + width * (i as f64 - 1.0 + inside)
    };
    let probabilities: Vec<f64> = (1..CELLS)
        .map(|i| i as f64 / CELLS as f64)
        .chain((1..HALVINGS).map(|i| 1.0 - 0.5f64.powi(i as i32) / CELLS as f64))
        .chain([1.0])
        .collect();
    let mut edges: Vec<f64> = probabilities.iter().map(|&p| quantile(p)).collect();
    for i in 1..edges.len() {
        // Rounding must not make a cell empty.
        edges[i] = edges[i].max(edges[i - 1] + 1e-6);
    }
    let begin = cells.len();
    for i in 0..edges.len() {
        let density = match probabilities.get(i + 1) {
            Some(next) => ((next - probabilities[i]) / (edges[i + 1] - edges[i])).ln(),
            None => 0.0,
        };
        cells.extend([edges[i] as f32, density as f32]);
    }
    cells.resize(begin + 2 * TABLE, 0.0);
}

#[cfg(test)]
mod tests {
    use super::*;
    use pulp::{Arch, WithSimd};

    /// Mean of x under the density, by a fine sum over log x.
    fn integrated(a: f64, mean: f64, sd: f64) -> f64 {
        let (mut total, mut sum) = (0.0, 0.0);
        for i in 0..410_000 {
            // Left of it are e^(-0.05 400) of the smallest power.
            let y = -400.0 + f64::from(i) * 1e-3;
            let x = y.exp();
            // Less what it is at zero, where the mean is far below.
            let far = 0.5 * (mean.min(0.0) / sd).powi(2);
            let density = (a * y - 0.5 * ((x - mean) / sd).powi(2) + far).exp();
            total += density;
            sum += density * x;
        }
        sum / total
    }

    /// A value, its logarithm and its density, for power normal number `number`.
    struct One<'a> {
        of: &'a PowerNormals,
        number: usize,
        a: f64,
        mean: f64,
        sd: f64,
        probability: f64,
    }

    impl WithSimd for One<'_> {
        type Output = [f64; 3];

        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) -> [f64; 3] {
            let lanes = |x: f64| V::splat(simd, x as f32);
            let word = (self.probability * 4_294_967_296.0) as u32;
            let of = Of {
                base: simd.splat_u32s(base(self.number)),
                exponent: lanes(self.a),
                mean: lanes(self.mean),
                sd: lanes(self.sd),
                root: lanes(self.sd.recip()),
                log_sd: lanes(self.sd.ln()),
            };
            let x = self.of.draw(of, simd.splat_u32s(word));
            [x.value, x.log, x.density].map(|x| f64::from(simd.reduce_max_f32s(x.v)))
        }
    }

    fn values(of: &PowerNormals, number: usize, a: f64, m: f64, s: f64, p: f64) -> [f64; 3] {
        Arch::new().dispatch(One { of, number, a, mean: m, sd: s, probability: p })
    }

    /// The mean of values at evenly spaced probabilities, weighted or as they come.
    fn drawn(a: f64, mean: f64, sd: f64, weighted: bool) -> f64 {
        // The second of two exponents.
        let power = PowerNormals::new(&[7.0, a]);
        let (mut total, mut sum) = (0.0, 0.0);
        for i in 0..20_000 {
            let p = (f64::from(i) + 0.5) / 20_000.0;
            let [value, log, density] = values(&power, 1, a, mean, sd, p);
            let far = 0.5 * (mean.min(0.0) / sd).powi(2);
            let log = a * log - 0.5 * ((value - mean) / sd).powi(2) + far - density;
            let weight = if weighted { log.exp() } else { 1.0 };
            total += weight;
            sum += weight * value;
        }
        sum / total
    }

    #[test]
    fn weighted_draws_have_the_mean_of_the_density_and_others_nearly() {
        for (a, mean, sd) in [
            (0.2, 0.3, 0.1),
            (0.2, -0.5, 0.1),
            (0.2, -5.0, 0.1),
            (0.05, 0.02, 0.1),
            (3.0, 0.1, 0.2),
            (1.0, 1.0, 0.05),
            (1.0, 1.5, 0.05),
        ] {
            let truth = integrated(a, mean, sd);
            let weighted = drawn(a, mean, sd, true);
            // Evenly spaced probabilities: cells hold 312 points each, so sums are good to a
            // thousandth; f32 and the end of the tail add another.
            assert!((weighted / truth - 1.0).abs() < 3e-3, "{a} {mean} {sd}: {weighted} {truth}");
            // The nearest table is 1/8 sd off, which moves a mean by 1/8 sd or its share at most.
            let plain = drawn(a, mean, sd, false);
            assert!((plain / truth - 1.0).abs() < 0.16, "{a} {mean} {sd}: {plain} {truth}");
        }
        // What a wrong exponent gives.
        assert!((drawn(0.3, 0.02, 0.1, true) / integrated(0.2, 0.02, 0.1) - 1.0).abs() > 0.1);
    }

    #[test]
    fn ends_of_the_probabilities_and_far_means_are_finite() {
        let power = PowerNormals::new(&[0.02]);
        for mean in [-1e6, -1.0, 0.0, 1.0, 1e6] {
            for probability in [0.0, 1e-30, 0.5, 1.0 - 1e-7, 1.0] {
                let x = values(&power, 0, 0.02, mean, 0.01, probability);
                assert!(x.iter().all(|x| x.is_finite()), "{mean} {probability} {x:?}");
                assert!(x[0] >= 0.0, "{mean} {probability} {x:?}");
            }
        }
    }
}
