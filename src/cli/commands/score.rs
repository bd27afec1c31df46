//! `unmixel score`.

use std::sync::Arc;

use ndarray::{Array2, Array3};
use unmixel::convention::{Convention, convert};
use unmixel::figures::{Labels, side_by_side_png};
use unmixel::io::estimate::{self, Estimate};
use unmixel::io::{library, truth};
use unmixel::results::{OutputFolder, check};
use unmixel::scene::to_image;
use unmixel::scene::{Band, Cube, Scaling, Scene, SceneParts};
use unmixel::{Error, Result};

use crate::cli::args::{ConventionArg, ScoreArgs};
use crate::cli::run::check_names;
use crate::cli::{Done, commit, print, tables};
use unmixel::score::{Reference, Scores, valid};

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
    rows: usize,
    cols: usize,
    file_bands: usize,
    bands_used: Vec<usize>,
    pixels_used: usize,
}

impl Record {
    /// Its convention, where everything in it can be, or why it cannot.
    fn check(&self) -> Result<Convention, String> {
        let RecordedScene { file_bands, bands_used, .. } = &self.scene;
        if bands_used.is_empty() {
            return Err("lists no band in `bands_used`".into());
        }
        if let Some(band) = bands_used.iter().find(|band| !(1..=*file_bands).contains(*band)) {
            return Err(format!("lists the band {band} of {file_bands} in `bands_used`"));
        }
        if let Some(pair) = bands_used.windows(2).find(|pair| pair[0] >= pair[1]) {
            return Err(format!(
                "lists the bands {} and {} in `bands_used` twice or in another order than the \
                 file's",
                pair[0], pair[1]
            ));
        }
        match self.settings.convention.as_str() {
            "peak" => Ok(Convention::Peak),
            "reflectance" => Ok(Convention::Reflectance),
            other => {
                Err(format!("states the convention `{other}`; there are peak and reflectance"))
            }
        }
    }
}

/// Results in the geometry of their scene.
struct Results {
    scene: Scene,
    names: Vec<String>,
    /// (K, L).
    endmembers: Option<Array2<f64>>,
    /// (rows, columns, K).
    maps: Option<Array3<f32>>,
    convention: Convention,
}

impl Results {
    fn count(&self) -> usize {
        let maps = self.maps.as_ref().map(|maps| maps.dim().2);
        self.endmembers.as_ref().map(|c| c.nrows()).or(maps).unwrap_or(0)
    }
}

/// Scores results of a fit, or of any other program.
pub fn run(args: &ScoreArgs) -> Result<Done> {
    let results = if args.results.is_dir() { of_folder(args)? } else { of_file(args)? };
    let k = results.count();
    check_names(&args.names, k)?;
    let truth = truth::read(&args.truth, &results.scene)?;
    let reference = Reference::new(&results.scene, &truth);
    let reference = Reference {
        endmembers: reference.endmembers,
        // Nothing to compare them with.
        abundances: reference.abundances.filter(|_| results.maps.is_some()),
    };
    let estimate = match &results.maps {
        Some(maps) => valid(&results.scene, maps),
        None => Array2::zeros((0, k)),
    };
    let known = by_name(&args.names, &results.names);
    let endmembers = results.endmembers.as_ref().map(|c| c.view());
    let reported = results.convention;
    let scores =
        reference.scores_matched(endmembers, estimate.view(), reported, known.as_deref())?;

    let matching = &scores.own().matching;
    let names = match args.names.is_empty() {
        false => args.names.clone(),
        true => {
            let shown = Labels::new(&results.names, k).shown;
            matching.iter().map(|&k| shown[k].clone()).collect()
        }
    };
    if let Some(path) = &args.out {
        let folder = OutputFolder::prepare(path, args.force)?;
        folder.protect(&args.results);
        folder.protect(&args.truth);
        args.endmembers.iter().for_each(|path| folder.protect(path));
        write(&folder, &results, &reference, &scores, &names)?;
        commit(&folder, "score")?;
    }
    if args.json {
        print(&format!("{:#}", serde_json::json!(scores)))?;
    } else {
        print(&tables::scores(&names, &scores).to_string())?;
    }
    Ok(Done::Whole)
}

/// For each name of the truth the place of the result that has it; none unless all have one.
fn by_name(wanted: &[String], names: &[String]) -> Option<Vec<usize>> {
    if wanted.is_empty() {
        return None;
    }
    let place = |name: &String| names.iter().position(|own| own == name);
    let found: Option<Vec<usize>> = wanted.iter().map(place).collect();
    match &found {
        Some(_) => tell!("matched by name"),
        None => {
            tell!("note: the results do not have all of these names; matched by what is nearest")
        }
    }
    found
}

/// Maps of the differences, and the scores.
fn write(
    folder: &OutputFolder,
    results: &Results,
    reference: &Reference,
    scores: &Scores,
    names: &[String],
) -> Result<()> {
    folder.write("scores.json", |to| {
        serde_json::to_writer_pretty(&mut *to, scores)?;
        to.write_all(b"\n")
    })?;
    let Some(maps) = &results.maps else { return Ok(()) };
    let truth = reference.in_convention(results.convention)?;
    let Some(truth) = truth.abundances else { return Ok(()) };
    let truth = to_image(&results.scene, truth.view())?;
    let mut shares = valid(&results.scene, maps);
    if let Some(endmembers) = &results.endmembers {
        shares = convert(endmembers.view(), shares.view(), results.convention)?.1;
    }
    let shares = to_image(&results.scene, shares.view())?;
    let labels = Labels::new(names, names.len());
    for (t, &e) in scores.own().matching.iter().enumerate() {
        let layer = |maps: &Array3<f32>, k| maps.index_axis(ndarray::Axis(2), k).to_owned();
        let pooled = scores.own().abundance_rmse;
        let png =
            side_by_side_png(&layer(&truth, t), &layer(&shares, e), &labels.shown[t], pooled)?;
        folder.write(&format!("truth_{}.png", labels.files[t]), |to| to.write_all(&png))?;
    }
    Ok(())
}

/// What a fit has written.
fn of_folder(args: &ScoreArgs) -> Result<Results> {
    for (flag, given) in
        [("--endmembers", args.endmembers.is_some()), ("--convention", args.convention.is_some())]
    {
        if given {
            return Err(Error::option(
                flag,
                "a folder that unmixel wrote says so itself; leave the flag out",
            ));
        }
    }
    let folder = &args.results;
    check(folder, &["report.json", "abundance_mean.npy", "endmembers.csv"])?;
    let at = |name: &str| folder.join(name);
    let path = at("report.json");
    let text = std::fs::read_to_string(&path).map_err(|e| Error::io(&path, e))?;
    let wrong =
        |why: String| Error::file(&path, format!("is not a report that unmixel wrote: it {why}."));
    let record: Record = serde_json::from_str(&text).map_err(|e| wrong(format!("says {e}")))?;
    let convention = record.check().map_err(wrong)?;
    let maps_at = at("abundance_mean.npy");
    let maps = estimate::read(&maps_at, None, None)?.abundances;
    let maps = maps.ok_or_else(|| Error::file(&maps_at, "holds no abundances."))?;
    let RecordedScene { name, rows, cols, file_bands, bands_used, pixels_used } = record.scene;
    let (height, width, count) = maps.dim();
    if (height, width) != (rows, cols) {
        return Err(Error::file(
            &maps_at,
            format!("is {height} x {width} pixels, and report.json states {rows} x {cols}."),
        ));
    }
    let bands = bands_used.iter().map(|&band| band - 1).collect();
    let scene = geometry(name, (rows, cols), bands, file_bands, Some(&maps))?;
    let found = scene.places().len();
    if found != pixels_used || found == 0 {
        return Err(Error::file(
            &maps_at,
            format!("has abundances in {found} pixels, and report.json states {pixels_used}."),
        ));
    }
    let spectra_at = at("endmembers.csv");
    let spectra = library::read(&spectra_at)?;
    let endmembers = spectra.for_scene(&scene)?;
    if endmembers.nrows() != count {
        return Err(Error::file(
            &spectra_at,
            format!("holds {} spectra for {count} maps of abundances.", endmembers.nrows()),
        ));
    }
    Ok(Results {
        endmembers: Some(endmembers),
        names: spectra.names.unwrap_or_default(),
        maps: Some(maps),
        convention,
        scene,
    })
}

/// What any program has written.
fn of_file(args: &ScoreArgs) -> Result<Results> {
    let Estimate { mut names, mut endmembers, abundances: maps } =
        estimate::read(&args.results, args.rows, args.cols)?;
    if let Some(path) = &args.endmembers {
        let spectra = library::read(path)?;
        let (found, held) = (spectra.values.nrows(), maps.as_ref().map(|maps| maps.dim().2));
        if let Some(held) = held.filter(|held| *held != found) {
            return Err(Error::option(
                format!("--endmembers {}", path.display()),
                format!(
                    "it gives {found} spectra, and the results hold {held} abundances a pixel; \
                     give as many of one as of the other"
                ),
            ));
        }
        (names, endmembers) = (spectra.names, Some(spectra.values));
    }
    let own = endmembers.as_ref().map(|c| c.ncols());
    let of_truth = truth::bands(&args.truth)?;
    if let (Some(own), Some(other)) = (own, of_truth)
        && own != other
    {
        return Err(Error::file(
            &args.truth,
            format!(
                "its spectra have {other} bands, and those of the results {own}; give both at the \
                 same bands."
            ),
        ));
    }
    let bands = own.or(of_truth).unwrap_or(0);
    let size = maps.as_ref().map_or((0, 0), |maps| (maps.dim().0, maps.dim().1));
    let name = args.results.display().to_string();
    Ok(Results {
        scene: geometry(name, size, (0..bands).collect(), bands, maps.as_ref())?,
        names: names.unwrap_or_default(),
        endmembers,
        maps,
        convention: match args.convention {
            Some(ConventionArg::Peak) => Convention::Peak,
            _ => Convention::Reflectance,
        },
    })
}

/// A scene of the results' size, without its cube: scoring needs places and bands only.
fn geometry(
    name: String,
    (rows, cols): (usize, usize),
    bands: Vec<usize>,
    file_bands: usize,
    maps: Option<&Array3<f32>>,
) -> Result<Scene> {
    let mut valid = Vec::new();
    if let Some(maps) = maps {
        for (place, pixel) in maps.rows().into_iter().enumerate() {
            if pixel.iter().all(|w| w.is_finite()) {
                valid.push(place as u32);
            }
        }
    }
    Scene::new(SceneParts {
        name,
        rows,
        cols,
        file_bands,
        cube: Arc::new(Cube::zeros(0, bands.len())),
        bands: bands
            .into_iter()
            .map(|index| Band { index, wavelength: None, fwhm: None })
            .collect(),
        places: valid,
        georeference: None,
        scaling: Scaling { gain: 1.0, offset: 0.0, rule: String::new() },
        notes: Vec::new(),
    })
}
