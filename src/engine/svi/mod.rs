//! Stochastic variational inference: the loop around the passes. It emits progress, never prints.

pub mod schedule;

use std::time::{Duration, Instant};

use crate::engine::backend::{self, device::Device};
use crate::engine::ground::error::{Error, Result};
use crate::engine::guide::{self, Guide};
use crate::engine::layout::{MOST_PARTICLES, Params};
use crate::engine::model::{Family, MOST_COVARIANCE_BANDS, MOST_RANK, Model, Noise};
use crate::engine::pixels::Pixels;
use crate::engine::svi::schedule::{Plateau, Schedule};

/// How a fit is run.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Settings {
    /// Ceiling of the number of steps, >= 1; the stopping rule usually ends the run before.
    pub steps: u32,
    /// Pixels in a minibatch, >= 1, taken as the next multiple of 16; more than the scene has means all of them.
    pub batch_size: usize,
    /// Draws a step, 1 to 64.
    pub particles: usize,
    /// Adam's learning rate of the scene latents, > 0; pixel latents take [`LOCAL_RATE`] times as much.
    pub learning_rate: f64,
    /// Seed of every random number of the run.
    pub seed: u64,
    /// Whether the stopping rule may end the run before the ceiling.
    pub early_stop: bool,
    /// Whether the start is a guide that a search has fitted: the run is then a descent of the rate alone
    /// ([`Schedule::descent`]). More steps at the full rate would undo some of the fit: they are
    /// relative, and what the data hardly tell, as a dark endmember's shape, drifts.
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
            warm: false,
        }
    }
}

/// Learning rate of pixel latents over that of scene latents. A pixel is drawn once an epoch, a
/// scene latent moves every step.
pub const LOCAL_RATE: f64 = 5.0;
/// Gradients after which a pixel's rate has fallen by a factor of sqrt 2; it goes on as their inverse root
/// (Robbins and Monro 1951; Kingma and Ba 2015, section 4). At a rate that stays, the noise of the locs of
/// pixels that are often seen moves the scene: of a small scene a dark endmember is lost after some
/// thousand steps (docs/model.md). Of a large one a pixel never sees so many.
const MANY_VISITS: f64 = 200.0;
/// Adam's decays: (first, second) moment. Pixels see few gradients, so theirs forget sooner.
const DECAY_GLOBAL: (f64, f64) = (0.9, 0.999);
const DECAY_LOCAL: (f64, f64) = (0.8, 0.95);
/// Steps between two looks at the ELBO.
const BLOCK: u32 = 50;

/// How far a run is.
#[derive(Debug, Clone, PartialEq)]
pub struct Progress {
    /// Steps done.
    pub step: u32,
    /// Steps the run takes at most, as far as known now.
    pub ceiling: u32,
    /// Median ELBO a pixel over the last steps, nats.
    pub elbo: f64,
    /// Steps that were not finite, so far.
    pub skipped: u32,
    /// Time since the first step.
    pub elapsed: Duration,
    /// The number of steps left times the time one has taken.
    pub left: Duration,
}

/// Why a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case", tag = "reason")]
pub enum Stop {
    /// The ELBO stood still; the learning rate was then brought down to zero.
    Converged {
        /// Step at which the rule fired.
        fired_at: u32,
    },
    /// The start had been fitted, and the rate was brought down to zero.
    Warm,
    /// The ceiling was reached first.
    Ceiling,
    /// Someone asked to stop.
    Interrupted,
}

impl Stop {
    /// The reason as a sentence.
    pub fn sentence(&self) -> String {
        match self {
            Stop::Converged { fired_at } => {
                format!("the ELBO stood still at step {fired_at} ({})", Plateau::RULE)
            }
            Stop::Warm => {
                "the rate came down to zero, from a start that the search had fitted".into()
            }
            Stop::Ceiling => "the ceiling of steps was reached".into(),
            Stop::Interrupted => "it was interrupted".into(),
        }
    }
}

/// What a run leaves behind.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The fitted guide.
    pub guide: Guide,
    /// ELBO a pixel of every step, nats, all constants included.
    pub trace: Vec<f64>,
    /// Why it ended.
    pub stop: Stop,
    /// Steps that were not finite and changed nothing.
    pub skipped: u32,
    /// Time of the upload and compilation, then of the steps.
    pub seconds: (f64, f64),
}

impl Outcome {
    /// Median ELBO a pixel over the last steps, nats; none when no step was finite.
    pub fn elbo(&self) -> Option<f64> {
        median_finite(&self.trace[self.trace.len().saturating_sub(BLOCK as usize)..])
    }
}

/// The sizes of a run on so many pixels and bands, with every setting checked against them.
///
/// # Errors
///
/// [`Error::Option`] for the first setting outside its range, [`Error::Scene`] where there is nothing to fit or
/// too much for 32-bit sizes.
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
/// [`Error::Option`] for the first setting outside its range.
pub fn check(model: &Model, settings: &Settings) -> Result<()> {
    let positive = |option: &str, value: f64| {
        if value.is_finite() && value > 0.0 {
            Ok(())
        } else {
            Err(Error::option(format!("{option} {value}"), "must be a finite number above 0"))
        }
    };
    let at_least_one = |option: &str, value: usize| {
        if value > 0 {
            Ok(())
        } else {
            Err(Error::option(format!("{option} 0"), "must be at least 1"))
        }
    };
    at_least_one("--endmembers", model.endmembers)?;
    at_least_one("--steps", settings.steps as usize)?;
    at_least_one("--batch-size", settings.batch_size)?;
    at_least_one("--particles", settings.particles)?;
    if settings.particles > MOST_PARTICLES {
        return Err(Error::option(
            format!("--particles {}", settings.particles),
            format!("at most {MOST_PARTICLES}"),
        ));
    }
    if let Family::LowRank { rank } = model.family {
        at_least_one("--rank", rank)?;
        if rank > MOST_RANK {
            return Err(Error::option(
                format!("--rank {rank}"),
                format!(
                    "at most {MOST_RANK}: one workgroup of a GPU inverts a matrix of this size each step, and holds no larger one"
                ),
            ));
        }
    }
    positive("--learning-rate", settings.learning_rate)?;
    positive("--concentration", model.concentration)?;
    model
        .concentration_sd
        .map_or(Ok(()), |sd| positive("--concentration learned, with prior sd", sd))
}

/// Refuses more directions than there are latents to move.
fn check_rank(model: &Model, params: &Params) -> Result<()> {
    let latents = guide::scene_latents(params) + params.pixels as usize * params.latents as usize;
    let rank = model.family.rank();
    if rank <= latents {
        return Ok(());
    }
    Err(Error::option(
        format!("--rank {rank}"),
        format!(
            "the scene and its pixels have {latents} latents together, and that is the highest rank; give less, or use --guide full-rank"
        ),
    ))
}

fn check_covariance(model: &Model, bands: usize) -> Result<()> {
    if model.noise != Noise::Covariance {
        return Ok(());
    }
    let refuse = |reason: String| Err(Error::option("--noise covariance", reason));
    if model.variability.is_some() {
        return refuse(
            "does not go with endmember variability, which gives every pixel a covariance of its own; switch one of the two off".into(),
        );
    }
    if bands > MOST_COVARIANCE_BANDS {
        return refuse(format!(
            "the scene has {bands} bands in use, and at most {MOST_COVARIANCE_BANDS} are possible; use --noise band"
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

/// Fits a guide's model to pixels, from where the guide is. `observe` is told after every [`BLOCK`] steps; `interrupted` is
/// asked much more often and ends the run, with what there is.
pub fn fit(
    device: &Device,
    settings: &Settings,
    pixels: &Pixels,
    start: Guide,
    observe: &mut dyn FnMut(&Progress),
    interrupted: &(dyn Fn() -> bool + Sync),
) -> Result<Outcome> {
    let sizes = params(&start.model, settings, (pixels.count(), pixels.bands()))?;
    let sizes = backend::sizes(device, sizes);
    let constant = guide::elbo_constant(&sizes, &start.model, &start.prior_centre);
    let (model, prior_centre, seen) =
        (start.model.clone(), start.prior_centre.clone(), start.visits);
    let opening = Instant::now();
    let mut backend = backend::open(device, &sizes, pixels, start)?;
    let opened = opening.elapsed().as_secs_f64();

    let mut schedule = match settings.warm {
        true => Schedule::descent(settings.steps, sizes.batches()),
        false => Schedule::new(settings.steps),
    };
    let mut plateau = Plateau::default();
    let mut trace: Vec<f64> = Vec::new();
    let mut stop = if settings.warm { Stop::Warm } else { Stop::Ceiling };
    let mut skipped = 0;
    let begin = Instant::now();
    while (trace.len() as u32) < schedule.last() {
        let first = trace.len() as u32;
        let steps: Vec<Params> = (first..(first + BLOCK).min(schedule.last()))
            .map(|step| at_step(&sizes, settings, seen, step, step - first, schedule.rate(step)))
            .collect();
        let block = backend.run(&steps, interrupted)?;
        let done = block.elbo.len();
        trace.extend(
            block.elbo.iter().map(|&elbo| (f64::from(elbo) + constant) / f64::from(sizes.pixels)),
        );
        skipped = block.skipped;
        let elbo = median_finite(&trace[first as usize..]).unwrap_or(f64::NEG_INFINITY);
        if settings.early_stop
            && !settings.warm
            && schedule.cooling_since().is_none()
            && plateau.push(elbo)
        {
            schedule.cool_from(trace.len() as u32);
            stop = Stop::Converged { fired_at: trace.len() as u32 };
        }
        let elapsed = begin.elapsed();
        let left = elapsed
            .mul_f64(f64::from(schedule.last() - trace.len() as u32) / trace.len().max(1) as f64);
        observe(&Progress {
            step: trace.len() as u32,
            ceiling: schedule.last(),
            elbo,
            skipped,
            elapsed,
            left,
        });
        if done < steps.len() {
            stop = Stop::Interrupted;
            break;
        }
    }
    let last = &trace[trace.len().saturating_sub(BLOCK as usize)..];
    if !last.is_empty() && median_finite(last).is_none() {
        return Err(Error::Fit(format!(
            "none of the last {} steps gave a finite ELBO; check the scene's values and scale, or lower --learning-rate",
            last.len()
        )));
    }
    let stepped = begin.elapsed().as_secs_f64();
    let (globals, locals) = backend.guide()?;
    let visits = seen + visits(&sizes, trace.len() as u32);
    let guide =
        Guide { model, params: sizes, globals, locals, prior_centre, rank_sum: Vec::new(), visits };
    Ok(Outcome { guide, trace, stop, skipped, seconds: (opened, stepped) })
}

/// Gradients that a pixel sees in so many steps, mean over pixels.
fn visits(sizes: &Params, steps: u32) -> f64 {
    f64::from(steps) / f64::from(sizes.batches())
}

/// The parameters of one step of a fit that began when pixels had seen so many gradients.
pub(crate) fn at_step(
    sizes: &Params,
    settings: &Settings,
    seen: f64,
    step: u32,
    slot: u32,
    rate: f64,
) -> Params {
    let local = LOCAL_RATE / (1.0 + (seen + visits(sizes, step)) / MANY_VISITS).sqrt();
    let correction = |decay: f64| (1.0 / (1.0 - decay.powf(f64::from(step) + 1.0))) as f32;
    Params {
        trace_slot: slot,
        rate_global: (settings.learning_rate * rate) as f32,
        rate_local: (settings.learning_rate * local * rate) as f32,
        correction_first: correction(DECAY_GLOBAL.0),
        correction_second: correction(DECAY_GLOBAL.1),
        ..sizes.at(step)
    }
}

/// The median, not the mean: a draw from the tail of a narrow guide can cost hundreds of nats.
fn median_finite(values: &[f64]) -> Option<f64> {
    let mut finite: Vec<f64> = values.iter().copied().filter(|x| x.is_finite()).collect();
    finite.sort_unstable_by(f64::total_cmp);
    finite.get(finite.len() / 2).copied()
}
