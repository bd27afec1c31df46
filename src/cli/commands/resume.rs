//! `unmixel resume`.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use clap::Parser;
use unmixel::rooms::results::REPORT_FILE;
use unmixel::{Error, Result};

use super::fit;
use crate::cli::args::{Arguments, Command, OutputArgs, ResumeArgs};
use crate::cli::checkpoint::Kept;
use crate::cli::{Done, print};

/// Goes on with a fit from its checkpoints.
pub fn run(args: &ResumeArgs, interrupted: &Arc<AtomicBool>) -> Result<Done> {
    let folder = std::path::absolute(&args.folder).map_err(|e| Error::io(&args.folder, e))?;
    let words = Kept::command(&folder)?;
    let damaged = || Error::file(&folder, "holds a command that is no fit; start it again");
    let parsed = Arguments::try_parse_from(
        std::iter::once("unmixel".to_owned()).chain(words.iter().cloned()),
    );
    let Command::Fit(mut fit) = parsed.map_err(|_| damaged())?.command else {
        return Err(damaged());
    };
    match written(&fit.run.output, &words) {
        // Killed between the last two moves: all is there.
        Some(false) => {
            Kept::again(&folder, Duration::ZERO).clear()?;
            print(&format!("all results were in {}", fit.run.output.out.display()))?;
            return Ok(Done::Whole);
        }
        // What the run wrote when it was interrupted gives way to the whole.
        Some(true) => fit.run.output.force = true,
        None => {}
    }
    fit.checkpoints.checkpoint = Some(folder);
    fit::go_on(&fit, interrupted)
}

/// Whether the output folder holds results of this very run, which had found none there: true where
/// it was interrupted, false for all of them.
fn written(output: &OutputArgs, words: &[String]) -> Option<bool> {
    let text = std::fs::read(output.out.join(REPORT_FILE)).ok().filter(|_| !output.force)?;
    let report: serde_json::Value = serde_json::from_slice(&text).ok()?;
    let command = report["run"]["command"].as_array()?;
    let own = command.iter().skip(1).map(|word| word.as_str().unwrap_or_default());
    let own: Vec<&str> = own.collect();
    let of_run = own.first() == Some(&"resume") || own == words;
    of_run.then(|| report["interrupted"].as_bool()).flatten()
}
