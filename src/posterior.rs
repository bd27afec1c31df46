//! What a fit found: means, standard deviations and intervals, in the scene's own units.

use ndarray::Array2;

/// The posterior of one fit. N pixels (the scene's valid ones), K endmembers, L bands in use.
#[derive(Debug, Clone)]
pub struct Posterior {
    /// Mean abundances, (N, K), each row on the simplex.
    pub abundance_mean: Array2<f32>,
    /// Standard deviations of the abundances, (N, K).
    pub abundance_sd: Array2<f32>,
    /// Mean endmember spectra, (K, L), reflectance.
    pub endmember_mean: Array2<f64>,
    /// Standard deviations of the endmember spectra, (K, L).
    pub endmember_sd: Array2<f64>,
    /// 5 % quantiles of the endmember spectra, (K, L).
    pub endmember_q05: Array2<f64>,
    /// 95 % quantiles of the endmember spectra, (K, L).
    pub endmember_q95: Array2<f64>,
    /// Noise standard deviation of each band, (L), reflectance.
    pub noise_sd: Vec<f64>,
    /// Mean abundance over the scene (the latent pi), (K).
    pub mean_abundance: Vec<f64>,
    /// Root mean square over bands of `y - mean fit`, for each pixel, (N), reflectance.
    pub residual: Vec<f32>,
}
