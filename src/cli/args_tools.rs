//! Arguments of the commands that fit no scene: simulation, benchmarks, devices and completions.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

#[derive(Debug, Args)]
pub struct SimulateArgs {
    /// Folder for scene.npz, scene.img with scene.hdr (ENVI), and truth.npz
    #[arg(short, long, value_name = "FOLDER", default_value = "unmixel-scene")]
    pub out: PathBuf,
    /// Write into a folder that has files in it
    #[arg(long)]
    pub force: bool,
    /// Height in pixels
    #[arg(long, default_value_t = 100, allow_negative_numbers = true)]
    pub rows: usize,
    /// Width in pixels
    #[arg(long, default_value_t = 100, allow_negative_numbers = true)]
    pub cols: usize,
    /// Number of bands, evenly from 400 to 2500 nm
    #[arg(long, default_value_t = 156, allow_negative_numbers = true)]
    pub bands: usize,
    /// Number of endmembers
    #[arg(short = 'k', long, default_value_t = 3, value_name = "K", allow_negative_numbers = true)]
    pub endmembers: usize,
    /// Sd of the noise, reflectance
    #[arg(long, value_name = "SD", default_value_t = 0.01, allow_negative_numbers = true)]
    pub noise: f64,
    /// How abundances lie in the image: smooth like land, each pixel for itself from the model's
    /// Dirichlet, or one mixture nearly everywhere and squares of others
    #[arg(long, value_enum, default_value = "smooth")]
    pub maps: MapsArg,
    /// Leave out pure pixels: no abundance above 0.8
    #[arg(long)]
    pub no_pure_pixels: bool,
    /// Sd of log brightness over the image
    #[arg(long, value_name = "SD", default_value_t = 0.0, allow_negative_numbers = true)]
    pub brightness: f64,
    /// Sd of an endmember between pixels, as a share of its value
    #[arg(long, value_name = "SHARE", default_value_t = 0.0, allow_negative_numbers = true)]
    pub variability: f64,
    /// Correlation of the errors of adjacent bands
    #[arg(long, value_name = "RHO", default_value_t = 0.0, allow_negative_numbers = true)]
    pub band_correlation: f64,
    /// Share of the pixels without data
    #[arg(long, value_name = "SHARE", default_value_t = 0.0, allow_negative_numbers = true)]
    pub no_data: f64,
    /// Share of the pixels that the last endmember fills; it is mixed around them and absent
    /// elsewhere
    #[arg(long, value_name = "SHARE", default_value_t = 0.0, allow_negative_numbers = true)]
    pub rare: f64,
    /// Spectral angle of the last endmember to the first, radians; 0 leaves it as it is
    #[arg(long, value_name = "ANGLE", default_value_t = 0.0, allow_negative_numbers = true)]
    pub close: f64,
    /// Sd of an endmember between pixels along smooth shapes that all bands share, as a share of
    /// its value
    #[arg(long, value_name = "SHARE", default_value_t = 0.0, allow_negative_numbers = true)]
    pub shared_variability: f64,
    /// How materials mix: side by side, or intimately, as grains do (Hapke's model)
    #[arg(long, value_enum, default_value = "linear")]
    pub mixing: MixingArg,
    /// Noise that grows with the signal: its sd as a share of it
    #[arg(long, value_name = "SHARE", default_value_t = 0.0, allow_negative_numbers = true)]
    pub signal_noise: f64,
    /// Abundances below this are exactly zero
    #[arg(long, value_name = "SHARE", default_value_t = 0.0, allow_negative_numbers = true)]
    pub least_abundance: f64,
    /// What the last spectrum is multiplied by: 0.05 for deep water
    #[arg(long, value_name = "FACTOR", default_value_t = 1.0, allow_negative_numbers = true)]
    pub dark: f64,
    /// Share of the pixels that hold what is no material of the scene, in each another thing
    #[arg(long, value_name = "SHARE", default_value_t = 0.0, allow_negative_numbers = true)]
    pub outliers: f64,
    /// Seed of the scene
    #[arg(long, default_value_t = 0, allow_negative_numbers = true)]
    pub seed: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum MapsArg {
    Smooth,
    Dirichlet,
    Flat,
    Dominant,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum MixingArg {
    Linear,
    Intimate,
}

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

/// What a scene to be calibrated with is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum WorldArg {
    /// As the model has it
    Model,
    /// Variability of 6 % that bands share
    Shared,
    /// The same, and noise of bands correlated by 0.9
    SharedAr,
    /// Noise that grows with the signal
    Signal,
    /// Abundances below 0.1 are exactly zero
    Zeros,
    /// The last material is all but black
    Dark,
    /// All mixtures are as likely
    Flat,
    /// One mixture nearly everywhere
    Dominant,
}
