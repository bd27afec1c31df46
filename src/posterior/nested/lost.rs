//! What of a scene's spectra is not known as the amounts of its pixels are not, equation 32: the
//! covariance of the slope over the pixels' draws.

use nalgebra::DMatrix;
use ndarray::linalg::general_mat_mul;
use ndarray::{Array2, ArrayView2};
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

/// Pixels whose products are computed together.
const TOGETHER: usize = 64;

/// What the draws of a pixel say of its amounts u.
pub(super) struct Moments {
    /// Covariance of the features of each endmember i, d = u - E u: `E u_i d_j + d_i d_j - E d_i
    /// d_j` for each endmember j, and -d_i; (K (K + 1), K (K + 1)).
    pub(super) features: Vec<f32>,
    /// What they multiply: the spectra and the residual of the mean, times the inverse covariance
    /// of the pixel; then what that is less for what bands share, F of
    /// [`super::whiten::Whitened`]; (K + 1 + count, L).
    pub(super) factors: Vec<f32>,
    /// E u u', (K, K).
    pub(super) second: Vec<f32>,
}

/// What is lost because the pixels' amounts are not known: the covariance of `u_i (y - u'c) / V`,
/// summed over pixels, (K L, K L). A pixel's share is `(I x Z) F (I x Z)'` with Z its factors, (L,
/// K + 1), and F the covariance of its features: block i, j is a product of matrices, `Z F_ij Z'`.
/// What bands share adds `E u_i u_j F F'`, which no pixel tells even if all amounts are known.
pub(super) fn lost(moments: &[Moments], bands: usize, k: usize) -> DMatrix<f64> {
    // Rows of factors that each pixel has.
    let rows = moments.first().map_or(0, |of| of.factors.len() / bands.max(1));
    let blocks: Vec<(usize, usize)> = (0..k).flat_map(|i| (0..=i).map(move |j| (i, j))).collect();
    let mut sums = vec![Array2::<f32>::zeros((bands, bands)); blocks.len()];
    for together in moments.chunks(TOGETHER) {
        let factors: Vec<f32> = together.iter().flat_map(|of| of.factors.iter().copied()).collect();
        let right = ArrayView2::from_shape((together.len() * rows, bands), &factors);
        let Ok(right) = right else { continue };
        blocks.par_iter().zip(&mut sums).for_each(|(&block, sum)| {
            let mut left = vec![0.0; factors.len()];
            let (sizes, right_values) = ((k, bands, rows), factors.as_slice());
            Arch::new().dispatch(Left { sizes, block, together, right_values, left: &mut left });
            let Ok(left) = ArrayView2::from_shape(right.raw_dim(), &left) else { return };
            general_mat_mul(1.0, &left.t(), &right, 1.0, sum);
        });
    }
    let mut total = DMatrix::zeros(k * bands, k * bands);
    for (&(i, j), sum) in blocks.iter().zip(&sums) {
        for ((l, m), &x) in sum.indexed_iter() {
            total[(i * bands + l, j * bands + m)] = f64::from(x);
            total[(j * bands + m, i * bands + l)] = f64::from(x);
        }
    }
    total
}

/// Factors of some pixels weighed by their features for block i, j of [`lost`]: what the block is
/// the product with. Rows are too short for what a product of matrices costs to prepare.
struct Left<'a> {
    /// K, L and the rows of factors of a pixel.
    sizes: (usize, usize, usize),
    /// i and j.
    block: (usize, usize),
    together: &'a [Moments],
    /// The factors of all pixels, (pixels, rows, L).
    right_values: &'a [f32],
    /// Where they go, weighed; zeros.
    left: &'a mut [f32],
}

impl WithSimd for Left<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let ((k, bands, rows), (i, j), own) = (self.sizes, self.block, self.sizes.0 + 1);
        let of_pixel = (rows * bands).max(1);
        let lefts = self.left.chunks_exact_mut(of_pixel);
        let rights = self.right_values.chunks_exact(of_pixel);
        for ((of, left), right) in self.together.iter().zip(lefts).zip(rights) {
            for (b, to) in left.chunks_exact_mut(bands).enumerate() {
                if b < own {
                    for (a, row) in right.chunks_exact(bands).take(own).enumerate() {
                        add(to, of.features[((i * own + a) * k + j) * own + b], row);
                    }
                } else {
                    add(to, of.second[i * k + j], &right[b * bands..(b + 1) * bands]);
                }
            }
        }
    }
}

/// Adds a row, times a number.
#[inline(always)]
fn add(to: &mut [f32], times: f32, row: &[f32]) {
    for (to, x) in to.iter_mut().zip(row) {
        *to += times * x;
    }
}
