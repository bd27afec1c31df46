//! HDF5 and NetCDF-4 scenes: EMIT, PRISMA, NEON, and any other array.

mod emit;
mod file;
mod lzf;
pub(crate) mod mat73;
mod neon;
mod prisma;
mod store;

use std::path::Path;

use self::file::Hdf5;
use super::labelled;
use super::open::OpenOptions;
use crate::engine::ground::error::Result;
use crate::scene::CubeSource;

pub(crate) use self::file::is_hdf5;

/// Opens the scene in an HDF5 or NetCDF-4 file: a product that is known, unless the user names an
/// array; else the one array that can be a scene.
pub(crate) fn open(path: &Path, options: &OpenOptions) -> Result<Box<dyn CubeSource>> {
    let file = Hdf5::open(path, 0)?;
    if options.variable.is_none() {
        for product in [emit::open, prisma::open, neon::open] {
            if let Some(cube) = product(&file)? {
                return Ok(Box::new(cube));
            }
        }
    }
    labelled::open(&file, options)
}
