//! Files in and out, a format a file: scenes, truths, libraries of spectra, results of other programs.

mod arrays;
mod crs;
mod csv_table;
mod enmap;
mod envi;
mod envi_place;
pub mod estimate;
mod gdal_metadata;
mod geokeys;
mod geokeys_projection;
mod hdf5;
pub mod library;
mod mat;
mod mat5;
mod npy;
mod numbers;
mod open;
pub mod rasters;
mod strided;
mod tiff;
pub mod truth;
mod write;

pub use open::{OpenOptions, open};
pub use write::{write_envi, write_npz, write_truth};
