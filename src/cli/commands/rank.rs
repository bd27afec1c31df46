//! `unmixel rank`.

use std::sync::atomic::{AtomicBool, Ordering};

use unmixel::Result;
use unmixel::count::{Evidence, Rank, evidence, rank};
use unmixel::engine::backend::device::{Choice, Device, choose};
use unmixel::figures::count_png;
use unmixel::results::OutputFolder;
use unmixel::scene::Cube;

use crate::cli::args::RankArgs;
use crate::cli::{Done, commit, print, scene, tables};

/// All estimates of the number of endmembers, with their progress.
pub fn estimate(device: &Device, cube: &Cube, seed: u64, interrupted: &AtomicBool) -> Result<Rank> {
    let moments = rank(cube)?;
    tell!("rank: short fits with 1, 2, 3, ... endmembers, until three in a row are worse");
    let told = |one: &Evidence| match one.elbo {
        Some(elbo) => tell!("  {} endmembers: ELBO {elbo:.2}", one.endmembers),
        None => tell!("  {} endmembers: failed", one.endmembers),
    };
    let stop = || interrupted.load(Ordering::Relaxed);
    Ok(moments.with_evidence(evidence(device, cube, seed, &told, &stop)?))
}

/// Estimates the number of endmembers.
pub fn run(args: &RankArgs, interrupted: &AtomicBool) -> Result<Done> {
    let scene = scene::read(&args.scene, &args.layout)?;
    let device = choose(&args.device.parse::<Choice>()?)?;
    let found = estimate(&device, &scene.cube, args.seed, interrupted)?;
    if let Some(path) = &args.out {
        let folder = OutputFolder::prepare(path, args.force)?;
        folder.protect(&args.scene);
        let png = count_png(&found, &format!("{}: how many endmembers", scene.name))?;
        folder.write("rank.png", |to| to.write_all(&png))?;
        folder.write("rank.json", |to| {
            serde_json::to_writer_pretty(&mut *to, &found)?;
            to.write_all(b"\n")
        })?;
        commit(&folder, "rank")?;
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
