//! What a fit found: means, standard deviations and intervals, in the scene's own units.

pub mod covariance;
pub mod doubts;
pub mod draws;
pub mod nested;
mod of_scene;
pub(crate) mod peaks;
pub mod sampled;
pub(crate) mod scene_guide;
mod totals;

pub(crate) use of_scene::OfScene;
pub use totals::Totals;

use ndarray::{Array1, Array2, Array3, ArrayViewMut1, ArrayViewMut2, Axis, Zip};
use rayon::prelude::*;

use self::nested::{Nested, Summary};
use crate::convention::{Convention, without_traces};
use crate::engine::backend::Device;
#[cfg(feature = "gpu")]
use crate::engine::backend::device::Place;
#[cfg(feature = "gpu")]
use crate::engine::backend::gpu::Adapter;
use crate::engine::ground::error::Result;
use crate::engine::ground::rng;
use crate::engine::guide::Guide;
use crate::engine::guide::transform::add_loadings;
use crate::engine::guide::transform::latent;
use crate::engine::layout::{BRIGHTNESS, FULL_RANK};
use crate::engine::pixels::Pixels;
use crate::posterior::covariance::noise_of;
use crate::posterior::scene_guide::{SceneGuide, shared};

/// The posterior of one fit in one convention. N pixels (the scene's valid ones), K endmembers, L
/// bands in use. Spectra are in reflectance, or relative to their peak ([`Convention::Peak`]).
#[derive(Debug, Clone)]
pub struct Posterior {
    /// What an abundance is a share of.
    pub convention: Convention,
    /// Mean abundances, (N, K), each row on the simplex.
    pub abundance_mean: Array2<f32>,
    /// Standard deviations of the abundances, (N, K).
    pub abundance_sd: Array2<f32>,
    /// 5 % quantiles of the abundances, (N, K). In draws abundances below 0.0001 are none.
    pub abundance_q05: Array2<f32>,
    /// Medians of the abundances, (N, K).
    pub abundance_q50: Array2<f32>,
    /// 95 % quantiles of the abundances, (N, K).
    pub abundance_q95: Array2<f32>,
    /// How many independent draws the weighted draws of each pixel are worth (their effective
    /// sample size), (N); none for the guide's posterior, whose draws have no weights.
    pub draws_worth: Option<Array1<f32>>,
    /// Mean brightness of each pixel, (N): what its mixture is multiplied by. None where that is
    /// one for all, [`Convention::has_brightness`].
    pub brightness: Option<Array1<f32>>,
    /// Mean endmember spectra, (K, L).
    pub endmember_mean: Array2<f64>,
    /// Standard deviations of the endmember spectra, (K, L).
    pub endmember_sd: Array2<f64>,
    /// 5 % quantiles of the endmember spectra, (K, L).
    pub endmember_q05: Array2<f64>,
    /// 95 % quantiles of the endmember spectra, (K, L).
    pub endmember_q95: Array2<f64>,
    /// Sd of each endmember between pixels, (K, L); none when the model has no variability.
    pub variability: Option<Array2<f64>>,
    /// Noise standard deviation of each band, (L), reflectance.
    pub noise_sd: Vec<f64>,
    /// Noise correlation of the bands, (L, L); none when the model has none.
    pub noise_correlation: Option<Array2<f64>>,
    /// Total concentration of the abundances' Dirichlet: given, or its posterior median.
    pub concentration: f64,
    /// Mean abundance over the scene, (K): mean of `abundance_mean`.
    pub mean_abundance: Vec<f64>,
    /// Root mean square over bands of `y - mean fit`, for each pixel, (N), reflectance.
    pub residual: Vec<f32>,
}

/// What the posterior says of the pixels, in the engine's order.
struct OfPixels {
    mean: Array2<f32>,
    sd: Array2<f32>,
    brightness: Array1<f32>,
    /// 5 %, 50 % and 95 % quantiles.
    quantiles: [Array2<f32>; 3],
    worth: Option<Array1<f32>>,
}

/// Draws of a pixel's latents behind its mean and sd: half of them points, half their mirror
/// images.
const DRAWS: usize = 64;
/// Draws behind the mean and sd of a pixel where scene and pixels are drawn together from a
/// low-rank guide: what they share is then random, not low-discrepancy points.
const JOINT_DRAWS: usize = 256;

impl Posterior {
    /// The posterior that a guide of these pixels stands for. In reflectance, endmember and noise
    /// moments are exact (quadrature, monotone transforms); abundance moments are averages over a
    /// fixed low-discrepancy set; a convention is applied to each draw, not to means.
    pub fn new(guide: &Guide, of: &Pixels, convention: Convention) -> Self {
        let params = &guide.params;
        let scene = SceneGuide { guide };
        // Peaks and abundances of one draw belong together where the guide lets them correlate.
        let joint = params.rank > 0 && convention == Convention::Peak;
        let draws = if joint { JOINT_DRAWS } else { DRAWS };
        let (spectra, peaks) = match convention {
            Convention::Reflectance => (scene.reflectance(), vec![vec![1.0; params.k()]; draws]),
            Convention::Peak => scene.relative_to_peak(draws),
        };
        let shared = joint.then(|| (0..draws as u32).map(|draw| shared(params, draw)).collect());
        let moments = pixels(guide, &peaks, shared);
        Self::of(&scene, of, convention, spectra, moments, &mean_of_rows(&peaks))
    }

    /// The nested posterior ([`Nested`]): spectra with the pixels integrated out, and pixels given
    /// the spectra. All moments and quantiles are those of draws. None when `interrupted`.
    pub fn nested(
        nested: &Nested,
        convention: Convention,
        interrupted: &(dyn Fn() -> bool + Sync),
    ) -> Option<Self> {
        Self::nested_in(&OfScene::new(nested, convention), nested, interrupted)
    }

    /// [`Posterior::nested`] where draws of the spectra have been made: those of other pixels of
    /// the scene.
    pub(crate) fn nested_in(
        scene: &OfScene,
        nested: &Nested,
        interrupted: &(dyn Fn() -> bool + Sync),
    ) -> Option<Self> {
        let of_block = |block| match interrupted() {
            true => None,
            false => Some(nested.summary(block, &scene.scenes)),
        };
        let blocks: Option<Vec<Summary>> =
            (0..nested.blocks()).into_par_iter().map(of_block).collect();
        Some(scene.with(nested, &blocks?))
    }

    /// [`Posterior::nested`] with the pixels' posterior computed on a device. The CPU computes it
    /// for software drivers, which run on the processor, too, and where spectra vary along shapes
    /// that bands share, which the kernels do not know.
    ///
    /// # Errors
    ///
    /// [`Error::Device`](crate::Error::Device) where the device has no room for the scene's
    /// endmembers and bands, [`Error::DeviceLost`](crate::Error::DeviceLost) where it fails.
    pub async fn nested_on(
        nested: &Nested<'_>,
        convention: Convention,
        device: &Device,
        interrupted: &(dyn Fn() -> bool + Sync),
    ) -> Result<Option<Self>> {
        let scene = OfScene::new(nested, convention);
        Posterior::nested_in_on(&scene, nested, device, interrupted).await
    }

    /// [`Posterior::nested_on`] where draws of the spectra have been made.
    pub(crate) async fn nested_in_on(
        scene: &OfScene,
        nested: &Nested<'_>,
        device: &Device,
        interrupted: &(dyn Fn() -> bool + Sync),
    ) -> Result<Option<Self>> {
        #[cfg(feature = "gpu")]
        if let Place::Gpu(adapter) = &device.place
            && Posterior::leaves_to_cpu(device, nested).is_none()
        {
            let on_device = nested::OnDevice::new(nested, &scene.scenes, adapter).await?;
            let found = on_device.summaries(interrupted).await?;
            return Ok(found.map(|blocks| scene.with(nested, &blocks)));
        }
        let _ = device;
        Ok(Posterior::nested_in(scene, nested, interrupted))
    }

    /// Why a device that is not the CPU leaves the pixels to it; none where it computes them, and
    /// of the CPU itself.
    pub(crate) fn leaves_to_cpu(device: &Device, nested: &Nested<'_>) -> Option<&'static str> {
        #[cfg(feature = "gpu")]
        if let Place::Gpu(adapter) = &device.place {
            if adapter.is_software() {
                return Some("the CPU computes pixels faster than a software adapter");
            }
            if !nested::is_taken(nested) {
                return Some("there are no kernels for so many endmembers");
            }
        }
        let _ = (device, nested);
        None
    }

    /// [`Posterior::nested`] with the pixels' posterior computed by the kernels of an adapter, be
    /// it hardware or not.
    ///
    /// # Errors
    ///
    /// [`Error::Device`](crate::Error::Device) where the kernels have no room for the scene's
    /// endmembers and bands, [`Error::DeviceLost`](crate::Error::DeviceLost) where the device
    /// fails.
    #[cfg(feature = "gpu")]
    pub async fn nested_by(
        nested: &Nested<'_>,
        convention: Convention,
        adapter: &Adapter,
        interrupted: &(dyn Fn() -> bool + Sync),
    ) -> Result<Option<Self>> {
        let scene = OfScene::new(nested, convention);
        let on_device = nested::OnDevice::new(nested, &scene.scenes, adapter).await?;
        let found = on_device.summaries(interrupted).await?;
        Ok(found.map(|blocks| scene.with(nested, &blocks)))
    }

    /// Where the abundances of each pixel lie, without any uncertainty of pixels: those that fit
    /// best, in a fiftieth of the time of [`Posterior::nested`]. Standard deviations and quantiles
    /// of abundances are NaN.
    pub fn placed(nested: &Nested, convention: Convention) -> Self {
        let scene = OfScene::new(nested, convention);
        let of_block = |block| nested.placed(block, &scene.scenes);
        let blocks: Vec<Summary> = (0..nested.blocks()).into_par_iter().map(of_block).collect();
        scene.with(nested, &blocks)
    }

    /// A posterior of its moments. `pixels` are means and sds of abundances and mean brightness,
    /// `heights` what spectra were divided by, mean over draws.
    fn of(
        scene: &SceneGuide,
        of: &Pixels,
        convention: Convention,
        [mean, sd, q05, q95]: [Array2<f64>; 4],
        pixels: OfPixels,
        heights: &Array1<f64>,
    ) -> Self {
        let params = &scene.guide.params;
        let OfPixels { mean: abundance_mean, sd: abundance_sd, .. } = pixels;
        let [abundance_q05, abundance_q50, abundance_q95] = pixels.quantiles;
        let mean_of =
            |k: usize| abundance_mean.column(k).iter().map(|&w| f64::from(w)).sum::<f64>();
        let (noise_sd, noise_correlation) = noise_of(scene.guide);
        let posterior = Posterior {
            convention,
            mean_abundance: (0..params.k())
                .map(|k| mean_of(k) / of.count().max(1) as f64)
                .collect(),
            abundance_mean,
            abundance_sd,
            abundance_q05,
            abundance_q50,
            abundance_q95,
            brightness: convention
                .has_brightness(params.has(BRIGHTNESS))
                .then_some(pixels.brightness),
            draws_worth: pixels.worth,
            endmember_mean: mean,
            endmember_sd: sd,
            endmember_q05: q05,
            endmember_q95: q95,
            variability: scene.variability(heights),
            noise_sd,
            noise_correlation,
            concentration: scene.concentration(),
            residual: Vec::new(),
        };
        let residual = posterior.residual(of);
        posterior.restored(of, residual)
    }

    /// The posterior with its rows in the order of the cube that the pixels of the fit were made
    /// of.
    fn restored(self, of: &Pixels, residual: Array1<f32>) -> Self {
        Posterior {
            abundance_mean: of.restore(self.abundance_mean),
            abundance_sd: of.restore(self.abundance_sd),
            abundance_q05: of.restore(self.abundance_q05),
            abundance_q50: of.restore(self.abundance_q50),
            abundance_q95: of.restore(self.abundance_q95),
            draws_worth: self.draws_worth.map(|values| of.restore(values)),
            brightness: self.brightness.map(|values| of.restore(values)),
            residual: of.restore(residual).to_vec(),
            ..self
        }
    }

    /// The mean fit of a pixel, (L), reflectance.
    pub fn fitted(&self, pixel: usize) -> Array1<f64> {
        let bright = self.brightness.as_ref().map_or(1.0, |all| f64::from(all[pixel]));
        let amounts = self.abundance_mean.row(pixel).mapv(|w| bright * f64::from(w));
        amounts.dot(&self.endmember_mean)
    }

    /// Root mean square over bands of what the mean fit leaves, for each pixel.
    fn residual(&self, of: &Pixels) -> Array1<f32> {
        let cube = of.cube();
        let one = |n: usize| {
            let off = |(&y, mu): (&f32, &f64)| (f64::from(y) - mu).powi(2);
            let square: f64 = cube.spectrum(n).iter().zip(&self.fitted(n)).map(off).sum();
            (square / cube.bands() as f64).sqrt() as f32
        };
        (0..cube.pixels()).into_par_iter().map(one).collect::<Vec<f32>>().into()
    }

    /// What it says of the scene, without the pixels.
    pub fn of_no_pixels(&self) -> Self {
        let none = || Array2::zeros((0, self.endmember_mean.nrows()));
        Posterior {
            abundance_mean: none(),
            abundance_sd: none(),
            abundance_q05: none(),
            abundance_q50: none(),
            abundance_q95: none(),
            draws_worth: self.draws_worth.as_ref().map(|_| Array1::zeros(0)),
            brightness: self.brightness.as_ref().map(|_| Array1::zeros(0)),
            residual: Vec::new(),
            ..self.clone()
        }
    }

    /// The posterior with its endmembers in another order: `order[i]` is the one that becomes
    /// number i.
    pub fn in_order(&self, order: &[usize]) -> Self {
        Posterior {
            abundance_mean: self.abundance_mean.select(Axis(1), order),
            abundance_sd: self.abundance_sd.select(Axis(1), order),
            abundance_q05: self.abundance_q05.select(Axis(1), order),
            abundance_q50: self.abundance_q50.select(Axis(1), order),
            abundance_q95: self.abundance_q95.select(Axis(1), order),
            endmember_mean: self.endmember_mean.select(Axis(0), order),
            endmember_sd: self.endmember_sd.select(Axis(0), order),
            endmember_q05: self.endmember_q05.select(Axis(0), order),
            endmember_q95: self.endmember_q95.select(Axis(0), order),
            variability: self.variability.as_ref().map(|v| v.select(Axis(0), order)),
            mean_abundance: order.iter().map(|&i| self.mean_abundance[i]).collect(),
            ..self.clone()
        }
    }
}

/// Mean over draws, (K).
fn mean_of_rows<T: Copy + Into<f64>>(draws: &[Vec<T>]) -> Array1<f64> {
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

/// Moments and quantiles of the abundances, and mean brightness, of every pixel. With h the `peaks`
/// of a draw, abundances become `W_k h_k / sum_j W_j h_j` and brightness takes the factor: the
/// mixture stays. With `shared` the draws of a low-rank guide are those of the peaks, without it
/// each pixel's own.
fn pixels(guide: &Guide, peaks: &[Vec<f32>], shared: Option<Vec<Vec<f32>>>) -> OfPixels {
    let params = &guide.params;
    let (n, k, latents) = (params.pixels as usize, params.k(), params.latents as usize);
    let mut mean = Array2::<f32>::zeros((n, k));
    let mut sd = Array2::<f32>::zeros((n, k));
    let mut brightness = Array1::<f32>::ones(n);
    let mut quantiles = Array3::<f32>::zeros((n, 3, k));
    let points = points(latents, peaks.len());
    let share = 1.0 / points.len() as f32;
    let one_pixel = |n: usize,
                     mut mean: ArrayViewMut1<f32>,
                     mut sd: ArrayViewMut1<f32>,
                     mut quantiles: ArrayViewMut2<f32>| {
        let guide = guide.pixel(n);
        let mut w = vec![0.0; k];
        let mut bright = 0.0;
        let mut drawn = vec![Vec::with_capacity(peaks.len()); k];
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
                drawn.push(*w);
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
            for (q, share) in nested::QUANTILES.into_iter().enumerate() {
                quantiles[[q, j]] = drawn[(share * (drawn.len() - 1) as f32).round() as usize];
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
    let quantiles = [0, 1, 2].map(|q| quantiles.index_axis(Axis(1), q).to_owned());
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
