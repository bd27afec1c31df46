//! `unmixel count`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use unmixel::engine::backend::Choice;
use unmixel::rooms::figures::count_png;
use unmixel::rooms::results::OutputFolder;
use unmixel::{Result, Unmixing};

use crate::cli::args::CountArgs;
use crate::cli::{Done, commit, print, scene, tables};

/// Estimates the number of endmembers.
pub fn run(args: &CountArgs, interrupted: &Arc<AtomicBool>) -> Result<Done> {
    let scene = scene::read(&args.scene, &args.layout)?;
    let device: Choice = args.device.parse()?;
    let stop = Arc::clone(interrupted);
    let found = Unmixing::auto()
        .seed(args.seed)
        .on(device)
        .stop_when(move || stop.load(Ordering::Relaxed))
        .on_event(|event| tell!("{event}"))
        .count(&scene)?;
    if let Some(path) = &args.out {
        let folder = OutputFolder::prepare(path, args.force)?;
        folder.protect(&args.scene);
        let png = count_png(&found, &format!("{}: how many endmembers", scene.name()))?;
        folder.write("count.png", |to| to.write_all(&png))?;
        folder.write("count.json", |to| {
            serde_json::to_writer_pretty(&mut *to, &found)?;
            to.write_all(b"\n")
        })?;
        commit(&folder, "count")?;
    }
    let done = if interrupted.load(Ordering::Relaxed) { Done::Interrupted } else { Done::Whole };
    if args.json {
        print(&format!("{:#}", serde_json::json!(found)))?;
        return Ok(done);
    }
    let mut table = tables::table(&["method", "endmembers"]);
    for estimate in &found.estimates {
        table.add_row([estimate.method.clone(), estimate.endmembers.to_string()]);
    }
    print(&table.to_string())?;
    let mut table = tables::table(&["endmembers", "ELBO (nats a pixel)"]);
    for one in &found.evidence {
        let elbo = one.elbo.map_or("-".to_owned(), |elbo| format!("{elbo:.2}"));
        table.add_row([one.endmembers.to_string(), elbo]);
    }
    print(&table.to_string())?;
    print(&format!("recommended: {}, {}", found.recommended, found.reason))?;
    Ok(done)
}
