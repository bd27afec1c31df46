//! What a fit found: means, standard deviations and intervals, in the scene's own units.

use ndarray::{Array1, Array2, ArrayView1, ArrayViewMut1, Axis, Zip};
use rayon::prelude::*;

use crate::layout::{BRIGHTNESS, FULL_RANK, Params};
use crate::math::softplus;
use crate::passes::sample_pixels::latent;
use crate::rng;
use crate::scene::Cube;

/// The posterior of one fit. N pixels (the scene's valid ones), K endmembers, L bands in use.
#[derive(Debug, Clone)]
pub struct Posterior {
    /// Mean abundances, (N, K), each row on the simplex.
    pub abundance_mean: Array2<f32>,
    /// Standard deviations of the abundances, (N, K).
    pub abundance_sd: Array2<f32>,
    /// Mean endmember spectra, (K, L), reflectance.
    pub endmember_mean: Array2<f64>,
    /// Standard deviations of the endmember spectra, (K, L).
    pub endmember_sd: Array2<f64>,
    /// 5 % quantiles of the endmember spectra, (K, L).
    pub endmember_q05: Array2<f64>,
    /// 95 % quantiles of the endmember spectra, (K, L).
    pub endmember_q95: Array2<f64>,
    /// Noise standard deviation of each band, (L), reflectance.
    pub noise_sd: Vec<f64>,
    /// Mean abundance over the scene (the latent pi), (K).
    pub mean_abundance: Vec<f64>,
    /// Root mean square over bands of `y - mean fit`, for each pixel, (N), reflectance.
    pub residual: Vec<f32>,
}

/// Draws of a pixel's latents behind its mean and sd: half of them points, half their mirror images.
const DRAWS: usize = 64;

/// Standard normal at 95 %.
const NORMAL_95: f64 = 1.644_853_626_951_472_7;

impl Posterior {
    /// Moments of the guide: scene latents `globals` and pixel latents `locals` as
    /// [`crate::layout::Buf`] lays them out. Endmember and noise moments are exact (quadrature,
    /// monotone transforms); abundance moments are averages over a fixed low-discrepancy set.
    pub fn new(params: &Params, cube: &Cube, globals: &[f32], locals: &[f32]) -> Self {
        let (k, bands) = (params.k(), params.bands as usize);
        let g = params.globals as usize;
        let guide_of = |j: usize| (f64::from(globals[j]), f64::from(globals[g + j]).exp());
        let endmember = |f: &dyn Fn(f64, f64) -> f64| {
            Array2::from_shape_fn((k, bands), |(i, l)| {
                let (loc, scale) = guide_of(i * params.stride() + l);
                f(loc, scale)
            })
        };
        let endmember_mean = endmember(&|loc, scale| expectation(loc, scale, softplus));
        let square = endmember(&|loc, scale| expectation(loc, scale, |x| softplus(x).powi(2)));
        let endmember_sd = (&square - &endmember_mean.mapv(|m| m * m)).mapv(|v| v.max(0.0).sqrt());
        let noise_sd = (0..bands)
            .map(|l| {
                let (loc, scale) =
                    guide_of(params.noise_at() + if params.noises > 1 { l } else { 0 });
                (f64::from(params.noise_floor) + (2.0 * loc + 2.0 * scale * scale).exp()).sqrt()
            })
            .collect();

        let (abundance_mean, abundance_sd, brightness) = pixels(params, locals);
        let residual = residual(cube, &endmember_mean, &abundance_mean, &brightness);
        Posterior {
            abundance_mean,
            abundance_sd,
            endmember_q05: endmember(&|loc, scale| softplus(loc - NORMAL_95 * scale)),
            endmember_q95: endmember(&|loc, scale| softplus(loc + NORMAL_95 * scale)),
            endmember_mean,
            endmember_sd,
            noise_sd,
            mean_abundance: mean_abundance(params, &guide_of),
            residual,
        }
    }
}

impl Posterior {
    /// The same with its endmembers in another order: `order[i]` is the one that becomes number i.
    pub fn in_order(&self, order: &[usize]) -> Self {
        Posterior {
            abundance_mean: self.abundance_mean.select(Axis(1), order),
            abundance_sd: self.abundance_sd.select(Axis(1), order),
            endmember_mean: self.endmember_mean.select(Axis(0), order),
            endmember_sd: self.endmember_sd.select(Axis(0), order),
            endmember_q05: self.endmember_q05.select(Axis(0), order),
            endmember_q95: self.endmember_q95.select(Axis(0), order),
            noise_sd: self.noise_sd.clone(),
            mean_abundance: order.iter().map(|&i| self.mean_abundance[i]).collect(),
            residual: self.residual.clone(),
        }
    }
}

/// `E f(loc + scale * x)`, x standard normal: the trapezoidal rule over eight sds either way, which
/// converges faster than any power for smooth f (Trefethen and Weideman, SIAM Review 2014).
fn expectation(loc: f64, scale: f64, f: impl Fn(f64) -> f64) -> f64 {
    let (mut sum, mut total) = (0.0, 0.0);
    for i in -16..=16 {
        let x = f64::from(i) * 0.5;
        let weight = (-0.5 * x * x).exp();
        sum += weight * f(loc + scale * x);
        total += weight;
    }
    sum / total
}

/// Mean of the softmax of the mean-abundance logits, over the same points as the pixels'.
fn mean_abundance(params: &Params, guide_of: &dyn Fn(usize) -> (f64, f64)) -> Vec<f64> {
    let k = params.k();
    let points = points(k - 1);
    let mut mean = vec![0.0; k];
    for point in &points {
        let mut z = vec![0.0; k];
        for (i, &e) in point.iter().enumerate() {
            let (loc, scale) = guide_of(params.mean_at() + i);
            z[i] = loc + scale * f64::from(e);
        }
        let top = z.iter().copied().fold(0.0, f64::max);
        let sum: f64 = z.iter().map(|z| (z - top).exp()).sum();
        for (m, z) in mean.iter_mut().zip(&z) {
            *m += (z - top).exp() / sum / points.len() as f64;
        }
    }
    mean
}

/// Standard normal points in `dimensions`, the same for every pixel: Roberts' additive recurrence
/// (the generalised golden ratio), through the inverse normal, and their mirror images.
fn points(dimensions: usize) -> Vec<Vec<f32>> {
    // phi solves x^(d + 1) = x + 1; the iteration contracts.
    let power = 1.0 / (dimensions as f64 + 1.0);
    let phi = (0..64).fold(2.0_f64, |x, _| (1.0 + x).powf(power));
    let half: Vec<Vec<f32>> = (0..DRAWS / 2)
        .map(|i| {
            (0..dimensions)
                .map(|d| {
                    let u = (0.5 + (i as f64 + 1.0) * phi.powi(-(d as i32 + 1))).fract();
                    rng::normal((u * 4_294_967_296.0) as u32)
                })
                .collect()
        })
        .collect();
    let mirrored = half.iter().map(|point| point.iter().map(|x| -x).collect());
    half.iter().cloned().chain(mirrored).collect()
}

/// Mean and sd of the abundances, and mean brightness, of every pixel.
fn pixels(params: &Params, locals: &[f32]) -> (Array2<f32>, Array2<f32>, Array1<f32>) {
    let (n, k, latents) = (params.pixels as usize, params.k(), params.latents as usize);
    let mut mean = Array2::<f32>::zeros((n, k));
    let mut sd = Array2::<f32>::zeros((n, k));
    let mut brightness = Array1::<f32>::ones(n);
    let points = points(latents);
    let share = 1.0 / points.len() as f32;
    let one_pixel = |n: usize, mut mean: ArrayViewMut1<f32>, mut sd: ArrayViewMut1<f32>| {
        let guide = &locals[n * params.local_stride as usize..][..params.local_stride as usize];
        let mut w = vec![0.0; k];
        let mut bright = 0.0;
        for eps in &points {
            let z = |j: usize| latent(params.has(FULL_RANK), guide, eps, j);
            for (j, w) in w.iter_mut().enumerate() {
                *w = if j + 1 < k { z(j) } else { 0.0 };
            }
            let top = w.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            w.iter_mut().for_each(|w| *w = (*w - top).exp());
            let sum: f32 = w.iter().sum();
            for ((w, m), s) in w.iter().zip(&mut mean).zip(&mut sd) {
                *m += share * w / sum;
                *s += share * (w / sum).powi(2);
            }
            bright += if params.has(BRIGHTNESS) { share * z(k - 1).exp() } else { share };
        }
        sd.zip_mut_with(&mean, |s, m| *s = (*s - m * m).max(0.0).sqrt());
        bright
    };
    Zip::indexed(mean.outer_iter_mut())
        .and(sd.outer_iter_mut())
        .and(&mut brightness)
        .par_for_each(|n, mean, sd, brightness| *brightness = one_pixel(n, mean, sd));
    (mean, sd, brightness)
}

/// Root mean square over bands of what the mean fit leaves, for each pixel.
fn residual(
    cube: &Cube,
    endmembers: &Array2<f64>,
    abundances: &Array2<f32>,
    brightness: &Array1<f32>,
) -> Vec<f32> {
    let endmembers = endmembers.mapv(|c| c as f32);
    let one = |(n, weights): (usize, ArrayView1<f32>)| {
        let amounts = weights.mapv(|w| w * brightness[n]);
        let mu = amounts.dot(&endmembers);
        let square: f32 = cube.spectrum(n).iter().zip(&mu).map(|(y, mu)| (y - mu).powi(2)).sum();
        (square / cube.bands() as f32).sqrt()
    };
    abundances.outer_iter().into_par_iter().enumerate().map(one).collect()
}
