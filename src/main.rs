//! The program `unmixel`: arguments in, exit code out. See `cli`.

mod cli;

fn main() -> std::process::ExitCode {
    cli::main()
}
