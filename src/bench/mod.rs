//! How fast a device runs the engine: standard scenes, standard models, every pass against what the
//! device reaches. `docs/performance.md` says how to read it.

pub mod cost;
pub mod report;
mod scenes;
mod spread;

pub use report::{Case, DeviceReport, Host, Measured, PassReport, Report};
pub use scenes::{SCENES, Standard};
pub use spread::Spread;

use crate::engine::backend::device::Device;
use crate::engine::backend::{self, Backend, Laps, ceilings, check_memory};
use crate::engine::ground::clock::Instant;
use crate::engine::ground::error::{Error, Result};
use crate::engine::ground::setting;
use crate::engine::layout::{Params, TRACE_LEN};
use crate::engine::model::{EFFECTIVE_BANDS, Model};
use crate::engine::pixels::Pixels;
use crate::engine::svi::{self, Before, Settings};
use crate::unmixing::Unmixing;
use cost::Cost;
use scenes::Start;

/// What is measured, and how long.
#[derive(Debug, Clone)]
pub struct Options {
    /// Scenes, of [`SCENES`].
    pub scenes: Vec<Standard>,
    /// Timed blocks of a case, 1 to [`MOST_REPEATS`].
    pub repeats: usize,
    /// Steps of a block, 1 to [`TRACE_LEN`]; none: as many as [`Options::seconds`] takes.
    pub steps: Option<u32>,
    /// Time of a block.
    pub seconds: f64,
    /// Whether this is the short form of the benchmark; it is only recorded.
    pub quick: bool,
}

/// The most timed blocks of a case.
pub const MOST_REPEATS: usize = 1000;
/// Blocks run before the timed ones: caches, clocks and the size of submits settle.
const WARM_BLOCKS: usize = 2;
/// Steps of one profile at most: passes are timed one by one, which needs no long runs.
const MOST_PROFILED: u32 = 64;
/// Least and most bytes that a copy touches to be held against a scene.
const COPY_BYTES: (usize, usize) = (1 << 20, 256 << 20);

/// The models that are timed: mean-field and one draw with nothing else, and what `unmixel fit`
/// does.
const MODELS: [&str; 2] = ["plain", "default"];

fn model_of(name: &str, scene: &Standard) -> Result<(Model, usize)> {
    let plain = Model::new(scene.endmembers);
    if name == "plain" {
        return Ok((plain, 1));
    }
    let (model, settings) = Unmixing::new(scene.endmembers).model(scene.endmembers)?;
    let likelihood_weight = (EFFECTIVE_BANDS / scene.bands as f64).min(1.0);
    Ok((Model { likelihood_weight, ..model }, settings.particles))
}

/// Measures every scene with every model on every device. `tell` hears how far it is; where
/// `interrupted` says so, what there is by then comes back, and false.
///
/// # Errors
/// [`Error::Setting`] for numbers out of range, before any work. What a device cannot hold is in
/// the report, with the reason; what ends a device is not an error of the whole.
pub async fn run(
    devices: &[Device],
    host: Host,
    options: &Options,
    tell: &mut dyn FnMut(&str),
    interrupted: &(dyn Fn() -> bool + Sync),
) -> Result<(Report, bool)> {
    check(options)?;
    let begin = Instant::now();
    let mut report = Report::new(host, options.quick);
    let mut copies: Vec<usize> = options.scenes.iter().map(copy_bytes).collect();
    copies.sort_unstable();
    copies.dedup();
    let mut reached = Vec::new();
    for device in devices {
        if interrupted() {
            return Ok((report, false));
        }
        tell(&format!("{}: copies and multiplies", device.info.name));
        let ceilings = ceilings(device, &copies).await;
        let failure = ceilings.as_ref().err().map(ToString::to_string);
        let ceilings = ceilings.unwrap_or_default();
        report.devices.push(DeviceReport::new(&device.info, &copies, &ceilings, failure));
        reached.push(ceilings);
    }
    let mut last: Option<(Standard, Pixels, Start)> = None;
    for scene in &options.scenes {
        let (pixels, start) = match last.take().filter(|(before, ..)| scene.same_pixels(before)) {
            Some((_, pixels, start)) => (pixels, start),
            None => {
                tell(&format!("scene {}: {}", scene.name, scene.size()));
                let Some((cube, start)) = scene.make(interrupted) else {
                    return Ok((report, false));
                };
                (Pixels::as_given(cube), start)
            }
        };
        let copy_at = copies.iter().position(|&bytes| bytes == copy_bytes(scene));
        for name in MODELS {
            let (model, particles) = model_of(name, scene)?;
            for ((device, ceilings), out) in devices.iter().zip(&reached).zip(&mut report.devices) {
                if out.failure.is_some() {
                    continue;
                }
                let copy = copy_at.and_then(|i| ceilings.copy.get(i)).copied().unwrap_or(0.0);
                let job = Job {
                    device,
                    pixels: &pixels,
                    start: &start,
                    model: &model,
                    settings: Settings {
                        particles,
                        batch_size: scene.batch,
                        ..Settings::default()
                    },
                    reach: (copy, ceilings.fma),
                };
                let measured = job.measure(options, interrupted).await;
                if interrupted() {
                    return Ok((report, false));
                }
                let case = Case::new(scene, name, particles, measured);
                tell(&format!("{}: {}", device.info.name, case.line()));
                out.cases.push(case);
            }
        }
        last = Some((scene.clone(), pixels, start));
    }
    report.seconds = begin.elapsed().as_secs_f64();
    Ok((report, true))
}

/// Refuses numbers out of range.
///
/// # Errors
/// [`Error::Setting`] for the first number out of range.
pub fn check(options: &Options) -> Result<()> {
    let between = |name: &'static str, low: usize, value: usize, high: usize| {
        if (low..=high).contains(&value) {
            return Ok(());
        }
        Err(Error::setting(name, value, format!("give {low} to {high}")))
    };
    between(setting::REPEATS, 1, options.repeats, MOST_REPEATS)?;
    if let Some(steps) = options.steps {
        between(setting::STEPS, 1, steps as usize, TRACE_LEN as usize)?;
    }
    Ok(())
}

/// Bytes that a copy touches to be held against a scene: as many as its spectra have, so that both
/// are in the same cache or in none.
fn copy_bytes(scene: &Standard) -> usize {
    scene.bytes().clamp(COPY_BYTES.0, COPY_BYTES.1)
}

/// One scene with one model on one device.
struct Job<'a> {
    device: &'a Device,
    pixels: &'a Pixels,
    start: &'a Start,
    model: &'a Model,
    settings: Settings,
    /// Bytes and operations a second that the device reaches.
    reach: (f64, f64),
}

/// A run under way.
struct Clock<'a> {
    backend: Backend,
    sizes: Params,
    settings: &'a Settings,
    step: u32,
    skipped: u32,
}

impl Clock<'_> {
    fn next(&mut self, count: u32) -> Vec<Params> {
        let first = self.step;
        self.step += count;
        (0..count)
            .map(|i| svi::at_step(&self.sizes, self.settings, Before::default(), first + i, i, 1.0))
            .collect()
    }

    /// Seconds of a step, over a block.
    async fn block(&mut self, count: u32, interrupted: &(dyn Fn() -> bool + Sync)) -> Result<f64> {
        let steps = self.next(count);
        let begin = Instant::now();
        let blocks = self.backend.run(&steps, interrupted).await?;
        self.skipped = blocks.first().map_or(0, |block| block.skipped);
        Ok(begin.elapsed().as_secs_f64().max(1e-9) / f64::from(count))
    }
}

impl Job<'_> {
    async fn measure(
        &self,
        options: &Options,
        interrupted: &(dyn Fn() -> bool + Sync),
    ) -> Result<Measured> {
        let sizes = backend::sizes(
            self.device,
            svi::params(self.model, &self.settings, (self.pixels.count(), self.pixels.bands()))?,
        );
        check_memory(self.device, &sizes)?;
        let state = self.start.guide(&sizes, self.model, self.pixels);
        let opening = Instant::now();
        let backend = backend::open(self.device, &sizes, self.pixels, vec![state]).await?;
        let open_seconds = opening.elapsed().as_secs_f64();
        let mut clock = Clock { backend, sizes, settings: &self.settings, step: 0, skipped: 0 };
        let first_step_seconds = clock.block(1, interrupted).await?;

        // Twice as many until a block is as long as it should be: the first ones pay for much else.
        let mut count = options.steps.unwrap_or(1);
        while options.steps.is_none() && !interrupted() {
            let seconds = clock.block(count, interrupted).await? * f64::from(count);
            if seconds >= options.seconds || count == TRACE_LEN {
                break;
            }
            count = (2 * count).min(TRACE_LEN);
        }
        // Where a single step is longer than a block, the doubling has been warmth enough.
        if count > 1 {
            for _ in 0..WARM_BLOCKS {
                clock.block(count, interrupted).await?;
            }
        }
        let mut seconds = Vec::new();
        for _ in 0..options.repeats {
            seconds.push(clock.block(count, interrupted).await?);
        }

        let profiled = count.div_ceil(2).min(MOST_PROFILED);
        let mut profiles = Vec::new();
        for _ in 0..options.repeats {
            if interrupted() {
                break;
            }
            let steps = clock.next(profiled);
            profiles.extend(clock.backend.profile(&steps).await?);
        }
        let rates: Vec<f64> = seconds.iter().map(|s| 1.0 / s).collect();
        let empty = || Error::Fit("no block was timed".into());
        Ok(Measured {
            open_seconds,
            first_step_seconds,
            block_steps: count,
            steps_per_second: Spread::of(&rates).ok_or_else(empty)?,
            step_seconds: Spread::of(&seconds).ok_or_else(empty)?,
            pixel_steps_per_second: Spread::of(&rates).ok_or_else(empty)?.median
                * f64::from(sizes.batch),
            skipped_steps: clock.skipped,
            copy_bytes_per_second: self.reach.0,
            fma_per_second: self.reach.1,
            passes: passes(&sizes, &profiles, self.reach),
        })
    }
}

/// The passes of several profiles, each with its median and what that is of the device's reach.
fn passes(sizes: &Params, profiles: &[Laps], reach: (f64, f64)) -> Vec<PassReport> {
    let names = profiles.first().into_iter().flatten().map(|(name, _)| *name);
    names
        .filter_map(|name| {
            let of = |laps: &Laps| laps.iter().find(|(n, _)| *n == name).map(|(_, s)| *s);
            let seconds: Vec<f64> = profiles.iter().filter_map(of).collect();
            Some(PassReport::new(name, Spread::of(&seconds)?, Cost::of(name, sizes), reach))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::passes::{step, step_on_software};

    #[test]
    fn every_pass_of_the_standard_models_has_a_cost() {
        for scene in &SCENES {
            for name in MODELS {
                let (model, particles) = model_of(name, scene).unwrap();
                let sizes =
                    Params::new(&model, scene.pixels, scene.bands, scene.batch, particles, 0)
                        .unwrap();
                let passes = step(&sizes).into_iter().map(|(pass, _)| pass);
                for pass in passes.chain(step_on_software(&sizes)) {
                    let cost = Cost::of(pass.name, &sizes);
                    let idle = (pass.grid)(&sizes).is_empty() || pass.name == "factor_rank";
                    assert!(cost.is_some() || idle, "{}: {}", scene.name, pass.name);
                    assert!(cost.is_none_or(|c| c.bytes > 0 && c.operations > 0), "{}", pass.name);
                }
            }
        }
    }
}
