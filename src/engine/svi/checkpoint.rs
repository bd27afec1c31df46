//! A run at rest: all that it takes to go on with it.

use crate::engine::ground::error::{Error, Result};
use crate::engine::guide::{Guide, Momentum};
use crate::engine::model::Model;
use crate::engine::pixels::Pixels;
use crate::engine::svi::settings::{Settings, params};

/// A run between two steps, as plain data. Sizes follow from the head; the schedule and the
/// stopping rule from the settings and the ELBO of every step.
#[derive(Debug, Clone, PartialEq)]
pub struct Checkpoint {
    /// All that is no array.
    pub head: Head,
    /// ELBO of each step done, as the device gives it: over all pixels, without constants.
    pub elbo: Vec<f32>,
    /// Guide of the scene latents, (global_stride).
    pub globals: Vec<f32>,
    /// Guide of the pixel latents, (N, local_stride), in the order of the run's pixels.
    pub locals: Vec<f32>,
    /// Centre of the endmembers' prior, (K, stride).
    pub prior_centre: Vec<f32>,
    /// Running sum over pixels of products of loadings, (rank, rank); empty without any.
    pub rank_sum: Vec<f32>,
    /// The optimiser's moments of scene latents, (2, global_stride).
    pub global_moments: Vec<f32>,
    /// The optimiser's moments of pixel latents, (N, 2, local_stride).
    pub local_moments: Vec<f32>,
}

/// What a checkpoint holds beside its arrays.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Head {
    /// [`Checkpoint::VERSION`] of the program that took it.
    pub version: u32,
    /// The model.
    pub model: Model,
    /// Settings of the run.
    pub settings: Settings,
    /// N, pixels of the run.
    pub pixels: usize,
    /// L, bands in use.
    pub bands: usize,
    /// [`Pixels::fingerprint`] of the spectra.
    pub fingerprint: u64,
    /// Gradients that a pixel had seen before the run, mean over pixels.
    pub visits: f64,
    /// Gradients that the moments had seen before the run.
    pub gradients: u32,
    /// Steps that were not finite, so far.
    pub skipped: u32,
    /// Time that the steps so far have taken, seconds.
    pub seconds: f64,
}

impl Checkpoint {
    /// Of what a checkpoint holds and of how a run goes on from it. It changes with either.
    pub const VERSION: u32 = 1;

    /// The names of its arrays, in the order of [`Checkpoint::arrays`].
    pub const ARRAYS: [&str; 7] = [
        "elbo",
        "globals",
        "locals",
        "prior_centre",
        "rank_sum",
        "global_moments",
        "local_moments",
    ];

    /// Its arrays with their names, for who writes them down.
    pub fn arrays(&self) -> [(&'static str, &[f32]); 7] {
        let [elbo, globals, locals, prior_centre, rank_sum, global_moments, local_moments] =
            Self::ARRAYS;
        [
            (elbo, &self.elbo),
            (globals, &self.globals),
            (locals, &self.locals),
            (prior_centre, &self.prior_centre),
            (rank_sum, &self.rank_sum),
            (global_moments, &self.global_moments),
            (local_moments, &self.local_moments),
        ]
    }

    /// The checkpoint of a head and the array of each name, for who reads them. Sizes are checked
    /// where the run goes on.
    ///
    /// # Errors
    ///
    /// What `array` says, as where one of [`Checkpoint::ARRAYS`] is missing.
    pub fn from_parts(head: Head, mut array: impl FnMut(&str) -> Result<Vec<f32>>) -> Result<Self> {
        let [elbo, globals, locals, prior_centre, rank_sum, global_moments, local_moments] =
            Self::ARRAYS;
        Ok(Checkpoint {
            head,
            elbo: array(elbo)?,
            globals: array(globals)?,
            locals: array(locals)?,
            prior_centre: array(prior_centre)?,
            rank_sum: array(rank_sum)?,
            global_moments: array(global_moments)?,
            local_moments: array(local_moments)?,
        })
    }

    /// Refuses to go on with other pixels, or with what no run has left. Gives the pixels'
    /// fingerprint.
    ///
    /// # Errors
    ///
    /// [`Error::Checkpoint`].
    pub(super) fn check(&self, pixels: &Pixels) -> Result<u64> {
        let refuse = |reason: String| Err(Error::Checkpoint(reason));
        let head = &self.head;
        if head.version != Self::VERSION {
            return refuse(format!(
                "the checkpoint has version {}, and this program goes on from version {}; \
                 continue it with the program that took it",
                head.version,
                Self::VERSION
            ));
        }
        if (head.pixels, head.bands) != (pixels.count(), pixels.bands()) {
            return refuse(format!(
                "the checkpoint is of a run on {} pixels with {} bands, and the scene has {} with \
                 {}; open the scene that the run began with, with the same bands",
                head.pixels,
                head.bands,
                pixels.count(),
                pixels.bands()
            ));
        }
        let numbers = [("visits", head.visits), ("seconds", head.seconds)];
        if let Some((name, value)) = numbers.iter().find(|(_, x)| !(x.is_finite() && *x >= 0.0)) {
            return refuse(format!(
                "the checkpoint has {value} for {name}, and only a finite number of 0 or more can \
                 be; it is damaged"
            ));
        }
        let fingerprint = pixels.fingerprint();
        if head.fingerprint != fingerprint {
            return refuse(
                "the checkpoint is of a run on other spectra than the scene's; open the scene \
                 that the run began with, at the same scale"
                    .into(),
            );
        }
        Ok(fingerprint)
    }

    /// The guide with its momentum, beside head and ELBOs.
    ///
    /// # Errors
    ///
    /// [`Error::Checkpoint`] where an array has another size than the head says.
    pub(super) fn into_guide(self) -> Result<(Head, Vec<f32>, Guide)> {
        let head = self.head;
        let damaged = |e: Error| {
            Error::Checkpoint(format!("the checkpoint's settings allow no run: {e}; it is damaged"))
        };
        let sizes =
            params(&head.model, &head.settings, (head.pixels, head.bands)).map_err(damaged)?;
        let momentum = Momentum {
            steps: head.gradients,
            globals: self.global_moments,
            locals: self.local_moments,
        };
        let guide = Guide {
            model: head.model.clone(),
            params: sizes,
            globals: self.globals,
            locals: self.locals,
            prior_centre: self.prior_centre,
            rank_sum: self.rank_sum,
            visits: head.visits,
            momentum: Some(momentum),
        };
        guide
            .check(&sizes)
            .map_err(|e| Error::Checkpoint(format!("the checkpoint is damaged: {e}")))?;
        Ok((head, self.elbo, guide))
    }
}
