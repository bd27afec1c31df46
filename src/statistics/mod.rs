//! What the spectra of a scene say before any fit: moments, directions, independent bands and
//! pixels.

pub mod angles;
pub mod effective;
pub(crate) mod moments;
pub mod neighbours;
pub mod outliers;
pub(crate) mod principal;
pub mod products;
pub mod repeats;
pub(crate) mod residuals;
pub mod shade;
