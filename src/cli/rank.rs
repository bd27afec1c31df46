//! `unmixel rank`.

use unmixel::Result;
use unmixel::output::{OutputFolder, rank_png};
use unmixel::rank::rank;

use super::args::RankArgs;
use super::{Done, print, scene, tables};

/// Estimates the number of endmembers.
pub fn run(args: &RankArgs) -> Result<Done> {
    let scene = scene::read(&args.scene, &args.layout)?;
    let found = rank(&scene.cube)?;
    if let Some(path) = &args.out {
        let folder = OutputFolder::prepare(path, args.force)?;
        let png = rank_png(&found, &format!("{}: how many endmembers", scene.name))?;
        folder.write("rank.png", |to| to.write_all(&png))?;
        folder.write("rank.json", |to| {
            serde_json::to_writer_pretty(&mut *to, &found)?;
            to.write_all(b"\n")
        })?;
    }
    if args.json {
        print(&format!("{:#}", serde_json::json!(found)))?;
        return Ok(Done::Whole);
    }
    let mut table = tables::table(&["method", "endmembers"]);
    for estimate in &found.estimates {
        table.add_row([estimate.method.clone(), estimate.endmembers.to_string()]);
    }
    print(&table.to_string())?;
    print(&format!("recommended: {}, {}", found.recommended, found.reason))?;
    Ok(Done::Whole)
}
