//! Arguments of where results go, and of the commands that have little else.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use unmixel::rooms::results::Format;

use super::layout::LayoutArgs;
use super::values::Bytes;

#[derive(Debug, Args)]
#[command(
    after_long_help = "Writes the maps, spectra and report that `unmixel fit` writes. A part of a
scene (--window) gets the numbers that the whole scene gets there, to the last bit."
)]
pub struct ApplyArgs {
    /// The earlier fit: a folder that `unmixel fit --save` wrote, or its fit.unmixel
    pub fit: PathBuf,
    /// The other scene: another date, another place, a tile
    pub scene: PathBuf,
    #[command(flatten)]
    pub output: OutputArgs,
    /// auto (a hardware GPU if there is one, else the CPU), cpu, gpu, or part of a device's name
    #[arg(long, default_value = "auto")]
    pub device: String,
    /// Names of the endmembers, for files and titles, in the order of the earlier fit's
    #[arg(long, value_name = "A,B,...", value_delimiter = ',')]
    pub names: Vec<String>,
    #[command(flatten)]
    pub memory: MemoryArgs,
    #[command(flatten)]
    pub layout: LayoutArgs,
}

#[derive(Debug, Args)]
#[command(
    after_long_help = "Parts are what `unmixel apply FIT SCENE --window ROW:ROW,COL:COL` wrote, on
this machine or others. They must be of one fit and one scene, lie beside each other and leave no
gap. The whole has the numbers of its parts, to the last bit."
)]
pub struct MosaicArgs {
    /// Folders of the parts, in any order
    #[arg(required = true, value_name = "PART")]
    pub parts: Vec<PathBuf>,
    /// Folder for the whole
    #[arg(short, long, value_name = "FOLDER", default_value = "unmixel-out")]
    pub out: PathBuf,
    /// Write into a folder that has files in it
    #[arg(long)]
    pub force: bool,
    /// What the results are written as [default: png,npy; and geotiff where the scene has a place
    /// on earth]; the table of endmembers and the report are always written
    #[arg(long, value_enum, value_name = "A,B,...", value_delimiter = ',')]
    pub format: Vec<FormatArg>,
    #[command(flatten)]
    pub memory: MemoryArgs,
}

/// What is kept of a fit while it runs.
#[derive(Debug, Args)]
pub struct CheckpointArgs {
    /// Folder for checkpoints: a fit that is killed goes on from the last one with `unmixel resume
    /// FOLDER`, to the same results; it is removed when all is written
    #[arg(long, value_name = "FOLDER")]
    pub checkpoint: Option<PathBuf>,
    /// How often the steps are kept, seconds; abundances of a large scene are kept block by block
    #[arg(
        long,
        value_name = "SECONDS",
        default_value_t = 60.0,
        requires = "checkpoint",
        allow_negative_numbers = true
    )]
    pub checkpoint_every: f64,
}

#[derive(Debug, Args)]
#[command(
    after_long_help = "The fit goes on with all options of its own command, from the folder that it
was given in, and ends with the results that it would have had. What it kept is removed then."
)]
pub struct ResumeArgs {
    /// The folder that `unmixel fit --checkpoint` was given
    pub folder: PathBuf,
}

/// How much memory may be taken.
#[derive(Debug, Args)]
pub struct MemoryArgs {
    /// Memory to use, as 8GiB or 500MB: a scene that does not fit in it is read by rows, as often
    /// as needed, and results do not depend on it [default: seven tenths of what is free]
    #[arg(long, value_name = "SIZE")]
    pub memory: Option<Bytes>,
}

/// Where results go, and what they are written as.
#[derive(Debug, Args)]
pub struct OutputArgs {
    /// Folder for the results
    #[arg(short, long, value_name = "FOLDER", default_value = "unmixel-out")]
    pub out: PathBuf,
    /// Write into a folder that has files in it
    #[arg(long)]
    pub force: bool,
    /// Spectra of known materials (.csv, ENVI library, .mat, .npz): each endmember is told the
    /// nearest
    #[arg(long, value_name = "FILE")]
    pub library: Option<PathBuf>,
    /// What the results are written as [default: png,npy; and geotiff where the scene has a place
    /// on earth]; the table of endmembers and the report are always written
    #[arg(long, value_enum, value_name = "A,B,...", value_delimiter = ',')]
    pub format: Vec<FormatArg>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum FormatArg {
    Png,
    Npy,
    Envi,
    Geotiff,
    Netcdf,
    Zarr,
}

impl From<FormatArg> for Format {
    fn from(format: FormatArg) -> Self {
        match format {
            FormatArg::Png => Format::Png,
            FormatArg::Npy => Format::Npy,
            FormatArg::Envi => Format::Envi,
            FormatArg::Geotiff => Format::GeoTiff,
            FormatArg::Netcdf => Format::NetCdf,
            FormatArg::Zarr => Format::Zarr,
        }
    }
}
