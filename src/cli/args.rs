//! Arguments, as clap reads them. Ranges that depend on the scene are checked by the library.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub use super::args_output::{
    ApplyArgs, CheckpointArgs, MemoryArgs, MosaicArgs, OutputArgs, ResumeArgs,
};
pub use super::args_tools::{BenchArgs, CompletionsArgs, DevicesArgs, WorldArg};
pub use super::args_tools::{MapsArg, MixingArg, SimulateArgs};
pub use super::layout::LayoutArgs;
pub use super::values::{Bytes, Concentration, EffectiveBands, Endmembers, SearchArg};

/// The library's own defaults of a run.
fn svi() -> unmixel::engine::svi::Settings {
    unmixel::engine::svi::Settings::default()
}

/// Bayesian hyperspectral unmixing on any vendor's GPU, or none: which materials are in a scene,
/// and how much of each in every pixel, with uncertainty.
#[derive(Debug, Parser)]
#[command(
    version,
    max_term_width = 100,
    after_help = "Try it without data:\n  unmixel demo\n\nA scene, its maps in a folder:\n  \
        unmixel fit scene.mat --endmembers 3 --out maps"
)]
pub struct Arguments {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Unmix a scene: abundance maps, endmember spectra and their uncertainty
    Fit(FitArgs),
    /// Abundances of another scene, date or tile under an earlier fit: nothing is fitted anew
    Apply(ApplyArgs),
    /// Put parts of a scene together that `unmixel apply --window` gave their abundances
    Mosaic(MosaicArgs),
    /// Go on with a fit that was ended, from its checkpoints (`fit --checkpoint`)
    Resume(ResumeArgs),
    /// Say what is understood of a scene, and draw it in its true colours
    Info(InfoArgs),
    /// Simulate a small scene, fit it, and score the fit against the known truth
    Demo(DemoArgs),
    /// Write a simulated scene with its truth
    Simulate(SimulateArgs),
    /// Score the results of a fit against a truth
    Score(ScoreArgs),
    /// Estimate how many endmembers a scene has
    #[command(visible_alias = "rank")]
    Count(CountArgs),
    /// Compare a fit with the usual methods on a scene whose truth is known
    Compare(CompareArgs),
    /// Simulate scenes, fit them, and report how many truths lie inside posterior intervals
    Calibrate(CalibrateArgs),
    /// Measure how fast the engine runs on this machine's devices
    Bench(BenchArgs),
    /// List the devices that a fit can run on
    Devices(DevicesArgs),
    /// Write a completion script for a shell to stdout
    Completions(CompletionsArgs),
}

#[derive(Debug, Args)]
#[command(after_long_help = "Files:
  MATLAB v4 to v7.3, NPY and NPZ (3-D arrays, or bands x pixels with their rows and columns),
  ENVI (give the header or the data), GeoTIFF and BigTIFF, HDF5 and NetCDF-4 (EMIT L2A, PRISMA,
  NEON, or any array), Zarr (the folder). What was taken of the file, and why, is told.

Writes to the folder:
  abundance_NAME.png        mean abundance of each endmember, on a fixed scale from 0 to 1
  abundance_NAME_sd.png     its standard deviation
  abundance_NAME_width.png  width of its 90 % interval
  composite.png             all abundances in one picture
  endmembers.png, .csv      spectra with 90 % intervals
  residual.png, elbo.png    what the fit leaves, and how it went
  abundance_mean.npy, abundance_sd.npy, abundance_q05.npy, abundance_q50.npy, abundance_q95.npy
                            mean, sd and quantiles, (rows, columns, endmembers), float32
  brightness.npy, residual.npy
                            mean brightness, what the fit leaves of each pixel, (rows, columns)
  abundance_*.tif, residual.tif, brightness.tif
                            GeoTIFF, where the scene has a place on earth or --format geotiff
  abundance_draws.npy, endmember_draws.npy   with --draws; fit.unmixel with --save
  *.img, *.sli with *.hdr   with --format envi; unmixing.nc with --format netcdf;
                            unmixing.zarr with --format zarr
  report.json               settings, seed, device, ELBO, times, scores
  truth_NAME.png            with --truth: truth, estimate and difference

Ctrl-C ends the fit and writes what there is (exit code 130).
Exit code 2: bad input; 1: a failure.")]
pub struct FitArgs {
    /// The scene: .mat, .npy, .npz, ENVI header or data, GeoTIFF, HDF5, NetCDF-4 or Zarr
    pub scene: PathBuf,
    /// Number of endmembers K, at most the bands and the pixels in use; or auto, as `unmixel count`
    /// says
    #[arg(short = 'k', long, value_name = "K|auto", allow_negative_numbers = true)]
    pub endmembers: Endmembers,
    #[command(flatten)]
    pub run: RunArgs,
    /// Where the endmembers begin: auto (a search over all families, by ELBO), vca, vca-normalised,
    /// nfindr, nfindr-normalised, simplex, simplex-normalised, clusters, random, or a file of
    /// spectra (.csv, .mat, .npz, ENVI library); of more than K, those K are taken that explain the
    /// scene best. From the spectra of a file, too, evidence decides whether pixels differ in
    /// brightness, share a mixture, and how mixed they are
    #[arg(long, value_name = "auto|FAMILY|FILE", default_value = "auto")]
    pub init: OsString,
    /// Names of the endmembers, for files and titles; in the truth's order where there is a truth
    #[arg(long, value_name = "A,B,...", value_delimiter = ',')]
    pub names: Vec<String>,
    /// Known endmembers and abundances to score against (.mat with M and A, or .npz)
    #[arg(long, value_name = "FILE")]
    pub truth: Option<PathBuf>,
    #[command(flatten)]
    pub checkpoints: CheckpointArgs,
    #[command(flatten)]
    pub memory: MemoryArgs,
    /// Memory that the fit may take on its device: where it is little, spectra are learned from
    /// fewer pixels than 30,000 [default: what the device has]
    #[arg(long, value_name = "SIZE")]
    pub device_memory: Option<Bytes>,
    #[command(flatten)]
    pub layout: LayoutArgs,
}

/// What every fit takes.
#[derive(Debug, Args)]
pub struct RunArgs {
    #[command(flatten)]
    pub output: OutputArgs,
    /// auto (a hardware GPU if there is one, else the CPU), cpu, gpu, or part of a device's name
    #[arg(long, default_value = "auto")]
    pub device: String,
    /// Seed of all random numbers: same seed, same device, same bytes
    #[arg(long, default_value_t = 0, allow_negative_numbers = true)]
    pub seed: u64,
    /// Most steps; the stopping rule usually ends the fit before
    #[arg(long, default_value_t = svi().steps, allow_negative_numbers = true)]
    pub steps: u32,
    /// Starts that the search tries, of eight families; its choice never sees a truth [default: 8;
    /// with fewer than 1,000 steps no search, and vca]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub restarts: Option<usize>,
    /// Moves that the search tries from the best start, a round: another spectrum for one
    /// endmember, one in two, two in one; 0 for none. Or a time, as 20s: rounds go on until the
    /// search has taken as long (all starts are tried whatever it is; results then depend on the
    /// machine) [default: 4]
    #[arg(long, value_name = "N|SECONDSs", allow_negative_numbers = true)]
    pub search: Option<SearchArg>,
    /// Pixels in a minibatch, in groups of 16: the next multiple is taken
    #[arg(
        long,
        value_name = "PIXELS",
        default_value_t = svi().batch_size,
        allow_negative_numbers = true
    )]
    pub batch_size: usize,
    /// Adam's learning rate (of the scene's latents; those of pixels take 5 times as much)
    #[arg(
        long,
        value_name = "RATE",
        default_value_t = svi().learning_rate,
        allow_negative_numbers = true
    )]
    pub learning_rate: f64,
    /// Draws a step: more make each step steadier and dearer
    #[arg(
        long,
        value_name = "DRAWS",
        default_value_t = svi().particles,
        allow_negative_numbers = true
    )]
    pub particles: usize,
    /// Go on to --steps even when the ELBO stands still
    #[arg(long)]
    pub no_early_stop: bool,
    /// Noise of the spectra: one sd for the scene, one a band, or a full covariance of the bands
    /// (at most 300; without variability)
    #[arg(long, value_enum, default_value = "band")]
    pub noise: NoiseArg,
    /// Whether pixels differ in brightness (shade, slope), free of their abundances [default: on;
    /// where a search runs and more than 16 bands count as independent, or all, what explains the
    /// scene better]
    #[arg(long, value_enum)]
    pub brightness: Option<Switch>,
    /// Whether endmembers vary between pixels [default: on, or off with covariance noise]
    #[arg(long, value_enum)]
    pub variability: Option<Switch>,
    /// Bands that count as independent evidence: a number, auto (from how errors of adjacent bands
    /// correlate) or all [default: as auto, at least 16; all with covariance noise, which answers
    /// the same question]
    #[arg(long, value_name = "N|auto|all")]
    pub effective_bands: Option<EffectiveBands>,
    /// Variational family: mean-field; full-rank, with the correlations of each pixel's latents; or
    /// low-rank, which adds directions that move scene and pixels together
    #[arg(long, value_enum, default_value = "full-rank")]
    pub guide: GuideArg,
    /// Directions of the low-rank guide, at most 64 [default: 10]
    #[arg(long, value_name = "R", allow_negative_numbers = true)]
    pub rank: Option<usize>,
    /// How spectra are found: joint, with all else; first, by a fit with brightness, then held
    /// while abundances are fitted without; given, those of --init FILE, held as they are [default:
    /// joint; first with --brightness off where pixels differ in it, unless --init or few steps
    /// leave no search]
    #[arg(long, value_enum)]
    pub spectra: Option<SpectraArg>,
    /// What is reported: the exact posterior of each pixel given spectra with the pixels integrated
    /// out, or the guide as fitted, whose intervals are too narrow [default: exact; guide where
    /// bands and neighbouring pixels err together (up to 30,000 pixels), with covariance noise and
    /// with a low-rank guide]
    #[arg(long, value_enum)]
    pub posterior: Option<PosteriorArg>,
    /// Write the fit itself, too, as fit.unmixel, for `unmixel apply`
    #[arg(long)]
    pub save: bool,
    /// Draws of the posterior to write, abundances and spectra together, at most 1000
    #[arg(long, value_name = "N", default_value_t = 0, allow_negative_numbers = true)]
    pub draws: usize,
    /// Abundances as shares of area (reflectance) or of peak-normalised spectra (peak); peak is
    /// what a fit with brightness can tell, and the default unless that is off
    #[arg(long, value_enum)]
    pub convention: Option<ConventionArg>,
    /// Total concentration of the abundances' Dirichlet: K is flat, less favours pure pixels; or
    /// learn [default: 0.2 K, and where the posterior is exact less for materials of which more
    /// abundances are next to nothing; learned where a search runs and evidence asks for it]
    #[arg(long, value_name = "ALPHA|learn", allow_negative_numbers = true)]
    pub concentration: Option<Concentration>,
    /// Whether many pixels may share one mixture, around which a second Dirichlet is learned
    /// [default: on where more than 16 bands count as independent, or all]
    #[arg(long, value_enum)]
    pub common_mixture: Option<Switch>,
    /// Whether how much the brightness of pixels differs is learned [default: on]
    #[arg(long, value_enum)]
    pub learn_shade: Option<Switch>,
    /// How a GPU holds the spectra that the scene is learned from: f16 takes half of the memory,
    /// and is taken where rounding is at most a quarter of the noise in every band [default: f32]
    #[arg(long, value_enum)]
    pub cube: Option<CubeArg>,
    /// Whether pixels unlike all others, at most one in twenty, are left out where the scene is
    /// learned [default: on]
    #[arg(long, value_enum)]
    pub outliers_aside: Option<Switch>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum CubeArg {
    F32,
    F16,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PosteriorArg {
    #[value(alias = "nested")]
    Exact,
    Guide,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum SpectraArg {
    Joint,
    First,
    Given,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum NoiseArg {
    Isotropic,
    Band,
    Covariance,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Switch {
    On,
    Off,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum GuideArg {
    MeanField,
    FullRank,
    LowRank,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ConventionArg {
    Reflectance,
    Peak,
}

#[derive(Debug, Args)]
#[command(
    after_long_help = "Prints size, type, wavelengths, which bands are left out and why, the \
        share of no data, the range of
values, the scale and every note, as text or JSON; --out FILE.png draws the scene in true colours."
)]
pub struct InfoArgs {
    /// The scene: .mat, .npy, .npz, or ENVI header or data
    pub scene: PathBuf,
    /// Print JSON instead of text
    #[arg(long)]
    pub json: bool,
    /// Picture in true colours, a PNG file
    #[arg(short, long, value_name = "PNG")]
    pub out: Option<PathBuf>,
    /// Overwrite the picture
    #[arg(long)]
    pub force: bool,
    #[command(flatten)]
    pub layout: LayoutArgs,
}

#[derive(Debug, Args)]
pub struct DemoArgs {
    #[command(flatten)]
    pub run: RunArgs,
}

#[derive(Debug, Args)]
#[command(after_long_help = "Simulates scenes of 20 x 25 pixels and 64 bands with brightness and \
        variability, K = 3 and 5, with
and without pure pixels, with errors of the bands independent and correlated; fits each with all
bands and with the default number of effective bands, with every guide; and counts the true
abundances and endmember values inside central 50, 80, 90 and 95 % intervals,
of the guide and of the exact posterior.
Writes calibration.json and
calibration.png to the folder.")]
pub struct CalibrateArgs {
    /// Folder for calibration.json and calibration.png
    #[arg(short, long, value_name = "FOLDER", default_value = "unmixel-calibration")]
    pub out: PathBuf,
    /// Write into a folder that has files in it
    #[arg(long)]
    pub force: bool,
    /// auto (a hardware GPU if there is one, else the CPU), cpu, gpu, or part of a device's name
    #[arg(long, default_value = "auto")]
    pub device: String,
    /// Seed of the scenes and the fits
    #[arg(long, default_value_t = 0, allow_negative_numbers = true)]
    pub seed: u64,
    /// Scenes a setting
    #[arg(long, default_value_t = 1, allow_negative_numbers = true)]
    pub scenes: u64,
    /// Most steps a fit; the stopping rule usually ends it before
    #[arg(long, default_value_t = svi().steps, allow_negative_numbers = true)]
    pub steps: u32,
    /// Worlds to simulate; other than the model's: variability that bands share, noise of bands
    /// correlated by 0.9, noise that grows with the signal, abundances of exactly zero, dark water,
    /// one mixture nearly everywhere
    #[arg(
        long,
        value_enum,
        value_name = "A,B,...",
        value_delimiter = ',',
        default_value = "model"
    )]
    pub world: Vec<WorldArg>,
    /// Guides to calibrate [default: every guide]
    #[arg(long, value_enum, value_name = "A,B,...", value_delimiter = ',')]
    pub guide: Vec<GuideArg>,
}

#[derive(Debug, Args)]
#[command(after_long_help = "Writes count.json and count.png to --out, where that is given.")]
pub struct CountArgs {
    /// The scene: .mat, .npy, .npz, ENVI header or data, GeoTIFF, HDF5, NetCDF-4 or Zarr
    pub scene: PathBuf,
    /// Folder for count.json and count.png
    #[arg(short, long, value_name = "FOLDER")]
    pub out: Option<PathBuf>,
    /// Write into a folder that has files in it
    #[arg(long)]
    pub force: bool,
    /// Print JSON instead of a table
    #[arg(long)]
    pub json: bool,
    /// auto (a hardware GPU if there is one, else the CPU), cpu, gpu, or part of a device's name
    #[arg(long, default_value = "auto")]
    pub device: String,
    /// Seed of the short fits
    #[arg(long, default_value_t = 0, allow_negative_numbers = true)]
    pub seed: u64,
    #[command(flatten)]
    pub layout: LayoutArgs,
}

#[derive(Debug, Args)]
#[command(
    after_long_help = "Compares VCA and N-FINDR, each with FCLS (amounts of sum one) and with NNLS \
        (any amounts, so that pixels may be darker or brighter), and a fit as of `unmixel fit`.
Writes to the folder:
  comparison.md, comparison.json    the table
  comparison.png                    maps: truth on top, a row a method, a column an endmember
  fit/                              all results of the fit"
)]
pub struct CompareArgs {
    /// The scene: .mat, .npy, .npz, ENVI header or data, GeoTIFF, HDF5, NetCDF-4 or Zarr
    pub scene: PathBuf,
    /// Number of endmembers K: that of the truth
    #[arg(short = 'k', long, value_name = "K", allow_negative_numbers = true)]
    pub endmembers: usize,
    /// Known endmembers and abundances (.mat with M and A, or .npz)
    #[arg(long, value_name = "FILE")]
    pub truth: PathBuf,
    /// Names of the truth's endmembers, in its order
    #[arg(long, value_name = "A,B,...", value_delimiter = ',')]
    pub names: Vec<String>,
    #[command(flatten)]
    pub run: RunArgs,
    #[command(flatten)]
    pub layout: LayoutArgs,
}

#[derive(Debug, Args)]
pub struct ScoreArgs {
    /// A folder that `unmixel fit` has written, or results of any program: .npz or .mat with
    /// abundances, endmembers or both; .npy or ENVI with abundances
    pub results: PathBuf,
    /// Known endmembers and abundances (.mat with M and A, or .npz)
    #[arg(long, value_name = "FILE")]
    pub truth: PathBuf,
    /// Spectra that go with abundances from a file (.csv, .mat, .npz, ENVI library)
    #[arg(long, value_name = "FILE")]
    pub endmembers: Option<PathBuf>,
    /// What abundances from a file are shares of [default: reflectance]
    #[arg(long, value_enum)]
    pub convention: Option<ConventionArg>,
    /// Names of the truth's endmembers, in its order: results that have these names are matched by
    /// them
    #[arg(long, value_name = "A,B,...", value_delimiter = ',')]
    pub names: Vec<String>,
    /// Height of the image in pixels, where the file does not say
    #[arg(long, allow_negative_numbers = true)]
    pub rows: Option<usize>,
    /// Width of the image in pixels, where the file does not say
    #[arg(long, allow_negative_numbers = true)]
    pub cols: Option<usize>,
    /// Folder for scores.json and maps of truth, results and difference
    #[arg(short, long, value_name = "FOLDER")]
    pub out: Option<PathBuf>,
    /// Write into a folder that has files in it
    #[arg(long)]
    pub force: bool,
    /// Print JSON instead of a table
    #[arg(long)]
    pub json: bool,
}
