//! A fit as a folder of results, or as one file of maps.

use std::path::Path;

use super::folder::OutputFolder;
use super::images::Images;
use super::rasters::{self, Format};
use super::report::{Report, RunReport, Stages, WindowReport};
use super::summary::warnings;
use super::write::{Results, TruthView, write_all};
use crate::engine::ground::error::{Error, Result};
use crate::figures::{Labels, map_grid_png};
use crate::fit::Fit;
use crate::io::rasters::{About, Raster, SpectraTable, write_geotiff, write_netcdf};
use crate::io::replace;
use crate::scene::to_image;
use crate::score::Scores;
use crate::score::nearest::Nearest;

/// What goes into the results of a fit beside the fit.
#[derive(Debug, Clone, Default)]
pub struct Beside<'a> {
    /// What is written, apart from the table of endmembers and the report, which always are.
    pub formats: &'a [Format],
    /// Names of the endmembers; missing ones are numbered.
    pub names: &'a [String],
    /// For each endmember the materials of a library that it is like; empty without a library.
    pub nearest: &'a [Vec<Nearest>],
    /// Scores against a truth, and the truth in the order of the endmembers.
    pub truth: Option<(&'a Scores, &'a TruthView)>,
    /// The scene as the user named it.
    pub path: &'a str,
    /// Which part of the file's scene it is; none: all of it.
    pub window: Option<WindowReport>,
    /// What was done beside what the scene's own notes say, one sentence each.
    pub notes: Vec<String>,
    /// The command as it was given, program first.
    pub command: Vec<String>,
    /// When it was given, seconds since 1970 in UTC.
    pub started: Option<u64>,
    /// Seconds of the stages before the fit.
    pub seconds: Vec<(String, f64)>,
}

impl<'a> Beside<'a> {
    fn results(&'a self, fit: &'a Fit, trace: &'a [(u32, f64)]) -> Results<'a> {
        Results {
            scene: fit.scene(),
            formats: self.formats,
            nearest: self.nearest,
            posterior: fit.posterior(),
            drawn: fit.draws(),
            names: self.names,
            truth: self.truth.map(|(_, view)| view),
            trace,
            trace_window: 50,
            stopped_at: fit.record().stop.fired_at(),
        }
    }
}

/// One file, or one store, of maps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Single<'a> {
    /// All maps and spectra, with the CF conventions.
    NetCdf,
    /// The map of this name, as a folder of results names its files: `abundance_mean`,
    /// `abundance_sd`, `abundance_q05`, `abundance_q50`, `abundance_q95`, `residual`, `brightness`;
    /// a plane an endmember, cloud-optimised.
    GeoTiff(&'a str),
}

/// Writes maps of a fit to a file at `path`, whole or not at all; an earlier file of that name is
/// replaced. `names` are those of the endmembers; missing ones are numbered.
///
/// # Errors
/// [`Error::Setting`] for a map that the fit does not have, [`Error::Io`].
pub fn write_single(path: &Path, fit: &Fit, names: &[String], what: Single<'_>) -> Result<()> {
    maps(fit, names, |rasters, spectra, about| match what {
        Single::NetCdf => replace(path, |to| write_netcdf(rasters, spectra, about, to)),
        Single::GeoTiff(name) => {
            let found = rasters.iter().find(|raster| raster.name == name).ok_or_else(|| {
                let all: Vec<&str> = rasters.iter().map(|raster| raster.name).collect();
                Error::setting("map", name, format!("this fit has {}", all.join(", ")))
            })?;
            replace(path, |to| write_geotiff(found, about, to))
        }
    })
}

/// Writes all maps and spectra of a fit as a Zarr store into a folder, which then is to be
/// committed.
///
/// # Errors
/// [`Error::Io`].
pub fn write_store(store: &OutputFolder, fit: &Fit, names: &[String]) -> Result<()> {
    maps(fit, names, |rasters, spectra, about| rasters::zarr(store, rasters, spectra, about))
}

/// Gives the maps and spectra of a fit to `then`.
fn maps<T>(
    fit: &Fit,
    names: &[String],
    then: impl FnOnce(&[Raster<'_>], &SpectraTable<'_>, &About<'_>) -> Result<T>,
) -> Result<T> {
    let names = Labels::new(names, fit.k()).shown;
    let images = Images::of(fit.scene(), fit.posterior())?;
    let beside = Beside::default();
    rasters::described(&beside.results(fit, &[]), &names, &images, then)
}

/// Writes maps, spectra, pictures and the report of a fit; how many files there are. They appear
/// with the folder's commit.
///
/// # Errors
/// What [`write_all`] and [`Report::write`] return.
pub fn write_fit(folder: &OutputFolder, fit: &Fit, beside: Beside<'_>) -> Result<usize> {
    let record = fit.record();
    let trace: Vec<(u32, f64)> = (1..).zip(record.trace.iter().copied()).collect();
    let clock = std::time::Instant::now();
    let names = Labels::new(beside.names, fit.k()).shown;
    let mut files = write_all(folder, &beside.results(fit, &trace))?;
    files.extend(solutions(folder, fit, &names)?);
    let mut seconds = beside.seconds.clone();
    seconds.extend(record.seconds.iter().cloned());
    seconds.push(("pictures and tables".into(), clock.elapsed().as_secs_f64()));
    let notes = [beside.notes.clone(), warnings(fit, &names)].concat();
    let mut report = Report::of(fit, beside.path, notes);
    report.scene.window = beside.window;
    if !beside.nearest.is_empty() {
        report.estimates["nearest_materials"] = serde_json::json!(beside.nearest);
    }
    report.scores = beside.truth.map(|(scores, _)| serde_json::json!(scores));
    report.files = files;
    report.run = RunReport::current(beside.command, beside.started, Stages(seconds));
    report.write(folder)?;
    Ok(report.files.len())
}

/// Writes the abundance maps of the competing solutions side by side; the name of the file, where
/// there is more than one solution to see.
fn solutions(folder: &OutputFolder, fit: &Fit, names: &[String]) -> Result<Option<String>> {
    let solutions = fit.solutions();
    if solutions.len() < 2 {
        return Ok(None);
    }
    let mut rows = Vec::new();
    for (elbo, maps) in solutions {
        let elbo = elbo.unwrap_or(f64::NAN);
        rows.push((format!("ELBO {elbo:.2}"), to_image(fit.scene(), maps.view())?));
    }
    let title = format!("{}: solutions of the search, chosen on top", fit.scene().name());
    let png = map_grid_png(&rows, names, &title)?;
    let name = "solutions.png";
    folder.write(name, |to| to.write_all(&png))?;
    Ok(Some(name.to_owned()))
}
