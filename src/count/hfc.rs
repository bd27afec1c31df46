//! Virtual dimension: Harsanyi, Farrand and Chang (1993), "Determining the number and identity of
//! spectral endmembers", here on noise-whitened moments.

use ndarray::Array2;

use crate::statistics::moments::eigen;

/// False-alarm rates of the Neyman-Pearson test, and the standard normal above which that share
/// lies.
pub const FALSE_ALARMS: [(f64, f64); 5] = [
    (1e-1, 1.281_551_565_545),
    (1e-2, 2.326_347_874_041),
    (1e-3, 3.090_232_306_168),
    (1e-4, 3.719_016_485_456),
    (1e-5, 4.264_890_793_923),
];

/// Eigenvalues of both moments, descending.
pub(super) struct Spectra {
    pub(super) correlation: Vec<f64>,
    covariance: Vec<f64>,
}

impl Spectra {
    pub(super) fn new(correlation: &Array2<f64>, covariance: &Array2<f64>) -> Self {
        Spectra { correlation: eigen(correlation).0, covariance: eigen(covariance).0 }
    }

    /// How many eigenvalues of the correlation exceed their partner by more than `quantile` times
    /// the sd of the difference, sqrt(2 (a^2 + b^2) / N).
    pub(super) fn count(&self, quantile: f64, pixels: usize) -> usize {
        let pairs = self.correlation.iter().zip(&self.covariance);
        pairs
            .filter(|(a, b)| {
                let sd = (2.0 * (a.powi(2) + b.powi(2)) / pixels as f64).sqrt();
                *a - *b > quantile * sd
            })
            .count()
    }
}
