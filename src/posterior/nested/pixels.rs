//! The posterior of one pixel given the scene, by weighted draws.

use crate::engine::ground::math::{ln_gamma, softplus};
use crate::engine::ground::rng::{self, Stream};
use crate::engine::guide::Guide;
use crate::engine::layout::{BRIGHTNESS, COMMON, CONCENTRATION, Params, VARIABILITY};
use crate::engine::pixels::Cube;

use super::power_normal::PowerNormal;

/// Precision that the proposal has beside the likelihood's, around the guide: it holds amounts that
/// no band tells apart near 1. Weights take it out again.
const RIDGE: f64 = 1.0;

/// The scene as the posterior of a pixel needs it, and the pixels.
#[derive(Debug)]
pub(super) struct Pixels<'a> {
    pub(super) params: &'a Params,
    pub(super) guide: &'a Guide,
    pub(super) cube: &'a Cube,
    /// Noise variance of each band, (L).
    noise: Vec<f64>,
    /// Variance of each endmember between pixels, rows of L; none without variability.
    variability: Vec<Vec<f64>>,
    /// Parameters of the abundances' Dirichlet, a of equation 10, (K).
    dirichlet: Vec<f64>,
    /// Those of the common mixture, (K), and the log odds of having it, apart from the abundances.
    common: Option<(Vec<f64>, f64)>,
    /// Tables for the power of each endmember's amount, (K).
    tables: Vec<PowerNormal>,
}

/// Weighted draws of one pixel's amounts u = e^g W.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Drawn {
    /// A row for each draw: the amount of each endmember, 0 or more, (K).
    pub amounts: Vec<f64>,
    /// A weight for each draw; their sum is 1.
    pub weights: Vec<f64>,
}

impl<'a> Pixels<'a> {
    pub(super) fn new(guide: &'a Guide, cube: &'a Cube) -> Self {
        let (p, globals) = (&guide.params, &guide.globals);
        let (k, bands) = (p.k(), p.bands as usize);
        let at = |j: usize| f64::from(globals[j]);
        let variance = |j: usize| (2.0 * at(j)).exp();
        let mut pi: Vec<f64> = (0..k - 1).map(|i| at(p.mean_at() + i)).collect();
        pi.push(0.0);
        softmax(&mut pi);
        let concentration = match p.has(CONCENTRATION) {
            true => at(p.concentration_at()).exp(),
            false => f64::from(p.concentration),
        };
        let dirichlet: Vec<f64> = pi.iter().map(|pi| concentration * pi).collect();
        let common = p.has(COMMON).then(|| {
            let from = p.common_at();
            let mut mixture: Vec<f64> = (0..k - 1).map(|i| at(from + i)).collect();
            mixture.push(0.0);
            softmax(&mut mixture);
            let beta = at(from + k - 1).exp();
            let b: Vec<f64> = mixture.iter().map(|m| beta * m).collect();
            let normaliser = |a: &[f64]| {
                ln_gamma(a.iter().sum::<f64>()) - a.iter().map(|&a| ln_gamma(a)).sum::<f64>()
            };
            let odds = normaliser(&b) - normaliser(&dirichlet) + at(from + k);
            (b, odds)
        });
        let noise = |l: usize| variance(p.noise_at() + if p.noises == 1 { 0 } else { l });
        let own = |k: usize, l: usize| variance(p.variability_at() + k * p.stride() + l);
        Pixels {
            params: p,
            guide,
            cube,
            noise: (0..bands).map(|l| f64::from(p.noise_floor) + noise(l)).collect(),
            variability: match p.has(VARIABILITY) {
                true => (0..k).map(|k| (0..bands).map(|l| own(k, l)).collect()).collect(),
                false => Vec::new(),
            },
            tables: dirichlet.iter().map(|&a| PowerNormal::new(a)).collect(),
            dirichlet,
            common,
        }
    }

    /// By how much the log density of the shares of these amounts is more than that of the
    /// Dirichlet alone, up to a constant, where pixels may have a common mixture.
    fn common_odds(&self, u: &[f64], total: f64) -> f64 {
        let Some((b, odds)) = &self.common else { return 0.0 };
        let k = u.len();
        // Without brightness the last of the amounts is what is left of 1.
        let total = if self.params.has(BRIGHTNESS) { total } else { 1.0 };
        let more =
            (0..k).map(|i| (b[i] - self.dirichlet[i]) * (u[i] / total).max(f64::MIN_POSITIVE).ln());
        softplus(odds + more.sum::<f64>())
    }

    /// Amounts at the guide's locs, (K).
    pub(super) fn expected(&self, pixel: usize) -> Vec<f64> {
        let (p, k) = (self.params, self.params.k());
        let guide = self.guide.pixel(pixel);
        let mut w: Vec<f64> = guide[..k - 1].iter().map(|&z| f64::from(z)).collect();
        w.push(0.0);
        softmax(&mut w);
        let bright = if p.has(BRIGHTNESS) { f64::from(guide[k - 1]).exp() } else { 1.0 };
        w.iter_mut().for_each(|w| *w *= bright);
        w
    }

    /// Weight of the likelihood over the variance, (L): equation 7 at the guide's abundances. With
    /// it the likelihood is a quadratic form in the amounts, and a draw costs K^2, not K L.
    pub(super) fn precision(&self, expected: &[f64]) -> Vec<f64> {
        let total: f64 = expected.iter().sum();
        let squares: Vec<f64> = expected.iter().map(|u| (u / total).powi(2)).collect();
        let of_band = |(l, noise): (usize, &f64)| {
            let own: f64 = self.variability.iter().zip(&squares).map(|(v, w)| w * v[l]).sum();
            f64::from(self.params.weight) / (noise + own)
        };
        self.noise.iter().enumerate().map(of_band).collect()
    }

    /// Adds draws number `first` to `first + count` of a pixel whose log likelihood is `linear'u -
    /// u'square u / 2` (K, and rows of K); `expected` are the guide's amounts, (K). The weights of
    /// the added draws have sum 1.
    ///
    /// The likelihood times the densities of Dirichlet and brightness is a normal in u times a
    /// power of each amount. Amounts are drawn one after the other, the smallest first, each from
    /// its normal given those before, as if those after could be negative, times its power (the
    /// simulator of Geweke, Hajivassiliou and Keane, with powers); without brightness the last is 1
    /// minus the others. Weights are density over proposal.
    pub(super) fn draw(
        &self,
        pixel: usize,
        (first, count): (u32, u32),
        (linear, square): (&[f64], &[f64]),
        expected: &[f64],
        to: &mut Drawn,
    ) {
        let p = self.params;
        let k = p.k();
        let begin = to.weights.len();
        let mut order: Vec<usize> = (0..k).collect();
        order.sort_by(|&i, &j| expected[i].total_cmp(&expected[j]));
        let normal = Sequence::new(&order, p.has(BRIGHTNESS), linear, square, expected);
        let alpha: f64 = self.dirichlet.iter().sum();
        let mut u = vec![0.0; k];
        let mut off = vec![0.0; k];
        for draw in first..first + count {
            let mut log = f64::NEG_INFINITY;
            if let Some(normal) = &normal {
                log = 0.0;
                let (mut total, mut words) = (0.0, [0; 4]);
                for a in 0..normal.free {
                    if a % 4 == 0 {
                        let block = (a / 4) as u32;
                        let counter = [pixel as u32, block, draw, Stream::Nested as u32];
                        words = rng::philox(counter, p.key());
                    }
                    let i = order[a];
                    let (mean, sd) = normal.next(a, &off);
                    let probability = (f64::from(words[a % 4]) + 0.5) / 4_294_967_296.0;
                    let x = self.tables[i].draw(mean, sd, probability);
                    off[a] = x.value - normal.centre[a];
                    u[i] = x.value;
                    total += x.value;
                    log += self.dirichlet[i] * x.log - x.density;
                    log += 0.5 * RIDGE * (x.value - expected[i]).powi(2);
                }
                if p.has(BRIGHTNESS) {
                    let g = total.ln();
                    log -= alpha * g + 0.5 * self.guide.brightness_precision() * g * g;
                } else {
                    let i = order[k - 1];
                    u[i] = (1.0 - total).max(0.0);
                    // Powers of an amount that is not drawn: its density is over the amount itself.
                    log += (self.dirichlet[i] - 1.0) * u[i].ln();
                    log = if total < 1.0 { log } else { f64::NEG_INFINITY };
                }
                if log > f64::NEG_INFINITY {
                    log += self.common_odds(&u, total);
                }
                for (i, row) in square.chunks_exact(k).enumerate() {
                    let product: f64 = row.iter().zip(&u).map(|(g, u)| g * u).sum();
                    log += u[i] * (linear[i] - 0.5 * product);
                }
            }
            // Where no draw is possible the guide's own amounts stand.
            to.amounts.extend(if log == f64::NEG_INFINITY { expected } else { &u });
            to.weights.push(log);
        }
        let weights = &mut to.weights[begin..];
        let top = weights.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let weight = |log: f64| if top.is_finite() { (log - top).exp() } else { 1.0 };
        weights.iter_mut().for_each(|w| *w = weight(*w));
        let total: f64 = weights.iter().sum();
        weights.iter_mut().for_each(|w| *w /= total);
    }
}

/// A normal of precision P, one latent after the other: `P = U U'` with U upper triangular.
struct Sequence {
    /// Latents that are drawn: K with brightness, K - 1 without.
    free: usize,
    centre: Vec<f64>,
    /// Rows of `free` values.
    factor: Vec<f64>,
}

impl Sequence {
    /// None where the quadratic form is not finite.
    fn new(
        order: &[usize],
        brightness: bool,
        linear: &[f64],
        square: &[f64],
        expected: &[f64],
    ) -> Option<Self> {
        let k = order.len();
        let free = if brightness { k } else { k - 1 };
        let g = |i: usize, j: usize| square[i * k + j];
        // Without brightness the last amount is 1 minus the others: it goes from form and slope.
        let last = order[k - 1];
        let entry = |i: usize, j: usize| match brightness {
            true => g(i, j),
            false => g(i, j) - g(i, last) - g(last, j) + g(last, last),
        };
        let slope = |i: usize| match brightness {
            true => linear[i],
            false => linear[i] - linear[last] - g(i, last) + g(last, last),
        };
        let mut factor = vec![0.0; free * free];
        for a in (0..free).rev() {
            for b in (0..=a).rev() {
                let known: f64 =
                    (a + 1..free).map(|c| factor[a * free + c] * factor[b * free + c]).sum();
                let own = if a == b { RIDGE } else { 0.0 };
                let rest = entry(order[a], order[b]) + own - known;
                factor[b * free + a] = match a == b {
                    true if rest.is_finite() => rest.max(RIDGE).sqrt(),
                    true => return None,
                    false => rest / factor[a * free + a],
                };
            }
        }
        // U U' centre = slope.
        let mut centre: Vec<f64> =
            order[..free].iter().map(|&i| slope(i) + RIDGE * expected[i]).collect();
        for a in (0..free).rev() {
            let known: f64 = (a + 1..free).map(|c| factor[a * free + c] * centre[c]).sum();
            centre[a] = (centre[a] - known) / factor[a * free + a];
        }
        for a in 0..free {
            let known: f64 = (0..a).map(|b| factor[b * free + a] * centre[b]).sum();
            centre[a] = (centre[a] - known) / factor[a * free + a];
        }
        centre.iter().all(|x| x.is_finite()).then_some(Sequence { free, centre, factor })
    }

    /// Mean and sd of latent a, the ones before being `off` from the centre.
    fn next(&self, a: usize, off: &[f64]) -> (f64, f64) {
        let sd = 1.0 / self.factor[a * self.free + a];
        let pull: f64 = (0..a).map(|b| self.factor[b * self.free + a] * off[b]).sum();
        (self.centre[a] - sd * pull, sd)
    }
}

fn softmax(logits: &mut [f64]) {
    let top = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    logits.iter_mut().for_each(|z| *z = (*z - top).exp());
    let sum: f64 = logits.iter().sum();
    logits.iter_mut().for_each(|z| *z /= sum);
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(super) mod tests {
    use super::*;
    use crate::engine::model::Model;

    /// A guide of so many pixels and bands whose latents are all zero.
    pub(crate) fn flat(model: &Model, pixels: usize, bands: usize) -> Guide {
        let params = Params::new(model, pixels, bands, pixels, 1, 7).unwrap();
        Guide {
            model: model.clone(),
            params,
            globals: vec![0.0; params.global_stride()],
            locals: vec![0.0; pixels * params.local_stride as usize],
            prior_centre: vec![0.0; params.k() * params.stride()],
            rank_sum: Vec::new(),
            visits: 0.0,
            momentum: None,
        }
    }

    /// Mean of each amount and the share of the first below 0.05, by draws and by summing the
    /// density over log amounts: K = 2 with brightness, K = 3 without.
    fn compare(brightness: bool, linear: &[f64], square: &[f64], off: f64) -> Vec<(f64, f64)> {
        let k = linear.len();
        let model = Model {
            concentration: 0.3 * k as f64,
            brightness: brightness.then_some(0.5),
            ..Model::new(k)
        };
        // Eight pixels of two bands without data: the likelihood is given.
        let (guide, cube) = (flat(&model, 8, 2), Cube::zeros(8, 2));
        let pixels = Pixels::new(&guide, &cube);
        let expected = pixels.expected(3);
        let mut drawn = Drawn::default();
        pixels.draw(3, (0, 20_000), (linear, square), &expected, &mut drawn);
        let mut found = vec![0.0; k + 1];
        for (u, w) in drawn.amounts.chunks_exact(k).zip(&drawn.weights) {
            (0..k).for_each(|i| found[i] += w * u[i]);
            found[k] += if u[0] < 0.05 { *w } else { 0.0 };
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
                    let row: f64 = (0..k).map(|j| square[i * k + j] * u[j]).sum();
                    log += u[i] * (linear[i] - 0.5 * row);
                }
                let density = (log - 40.0).exp();
                total += density;
                (0..k).for_each(|i| truth[i] += density * u[i]);
                truth[k] += if u[0] < 0.05 { density } else { 0.0 };
            }
        }
        found.into_iter().zip(truth.into_iter().map(|x| x / total)).collect()
    }

    fn close(pairs: &[(f64, f64)]) -> bool {
        // 20,000 draws, of which half or more count: 0.5 / 100 at most for a share; five times
        // that.
        pairs.iter().all(|(found, truth)| (found - truth).abs() < 0.025)
    }

    #[test]
    fn draws_have_the_moments_that_integration_gives() {
        // Correlated amounts, of which the first is hardly there, on a shelf, or surely there.
        for first in [-20.0, 4.0, 60.0] {
            let square = [200.0, 120.0, 120.0, 150.0];
            let pairs = compare(true, &[first + 84.0, 105.0], &square, 0.0);
            assert!(close(&pairs), "{first}: {pairs:?}");
            let square = [200.0, 120.0, 40.0, 120.0, 150.0, 60.0, 40.0, 60.0, 90.0];
            let pairs = compare(false, &[first + 80.0, 70.0, 60.0], &square, 0.0);
            assert!(close(&pairs), "{first}: {pairs:?}");
        }
        // Another power of the first amount: seen.
        let square = [200.0, 120.0, 120.0, 150.0];
        assert!(!close(&compare(true, &[88.0, 105.0], &square, 0.5)));
    }

    #[test]
    fn forms_that_say_nothing_or_are_not_finite_have_draws_all_the_same() {
        for (linear, square) in [(0.0, 0.0), (f64::NAN, 1.0), (1e200, 1e300)] {
            for brightness in [true, false] {
                let model = Model { brightness: brightness.then_some(1.0), ..Model::new(3) };
                let (guide, cube) = (flat(&model, 8, 2), Cube::zeros(8, 2));
                let pixels = Pixels::new(&guide, &cube);
                let mut drawn = Drawn::default();
                let form = ([linear; 3], [square; 9]);
                pixels.draw(0, (0, 20), (&form.0, &form.1), &pixels.expected(0), &mut drawn);
                assert_eq!((drawn.amounts.len(), drawn.weights.len()), (60, 20));
                assert!(drawn.amounts.iter().all(|u| u.is_finite() && *u >= 0.0));
                assert!((drawn.weights.iter().sum::<f64>() - 1.0).abs() < 1e-9);
            }
        }
    }

    #[test]
    fn one_endmember_fills_its_pixels() {
        for brightness in [None, Some(1.0)] {
            let model = Model { brightness, ..Model::new(1) };
            let (guide, cube) = (flat(&model, 8, 2), Cube::zeros(8, 2));
            let pixels = Pixels::new(&guide, &cube);
            let mut drawn = Drawn::default();
            // A likelihood with mean 0.8 and sd 0.1.
            pixels.draw(0, (0, 2000), (&[80.0], &[100.0]), &[1.0], &mut drawn);
            let mean: f64 = drawn.amounts.iter().zip(&drawn.weights).map(|(u, w)| u * w).sum();
            let truth = if brightness.is_some() { 0.8 } else { 1.0 };
            // The prior moves the mean by (0.1 / 0.8)^2 at most; 2,000 draws by 0.01.
            assert!((mean - truth).abs() < 0.026, "{mean}");
        }
    }
}
