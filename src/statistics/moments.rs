//! Means, second moments and principal directions of the spectra in a cube.
//!
//! Sums are in f64 and do not depend on the number of threads.

use nalgebra::{DMatrix, SymmetricEigen};
use ndarray::{Array1, Array2, ArrayView2, Axis, s};
use rayon::prelude::*;

use crate::scene::Cube;

/// Sums over pixels are made in this many parts, whatever the number of threads, so that their
/// rounding is the same everywhere.
const PARTS: usize = 16;
/// Pixels held in f64 at a time.
const TILE: usize = 256;

/// Pixel ranges that do not depend on the number of threads.
fn parts(pixels: usize) -> impl IndexedParallelIterator<Item = std::ops::Range<usize>> {
    let length = pixels.div_ceil(PARTS);
    (0..PARTS)
        .into_par_iter()
        .map(move |part| (part * length).min(pixels)..((part + 1) * length).min(pixels))
}

/// Mean spectrum, (L); zero without pixels.
pub(crate) fn mean_spectrum(cube: &Cube) -> Array1<f64> {
    let sums: Vec<Array1<f64>> = parts(cube.pixels())
        .map(|range| {
            let mut sum = Array1::zeros(cube.bands());
            for pixel in range {
                sum.iter_mut().zip(cube.spectrum(pixel)).for_each(|(s, &y)| *s += f64::from(y));
            }
            sum
        })
        .collect();
    sums.iter().fold(Array1::zeros(cube.bands()), |total, sum| total + sum)
        / cube.pixels().max(1) as f64
}

/// Mean of (y - mean)(y - mean)' over the pixels, (L, L).
pub(crate) fn second_moment(cube: &Cube, mean: &Array1<f64>) -> Array2<f64> {
    let bands = cube.bands();
    let sums: Vec<Array2<f64>> = parts(cube.pixels())
        .map(|range| {
            let mut sum = Array2::zeros((bands, bands));
            let mut tile = Array2::zeros((TILE, bands));
            for first in range.clone().step_by(TILE) {
                let count = TILE.min(range.end - first);
                for (mut row, pixel) in tile.rows_mut().into_iter().zip(first..first + count) {
                    let values = cube.spectrum(pixel).iter().zip(mean);
                    row.iter_mut().zip(values).for_each(|(to, (&y, m))| *to = f64::from(y) - m);
                }
                let filled = tile.slice(s![..count, ..]);
                ndarray::linalg::general_mat_mul(1.0, &filled.t(), &filled, 1.0, &mut sum);
            }
            sum
        })
        .collect();
    sums.iter().fold(Array2::zeros((bands, bands)), |total, sum| total + sum)
        / cube.pixels().max(1) as f64
}

/// The cube times `columns` (L, J), (N, J).
pub(crate) fn products(cube: &Cube, columns: ArrayView2<f64>) -> Array2<f64> {
    let mut at = Array2::zeros((cube.pixels(), columns.ncols()));
    at.axis_chunks_iter_mut(Axis(0), TILE).into_par_iter().enumerate().for_each(
        |(tile, mut rows)| {
            let spectra = Array2::from_shape_fn((rows.nrows(), cube.bands()), |(row, band)| {
                f64::from(cube.spectrum(tile * TILE + row)[band])
            });
            rows.assign(&spectra.dot(&columns));
        },
    );
    at
}

/// The cube, transposed, times `rows` (N, J), (L, J).
pub(crate) fn pixels_times(cube: &Cube, rows: ArrayView2<f64>) -> Array2<f64> {
    let shape = (cube.bands(), rows.ncols());
    let sums: Vec<Array2<f64>> = parts(cube.pixels())
        .map(|range| {
            let mut sum = Array2::zeros(shape);
            for first in range.clone().step_by(TILE) {
                let count = TILE.min(range.end - first);
                let spectra = Array2::from_shape_fn((count, cube.bands()), |(row, band)| {
                    f64::from(cube.spectrum(first + row)[band])
                });
                let part = rows.slice(s![first..first + count, ..]);
                ndarray::linalg::general_mat_mul(1.0, &spectra.t(), &part, 1.0, &mut sum);
            }
            sum
        })
        .collect();
    sums.iter().fold(Array2::zeros(shape), |total, sum| total + sum)
}

/// Eigenvalues of a symmetric matrix (L, L), the largest first, and their eigenvectors as the
/// columns of an (L, L) matrix.
pub(crate) fn eigen(matrix: &Array2<f64>) -> (Vec<f64>, Array2<f64>) {
    let bands = matrix.nrows();
    let dense = DMatrix::from_fn(bands, bands, |i, j| matrix[[i, j]]);
    // Far more sweeps than QR needs on any symmetric matrix; axes are a poor but sound fallback.
    let Some(eigen) = SymmetricEigen::try_new(dense, f64::EPSILON, 1000 * bands.max(1)) else {
        return (matrix.diag().to_vec(), Array2::eye(bands));
    };
    let mut order: Vec<usize> = (0..bands).collect();
    order.sort_by(|&a, &b| eigen.eigenvalues[b].total_cmp(&eigen.eigenvalues[a]).then(a.cmp(&b)));
    let vectors = Array2::from_shape_fn((bands, bands), |(i, j)| eigen.eigenvectors[(i, order[j])]);
    (order.iter().map(|&j| eigen.eigenvalues[j]).collect(), vectors)
}
