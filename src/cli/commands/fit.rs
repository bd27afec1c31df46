//! `unmixel fit`.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use unmixel::Init;
use unmixel::rooms::io::{library, truth};
use unmixel::rooms::results::OutputFolder;
use unmixel::rooms::unmixing::Budget;
use unmixel::scene::Scene;
use unmixel::{Error, Result, Unmixing};

use crate::cli::args::{Endmembers, FitArgs};
use crate::cli::checkpoint::Kept;
use crate::cli::options;
use crate::cli::run::{Job, check_names, run as run_job};
use crate::cli::{Done, aside, large, scene};

/// Fits a scene from a file.
pub fn run(args: &FitArgs, interrupted: &Arc<AtomicBool>) -> Result<Done> {
    fit(args, interrupted, &|folder, every| Kept::begin(folder, every))
}

/// Goes on with a fit from its checkpoints.
pub fn go_on(args: &FitArgs, interrupted: &Arc<AtomicBool>) -> Result<Done> {
    fit(args, interrupted, &|folder, every| Ok(Kept::again(folder, every)))
}

/// Opens a folder of checkpoints.
type Keeping<'a> = dyn Fn(&Path, Duration) -> Result<Kept> + 'a;

fn fit(args: &FitArgs, interrupted: &Arc<AtomicBool>, keep: &Keeping) -> Result<Done> {
    let begin = Instant::now();
    let any = match args.endmembers {
        Endmembers::Count(count) => Unmixing::new(count),
        Endmembers::Auto => Unmixing::auto(),
    };
    options::settings(&args.run, any.clone())?;
    let opened = scene::open_aside(&args.scene, &args.layout)?;
    let expected = match args.endmembers {
        Endmembers::Count(count) => count,
        Endmembers::Auto => large::expected(opened.source.header()),
    };
    let every = args.checkpoints.checkpoint_every;
    let every = Duration::try_from_secs_f64(every).map_err(|_| {
        Error::option(format!("--checkpoint-every {every}"), "must be a number of seconds")
    })?;
    let keep = || args.checkpoints.checkpoint.as_ref().map(|at| keep(at, every)).transpose();
    // Rows that are kept one block after the other lose less than all of them at once.
    let budget = Budget {
        memory: args.memory.memory.map(|bytes| bytes.0),
        learns: true,
        prefers_rows: args.checkpoints.checkpoint.is_some() && large::may_be_by_rows(args),
    };
    if let Some(rows) = large::by_rows(&budget, &opened, expected)? {
        return large::fit(args, opened, rows, begin, &keep, interrupted);
    }
    let window = opened.window.clone();
    let scene = scene::read_whole(opened)?;
    let mut notes = Vec::new();
    let before = Kept::endmembers_in(args.checkpoints.checkpoint.as_deref())?;
    let endmembers = match (args.endmembers, before) {
        (Endmembers::Count(count), _) | (Endmembers::Auto, Some(count)) => count,
        (Endmembers::Auto, None) => {
            let found = options::unmixing(&args.run, any, interrupted)?.count(&scene)?;
            let told = format!("{} endmembers: {}", found.recommended, found.reason);
            tell!("{told}");
            notes.push(told);
            found.recommended
        }
    };
    check_names(&args.names, endmembers)?;
    let seconds = vec![("read".to_owned(), begin.elapsed().as_secs_f64())];
    let (init, init_names) = init(args, &scene)?;
    let truth = args.truth.as_ref().map(|path| read_truth(path, &scene, endmembers)).transpose()?;
    // Last of the checks: the folder is the first thing that changes.
    let folder = OutputFolder::prepare(&args.run.output.out, args.run.output.force)?;
    let kept = keep()?;
    folder.protect(&args.scene);
    folder.protect(&args.init);
    args.truth.iter().for_each(|truth| folder.protect(truth));
    let (unmixing, names) = started(args, endmembers, init, init_names);
    let path = args.scene.display().to_string();
    let job = Job { scene, path, window, names, truth, seconds, notes };
    let unmixing = match &kept {
        Some(kept) => kept.with(unmixing)?,
        None => unmixing,
    };
    let done = run_job(&args.run, unmixing, job, &folder, interrupted)?;
    if let (Some(kept), Done::Whole) = (kept, &done) {
        kept.clear()?;
    }
    Ok(done)
}

/// The settings with the start that was asked for, and the names that the user or the start gives.
pub fn started(
    args: &FitArgs,
    endmembers: usize,
    init: Option<Init>,
    init_names: Vec<String>,
) -> (Unmixing, Vec<String>) {
    let mut unmixing = Unmixing::new(endmembers);
    if let Some(bytes) = args.device_memory {
        unmixing = unmixing.device_memory(bytes.0);
    }
    let mut names = args.names.clone();
    if let Some(init) = init {
        if names.is_empty() && init_names.len() == endmembers {
            names = init_names;
        }
        unmixing = unmixing.init(init);
    }
    (unmixing, names)
}

/// The start that `--init` asks for, and the names that come with a file of spectra.
pub fn init(args: &FitArgs, scene: &Scene) -> Result<(Option<Init>, Vec<String>)> {
    let given = std::path::Path::new(&args.init);
    if args.init == "auto" {
        return Ok((None, Vec::new()));
    }
    options::refuse_search(&args.run, &given.display().to_string())?;
    if let Some(family) = Init::FAMILIES.into_iter().find(|family| args.init == family.name()) {
        return Ok((Some(family), Vec::new()));
    }
    let option = || format!("--init {}", given.display());
    if !given.exists() {
        let names = Init::FAMILIES.map(|family| family.name()).join(", ");
        return Err(Error::option(
            option(),
            format!("give auto, {names}, or a file of spectra; there is no such file"),
        ));
    }
    let path = given.to_owned();
    let spectra = aside(move || library::read(&path))?;
    let found = spectra.covering(scene).map_err(|error| match error {
        Error::Scene(why) => Error::option(option(), why),
        other => other,
    })?;
    for note in spectra.notes.iter().chain(&found.notes) {
        tell!("note: {note}");
    }
    Ok((Some(Init::Spectra(found.values)), found.names.unwrap_or_default()))
}

pub fn read_truth(
    path: &std::path::Path,
    scene: &Scene,
    endmembers: usize,
) -> Result<unmixel::scene::Truth> {
    let (file, shared) = (path.to_owned(), scene.clone());
    let truth = aside(move || truth::read(&file, &shared))?;
    let found = truth
        .endmembers
        .as_ref()
        .map(|e| e.nrows())
        .or(truth.abundances.as_ref().map(|a| a.dim().2));
    match found {
        Some(found) if found != endmembers => Err(Error::file(
            path,
            format!(
                "holds {found} endmembers, and --endmembers asks for {endmembers}; they must be \
                 as many to be compared."
            ),
        )),
        _ => Ok(truth),
    }
}
