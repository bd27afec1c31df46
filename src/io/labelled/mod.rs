//! Scenes in arrays with attributes and named axes, read by windows of rows, whatever the format
//! (HDF5, NetCDF-4, Zarr), and those in memory.

mod choose;
mod cube;
mod describe;
mod flat;
mod memory;
mod place;
mod store;

pub(crate) use choose::open;
pub(crate) use cube::{Cube, Part};
pub use memory::{Labels, Told, in_memory};
pub(crate) use store::{OnDisk, Store, StoredArray};
