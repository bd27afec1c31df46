//! What a guide says of the pixels: moments and quantiles of abundances, and brightness.

use ndarray::{Array1, Array2, Array3, ArrayViewMut1, ArrayViewMut2, Axis, Zip};

use super::nested::QUANTILES;
use super::scene_guide::{SceneGuide, shared};
use crate::convention::{Convention, without_traces};
use crate::engine::ground::rng;
use crate::engine::guide::Guide;
use crate::engine::guide::transform::{add_loadings, latent};
use crate::engine::layout::{BRIGHTNESS, FULL_RANK};

/// What the posterior says of the pixels, in the engine's order.
pub(super) struct OfPixels {
    pub(super) mean: Array2<f32>,
    pub(super) sd: Array2<f32>,
    pub(super) brightness: Array1<f32>,
    /// 5 %, 50 % and 95 % quantiles; empty where they were not asked for.
    pub(super) quantiles: [Array2<f32>; 3],
    pub(super) worth: Option<Array1<f32>>,
}

/// Draws of a pixel's latents behind its mean and sd: half of them points, half their mirror
/// images.
const DRAWS: usize = 64;
/// Draws behind the mean and sd of a pixel where scene and pixels are drawn together from a
/// low-rank guide: what they share is then random, not low-discrepancy points.
const JOINT_DRAWS: usize = 256;

/// Mean over draws, (K).
pub(super) fn mean_of_rows<T: Copy + Into<f64>>(draws: &[Vec<T>]) -> Array1<f64> {
    let of = |k: usize| draws.iter().map(|draw| draw[k].into()).sum::<f64>() / draws.len() as f64;
    (0..draws.first().map_or(0, Vec::len)).map(of).collect()
}

/// Standard normal points in `dimensions`, the same for every pixel: Roberts' additive recurrence
/// (the generalised golden ratio), through the inverse normal, and their mirror images.
fn points(dimensions: usize, draws: usize) -> Vec<Vec<f32>> {
    // phi solves x^(d + 1) = x + 1; the iteration contracts.
    let power = 1.0 / (dimensions as f64 + 1.0);
    let phi = (0..64).fold(2.0_f64, |x, _| (1.0 + x).powf(power));
    let half: Vec<Vec<f32>> = (0..draws / 2)
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

/// What a guide says of the scene and of its pixels.
pub(super) struct OfGuide {
    /// Mean, sd, 5 % and 95 % quantiles of the spectra, (K, L).
    pub(super) spectra: [Array2<f64>; 4],
    /// What spectra were divided by, mean over draws, (K).
    pub(super) heights: Array1<f64>,
    pub(super) pixels: OfPixels,
}

impl OfGuide {
    /// In a convention; quantiles of abundances, for which draws are kept and sorted, if they are
    /// asked for.
    pub(super) fn new(guide: &Guide, convention: Convention, quantiles: bool) -> Self {
        let (params, scene) = (&guide.params, SceneGuide { guide });
        // Peaks and abundances of one draw belong together where the guide lets them correlate.
        let joint = params.rank > 0 && convention == Convention::Peak;
        let draws = if joint { JOINT_DRAWS } else { DRAWS };
        let (spectra, peaks) = match convention {
            Convention::Reflectance => (scene.reflectance(), vec![vec![1.0; params.k()]; draws]),
            Convention::Peak => scene.relative_to_peak(draws),
        };
        let shared = joint.then(|| (0..draws as u32).map(|draw| shared(params, draw)).collect());
        let pixels = pixels(guide, &peaks, shared, quantiles);
        OfGuide { spectra, heights: mean_of_rows(&peaks), pixels }
    }
}

/// Moments of the abundances, their quantiles if they are `asked` for, and mean brightness, of
/// every pixel. With h the `peaks` of a draw, abundances become `W_k h_k / sum_j W_j h_j` and
/// brightness takes the factor: the mixture stays. With `shared` the draws of a low-rank guide are
/// those of the peaks, without it each pixel's own.
fn pixels(
    guide: &Guide,
    peaks: &[Vec<f32>],
    shared: Option<Vec<Vec<f32>>>,
    asked: bool,
) -> OfPixels {
    let params = &guide.params;
    let (n, k, latents) = (params.pixels as usize, params.k(), params.latents as usize);
    let mut mean = Array2::<f32>::zeros((n, k));
    let mut sd = Array2::<f32>::zeros((n, k));
    let mut brightness = Array1::<f32>::ones(n);
    let mut quantiles = Array3::<f32>::zeros((n, if asked { 3 } else { 0 }, k));
    let points = points(latents, peaks.len());
    let share = 1.0 / points.len() as f32;
    let one_pixel = |n: usize,
                     mut mean: ArrayViewMut1<f32>,
                     mut sd: ArrayViewMut1<f32>,
                     mut quantiles: ArrayViewMut2<f32>| {
        let guide = guide.pixel(n);
        let mut w = vec![0.0; k];
        let mut bright = 0.0;
        let mut drawn = vec![Vec::with_capacity(if asked { peaks.len() } else { 0 }); k];
        let mut add = |z: &[f32], share: f32, peaks: &[f32]| {
            for (j, w) in w.iter_mut().enumerate() {
                *w = if j + 1 < k { z[j] } else { 0.0 };
            }
            let top = w.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            w.iter_mut().for_each(|w| *w = (*w - top).exp());
            let plain: f32 = w.iter().sum();
            w.iter_mut().zip(peaks).for_each(|(w, h)| *w *= h);
            let sum: f32 = w.iter().sum();
            without_traces(&mut w);
            for (((w, m), s), drawn) in w.iter().zip(&mut mean).zip(&mut sd).zip(&mut drawn) {
                *m += share * w;
                *s += share * w.powi(2);
                if asked {
                    drawn.push(*w);
                }
            }
            let bare = if params.has(BRIGHTNESS) { z[k - 1].exp() } else { 1.0 };
            bright += share * bare * sum / plain;
        };
        let mut z = vec![0.0; latents];
        let loadings = &guide[params.loadings_at()..];
        let factor = Factor::new(loadings, params.rank as usize, latents);
        let mut eps = vec![0.0; latents];
        for (draw, (point, peaks)) in points.iter().zip(peaks).enumerate() {
            match &shared {
                Some(shared) => {
                    eps.copy_from_slice(point);
                    add_loadings(&mut eps, loadings, &shared[draw]);
                }
                None if params.rank == 0 => eps.copy_from_slice(point),
                None => factor.times(point, &mut eps),
            }
            for (j, z) in z.iter_mut().enumerate() {
                *z = latent(params.has(FULL_RANK), guide, &eps, j);
            }
            add(&z, share, peaks);
        }
        for (j, drawn) in drawn.iter_mut().enumerate() {
            drawn.sort_unstable_by(f32::total_cmp);
            for (mut row, share) in quantiles.outer_iter_mut().zip(QUANTILES) {
                row[j] = drawn[(share * (drawn.len() - 1) as f32).round() as usize];
            }
        }
        sd.zip_mut_with(&mean, |s, m| *s = (*s - m * m).max(0.0).sqrt());
        bright
    };
    Zip::indexed(mean.outer_iter_mut())
        .and(sd.outer_iter_mut())
        .and(&mut brightness)
        .and(quantiles.outer_iter_mut())
        .par_for_each(|n, mean, sd, brightness, q| *brightness = one_pixel(n, mean, sd, q));
    let quantiles = [0, 1, 2].map(|q| match asked {
        true => quantiles.index_axis(Axis(1), q).to_owned(),
        false => Array2::zeros((0, k)),
    });
    OfPixels { mean, sd, brightness, quantiles, worth: None }
}

/// Lower Cholesky factor of `I + V V'`: what a pixel's loadings make of standard normals, when
/// nothing else is drawn with them.
struct Factor {
    rows: Vec<f32>,
    latents: usize,
}

impl Factor {
    fn new(loadings: &[f32], rank: usize, latents: usize) -> Self {
        let mut rows = vec![0.0f32; latents * latents];
        for j in 0..latents {
            for i in 0..=j {
                let product: f32 =
                    (0..rank).map(|r| loadings[j * rank + r] * loadings[i * rank + r]).sum();
                let known: f32 =
                    (0..i).map(|m| rows[j * latents + m] * rows[i * latents + m]).sum();
                let rest = product - known;
                rows[j * latents + i] = if i == j {
                    (1.0 + rest).max(1.0).sqrt()
                } else {
                    rest / rows[i * latents + i]
                };
            }
        }
        Factor { rows, latents }
    }

    fn times(&self, point: &[f32], to: &mut [f32]) {
        for (j, to) in to.iter_mut().enumerate() {
            let row = &self.rows[j * self.latents..][..=j];
            *to = row.iter().zip(point).map(|(f, x)| f * x).sum();
        }
    }
}
