//! `unmixel demo`: a simulated scene, so that anyone can see a whole run without data.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use unmixel::rooms::results::OutputFolder;
use unmixel::simulate::{self, simulate};
use unmixel::{Result, Unmixing};

use crate::cli::args::DemoArgs;
use crate::cli::run::{Job, run as run_job};
use crate::cli::{Done, options};

/// Simulates, fits, scores, writes.
pub fn run(args: &DemoArgs, interrupted: &Arc<AtomicBool>) -> Result<Done> {
    options::settings(&args.run, Unmixing::new(3))?.check()?;
    let folder = OutputFolder::prepare(&args.run.output.out, args.run.output.force)?;
    let begin = Instant::now();
    // Not square: a transposed map would show.
    let settings = simulate::Settings {
        rows: 80,
        cols: 110,
        bands: 80,
        no_data_fraction: 0.02,
        seed: args.run.seed,
        ..Default::default()
    };
    let simulated = simulate(&settings)?;
    let scene = simulated.scene("simulated scene")?;
    let truth = simulated.truth();
    let names = simulated.names.clone();
    let k = names.len();
    tell!(
        "scene: simulated, {} x {} pixels, {} bands, {}",
        settings.rows,
        settings.cols,
        settings.bands,
        names.join(", ")
    );
    let seconds = vec![("simulate".to_owned(), begin.elapsed().as_secs_f64())];
    let (path, notes) = ("simulated".into(), Vec::new());
    let job = Job { scene, path, window: None, names, truth: Some(truth), seconds, notes };
    run_job(&args.run, Unmixing::new(k), job, &folder, interrupted)
}
