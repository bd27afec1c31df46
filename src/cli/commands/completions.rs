//! `unmixel completions`.

use clap::CommandFactory;
use unmixel::Result;

use crate::cli::args::{Arguments, CompletionsArgs};
use crate::cli::{Done, print};

/// Prints a completion script.
pub fn run(args: &CompletionsArgs) -> Result<Done> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Arguments::command(), "unmixel", &mut script);
    print(String::from_utf8_lossy(&script).trim_end())?;
    Ok(Done::Whole)
}
