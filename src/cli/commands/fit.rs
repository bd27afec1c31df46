//! `unmixel fit`.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use unmixel::engine::backend::device::{Choice, choose};
use unmixel::io::{library, truth};
use unmixel::results::OutputFolder;
use unmixel::scene::Scene;
use unmixel::starts::{self, Init};
use unmixel::{Error, Result};

use super::rank;
use crate::cli::args::{Endmembers, FitArgs};
use crate::cli::run::{Job, check_names, run as run_job};
use crate::cli::{Done, scene, search};

/// Fits a scene from a file.
pub fn run(args: &FitArgs, interrupted: &Arc<AtomicBool>) -> Result<Done> {
    let begin = Instant::now();
    let mut scene = scene::read(&args.scene, &args.layout)?;
    let endmembers = match args.endmembers {
        Endmembers::Count(count) => count,
        Endmembers::Auto => {
            let device = choose(&args.run.device.parse::<Choice>()?)?;
            let found = rank::estimate(&device, &scene.cube, args.run.seed, interrupted)?;
            let told = format!("{} endmembers: {}", found.recommended, found.reason);
            tell!("{told}");
            scene.notes.push(told);
            found.recommended
        }
    };
    check_names(&args.names, endmembers)?;
    let seconds = vec![("read".to_owned(), begin.elapsed().as_secs_f64())];
    let (init, init_names) = init(args, endmembers, &scene)?;
    let truth = args.truth.as_ref().map(|path| read_truth(path, &scene, endmembers)).transpose()?;
    // Last of the checks: the folder is the first thing that changes.
    let folder = OutputFolder::prepare(&args.run.out, args.run.force)?;
    let names = if args.names.is_empty() { init_names } else { args.names.clone() };
    let job = Job {
        scene,
        path: args.scene.display().to_string(),
        endmembers,
        init,
        names,
        truth,
        seconds,
    };
    run_job(&args.run, job, &folder, interrupted).map(|(done, _)| done)
}

/// The start that `--init` asks for, and the names that come with a file of spectra.
fn init(args: &FitArgs, k: usize, scene: &Scene) -> Result<(Option<Init>, Vec<String>)> {
    let given = args.init.as_str();
    if given == "auto" {
        return Ok((None, Vec::new()));
    }
    search::refuse(&args.run, given)?;
    if let Some(family) = Init::FAMILIES.into_iter().find(|family| family.name() == given) {
        return Ok((Some(family), Vec::new()));
    }
    let option = || format!("--init {given}");
    if !std::path::Path::new(given).exists() {
        let names = Init::FAMILIES.map(|family| family.name()).join(", ");
        return Err(Error::option(
            option(),
            format!("give auto, {names}, or a file of spectra; there is no such file"),
        ));
    }
    let spectra = library::read(given)?;
    let found = spectra.covering(scene).map_err(|error| match error {
        Error::Scene(why) => Error::option(option(), why),
        other => other,
    })?;
    for note in spectra.notes.iter().chain(&found.notes) {
        tell!("note: {note}");
    }
    let (values, names) = (found.values, found.names.unwrap_or_default());
    if values.nrows() <= k {
        return Ok((Some(Init::Spectra(values)), names));
    }
    let chosen = starts::choose_from_library(&scene.cube, k, &values, args.run.seed)?;
    let names: Vec<String> = chosen.iter().filter_map(|&i| names.get(i).cloned()).collect();
    let told = match names.is_empty() {
        true => chosen.iter().map(|i| format!("number {}", i + 1)).collect::<Vec<_>>().join(", "),
        false => names.join(", "),
    };
    tell!("library: {told} of {} spectra", values.nrows());
    Ok((Some(Init::Spectra(values.select(ndarray::Axis(0), &chosen))), names))
}

pub fn read_truth(
    path: &std::path::Path,
    scene: &Scene,
    endmembers: usize,
) -> Result<unmixel::scene::Truth> {
    let truth = truth::read(path, scene)?;
    let found = truth
        .endmembers
        .as_ref()
        .map(|e| e.nrows())
        .or(truth.abundances.as_ref().map(|a| a.dim().2));
    match found {
        Some(found) if found != endmembers => Err(Error::file(
            path,
            format!(
                "holds {found} endmembers, and --endmembers asks for {endmembers}; they must be as many to be compared."
            ),
        )),
        _ => Ok(truth),
    }
}
