//! From settings to what the engine is told: every default and every rule, once.

use std::sync::Arc;

use super::Unmixing;
use crate::convention::Convention;
use crate::engine::backend::memory_needed;
use crate::engine::ground::error::{Error, Result};
use crate::engine::ground::setting;
use crate::engine::layout::{Buf, Params};
use crate::engine::model::{
    BRIGHTNESS_SD, CONCENTRATION_SD, Common, EFFECTIVE_BANDS, Family, Held, Model, Noise,
    VARIABILITY_SCALE,
};
use crate::engine::pixels::{Pixels, all_but};
use crate::engine::svi;
use crate::event::Event;
use crate::posterior::{nested, sampled};
use crate::scene::Scene;
use crate::search;
use crate::settings::{Concentration, EffectiveBands, PosteriorKind, SearchBudget, Spectra};
use crate::starts::{self, Init};
use crate::statistics::effective::{default_bands, independent_bands};
use crate::statistics::neighbours::residual_correlation;
use crate::statistics::outliers::{are_few, outliers};
use crate::statistics::repeats::without_repeats;

/// The most pixels that spectra, noise and variability are learned from, where each pixel then has
/// its exact posterior: as many as are searched whole, so that the fit goes on where the search
/// ended.
pub const LEARNED_FROM: usize = search::MOST_PIXELS;

/// The fewest pixels that spectra are learned from where a device has little room, of a scene that
/// has more.
const FEWEST: usize = 2_000;

/// Median of the prior of the sd of log brightness, where it is learned, and sd of its log: from
/// none to be seen to deep shade.
const SHADE_MEDIAN: f64 = 0.3;
const SHADE_SPREAD: f64 = 1.5;

/// The most that residuals of neighbouring pixels correlate where the model is taken to hold. They
/// do by 0.04 at most in simulated scenes whose bands err together, and by 0.4 to 0.6 in real ones
/// (docs/evidence.md).
const ALIKE: f64 = 0.15;

/// Steps below which a search would cost far more than the fit.
pub const WORTH_A_SEARCH: u32 = 1000;

/// Pixels of a scene, and what a fit learns the scene from.
#[derive(Debug, Clone)]
pub(super) struct Taken {
    /// All of them.
    pub pixels: Pixels,
    /// Those that the scene is learned from.
    pub learned: Pixels,
    /// Whether these are all of them, but for outliers.
    pub whole: bool,
    /// Rows in the scene's cube, ascending, of the pixels unlike all others that were looked for
    /// among those to learn from; none where nobody looked.
    pub outliers: Option<Vec<usize>>,
    /// Whether they are too many to be outliers: they are learned from, too.
    pub too_many: bool,
}

impl Taken {
    /// All pixels, and a few of them to learn from, without a look at any.
    pub fn in_a_hurry(scene: &Scene) -> Self {
        let pixels = Pixels::as_given(Arc::clone(scene.shared_cube()));
        let learned = Pixels::sample(scene.cube(), LEARNED_FROM);
        Taken { pixels, learned, whole: false, outliers: None, too_many: false }
    }

    /// Outliers that the scene is learned without, rows in its cube.
    pub fn aside(&self) -> &[usize] {
        self.outliers.as_deref().filter(|_| !self.too_many).unwrap_or_default()
    }
}

/// What a fit of K endmembers does.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    /// The model of the fit that is reported; the weight of its likelihood comes with the scene.
    pub model: Model,
    /// The model of the fit that finds the spectra first, where there is one.
    pub first: Option<Model>,
    pub svi: svi::Settings,
    pub convention: Convention,
    pub spectra: Spectra,
    pub posterior: PosteriorKind,
    posterior_is_asked: bool,
    /// Whether bands err together, and neighbouring pixels, too.
    errs: bool,
    /// Whether a common mixture was asked for, or refused, or decided on by a search.
    pub common: Option<bool>,
    /// Whether pixels differ in brightness, where a search decided on it.
    pub shade: Option<bool>,
    shade_is_asked: bool,
    spectra_is_asked: bool,
    /// Whether the concentration of the abundances is learned, where a search decided on it.
    pub concentration: Option<bool>,
    /// The one start; none: a search finds it.
    pub init: Option<Init>,
    pub search: search::Settings,
    /// Whether pixels unlike all others are left out where the scene is learned.
    outliers_aside: bool,
    /// Bytes that the run may take on its device; none: as many as it has.
    device_memory: Option<u64>,
}

impl Plan {
    /// # Errors
    ///
    /// [`Error::Setting`] for settings that do not go together or lie outside of their range.
    pub fn new(of: &Unmixing, endmembers: usize) -> Result<Self> {
        let init = of.init.clone().or_else(|| of.is_quick().then_some(Init::Vca));
        let spectra = spectra(of, init.as_ref())?;
        let held = match spectra {
            Spectra::Joint => Held::Nothing,
            Spectra::First => Held::SpectraAndVariability,
            Spectra::Given => Held::Spectra,
        };
        let model = Model { held, ..model(of, endmembers) };
        svi::check(&model, &of.svi)?;
        sampled::check(of.draws)?;
        search::check(&of.search_settings())?;
        // Spectra that come first, come from a fit with brightness.
        let first = (spectra == Spectra::First).then(|| Model {
            brightness: Some(shade(of)),
            held: Held::Nothing,
            ..model.clone()
        });
        Ok(Plan {
            first,
            model,
            spectra,
            init,
            svi: of.svi.clone(),
            convention: convention(of),
            posterior: posterior(of),
            posterior_is_asked: of.posterior.is_some(),
            errs: false,
            common: of.common_mixture,
            shade: None,
            concentration: None,
            shade_is_asked: of.brightness.is_some() || !of.learn_shade,
            spectra_is_asked: of.spectra.is_some(),
            search: of.search_settings(),
            outliers_aside: of.outliers_aside,
            device_memory: of.device_memory,
        })
    }

    /// The model that the search and the first steps have.
    pub fn searched(&self) -> &Model {
        self.first.as_ref().unwrap_or(&self.model)
    }

    /// Sizes of the largest run, with everything checked against so many pixels and bands.
    pub fn sizes(&self, size: (usize, usize)) -> Result<Params> {
        if self.posterior == PosteriorKind::Exact {
            nested::check(&svi::params(&self.model, &self.svi, size)?)?;
        }
        svi::params(self.searched(), &self.svi, size)
    }

    /// The pixels of a scene, and those that it is learned from: all of a small scene, or where the
    /// posterior is that of the guide, which must have met each pixel; of a large one a sample.
    /// What a pixel adds to spectra and noise beyond some ten thousand others is less than what it
    /// costs. Outliers are left out of those that it is learned from.
    pub fn pixels(&self, scene: &Scene) -> Result<Taken> {
        let (cube, k) = (scene.shared_cube(), self.model.endmembers);
        let most = self.learned_from(scene.file_bands(), cube.pixels())?;
        if cube.pixels() <= most {
            let pixels = scene.pixels();
            let found = self.outliers_aside.then(|| outliers(cube, k));
            let too_many = are_too_many(found.as_deref(), cube.pixels(), 0);
            let taken =
                Taken { learned: pixels.clone(), pixels, whole: true, outliers: found, too_many };
            let learned = taken.pixels.without_rows(taken.aside());
            return Ok(Taken { learned, ..taken });
        }
        let learned = starts::learned_from(cube, k, most, self.svi.seed);
        let part = cube.select(&learned);
        let found = self.outliers_aside.then(|| outliers(&part, k));
        // Those that were drawn as extremes may all be.
        let extremes = most - starts::by_lot(most);
        let too_many = are_too_many(found.as_deref(), learned.len(), extremes);
        let pixels = Pixels::of(&part);
        let aside = found.as_deref().filter(|_| !too_many).unwrap_or_default();
        Ok(Taken {
            learned: pixels.without_rows(aside),
            // Nobody draws minibatches from all of them, so that they can stay as they lie.
            pixels: Pixels::as_given(Arc::clone(cube)),
            whole: false,
            outliers: found.map(|found| found.into_iter().map(|n| learned[n]).collect()),
            too_many,
        })
    }

    /// Of the pixels that a scene is learned from those that do not only repeat others, where each
    /// pixel then has its exact posterior. Where bands err together pixels differ by more than what
    /// a noise of theirs would tell. Needs [`Plan::weigh`].
    pub fn without_repeats(&self, learned: &Pixels) -> Pixels {
        if self.errs || self.posterior == PosteriorKind::Guide {
            return learned.clone();
        }
        learned.chosen(&without_repeats(learned.cube(), self.model.endmembers))
    }

    /// The most pixels that a scene of `pixels` is learned from: [`LEARNED_FROM`], fewer where the
    /// device has no room for so many; all of them for the guide's posterior. `bands` are those of
    /// the file.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] where the device has not room enough.
    pub fn learned_from(&self, bands: usize, pixels: usize) -> Result<usize> {
        let guide = self.posterior == PosteriorKind::Guide;
        let most = if guide { pixels } else { LEARNED_FROM };
        let Some(room) = self.device_memory else { return Ok(most) };
        let bytes = |pixels: usize| -> Result<u64> {
            let params = svi::params(self.searched(), &self.svi, (pixels, bands))?;
            let spectra = 4 * params.len(Buf::Cube) as u64;
            Ok(memory_needed(&params) + spectra)
        };
        let many = pixels.min(most).max(1);
        let all = bytes(many)?;
        if all <= room {
            return Ok(most);
        }
        let few = if guide { many } else { many.min(FEWEST) };
        let least = bytes(few)?;
        if least > room {
            return Err(Error::setting(
                setting::DEVICE_MEMORY,
                format!("{room} bytes"),
                format!(
                    "is less than the {least} that a fit takes of {few} pixels on its device{}",
                    if guide { "; the guide's posterior needs all of them" } else { "" }
                ),
            ));
        }
        let each = (all - least) / (many - few).max(1) as u64;
        Ok(few + ((room - least) / each.max(1)) as usize)
    }

    /// Whether the exact posterior leaves the spectra where the guide has them. Where the model
    /// errs the data move them away from what the guide's approximations hold them at, and away
    /// from the truth; who asks for that posterior wants its intervals.
    pub fn spectra_stay(&self) -> bool {
        !self.posterior_is_asked && self.errs
    }

    /// Whether evidence is to say if there is a common mixture: where nobody else does, and it
    /// matters for intervals.
    pub fn common_is_open(&self) -> bool {
        let exact = self.posterior == PosteriorKind::Exact;
        self.common.is_none() && exact && self.model.common.is_some()
    }

    /// Keeps the common mixture or leaves it out, for good.
    pub fn decide_common(&mut self, kept: bool) {
        self.common = Some(kept);
        self.models().for_each(|model| model.common = model.common.filter(|_| kept));
    }

    /// That of the fit that is reported, and that of the fit that finds the spectra first.
    fn models(&mut self) -> impl Iterator<Item = &mut Model> {
        std::iter::once(&mut self.model).chain(&mut self.first)
    }

    /// Tells what a search decided, and holds to it.
    pub fn take(&mut self, of: &Unmixing, found: &search::Found) {
        if let Some(shade) = found.shade {
            of.tell(&Event::Shade(shade));
            self.decide_shade(shade.kept);
        }
        if let Some((gain, kept)) = found.common {
            of.tell(&Event::CommonMixture { gain, kept });
            self.decide_common(kept);
        }
        if let Some((gain, learned)) = found.concentration {
            of.tell(&Event::Concentration { gain, learned });
            self.decide_concentration(learned);
        }
    }

    /// Whether the search is to say if pixels differ in brightness: where nobody else does, and
    /// what is left of a pixel is noise. Who wants abundances without it leaves open whether a fit
    /// with it has to find the spectra first. Needs [`Plan::weigh`].
    pub fn shade_is_open(&self) -> bool {
        let asked = if self.first.is_some() { self.spectra_is_asked } else { self.shade_is_asked };
        let open = self.shade.is_none() && !asked && !self.errs;
        open && self.searched().brightness.is_some()
    }

    /// Whether spectra that were given are fitted as the starts of a search are, and what a search
    /// decides is decided on them: where a search would be worth its steps. Who asks for all steps
    /// gets them. What geometry finds may be a wrong mode, on which nothing can be decided.
    pub fn start_is_fitted(&self, of: &Unmixing) -> bool {
        let given = matches!(of.init, Some(Init::Spectra(_)));
        given && !of.is_quick() && self.svi.early_stop
    }

    /// Lets pixels differ in brightness or not, for good.
    pub fn decide_shade(&mut self, kept: bool) {
        self.shade = Some(kept);
        if !kept {
            self.model = self.model.without_brightness();
            if self.first.take().is_some() {
                (self.model.held, self.spectra) = (Held::Nothing, Spectra::Joint);
            }
        }
    }

    /// Whether the search is to say if the concentration is learned: where nobody else does, and
    /// what is left of neighbouring pixels is noise, so that each of them is evidence. The prior of
    /// the abundances is the same for all of their bands, be these independent or not.
    pub fn concentration_is_open(&self) -> bool {
        let fixed = self.model.sparser && self.model.concentration_sd.is_none();
        let exact = self.posterior == PosteriorKind::Exact;
        let open = fixed && exact && !self.errs && self.common != Some(true);
        open && self.concentration.is_none()
    }

    /// Learns the concentration or leaves it as it is, for good.
    pub fn decide_concentration(&mut self, learned: bool) {
        self.concentration = Some(learned);
        if learned {
            self.models().for_each(|model| *model = model.with_learned_concentration());
            self.common = Some(false);
        }
    }

    /// Sets the weight of the likelihood, by how many of the bands count; and what depends on it.
    pub fn weigh(&mut self, counted: f64, bands: usize) {
        let asked = self.common;
        for model in self.models() {
            model.likelihood_weight = counted / bands as f64;
            let common = asked.unwrap_or_else(|| model.has_independent_bands(bands));
            model.common = model.common.filter(|_| common);
        }
        self.errs = !self.model.has_independent_bands(bands);
    }

    /// How much residuals of neighbouring pixels correlate, where the posterior depends on it:
    /// where bands err together, nobody says which posterior, and the scene is learned from all of
    /// its pixels.
    pub fn neighbours(&self, scene: &Scene, aside: &[usize], whole: bool) -> Option<f64> {
        let asks = !self.posterior_is_asked && self.posterior == PosteriorKind::Exact;
        if !(whole && self.errs && asks) {
            return None;
        }
        let (cube, places, k) = (scene.cube(), scene.places(), self.model.endmembers);
        if aside.is_empty() {
            return residual_correlation(cube, places, scene.cols(), k);
        }
        let kept = all_but(aside, cube.pixels());
        let places: Vec<u32> = kept.iter().map(|&n| places[n]).collect();
        residual_correlation(&cube.select(&kept), &places, scene.cols(), k)
    }

    /// Decides on the posterior. Where bands err together, and pixels side by side, too, both do
    /// for what the model does not know: its evidence is counted too often, and an exact answer to
    /// it is farther from the truth than the guide's (docs/evidence.md). So it is where nobody
    /// knows of the pixels.
    pub fn decide_posterior(&mut self, neighbours: Option<f64>, whole: bool) {
        self.errs &= neighbours.is_none_or(|alike| alike > ALIKE);
        if !self.posterior_is_asked && whole && self.errs {
            self.posterior = PosteriorKind::Guide;
        }
    }
}

/// Whether so many of `pixels` are unlike all others that they are no outliers, with `extremes`
/// among them that were taken for being so.
fn are_too_many(found: Option<&[usize]>, pixels: usize, extremes: usize) -> bool {
    found.is_some_and(|found| !are_few(found.len().saturating_sub(extremes), pixels))
}

/// The convention that was asked for; else shares of spectra over their peaks, unless somebody says
/// that pixels do not differ in brightness, and the data so tell how bright a spectrum is.
fn convention(of: &Unmixing) -> Convention {
    of.convention.unwrap_or(match of.brightness {
        Some(false) => Convention::Reflectance,
        None | Some(true) => Convention::Peak,
    })
}

/// The posterior that was asked for, or the exact one where pixels have it, until
/// [`Plan::decide_posterior`]. Who takes a low-rank guide wants what only that one says.
fn posterior(of: &Unmixing) -> PosteriorKind {
    let guide = of.noise == Noise::Covariance || matches!(of.family, Family::LowRank { .. });
    of.posterior.unwrap_or(if guide { PosteriorKind::Guide } else { PosteriorKind::Exact })
}

/// Prior sd of log brightness, or its median where it is learned.
fn shade(of: &Unmixing) -> f64 {
    if of.learn_shade { SHADE_MEDIAN } else { BRIGHTNESS_SD }
}

fn model(of: &Unmixing, endmembers: usize) -> Model {
    let default = Model::new(endmembers);
    // A pixel's own variances and shared covariances have no product form together.
    let variability = of.variability.unwrap_or(of.noise != Noise::Covariance);
    Model {
        noise: of.noise,
        concentration: match of.concentration {
            Concentration::Given(alpha) => alpha,
            Concentration::Sparse | Concentration::Learned => default.concentration,
        },
        sparser: of.concentration == Concentration::Sparse,
        concentration_sd: (of.concentration == Concentration::Learned).then_some(CONCENTRATION_SD),
        common: of.common_mixture.unwrap_or(true).then(|| Common::of(endmembers)),
        brightness: of.brightness.unwrap_or(true).then_some(shade(of)),
        brightness_spread: of.learn_shade.then_some(SHADE_SPREAD),
        variability: variability.then_some(VARIABILITY_SCALE),
        family: of.family,
        ..default
    }
}

/// How spectra are found: without brightness they come first where a search finds them.
fn spectra(of: &Unmixing, init: Option<&Init>) -> Result<Spectra> {
    let given = matches!(init, Some(Init::Spectra(_)));
    match (of.spectra, of.brightness.unwrap_or(true)) {
        (Some(Spectra::First), true) => Err(Error::setting(
            setting::SPECTRA,
            "first",
            "needs brightness off: it takes spectra from a fit with brightness to abundances \
             without",
        )),
        (Some(Spectra::Given), _) if !given => Err(Error::setting(
            setting::SPECTRA,
            "given",
            "needs spectra to begin from; give them as the start",
        )),
        (Some(asked), _) => Ok(asked),
        (None, false) if init.is_none() => Ok(Spectra::First),
        (None, _) => Ok(Spectra::Joint),
    }
}

/// How many bands count as independent evidence, and how that is known.
pub(super) fn effective_bands(of: &Unmixing, pixels: &Pixels, k: usize) -> (f64, &'static str) {
    let all = pixels.bands() as f64;
    match of.effective_bands {
        EffectiveBands::AtLeast16 if of.noise == Noise::Covariance => {
            (all, "all: the covariance says how they err together")
        }
        EffectiveBands::AtLeast16 => default_bands(pixels.cube(), k),
        EffectiveBands::Count(count) => (count.min(all), "as asked"),
        EffectiveBands::All => (all, "all, as asked"),
        EffectiveBands::Auto => {
            (independent_bands(pixels.cube(), k), "from how residuals of adjacent bands correlate")
        }
    }
}

/// As [`effective_bands`] where nobody waits for a look at the spectra.
pub(super) fn bands_unseen(of: &Unmixing, pixels: &Pixels, k: usize) -> (f64, &'static str) {
    let counts = match of.effective_bands {
        EffectiveBands::AtLeast16 => of.noise != Noise::Covariance,
        EffectiveBands::Auto => true,
        EffectiveBands::Count(_) | EffectiveBands::All => false,
    };
    match counts {
        true => (EFFECTIVE_BANDS.min(pixels.bands() as f64), "the least; interrupted before more"),
        false => effective_bands(of, pixels, k),
    }
}

impl Unmixing {
    /// Whether a fit is so short that nobody wants a search who does not say so.
    fn is_quick(&self) -> bool {
        self.svi.steps < WORTH_A_SEARCH && self.restarts.is_none() && self.budget.is_none()
    }

    fn search_settings(&self) -> search::Settings {
        let default = search::Settings::default();
        let (moves, seconds) = match self.budget {
            Some(SearchBudget::Moves(moves)) => (moves, None),
            Some(SearchBudget::Seconds(seconds)) => (default.moves, Some(seconds)),
            None => (default.moves, None),
        };
        search::Settings {
            starts: self.restarts.unwrap_or(default.starts),
            moves,
            seconds,
            ..default
        }
    }
}

/// The low-rank family with as many directions as docs/evidence.md has figures for.
pub(super) const LOW_RANK: Family = Family::LowRank { rank: 10 };
