//! Scenes in files of arrays with attributes and named axes (HDF5, NetCDF-4, Zarr), read by windows
//! of rows, whatever the format.

mod choose;
mod cube;
mod describe;
mod flat;
mod place;
mod store;

pub(crate) use choose::open;
pub(crate) use cube::{Cube, Part};
pub(crate) use store::{Store, StoredArray};
