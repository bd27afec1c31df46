//! `unmixel fit`.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use unmixel::output::OutputFolder;
use unmixel::scene::{Header, LoadOptions, OpenOptions, Scene, load, open};
use unmixel::starts::{self, Init};
use unmixel::{Error, Result, spectra, truth};

use super::Done;
use super::args::FitArgs;
use super::run::{Job, check_names, run as run_job};

/// Fits a scene from a file.
pub fn run(args: &FitArgs, interrupted: &Arc<AtomicBool>) -> Result<Done> {
    check_names(&args.names, args.endmembers)?;
    let begin = Instant::now();
    let mut source = open(&args.scene, &OpenOptions { rows: args.rows, cols: args.cols })?;
    check_size(args, source.header())?;
    let name = args
        .scene
        .file_stem()
        .map_or_else(|| "scene".into(), |stem| stem.to_string_lossy().into_owned());
    let scene = load(source.as_mut(), &name, &LoadOptions { scale: args.scale })?;
    let seconds = vec![("read".to_owned(), begin.elapsed().as_secs_f64())];
    describe(&scene);
    let (init, init_names) = init(args, &scene)?;
    let truth =
        args.truth.as_ref().map(|path| read_truth(path, &scene, args.endmembers)).transpose()?;
    // Last of the checks: the folder is the first thing that changes.
    let folder = OutputFolder::prepare(&args.run.out, args.run.force)?;
    let names = if args.names.is_empty() { init_names } else { args.names.clone() };
    let job = Job {
        scene,
        path: args.scene.display().to_string(),
        endmembers: args.endmembers,
        init,
        names,
        truth,
        seconds,
    };
    run_job(&args.run, job, &folder, interrupted)
}

/// Refuses a height or width other than the file's own, where that is no matter of reading it.
fn check_size(args: &FitArgs, header: &Header) -> Result<()> {
    for (flag, given, own) in
        [("--rows", args.rows, header.rows), ("--cols", args.cols, header.cols)]
    {
        if let Some(given) = given.filter(|given| *given != own) {
            return Err(Error::option(
                format!("{flag} {given}"),
                format!("the cube in the file has {own}; leave the flag out"),
            ));
        }
    }
    Ok(())
}

fn describe(scene: &Scene) {
    let wavelengths = match (
        scene.bands.first().and_then(|b| b.wavelength),
        scene.bands.last().and_then(|b| b.wavelength),
    ) {
        (Some(first), Some(last)) => format!(", {first:.0} to {last:.0} nm"),
        _ => String::new(),
    };
    tell!(
        "scene: {} x {} pixels ({} in use), {} of {} bands{wavelengths}",
        scene.rows,
        scene.cols,
        scene.pixel_index.len(),
        scene.bands.len(),
        scene.file_bands
    );
    tell!("scale: {}", scene.scaling.rule);
    // The rule is among the notes, too.
    for note in scene.notes.iter().filter(|note| **note != scene.scaling.rule) {
        tell!("note: {note}");
    }
}

/// The start that `--init` asks for, and the names that come with a file of spectra.
fn init(args: &FitArgs, scene: &Scene) -> Result<(Init, Vec<String>)> {
    let given = args.init.as_str();
    if let Some(family) = Init::FAMILIES.into_iter().find(|family| family.name() == given) {
        return Ok((family, Vec::new()));
    }
    let option = || format!("--init {given}");
    if !std::path::Path::new(given).exists() {
        let names = Init::FAMILIES.map(|family| family.name()).join(", ");
        return Err(Error::option(
            option(),
            format!("give {names}, or a file of spectra; there is no such file"),
        ));
    }
    let spectra = spectra::read(given)?;
    let values = spectra.for_scene(scene).map_err(|error| match error {
        Error::Scene(why) => Error::option(option(), why),
        other => other,
    })?;
    let names = spectra.names.unwrap_or_default();
    if values.nrows() <= args.endmembers {
        return Ok((Init::Spectra(values), names));
    }
    let (k, seed) = (args.endmembers, args.run.seed);
    let chosen = starts::choose_from_library(&scene.cube, k, &values, seed)?;
    let names: Vec<String> = chosen.iter().filter_map(|&i| names.get(i).cloned()).collect();
    let told = match names.is_empty() {
        true => chosen.iter().map(|i| format!("number {}", i + 1)).collect::<Vec<_>>().join(", "),
        false => names.join(", "),
    };
    tell!("library: {told} of {} spectra", values.nrows());
    Ok((Init::Spectra(values.select(ndarray::Axis(0), &chosen)), names))
}

fn read_truth(path: &std::path::Path, scene: &Scene, endmembers: usize) -> Result<truth::Truth> {
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
