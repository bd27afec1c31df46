//! Sixteen pixels side by side: where their amounts lie, and draws of them given a scene.

use pulp::{Arch, Simd, WithSimd};

use super::amounts::Amounts;
use super::forms::Forms;
use super::known::Known;
use super::power_normal::base;
use super::shared::{Projection, Share};
use crate::engine::ground::lanes::{LANES, Lanes};
use crate::engine::ground::rng::{self, Stream};
use crate::engine::pixels::Cube;

/// How often the variance is computed anew at the amounts that it gave.
pub(super) const ROUNDS: usize = 3;
/// Sweeps over the amounts for one variance: with spectra of nearly one shape amounts then lie
/// within a hundredth of those that fit best, and what they leave within 2 % of the noise.
pub(super) const SWEEPS: usize = 12;

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
    /// What the common mixture adds to them, (K, LANES).
    common: Vec<f32>,
    /// Where the tables of each begin, (K).
    bases: Vec<Lanes<u32>>,
    /// Random shifts of the points that amounts are drawn at, (free).
    pub(super) shifts: Vec<Lanes<u32>>,
    /// Steps from one point to the next, (free).
    steps: Vec<u32>,
    weighted: Vec<f32>,
    linear: Vec<f32>,
    square: Vec<f32>,
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
            bases: vec![[0; LANES]; k],
            shifts: vec![[0; LANES]; known.free()],
            steps: (0..known.free()).map(step).collect(),
            weighted: zeros(bands),
            linear: zeros(k),
            square: zeros(k * k),
            linear_sorted: zeros(k),
            square_sorted: zeros(k * k),
            room: zeros(Amounts::room(known.free())),
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

    /// Precision of each band at the abundances that the amounts stand for: equation 7.
    fn weigh(&mut self) {
        let Known { k, variability, noise, weight, .. } = self.known;
        let (around, precision) = (&self.around, &mut self.precision);
        self.arch.dispatch(Weigh { k: *k, variability, noise, weight: *weight, around, precision });
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

    fn forms(&mut self, spectra: &[f32]) {
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
            square: &mut self.square,
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
                if let Some((more, _)) = &self.known.common {
                    self.common[a * LANES + lane] = more[i];
                }
            }
        }
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
        self.forms(spectra);
        let k = self.known.k;
        for lane in 0..LANES {
            for a in 0..k {
                let i = usize::from(self.order[a][lane]);
                self.linear_sorted[a * LANES + lane] = self.linear[i * LANES + lane];
                for b in 0..k {
                    let j = usize::from(self.order[b][lane]);
                    self.square_sorted[(a * k + b) * LANES + lane] =
                        self.square[(i * k + j) * LANES + lane];
                }
            }
        }
        self.arch.dispatch(Amounts {
            known: self.known,
            linear: &self.linear_sorted,
            square: &self.square_sorted,
            around: &self.sorted,
            powers: &self.powers,
            common: &self.common,
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
        for (l, precision) in self.precision.chunks_exact_mut(LANES).enumerate() {
            let mut variance = [self.noise[l]; LANES];
            if let Some(of_band) = self.variability.get(l * self.k..(l + 1) * self.k) {
                for (u, &v) in self.around.chunks_exact(LANES).zip(of_band) {
                    for i in 0..LANES {
                        let w = u[i] / total[i];
                        variance[i] += w * w * v;
                    }
                }
            }
            for i in 0..LANES {
                precision[i] = self.weight / variance[i];
            }
        }
    }
}

/// Finds the amounts of the highest likelihood that are not negative: one after the other in turn,
/// unless they have sum 1, and then each two in turn, of which one takes what the other gives.
/// Where two spectra are nearly one shape, one amount after the other gets nowhere.
struct Descend<'a> {
    k: usize,
    sum_is_one: bool,
    linear: &'a [f32],
    square: &'a [f32],
    /// The amounts that the forms are written around, with sum 1 if that is asked; then those that
    /// were found.
    around: &'a mut [f32],
}

impl WithSimd for Descend<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Descend { k, sum_is_one, linear, square, around } = self;
        // The slope at the amounts; it follows them.
        let mut slope = linear.to_vec();
        let at = |i: usize, j: usize, lane: usize| square[(i * k + j) * LANES + lane];
        for _ in 0..SWEEPS {
            for i in (0..k).filter(|_| !sum_is_one) {
                let mut step = [0.0f32; LANES];
                for lane in 0..LANES {
                    let u = around[i * LANES + lane];
                    let bend = at(i, i, lane).max(f32::MIN_POSITIVE);
                    let to = (u + slope[i * LANES + lane] / bend).max(0.0);
                    step[lane] = to - u;
                    around[i * LANES + lane] = to;
                }
                for m in 0..k {
                    for lane in 0..LANES {
                        slope[m * LANES + lane] -= at(m, i, lane) * step[lane];
                    }
                }
            }
            for (i, j) in (0..k).flat_map(|i| (0..i).map(move |j| (i, j))) {
                let mut step = [0.0f32; LANES];
                for lane in 0..LANES {
                    let (u, v) = (around[i * LANES + lane], around[j * LANES + lane]);
                    let bend = at(i, i, lane) + at(j, j, lane) - 2.0 * at(i, j, lane);
                    let rise = slope[i * LANES + lane] - slope[j * LANES + lane];
                    step[lane] = (rise / bend.max(f32::MIN_POSITIVE)).max(-u).min(v);
                    around[i * LANES + lane] = u + step[lane];
                    around[j * LANES + lane] = v - step[lane];
                }
                for m in 0..k {
                    for lane in 0..LANES {
                        let bend = at(m, i, lane) - at(m, j, lane);
                        slope[m * LANES + lane] -= bend * step[lane];
                    }
                }
            }
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::model::Model;
    use crate::posterior::nested::known::tests::flat;

    /// The amounts that three descents from even ones end at, and in units of the log likelihood how
    /// much more the best ones have, which are found one set of positive amounts after the other.
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
        for _ in 0..ROUNDS {
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
