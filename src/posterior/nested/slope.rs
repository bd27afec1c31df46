//! The slope of the log likelihood of sixteen pixels at their amounts, where the curvature is known
//! already: a read of the spectra, and none of their products.

use pulp::{Simd, WithSimd};

use super::forms::residual;
use super::products::{Table, sums};
use super::shared::{Projection, take};
use super::vector::V;
use crate::engine::ground::lanes::LANES;

/// What slopes are made of, and where they go.
pub(super) struct Slope<'a> {
    /// Number of endmembers, K.
    pub(super) k: usize,
    /// Endmember spectra, (L, K).
    pub(super) spectra: &'a [f32],
    /// Spectra of the pixels, (L, LANES).
    pub(super) y: &'a [f32],
    /// Weight of the likelihood over the variance, (L, LANES).
    pub(super) precision: &'a [f32],
    /// Amounts that slopes are taken at, (K, LANES).
    pub(super) around: &'a [f32],
    /// Inverse covariance times what those amounts leave of the spectra, (L, LANES).
    pub(super) weighted: &'a mut [f32],
    /// What bands share beside the noise of each.
    pub(super) shared: Projection<'a>,
    /// Room for as many values as there are shapes, LANES each.
    pub(super) room: &'a mut [f32],
    /// The slope, (K, LANES).
    pub(super) linear: &'a mut [f32],
}

impl WithSimd for Slope<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let spectra = Table { values: self.spectra, columns: self.k };
        for part in (0..LANES).step_by(S::F32_LANES) {
            let of = (self.y, self.precision, self.around);
            residual(simd, part, spectra, of, self.weighted);
            if self.shared.count > 0 {
                self.take_shared(simd, part);
            }
            sums(simd, part, self.weighted, spectra, self.linear);
        }
    }
}

impl Slope<'_> {
    /// Turns P x into (P - F F') x, of equation 38, with F = P D T'.
    #[inline(always)]
    fn take_shared<S: Simd>(&mut self, simd: S, part: usize) {
        let count = self.shared.count;
        let shapes = Table { values: self.shared.columns, columns: count };
        sums(simd, part, self.weighted, shapes, self.room);
        take(simd, part, (&self.shared, 1), self.room);
        let at = |a: usize| a * LANES + part;
        // T' of it, from the first: T is lower triangular, so those behind are still untouched.
        for a in 0..count {
            let mut sum = V::splat(simd, 0.0);
            for b in a..count {
                let taken = V::load(simd, self.shared.taken, at(b * count + a));
                sum = taken.mul_add(V::load(simd, self.room, at(b)), sum);
            }
            sum.store(self.room, at(a));
        }
        for (l, shapes) in shapes.values.chunks_exact(count).enumerate() {
            let mut explained = V::splat(simd, 0.0);
            for (a, &d) in shapes.iter().enumerate() {
                explained = V::load(simd, self.room, at(a)).mul_add(V::splat(simd, d), explained);
            }
            let rest = V::load(simd, self.weighted, at(l));
            let precision = V::load(simd, self.precision, at(l));
            explained.neg_mul_add(precision, rest).store(self.weighted, at(l));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::posterior::nested::forms::Forms;

    fn many(seed: usize, count: usize) -> Vec<f32> {
        (0..count).map(|at| ((at * 37 + seed * 101) % 89) as f32 / 89.0 + 0.05).collect()
    }

    #[test]
    fn slopes_are_those_of_the_forms() {
        let bands = 21;
        for (k, count) in (1..9).flat_map(|k| [0, 1, 4, 9].map(|count| (k, count))) {
            let (spectra, y) = (many(1, bands * k), many(2, bands * LANES));
            let (precision, around) = (many(3, bands * LANES), many(4, k * LANES));
            let columns = many(5, bands * count);
            let mut taken = many(6, count * count * LANES);
            for (at, value) in taken.iter_mut().enumerate() {
                let (row, column) = (at / LANES / count, at / LANES % count);
                // Small, lest more is taken than there is.
                *value *= if column > row { 0.0 } else { 0.04 };
            }
            let shared = Projection { count, columns: &columns, taken: &taken };
            let zeros = |count: usize| vec![0.0; count * LANES];
            let (mut wanted, mut found) = (zeros(k), zeros(k));
            pulp::Arch::new().dispatch(Forms {
                k,
                spectra: &spectra,
                y: &y,
                precision: &precision,
                around: &around,
                weighted: &mut zeros(bands),
                shared,
                room: &mut zeros(Projection::room(k, count)),
                linear: &mut wanted,
                square: &mut zeros(k * k),
            });
            pulp::Arch::new().dispatch(Slope {
                k,
                spectra: &spectra,
                y: &y,
                precision: &precision,
                around: &around,
                weighted: &mut zeros(bands),
                shared,
                room: &mut zeros(count),
                linear: &mut found,
            });
            for (found, wanted) in found.iter().zip(&wanted) {
                // Sums of 21 values below 8, and of as many products of them, in f32.
                assert!((found - wanted).abs() < 2e-4, "{k} {count}: {found} {wanted}");
            }
            // Without what bands share: seen.
            let mut other = zeros(k);
            pulp::Arch::new().dispatch(Slope {
                k,
                spectra: &spectra,
                y: &y,
                precision: &precision,
                around: &around,
                weighted: &mut zeros(bands),
                shared: Projection::default(),
                room: &mut [],
                linear: &mut other,
            });
            let off = other.iter().zip(&wanted).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(count == 0 || off > 5e-4, "{k} {count}: {off}");
        }
    }
}
