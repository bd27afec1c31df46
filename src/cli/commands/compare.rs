//! `unmixel compare`: the fit beside the methods that are in use, on a scene whose truth is known.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use ndarray::{Array2, Array3, Axis};
use unmixel::figures::{Labels, map_grid_png};
use unmixel::io::library;
use unmixel::results::OutputFolder;
use unmixel::scene::to_image;
use unmixel::scene::{Cube, Scene};
use unmixel::score::{Convention, convert, reconstruction_rmse};
use unmixel::starts::{check_count, fcls, nfindr, nnls, vca};
use unmixel::{Error, Result};

use super::fit;
use crate::cli::args::CompareArgs;
use crate::cli::reference::{Reference, Scores, valid};
use crate::cli::run::{Job, check_names, convention, run as run_job};
use crate::cli::{Done, commit, print, scene, tables};

/// What one method found, in one convention.
struct Found {
    method: &'static str,
    convention: Convention,
    endmembers: Array2<f64>,
    abundances: Array2<f32>,
    reconstruction: f64,
    seconds: f64,
}

/// One line of the table.
#[derive(serde::Serialize)]
struct Line {
    method: &'static str,
    #[serde(flatten)]
    scores: Scores,
    reconstruction_rmse: f64,
    seconds: f64,
}

/// Runs all methods, scores them and writes.
pub fn run(args: &CompareArgs, interrupted: &Arc<AtomicBool>) -> Result<Done> {
    let (k, seed) = (args.endmembers, args.run.seed);
    check_names(&args.names, k)?;
    let reported = convention(&args.run)?;
    let scene = scene::read(&args.scene, &args.layout)?;
    check_count(&scene.cube, k)?;
    let truth = fit::read_truth(&args.truth, &scene, k)?;
    let reference = Reference::new(&scene, &truth);
    let given = if args.names.is_empty() { truth.names.clone() } else { Some(args.names.clone()) };
    let names = Labels::new(&given.unwrap_or_default(), k).shown;
    let folder = OutputFolder::prepare(&args.run.out, args.run.force)?;
    folder.protect(&args.scene);
    folder.protect(&args.truth);

    let cube = &scene.cube;
    let mut found = vec![
        baseline("VCA + FCLS", cube, || vca(cube, k, seed), fcls)?,
        baseline("N-FINDR + FCLS", cube, || nfindr(cube, k, seed), fcls)?,
        baseline("VCA + NNLS", cube, || vca(cube, k, seed), nnls)?,
    ];
    let results = folder.inner("fit")?;
    let job = Job {
        scene,
        path: args.scene.display().to_string(),
        endmembers: k,
        init: None,
        names: Vec::new(),
        truth: None,
        seconds: Vec::new(),
    };
    let (done, scene) = run_job(&args.run, job, &results, interrupted)?;
    found.push(fitted(&results, &scene, reported)?);

    let mut rows = Vec::new();
    if let Some(maps) = reference.in_convention(reported)?.abundances {
        rows.push(("truth".to_owned(), to_image(&scene, maps.view())?));
    }
    let mut lines = Vec::new();
    for one in &found {
        let (c, w) = (one.endmembers.view(), one.abundances.view());
        let scores = reference.scores(c, w, one.convention)?;
        rows.push((one.method.to_owned(), maps(&scene, one, reported, &scores)?));
        lines.push(Line {
            method: one.method,
            scores,
            reconstruction_rmse: one.reconstruction,
            seconds: one.seconds,
        });
    }
    let title = format!("{}: mean abundances, {}", scene.name, word(reported));
    let png = map_grid_png(&rows, &names, &title)?;
    folder.write("comparison.png", |to| to.write_all(&png))?;
    let cells = cells(&names, &lines);
    folder.write("comparison.md", |to| to.write_all(markdown(&cells).as_bytes()))?;
    let record = serde_json::json!({
        "scene": args.scene.display().to_string(), "truth": args.truth.display().to_string(),
        "endmembers": names, "seed": seed, "maps": reported, "methods": lines,
    });
    folder.write("comparison.json", |to| {
        serde_json::to_writer_pretty(&mut *to, &record)?;
        to.write_all(b"\n")
    })?;
    commit(&folder, "compare")?;
    let header: Vec<&str> = cells[0].iter().map(String::as_str).collect();
    let mut table = tables::table(&header);
    cells[1..].iter().for_each(|row| {
        table.add_row(row);
    });
    print(&table.to_string())?;
    Ok(done)
}

/// A method that takes pixels as endmembers and inverts the scene with them.
fn baseline(
    method: &'static str,
    cube: &Cube,
    pixels: impl Fn() -> Result<Vec<usize>>,
    invert: impl Fn(&Cube, &Array2<f64>) -> Result<Array2<f32>>,
) -> Result<Found> {
    tell!("{method}");
    let begin = Instant::now();
    let pixels = pixels()?;
    let endmembers = Array2::from_shape_fn((pixels.len(), cube.bands()), |(k, l)| {
        f64::from(cube.spectrum(pixels[k])[l])
    });
    let amounts = invert(cube, &endmembers)?;
    let seconds = begin.elapsed().as_secs_f64();
    let reconstruction = reconstruction_rmse(cube, endmembers.view(), amounts.view())?;
    // Amounts without a sum are shares times brightness.
    let mut abundances = amounts;
    for mut row in abundances.rows_mut() {
        let total = row.sum();
        if total > 0.0 {
            row /= total;
        } else {
            row.fill(1.0 / pixels.len() as f32);
        }
    }
    let convention = Convention::Reflectance;
    Ok(Found { method, convention, endmembers, abundances, reconstruction, seconds })
}

/// The fit, from the files that it wrote.
fn fitted(results: &OutputFolder, scene: &Scene, convention: Convention) -> Result<Found> {
    let at = |name: &str| results.staged(name);
    let endmembers = library::read(at("endmembers.csv")?)?.for_scene(scene)?;
    let path = at("abundance_mean.npy")?;
    let maps = unmixel::io::estimate::read(&path, None, None)?.abundances;
    let maps = maps.ok_or_else(|| Error::file(&path, "holds no abundances."))?;
    let abundances = valid(scene, &maps);
    let path = at("report.json")?;
    let text = std::fs::read_to_string(&path).map_err(|error| Error::io(&path, error))?;
    let report: serde_json::Value =
        serde_json::from_str(&text).map_err(|error| Error::file(&path, error.to_string()))?;
    let stages = report["run"]["seconds"].as_object();
    let seconds = stages.map_or(0.0, |stages| {
        let own = stages.iter().filter(|(stage, _)| *stage != "pictures and tables");
        own.filter_map(|(_, seconds)| seconds.as_f64()).sum()
    });
    let mut amounts = abundances.clone();
    if !report["settings"]["model"]["brightness"].is_null() {
        // The brightness that brings each mixture closest; the fit's own is a mean over its guide.
        for (n, mut row) in amounts.rows_mut().into_iter().enumerate() {
            let mix = row.mapv(f64::from).dot(&endmembers);
            let along: f64 =
                mix.iter().zip(scene.cube.spectrum(n)).map(|(m, &y)| m * f64::from(y)).sum();
            let square = mix.dot(&mix);
            row *= if square > 0.0 { (along / square) as f32 } else { 0.0 };
        }
    }
    let reconstruction = reconstruction_rmse(&scene.cube, endmembers.view(), amounts.view())?;
    Ok(Found { method: "unmixel fit", convention, endmembers, abundances, reconstruction, seconds })
}

/// Maps in the convention of the fit, in the truth's order.
fn maps(scene: &Scene, one: &Found, reported: Convention, scores: &Scores) -> Result<Array3<f32>> {
    let shares = match (one.convention, reported) {
        (Convention::Reflectance, Convention::Peak) => {
            convert(one.endmembers.view(), one.abundances.view(), reported)?.1
        }
        _ => one.abundances.clone(),
    };
    to_image(scene, shares.select(Axis(1), &scores.own().matching).view())
}

fn word(convention: Convention) -> &'static str {
    match convention {
        Convention::Reflectance => "shares of area (reflectance)",
        Convention::Peak => "shares of peak-normalised spectra (peak)",
    }
}

/// The table, its header first.
fn cells(names: &[String], lines: &[Line]) -> Vec<Vec<String>> {
    let mut header = vec!["method".to_owned()];
    header.extend(names.iter().map(|name| format!("SAD {name}")));
    let rest = ["mean SAD", "RMSE, reflectance", "RMSE, peak", "reconstruction RMSE", "seconds"];
    header.extend(rest.map(str::to_owned));
    let cell = |value: Option<f64>| value.map_or("-".to_owned(), |v| format!("{v:.4}"));
    let mut cells = vec![header];
    for line in lines {
        let own = line.scores.own();
        let mut row = vec![line.method.to_owned()];
        row.extend((0..names.len()).map(|k| cell(own.sad.as_ref().map(|all| all[k]))));
        row.push(cell(own.mean_sad));
        row.push(cell(line.scores.reflectance.as_ref().and_then(|s| s.abundance_rmse)));
        row.push(cell(line.scores.peak.abundance_rmse));
        row.push(format!("{:.5}", line.reconstruction_rmse));
        row.push(format!("{:.2}", line.seconds));
        cells.push(row);
    }
    cells
}

fn markdown(cells: &[Vec<String>]) -> String {
    let mut text = String::new();
    for (at, row) in cells.iter().enumerate() {
        let escaped: Vec<String> = row.iter().map(|cell| cell.replace('|', "\\|")).collect();
        let _ = writeln!(text, "| {} |", escaped.join(" | "));
        if at == 0 {
            let _ = writeln!(text, "|{}", " --- |".repeat(row.len()));
        }
    }
    text
}
