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
