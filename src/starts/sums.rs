//! Sums over the bands of a pixel, in f64, in an order that depends neither on the machine nor on
//! the number of threads. Spectra are padded with zeros to a multiple of sixteen values, as those
//! of a [`Cube`](crate::scene::Cube) are.

use ndarray::ArrayView2;
use pulp::{Arch, Simd, WithSimd};

use crate::engine::ground::lanes::LANES;

/// Spectra (K, L) side by side with those of a cube whose spectra have `stride` values, (K,
/// stride).
pub(super) fn padded(spectra: ArrayView2<f64>, stride: usize) -> Vec<f64> {
    let mut padded = vec![0.0; spectra.nrows() * stride];
    for (to, row) in padded.chunks_exact_mut(stride.max(1)).zip(spectra.rows()) {
        to.iter_mut().zip(row).for_each(|(to, &c)| *to = c);
    }
    padded
}

/// The sum of a spectrum.
pub(super) fn sum(spectrum: &[f32]) -> f64 {
    Arch::new().dispatch(Sum { spectrum })
}

/// Σ_l c_kl y_l of rows c, (K, stride), with a spectrum y, (K).
pub(super) fn products(rows: &[f64], spectrum: &[f32], to: &mut [f64]) {
    Arch::new().dispatch(Products { rows, spectrum, to });
}

/// Σ_l (y_l - Σ_k u_k c_kl)² of a spectrum y, amounts u, (K), and rows c, (K, stride).
pub(super) fn left(rows: &[f64], amounts: &[f64], spectrum: &[f32]) -> f64 {
    Arch::new().dispatch(Left { rows, amounts, spectrum })
}

/// The sum of sixteen sums, by halves.
#[inline(always)]
fn total(mut lanes: [f64; LANES]) -> f64 {
    let mut count = LANES;
    while count > 1 {
        count /= 2;
        for lane in 0..count {
            lanes[lane] += lanes[lane + count];
        }
    }
    lanes[0]
}

struct Sum<'a> {
    spectrum: &'a [f32],
}

impl WithSimd for Sum<'_> {
    type Output = f64;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> f64 {
        let mut lanes = [0.0; LANES];
        for y in self.spectrum.chunks_exact(LANES) {
            for lane in 0..LANES {
                lanes[lane] += f64::from(y[lane]);
            }
        }
        total(lanes)
    }
}

struct Products<'a> {
    rows: &'a [f64],
    spectrum: &'a [f32],
    to: &'a mut [f64],
}

impl WithSimd for Products<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        for (row, to) in self.rows.chunks_exact(self.spectrum.len().max(1)).zip(self.to) {
            let mut lanes = [0.0; LANES];
            for (c, y) in row.chunks_exact(LANES).zip(self.spectrum.chunks_exact(LANES)) {
                for lane in 0..LANES {
                    lanes[lane] += c[lane] * f64::from(y[lane]);
                }
            }
            *to = total(lanes);
        }
    }
}

struct Left<'a> {
    rows: &'a [f64],
    amounts: &'a [f64],
    spectrum: &'a [f32],
}

impl WithSimd for Left<'_> {
    type Output = f64;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> f64 {
        let stride = self.spectrum.len();
        let mut lanes = [0.0; LANES];
        for (part, y) in self.spectrum.chunks_exact(LANES).enumerate() {
            let mut left = [0.0; LANES];
            for lane in 0..LANES {
                left[lane] = f64::from(y[lane]);
            }
            for (k, u) in self.amounts.iter().enumerate() {
                let c = &self.rows[k * stride + part * LANES..][..LANES];
                for lane in 0..LANES {
                    left[lane] -= u * c[lane];
                }
            }
            for lane in 0..LANES {
                lanes[lane] += left[lane] * left[lane];
            }
        }
        total(lanes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn sums_are_those_written_out() {
        let spectra = array![[0.25, 0.5, 0.125], [1.0, 0.0, 0.5]];
        let rows = padded(spectra.view(), 2 * LANES);
        assert_eq!((rows.len(), rows[2], rows[3], rows[2 * LANES]), (4 * LANES, 0.125, 0.0, 1.0));
        let mut y = vec![0.0f32; 2 * LANES];
        y[..3].copy_from_slice(&[1.0, 2.0, 4.0]);
        assert_eq!(sum(&y), 7.0);
        let mut found = [0.0; 2];
        products(&rows, &y, &mut found);
        assert_eq!(found, [1.75, 3.0]);
        // What is left: 1 - 0.5 - 1, 2 - 1, 4 - 0.25 - 0.5.
        assert_eq!(left(&rows, &[2.0, 1.0], &y), 0.25 + 1.0 + 3.25 * 3.25);
        // Each lane counts.
        let ones = vec![1.0f32; 3 * LANES];
        assert_eq!(sum(&ones), 48.0);
    }
}
