//! What a fit found: means, standard deviations and intervals, in the scene's own units.

pub mod covariance;
pub mod doubts;
pub mod draws;
mod means;
pub mod nested;
mod of_pixels;
mod of_scene;
pub(crate) mod peaks;
pub mod sampled;
pub(crate) mod scene_guide;
mod totals;

pub(crate) use means::Means;
pub(crate) use of_scene::OfScene;
pub use totals::Totals;

use ndarray::{Array1, Array2, Axis};
use rayon::prelude::*;

use self::means::{mean_of_columns, mixture};
use self::nested::{Nested, Summary};
use self::of_pixels::{OfGuide, OfPixels, mean_of_rows};
use crate::convention::Convention;
use crate::engine::backend::Device;
#[cfg(feature = "gpu")]
use crate::engine::backend::device::Place;
#[cfg(feature = "gpu")]
use crate::engine::backend::gpu::Adapter;
use crate::engine::ground::error::Result;
use crate::engine::guide::Guide;
use crate::engine::layout::BRIGHTNESS;
use crate::engine::pixels::Pixels;
use crate::posterior::covariance::noise_of;
use crate::posterior::scene_guide::SceneGuide;

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

impl Posterior {
    /// The posterior that a guide of these pixels stands for. In reflectance, endmember and noise
    /// moments are exact (quadrature, monotone transforms); abundance moments are averages over a
    /// fixed low-discrepancy set; a convention is applied to each draw, not to means.
    pub fn new(guide: &Guide, of: &Pixels, convention: Convention) -> Self {
        let scene = SceneGuide { guide };
        let OfGuide { spectra, heights, pixels } = OfGuide::new(guide, convention, true);
        Self::of(&scene, of, convention, spectra, pixels, &heights)
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
        let (noise_sd, noise_correlation) = noise_of(scene.guide);
        let posterior = Posterior {
            convention,
            mean_abundance: mean_of_columns(&abundance_mean),
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
        let brightness = self.brightness.as_ref();
        mixture(&self.abundance_mean, brightness, &self.endmember_mean, pixel)
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
