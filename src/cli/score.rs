//! `unmixel score`.

use ndarray::Array3;
use ndarray_npy::ReadNpyExt;
use unmixel::scene::{Band, Cube, Scaling, Scene};
use unmixel::score::Convention;
use unmixel::{Error, Result, spectra, truth};

use super::args::ScoreArgs;
use super::compare::{Reference, valid};
use super::{Done, print, tables};

/// The part of a report that scoring needs.
#[derive(serde::Deserialize)]
struct Record {
    scene: RecordedScene,
    settings: RecordedSettings,
}

#[derive(serde::Deserialize)]
struct RecordedSettings {
    convention: String,
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
    let reported = match record.settings.convention.as_str() {
        "peak" => Convention::Peak,
        _ => Convention::Reflectance,
    };
    let reference = Reference::new(&scene, &truth);
    let scores = reference.scores(endmembers.view(), estimate.view(), reported)?;
    if args.json {
        print(&format!("{:#}", serde_json::json!(scores)))?;
    } else {
        let names = spectra.names.unwrap_or_default();
        let names = unmixel::output::Labels::new(&names, endmembers.nrows()).shown;
        let matched: Vec<String> =
            scores.own().matching.iter().map(|&k| names[k].clone()).collect();
        print(&tables::scores(&matched, &scores).to_string())?;
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
