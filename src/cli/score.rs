//! `unmixel score`.

use ndarray::Array3;
use ndarray_npy::ReadNpyExt;
use unmixel::scene::{Band, Cube, Scaling, Scene};
use unmixel::score::{Convention, convert, score};
use unmixel::{Error, Result, spectra, truth};

use super::args::ScoreArgs;
use super::run::valid;
use super::{Done, print, tables};

/// The part of a report that scoring needs.
#[derive(serde::Deserialize)]
struct Record {
    scene: RecordedScene,
}

#[derive(serde::Deserialize)]
struct RecordedScene {
    name: String,
    file_bands: usize,
    bands_used: Vec<usize>,
}

/// Scores a folder of results.
pub fn run(args: &ScoreArgs) -> Result<Done> {
    let at = |name: &str| args.results.join(name);
    let path = at("report.json");
    let text = std::fs::read_to_string(&path).map_err(|e| Error::io(&path, e))?;
    let record: Record = serde_json::from_str(&text)
        .map_err(|e| Error::file(&path, format!("is not a report that unmixel wrote: {e}")))?;
    let path = at("abundance_mean.npy");
    let file = std::fs::File::open(&path).map_err(|e| Error::io(&path, e))?;
    let maps = Array3::<f32>::read_npy(std::io::BufReader::new(file)).map_err(|e| {
        Error::file(&path, format!("is not an array of (rows, columns, endmembers) float32: {e}"))
    })?;
    let scene = geometry(record.scene, &maps);
    let spectra = spectra::read(at("endmembers.csv"))?;
    let endmembers = spectra.for_scene(&scene)?;
    let truth = truth::read(&args.truth, &scene)?;

    let estimate = valid(&scene, &maps);
    let used: Vec<usize> = scene.bands.iter().map(|band| band.index).collect();
    let true_spectra = truth.endmembers.as_ref().map(|all| all.select(ndarray::Axis(1), &used));
    let true_maps = truth.abundances.as_ref().map(|all| valid(&scene, all));
    let in_convention = |convention| {
        let (c, w) = convert(endmembers.view(), estimate.view(), convention)?;
        score(
            c.view(),
            w.view(),
            true_spectra.as_ref().map(|s| s.view()),
            true_maps.as_ref().map(|m| m.view()),
        )
    };
    let (reflectance, peak) =
        (in_convention(Convention::Reflectance)?, in_convention(Convention::Peak)?);
    if args.json {
        let json = serde_json::json!({ "reflectance": reflectance, "peak": peak });
        print(&format!("{json:#}"))?;
    } else {
        let names =
            unmixel::output::Labels::new(&spectra.names.unwrap_or_default(), endmembers.nrows())
                .shown;
        let matched: Vec<String> = reflectance.matching.iter().map(|&k| names[k].clone()).collect();
        print(&tables::scores(&matched, &reflectance, &peak).to_string())?;
    }
    Ok(Done::Whole)
}

/// A scene of the results' size, without its cube: scoring needs places and bands only.
fn geometry(record: RecordedScene, maps: &Array3<f32>) -> Scene {
    let (rows, cols, _) = maps.dim();
    let valid = maps.outer_iter().enumerate().flat_map(|(row, line)| {
        let finite: Vec<u32> = line
            .outer_iter()
            .enumerate()
            .filter(|(_, pixel)| pixel.iter().all(|w| w.is_finite()))
            .map(|(col, _)| (row * cols + col) as u32)
            .collect();
        finite
    });
    Scene {
        name: record.name,
        rows,
        cols,
        bands: record
            .bands_used
            .iter()
            .map(|&band| Band { index: band.saturating_sub(1), wavelength: None })
            .collect(),
        file_bands: record.file_bands,
        cube: Cube::zeros(0, record.bands_used.len()),
        pixel_index: valid.collect(),
        scaling: Scaling { gain: 1.0, offset: 0.0, rule: String::new() },
        notes: Vec::new(),
    }
}
