//! Bayesian hyperspectral unmixing on any vendor's GPU, or none.

pub mod backend;
pub mod buffers;
pub mod error;
pub mod guide;
pub mod layout;
pub mod math;
pub mod model;
pub mod output;
pub mod passes;
pub mod posterior;
pub mod rng;
pub mod scene;
pub mod schedule;
pub mod score;
pub mod simulate;
pub mod spectra;
pub mod starts;
pub mod svi;
pub mod truth;

pub use error::{Error, Result};
