//! What the spectra of a scene say before any fit: moments, directions, independent bands.

pub mod angles;
pub mod effective;
pub(crate) mod moments;
pub(crate) mod principal;
