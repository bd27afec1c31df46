//! Sixteen pixels side by side: where their amounts lie, and draws of them given a scene.

use pulp::{Arch, Simd, WithSimd};

use super::amounts::Amounts;
use super::descend::Descend;
use super::forms::Forms;
use super::known::Known;
use super::mixture::Shift;
use super::power_normal::base;
use super::shared::{Projection, Share};
use crate::engine::ground::lanes::{LANES, Lanes};
use crate::engine::ground::rng::{self, Stream};
use crate::engine::pixels::Cube;

/// How often the variance is computed anew at the amounts that it gave.
pub(super) const ROUNDS: usize = 3;

/// A group of pixels with all that is computed for it. One is used for many groups, one after the
/// other.
pub(super) struct Group<'a> {
    pub(super) known: &'a Known,
    arch: Arch,
    /// Pixels of the group: at most [`LANES`].
    pub(super) rows: usize,
    /// Spectra, (L, LANES).
    pub(super) y: Vec<f32>,
    /// Weight of the likelihood over the variance at the amounts `around`, (L, LANES).
    pub(super) precision: Vec<f32>,
    /// Where the amounts lie, (K, LANES): those that fit best, none of them negative.
    pub(super) around: Vec<f32>,
    /// Endmembers of each pixel from the smallest amount to the largest, (K, LANES).
    pub(super) order: Vec<[u16; LANES]>,
    /// Amounts, in this order, (K, LANES).
    sorted: Vec<f32>,
    /// Powers of the amounts in this order, (K, LANES).
    powers: Vec<f32>,
    /// What the common mixture adds to them, (K, LANES), and the log odds of having it.
    common: Vec<f32>,
    log_odds: Option<f32>,
    /// Where the tables of each begin, (K).
    bases: Vec<Lanes<u32>>,
    /// Random shifts of the points that amounts are drawn at, (free).
    pub(super) shifts: Vec<Lanes<u32>>,
    /// Steps from one point to the next, (free).
    steps: Vec<u32>,
    weighted: Vec<f32>,
    /// Room for squares of abundances, (K, LANES).
    squares: Vec<f32>,
    /// Slope of the log likelihood at the amounts `around`, (K, LANES), and minus its curvature,
    /// (K, K, LANES).
    pub(super) linear: Vec<f32>,
    pub(super) square: Vec<f32>,
    /// Forms in the order of the amounts.
    linear_sorted: Vec<f32>,
    square_sorted: Vec<f32>,
    /// Room for factor and centre of the proposals.
    room: Vec<f32>,
    /// T of the pixels, [`Projection`], at the amounts `around`, (count, count, LANES).
    taken: Vec<f32>,
    /// Room for what forms project.
    projected: Vec<f32>,
}

/// The largest number of endmembers whose draws have primes of their own.
const PRIMES: [u32; 32] = [
    2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97,
    101, 103, 107, 109, 113, 127, 131,
];

/// Step from one point to the next of amount number `i`, as a share of 2^32: Richtmyer's points are
/// multiples of square roots of primes (Genz 1992 for normals).
pub(super) fn step(i: usize) -> u32 {
    let root = (f64::from(PRIMES[i % PRIMES.len()]) + (i / PRIMES.len()) as f64).sqrt();
    (root.fract() * 4_294_967_296.0) as u32
}

/// Random shifts of the points of a pixel's amounts, which depend on its spectrum only: not on its
/// number, nor on the pixels beside it. `key` is the seed's.
pub(super) fn shifts(spectrum: &[f32], key: [u32; 2]) -> impl Iterator<Item = u32> {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for &y in spectrum {
        hash = (hash ^ u64::from(y.to_bits())).wrapping_mul(0x0000_0100_0000_01b3);
        hash ^= hash >> 29;
    }
    let (low, high) = (hash as u32, (hash >> 32) as u32);
    (0u32..).flat_map(move |block| rng::philox([low, high, block, Stream::Nested as u32], key))
}

impl<'a> Group<'a> {
    pub(super) fn new(known: &'a Known) -> Self {
        let (k, bands) = (known.k, known.bands);
        let zeros = |count: usize| vec![0.0; count * LANES];
        Group {
            known,
            arch: Arch::new(),
            rows: 0,
            y: zeros(bands),
            precision: zeros(bands),
            around: zeros(k),
            order: vec![[0; LANES]; k],
            sorted: zeros(k),
            powers: zeros(k),
            common: zeros(k),
            log_odds: None,
            bases: vec![[0; LANES]; k],
            shifts: vec![[0; LANES]; known.free()],
            steps: (0..known.free()).map(step).collect(),
            weighted: zeros(bands),
            squares: zeros(k),
            linear: zeros(k),
            square: zeros(k * k),
            linear_sorted: zeros(k),
            square_sorted: zeros(k * k),
            room: zeros(Amounts::room(k, known.free())),
            taken: zeros(known.shapes.count().pow(2)),
            projected: zeros(Projection::room(k, known.shapes.count())),
        }
    }

    /// Takes some pixels, one to [`LANES`], and finds where their amounts lie given spectra (L, K).
    pub(super) fn take(&mut self, cube: &Cube, pixels: &[usize], key: [u32; 2], spectra: &[f32]) {
        self.rows = pixels.len();
        for lane in 0..LANES {
            // Lanes without a pixel do what the last one does.
            let spectrum = cube.spectrum(pixels[lane.min(self.rows - 1)]);
            for (l, &y) in spectrum.iter().enumerate() {
                self.y[l * LANES + lane] = y;
            }
            for (to, word) in self.shifts.iter_mut().zip(shifts(spectrum, key)) {
                to[lane] = word;
            }
        }
        self.find(spectra);
        self.sort();
    }

    /// Amounts that fit best, and the variance at them.
    fn find(&mut self, spectra: &[f32]) {
        let known = self.known;
        for (around, &mean) in self.around.chunks_exact_mut(LANES).zip(&known.mean) {
            around.fill(mean);
        }
        self.weigh();
        // The first amounts are found as if bands shared nothing: no shape varies without them.
        self.taken.fill(0.0);
        for _ in 0..ROUNDS {
            self.forms(spectra);
            let (k, sum_is_one) = (known.k, known.brightness.is_none());
            let (linear, square) = (&self.linear, &self.square);
            let around = &mut self.around;
            self.arch.dispatch(Descend { k, sum_is_one, linear, square, around });
            if !known.variability.is_empty() {
                self.weigh();
            }
            self.share();
        }
    }

    /// Has amounts, (K, LANES), and the covariance at them, whatever pixels were taken.
    pub(super) fn place(&mut self, amounts: &[f32]) {
        self.around.copy_from_slice(amounts);
        self.weigh();
        self.share();
    }

    /// Precision of each band at the abundances that the amounts stand for: equation 7.
    fn weigh(&mut self) {
        let Known { k, variability, noise, weight, .. } = self.known;
        let (around, precision, squares) = (&self.around, &mut self.precision, &mut self.squares);
        let (k, weight) = (*k, *weight);
        let weigh = Weigh { k, variability, noise, weight, around, squares, precision };
        self.arch.dispatch(weigh);
    }

    /// What bands share at the amounts.
    fn share(&mut self) {
        if self.known.shapes.count() > 0 {
            self.arch.dispatch(Share {
                shapes: &self.known.shapes,
                precision: &self.precision,
                around: &self.around,
                taken: &mut self.taken,
            });
        }
    }

    /// What the pixels' forms take out for what bands share.
    pub(super) fn projection(&self) -> Projection<'_> {
        let shapes = &self.known.shapes;
        Projection { count: shapes.count(), columns: &shapes.columns, taken: &self.taken }
    }

    /// Log likelihood of the pixel of a lane at the amounts `around`, of which forms and draws
    /// leave it out: with equation 38 it is that of a normal with the inverse covariance P - F F'.
    /// The forms must have been computed at these amounts, as [`Group::draw`] leaves them.
    pub(super) fn likelihood(&self, lane: usize) -> f64 {
        let (known, by) = (self.known, self.projection());
        let at = |from: &[f32], column: usize| f64::from(from[column * LANES + lane]);
        let weight = f64::from(known.weight);
        let mut log = 0.0;
        let mut sums = vec![0.0; by.count];
        for l in 0..known.bands {
            let (p, rest) = (at(&self.precision, l), at(&self.weighted, l));
            let variance = weight / p;
            log -= 0.5 * (weight * (std::f64::consts::TAU * variance).ln() + rest * rest / p);
            for (sum, &d) in sums.iter_mut().zip(&by.columns[l * by.count..]) {
                *sum += f64::from(d) * rest;
            }
        }
        for (a, &i) in known.shapes.of.iter().enumerate() {
            let u = if i < known.k { at(&self.around, i) } else { 1.0 };
            let row = |b: usize| at(by.taken, a * by.count + b);
            let explained: f64 = (0..=a).map(|b| row(b) * sums[b]).sum();
            log += 0.5 * explained * explained;
            // T is R^-1 times the amounts; a shape without its endmember adds nothing.
            if u > 0.0 && row(a) > 0.0 {
                log -= (u / row(a)).ln();
            }
        }
        log
    }

    /// Forms of the log likelihood given spectra (L, K), around the amounts.
    pub(super) fn forms(&mut self, spectra: &[f32]) {
        self.fill(spectra, true);
    }

    /// Computes the slope, and the curvature where that is asked for.
    fn fill(&mut self, spectra: &[f32], curved: bool) {
        let shapes = &self.known.shapes;
        let (count, columns) = (shapes.count(), &shapes.columns);
        self.arch.dispatch(Forms {
            shared: Projection { count, columns, taken: &self.taken },
            room: &mut self.projected,
            k: self.known.k,
            spectra,
            y: &self.y,
            precision: &self.precision,
            around: &self.around,
            weighted: &mut self.weighted,
            linear: &mut self.linear,
            square: curved.then_some(&mut self.square[..]),
        });
    }

    fn sort(&mut self) {
        let k = self.known.k;
        let mut places: Vec<usize> = (0..k).collect();
        for lane in 0..LANES {
            places.sort_by(|&i, &j| {
                let at = |i: usize| self.around[i * LANES + lane];
                at(i).total_cmp(&at(j)).then(i.cmp(&j))
            });
            for (a, &i) in places.iter().enumerate() {
                self.order[a][lane] = i as u16;
                self.sorted[a * LANES + lane] = self.around[i * LANES + lane];
                self.powers[a * LANES + lane] = self.known.dirichlet[i];
                self.bases[a][lane] = base(i);
            }
        }
        if let Some(common) = &self.known.common {
            self.mix(common);
        }
    }

    /// Has the common mixture add this to the prior of the amounts, until other pixels are taken.
    pub(super) fn mix(&mut self, common: &Shift) {
        for (to, order) in self.common.chunks_exact_mut(LANES).zip(&self.order) {
            for (to, &i) in to.iter_mut().zip(order) {
                *to = common.more[usize::from(i)];
            }
        }
        self.log_odds = Some(common.log_odds);
    }

    /// Draws number `first` to `first + count` of the amounts given spectra (L, K): amounts in the
    /// pixel's own order, (count, K, LANES), and logarithms of their weights, (count, LANES); minus
    /// infinity where a draw is none, whose amounts are then those that fit best.
    pub(super) fn draw(
        &mut self,
        spectra: &[f32],
        first: u32,
        amounts: &mut [f32],
        logs: &mut [f32],
    ) {
        self.bend(spectra);
        self.amounts(first, amounts, logs);
    }

    /// As [`Group::draw`], with the curvature that [`Group::bend`] has found.
    pub(super) fn draw_along(
        &mut self,
        spectra: &[f32],
        first: u32,
        amounts: &mut [f32],
        logs: &mut [f32],
    ) {
        self.fill(spectra, false);
        self.amounts(first, amounts, logs);
    }

    /// Finds the curvature given spectra (L, K).
    pub(super) fn bend(&mut self, spectra: &[f32]) {
        self.forms(spectra);
        let k = self.known.k;
        for lane in 0..LANES {
            for a in 0..k {
                let i = usize::from(self.order[a][lane]);
                for b in 0..k {
                    let j = usize::from(self.order[b][lane]);
                    self.square_sorted[(a * k + b) * LANES + lane] =
                        self.square[(i * k + j) * LANES + lane];
                }
            }
        }
    }

    /// Draws of the amounts by the forms that were found.
    fn amounts(&mut self, first: u32, amounts: &mut [f32], logs: &mut [f32]) {
        for (to, order) in self.linear_sorted.chunks_exact_mut(LANES).zip(&self.order) {
            for (lane, (to, &i)) in to.iter_mut().zip(order).enumerate() {
                *to = self.linear[usize::from(i) * LANES + lane];
            }
        }
        self.arch.dispatch(Amounts {
            known: self.known,
            linear: &self.linear_sorted,
            square: &self.square_sorted,
            around: &self.sorted,
            powers: &self.powers,
            common: &self.common,
            log_odds: self.log_odds,
            bases: &self.bases,
            shifts: &self.shifts,
            steps: &self.steps,
            first,
            room: &mut self.room,
            amounts,
            logs,
        });
    }
}

/// The precision of each band.
struct Weigh<'a> {
    k: usize,
    variability: &'a [f32],
    noise: &'a [f32],
    weight: f32,
    around: &'a [f32],
    /// Room for the squares of the abundances, (K, LANES).
    squares: &'a mut [f32],
    precision: &'a mut [f32],
}

impl WithSimd for Weigh<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let mut total = [f32::MIN_POSITIVE; LANES];
        for u in self.around.chunks_exact(LANES) {
            for i in 0..LANES {
                total[i] += u[i];
            }
        }
        // Once for all bands: a division takes as long as a dozen products.
        for (square, u) in self.squares.chunks_exact_mut(LANES).zip(self.around.chunks_exact(LANES))
        {
            for i in 0..LANES {
                let w = u[i] / total[i];
                square[i] = w * w;
            }
        }
        for (l, precision) in self.precision.chunks_exact_mut(LANES).enumerate() {
            let mut variance = [self.noise[l]; LANES];
            if let Some(of_band) = self.variability.get(l * self.k..(l + 1) * self.k) {
                for (square, &v) in self.squares.chunks_exact(LANES).zip(of_band) {
                    for i in 0..LANES {
                        variance[i] += square[i] * v;
                    }
                }
            }
            for i in 0..LANES {
                precision[i] = self.weight / variance[i];
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::model::Model;
    use crate::posterior::nested::known::tests::flat;

    /// More endmembers than a byte counts.
    #[test]
    fn each_of_many_endmembers_has_its_place() {
        let k = 300;
        let known = Known::of(&flat(&Model::new(k), 8, 2));
        let mut cube = Cube::zeros(3, 2);
        (0..3).for_each(|n| cube.spectrum_mut(n).fill(0.1 * (n + 1) as f32));
        let spectra: Vec<f32> = (0..2 * k).map(|i| 0.1 + (i % 7) as f32 / 10.0).collect();
        let mut group = Group::new(&known);
        group.take(&cube, &[0, 1, 2], [1, 2], &spectra);
        for lane in 0..LANES {
            let mut seen: Vec<u16> = group.order.iter().map(|order| order[lane]).collect();
            seen.sort_unstable();
            assert!(seen.into_iter().eq(0..k as u16), "lane {lane}");
        }
    }
}
