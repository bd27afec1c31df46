//! Noise of each band: what a linear regression on all other bands leaves.

use nalgebra::DMatrix;
use ndarray::Array2;

/// Share of the mean power per band below which noise is round-off of the f32 cube.
const LEAST: f64 = 1e-12;

/// Variances, (L), from the correlation matrix E yy' (L, L) of N pixels, N > L.
///
/// With P the inverse of that matrix the residual of band l has the mean square 1 / P_ll (the
/// partitioned inverse), over N - L + 1 degrees of freedom. A multiple of the identity, far below
/// what f32 values resolve, keeps scenes without noise invertible; they come out with about that.
pub(super) fn variances(correlation: &Array2<f64>, pixels: usize) -> Vec<f64> {
    let bands = correlation.nrows();
    let power = (correlation.diag().sum() / bands as f64).max(f64::MIN_POSITIVE / LEAST);
    if bands == 1 {
        return vec![LEAST * power];
    }
    let ridge = LEAST * power;
    let matrix = DMatrix::from_fn(bands, bands, |i, j| {
        correlation[[i, j]] + if i == j { ridge } else { 0.0 }
    });
    let Some(inverse) = matrix.cholesky().map(|factor| factor.inverse()) else {
        return vec![ridge; bands];
    };
    let freedom = pixels as f64 / (pixels - bands + 1) as f64;
    (0..bands).map(|l| (freedom / inverse[(l, l)]).max(ridge)).collect()
}
