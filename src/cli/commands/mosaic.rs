//! `unmixel mosaic`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use unmixel::Result;
use unmixel::rooms::results::{Format, OutputFolder, Parts, RunReport, Stages, formats_by_rows};
use unmixel::rooms::unmixing::Budget;

use crate::cli::args::MosaicArgs;
use crate::cli::run::now;
use crate::cli::{Done, command, commit, print};

/// Puts parts of a scene together.
pub fn run(args: &MosaicArgs, interrupted: &Arc<AtomicBool>) -> Result<Done> {
    let (begin, started) = (Instant::now(), now());
    let mut parts = Parts::open(&args.parts)?;
    let (scene, count) = (parts.scene(), args.parts.len());
    tell!("scene: {} x {} pixels in {count} parts", scene.rows(), scene.cols());
    let asked: Vec<Format> = args.format.iter().map(|format| (*format).into()).collect();
    let budget = Budget {
        memory: args.memory.memory.map(|bytes| bytes.0),
        learns: false,
        prefers_rows: false,
    };
    let formats = formats_by_rows(scene, parts.names().len(), budget.bytes(), &asked)?;
    let folder = OutputFolder::prepare(&args.out, args.force)?;
    args.parts.iter().for_each(|part| folder.protect(part));
    let run = RunReport::current(
        command(),
        started,
        Stages(vec![("mosaic".into(), begin.elapsed().as_secs_f64())]),
    );
    let stop = || interrupted.load(Ordering::Relaxed);
    let files = parts.write(&folder, &formats, &run, &stop)?;
    commit(&folder, "fit")?;
    print(&format!("{} files in {}", files.len(), folder.path().display()))?;
    Ok(Done::Whole)
}
