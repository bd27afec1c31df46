//! Noise of each band: what a linear regression on all other bands leaves.

use nalgebra::DMatrix;
use ndarray::{Array1, Array2};

use crate::scene::Cube;
use crate::statistics::moments::second_moment;

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

/// Covariance of what neighbouring pixels do not share, (L, L): half of the mean square difference
/// of pixels that follow each other, over the half of the pairs that differ least, as the others
/// lie across edges (the shift difference of Green et al. 1988, "A transformation for ordering
/// multispectral data in terms of image quality", IEEE TGRS 26). It holds noise that bands share
/// and variability between pixels, and some of the scene's own slopes.
pub(super) fn of_neighbours(cube: &Cube) -> Array2<f64> {
    let bands = cube.bands();
    let square = |n: usize| -> f64 {
        let pairs = cube.spectrum(n).iter().zip(cube.spectrum(n + 1));
        pairs.map(|(&a, &b)| (f64::from(a) - f64::from(b)).powi(2)).sum()
    };
    let mut pairs: Vec<(f64, usize)> =
        (0..cube.pixels().saturating_sub(1)).map(|n| (square(n), n)).collect();
    pairs.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    pairs.truncate(pairs.len().div_ceil(2));
    let mut differences = Cube::zeros(pairs.len(), bands);
    for (to, &(_, n)) in pairs.iter().enumerate() {
        let values = cube.spectrum(n).iter().zip(cube.spectrum(n + 1));
        differences.spectrum_mut(to).iter_mut().zip(values).for_each(|(d, (a, b))| *d = a - b);
    }
    second_moment(&differences, &Array1::zeros(bands)) / 2.0
}
