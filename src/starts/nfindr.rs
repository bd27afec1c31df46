//! The simplex of largest volume whose vertices are pixels.
//!
//! Winter (1999), "N-FINDR: an algorithm for fast autonomous spectral end-member determination in
//! hyperspectral data", SPIE 3753: in the K - 1 leading principal components, one vertex after the
//! other is exchanged for the pixel that makes the volume largest, until none does.

use nalgebra::DMatrix;
use ndarray::Array2;

use super::vca::Projections;
use super::{check_count, check_finite};
use crate::engine::ground::error::Result;
use crate::scene::Cube;

/// First simplices tried; the largest result is kept.
const TRIES: u64 = 4;
/// An exchange that gains less is round-off.
const LEAST_GAIN: f64 = 1e-9;
/// Rounds over the vertices at most; two to five are usual.
const ROUNDS: usize = 50;

/// Indices of `k` different pixels of `cube` (N pixels, L bands) that span the largest simplex
/// which exchanges of single vertices find, from four first simplices of [`vca`](super::vca) in the
/// affine projection. Where the data span fewer than K - 1 dimensions, every volume is zero, and
/// the first of these is the answer.
///
/// # Errors
///
/// What [`start`](super::start) refuses: [`Error::Setting`](crate::Error::Setting) for a number of
/// endmembers that is 0 or more than the cube has pixels or bands,
/// [`Error::Scene`](crate::Error::Scene) when the cube holds a value that is not finite.
pub fn nfindr(cube: &Cube, k: usize, seed: u64) -> Result<Vec<usize>> {
    check_count(cube, k)?;
    check_finite(cube)?;
    Ok(largest(cube, &Projections::new(cube, k), seed))
}

/// [`nfindr`] in a projection that was made before.
pub(super) fn largest(cube: &Cube, projections: &Projections, seed: u64) -> Vec<usize> {
    let mut best: Option<(f64, Vec<usize>)> = None;
    for attempt in 0..TRIES {
        // Odd multiples of a large odd number never meet those of a neighbouring seed.
        let seed = seed.wrapping_add(attempt.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let first = projections.corners(cube, seed).swap_remove(0);
        let Some(points) = projections.affine() else { return first };
        let (volume, vertices) = exchange(points, first);
        if best.as_ref().is_none_or(|(most, _)| volume > *most) {
            best = Some((volume, vertices));
        }
    }
    best.map(|(_, vertices)| vertices).unwrap_or_default()
}

/// Exchanges vertices of a simplex of `points`, (N, K) with a constant last column, while its
/// volume grows. Gives (K - 1)! times the volume, up to a constant, and the vertices.
fn exchange(points: &Array2<f64>, mut vertices: Vec<usize>) -> (f64, Vec<usize>) {
    let k = vertices.len();
    for _ in 0..ROUNDS {
        let mut grown = false;
        for j in 0..k {
            // With vertex j replaced by x the determinant changes by the factor (M^-1 x)_j.
            let Some(inverse) = corners(points, &vertices).try_inverse() else {
                return (0.0, vertices);
            };
            let row: ndarray::Array1<f64> = inverse.row(j).iter().copied().collect();
            let factors = points.dot(&row);
            let mut best = (1.0 + LEAST_GAIN, None);
            for (pixel, factor) in factors.iter().enumerate() {
                // A vertex in use has the factor 0, but for the round-off of a nearly flat simplex.
                if factor.abs() > best.0 && !vertices.contains(&pixel) {
                    best = (factor.abs(), Some(pixel));
                }
            }
            if let (_, Some(pixel)) = best {
                vertices[j] = pixel;
                grown = true;
            }
        }
        if !grown {
            break;
        }
    }
    (corners(points, &vertices).determinant().abs(), vertices)
}

/// The vertices as the columns of a square matrix.
fn corners(points: &Array2<f64>, vertices: &[usize]) -> DMatrix<f64> {
    DMatrix::from_fn(vertices.len(), vertices.len(), |axis, j| points[[vertices[j], axis]])
}
