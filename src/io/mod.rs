//! Files in and out, a format a file: scenes, truths, libraries of spectra, results of other programs.

mod arrays;
mod bytes;
mod csv_table;
mod envi;
pub mod estimate;
pub mod library;
mod mat;
mod mat5;
mod npy;
mod numbers;
mod open;
mod strided;
pub mod truth;
mod write;

mod scene;

pub use open::{OpenOptions, open};
pub use write::{write_envi, write_npz, write_truth};
