//! What a benchmark leaves: a file that other machines' files can be held against.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::cost::Cost;
use super::{Spread, Standard};
use crate::engine::backend::{Ceilings, DeviceInfo};
use crate::engine::ground::error::{Error, Result};
use crate::engine::ground::files;

/// Version of the layout: it changes when earlier files can no longer be read.
const FORMAT: u32 = 1;

/// One run of `unmixel bench`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Version of this layout.
    pub format: u32,
    /// Version of the program.
    pub unmixel: String,
    /// When it ended, seconds since 1970 in UTC.
    pub ended_unix: Option<u64>,
    /// Whether it was the short form of the benchmark.
    pub quick: bool,
    /// The machine.
    pub host: Host,
    /// Time of the whole, s; 0 when it was interrupted.
    pub seconds: f64,
    /// Every device.
    pub devices: Vec<DeviceReport>,
}

/// The machine.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Host {
    /// Operating system and its version.
    pub os: String,
    /// Version of its kernel.
    pub kernel: String,
    /// Instruction set.
    pub arch: String,
    /// The processor, as it calls itself.
    pub cpu: String,
    /// Cores, where known.
    pub cores: Option<usize>,
    /// Threads that the CPU backend uses.
    pub threads: usize,
    /// Widest vectors in use.
    pub vectors: String,
    /// Bytes of memory.
    pub memory_bytes: u64,
}

/// A device.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DeviceReport {
    /// Its name, driver, and so on.
    pub device: DeviceInfo,
    /// Speeds of copies: bytes that a copy touches, read and written together, and bytes a second.
    pub copies: Vec<(usize, f64)>,
    /// Operations a second of fused multiply-adds in f32, each counted as two.
    pub fma_per_second: f64,
    /// Why nothing was measured, if so.
    pub failure: Option<String>,
    /// What was measured.
    pub cases: Vec<Case>,
}

/// One scene with one model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Case {
    /// Name of the scene.
    pub scene: String,
    /// `plain` or `default`.
    pub model: String,
    /// N, pixels of the scene.
    pub pixels: usize,
    /// L, bands.
    pub bands: usize,
    /// K, endmembers.
    pub endmembers: usize,
    /// B, pixels of a minibatch.
    pub batch: usize,
    /// S, draws a step.
    pub particles: usize,
    /// What was found.
    pub measured: Option<Measured>,
    /// Why there is nothing, if so.
    pub refused: Option<String>,
}

/// Times of a case.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// Opening the device, compiling the passes, moving the scene there, s.
    pub open_seconds: f64,
    /// The first step, in which drivers do what they put off, s.
    pub first_step_seconds: f64,
    /// Steps of a timed block.
    pub block_steps: u32,
    /// Steps a second.
    pub steps_per_second: Spread,
    /// Seconds of a step.
    pub step_seconds: Spread,
    /// Pixels of a minibatch times steps a second.
    pub pixel_steps_per_second: f64,
    /// Steps that were not finite, and so did less work than others: 0 in a sound run.
    pub skipped_steps: u32,
    /// Bytes a second of the copy that this case is held against.
    pub copy_bytes_per_second: f64,
    /// Operations a second of the multiply-adds that this case is held against.
    pub fma_per_second: f64,
    /// Each pass; empty where the device has no clock.
    pub passes: Vec<PassReport>,
}

/// A pass.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PassReport {
    /// Its name.
    pub name: String,
    /// Seconds a step.
    pub seconds: Spread,
    /// Bytes a step, counted as `docs/performance.md` says.
    pub bytes: Option<u64>,
    /// Operations a step, counted as `docs/performance.md` says.
    pub operations: Option<u64>,
    /// Bytes a second over those of a copy.
    pub of_copy: Option<f64>,
    /// Operations a second over those of multiply-adds.
    pub of_fma: Option<f64>,
}

impl Host {
    /// The machine, as far as the program itself knows it; the rest is empty.
    pub fn of_program() -> Self {
        Host {
            os: std::env::consts::OS.to_owned(),
            arch: std::env::consts::ARCH.to_owned(),
            threads: rayon::current_num_threads(),
            vectors: crate::engine::backend::vectors().to_owned(),
            ..Host::default()
        }
    }
}

impl PassReport {
    /// The report of a pass: from its time, its count, and the bytes and operations a second that
    /// the device reaches.
    pub fn new(name: &str, seconds: Spread, cost: Option<Cost>, reach: (f64, f64)) -> Self {
        let share = |count: u64, reach: f64| {
            Some(count as f64 / seconds.median / reach).filter(|share| share.is_finite())
        };
        PassReport {
            name: name.to_owned(),
            seconds,
            bytes: cost.map(|c| c.bytes),
            operations: cost.map(|c| c.operations),
            of_copy: cost.and_then(|c| share(c.bytes, reach.0)),
            of_fma: cost.and_then(|c| share(c.operations, reach.1)),
        }
    }

    /// Which limit binds the pass, and what share of it the pass reaches.
    pub fn limit(&self) -> Option<(&'static str, f64)> {
        let (copy, fma) = (self.of_copy?, self.of_fma?);
        Some(if copy > fma { ("memory", copy) } else { ("arithmetic", fma) })
    }
}

impl DeviceReport {
    /// The report of a device, without cases yet.
    pub fn new(
        device: &DeviceInfo,
        sizes: &[usize],
        ceilings: &Ceilings,
        failure: Option<String>,
    ) -> Self {
        DeviceReport {
            device: device.clone(),
            copies: sizes.iter().copied().zip(ceilings.copy.iter().copied()).collect(),
            fma_per_second: ceilings.fma,
            failure,
            cases: Vec::new(),
        }
    }
}

impl Case {
    /// The report of a case: what was measured, or why nothing was.
    pub fn new(
        scene: &Standard,
        model: &str,
        particles: usize,
        measured: Result<Measured>,
    ) -> Self {
        let (measured, refused) = match measured {
            Ok(measured) => (Some(measured), None),
            Err(error) => (None, Some(error.to_string())),
        };
        Case {
            scene: scene.name.to_owned(),
            model: model.to_owned(),
            pixels: scene.pixels,
            bands: scene.bands,
            endmembers: scene.endmembers,
            batch: scene.batch,
            particles,
            measured,
            refused,
        }
    }

    /// Names of scene and model, for tables.
    pub fn name(&self) -> String {
        format!("{}, {}", self.scene, self.model)
    }

    /// What was found, in one line.
    pub fn line(&self) -> String {
        let found = match (&self.measured, &self.refused) {
            (Some(m), _) => format!(
                "{:.1} steps/s ± {:.0} %, {:.3e} pixel-steps/s",
                m.steps_per_second.median,
                m.steps_per_second.percent(),
                m.pixel_steps_per_second
            ),
            (None, Some(reason)) => format!("not measured: {reason}"),
            (None, None) => "not measured".to_owned(),
        };
        format!("{}: {found}", self.name())
    }
}

impl Report {
    /// A report without devices yet.
    pub fn new(host: Host, quick: bool) -> Self {
        Report {
            format: FORMAT,
            unmixel: env!("CARGO_PKG_VERSION").to_owned(),
            ended_unix: None,
            quick,
            host,
            seconds: 0.0,
            devices: Vec::new(),
        }
    }

    /// Reads what `unmixel bench` has written.
    ///
    /// # Errors
    /// [`Error::Io`] when the file cannot be read, [`Error::File`] when it is not such a report or
    /// holds speeds that cannot be.
    pub fn read(path: impl AsRef<Path>) -> Result<Report> {
        let path = path.as_ref();
        let text = files::read(path)?;
        let report: Report = serde_json::from_slice(&text).map_err(|error| {
            Error::file(
                path,
                format!(
                    "is no report of `unmixel bench` ({error}); give the bench.json that it writes"
                ),
            )
        })?;
        if report.format != FORMAT {
            let reason = format!(
                "has format {} and this program reads {FORMAT}; run `unmixel bench` again there",
                report.format
            );
            return Err(Error::file(path, reason));
        }
        let cases = report.devices.iter().flat_map(|device| &device.cases);
        for case in cases {
            let Some(measured) = &case.measured else { continue };
            let speed = measured.pixel_steps_per_second;
            let steps = measured.steps_per_second.median;
            if !(speed.is_finite() && speed > 0.0 && steps.is_finite() && steps > 0.0) {
                let reason = format!(
                    "{}: {steps} steps/s, {speed} pixel-steps/s; must be above 0",
                    case.name()
                );
                return Err(Error::file(path, reason));
            }
        }
        Ok(report)
    }
}
