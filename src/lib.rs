//! Bayesian hyperspectral unmixing on any vendor's GPU, or none.

pub mod error;
pub mod output;
pub mod posterior;
pub mod scene;

pub use error::{Error, Result};
