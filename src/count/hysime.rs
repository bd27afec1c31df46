//! HySime: the signal subspace that loses least signal and keeps least noise.

use ndarray::Array2;

use crate::statistics::moments::eigen;

/// Number of directions with the least error, from the correlation matrix R (L, L) and the noise
/// covariance N (L, L), and the error of 1, 2, ... L of them.
///
/// Along eigenvector e of the signal's correlation, R - N, leaving the direction out
/// costs e'Re and keeping it twice e'Ne (equation 24): it belongs to the signal where the first is
/// more. Directions are taken in the order of that difference.
pub(super) fn subspace(correlation: &Array2<f64>, noise: &Array2<f64>) -> (usize, Vec<f64>) {
    let (_, vectors) = eigen(&(correlation - noise));
    let mut costs: Vec<f64> = vectors
        .columns()
        .into_iter()
        .map(|e| 2.0 * e.dot(&noise.dot(&e)) - e.dot(&correlation.dot(&e)))
        .collect();
    costs.sort_by(f64::total_cmp);
    let count = costs.iter().filter(|&&cost| cost < 0.0).count();
    // With nothing kept the error is all of the power.
    let mut error = correlation.diag().sum();
    let errors = costs.iter().map(|cost| {
        error += cost;
        error
    });
    (count, errors.collect())
}
