//! A fit at rest, in memory and as a file.

use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Unmixing;
use super::laps::Laps;
use super::plan::Plan;
use super::run::Run;
use crate::engine::ground::error::{Error, Result};
use crate::engine::svi::{self, HeldCube};
use crate::engine::wait::block_on;
use crate::event::Event;
use crate::scene::Scene;
use crate::store::Store;

/// The kind of file, which it names inside.
const KIND: &str = "checkpoint";
/// The array of spectra at rest, in that file.
const AT_REST: &str = "at_rest";

/// All that it takes to go on with a fit later, in another process or on another device, from
/// [`Run::checkpoint`].
#[derive(Debug, Clone)]
pub struct Checkpoint {
    pub(super) meta: Meta,
    pub(super) run: svi::Checkpoint,
    /// Where a search saw the spectra of its answer come to rest, (K, L), row by row, reflectance.
    pub(super) at_rest: Option<Vec<f64>>,
}

/// Everything of a checkpoint but its arrays.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Meta {
    pub head: svi::Head,
    /// Whether the run is the one that finds the spectra first.
    pub is_first: bool,
    pub endmembers: usize,
    pub effective_bands: f64,
    pub description: String,
    pub library: Option<Vec<usize>>,
    #[serde(default)]
    pub held: Option<HeldCube>,
    pub elbo_with_brightness: Option<f64>,
    /// Whether there is a common mixture, where that was asked for or decided on.
    pub common: Option<bool>,
    /// Whether pixels differ in brightness, where that was decided on.
    pub shade: Option<bool>,
    /// Whether the concentration of the abundances is learned, where that was decided on.
    #[serde(default)]
    pub concentration: Option<bool>,
    pub seconds: Vec<(String, f64)>,
}

impl Checkpoint {
    /// Number of endmembers of the run.
    pub fn endmembers(&self) -> usize {
        self.meta.endmembers
    }

    /// Writes it to a file, whole or not at all.
    ///
    /// # Errors
    ///
    /// [`Error::Io`]; an earlier file of that name then stays as it was.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        self.store()?.write(path.as_ref())
    }

    /// Reads one that [`Checkpoint::save`] wrote.
    ///
    /// # Errors
    ///
    /// [`Error::Io`], and [`Error::File`] where it is another kind of file, cut off or damaged.
    pub fn load(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        Self::from_store(Store::read(path, KIND)?).map_err(|why| Error::file(path, why))
    }

    fn store(&self) -> Result<Store> {
        let mut store = Store::new(KIND, &self.meta)?;
        self.run.arrays().into_iter().for_each(|(name, values)| store.put_f32(name, values));
        if let Some(spectra) = &self.at_rest {
            store.put_f64(AT_REST, spectra);
        }
        Ok(store)
    }

    fn from_store(mut store: Store) -> Result<Self, String> {
        let meta: Meta = store.meta()?;
        let run = svi::Checkpoint::from_parts(meta.head.clone(), |name| {
            store.take_f32(name).ok_or_else(|| Error::Fit(format!("has no `{name}`")))
        });
        let run = run.map_err(|error| error.to_string())?;
        Ok(Checkpoint { meta, run, at_rest: store.take_f64(AT_REST) })
    }
}

impl Run {
    /// All that it takes to go on from here later ([`Unmixing::resume`]) to the same result, but
    /// for the table of the search.
    ///
    /// # Errors
    ///
    /// [`Error::DeviceLost`] when the device fails, [`Error::Fit`] for a run that failed before.
    pub fn checkpoint(&mut self) -> Result<Checkpoint> {
        block_on(self.checkpoint_async())
    }

    /// [`Run::checkpoint`] for programs that must not block.
    ///
    /// # Errors
    ///
    /// The errors of [`Run::checkpoint`].
    pub async fn checkpoint_async(&mut self) -> Result<Checkpoint> {
        let Some(stage) = &mut self.stage else {
            return Err(Error::Fit("a run that failed has nothing to go on with".into()));
        };
        let run = stage.checkpoint().await?;
        let meta = Meta {
            head: run.head.clone(),
            is_first: self.is_first,
            endmembers: self.plan.model.endmembers,
            effective_bands: self.bands,
            description: self.description.clone(),
            library: self.library.clone(),
            held: self.held.clone(),
            elbo_with_brightness: self.elbo_with_brightness,
            common: self.plan.common,
            shade: self.plan.shade,
            concentration: self.plan.concentration,
            seconds: self.laps.seconds.clone(),
        };
        Ok(Checkpoint { meta, run, at_rest: self.at_rest.clone() })
    }
}

impl Unmixing {
    /// Goes on with the run of a checkpoint, on the scene that it began with. Settings must be
    /// those of that run; device and listeners may be others. On one device it ends with the bytes
    /// of a run that was never stopped.
    ///
    /// # Errors
    ///
    /// [`Error::Checkpoint`] where scene or settings are not those of the run, and what devices
    /// refuse.
    pub fn resume(&self, scene: &Scene, checkpoint: Checkpoint) -> Result<Run> {
        block_on(self.resume_async(scene, checkpoint))
    }

    /// [`Unmixing::resume`] for programs that must not block.
    ///
    /// # Errors
    ///
    /// The errors of [`Unmixing::resume`].
    pub async fn resume_async(&self, scene: &Scene, checkpoint: Checkpoint) -> Result<Run> {
        let Checkpoint { meta, run, at_rest } = checkpoint;
        let mut plan = Plan::new(self, meta.endmembers)?;
        let taken = plan.pixels(scene)?;
        let whole = taken.whole && self.sample_of.is_none();
        plan.weigh(meta.effective_bands, taken.pixels.bands());
        plan.decide_posterior(plan.neighbours(scene, taken.aside(), whole), whole);
        let learned = plan.without_repeats(&taken.learned);
        if let Some(kept) = meta.shade.filter(|_| plan.shade_is_open()) {
            plan.decide_shade(kept);
        }
        if let Some(learned) = meta.concentration.filter(|_| plan.concentration_is_open()) {
            plan.decide_concentration(learned);
        }
        if let Some(kept) = meta.common.filter(|_| plan.common_is_open()) {
            plan.decide_common(kept);
        }
        let expected = if meta.is_first { plan.first.as_ref() } else { Some(&plan.model) };
        // Whether the start had been fitted is no setting, nor how a device held the spectra.
        let svi::Settings { warm, half, .. } = run.head.settings;
        plan.svi.half = half;
        let settings = svi::Settings { warm, ..plan.svi.clone() };
        if expected != Some(&run.head.model) || settings != run.head.settings {
            return Err(Error::Checkpoint(
                "the checkpoint is of a run with other settings; give those that it began with"
                    .into(),
            ));
        }
        let device = self.open().await?;
        self.tell(&Event::Device(device.info.clone()));
        let stage = svi::Run::resume(&device, &learned, run).await?;
        Ok(Run {
            of: self.clone(),
            plan,
            scene: scene.clone(),
            taken,
            learned,
            device: Arc::clone(&device),
            stage: Some(stage),
            is_first: meta.is_first,
            elbo_with_brightness: meta.elbo_with_brightness,
            found: None,
            at_rest,
            library: meta.library,
            held: meta.held,
            description: meta.description,
            bands: meta.effective_bands,
            laps: Laps::after(meta.seconds),
        })
    }
}
