//! `unmixel resume`.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use clap::Parser;
use unmixel::{Error, Result};

use super::fit;
use crate::cli::Done;
use crate::cli::args::{Arguments, Command, ResumeArgs};
use crate::cli::checkpoint::Kept;

/// Goes on with a fit from its checkpoints.
pub fn run(args: &ResumeArgs, interrupted: &Arc<AtomicBool>) -> Result<Done> {
    let folder = std::path::absolute(&args.folder).map_err(|e| Error::io(&args.folder, e))?;
    let words = Kept::command(&folder)?;
    let damaged = || Error::file(&folder, "holds a command that is no fit; start it again");
    let parsed = Arguments::try_parse_from(std::iter::once("unmixel".to_owned()).chain(words));
    let Command::Fit(mut fit) = parsed.map_err(|_| damaged())?.command else {
        return Err(damaged());
    };
    fit.checkpoints.checkpoint = Some(folder);
    // An interrupt may have written what there was; that of this run gives way.
    fit.run.output.force |= args.force;
    fit::go_on(&fit, interrupted)
}
