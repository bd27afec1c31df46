//! `unmixel compare`: the fit beside the methods that are in use, on a scene whose truth is known.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use ndarray::{Array2, Array3, Axis};
use unmixel::rooms::convention::{Convention, convert};
use unmixel::rooms::figures::{Labels, map_grid_png};
use unmixel::rooms::results::OutputFolder;
use unmixel::rooms::score::reconstruction_rmse;
use unmixel::rooms::starts::{check_count, fcls, nfindr, nnls, vca};
use unmixel::scene::to_image;
use unmixel::scene::{Cube, Scene};
use unmixel::{Error, Fit, Result, Unmixing};

use super::fit;
use crate::cli::args::CompareArgs;
use crate::cli::run::{self, Job, check_names};
use crate::cli::{Done, aside, commit, options, print, scene, tables};
use unmixel::rooms::score::{Reference, Scores};

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
    options::settings(&args.run, Unmixing::new(k))?.check()?;
    let scene = scene::read(&args.scene, &args.layout)?;
    check_count(scene.cube(), k)?;
    let truth = fit::read_truth(&args.truth, &scene, k)?;
    let reference = Reference::new(&scene, &truth);
    let given = if args.names.is_empty() { truth.names.clone() } else { Some(args.names.clone()) };
    let names = Labels::new(&given.unwrap_or_default(), k).shown;
    let folder = OutputFolder::prepare(&args.run.output.out, args.run.output.force)?;
    folder.protect(&args.scene);
    folder.protect(&args.truth);

    let mut found = baselines(&scene, k, seed)?;
    let job = Job {
        window: None,
        path: args.scene.display().to_string(),
        names: names.clone(),
        truth: Some(truth),
        seconds: Vec::new(),
        notes: Vec::new(),
        scene,
    };
    let started = run::now();
    let wanted = run::Wanted::new(&args.run.output, &job.scene)?;
    let (fit, scored) = run::fit(&args.run, Unmixing::new(k), &job, interrupted)?;
    let inner = folder.inner("fit")?;
    run::write(&fit, scored.as_ref(), &names, &job, (&wanted, started), &inner)?;
    commit(&inner, "fit")?;
    let scene = &job.scene;
    found.push(fitted(&fit, scene)?);

    let reported = fit.convention();
    let mut rows = Vec::new();
    if let Some(maps) = reference.in_convention(reported)?.abundances {
        rows.push(("truth".to_owned(), to_image(scene, maps.view())?));
    }
    let mut lines = Vec::new();
    for one in &found {
        let (c, w) = (one.endmembers.view(), one.abundances.view());
        let scores = reference.scores(c, w, one.convention)?;
        rows.push((one.method.to_owned(), maps(scene, one, reported, &scores)?));
        lines.push(Line {
            method: one.method,
            scores,
            reconstruction_rmse: one.reconstruction,
            seconds: one.seconds,
        });
    }
    let title = format!("{}: mean abundances, {}", scene.name(), word(reported));
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
    Ok(if fit.record().interrupted { Done::Interrupted } else { Done::Whole })
}

/// The methods in use; those that were done, when interrupted.
fn baselines(scene: &Scene, k: usize, seed: u64) -> Result<Vec<Found>> {
    type Pixels = fn(&Cube, usize, u64) -> Result<Vec<usize>>;
    type Invert = fn(&Cube, &Array2<f64>) -> Result<Array2<f32>>;
    // Amounts of sum one know no brightness; free ones do.
    let methods: [(&'static str, Pixels, Invert); 4] = [
        ("VCA + FCLS", vca, fcls),
        ("N-FINDR + FCLS", nfindr, fcls),
        ("VCA + NNLS", vca, nnls),
        ("N-FINDR + NNLS", nfindr, nnls),
    ];
    let mut found = Vec::new();
    for (name, pixels, invert) in methods {
        let shared = scene.clone();
        match aside(move || baseline(name, &shared, |cube| pixels(cube, k, seed), invert)) {
            Err(Error::Interrupted) => break,
            one => found.push(one?),
        }
    }
    Ok(found)
}

/// A method that takes pixels as endmembers and inverts the scene with them.
fn baseline(
    method: &'static str,
    scene: &Scene,
    pixels: impl Fn(&Cube) -> Result<Vec<usize>>,
    invert: impl Fn(&Cube, &Array2<f64>) -> Result<Array2<f32>>,
) -> Result<Found> {
    tell!("{method}");
    let begin = Instant::now();
    let cube = scene.cube();
    let pixels = pixels(cube)?;
    let endmembers = Array2::from_shape_fn((pixels.len(), cube.bands()), |(k, l)| {
        f64::from(cube.spectrum(pixels[k])[l])
    });
    let amounts = invert(cube, &endmembers)?;
    let seconds = begin.elapsed().as_secs_f64();
    let reconstruction = reconstruction_rmse(scene, endmembers.view(), amounts.view())?;
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

/// The fit as a method of the table.
fn fitted(fit: &Fit, scene: &Scene) -> Result<Found> {
    let posterior = fit.posterior();
    let (endmembers, abundances) =
        (posterior.endmember_mean.clone(), posterior.abundance_mean.clone());
    let mut amounts = abundances.clone();
    if let Some(brightness) = &posterior.brightness {
        amounts.outer_iter_mut().zip(brightness).for_each(|(mut row, &bright)| row *= bright);
    }
    Ok(Found {
        method: "unmixel fit",
        convention: fit.convention(),
        reconstruction: reconstruction_rmse(scene, endmembers.view(), amounts.view())?,
        endmembers,
        abundances,
        seconds: fit.record().seconds.iter().map(|(_, seconds)| seconds).sum(),
    })
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
