//! A fit that its caller drives, block by block.

use std::sync::Arc;

use super::Unmixing;
use super::aside::of_all_pixels;
use super::begin::{Begin, begin};
use super::fallback::or_on_cpu;
use super::given::{given, hurried};
use super::held::hold;
use super::laps::Laps;
use super::plan::{Plan, Taken, bands_unseen, effective_bands};
use crate::engine::backend::{self, Device};
use crate::engine::ground::error::{Error, Result};
use crate::engine::ground::interrupt::unless;
use crate::engine::guide::Guide;
use crate::engine::pixels::Pixels;
use crate::engine::svi::{self, HeldCube, Outcome, Progress, Stop};
use crate::engine::wait::block_on;
use crate::event::Event;
use crate::fit::{Fit, Record};
use crate::posterior::Posterior;
use crate::posterior::nested::{self, Nested, SceneNormal};
use crate::posterior::sampled::Sampled;
use crate::scene::Scene;
use crate::search::mixture::Decided;
use crate::search::{self, Found, spectra_first};
use crate::settings::PosteriorKind;
use crate::starts::{self, Init};
use crate::statistics::products::share_of_products;
use crate::statistics::shade::brightness_left;

/// A fit under way, from [`Unmixing::start`].
///
/// ```
/// use unmixel::{Device, Unmixing, simulate};
///
/// # fn main() -> unmixel::Result<()> {
/// let settings = simulate::Settings { rows: 12, cols: 15, bands: 20, ..Default::default() };
/// let scene = simulate::simulate(&settings)?.scene("example")?;
/// let mut run = Unmixing::new(3).steps(400).device(Device::cpu()).start(&scene)?;
/// while let Some(progress) = run.advance()? {
///     if progress.step >= 100 {
///         break;
///     }
/// }
/// let fit = run.finish()?;
/// assert_eq!(fit.record().trace.len(), 100);
/// # Ok(())
/// # }
/// ```
pub struct Run {
    pub(super) of: Unmixing,
    pub(super) plan: Plan,
    pub(super) scene: Scene,
    pub(super) taken: Taken,
    /// Those that the scene is learned from, without repeats.
    pub(super) learned: Pixels,
    pub(super) device: Arc<Device>,
    /// The run of the engine; none between two of them.
    pub(super) stage: Option<svi::Run>,
    /// Whether the stage is the fit that finds the spectra first.
    pub(super) is_first: bool,
    /// ELBO a pixel of the fit that found the spectra first, nats.
    pub(super) elbo_with_brightness: Option<f64>,
    pub(super) found: Option<Found>,
    /// Where the search saw the spectra of its answer come to rest, [`Found::at_rest`].
    pub(super) at_rest: Option<Vec<f64>>,
    pub(super) library: Option<Vec<usize>>,
    pub(super) held: Option<HeldCube>,
    pub(super) description: String,
    pub(super) bands: f64,
    pub(super) laps: Laps,
}

impl Run {
    pub(super) async fn start(of: &Unmixing, scene: &Scene, endmembers: usize) -> Result<Self> {
        // Before sizes are computed from it: they would not hold just any number.
        starts::check_count(scene.cube(), endmembers)?;
        let mut plan = Plan::new(of, endmembers)?;
        let mut laps = Laps::after(Vec::new());
        let stop = || of.is_interrupted();
        let shared = (scene.clone(), plan.clone());
        let taken = match unless(&stop, move |_| shared.1.pixels(&shared.0)) {
            Err(Error::Interrupted) => Taken::in_a_hurry(scene),
            taken => taken?,
        };
        let learned = taken.learned.clone();
        // A sample stands for a scene that does not fit in memory.
        let of_all = of.sample_of.unwrap_or(taken.pixels.count());
        let sizes = plan.sizes((learned.count(), learned.bands()))?;
        let device = of.open().await?;
        backend::check_memory(&device, &sizes)?;
        of.tell(&Event::Device(device.info.clone()));
        let held = hold(of, &mut plan.svi, device.is_cpu(), &learned);
        let looked_at = learned.count() + taken.aside().len();
        if looked_at < of_all {
            of.tell(&Event::LearnedFrom { pixels: looked_at, of: of_all });
        }
        if let Some(count) = taken.outliers.as_ref().map(Vec::len).filter(|&count| count > 0) {
            of.tell(&Event::Outliers { count, of: looked_at, aside: !taken.too_many });
        }
        let mut library = None;
        let first_model = plan.searched().clone();
        // Whoever stops a fit gets what there is, from here on: a start at least.
        let hurried = |init: Init| hurried(of, init, &learned, &first_model);
        let start = match plan.init.take() {
            None => None,
            Some(init) => {
                let (start, taken) = match given(of, init.clone(), scene, &learned, &first_model) {
                    Err(Error::Interrupted) => hurried(init)?,
                    found => found?,
                };
                library = taken;
                Some(start)
            }
        };
        laps.lap("start");
        let shared = (of.clone(), learned.clone());
        let counted = unless(&stop, move |_| {
            let (of, pixels) = shared;
            Ok(effective_bands(&of, &pixels, endmembers))
        });
        let (bands, reason) = match counted {
            Err(Error::Interrupted) => bands_unseen(of, &learned, endmembers),
            counted => counted?,
        };
        of.tell(&Event::EffectiveBands { counted: bands, bands: learned.bands(), reason });
        let whole = taken.whole && of.sample_of.is_none();
        plan.weigh(bands, learned.bands());
        let shared = (scene.clone(), plan.clone(), taken.aside().to_vec());
        // Interrupted: nobody knows, and nobody waits for an exact posterior.
        let alike = unless(&stop, move |_| Ok(shared.1.neighbours(&shared.0, &shared.2, whole)));
        let alike = alike.unwrap_or_default();
        plan.decide_posterior(alike, whole);
        if let Some(correlation) = alike {
            let exact = plan.posterior == PosteriorKind::Exact;
            of.tell(&Event::Neighbours { correlation, exact });
        }
        let learned = distinct(of, &mut plan, &learned)?;
        laps.lap("effective bands");
        let has_start = start.is_some();
        let Begin { guide, description, mut found } =
            begin(of, &mut plan, start, &device, &learned).await?;
        if let Some(found) = found.as_mut().filter(|_| learned.count() < of_all) {
            // Their maps would have a pixel here and there.
            found.modes.iter_mut().for_each(|mode| mode.abundances = None);
        }
        of.tell(&Event::Start(description.clone()));
        laps.lap("search");
        // Who asks for all steps gets them, from the full rate.
        let warm = plan.svi.early_stop && found.as_ref().is_some_and(|found| found.fitted);
        let settings = svi::Settings { warm, ..plan.svi.clone() };
        let stage = svi::Run::open(&device, &settings, &learned, guide).await?;
        laps.lap("open device");
        Ok(Run {
            of: of.clone(),
            is_first: plan.first.is_some(),
            plan,
            scene: scene.clone(),
            taken,
            learned,
            device,
            stage: Some(stage),
            elbo_with_brightness: None,
            at_rest: found.as_ref().and_then(|found| found.at_rest.clone()),
            // One start agrees with itself, and there is no other mode to show.
            found: found.filter(|_| !has_start),
            library,
            held,
            description,
            bands,
            laps,
        })
    }

    /// Does the next block of steps; none once the fit has ended, by its rule, its ceiling or an
    /// interrupt.
    ///
    /// # Errors
    ///
    /// [`crate::Error::DeviceLost`] when the device fails, [`crate::Error::Fit`] when no step is
    /// finite.
    pub fn advance(&mut self) -> Result<Option<Progress>> {
        block_on(self.advance_async())
    }

    /// [`Run::advance`] for programs that must not block.
    ///
    /// # Errors
    ///
    /// The errors of [`Run::advance`].
    pub async fn advance_async(&mut self) -> Result<Option<Progress>> {
        loop {
            let of = &self.of;
            let Some(stage) = &mut self.stage else { return Ok(None) };
            if let Some(progress) = stage.advance(&|| of.is_interrupted()).await? {
                self.of.tell(&Event::Progress(progress.clone()));
                return Ok(Some(progress));
            }
            if !self.is_first || self.of.is_interrupted() {
                return Ok(None);
            }
            self.hold_spectra().await?;
        }
    }

    /// Goes on from the fit with brightness to the one without.
    async fn hold_spectra(&mut self) -> Result<()> {
        let shaded = self.end_stage().await?;
        self.tell_fitted(&shaded);
        self.of.tell(&Event::SpectraHeld);
        self.elbo_with_brightness = shaded.elbo();
        let settings = svi::Settings { warm: false, ..self.plan.svi.clone() };
        let guide =
            spectra_first::begin(&self.plan.model, &settings, &self.learned, &shaded.guide)?;
        let stage = svi::Run::open(&self.device, &settings, &self.learned, guide).await?;
        self.stage = Some(stage);
        self.is_first = false;
        self.laps.lap("spectra");
        Ok(())
    }

    async fn end_stage(&mut self) -> Result<Outcome> {
        match self.stage.take() {
            Some(stage) => stage.finish().await,
            None => Err(Error::Fit("a run that failed has nothing to go on with".into())),
        }
    }

    fn tell_fitted(&self, outcome: &Outcome) {
        self.of.tell(&Event::Fitted {
            steps: outcome.trace.len() as u32,
            ceiling: self.plan.svi.steps,
            seconds: outcome.seconds.1,
            elbo: outcome.elbo(),
            stop: outcome.stop,
            skipped: outcome.skipped,
        });
    }

    /// Ends the fit where it is and gives its result.
    ///
    /// # Errors
    ///
    /// [`crate::Error::DeviceLost`] when the device fails, [`crate::Error::Fit`] when there is
    /// nothing finite.
    pub fn finish(self) -> Result<Fit> {
        block_on(self.finish_async())
    }

    /// [`Run::finish`] for programs that must not block.
    ///
    /// # Errors
    ///
    /// The errors of [`Run::finish`].
    pub async fn finish_async(mut self) -> Result<Fit> {
        if self.is_first {
            // Stopped before its spectra were held: the rest begins from them as they are.
            self.hold_spectra().await?;
        }
        let mut outcome = self.end_stage().await?;
        self.tell_fitted(&outcome);
        self.laps.lap("steps");
        if let Some(guide) = self.without_common_mixture(&outcome.guide).await? {
            self.plan.model = guide.model.clone();
            outcome.guide = guide;
        }
        self.laps.lap("common mixture");
        let exact = match self.plan.posterior {
            PosteriorKind::Guide => None,
            PosteriorKind::Exact => {
                let mut laps = std::mem::replace(&mut self.laps, Laps::after(Vec::new()));
                let exact = self.exact(&outcome.guide, &mut laps).await?;
                self.laps = laps;
                exact
            }
        };
        let (exact, rest) = exact.unzip();
        let (normal, mut drawn) =
            rest.map_or((None, None), |(normal, drawn)| (Some(normal), drawn));
        let posterior_kind =
            if exact.is_some() { PosteriorKind::Exact } else { PosteriorKind::Guide };
        let interrupted =
            outcome.stop == Stop::Interrupted || posterior_kind != self.plan.posterior;
        let (nonlinear, brightness_left) =
            what_is_left(&outcome.guide, &self.learned, normal.as_ref());
        let met = self.taken.whole && self.learned.same(&self.taken.learned);
        // An interrupted run reports what there is.
        let posterior = match exact {
            Some(posterior) => posterior,
            None if met && self.of.sample_of.is_none() => {
                outcome.guide = of_all_pixels(outcome.guide, &self.plan, &self.taken)?;
                self.learned = self.taken.pixels.clone();
                let (guide, of, convention) = (&outcome.guide, &self.learned, self.plan.convention);
                let count = self.of.draws;
                drawn = (count > 0).then(|| Sampled::of_guide(guide, of, convention, count));
                Posterior::new(guide, of, convention)
            }
            None => {
                // The guide has met a part of the pixels only.
                let scene = SceneNormal::of_guide(&outcome.guide);
                let nested = Nested::given(&outcome.guide, &self.taken.pixels, &scene)?;
                Posterior::placed(&nested, self.plan.convention)
            }
        };
        self.laps.lap("posterior of pixels");
        let record = Record {
            model: self.plan.model,
            svi: self.plan.svi,
            spectra: self.plan.spectra,
            posterior: posterior_kind,
            effective_bands: self.bands,
            start: self.description,
            device: self.device.info.clone(),
            held: self.held,
            trace: outcome.trace,
            stop: outcome.stop,
            skipped: outcome.skipped,
            interrupted,
            elbo_with_brightness: self.elbo_with_brightness,
            library: self.library,
            outliers: self
                .taken
                .outliers
                .map(|rows| rows.into_iter().map(|row| self.scene.places()[row]).collect()),
            order: (0..outcome.guide.k()).collect(),
            nonlinear,
            brightness_left,
            seconds: self.laps.seconds,
        };
        let fit = Fit::new(self.scene, outcome.guide, &self.learned, posterior, record, self.found);
        Ok(fit.with(normal, drawn))
    }

    /// The guide of a fit without a common mixture, where evidence is to say and the mixture says
    /// too little.
    async fn without_common_mixture(&self, guide: &Guide) -> Result<Option<Guide>> {
        if !self.plan.common_is_open() {
            return Ok(None);
        }
        let stop = || self.of.is_interrupted();
        let tell = |event: &Event| self.of.tell(event);
        let on_device = async |device: Arc<Device>| {
            search::mixture::decide(guide, &self.learned, &device, &self.plan.svi, &stop).await
        };
        let decided = or_on_cpu(Arc::clone(&self.device), &tell, on_device).await?;
        let Some(Decided { gain, without }) = decided else { return Ok(None) };
        self.of.tell(&Event::CommonMixture { gain, kept: without.is_none() });
        Ok(without)
    }

    /// The exact posterior of a fit; none when interrupted.
    async fn exact(&self, guide: &Guide, laps: &mut Laps) -> Result<Option<Exact>> {
        let stop = || self.of.is_interrupted();
        self.of.tell(&Event::Nesting);
        let learned = match self.plan.spectra_stay() {
            true => Some(Nested::given(guide, &self.learned, &SceneNormal::of_guide(guide))?),
            false => Nested::new(guide, &self.learned, self.at_rest.as_deref(), &stop)?,
        };
        let Some(learned) = learned else { return Ok(None) };
        let taken = &learned.steps[..learned.steps.len() - 1];
        self.of.tell(&Event::Nested {
            steps: taken.len(),
            // The sum of no steps is minus zero.
            moved: taken.iter().sum::<f64>() + 0.0,
            settled: learned.settled(),
            draws: (nested::SCENES * nested::PER_SCENE) as u32,
        });
        laps.lap("posterior of spectra");
        let nested = learned.on(&self.taken.pixels);
        let convention = self.plan.convention;
        if self.of.sample_of.is_some() {
            // Its pixels get their posteriors with all others.
            return Ok(Some((Posterior::placed(&nested, convention), (nested.scene(), None))));
        }
        let tell = |event: &Event| self.of.tell(event);
        let on_device = async |device: Arc<Device>| {
            Posterior::nested_on(&nested, convention, &device, &stop).await
        };
        let found = or_on_cpu(Arc::clone(&self.device), &tell, on_device).await?;
        let Some(posterior) = found else { return Ok(None) };
        let drawn = match self.of.draws {
            0 => None,
            count => Sampled::of_nested(&nested, convention, count, &stop),
        };
        Ok(Some((posterior, (nested.scene(), drawn))))
    }
}

/// Pixels that are looked at to tell whether spectra mix linearly, at most: a share of what is left
/// is then known to a hundredth, at a cost that nobody notices.
const LOOKED_AT: usize = 4096;
/// Values of these pixels, 8 bytes each, at most.
const VALUES_LOOKED_AT: usize = 1 << 21;

/// How much of what a fit leaves of some of the pixels that it was learned from follows products of
/// their amounts ([`share_of_products`]), and how far their brightness is spread where a fit has
/// none ([`brightness_left`]); the same pixels whether the scene is in memory or not. None with
/// covariance noise, whose pixels have no amounts of their own.
fn what_is_left(
    guide: &Guide,
    learned: &Pixels,
    normal: Option<&SceneNormal>,
) -> (Option<f64>, Option<f64>) {
    let few = learned.part(LOOKED_AT.min(VALUES_LOOKED_AT / learned.bands().max(1)));
    let scene = normal.cloned().unwrap_or_else(|| SceneNormal::of_guide(guide));
    let Ok(nested) = Nested::given(guide, &few, &scene) else { return (None, None) };
    let (amounts, rest) = nested.best_fit();
    // Errors that bands share look like shade.
    let model = &guide.model;
    let is_plain = model.brightness.is_none() && model.has_independent_bands(few.bands());
    let left = is_plain.then(|| brightness_left(few.cube(), rest.view())).flatten();
    (share_of_products(amounts.view(), rest.view()), left)
}

/// A posterior, that of its spectra alone, and draws where they were asked for.
type Exact = (Posterior, (SceneNormal, Option<Sampled>));

/// The pixels that the scene is learned from without those that repeat others; all of them when
/// interrupted.
fn distinct(of: &Unmixing, plan: &mut Plan, learned: &Pixels) -> Result<Pixels> {
    let shared = (plan.clone(), learned.clone());
    let stop = || of.is_interrupted();
    let distinct = match unless(&stop, move |_| Ok(shared.0.without_repeats(&shared.1))) {
        Err(Error::Interrupted) => return Ok(learned.clone()),
        distinct => distinct?,
    };
    if distinct.count() < learned.count() {
        of.tell(&Event::Repeats { kept: distinct.count(), of: learned.count() });
        if plan.common_is_open() {
            // What pixels repeat is a mixture that many share: there is nothing to decide.
            plan.decide_common(true);
        }
    }
    Ok(distinct)
}
