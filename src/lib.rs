//! Bayesian hyperspectral unmixing on any vendor's GPU, or none.

pub mod error;
pub mod posterior;
pub mod scene;
pub mod spectra;
pub mod truth;

pub use error::{Error, Result};
