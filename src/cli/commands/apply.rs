//! `unmixel apply`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use unmixel::engine::backend::device;
use unmixel::rooms::figures::Labels;
use unmixel::rooms::results::OutputFolder;
use unmixel::rooms::unmixing::Budget;
use unmixel::{Error, Fit, Result};

use crate::cli::args::ApplyArgs;
use crate::cli::run::{Job, SAVED_FIT, Wanted, check_names, now, write};
use crate::cli::{Done, commit, large, print, scene};

/// Abundances of a scene under an earlier fit.
pub fn run(args: &ApplyArgs, interrupted: &Arc<AtomicBool>) -> Result<Done> {
    let (begin, started) = (Instant::now(), now());
    let file = if args.fit.is_dir() { args.fit.join(SAVED_FIT) } else { args.fit.clone() };
    if args.fit.is_dir() && !file.exists() {
        let why = format!("has no {SAVED_FIT}; give a folder that `unmixel fit --save` wrote.");
        return Err(Error::file(&args.fit, why));
    }
    let fit = Fit::load(&file)?;
    check_names(&args.names, fit.k())?;
    let device = Arc::new(device::choose(&args.device.parse()?)?);
    let mut opened = scene::open_aside(&args.scene, &args.layout)?;
    // The fit says which bands count; a part of a scene may see less of them than the whole.
    opened.options.keep_water_bands = true;
    let budget = Budget {
        memory: args.memory.memory.map(|bytes| bytes.0),
        learns: false,
        prefers_rows: false,
    };
    if let Some(rows) = large::by_rows(&budget, &opened, fit.k())? {
        return large::apply(args, (&fit, &file, &device), opened, rows, begin, interrupted);
    }
    let window = opened.window.clone();
    let scene = scene::read_whole(opened)?;
    let folder = OutputFolder::prepare(&args.output.out, args.output.force)?;
    folder.protect(&args.scene);
    folder.protect(&file);
    let wanted = Wanted::new(&args.output, &scene)?;
    let seconds = vec![("read".to_owned(), begin.elapsed().as_secs_f64())];
    let applied = fit.apply_on(&scene, &device, &|| interrupted.load(Ordering::Relaxed))?;
    let (path, notes) = (args.scene.display().to_string(), Vec::new());
    let names = args.names.clone();
    let job = Job { scene, path, window, names, truth: None, seconds, notes };
    let names = Labels::new(&job.names, applied.k()).shown;
    let count = write(&applied, None, &names, &job, (&wanted, started), &folder)?;
    commit(&folder, "fit")?;
    print(&format!("{count} files in {}", folder.path().display()))?;
    Ok(Done::Whole)
}
