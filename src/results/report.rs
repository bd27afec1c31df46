//! The machine-readable record of a fit, `report.json`.

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use super::folder::OutputFolder;
use super::record::RECORD_FILE;
use crate::engine::ground::error::Result;
use crate::engine::svi::HeldCube;
use crate::fit::Trust;
use crate::scene::{Scaling, Scene};

/// Name of the file.
pub const REPORT_FILE: &str = "report.json";

/// What was done, with what, and what came of it. The same scene, settings, seed and device give
/// the same bytes, apart from the object `run`: all that differs from run to run is in there.
/// Numbers that are not finite are written as `null`.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Version of this crate.
    pub unmixel: &'static str,
    /// What was fitted.
    pub scene: SceneReport,
    /// All settings as used, defaults included.
    pub settings: serde_json::Value,
    /// Seed of all random numbers.
    pub seed: u64,
    /// What computed.
    pub device: DeviceReport,
    /// Steps taken.
    pub steps_run: u32,
    /// Steps allowed.
    pub steps_ceiling: u32,
    /// Why the fit ended, as a sentence.
    pub stop_reason: String,
    /// True when the user ended it early.
    pub interrupted: bool,
    /// Steps left out because their gradient was not finite.
    pub skipped_steps: u32,
    /// The objective.
    pub elbo: ElboReport,
    /// What was found, other than maps and spectra: mean abundance (K), noise sd (bands in use),
    /// total concentration.
    pub estimates: serde_json::Value,
    /// The starts that were tried, where there was a search.
    pub search: Option<serde_json::Value>,
    /// How far abundances may be from the truth; none where they have no uncertainty.
    pub trust: Option<Trust>,
    /// Comparison with a reference, where one was given.
    pub scores: Option<serde_json::Value>,
    /// Files written, this one included.
    pub files: Vec<String>,
    /// What differs from run to run.
    pub run: RunReport,
}

/// The scene as it was fitted.
#[derive(Debug, Clone, Serialize)]
pub struct SceneReport {
    /// File as the user named it.
    pub path: String,
    /// Short name.
    pub name: String,
    /// Height in pixels.
    pub rows: usize,
    /// Width in pixels.
    pub cols: usize,
    /// Bands in the file.
    pub file_bands: usize,
    /// Bands that were fitted, numbered in the file from 1.
    pub bands_used: Vec<usize>,
    /// Pixels that hold data.
    pub pixels_used: usize,
    /// How stored values became reflectance.
    pub scaling: Scaling,
    /// Which part of the file's scene it is; none: all of it.
    pub window: Option<WindowReport>,
    /// Where the scene lies on earth, where its file says so.
    pub georeference: Option<crate::scene::Georeference>,
    /// What was done to the data on the way in.
    pub notes: Vec<String>,
}

/// A part of a larger scene.
#[derive(Debug, Clone, PartialEq, Serialize, serde::Deserialize)]
pub struct WindowReport {
    /// The first row and the one after the last, counted from 0.
    pub rows: [usize; 2],
    /// The first column and the one after the last.
    pub cols: [usize; 2],
    /// Height and width of the whole.
    pub of: [usize; 2],
    /// Transform of the whole to its place on earth, as in `georeference`; none where it has none,
    /// or its pixels lie on no grid.
    pub transform: Option<[f64; 6]>,
}

/// What computed.
#[derive(Debug, Clone, Default, Serialize)]
pub struct DeviceReport {
    /// Its name.
    pub name: String,
    /// The interface to it, such as `vulkan` or `cpu`.
    pub backend: String,
    /// Name and version of its driver; empty where there is none.
    pub driver: String,
    /// Why it was chosen.
    pub reason: String,
    /// How it held the spectra; none where floats of 16 bits were not asked for.
    pub held: Option<HeldCube>,
}

/// The machine.
#[derive(Debug, Clone, Serialize)]
pub struct HostReport {
    /// Operating system.
    pub os: &'static str,
    /// Processor family.
    pub arch: &'static str,
    /// Threads used.
    pub threads: usize,
}

/// The objective over the steps.
#[derive(Debug, Clone, Default, Serialize)]
pub struct ElboReport {
    /// Where it ended, in nats per pixel.
    pub final_per_pixel: Option<f64>,
    /// How it got there.
    pub trace: Vec<ElboPoint>,
}

/// One value of the objective.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct ElboPoint {
    /// Step, from 1.
    pub step: u32,
    /// ELBO in nats per pixel.
    pub elbo: f64,
}

/// What differs from run to run, or from machine to machine, without a bearing on the results.
#[derive(Debug, Clone, Serialize)]
pub struct RunReport {
    /// The command as it was given, program first.
    pub command: Vec<String>,
    /// When it started, seconds since 1970 in UTC.
    pub started_unix: Option<u64>,
    /// The machine.
    pub host: HostReport,
    /// Seconds that each stage took, in order.
    pub seconds: Stages,
    /// Most memory held at once, in bytes.
    pub peak_memory_bytes: Option<u64>,
}

/// Stages and their seconds; an object in the order of the stages.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Stages(pub Vec<(String, f64)>);

impl Serialize for Stages {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (stage, seconds) in &self.0 {
            map.serialize_entry(stage, seconds)?;
        }
        map.end()
    }
}

impl SceneReport {
    /// What the scene says of itself; `path` is the file as the user named it.
    pub fn new(scene: &Scene, path: impl Into<String>) -> Self {
        SceneReport {
            path: path.into(),
            name: scene.name().to_owned(),
            rows: scene.rows(),
            cols: scene.cols(),
            file_bands: scene.file_bands(),
            bands_used: scene.bands().iter().map(|band| band.index + 1).collect(),
            pixels_used: scene.places().len(),
            scaling: scene.scaling().clone(),
            window: None,
            georeference: scene.georeference().cloned(),
            notes: scene.notes().to_vec(),
        }
    }
}

impl HostReport {
    /// This machine, with the threads that Rayon uses.
    pub fn current() -> Self {
        HostReport {
            os: std::env::consts::OS,
            arch: std::env::consts::ARCH,
            threads: rayon::current_num_threads(),
        }
    }
}

impl ElboReport {
    /// From steps with their ELBO per pixel.
    pub fn new(trace: &[(u32, f64)], final_per_pixel: Option<f64>) -> Self {
        let trace = trace.iter().map(|&(step, elbo)| ElboPoint { step, elbo }).collect();
        ElboReport { final_per_pixel, trace }
    }
}

impl RunReport {
    /// This run on this machine, with the memory it took so far.
    pub fn current(command: Vec<String>, started_unix: Option<u64>, seconds: Stages) -> Self {
        let host = HostReport::current();
        let peak_memory_bytes = peak_memory_bytes();
        RunReport { command, started_unix, host, seconds, peak_memory_bytes }
    }
}

impl Report {
    /// Writes the report to the folder; [`REPORT_FILE`] and [`RECORD_FILE`], which comes with the
    /// commit, are added to `files` if they are not there.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&mut self, folder: &OutputFolder) -> Result<()> {
        for own in [REPORT_FILE, RECORD_FILE] {
            if !self.files.iter().any(|file| file == own) {
                self.files.push(own.to_owned());
            }
        }
        folder.write(REPORT_FILE, |to| {
            serde_json::to_writer_pretty(&mut *to, self)?;
            to.write_all(b"\n")
        })
    }
}

/// The most memory this process held at once; known on Linux only.
pub fn peak_memory_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}
