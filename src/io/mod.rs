//! Files in and out, a format a file: scenes, truths, libraries of spectra, results of other
//! programs.

mod array_scene;
mod arrays;
mod band_flags;
mod bytes;
mod crs;
mod enmap;
mod envi;
mod envi_place;
pub mod estimate;
pub(crate) mod evidence;
mod gdal_metadata;
mod geokeys;
mod geokeys_projection;
mod hdf5;
mod labelled;
pub mod library;
pub mod mask;
mod mat;
mod mat4;
mod mat5;
mod npy;
pub mod npy_rows;
mod numbers;
mod open;
pub mod rasters;
mod spectral;
mod strided;
mod texts;
mod tiff;
mod tiff_half;
pub mod truth;
mod write;
mod zarr;

mod scene;

pub use evidence::{Axis, PixelOrder, parse_axes};
pub use labelled::{Labels, Told, in_memory};
pub use open::{OpenOptions, open};
pub(crate) use write::replace;
pub use write::{write_envi, write_npz, write_truth};
