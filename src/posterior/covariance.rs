//! Noise that bands share, read from a fitted guide. Equation 25.

use ndarray::Array2;

use crate::engine::guide::Guide;
use crate::engine::layout::COVARIANCE;

/// Standard deviations and correlations of the noise.
#[derive(Debug, Clone, PartialEq)]
pub struct NoiseCovariance {
    /// Standard deviation of each band's noise, (L), reflectance: the root of the diagonal of the
    /// mean covariance.
    pub sd: Vec<f64>,
    /// Correlation of the mean covariance, (L, L): symmetric, with a diagonal of ones.
    pub correlation: Array2<f64>,
}

impl NoiseCovariance {
    /// The mean noise covariance under a guide: exact where the guide's regressions are independent
    /// of each other and of the innovations' variances; of a low-rank guide it takes the marginals
    /// and leaves out how they correlate. Without [`crate::engine::model::Noise::Covariance`] the
    /// bands do not correlate.
    pub fn new(guide: &Guide) -> Self {
        let params = &guide.params;
        let bands = params.bands as usize;
        let guide_of = |j: usize| guide.marginal(j);
        let mut covariance = Array2::<f64>::zeros((bands, bands));
        for l in 0..bands {
            let (loc, scale) = guide_of(params.noise_at() + if params.noises > 1 { l } else { 0 });
            let mut variance =
                f64::from(params.noise_floor) + (2.0 * loc + 2.0 * scale * scale).exp();
            if params.has(COVARIANCE) {
                let phi: Vec<(f64, f64)> = (0..l)
                    .map(|m| guide_of(params.regression_at() + l * params.stride() + m))
                    .collect();
                for j in 0..l {
                    let shared: f64 =
                        phi.iter().enumerate().map(|(m, (loc, _))| loc * covariance[[j, m]]).sum();
                    covariance[[l, j]] = shared;
                    covariance[[j, l]] = shared;
                }
                for (m, (loc, scale)) in phi.iter().enumerate() {
                    variance += loc * covariance[[l, m]] + scale * scale * covariance[[m, m]];
                }
            }
            covariance[[l, l]] = variance;
        }
        let sd: Vec<f64> = covariance.diag().iter().map(|v| v.sqrt()).collect();
        let correlation = Array2::from_shape_fn((bands, bands), |(l, m)| {
            if l == m { 1.0 } else { covariance[[l, m]] / (sd[l] * sd[m]) }
        });
        NoiseCovariance { sd, correlation }
    }
}
