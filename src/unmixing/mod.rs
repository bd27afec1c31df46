//! From a scene to a fit: settings, with every default and every rule, and the run that they give.

mod aside;
mod begin;
mod budget;
mod checkpoint;
mod fallback;
mod given;
mod held;
mod keep;
mod laps;
mod plan;
mod run;
mod windows;

use std::sync::Arc;

pub use budget::{Budget, Held};
pub use checkpoint::Checkpoint;
pub use plan::WORTH_A_SEARCH;
pub use run::Run;
pub use windows::{Block, each_block, own_blocks};

use crate::convention::Convention;
use crate::count::{self, Count};
use crate::engine::backend::{Choice, Device, device};
use crate::engine::ground::error::Result;
use crate::engine::ground::interrupt::unless;
use crate::engine::model::{Family, Model, Noise};
use crate::engine::svi;
use crate::engine::wait::block_on;
use crate::event::Event;
use crate::fit::Fit;
use crate::scene::{Cube, Scene};
use crate::settings::{
    Concentration, CubeFormat, EffectiveBands, Endmembers, PosteriorKind, SearchBudget, Spectra,
};
use crate::starts::{self, Init};

type Listener = Arc<dyn Fn(&Event) + Send + Sync>;
type Asked = Arc<dyn Fn() -> bool + Send + Sync>;

/// How a scene is unmixed. Every setting has a default; [`Unmixing::fit`] does it all,
/// [`Unmixing::start`] gives a run that the caller drives.
///
/// ```
/// use unmixel::{Device, Unmixing, simulate};
///
/// # fn main() -> unmixel::Result<()> {
/// let settings = simulate::Settings { rows: 12, cols: 15, bands: 20, ..Default::default() };
/// let scene = simulate::simulate(&settings)?.scene("example")?;
/// let fit = Unmixing::new(3).steps(200).seed(7).device(Device::cpu()).fit(&scene)?;
/// assert_eq!(fit.abundances().mean().dim(), (12, 15, 3));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Unmixing {
    endmembers: Endmembers,
    noise: Noise,
    brightness: Option<bool>,
    variability: Option<bool>,
    effective_bands: EffectiveBands,
    concentration: Concentration,
    common_mixture: Option<bool>,
    learn_shade: bool,
    outliers_aside: bool,
    family: Family,
    posterior: Option<PosteriorKind>,
    draws: usize,
    spectra: Option<Spectra>,
    init: Option<Init>,
    restarts: Option<usize>,
    budget: Option<SearchBudget>,
    convention: Option<Convention>,
    svi: svi::Settings,
    /// Valid pixels of the scene, where the one that is fitted is a sample of it.
    sample_of: Option<usize>,
    device_memory: Option<u64>,
    keep: keep::Keep,
    device: Wanted,
    listener: Option<Listener>,
    interrupted: Option<Asked>,
}

/// The device of a fit.
#[derive(Debug, Clone)]
enum Wanted {
    Choice(Choice),
    This(Arc<Device>),
}

impl Unmixing {
    /// Unmixes into so many endmembers.
    pub fn new(endmembers: usize) -> Self {
        Unmixing {
            endmembers: Endmembers::Count(endmembers),
            noise: Noise::Band,
            brightness: None,
            variability: None,
            effective_bands: EffectiveBands::default(),
            concentration: Concentration::default(),
            common_mixture: None,
            learn_shade: true,
            outliers_aside: true,
            family: Family::FullRank,
            posterior: None,
            draws: 0,
            spectra: None,
            init: None,
            restarts: None,
            budget: None,
            convention: None,
            svi: svi::Settings::default(),
            sample_of: None,
            device_memory: None,
            keep: keep::Keep::default(),
            device: Wanted::Choice(Choice::Auto),
            listener: None,
            interrupted: None,
        }
    }

    /// Unmixes into as many endmembers as short fits find evidence for.
    pub fn auto() -> Self {
        Unmixing { endmembers: Endmembers::Auto, ..Unmixing::new(1) }
    }

    /// Noise of the spectra: one sd for the scene, one a band (the default), or a covariance of the
    /// bands.
    pub fn noise(self, noise: Noise) -> Self {
        Unmixing { noise, ..self }
    }

    /// Whether pixels differ in brightness (shade, slope), free of their abundances. Default: true;
    /// where a search runs and more than 16 bands count as independent, or all, it is what explains
    /// the scene better.
    pub fn brightness(self, brightness: bool) -> Self {
        Unmixing { brightness: Some(brightness), ..self }
    }

    /// Whether endmembers vary between pixels. Default: true, but for a noise covariance, which it
    /// does not go with.
    pub fn variability(self, variability: bool) -> Self {
        Unmixing { variability: Some(variability), ..self }
    }

    /// How many bands count as independent evidence.
    pub fn effective_bands(self, effective_bands: EffectiveBands) -> Self {
        Unmixing { effective_bands, ..self }
    }

    /// Whether how much the brightness of pixels differs is learned, where they have one; so by
    /// default.
    pub fn learn_shade(self, learn_shade: bool) -> Self {
        Unmixing { learn_shade, ..self }
    }

    /// How a GPU holds the spectra: [`CubeFormat::F32`] by default.
    pub fn cube(self, format: CubeFormat) -> Self {
        let svi = svi::Settings { half: format == CubeFormat::F16, ..self.svi };
        Unmixing { svi, ..self }
    }

    /// Whether pixels unlike all others ([`crate::statistics::outliers`]) are left out where
    /// spectra, noise and variability are learned; so by default, where they are at most one pixel
    /// in twenty. They get their abundances with all others.
    pub fn outliers_aside(self, outliers_aside: bool) -> Self {
        Unmixing { outliers_aside, ..self }
    }

    /// Whether many pixels may share one mixture: abundances are then of two Dirichlets, and the
    /// second one's mixture, its concentration and its share of the pixels are learned. By default
    /// so where more than 16 bands count as independent, or all.
    pub fn common_mixture(self, common_mixture: bool) -> Self {
        Unmixing { common_mixture: Some(common_mixture), ..self }
    }

    /// Total concentration of the abundances' Dirichlet.
    pub fn concentration(self, concentration: Concentration) -> Self {
        Unmixing { concentration, ..self }
    }

    /// The variational family. Default: full-rank.
    pub fn family(self, family: Family) -> Self {
        Unmixing { family, ..self }
    }

    /// The low-rank family with its default rank.
    pub fn low_rank(self) -> Self {
        self.family(plan::LOW_RANK)
    }

    /// Which posterior is reported. Default: the exact one; the guide with a noise covariance,
    /// with a low-rank family, and for scenes of at most 30,000 pixels whose bands err together
    /// ([`Model::has_independent_bands`]) and whose neighbouring pixels do, too
    /// ([`Event::Neighbours`]).
    pub fn posterior(self, posterior: PosteriorKind) -> Self {
        Unmixing { posterior: Some(posterior), ..self }
    }

    /// Draws of the posterior to keep beside its moments ([`Fit::draws`]), at most 1,000: each
    /// takes N K 4 bytes. Default: 0.
    pub fn draws(self, draws: usize) -> Self {
        Unmixing { draws, ..self }
    }

    /// How spectra are found. Default: jointly with all else; first, where brightness is off, a
    /// search runs, and it finds that pixels differ in brightness.
    pub fn spectra(self, spectra: Spectra) -> Self {
        Unmixing { spectra: Some(spectra), ..self }
    }

    /// The one start, instead of a search. Of more spectra than endmembers those are taken that
    /// explain the scene best; from them evidence decides, as a search does, whether pixels differ
    /// in brightness, share a mixture, and how mixed they are.
    pub fn init(self, init: Init) -> Self {
        Unmixing { init: Some(init), ..self }
    }

    /// Starts that the search tries, >= 1. Default: 8.
    pub fn restarts(self, restarts: usize) -> Self {
        Unmixing { restarts: Some(restarts), ..self }
    }

    /// How long the search goes on. Default: 4 moves a round.
    pub fn search(self, budget: SearchBudget) -> Self {
        Unmixing { budget: Some(budget), ..self }
    }

    /// What abundances are shares of. Default: [`Convention::Reflectance`] where it is said that
    /// pixels do not differ in brightness, else [`Convention::Peak`].
    pub fn convention(self, convention: Convention) -> Self {
        Unmixing { convention: Some(convention), ..self }
    }

    /// Seed of all random numbers: with one seed, one device gives the same bytes again. Default:
    /// 0.
    pub fn seed(mut self, seed: u64) -> Self {
        self.svi.seed = seed;
        self
    }

    /// Ceiling of the steps, >= 1; the stopping rule usually ends a fit before. With fewer than
    /// [`WORTH_A_SEARCH`] there is no search unless one is asked for. Default: 5,000.
    pub fn steps(mut self, steps: u32) -> Self {
        self.svi.steps = steps;
        self
    }

    /// Whether the stopping rule may end a fit before its ceiling of steps. Default: true.
    pub fn early_stop(mut self, early_stop: bool) -> Self {
        self.svi.early_stop = early_stop;
        self
    }

    /// Pixels in a minibatch, >= 1; the next multiple of 16 is taken. Default: 512.
    pub fn batch_size(mut self, pixels: usize) -> Self {
        self.svi.batch_size = pixels;
        self
    }

    /// Draws a step, 1 to 64. Default: 2.
    pub fn particles(mut self, draws: usize) -> Self {
        self.svi.particles = draws;
        self
    }

    /// Adam's learning rate of the scene latents, > 0. Default: 0.02.
    pub fn learning_rate(mut self, rate: f64) -> Self {
        self.svi.learning_rate = rate;
        self
    }

    /// Runs the fit on this device and no other.
    pub fn device(self, device: impl Into<Arc<Device>>) -> Self {
        Unmixing { device: Wanted::This(device.into()), ..self }
    }

    /// Where the fit runs. Default: [`Choice::Auto`], a hardware GPU if there is one, else the CPU;
    /// a GPU that is then too small for the scene, or is lost while it works, is told, and the fit
    /// begins again on the CPU.
    pub fn on(self, choice: Choice) -> Self {
        Unmixing { device: Wanted::Choice(choice), ..self }
    }

    /// Bytes that the fit may take on its device: where they are few, the scene is learned from
    /// fewer pixels than 30,000. Default: as many as the device gives.
    pub fn device_memory(self, bytes: u64) -> Self {
        Unmixing { device_memory: Some(bytes), ..self }
    }

    /// Is told what happens, from any thread.
    pub fn on_event(self, listener: impl Fn(&Event) + Send + Sync + 'static) -> Self {
        Unmixing { listener: Some(Arc::new(listener)), ..self }
    }

    /// Is asked many times a second, from any thread, whether to stop. A fit that is stopped gives
    /// what there is.
    pub fn stop_when(self, interrupted: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        Unmixing { interrupted: Some(Arc::new(interrupted)), ..self }
    }

    /// The model and the settings that the engine is given for K endmembers; all bands count in it,
    /// as how many do depends on the scene.
    ///
    /// # Errors
    ///
    /// The errors of [`Unmixing::check`].
    pub fn model(&self, endmembers: usize) -> Result<(Model, svi::Settings)> {
        let plan = plan::Plan::new(self, endmembers)?;
        Ok((plan.model, plan.svi))
    }

    /// Refuses settings that no scene could be fitted with, before one is read.
    ///
    /// # Errors
    ///
    /// [`crate::Error::Setting`] for the first setting outside of its range, and for settings that
    /// do not go together.
    pub fn check(&self) -> Result<()> {
        plan::Plan::new(self, self.endmembers()).map(drop)
    }

    /// The number of endmembers that was asked for, or 2 where it is yet to be found.
    pub fn endmembers(&self) -> usize {
        match self.endmembers {
            Endmembers::Count(count) => count,
            Endmembers::Auto => 2,
        }
    }

    /// Fits a scene.
    ///
    /// # Errors
    ///
    /// [`crate::Error::Setting`] for settings that this scene cannot be fitted with,
    /// [`crate::Error::Scene`] for scenes that nothing can be found in, [`crate::Error::Device`]
    /// and [`crate::Error::DeviceLost`] for devices, [`crate::Error::Fit`] where the fit itself
    /// fails, [`crate::Error::Interrupted`] where it was stopped before the number of endmembers
    /// was known. One that is stopped later gives what there is, a start of no steps at least.
    pub fn fit(&self, scene: &Scene) -> Result<Fit> {
        block_on(self.fit_async(scene))
    }

    /// [`Unmixing::fit`] for programs that must not block, as a page in a browser.
    ///
    /// # Errors
    ///
    /// The errors of [`Unmixing::fit`].
    pub async fn fit_async(&self, scene: &Scene) -> Result<Fit> {
        // What is kept of one fit is nothing to the next.
        let of = Unmixing { keep: self.keep.own(), ..self.clone() };
        match &of.device {
            Wanted::Choice(Choice::Auto) => {
                of.on_device(async |of: Unmixing| of.fit_once(scene).await).await
            }
            _ => of.fit_on_one(scene).await,
        }
    }

    /// Does work on the device that was asked for; where nobody named one, and the one that was
    /// found cannot do it, on the CPU.
    async fn on_device<T>(&self, work: impl AsyncFn(Unmixing) -> Result<T>) -> Result<T> {
        match &self.device {
            Wanted::Choice(Choice::Auto) => self.on_first(self.open().await?, work).await,
            _ => work(self.clone()).await,
        }
    }

    async fn on_first<T>(
        &self,
        first: Arc<Device>,
        work: impl AsyncFn(Unmixing) -> Result<T>,
    ) -> Result<T> {
        let tell = |event: &Event| self.tell(event);
        let work = async |device: Arc<Device>| work(self.clone().device(device)).await;
        fallback::or_on_cpu(first, &tell, work).await
    }

    /// Finds where a fit begins, by a search if none is given, and gives the run that goes on from
    /// there.
    ///
    /// # Errors
    ///
    /// The errors of [`Unmixing::fit`].
    pub fn start(&self, scene: &Scene) -> Result<Run> {
        block_on(self.start_async(scene))
    }

    /// [`Unmixing::start`] for programs that must not block.
    ///
    /// # Errors
    ///
    /// The errors of [`Unmixing::fit`].
    pub async fn start_async(&self, scene: &Scene) -> Result<Run> {
        let endmembers = match self.endmembers {
            Endmembers::Count(count) => count,
            Endmembers::Auto => self.count_async(scene).await?.recommended,
        };
        Run::start(self, scene, endmembers).await
    }

    /// How many endmembers the scene has, with the evidence.
    ///
    /// # Errors
    ///
    /// [`crate::Error::Scene`] where it has too few pixels to say, and what devices refuse.
    pub fn count(&self, scene: &Scene) -> Result<Count> {
        block_on(self.on_device(async |of: Unmixing| of.count_async(scene).await))
    }

    async fn count_async(&self, scene: &Scene) -> Result<Count> {
        let stop = || self.is_interrupted();
        let shared = scene.clone();
        let moments = unless(&stop, move |_| count::count(&shared))?;
        let device = self.open().await?;
        self.tell(&Event::Counting);
        let told = |one: &count::Evidence| self.tell(&Event::Counted(one.clone()));
        // Without a search spectra do not come first, and brightness tells shade from materials.
        let counted =
            self.clone().brightness(true).spectra(Spectra::Joint).family(Family::FullRank);
        let model = |k| counted.model(k).map(|(model, _)| model);
        let (cube, seed) = ((scene.cube(), self.outliers_aside), self.svi.seed);
        let found = count::evidence(&device, &model, cube, seed, &told, &stop).await?;
        Ok(moments.with_evidence(found))
    }

    async fn open(&self) -> Result<Arc<Device>> {
        match &self.device {
            Wanted::This(device) => Ok(Arc::clone(device)),
            Wanted::Choice(choice) => Ok(Arc::new(device::choose_async(choice).await?)),
        }
    }

    fn tell(&self, event: &Event) {
        if let Some(listener) = &self.listener {
            listener(event);
        }
    }

    /// Tells which spectra were taken, and gives them.
    fn tell_taken(&self, taken: Option<Taken>) -> Option<Vec<usize>> {
        let (chosen, of) = taken?;
        self.tell(&Event::Library { chosen: chosen.clone(), of });
        Some(chosen)
    }

    fn is_interrupted(&self) -> bool {
        self.interrupted.as_ref().is_some_and(|asked| asked())
    }
}

impl std::fmt::Debug for Unmixing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Unmixing")
            .field("endmembers", &self.endmembers)
            .field("svi", &self.svi)
            .finish_non_exhaustive()
    }
}

/// Spectra that were taken, counted from 0, and of how many.
type Taken = (Vec<usize>, usize);

/// The start that was asked for, with no more spectra than endmembers; and which were taken, where
/// there were more.
fn chosen(init: Init, cube: &Cube, k: usize, seed: u64) -> Result<(Init, Option<Taken>)> {
    let Init::Spectra(spectra) = init else { return Ok((init, None)) };
    if spectra.nrows() <= k {
        return Ok((Init::Spectra(spectra), None));
    }
    let chosen = starts::choose_from_library(cube, k, &spectra, seed)?;
    let taken = spectra.select(ndarray::Axis(0), &chosen);
    Ok((Init::Spectra(taken), Some((chosen, spectra.nrows()))))
}
