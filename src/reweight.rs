//! The posterior of each pixel given the scene, by importance sampling from its guide. A normal in the
//! logit is a poor likeness of the posterior of a small abundance; weighted draws need no likeness.

use nalgebra::DMatrix;

use crate::layout::{BRIGHTNESS, COVARIANCE, FULL_RANK, Params, VARIABILITY};
use crate::math::softplus;
use crate::rng::{self, Stream};
use crate::scene::Cube;

/// Draws of a pixel that carry weights.
pub const DRAWS: u32 = 399;
/// Draws that only tell where the second ones are worth their while.
const SCOUTS: u32 = 400;
/// Heavy tails, twice as wide as the guide: the guide is too narrow, and weights must stay bounded.
const SCOUT: Proposal = Proposal { width: 2.0, freedom: 4, first: 1 << 20 };
const FINAL: Proposal = Proposal { width: 1.1, freedom: 8, first: 1 << 21 };

/// A multivariate t around a centre.
struct Proposal {
    width: f64,
    freedom: u32,
    /// First number of the random counter.
    first: u32,
}

/// What all pixels share: the scene at the centre of its guide.
#[derive(Debug, Clone)]
pub struct Reweighting<'a> {
    params: &'a Params,
    cube: &'a Cube,
    locals: &'a [f32],
    /// Rows of L.
    endmembers: Vec<Vec<f64>>,
    noise: Vec<f64>,
    /// Rows of L; none without variability.
    variability: Vec<Vec<f64>>,
    dirichlet: Vec<f64>,
}

/// Draws of one pixel's latents and their weights.
#[derive(Debug, Clone, PartialEq)]
pub struct Weighted {
    /// [`DRAWS`] rows of P latents: K - 1 logits, log brightness.
    pub latents: Vec<Vec<f64>>,
    /// One each, with sum 1.
    pub weights: Vec<f64>,
}

impl<'a> Reweighting<'a> {
    /// For the guide of scene latents `globals` and pixel latents `locals`, laid out as in
    /// [`crate::layout::Buf`]. None with covariance noise, whose bands do not stand for themselves.
    pub fn new(
        params: &'a Params,
        cube: &'a Cube,
        globals: &[f32],
        locals: &'a [f32],
    ) -> Option<Self> {
        let p = params;
        if p.has(COVARIANCE) {
            return None;
        }
        let at = |j: usize| f64::from(globals[j]);
        let rows = |first: usize, f: &dyn Fn(f64) -> f64| -> Vec<Vec<f64>> {
            let row = |k: usize| (0..p.bands as usize).map(move |l| first + k * p.stride() + l);
            (0..p.k()).map(|k| row(k).map(|j| f(at(j))).collect()).collect()
        };
        let noise_of = |l: usize| p.noise_at() + if p.noises == 1 { 0 } else { l };
        let variance = |x: f64| (2.0 * x).exp();
        let mut pi: Vec<f64> = (0..p.k() - 1).map(|i| at(p.mean_at() + i)).collect();
        pi.push(0.0);
        log_softmax(&mut pi);
        let concentration = match p.concentration_at() < p.variability_at() {
            true => at(p.concentration_at()).exp(),
            false => f64::from(p.concentration),
        };
        Some(Reweighting {
            params,
            cube,
            locals,
            endmembers: rows(0, &softplus),
            noise: (0..p.bands as usize)
                .map(|l| f64::from(p.noise_floor) + variance(at(noise_of(l))))
                .collect(),
            variability: match p.has(VARIABILITY) {
                true => rows(p.variability_at(), &variance),
                false => Vec::new(),
            },
            dirichlet: pi.iter().map(|log| concentration * log.exp()).collect(),
        })
    }

    /// Weighted draws of a pixel, 0 to N - 1: first from a t around the guide, then from one with the
    /// moments of those. The variance is taken at the guide's abundances, so that the likelihood is
    /// a quadratic form in the K amounts: a draw costs K^2, not K L.
    pub fn pixel(&self, pixel: usize) -> Weighted {
        let p = self.params;
        let (latents, stride) = (p.latents as usize, p.local_stride as usize);
        let guide: Vec<f64> =
            self.locals[pixel * stride..][..stride].iter().map(|&x| f64::from(x)).collect();
        let density = self.density(pixel, &guide);
        let mut centre = guide[..latents].to_vec();
        let mut factor = factor_of(p, &guide);
        let (draws, mut weights) = self.propose(pixel, &SCOUT, SCOUTS, &centre, &factor, &density);
        // No draw weighs more than the root of their number allows (Ionides 2008): moments of a
        // single heavy draw would be worse than the guide's.
        let most = weights.iter().sum::<f64>() / f64::from(SCOUTS).sqrt();
        weights.iter_mut().for_each(|w| *w = w.min(most));
        if let Some((mean, fresh)) = moments(&draws, &weights) {
            (centre, factor) = (mean, fresh);
        }
        let (latents, mut weights) = self.propose(pixel, &FINAL, DRAWS, &centre, &factor, &density);
        let total: f64 = weights.iter().sum();
        weights.iter_mut().for_each(|w| *w /= total);
        Weighted { latents, weights }
    }

    /// Draws, and density over proposal: the largest is 1.
    fn propose(
        &self,
        pixel: usize,
        proposal: &Proposal,
        count: u32,
        centre: &[f64],
        factor: &DMatrix<f64>,
        density: &Density,
    ) -> (Vec<Vec<f64>>, Vec<f64>) {
        let (latents, freedom) = (centre.len(), proposal.freedom as usize);
        let blocks = (latents + freedom).div_ceil(4) as u32;
        let (mut draws, mut logs) = (Vec::new(), Vec::new());
        for draw in proposal.first..proposal.first + count {
            let normals: Vec<f64> = (0..blocks)
                .flat_map(|block| {
                    let key = self.params.key();
                    rng::normals(key, Stream::Posterior, 0, draw, pixel as u32, block)
                })
                .map(f64::from)
                .collect();
            let chi: f64 = normals[..freedom].iter().map(|x| x * x).sum();
            let stretch = proposal.width / (chi / freedom as f64).sqrt();
            let e: Vec<f64> = normals[freedom..][..latents].iter().map(|x| stretch * x).collect();
            let z: Vec<f64> = (0..latents)
                .map(|j| centre[j] + (0..=j).map(|i| factor[(j, i)] * e[i]).sum::<f64>())
                .collect();
            let square: f64 = e.iter().map(|e| e * e).sum::<f64>() / proposal.width.powi(2);
            let t = -0.5 * (freedom + latents) as f64 * (square / freedom as f64).ln_1p();
            logs.push(density.log(&z) - t);
            draws.push(z);
        }
        let top = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        // A guide that is not finite leaves its draws as they are.
        let weight = |log: f64| if top.is_finite() { (log - top).exp() } else { 1.0 };
        let weights = logs.into_iter().map(|log| weight(log).max(0.0)).collect();
        (draws, weights)
    }

    fn density(&self, pixel: usize, guide: &[f64]) -> Density<'_> {
        let (p, k) = (self.params, self.params.k());
        let mut logs = guide[..k - 1].to_vec();
        logs.push(0.0);
        log_softmax(&mut logs);
        let (mut linear, mut square) = (vec![0.0; k], vec![0.0; k * k]);
        for (l, &y) in self.cube.spectrum(pixel).iter().enumerate() {
            let own: f64 =
                self.variability.iter().zip(&logs).map(|(v, log)| (2.0 * log).exp() * v[l]).sum();
            let precision = f64::from(p.weight) / (self.noise[l] + own);
            for i in 0..k {
                let c = precision * self.endmembers[i][l];
                linear[i] += c * f64::from(y);
                for j in 0..k {
                    square[i * k + j] += c * self.endmembers[j][l];
                }
            }
        }
        let brightness = p.has(BRIGHTNESS).then_some(f64::from(p.brightness_precision));
        Density { linear, square, brightness, dirichlet: &self.dirichlet }
    }
}

/// Log density of one pixel's latents, but for a constant.
struct Density<'a> {
    linear: Vec<f64>,
    square: Vec<f64>,
    /// Precision of log brightness.
    brightness: Option<f64>,
    dirichlet: &'a [f64],
}

impl Density<'_> {
    /// `b'u - u'G u / 2 + sum a log W - g^2 / (2 tau^2)`, `u = e^g W`: equations 2, 6, 7 and the
    /// Jacobian of the logits.
    fn log(&self, z: &[f64]) -> f64 {
        let k = self.dirichlet.len();
        let mut logs = z[..k - 1].to_vec();
        logs.push(0.0);
        log_softmax(&mut logs);
        let (g, prior) = match self.brightness {
            Some(precision) => (z[k - 1], -0.5 * precision * z[k - 1] * z[k - 1]),
            None => (0.0, 0.0),
        };
        let u: Vec<f64> = logs.iter().map(|log| (g + log).exp()).collect();
        let mut sum = prior;
        for i in 0..k {
            let row: f64 = self.square[i * k..][..k].iter().zip(&u).map(|(g, u)| g * u).sum();
            sum += u[i] * (self.linear[i] - 0.5 * row) + self.dirichlet[i] * logs[i];
        }
        sum
    }
}

fn log_softmax(logits: &mut [f64]) {
    let top = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let sum = top + logits.iter().map(|z| (z - top).exp()).sum::<f64>().ln();
    logits.iter_mut().for_each(|z| *z -= sum);
}

/// The lower factor of a pixel's guide: equation 8.
fn factor_of(p: &Params, guide: &[f64]) -> DMatrix<f64> {
    let latents = p.latents as usize;
    DMatrix::from_fn(latents, latents, |j, i| {
        let scale = guide[latents + j].exp();
        match j.cmp(&i) {
            std::cmp::Ordering::Equal => scale,
            std::cmp::Ordering::Greater if p.has(FULL_RANK) => {
                scale * guide[2 * latents + j * (j - 1) / 2 + i]
            }
            _ => 0.0,
        }
    })
}

/// Weighted mean and lower factor of the covariance; none where there is none.
fn moments(draws: &[Vec<f64>], weights: &[f64]) -> Option<(Vec<f64>, DMatrix<f64>)> {
    let latents = draws.first()?.len();
    let total: f64 = weights.iter().sum();
    let average = |f: &dyn Fn(&[f64]) -> f64| -> f64 {
        draws.iter().zip(weights).map(|(draw, w)| w * f(draw)).sum::<f64>() / total
    };
    let mean: Vec<f64> = (0..latents).map(|j| average(&|draw| draw[j])).collect();
    let covariance = DMatrix::from_fn(latents, latents, |i, j| {
        average(&|draw| (draw[i] - mean[i]) * (draw[j] - mean[j]))
    });
    Some((mean, covariance.cholesky()?.l()))
}
