//! All files of one fit other than its report.

use ndarray::{Array2, Array3, Array4, Axis};
use ndarray_npy::WriteNpyExt;
use rayon::prelude::*;

use super::folder::OutputFolder;
use super::images::Images;
use super::npy::write_npy;
use super::rasters::{self, Format, unit};
use super::table::write_endmembers;
use crate::engine::ground::error::{Error, Result};
use crate::figures::{
    Colormap, Labels, MapText, SpectraFigure, Trace, auto_range, composite_png, map_png,
    side_by_side_png, spectra_png, trace_png,
};
use crate::posterior::Posterior;
use crate::posterior::sampled::Sampled;
use crate::scene::Scene;
use crate::scene::{layer, to_image};
use crate::score::nearest::Nearest;

/// A reference to compare with, already in the order of the estimated endmembers.
#[derive(Debug, Clone, Default)]
pub struct TruthView {
    /// Names in the reference, one an endmember; may be empty.
    pub names: Vec<String>,
    /// Spectra, (endmembers, bands in use), reflectance.
    pub endmembers: Option<Array2<f64>>,
    /// Abundances, (rows, columns, endmembers), NaN where there are none.
    pub abundances: Option<Array3<f32>>,
    /// Spectral angle of each endmember to its reference, radians; empty when not scored.
    pub sad: Vec<f64>,
    /// RMSE of abundances over all pixels and endmembers.
    pub rmse: Option<f64>,
}

/// All that goes into files other than the report.
#[derive(Debug, Clone, Copy)]
pub struct Results<'a> {
    /// What was fitted.
    pub scene: &'a Scene,
    /// What is written.
    pub formats: &'a [Format],
    /// What was found.
    pub posterior: &'a Posterior,
    /// Draws of abundances and spectra, where there are any to write.
    pub drawn: Option<&'a Sampled>,
    /// Names of the endmembers; missing ones are numbered.
    pub names: &'a [String],
    /// For each endmember the materials of a library that it is like; empty without a library.
    pub nearest: &'a [Vec<Nearest>],
    /// What to compare with.
    pub truth: Option<&'a TruthView>,
    /// Step and ELBO per pixel.
    pub trace: &'a [(u32, f64)],
    /// Points of the trace in its running mean.
    pub trace_window: usize,
    /// The step at which the stop rule ended the fit, where it did.
    pub stopped_at: Option<u32>,
}

/// Draws and writes everything but the report: `abundance_NAME.png`, `abundance_NAME_sd.png` and
/// `abundance_NAME_width.png` for each endmember, `composite.png`, `endmembers.png`, `elbo.png`,
/// `residual.png`, `residual.npy`, `brightness.png` and `brightness.npy` where the model has it,
/// `noise_correlation.png` and `.npy` (bands, bands) likewise, with reference abundances
/// `truth_NAME.png` for each endmember, `abundance_mean.npy`, `abundance_sd.npy`,
/// `abundance_q05.npy`, `abundance_q50.npy`, `abundance_q95.npy` (rows, columns, endmembers;
/// float32, NaN for no data), with draws `abundance_draws.npy` (draws, rows, columns, endmembers)
/// and `endmember_draws.npy` (draws, endmembers, bands), and `endmembers.csv`.
/// Names of endmembers are made safe for files as [`Labels`] says. Gives the names of the files, in
/// this order.
///
/// # Errors
/// [`Error::Fit`] when shapes do not belong together or memory runs out, [`Error::Io`] when a file
/// cannot be written; files written before stay, each of them complete.
pub fn write_all(folder: &OutputFolder, results: &Results<'_>) -> Result<Vec<String>> {
    let &Results { scene, posterior, .. } = results;
    let endmembers = posterior.endmember_mean.nrows();
    check(results)?;
    let labels = Labels::new(results.names, endmembers);
    let images = Images::of(scene, posterior)?;
    let Images { mean, sd, quantiles, residual, brightness } = &images;
    let (brightness, labels) = (brightness.as_ref(), &labels);

    let mut jobs: Vec<Job<'_>> = Vec::new();
    jobs.extend(abundance_maps(scene.name(), labels, mean, sd));
    jobs.extend(widths(scene.name(), labels, quantiles));
    jobs.push(Job::picture("composite.png", move || {
        composite_png(mean, &labels.shown, &format!("{}: all abundances", scene.name()))
    }));
    jobs.push(Job::picture("endmembers.png", move || {
        spectra_png(&SpectraFigure {
            title: &format!("{}: endmember spectra", scene.name()),
            bands: scene.bands(),
            names: &labels.shown,
            mean: &posterior.endmember_mean,
            q05: &posterior.endmember_q05,
            q95: &posterior.endmember_q95,
            variability: posterior.variability.as_ref(),
            unit: unit(posterior.convention),
            truth: results.truth.and_then(|truth| truth.endmembers.as_ref()),
            sad: results.truth.map_or(&[], |truth| &truth.sad),
        })
    }));
    if !results.trace.is_empty() {
        jobs.push(Job::picture("elbo.png", move || {
            trace_png(&Trace {
                title: &format!("{}: progress of the fit", scene.name()),
                points: results.trace,
                window: results.trace_window,
                stopped_at: results.stopped_at,
            })
        }));
    }
    jobs.push(Job::picture("residual.png", move || {
        let text = MapText {
            title: "Residual",
            note: &format!("{}, root mean square over bands of data minus fit", scene.name()),
            label: "RMSE, reflectance",
        };
        map_png(residual, &text, auto_range(residual.iter().copied()), Colormap::Magma)
    }));
    jobs.extend(correlations(results));
    if let Some(brightness) = brightness {
        jobs.push(Job::picture("brightness.png", move || {
            let text = MapText {
                title: "Brightness",
                note: &format!("{}, posterior mean of the factor on each pixel", scene.name()),
                label: "brightness",
            };
            map_png(brightness, &text, auto_range(brightness.iter().copied()), Colormap::Viridis)
        }));
    }
    if let Some((truth, reference)) =
        results.truth.and_then(|truth| Some((truth, truth.abundances.as_ref()?)))
    {
        for (k, file) in labels.files.iter().enumerate() {
            jobs.push(Job::picture(format!("truth_{file}.png"), move || {
                let (name, reference) = (&labels.shown[k], layer(reference.view(), k));
                side_by_side_png(&reference, &layer(mean.view(), k), name, truth.rmse)
            }));
        }
    }
    jobs.push(Job::file("abundance_mean.npy", move |to| write_npy(mean, to)));
    jobs.push(Job::file("abundance_sd.npy", move |to| write_npy(sd, to)));
    jobs.push(Job::file("residual.npy", move |to| write_npy(residual, to)));
    jobs.extend(arrays(results, quantiles, brightness)?);
    jobs.push(Job::file("endmembers.csv", move |to| {
        write_endmembers(scene.bands(), &labels.shown, posterior, results.nearest, to)
    }));

    jobs.retain(|job| job.format.is_none_or(|format| results.formats.contains(&format)));
    let written = jobs.into_par_iter().map(|job| {
        (job.write)(folder, &job.name)?;
        Ok(job.name)
    });
    let mut files: Vec<String> = written.collect::<Result<_>>()?;
    files.extend(rasters::write(folder, results, &labels.shown, &images)?);
    Ok(files)
}

/// Arrays beside mean and sd: quantiles, brightness and draws.
fn arrays<'a>(
    results: &Results<'a>,
    quantiles: &'a [Array3<f32>; 3],
    brightness: Option<&'a Array2<f32>>,
) -> Result<Vec<Job<'a>>> {
    let mut jobs = Vec::new();
    for (values, name) in quantiles.iter().zip(["q05", "q50", "q95"]) {
        jobs.push(Job::file(format!("abundance_{name}.npy"), move |to| write_npy(values, to)));
    }
    if let Some(brightness) = brightness {
        jobs.push(Job::file("brightness.npy", move |to| write_npy(brightness, to)));
    }
    if let Some(drawn) = results.drawn {
        let draws = draws(drawn, results.scene)?;
        jobs.push(Job::file("abundance_draws.npy", move |to| write_npy(&draws, to)));
        jobs.push(Job::file("endmember_draws.npy", move |to| write_npy(&drawn.endmembers, to)));
    }
    Ok(jobs)
}

/// How the noise of bands goes together, where the model has it.
fn correlations<'a>(results: &Results<'a>) -> Vec<Job<'a>> {
    let &Results { scene, posterior, .. } = results;
    let mut jobs = Vec::new();
    if let Some(correlation) = &posterior.noise_correlation {
        jobs.push(Job::picture("noise_correlation.png", move || {
            let text = MapText {
                title: "Noise correlation",
                note: &format!("{}, band against band, both in use", scene.name()),
                label: "correlation",
            };
            let values = correlation.mapv(|c| c as f32);
            map_png(&values, &text, (-1.0, 1.0), Colormap::Difference)
        }));
        jobs.push(Job::file("noise_correlation.npy", move |to| {
            correlation.write_npy(to).map_err(std::io::Error::other)
        }));
    }
    jobs
}

/// Draws of abundances as images, (draws, rows, columns, endmembers).
fn draws(drawn: &Sampled, scene: &Scene) -> Result<Array4<f32>> {
    let draws: Vec<Array3<f32>> =
        drawn.abundances.outer_iter().map(|draw| to_image(scene, draw)).collect::<Result<_>>()?;
    let views: Vec<_> = draws.iter().map(|draw| draw.view()).collect();
    ndarray::stack(Axis(0), &views)
        .map_err(|error| Error::Fit(format!("the draws have no shape: {error}")))
}

/// Maps of how wide the 90 % interval of each abundance is.
fn widths<'a>(title: &'a str, labels: &'a Labels, quantiles: &'a [Array3<f32>; 3]) -> Vec<Job<'a>> {
    let width = || quantiles[2].iter().zip(&quantiles[0]).map(|(high, low)| high - low);
    // One scale for all of them, so that they can be compared.
    let range = auto_range(width());
    let job = |(k, file): (usize, &'a String)| {
        Job::picture(format!("abundance_{file}_width.png"), move || {
            let text = MapText {
                title: &format!("{}: width of the 90 % interval", labels.shown[k]),
                note: &format!(
                    "{title}, 95 % less 5 % quantile of the abundance; one scale for all \
                     endmembers"
                ),
                label: "width",
            };
            let width = &layer(quantiles[2].view(), k) - &layer(quantiles[0].view(), k);
            map_png(&width, &text, range, Colormap::Magma)
        })
    };
    labels.files.iter().enumerate().map(job).collect()
}

/// The maps of each endmember: mean and standard deviation.
fn abundance_maps<'a>(
    title: &'a str,
    labels: &'a Labels,
    mean: &'a Array3<f32>,
    sd: &'a Array3<f32>,
) -> Vec<Job<'a>> {
    let mut jobs = Vec::new();
    // One scale for all of them, so that they can be compared.
    let sd_range = auto_range(sd.iter().copied());
    for (k, file) in labels.files.iter().enumerate() {
        let name = &labels.shown[k];
        jobs.push(Job::picture(format!("abundance_{file}.png"), move || {
            let text = MapText {
                title: &format!("{name}: abundance"),
                note: &format!("{title}, posterior mean"),
                label: "abundance",
            };
            map_png(&layer(mean.view(), k), &text, (0.0, 1.0), Colormap::Viridis)
        }));
        jobs.push(Job::picture(format!("abundance_{file}_sd.png"), move || {
            let text = MapText {
                title: &format!("{name}: uncertainty of abundance"),
                note: &format!(
                    "{title}, posterior standard deviation; one scale for all endmembers"
                ),
                label: "standard deviation",
            };
            map_png(&layer(sd.view(), k), &text, sd_range, Colormap::Magma)
        }));
    }
    jobs
}

/// Writes a file of the name given to the folder.
type WriteJob<'a> = dyn FnOnce(&OutputFolder, &str) -> Result<()> + Send + 'a;

/// One file to be written.
struct Job<'a> {
    name: String,
    /// Left out where the results are not wanted as this; none for what is always written.
    format: Option<Format>,
    write: Box<WriteJob<'a>>,
}

impl<'a> Job<'a> {
    fn picture(
        name: impl Into<String>,
        draw: impl FnOnce() -> Result<Vec<u8>> + Send + 'a,
    ) -> Self {
        let write = move |folder: &OutputFolder, name: &str| {
            let png = draw()?;
            folder.write(name, |to| to.write_all(&png))
        };
        Job { name: name.into(), format: Some(Format::Png), write: Box::new(write) }
    }

    fn file(
        name: impl Into<String>,
        fill: impl FnOnce(&mut dyn std::io::Write) -> std::io::Result<()> + Send + 'a,
    ) -> Self {
        let write = move |folder: &OutputFolder, name: &str| folder.write(name, fill);
        let name = name.into();
        let format = name.ends_with(".npy").then_some(Format::Npy);
        Job { name, format, write: Box::new(write) }
    }
}

/// Whether the shapes of the results belong together.
fn check(results: &Results<'_>) -> Result<()> {
    let &Results { scene, posterior, .. } = results;
    let (pixels, bands) = (scene.places().len(), scene.bands().len());
    let endmembers = posterior.endmember_mean.nrows();
    let same = |what: &str, found: (usize, usize), wanted: (usize, usize)| {
        if found == wanted {
            return Ok(());
        }
        Err(Error::Fit(format!(
            "{what} have the shape {found:?}, and the scene and the endmembers ask for {wanted:?}"
        )))
    };
    let (maps, spectra) = ((pixels, endmembers), (endmembers, bands));
    same("mean abundances", posterior.abundance_mean.dim(), maps)?;
    same("standard deviations of abundances", posterior.abundance_sd.dim(), maps)?;
    for quantile in [&posterior.abundance_q05, &posterior.abundance_q50, &posterior.abundance_q95] {
        same("quantiles of abundances", quantile.dim(), maps)?;
    }
    same("mean spectra", posterior.endmember_mean.dim(), spectra)?;
    same("standard deviations of spectra", posterior.endmember_sd.dim(), spectra)?;
    same("lower quantiles of spectra", posterior.endmember_q05.dim(), spectra)?;
    same("upper quantiles of spectra", posterior.endmember_q95.dim(), spectra)?;
    if let Some(truth) = results.truth {
        if let Some(reference) = &truth.endmembers {
            same("reference spectra", reference.dim(), spectra)?;
        }
        if let Some(reference) = &truth.abundances {
            let (rows, cols, depth) = reference.dim();
            same("reference maps", (rows, cols), (scene.rows(), scene.cols()))?;
            same("reference abundances", (rows * cols, depth), (rows * cols, endmembers))?;
        }
    }
    Ok(())
}
