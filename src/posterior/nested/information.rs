//! Slope and curvature of the scene's log posterior, pixels integrated out: Fisher's and Louis'
//! identities (Louis 1982, "Finding the observed information matrix when using the EM algorithm").

use nalgebra::DMatrix;
use ndarray::Array2;
use pulp::Arch;
use rayon::prelude::*;

use super::dirichlet::Logs;
use super::group::Group;
use super::group_at;
use super::known::Known;
use super::lost::{Moments, lost};
use super::purity::Purity;
use super::spread::Spread;
use super::whiten::Whitened;
use crate::engine::ground::lanes::{LANES, load};
use crate::engine::pixels::Cube;

/// Draws of each pixel. Their noise is an eighth of what the pixel itself leaves open, and
/// independent between pixels.
pub(super) const DRAWS: usize = 64;
/// The most pixels that the curvature is summed over, and the most multiplications: a pixel takes
/// K (K L)^2 of them. Pixels that neighbours stand for would not do: nearly all that is known of
/// some directions is lost again, and what is left is a difference of large numbers.
const MOST_PIXELS: usize = 2048;
const MOST_PRODUCTS: usize = 10_000_000_000;
/// The most numbers that features of pixels take, 4 bytes each.
const MOST_FEATURES: usize = 64_000_000;
/// The fewest pixels that the curvature is summed over.
const FEWEST_PIXELS: usize = 256;
/// Parts that threads take, fixed so that sums do not depend on their number.
const PARTS: usize = 16;

/// What is asked of the pixels.
#[derive(Clone, Copy)]
pub(super) struct Look {
    /// Draws of each pixel.
    pub(super) draws: usize,
    /// Whether the second derivative is asked for.
    pub(super) curved: bool,
}

/// Sums over all pixels: derivatives of the log likelihood by the spectra c, (K, L), row by row.
pub(super) struct Sums {
    /// Log density of all pixels, amounts integrated out, but for what does not depend on the
    /// spectra.
    pub(super) density: f64,
    /// The first derivative, (K L).
    pub(super) slope: Vec<f64>,
    /// What minus the second derivative is made of; none where it was not asked for.
    pub(super) curvature: Option<Parts>,
}

/// The two terms of equation 32.
pub(super) struct Parts {
    /// What would be known if all amounts were, (K, K, L): each band with itself.
    pub(super) complete: Vec<f64>,
    /// What is lost because they are not, (K L, K L).
    pub(super) lost: DMatrix<f64>,
}

/// Sums over one part of the pixels.
struct Part {
    density: f64,
    slope: Vec<f64>,
    /// `E[u_i u_j] / V` of each band, (K, K, L).
    own: Vec<f64>,
    moments: Vec<Moments>,
}

/// The sums at the spectra `c`, (K, L). None when `interrupted`.
pub(super) fn sums(
    known: &Known,
    cube: &Cube,
    key: [u32; 2],
    c: &[f64],
    Look { draws, curved: with_curvature }: Look,
    interrupted: &(dyn Fn() -> bool + Sync),
) -> Option<Sums> {
    let (k, bands, count) = (known.k, known.bands, cube.pixels());
    let spectra = known.by_bands(c);
    let groups = count.div_ceil(LANES);
    let chunk = groups.div_ceil(PARTS).max(1);
    let count_shared = known.shapes.count();
    // Shapes are products of their own, half as many each as an endmember and the residual have.
    let most = MOST_PRODUCTS / ((k + count_shared / 2) * (k * bands).pow(2)).max(1);
    let held = MOST_FEATURES / ((k * (k + 1)).pow(2) + bands * count_shared);
    let most = most.clamp(FEWEST_PIXELS, MOST_PIXELS).min(held.max(LANES));
    let every = groups.div_ceil(most / LANES).max(1);
    let part = |first: usize| {
        let mut group = Group::new(known);
        let mut part = Part {
            density: 0.0,
            slope: vec![0.0; k * bands],
            own: vec![0.0; k * k * bands],
            moments: Vec::new(),
        };
        let mut room = Room::of(k, draws);
        for g in first..(first + chunk).min(groups) {
            if interrupted() {
                break;
            }
            group.take(cube, &group_at(g * LANES, cube.pixels()), key, &spectra);
            room.draw(&mut group, &spectra);
            let densities = (0..group.rows).map(|lane| room.evidence(&group, lane));
            // A pixel that no draw explains, or that is no number, says nothing of the spectra.
            part.density += densities.filter(|density| density.is_finite()).sum::<f64>();
            let curved = with_curvature && g % every == 0;
            room.add(&group, curved, &mut part);
            if curved {
                part.moments.extend((0..group.rows).map(|lane| room.moments(&group, lane)));
            }
        }
        part
    };
    let firsts: Vec<usize> = (0..groups).step_by(chunk).collect();
    let parts: Vec<Part> = firsts.into_par_iter().map(part).collect();
    if interrupted() {
        return None;
    }
    let mut density = 0.0;
    let mut slope = vec![0.0; k * bands];
    let mut own = vec![0.0; k * k * bands];
    let mut moments = Vec::new();
    for part in parts {
        density += part.density;
        slope.iter_mut().zip(part.slope).for_each(|(to, x)| *to += x);
        own.iter_mut().zip(part.own).for_each(|(to, x)| *to += x);
        moments.extend(part.moments);
    }
    if !with_curvature {
        return Some(Sums { density, slope, curvature: None });
    }
    // Pixels that were looked at stand for the others.
    let scale = count as f64 / moments.len() as f64;
    let lost = lost(&moments, bands, k) * scale;
    let complete = own.into_iter().map(|x| scale * x).collect();
    Some(Sums { density, slope, curvature: Some(Parts { complete, lost }) })
}

/// Draws of a group and what is summed of them.
pub(super) struct Room {
    k: usize,
    draws: usize,
    /// In each pixel's own order, (draws, K, LANES).
    amounts: Vec<f32>,
    /// Logarithms of the weights, then weights, (draws, LANES).
    weights: Vec<f32>,
    /// E u, (K, LANES), and Cov u, (K, K, LANES).
    mean: Vec<f32>,
    spread: Vec<f32>,
    /// Logarithm of the sum of the draws' weights, (LANES).
    log_sum: [f32; LANES],
    /// Both in each pixel's own order.
    mean_sorted: Vec<f32>,
    spread_sorted: Vec<f32>,
    white: Whitened,
}

impl Room {
    /// Room for [`DRAWS`] of K amounts.
    pub(super) fn new(k: usize) -> Self {
        Room::of(k, DRAWS)
    }

    fn of(k: usize, draws: usize) -> Self {
        let zeros = |count: usize| vec![0.0; count * LANES];
        Room {
            k,
            draws,
            amounts: zeros(draws * k),
            weights: zeros(draws),
            mean: zeros(k),
            spread: zeros(k * k),
            log_sum: [0.0; LANES],
            mean_sorted: zeros(k),
            spread_sorted: zeros(k * k),
            white: Whitened::default(),
        }
    }

    /// Mean of the amounts, (K, LANES), and their covariance, (K, K, LANES).
    pub(super) fn moments_of_amounts(&self) -> (&[f32], &[f32]) {
        (&self.mean, &self.spread)
    }

    /// Log density of the pixel of a lane of the group that was drawn, amounts integrated out, but
    /// for what all pixels have: `normaliser` of [`Known`].
    pub(super) fn evidence(&self, group: &Group, lane: usize) -> f64 {
        f64::from(self.log_sum[lane]) - (self.draws as f64).ln() + group.likelihood(lane)
    }

    /// Adds the means over draws of the logarithms of the abundances, (K), of the group that was
    /// drawn.
    pub(super) fn add_logs(&self, group: &Group, to: &mut [f64]) {
        let k = self.k;
        let mut logs = vec![0.0; k * LANES];
        let (amounts, weights) = (&self.amounts, &self.weights);
        Arch::new().dispatch(Logs { k, amounts, weights, logs: &mut logs });
        for (logs, order) in logs.chunks_exact(LANES).zip(&group.order) {
            for (log, &i) in logs.iter().zip(order).take(group.rows) {
                to[usize::from(i)] += f64::from(*log);
            }
        }
    }

    /// Adds how pure the pixels of the group that was drawn are.
    pub(super) fn add_purity(&self, group: &Group, to: &mut Purity) {
        to.add(group, &self.amounts, &self.weights);
    }

    pub(super) fn white(&self) -> &Whitened {
        &self.white
    }

    /// Draws the amounts of a group, with their moments and what follows from these.
    pub(super) fn draw(&mut self, group: &mut Group, spectra: &[f32]) {
        let k = self.k;
        group.draw(spectra, 0, &mut self.amounts, &mut self.weights);
        Arch::new().dispatch(Spread {
            k,
            draws: self.draws,
            amounts: &self.amounts,
            weights: &mut self.weights,
            mean: &mut self.mean_sorted,
            spread: &mut self.spread_sorted,
            log_sum: &mut self.log_sum,
        });
        for lane in 0..LANES {
            for a in 0..k {
                let i = usize::from(group.order[a][lane]);
                self.mean[i * LANES + lane] = self.mean_sorted[a * LANES + lane];
                for b in 0..k {
                    let j = usize::from(group.order[b][lane]);
                    self.spread[(i * k + j) * LANES + lane] =
                        self.spread_sorted[(a * k + b) * LANES + lane];
                }
            }
        }
        self.white.take(group, &self.mean, spectra);
    }

    /// Adds the mean over draws of `u_i (y - u'c)` times the inverse covariance, and what each band
    /// adds to the curvature on its own.
    fn add(&self, group: &Group, curved: bool, part: &mut Part) {
        let (k, bands) = (self.k, group.known.bands);
        for l in 0..bands {
            let (rest, precision) = (load(&self.white.rest, l), load(&group.precision, l));
            for i in 0..k {
                let mut sum = load(&self.mean, i);
                for lane in 0..LANES {
                    sum[lane] *= rest[lane];
                }
                for j in 0..k {
                    let spread = load(&self.spread, i * k + j);
                    let c = load(&self.white.spectra, l * k + j);
                    for lane in 0..LANES {
                        sum[lane] -= spread[lane] * c[lane];
                    }
                }
                let of_rows = sum.iter().take(group.rows);
                part.slope[i * bands + l] += of_rows.map(|&s| f64::from(s)).sum::<f64>();
                for j in 0..if curved { k } else { 0 } {
                    let (m, n) = (load(&self.mean, i), load(&self.mean, j));
                    let spread = load(&self.spread, i * k + j);
                    let mut sum = 0.0f64;
                    for lane in 0..group.rows {
                        sum += f64::from(precision[lane] * (m[lane] * n[lane] + spread[lane]));
                    }
                    part.own[(i * k + j) * bands + l] += sum;
                }
            }
        }
    }

    fn moments(&self, group: &Group, lane: usize) -> Moments {
        let (k, bands) = (self.k, group.known.bands);
        let mean: Vec<f32> = (0..k).map(|i| self.mean[i * LANES + lane]).collect();
        // Rows of draws, each times the root of its weight.
        let mut f = Array2::<f32>::zeros((self.draws, k * (k + 1)));
        let mut d = vec![0.0; k];
        for (draw, mut f) in f.rows_mut().into_iter().enumerate() {
            let root = self.weights[draw * LANES + lane].sqrt();
            for (a, order) in group.order.iter().enumerate() {
                let i = usize::from(order[lane]);
                d[i] = self.amounts[(draw * k + a) * LANES + lane] - mean[i];
            }
            for (i, &d_i) in d.iter().enumerate() {
                for (j, &d_j) in d.iter().enumerate() {
                    let spread = self.spread[(i * k + j) * LANES + lane];
                    f[i * (k + 1) + j] = root * (mean[i] * d_j + d_i * d_j - spread);
                }
                f[i * (k + 1) + k] = -root * d_i;
            }
        }
        let features = f.t().dot(&f).into_raw_vec_and_offset().0;
        let (white, shapes) = (&self.white, group.known.shapes.count());
        let mut factors = Vec::with_capacity((k + 1 + shapes) * bands);
        let mut take = |from: &[f32], rows: usize| {
            for row in 0..rows {
                factors.extend((0..bands).map(|l| from[(l * rows + row) * LANES + lane]));
            }
        };
        take(&white.spectra, k);
        take(&white.rest, 1);
        take(&white.factor, shapes);
        let spread = self.spread.iter().skip(lane).step_by(LANES);
        let second = spread.enumerate().map(|(at, x)| x + mean[at / k] * mean[at % k]).collect();
        Moments { features, factors, second }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::engine::guide::Guide;
    use crate::engine::model::Model;
    use crate::engine::pixels::Cube;
    use crate::posterior::nested::known::tests::flat;
    use crate::posterior::nested::shared::{SHAPES, Shared, shape};

    const SD: f64 = 0.1;
    const PIXELS: usize = 200;

    /// Two endmembers of three bands; abundances from near 0 to near 1.
    fn problem(brightness: Option<f64>) -> (Guide, Cube, Vec<f64>) {
        let model = Model { concentration: 1.0, noise_floor: 0.0, brightness, ..Model::new(2) };
        let c = vec![0.6, 0.2, 0.4, 0.3, 0.5, 0.1];
        let mut cube = Cube::zeros(PIXELS, 3);
        for n in 0..PIXELS {
            let w = (n as f64 / PIXELS as f64).powi(2);
            let bright = if brightness.is_some() { 0.8 + 0.1 * (n % 5) as f64 } else { 1.0 };
            for l in 0..3 {
                let noise = [0.7, -1.1, 0.2, -0.4, 1.3][(3 * n + l) % 5] * SD;
                let mix = bright * (w * c[l] + (1.0 - w) * c[3 + l]);
                cube.spectrum_mut(n)[l] = (mix + noise) as f32;
            }
        }
        (flat(&model, PIXELS, 3), cube, c)
    }

    /// Log density of all spectra given c, amounts summed out on a grid of logit and log
    /// brightness.
    fn marginal(cube: &Cube, c: &[f64], brightness: Option<f64>, inverse: &DMatrix<f64>) -> f64 {
        let logs: Vec<f64> = match brightness {
            Some(_) => (-24..=24).map(|i| 0.05 * f64::from(i)).collect(),
            None => vec![0.0],
        };
        let of_pixel = |n: usize| {
            let mut sum = 0.0;
            // Sums of smooth densities that vanish at both ends converge faster than any power of
            // the step.
            for i in -60..=60 {
                let w = 1.0 / (1.0 + (-f64::from(i) * 0.5).exp());
                for g in &logs {
                    let mu = (0..3).map(|l| g.exp() * (w * c[l] + (1.0 - w) * c[3 + l]));
                    let off = mu.zip(cube.spectrum(n)).map(|(mu, &y)| mu - f64::from(y));
                    let off = nalgebra::DVector::from_iterator(3, off);
                    let square = off.dot(&(inverse * &off));
                    let prior = brightness.map_or(0.0, |tau| 0.5 * (g / tau).powi(2));
                    sum += (0.5 * (w * (1.0 - w)).ln() - 0.5 * square - prior).exp();
                }
            }
            sum.ln()
        };
        (0..PIXELS).into_par_iter().map(of_pixel).collect::<Vec<f64>>().iter().sum()
    }

    /// Pairs of ours and the truth.
    type Pairs = Vec<(f64, f64)>;

    /// Slope and curvature, with noise of `sd` and noise that bands share of `common`, and the same
    /// by central differences, of `true_common`.
    fn compare(
        sd: f64,
        brightness: Option<f64>,
        (common, true_common): (f64, f64),
    ) -> (Pairs, Pairs) {
        let (guide, cube, c) = problem(brightness);
        let mut known = Known::of(&guide);
        let noise_sds = [0.5 * common, common, 0.0, 0.0, 0.0, 0.0];
        let shared = Shared {
            sds: vec![0.0; 2 * SHAPES],
            noise_sds: noise_sds.to_vec(),
            noise: vec![sd * sd; 3],
            variability: vec![0.0; 6],
            dirichlet: None,
        };
        known.share(&shared, &c);
        let of_bands = |l: usize, m: usize| {
            let level = 0.25 * shape(0, l, 3) * shape(0, m, 3);
            let tilt = shape(1, l, 3) * shape(1, m, 3);
            let own = if l == m { SD * SD } else { 0.0 };
            own + true_common * true_common * (level + tilt)
        };
        let inverse = DMatrix::from_fn(3, 3, of_bands).try_inverse().unwrap();
        let sums = sums(&known, &cube, [3, 4], &c, Look { draws: DRAWS, curved: true }, &|| false)
            .unwrap();
        let Parts { complete, lost } = sums.curvature.unwrap();
        let known = |a: usize, b: usize| match a % 3 == b % 3 {
            true => complete[(a / 3 * 2 + b / 3) * 3 + a % 3],
            false => 0.0,
        };
        let curvature = DMatrix::from_fn(6, 6, |a, b| known(a, b) - lost[(a, b)]);
        let moved = |a: usize, b: usize, to: (f64, f64)| {
            let mut c = c.clone();
            c[a] += 1e-3 * to.0;
            c[b] += 1e-3 * to.1;
            marginal(&cube, &c, brightness, &inverse)
        };
        let slope = |a| (moved(a, a, (0.5, 0.5)) - moved(a, a, (-0.5, -0.5))) / 2e-3;
        let bend = |a, b| {
            let [pp, pm, mp, mm] =
                [(1.0, 1.0), (1.0, -1.0), (-1.0, 1.0), (-1.0, -1.0)].map(|to| moved(a, b, to));
            -(pp - pm - mp + mm) / 4e-6
        };
        let slopes = (0..6).map(|a| (sums.slope[a], slope(a))).collect();
        let pairs = (0..6).flat_map(|a| (0..=a).map(move |b| (a, b)));
        (slopes, pairs.map(|(a, b)| (curvature[(a, b)], bend(a, b))).collect())
    }

    /// Largest difference in units of the largest of the truths.
    fn off(pairs: &[(f64, f64)]) -> f64 {
        let largest = pairs.iter().map(|p| p.1.abs()).fold(0.0, f64::max);
        pairs.iter().map(|p| (p.0 - p.1).abs()).fold(0.0, f64::max) / largest
    }

    #[test]
    fn slope_and_curvature_are_those_of_the_integrated_density() {
        // With brightness two amounts are free, and sds twice as large.
        for (brightness, most) in [(None, 60.0), (Some(0.3), 120.0)] {
            for common in [0.0, 0.1] {
                let (slope, curvature) = compare(SD, brightness, (common, common));
                // A pixel's amounts have sds near 0.3 of 64 draws: a slope is off by at most
                // 0.04 / V 0.5 a pixel, 28 over 200 pixels. Curvatures lose 1 in sqrt(32) of each
                // pixel's, 1 in 80 of all; twice the one, four times the other.
                let largest = slope.iter().map(|s| (s.0 - s.1).abs()).fold(0.0, f64::max);
                assert!(largest < most, "{slope:?}");
                assert!(off(&curvature) < 0.05, "{curvature:?}");
            }
        }
        let (_, other) = compare(1.2 * SD, None, (0.0, 0.0));
        assert!(off(&other) > 0.15, "{other:?}");
        let (_, other) = compare(SD, None, (0.0, 0.1));
        assert!(off(&other) > 0.15, "{other:?}");
    }

    #[test]
    fn interrupted_sums_are_none() {
        let (guide, cube, c) = problem(None);
        let look = Look { draws: DRAWS, curved: true };
        assert!(sums(&Known::of(&guide), &cube, [0, 0], &c, look, &|| true).is_none());
    }
}
