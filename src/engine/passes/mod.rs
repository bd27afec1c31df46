//! The passes of one SVI step. A pass is one file here (its equation, bindings, grid and CPU twin)
//! and one file of the same name in `shaders/`. [`list`] has their order.

pub mod buffers;
pub mod list;
pub mod pass;

pub mod change_rank;
pub mod elbo;
pub mod factor_rank;
pub mod gradient_abundances;
pub mod gradient_bands;
pub mod gradient_covariance;
pub mod gradient_globals;
pub mod gradient_mean;
pub mod gradient_pixels;
pub mod gradient_rank_globals;
pub mod gradient_rank_pixels;
pub mod likelihood;
pub mod likelihood_covariance;
pub mod mix;
pub mod residuals;
pub mod sample_globals;
pub mod sample_pixels;
pub mod sample_rank;
pub mod spectra;
pub mod spectra_bands;
pub mod spectra_rows;
pub mod sum_chunks;
pub mod sum_pixels;
pub mod sum_rank;
pub mod update_globals;
pub mod update_pixels;
pub mod update_rank;

pub use list::{all, every, step, step_on_software, too_long};
pub use pass::{Access, Grid, Pass, Twin};
