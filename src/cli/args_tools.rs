//! Arguments of the commands that fit no scene: benchmarks, devices and completions.

use std::path::PathBuf;

use clap::Args;

#[derive(Debug, Args)]
#[command(
    after_long_help = "Runs steps of standard scenes with two models on every device: plain \
        (mean-field, one draw) and
default (what `unmixel fit` does). Scenes, as pixels x bands x endmembers, and their minibatch:
  small     9,025 x 156 x 3, 512            full     the same, all pixels
  medium    10,000 x 200 x 6, all pixels    large    1,000,000 x 200 x 6, 10,000 (takes 2 GB)
Writes bench.json and bench.png to the folder; with --compare comparison.md and comparison.png."
)]
pub struct BenchArgs {
    /// Folder for the results
    #[arg(short, long, value_name = "FOLDER", default_value = "unmixel-bench")]
    pub out: PathBuf,
    /// Write into a folder that has files in it
    #[arg(long)]
    pub force: bool,
    /// cpu, gpu, auto, or part of a device's name [default: every device there is]
    #[arg(long)]
    pub device: Option<String>,
    /// Only small scenes and fewer repeats: below 20 s
    #[arg(long)]
    pub quick: bool,
    /// Scenes to run [default: all, with --quick small and full]
    #[arg(long, value_name = "A,B,...", value_delimiter = ',')]
    pub scene: Vec<String>,
    /// Timed blocks of a case, whose median and quartiles count [default: 15, with --quick 5]
    #[arg(long, allow_negative_numbers = true)]
    pub repeats: Option<usize>,
    /// Steps of a timed block [default: as many as take a tenth of a second]
    #[arg(long, allow_negative_numbers = true)]
    pub steps: Option<u32>,
    /// Measure nothing: put reports of several machines into one table and one picture
    #[arg(
        long,
        value_name = "FILE",
        num_args = 1..,
        conflicts_with_all = ["device", "quick", "scene", "repeats", "steps"]
    )]
    pub compare: Vec<PathBuf>,
}

#[derive(Debug, Args)]
pub struct DevicesArgs {
    /// Print JSON instead of a table
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// The shell
    pub shell: clap_complete::Shell,
}
