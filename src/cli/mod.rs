//! The command line: arguments to settings, settings to a run, a run to an exit code. Only here is
//! anything printed.
#![allow(clippy::print_stdout, clippy::print_stderr)]

/// A line on stderr. A reader that has gone away (`unmixel fit ... 2>&1 | head -1`) does not end
/// the run, as it would with `eprintln!`.
macro_rules! tell {
    ($($text:tt)*) => {{
        let _ = std::io::Write::write_fmt(
            &mut std::io::stderr(),
            format_args!("{}\n", format_args!($($text)*)),
        );
    }};
}

mod args;
mod args_output;
mod args_tools;
mod checkpoint;
mod commands;
mod flags;
mod large;
mod layout;
mod materials;
mod memory;
mod options;
mod progress;
mod run;
mod scene;
mod tables;
mod values;

use std::io::Write;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser};
use unmixel::engine::ground::interrupt::unless;
use unmixel::{Error, Result};

use args::{Arguments, Command};
use commands::{
    apply, bench, calibrate, compare, completions, count, demo, devices, fit, info, mosaic, resume,
    score, simulate,
};

/// Exit code for input that cannot be used.
const BAD_INPUT: u8 = 2;
/// Exit code of a run that was interrupted and has written what there was (128 + SIGINT).
const INTERRUPTED: u8 = 130;

/// How a command ended, errors apart.
pub enum Done {
    /// All of it.
    Whole,
    /// Up to where it was interrupted.
    Interrupted,
}

/// Runs the program.
pub fn main() -> ExitCode {
    quiet_drivers();
    survive_file_limits();
    memory::check_room();
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return usage(&error),
    };
    // Threads that a limit forbids would end the program with a panic at their first use.
    if let Err(error) = rayon::ThreadPoolBuilder::new().build_global() {
        complain(&format!(
            "no threads can be started ({error}); raise the limit on memory or processes, or set \
             RAYON_NUM_THREADS to a smaller number"
        ));
        return ExitCode::FAILURE;
    }
    let done = match arguments.command {
        Command::Fit(args) => fit::run(&args, &interruption()),
        Command::Apply(args) => apply::run(&args, &interruption()),
        Command::Resume(args) => resume::run(&args, &interruption()),
        Command::Mosaic(args) => mosaic::run(&args, &interruption()),
        Command::Info(args) => info::run(&args),
        Command::Demo(args) => demo::run(&args, &interruption()),
        Command::Simulate(args) => {
            interruption();
            simulate::run(&args)
        }
        Command::Calibrate(args) => calibrate::run(&args, &interruption()),
        Command::Score(args) => score::run(&args),
        Command::Count(args) => count::run(&args, &interruption()),
        Command::Compare(args) => compare::run(&args, &interruption()),
        Command::Bench(args) => bench::run(&args, &interruption()),
        Command::Devices(args) => devices::run(&args),
        Command::Completions(args) => completions::run(&args),
    };
    match done {
        Ok(Done::Whole) => ExitCode::SUCCESS,
        Ok(Done::Interrupted) => ExitCode::from(INTERRUPTED),
        Err(Error::Interrupted) => {
            complain("interrupted before there was a result to write");
            ExitCode::from(INTERRUPTED)
        }
        // Nobody waits for the end of what was interrupted, and half of it may not make sense.
        Err(error) if interrupted() && !error.is_bad_input() => {
            complain(&format!(
                "interrupted before there was a result to write: {}",
                flags::sentence(&error)
            ));
            ExitCode::from(INTERRUPTED)
        }
        Err(error) => {
            complain(&flags::sentence(&error));
            if error.is_bad_input() { ExitCode::from(BAD_INPUT) } else { ExitCode::FAILURE }
        }
    }
}

/// One line on stderr, whatever the message looks like inside.
fn complain(message: &str) {
    let line: Vec<&str> = message.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    // A closed stderr is no reason to fail twice.
    let _ = writeln!(std::io::stderr(), "error: {}", line.join(" "));
}

/// Help and version go to stdout; of an error only the sentence, not the usage block below it.
fn usage(error: &clap::Error) -> ExitCode {
    if !error.use_stderr() {
        // Coloured on a terminal only; a closed pipe (`unmixel --help | head -1`) is no error.
        let printed = error.print().and_then(|()| std::io::stdout().flush());
        return match printed {
            Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
                complain(&format!("standard output: {error}"));
                ExitCode::FAILURE
            }
            _ => ExitCode::SUCCESS,
        };
    }
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        let commands = Arguments::command();
        let names: Vec<&str> = commands.get_subcommands().map(|c| c.get_name()).collect();
        complain(&format!("no command is given; there are {}", names.join(", ")));
        return ExitCode::from(BAD_INPUT);
    }
    let text = error.render().to_string();
    let sentence: Vec<&str> = text
        .lines()
        .take_while(|line| !line.starts_with("Usage:") && !line.starts_with("For more"))
        .collect();
    complain(sentence.join("\n").trim_start_matches("error: "));
    ExitCode::from(BAD_INPUT)
}

/// The flag of this process, once a command listens for interruptions.
static FLAG: OnceLock<Arc<AtomicBool>> = OnceLock::new();

/// Whether the program was interrupted.
fn interrupted() -> bool {
    FLAG.get().is_some_and(|flag| flag.load(Ordering::Relaxed))
}

/// A flag that the first Ctrl-C raises; the second ends the program at once.
fn interruption() -> Arc<AtomicBool> {
    let flag = Arc::clone(FLAG.get_or_init(Arc::default));
    let raised = Arc::clone(&flag);
    // Without a handler Ctrl-C just ends the program: nothing is half-written even then.
    // With the feature `termination` this is SIGTERM and SIGHUP, too: schedulers send the one, a
    // terminal that is closed the other.
    let _ = ctrlc::set_handler(move || {
        if raised.swap(true, Ordering::Relaxed) {
            std::process::exit(i32::from(INTERRUPTED));
        }
        tell!("\ninterrupted: writing what there is; press Ctrl-C again to leave at once");
    });
    flag
}

/// Does work that nobody waits for who has interrupted the program: a file may take minutes to be
/// read or unpacked, and what it is read with cannot be asked to stop.
fn aside<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    unless(&interrupted, move |_| work())
}

/// Mesa writes an error line of its own where this variable is missing, as in most containers.
fn quiet_drivers() {
    if cfg!(target_os = "linux") && std::env::var_os("XDG_RUNTIME_DIR").is_none() {
        // SAFETY: the program has one thread so far; no other can read the environment now.
        unsafe { std::env::set_var("XDG_RUNTIME_DIR", std::env::temp_dir()) };
    }
}

/// A limit on the size of files ends programs by a signal. Without it the write fails, which is
/// told, and what was written by then goes.
fn survive_file_limits() {
    #[cfg(unix)]
    {
        use nix::sys::signal::{SigHandler, Signal, signal};
        // SAFETY: the signal is ignored; no code of this program runs in its place.
        let _ = unsafe { signal(Signal::SIGXFSZ, SigHandler::SigIgn) };
    }
}

/// Makes the results in a folder visible, and tells of files that had to give way.
fn commit(folder: &unmixel::rooms::results::OutputFolder, kind: &str) -> Result<()> {
    for kept in folder.commit(kind)? {
        tell!("note: {kept}");
    }
    Ok(())
}

/// The command as it was given, for records; what is no text in it is shown with a mark.
fn command() -> Vec<String> {
    std::env::args_os().map(|part| part.to_string_lossy().into_owned()).collect()
}

/// Prints results; a reader that has gone away (`unmixel devices | head -1`) is not an error.
fn print(text: &str) -> Result<()> {
    match writeln!(std::io::stdout(), "{text}") {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(unmixel::Error::io("standard output", error))
        }
        _ => Ok(()),
    }
}
