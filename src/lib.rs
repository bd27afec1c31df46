//! Bayesian hyperspectral unmixing on any vendor's GPU, or none.

pub mod error;
pub mod posterior;
pub mod scene;
pub mod score;
pub mod simulate;
pub mod starts;

pub use error::{Error, Result};
