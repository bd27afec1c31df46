//! The posterior of each pixel: moments, quantiles and draws of its abundances.

use pulp::{Arch, Simd, WithSimd};

use super::group::Group;
use super::known::Known;
use super::marginal::Marginal;
use super::mixture::Shift;
use super::vector::{V, weigh};
use crate::convention::trace;
use crate::engine::ground::lanes::{LANES, Lanes};
use crate::engine::pixels::Cube;

/// Draws of the scene, given each of which the pixels are drawn.
pub const SCENES: usize = 32;
/// Draws of a pixel given each draw of the scene, in one round.
pub const PER_SCENE: usize = 16;
/// Draws of a pixel in one round.
pub(super) const ROUND: usize = SCENES * PER_SCENE;
/// Rounds for a pixel whose draws are worth too few.
pub(super) const MOST_ROUNDS: usize = 6;
/// Draws that all of a pixel's weighted draws must be worth, lest it gets another round.
pub const WORTH: f32 = 100.0;

/// What the posterior says of some pixels, rows of K.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Summary {
    pub(crate) mean: Vec<f32>,
    pub(crate) sd: Vec<f32>,
    /// 5 %, 50 % and 95 % quantiles.
    pub(crate) quantiles: [Vec<f32>; 3],
    /// Mean brightness, a value a pixel.
    pub(crate) brightness: Vec<f32>,
    /// How many independent draws the weighted ones are worth, a value a pixel.
    pub(crate) worth: Vec<f32>,
}

impl Summary {
    /// So many pixels of which nothing is known yet.
    pub(super) fn zeros(pixels: usize, k: usize) -> Self {
        let rows = || vec![0.0; pixels * k];
        Summary {
            mean: rows(),
            sd: rows(),
            quantiles: [rows(), rows(), rows()],
            brightness: vec![0.0; pixels],
            worth: vec![0.0; pixels],
        }
    }

    /// Takes what is known of a pixel: mean, sd and three quantiles, (5, K), brightness and worth,
    /// which it gives.
    #[cfg(feature = "gpu")]
    pub(super) fn take(&mut self, pixel: usize, answer: &[f32]) -> f32 {
        let k = (answer.len() - 2) / 5;
        let [q05, q50, q95] = &mut self.quantiles;
        let tables = [&mut self.mean, &mut self.sd, q05, q50, q95];
        for (to, values) in tables.into_iter().zip(answer.chunks_exact(k)) {
            to[pixel * k..(pixel + 1) * k].copy_from_slice(values);
        }
        self.brightness[pixel] = answer[5 * k];
        self.worth[pixel] = answer[5 * k + 1];
        self.worth[pixel]
    }
}

/// Weighted draws of one pixel.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Drawn {
    /// Abundances, a row of K a draw, each with sum 1.
    pub shares: Vec<Vec<f32>>,
    /// A weight for each draw; their sum is 1.
    pub weights: Vec<f64>,
}

/// Draws of the scene as the pixels need them.
#[derive(Debug)]
pub struct Scenes {
    /// The spectra that pixels are first placed by, (L, K).
    pub(super) centre: Vec<f32>,
    /// Spectra of each draw, reflectance, (L, K).
    pub(super) spectra: Vec<Vec<f32>>,
    /// What they are divided by in the convention, (K) each.
    pub(super) heights: Vec<Vec<f32>>,
    /// What the common mixture adds to the prior of the amounts given each draw; none without one.
    pub(super) common: Vec<Shift>,
    /// Whether the curvature given the spectra that pixels are placed by serves for all draws.
    pub(super) alike: bool,
}

/// Draws of a group of pixels, and room for what is made of them.
pub(super) struct Draws<'a> {
    group: Group<'a>,
    scenes: &'a Scenes,
    key: [u32; 2],
    /// Amounts, then shares, in each pixel's own order: (rounds, scenes, draws, K, LANES).
    shares: Vec<f32>,
    /// Brightness of each draw, (draws, LANES).
    bright: Vec<f32>,
    /// Logarithms of the weights, (draws, LANES).
    logs: Vec<f32>,
    /// The weights, (draws, LANES).
    weights: Vec<f32>,
}

impl<'a> Draws<'a> {
    pub(super) fn new(known: &'a Known, scenes: &'a Scenes, key: [u32; 2]) -> Self {
        let group = Group::new(known);
        Draws {
            group,
            scenes,
            key,
            shares: Vec::new(),
            bright: Vec::new(),
            logs: Vec::new(),
            weights: Vec::new(),
        }
    }

    /// One more round of draws of the group.
    fn round(&mut self) {
        let k = self.group.known.k;
        let begin = self.logs.len() / LANES;
        if self.scenes.alike && begin == 0 {
            self.group.bend(&self.scenes.centre);
        }
        self.shares.resize((begin + ROUND) * k * LANES, 0.0);
        self.bright.resize((begin + ROUND) * LANES, 0.0);
        self.logs.resize((begin + ROUND) * LANES, 0.0);
        self.weights.resize((begin + ROUND) * LANES, 0.0);
        let mut heights = vec![0.0; k * LANES];
        for (s, spectra) in self.scenes.spectra.iter().enumerate() {
            if let Some(common) = self.scenes.common.get(s) {
                self.group.mix(common);
            }
            let first = begin + s * PER_SCENE;
            let draws = first * LANES..(first + PER_SCENE) * LANES;
            let shares = &mut self.shares[draws.start * k..draws.end * k];
            let logs = &mut self.logs[draws.clone()];
            match self.scenes.alike {
                true => self.group.draw_along(spectra, first as u32, shares, logs),
                false => self.group.draw(spectra, first as u32, shares, logs),
            }
            for (heights, order) in heights.chunks_exact_mut(LANES).zip(&self.group.order) {
                for (h, &i) in heights.iter_mut().zip(order) {
                    *h = self.scenes.heights[s][usize::from(i)];
                }
            }
            let bright = &mut self.bright[draws];
            Arch::new().dispatch(Shares { k, heights: &heights, shares, bright });
        }
        let (logs, weights) = (&self.logs, &mut self.weights);
        Arch::new().dispatch(Weights { logs, weights });
    }

    fn worth(&self) -> Lanes<f32> {
        let mut square = [0.0f32; LANES];
        for weights in self.weights.chunks_exact(LANES) {
            for i in 0..LANES {
                square[i] += weights[i] * weights[i];
            }
        }
        square.map(|square| 1.0 / square)
    }

    fn begin(&mut self, cube: &Cube, pixels: &[usize]) {
        self.group.take(cube, pixels, self.key, &self.scenes.centre);
        self.shares.clear();
        self.bright.clear();
        self.logs.clear();
        self.weights.clear();
    }

    /// What the posterior says of some pixels, one to [`LANES`], from at most `rounds` of draws;
    /// `first` is the pixel of the first row of `to`. A pixel is done with the round that suffices
    /// it, whatever its neighbours need.
    pub(super) fn summary(
        &mut self,
        cube: &Cube,
        pixels: &[usize],
        rounds: usize,
        (first, to): (usize, &mut Summary),
    ) {
        self.begin(cube, pixels);
        let mut done = [false; LANES];
        for round in 1..=rounds {
            self.round();
            let worth = self.worth();
            let ends: Lanes<bool> = std::array::from_fn(|i| {
                !done[i] && i < pixels.len() && (worth[i] >= WORTH || round == rounds)
            });
            if ends.iter().any(|&ends| ends) {
                self.write(&ends, |lane| pixels[lane] - first, &worth, to);
            }
            done.iter_mut().zip(ends).for_each(|(done, ends)| *done |= ends);
            if done[..pixels.len()].iter().all(|&done| done) {
                break;
            }
        }
    }

    /// The amounts of some pixels that fit best, one to [`LANES`], without their uncertainty.
    pub(super) fn placed(&mut self, cube: &Cube, pixels: &[usize], to: &mut Summary) {
        self.begin(cube, pixels);
        let (k, heights) = (self.group.known.k, &self.scenes.heights[0]);
        for lane in 0..self.group.rows {
            let amounts = self.group.around.iter().skip(lane).step_by(LANES);
            let amounts: Vec<f32> = amounts.zip(heights).map(|(u, h)| u * h).collect();
            let total: f32 = amounts.iter().sum();
            to.mean.extend(amounts.iter().map(|u| u / total));
            to.sd.extend(std::iter::repeat_n(f32::NAN, k));
            to.quantiles.iter_mut().for_each(|q| q.extend(std::iter::repeat_n(f32::NAN, k)));
            to.brightness.push(total);
            to.worth.push(0.0);
        }
    }

    /// Writes what is known of the lanes that are done to their rows.
    fn write(
        &self,
        ends: &Lanes<bool>,
        row: impl Fn(usize) -> usize,
        worth: &Lanes<f32>,
        to: &mut Summary,
    ) {
        let k = self.group.known.k;
        let mut bright = [0.0; LANES];
        for (b, w) in self.bright.chunks_exact(LANES).zip(self.weights.chunks_exact(LANES)) {
            for i in 0..LANES {
                bright[i] += w[i] * b[i];
            }
        }
        for (a, order) in self.group.order.iter().enumerate() {
            let mut found = [[0.0; LANES]; 5];
            let (shares, weights) = (&self.shares, &self.weights);
            Arch::new().dispatch(Marginal { k, a, shares, weights, found: &mut found });
            for lane in (0..LANES).filter(|&lane| ends[lane]) {
                let at = row(lane) * k + usize::from(order[lane]);
                to.mean[at] = found[0][lane];
                to.sd[at] = found[1][lane];
                for (q, found) in to.quantiles.iter_mut().zip(&found[2..]) {
                    q[at] = found[lane];
                }
            }
        }
        for lane in (0..LANES).filter(|&lane| ends[lane]) {
            to.brightness[row(lane)] = bright[lane];
            to.worth[row(lane)] = worth[lane];
        }
    }

    /// Weighted draws of some pixels, one to [`LANES`].
    pub(super) fn drawn(&mut self, cube: &Cube, pixels: &[usize]) -> Vec<Drawn> {
        self.begin(cube, pixels);
        self.round();
        let k = self.group.known.k;
        let of_lane = |lane: usize| {
            let mut drawn = Drawn::default();
            for (shares, weights) in
                self.shares.chunks_exact(k * LANES).zip(self.weights.chunks_exact(LANES))
            {
                let mut row = vec![0.0; k];
                for (a, order) in self.group.order.iter().enumerate() {
                    row[usize::from(order[lane])] = shares[a * LANES + lane];
                }
                drawn.shares.push(row);
                drawn.weights.push(f64::from(weights[lane]));
            }
            drawn
        };
        (0..self.group.rows).map(of_lane).collect()
    }

    /// Equal draws of some pixels, one to [`LANES`], one given each draw of the scene: a row of K
    /// each, the rows of a pixel side by side.
    pub(super) fn equal(&mut self, cube: &Cube, pixels: &[usize]) -> Vec<Vec<f32>> {
        let drawn = self.drawn(cube, pixels);
        let of_pixel = |(lane, drawn): (usize, &Drawn)| {
            let mut rows = Vec::with_capacity(self.scenes.spectra.len() * self.group.known.k);
            let begin = self.group.shifts.last().map_or(0, |shifts| shifts[lane]);
            for scene in 0..self.scenes.spectra.len() {
                let draws = scene * PER_SCENE..(scene + 1) * PER_SCENE;
                let total: f64 = drawn.weights[draws.clone()].iter().sum();
                // Golden steps from a random place: as even over the scenes as can be.
                let place = begin.wrapping_add((scene as u32).wrapping_mul(0x9e37_79b9));
                let mut left = total * f64::from(place) / 4_294_967_296.0;
                let mut at = draws.start;
                while at + 1 < draws.end && left > drawn.weights[at] {
                    left -= drawn.weights[at];
                    at += 1;
                }
                rows.extend(&drawn.shares[at]);
            }
            rows
        };
        drawn.iter().enumerate().map(of_pixel).collect()
    }
}

/// Makes shares without traces, and brightness, of amounts.
struct Shares<'a> {
    k: usize,
    /// What the spectra are divided by, (K, LANES).
    heights: &'a [f32],
    /// Amounts of each draw, then shares, (draws, K, LANES).
    shares: &'a mut [f32],
    bright: &'a mut [f32],
}

impl WithSimd for Shares<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        // A pixel without any amount has no share of anything.
        let (zero, some) = (V::splat(simd, 0.0), V::splat(simd, f32::MIN_POSITIVE));
        let rows = self.shares.chunks_exact_mut(self.k * LANES);
        for (u, bright) in rows.zip(self.bright.chunks_exact_mut(LANES)) {
            for part in (0..LANES).step_by(S::F32_LANES) {
                let mut total = some;
                for at in (part..self.k * LANES).step_by(LANES) {
                    let amount = V::load(simd, u, at) * V::load(simd, self.heights, at);
                    amount.store(u, at);
                    total = total + amount;
                }
                total.store(bright, part);
                let (least, mut kept) = (total * V::splat(simd, trace(self.k)), some);
                for at in (part..self.k * LANES).step_by(LANES) {
                    let amount = V::load(simd, u, at);
                    let amount = amount.less(least).select(zero, amount);
                    amount.store(u, at);
                    kept = kept + amount;
                }
                for at in (part..self.k * LANES).step_by(LANES) {
                    (V::load(simd, u, at) / kept).store(u, at);
                }
            }
        }
    }
}

/// Makes weights of their logarithms: those of each draw of the scene have the same sum, as the
/// scene's posterior has seen the pixel.
struct Weights<'a> {
    logs: &'a [f32],
    weights: &'a mut [f32],
}

impl WithSimd for Weights<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let rounds = self.logs.len() / (ROUND * LANES);
        self.weights.copy_from_slice(self.logs);
        for s in 0..SCENES {
            for part in (0..LANES).step_by(S::F32_LANES) {
                let rows = (0..rounds).flat_map(|round| {
                    let first = round * ROUND + s * PER_SCENE;
                    (first..first + PER_SCENE).map(|row| row * LANES + part)
                });
                weigh(simd, self.weights, rows, 1.0 / SCENES as f32);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_of_what_is_there() {
        // Amounts of three endmembers, a pixel a lane: nothing, one alone, a trace, a mixture.
        let pixels = [[0.0, 0.0, 0.0], [0.0, 0.7, 0.0], [1e-5, 0.5, 1e-7], [0.1, 0.2, 0.1]];
        let mut shares = vec![0.0; 3 * LANES];
        for (lane, amounts) in pixels.iter().enumerate() {
            amounts.iter().enumerate().for_each(|(k, &u)| shares[k * LANES + lane] = u);
        }
        let (heights, mut bright) = (vec![0.5; 3 * LANES], vec![0.0; LANES]);
        Arch::new().dispatch(Shares {
            k: 3,
            heights: &heights,
            shares: &mut shares,
            bright: &mut bright,
        });
        let of = |lane: usize| [0, 1, 2].map(|k| shares[k * LANES + lane]);
        assert_eq!([0, 1, 2].map(of), [[0.0; 3], [0.0, 1.0, 0.0], [0.0, 1.0, 0.0]]);
        let mixed = of(3);
        assert!((mixed[0] - 0.25).abs() < 1e-6 && (mixed[1] - 0.5).abs() < 1e-6, "{mixed:?}");
        // Brightness is of all that is there.
        assert!((bright[1] - 0.35).abs() < 1e-6 && (bright[3] - 0.2).abs() < 1e-6);
    }
}
