//! The posterior beyond the guide: spectra with the pixels integrated out, and each pixel given the
//! spectra (docs/model.md, "Nested posterior"). The guide takes scene and pixels to be independent,
//! and a pixel to be normal in its logits; the nested posterior assumes neither.

mod alike;
mod amounts;
mod best_fit;
mod cut;
mod descend;
#[cfg(feature = "gpu")]
mod device;
mod dirichlet;
mod evidence;
mod factor;
mod forms;
mod gathered;
mod group;
mod information;
mod known;
mod learn;
mod learned_sums;
mod lost;
mod marginal;
mod mean;
mod memory;
mod mixture;
mod newton;
mod pixels;
mod power_normal;
mod products;
mod propose;
mod purity;
mod rest;
mod scene;
mod shared;
mod spread;
mod vector;
mod whiten;

use std::sync::Arc;

use ndarray::Array2;
use rayon::prelude::*;

use crate::engine::ground::error::{Error, Result};
use crate::engine::ground::lanes::LANES;
use crate::engine::ground::setting;
use crate::engine::guide::Guide;
use crate::engine::layout::{COVARIANCE, HELD, Params, VARIABILITY};
use crate::engine::pixels::Pixels;
use alike::alike;
use best_fit::best_fit;
#[cfg(feature = "gpu")]
pub use device::{KERNELS, Sizes};
#[cfg(feature = "gpu")]
pub(crate) use device::{OnDevice, is_taken};
pub use evidence::{AtRest, evidence, evidence_at_rest};
use group::Group;
use known::Known;
use learn::{Begin, Learned, WHOLE, learn};
pub use marginal::QUANTILES;
use mixture::Parted;
use newton::{NOISE, Newton, SMALL};
pub(crate) use pixels::Summary;
pub use pixels::{Drawn, PER_SCENE, SCENES, Scenes, WORTH};
use pixels::{Draws, MOST_ROUNDS};
use rest::{FEW, rest};
pub use scene::SceneNormal;
pub(crate) use scene::SpectraNormal;
pub use shared::{NOISE_SHAPES, SHAPES, Shared};

/// The most spectrum values, K times L, whose covariance is computed: matrices of their squares, up
/// to four of them, are held and inverted. Beyond, spectra have the guide's own sds.
pub const MOST_VALUES: usize = 4096;
/// Pixels in a block, which one thread takes at once and after which an interrupt is heard.
pub const BLOCK: usize = 16 * LANES;

/// The posterior of a scene's spectra, and what pixels need of the rest.
#[derive(Debug)]
pub struct Nested<'a> {
    guide: &'a Guide,
    of: Pixels,
    known: Arc<Known>,
    scene: Arc<SceneNormal>,
    /// Length of each of Newton's steps, in posterior sds, root mean square over the values. The
    /// last one was not taken.
    pub steps: Vec<f64>,
}

/// Products that a covariance of spectra may cost in any scene, and for each of its pixels: with
/// fewer of these a second of work is out of proportion, and what it says is little.
const PRODUCTS: u64 = 2_000_000_000;
const PRODUCTS_A_PIXEL: u64 = 10_000_000;

/// Whether the covariance of so many spectrum values is computed from so many pixels.
fn is_worth_a_covariance(values: usize, pixels: usize) -> bool {
    let most = PRODUCTS.max((pixels as u64).saturating_mul(PRODUCTS_A_PIXEL));
    values <= MOST_VALUES && (values as u64).pow(3) <= most
}

/// Refuses fits whose pixels have no posterior of their own.
///
/// # Errors
///
/// [`Error::Setting`] with covariance noise.
pub fn check(params: &Params) -> Result<()> {
    if params.has(COVARIANCE) {
        return Err(Error::setting(
            setting::POSTERIOR,
            "exact",
            "does not go with a noise covariance: its pixels need bands that stand for themselves",
        ));
    }
    Ok(())
}

impl<'a> Nested<'a> {
    /// The nested posterior of a guide's pixels. Where spectra are held or many, they stay at the
    /// guide's locs. Else Newton's method takes the spectra to the mode of their own posterior,
    /// first given at most 2,048 of the pixels, at which noise and variability are learned, then
    /// given all; each step costs 64 draws a pixel. With a common mixture it takes all pixels
    /// without the mixture from the beginning, and noise and variability are learned around the
    /// guide's spectra. A Dirichlet that was learned, too, is that of the pixels; spectra have the
    /// guide's. `from` are spectra, (K, L), that some of the pixels are known to have come to rest
    /// at: where they are more probable than the guide's, the way is shorter from there. None when
    /// `interrupted`.
    ///
    /// # Errors
    ///
    /// What [`check`] refuses; [`Error::Fit`] when the fit is not finite.
    pub fn new(
        guide: &'a Guide,
        of: &Pixels,
        from: Option<&[f64]>,
        interrupted: &(dyn Fn() -> bool + Sync),
    ) -> Result<Option<Self>> {
        let p = &guide.params;
        check(p)?;
        let held = p.has(HELD) || !is_worth_a_covariance(p.k() * p.bands as usize, of.count());
        let of_guide = SceneNormal::of_guide(guide);
        let found = if held || guide.model.common.is_some() {
            let mut known = Known::of(guide);
            let spectra = of_guide.spectra.centre();
            let few = of.part(FEW);
            let sparser = held && rest::may_be_sparser(guide, &known, few.cube(), &spectra);
            let begin = Begin { spectra, held, sparser, shared: None };
            let learned = learn(&mut known, guide, of.cube(), begin, WHOLE, interrupted);
            learned.map(|learned| (known, learned))
        } else {
            // Most of the way costs a part of the pixels only.
            rest(guide, &of.part(FEW), from, interrupted)?
        };
        let Some((mut known, Learned { spectra, shared, .. })) = found else { return Ok(None) };
        let shared = p.has(VARIABILITY).then_some(shared);
        if held {
            let scene = SceneNormal { shared, ..of_guide };
            let nested = Nested::of(guide, of, known, scene, vec![0.0]);
            nested.check_finite()?;
            return Ok(Some(nested));
        }
        let Parted { others, mixture } = mixture::part(&known, of, &spectra);
        // A sparser Dirichlet leaves nothing of other materials in dark pixels, and spectra of dark
        // materials would have their light.
        let expected = known.as_expected();
        let newton = Newton {
            guide,
            known: &expected,
            of: &others,
            small: SMALL,
            worth: newton::worth(others.count()),
            interrupted,
        };
        let (spectra, steps) = match newton.run(spectra) {
            Ok(found) => found,
            Err(Error::Interrupted) => return Ok(None),
            // No way leads on from a fit that is none: spectra stay where it has them.
            Err(Error::Fit(_)) => (of_guide.spectra, vec![f64::INFINITY]),
            Err(error) => return Err(error),
        };
        let scene = SceneNormal { spectra, shared, mixture };
        if let Some(shared) = &scene.shared {
            // As whoever is given this posterior has it.
            known.share(shared, &scene.spectra.centre());
        }
        known.mixed(scene.mixture.as_deref());
        let nested = Nested::of(guide, of, known, scene, steps);
        nested.check_finite()?;
        Ok(Some(nested))
    }

    /// The nested posterior of pixels whose scene is known: latents of the scene are the guide's,
    /// but for the spectra, which are those of `scene`. The guide's own pixels are not looked at.
    ///
    /// # Errors
    ///
    /// What [`check`] refuses, and [`Error::Fit`] where sizes do not agree.
    pub fn given(guide: &'a Guide, of: &Pixels, scene: &SceneNormal) -> Result<Self> {
        check(&guide.params)?;
        let size = guide.k() * guide.params.bands as usize;
        let found = scene.spectra.size();
        if found != Some(size) || of.bands() != guide.params.bands as usize {
            return Err(Error::Fit(format!(
                "the posterior of the spectra has {} values, the guide {size}, and the pixels {} \
                 bands",
                found.map_or("parts with different numbers of".into(), |n| n.to_string()),
                of.bands()
            )));
        }
        let mut known = Known::of(guide);
        if let Some(shared) = &scene.shared {
            known.share(shared, &scene.spectra.centre());
        }
        known.mixed(scene.mixture.as_deref());
        let nested = Nested::of(guide, of, known, scene.clone(), vec![0.0]);
        nested.check_finite()?;
        Ok(nested)
    }

    fn of(
        guide: &'a Guide,
        of: &Pixels,
        known: Known,
        scene: SceneNormal,
        steps: Vec<f64>,
    ) -> Self {
        let (known, scene) = (Arc::new(known), Arc::new(scene));
        Nested { guide, of: of.clone(), known, scene, steps }
    }

    fn check_finite(&self) -> Result<()> {
        let globals = &self.guide.globals[..self.guide.params.globals as usize];
        match globals.iter().all(|x| x.is_finite()) {
            true => Ok(()),
            false => Err(not_finite()),
        }
    }

    /// The posterior of other pixels of the same scene: what is known of the scene stays.
    pub(crate) fn on(&self, of: &Pixels) -> Self {
        let (known, scene) = (Arc::clone(&self.known), Arc::clone(&self.scene));
        Nested { guide: self.guide, of: of.clone(), known, scene, steps: self.steps.clone() }
    }

    /// The posterior of the spectra.
    pub fn scene(&self) -> SceneNormal {
        self.scene.as_ref().clone()
    }

    pub(crate) fn params(&self) -> &'a Params {
        &self.guide.params
    }

    pub(crate) fn guide(&self) -> &'a Guide {
        self.guide
    }

    pub(crate) fn pixels(&self) -> &Pixels {
        &self.of
    }

    /// Total concentration of the abundances' Dirichlet.
    pub fn concentration(&self) -> f64 {
        self.known.alpha.into()
    }

    /// False where Newton's method did not come to rest: spectra are then where it began, or the
    /// best of those that it saw, by evidence.
    pub fn settled(&self) -> bool {
        self.steps.last().is_some_and(|&step| step < NOISE)
    }

    /// The first `count` draws of the spectra, reflectance: draws, then endmembers, then bands.
    /// Each second one is the mirror image of the one before.
    pub fn spectra(&self, count: usize) -> Vec<Vec<Vec<f64>>> {
        let (p, bands) = (self.params(), self.params().bands as usize);
        let pair = |pair: usize| -> [Vec<Vec<f64>>; 2] {
            let two = self.scene.spectra.pair(p.key(), pair as u32);
            two.map(|values| values.chunks_exact(bands).map(<[f64]>::to_vec).collect())
        };
        let pairs: Vec<[Vec<Vec<f64>>; 2]> =
            (0..count.div_ceil(2)).into_par_iter().map(pair).collect();
        pairs.into_iter().flatten().take(count).collect()
    }

    /// What the pixels need of draws of the spectra, reflectance, which [`Nested::spectra`] gives,
    /// of which the first [`SCENES`] are taken; `heights` are what the spectra of each draw are
    /// divided by, (K).
    pub fn scenes(&self, spectra: &[Vec<Vec<f64>>], heights: &[Vec<f64>]) -> Scenes {
        let narrow = |heights: &Vec<f64>| heights.iter().map(|&h| h as f32).collect();
        let drawn = spectra.iter().take(SCENES);
        let spectra: Vec<Vec<f32>> = drawn.map(|c| self.known.by_bands(&c.concat())).collect();
        let mut group = Group::new(&self.known);
        let common = match &self.known.mixture {
            Some(mixture) => spectra.iter().map(|c| mixture.shift_given(c, &mut group)).collect(),
            None => Vec::new(),
        };
        let centre = self.known.by_bands(&self.scene.spectra.centre());
        Scenes {
            alike: alike(&self.known, &centre, &spectra),
            centre,
            common,
            spectra,
            heights: heights.iter().take(SCENES).map(narrow).collect(),
        }
    }

    /// Number of blocks of [`BLOCK`] pixels.
    pub fn blocks(&self) -> usize {
        self.of.count().div_ceil(BLOCK)
    }

    /// The pixels of one block in groups of at most [`LANES`], in the engine's order.
    fn groups(&self, block: usize) -> impl Iterator<Item = Vec<usize>> {
        let count = self.of.count();
        (block * BLOCK..count.min((block + 1) * BLOCK))
            .step_by(LANES)
            .map(move |first| group_at(first, count))
    }

    fn draws<'b>(&'b self, scenes: &'b Scenes) -> Draws<'b> {
        Draws::new(&self.known, scenes, self.params().key())
    }

    /// Moments and quantiles of the pixels of one block, in the engine's order. Pixels whose draws
    /// are worth too little in the first round go on side by side, those alike together.
    pub(crate) fn summary(&self, block: usize, scenes: &Scenes) -> Summary {
        let (cube, first) = (self.of.cube(), block * BLOCK);
        let count = BLOCK.min(self.of.count() - first);
        let mut draws = self.draws(scenes);
        let mut summary = Summary::zeros(count, self.known.k);
        for pixels in self.groups(block) {
            draws.summary(cube, &pixels, 1, (first, &mut summary));
        }
        let worth = |pixel: &usize| summary.worth[pixel - first];
        let mut left: Vec<usize> =
            (first..first + count).filter(|p| worth(p).is_nan() || worth(p) < WORTH).collect();
        left.sort_by(|a, b| worth(b).total_cmp(&worth(a)));
        for pixels in left.chunks(LANES) {
            draws.summary(cube, pixels, MOST_ROUNDS, (first, &mut summary));
        }
        summary
    }

    /// Where the pixels of one block lie, in the engine's order, without their uncertainty.
    pub(crate) fn placed(&self, block: usize, scenes: &Scenes) -> Summary {
        let mut draws = self.draws(scenes);
        let mut summary = Summary::default();
        for pixels in self.groups(block) {
            draws.placed(self.of.cube(), &pixels, &mut summary);
        }
        summary
    }

    /// The amounts of each pixel that fit best with the spectra that stand for all, (N, K), and
    /// what they leave, (N, L), reflectance, in the engine's order.
    pub(crate) fn best_fit(&self) -> (Array2<f64>, Array2<f64>) {
        let spectra = self.scene.spectra.centre();
        best_fit(&self.known, self.of.cube(), self.params().key(), &spectra)
    }

    /// Weighted draws of the pixels of one block, in the engine's order: [`PER_SCENE`] for each
    /// draw of the scene in turn, weights with sum 1.
    pub fn drawn(&self, block: usize, scenes: &Scenes) -> Vec<Drawn> {
        let mut draws = self.draws(scenes);
        self.groups(block).flat_map(|pixels| draws.drawn(self.of.cube(), &pixels)).collect()
    }

    /// Equal draws of the pixels of one block, in the engine's order: a row of K given each draw of
    /// the scene, those of a pixel side by side.
    pub fn equal(&self, block: usize, scenes: &Scenes) -> Vec<Vec<f32>> {
        let mut draws = self.draws(scenes);
        self.groups(block).flat_map(|pixels| draws.equal(self.of.cube(), &pixels)).collect()
    }
}

/// The pixels from `first` on, at most [`LANES`] of `count`.
fn group_at(first: usize, count: usize) -> Vec<usize> {
    (first..count.min(first + LANES)).collect()
}

fn not_finite() -> Error {
    Error::Fit(
        "the fit is not finite, so pixels have no posterior given it; use the guide's posterior"
            .into(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_covariance_is_in_proportion_to_the_pixels() {
        // Samson, a small scene with many materials, and the largest that there is.
        assert!(is_worth_a_covariance(468, 9025) && is_worth_a_covariance(1200, 36));
        assert!(is_worth_a_covariance(MOST_VALUES, 9000));
        assert!(!is_worth_a_covariance(MOST_VALUES + 1, usize::MAX));
        assert!(!is_worth_a_covariance(3600, 12) && !is_worth_a_covariance(usize::MAX, 1));
    }
}
