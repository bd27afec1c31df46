//! How a run is set: what may be asked for, its limits, and what follows from it for each step.

use crate::engine::ground::error::{Error, Result};
use crate::engine::ground::setting;
use crate::engine::guide::{self, Guide};
use crate::engine::layout::{HALF, MOST_PARTICLES, Params};
use crate::engine::model::{Family, MOST_COVARIANCE_BANDS, MOST_RANK, Model, Noise};

/// How a fit is run.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Settings {
    /// Ceiling of the number of steps, >= 1; the stopping rule usually ends the run before.
    pub steps: u32,
    /// Pixels in a minibatch, >= 1, taken as the next multiple of 16; more than the scene has means
    /// all of them.
    pub batch_size: usize,
    /// Draws a step, 1 to 64.
    pub particles: usize,
    /// Adam's learning rate of the scene latents, > 0; pixel latents take [`LOCAL_RATE`] times as
    /// much.
    pub learning_rate: f64,
    /// Seed of every random number of the run.
    pub seed: u64,
    /// Whether the stopping rule may end the run before the ceiling.
    pub early_stop: bool,
    /// Whether a GPU holds the spectra as floats of 16 bits, rounded to eleven binary digits: half
    /// of the memory, and of what a step reads. The CPU has them as they are.
    #[serde(default)]
    pub half: bool,
    /// Whether the start is a guide that a search has fitted: the run is then a descent of the rate
    /// alone ([`Schedule::descent`]). More steps at the full rate would undo some of the fit: they
    /// are relative, and what the data hardly tell, as a dark endmember's shape, drifts.
    pub warm: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            steps: 5000,
            batch_size: 512,
            particles: 2,
            learning_rate: 0.02,
            seed: 0,
            early_stop: true,
            half: false,
            warm: false,
        }
    }
}

/// Learning rate of pixel latents over that of scene latents. A pixel is drawn once an epoch, a
/// scene latent moves every step.
pub const LOCAL_RATE: f64 = 5.0;
/// Gradients after which a pixel's rate has fallen by a factor of sqrt 2; it goes on as their
/// inverse root (Robbins and Monro 1951; Kingma and Ba 2015, section 4). At a rate that stays, the
/// noise of the locs of pixels that are often seen moves the scene: of a small scene a dark
/// endmember is lost after some thousand steps (docs/model.md). Of a large one a pixel never sees
/// so many.
const MANY_VISITS: f64 = 200.0;
/// Adam's decays: (first, second) moment. Pixels see few gradients, so theirs forget sooner.
const DECAY_GLOBAL: (f64, f64) = (0.9, 0.999);
const DECAY_LOCAL: (f64, f64) = (0.8, 0.95);
/// The sizes of a run on so many pixels and bands, with every setting checked against them.
///
/// # Errors
///
/// [`Error::Setting`] for the first setting outside its range, [`Error::Scene`] where there is
/// nothing to fit or too much for 32-bit sizes.
pub fn params(
    model: &Model,
    settings: &Settings,
    (pixels, bands): (usize, usize),
) -> Result<Params> {
    check(model, settings)?;
    check_covariance(model, bands)?;
    let (batch, particles) = (settings.batch_size, settings.particles);
    let mut params = Params::new(model, pixels, bands, batch, particles, settings.seed)?;
    check_rank(model, &params)?;
    params.flags |= if settings.half { HALF } else { 0 };
    params.decay_first_global = DECAY_GLOBAL.0 as f32;
    params.decay_second_global = DECAY_GLOBAL.1 as f32;
    params.decay_first_local = DECAY_LOCAL.0 as f32;
    params.decay_second_local = DECAY_LOCAL.1 as f32;
    Ok(params)
}

/// Refuses settings that no scene could be fitted with.
///
/// # Errors
///
/// [`Error::Setting`] for the first setting outside its range.
pub fn check(model: &Model, settings: &Settings) -> Result<()> {
    let positive = |name: &'static str, value: f64| {
        if value.is_finite() && value > 0.0 {
            Ok(())
        } else {
            Err(Error::setting(name, value, "must be a finite number above 0"))
        }
    };
    let at_least_one = |name: &'static str, value: usize| {
        if value > 0 { Ok(()) } else { Err(Error::setting(name, 0, "must be at least 1")) }
    };
    at_least_one(setting::ENDMEMBERS, model.endmembers)?;
    at_least_one(setting::STEPS, settings.steps as usize)?;
    at_least_one(setting::BATCH_SIZE, settings.batch_size)?;
    at_least_one(setting::PARTICLES, settings.particles)?;
    if settings.particles > MOST_PARTICLES {
        let most = format!("at most {MOST_PARTICLES}");
        return Err(Error::setting(setting::PARTICLES, settings.particles, most));
    }
    if let Family::LowRank { rank } = model.family {
        at_least_one(setting::RANK, rank)?;
        if rank > MOST_RANK {
            return Err(Error::setting(
                setting::RANK,
                rank,
                format!(
                    "at most {MOST_RANK}: one workgroup of a GPU inverts a matrix of this size \
                     each step, and holds no larger one"
                ),
            ));
        }
    }
    positive(setting::LEARNING_RATE, settings.learning_rate)?;
    positive(setting::CONCENTRATION, model.concentration)?;
    match model.concentration_sd {
        Some(sd) if !(sd.is_finite() && sd > 0.0) => Err(Error::setting(
            setting::CONCENTRATION,
            "learned",
            format!("the prior sd of its logarithm is {sd}, and must be a finite number above 0"),
        )),
        _ => Ok(()),
    }
}

/// Refuses more directions than there are latents to move.
fn check_rank(model: &Model, params: &Params) -> Result<()> {
    let latents = guide::scene_latents(params) + params.pixels as usize * params.latents as usize;
    let rank = model.family.rank();
    if rank <= latents {
        return Ok(());
    }
    Err(Error::setting(
        setting::RANK,
        rank,
        format!(
            "the scene and its pixels have {latents} latents together, and that is the highest \
             rank; give less, or take the full-rank guide"
        ),
    ))
}

fn check_covariance(model: &Model, bands: usize) -> Result<()> {
    if model.noise != Noise::Covariance {
        return Ok(());
    }
    let refuse = |reason: String| Err(Error::setting(setting::NOISE, "covariance", reason));
    if model.variability.is_some() {
        return refuse(
            "does not go with endmember variability, which gives every pixel a covariance of its \
             own; switch one of the two off"
                .into(),
        );
    }
    if bands > MOST_COVARIANCE_BANDS {
        return refuse(format!(
            "the scene has {bands} bands in use, and at most {MOST_COVARIANCE_BANDS} are \
             possible; take one noise sd a band"
        ));
    }
    if !(model.regression_sd.is_finite() && model.regression_sd > 0.0) {
        return refuse(format!(
            "the prior sd of its regressions is {}, and must be a finite number above 0",
            model.regression_sd
        ));
    }
    Ok(())
}

/// What a run's guide has behind it when the run begins.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct Before {
    /// Gradients that a pixel has seen, mean over pixels.
    pub visits: f64,
    /// Gradients that the optimiser's moments are of.
    pub gradients: u32,
}

impl Before {
    /// What a guide has behind it.
    pub fn of(guide: &Guide) -> Self {
        let gradients = guide.momentum.as_ref().map_or(0, |momentum| momentum.steps);
        Before { visits: guide.visits, gradients }
    }
}

/// Gradients that a pixel sees in so many steps, mean over pixels.
pub(super) fn visits(sizes: &Params, steps: u32) -> f64 {
    f64::from(steps) / f64::from(sizes.batches())
}

/// The parameters of one step, counted from 0, whose ELBO goes to a slot of the trace, at a share
/// of the full learning rate.
pub(crate) fn at_step(
    sizes: &Params,
    settings: &Settings,
    before: Before,
    step: u32,
    slot: u32,
    rate: f64,
) -> Params {
    let local = LOCAL_RATE / (1.0 + (before.visits + visits(sizes, step)) / MANY_VISITS).sqrt();
    let gradients = f64::from(before.gradients) + f64::from(step) + 1.0;
    let correction = |decay: f64| (1.0 / (1.0 - decay.powf(gradients))) as f32;
    Params {
        trace_slot: slot,
        rate_global: (settings.learning_rate * rate) as f32,
        rate_local: (settings.learning_rate * local * rate) as f32,
        correction_first: correction(DECAY_GLOBAL.0),
        correction_second: correction(DECAY_GLOBAL.1),
        ..sizes.at(step)
    }
}
