//! The log likelihood of sixteen pixels as quadratic forms of their amounts, equation 30: one read
//! of their spectra, a pixel in each lane of a vector.

use pulp::{Simd, WithSimd};

use super::products::{Table, products, sums};
use super::shared::{Projection, take};
use super::vector::V;
use crate::engine::ground::lanes::LANES;

/// What forms are made of, and where they go. With d = u - `around` the log likelihood of a pixel
/// is `linear'd - d'square d / 2`, and a constant. Residuals are formed before they are squared, so
/// that no digits are lost where noise is far below the signal.
pub(super) struct Forms<'a> {
    /// Number of endmembers, K.
    pub(super) k: usize,
    /// Endmember spectra, (L, K).
    pub(super) spectra: &'a [f32],
    /// Spectra of the pixels, (L, LANES).
    pub(super) y: &'a [f32],
    /// Weight of the likelihood over the variance, (L, LANES).
    pub(super) precision: &'a [f32],
    /// Amounts that the forms are written around, (K, LANES).
    pub(super) around: &'a [f32],
    /// Precision times what those amounts leave of the spectra, (L, LANES); where only the slope is
    /// asked for without what bands share.
    pub(super) weighted: &'a mut [f32],
    /// What bands share beside the noise of each.
    pub(super) shared: Projection<'a>,
    /// Room for [`Projection::room`] values, LANES each.
    pub(super) room: &'a mut [f32],
    /// Slope, (K, LANES).
    pub(super) linear: &'a mut [f32],
    /// Minus the curvature, (K, K, LANES); none where it is known already, which saves most.
    pub(super) square: Option<&'a mut [f32]>,
}

impl WithSimd for Forms<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let spectra = Table { values: self.spectra, columns: self.k };
        for part in (0..LANES).step_by(S::F32_LANES) {
            let of = (self.y, self.precision, self.around);
            residual(simd, part, spectra, of, self.weighted);
            let Some(square) = self.square.take() else {
                if self.shared.count > 0 {
                    self.take_from_rest(simd, part);
                }
                sums(simd, part, self.weighted, spectra, self.linear);
                continue;
            };
            sums(simd, part, self.weighted, spectra, self.linear);
            products(simd, part, self.precision, (spectra, spectra), true, square);
            if self.shared.count > 0 {
                self.take_shared(simd, part, square);
            }
            for i in 0..self.k {
                for j in 0..i {
                    let half = V::load(simd, square, (i * self.k + j) * LANES + part);
                    half.store(square, (j * self.k + i) * LANES + part);
                }
            }
            self.square = Some(square);
        }
    }
}

impl Forms<'_> {
    /// Takes from slope and the lower half of the curvature what the variability that bands share
    /// may explain: with equation 38 the inverse covariance is P - F F', and F'x is T D'P x.
    #[inline(always)]
    fn take_shared<S: Simd>(&mut self, simd: S, part: usize, square: &mut [f32]) {
        let (k, count) = (self.k, self.shared.count);
        let spectra = Table { values: self.spectra, columns: k };
        let shapes = Table { values: self.shared.columns, columns: count };
        let (of_spectra, of_rest) = self.room.split_at_mut(k * count * LANES);
        products(simd, part, self.precision, (spectra, shapes), false, of_spectra);
        sums(simd, part, self.weighted, shapes, of_rest);
        take(simd, part, (&self.shared, k + 1), self.room);
        let load = |i: usize, a: usize| V::load(simd, self.room, (i * count + a) * LANES + part);
        for i in 0..k {
            let at = i * LANES + part;
            let mut sum = V::load(simd, self.linear, at);
            for a in 0..count {
                sum = load(i, a).neg_mul_add(load(k, a), sum);
            }
            sum.store(self.linear, at);
            for j in 0..=i {
                let at = (i * k + j) * LANES + part;
                let mut sum = V::load(simd, square, at);
                for a in 0..count {
                    sum = load(i, a).neg_mul_add(load(j, a), sum);
                }
                sum.store(square, at);
            }
        }
    }

    /// Turns P x into (P - F F') x, of equation 38, with F = P D T'.
    #[inline(always)]
    fn take_from_rest<S: Simd>(&mut self, simd: S, part: usize) {
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

/// Endmembers whose amounts are held in registers at once.
const HELD: usize = 8;

/// Precision times what amounts leave of spectra `y`, (L, LANES): `to`, of the same shape.
#[inline(always)]
pub(super) fn residual<S: Simd>(
    simd: S,
    part: usize,
    spectra: Table,
    of: (&[f32], &[f32], &[f32]),
    to: &mut [f32],
) {
    for first in (0..spectra.columns).step_by(HELD) {
        macro_rules! sizes {
            ($($count:literal),*) => {
                match HELD.min(spectra.columns - first) {
                    $($count => leave::<S, $count>(simd, part, (spectra, first), of, to),)*
                    _ => {}
                }
            };
        }
        sizes!(1, 2, 3, 4, 5, 6, 7, 8);
    }
}

/// Takes out COUNT columns from `first` on; the first ones begin it, the last ones end it.
#[inline(always)]
fn leave<S: Simd, const COUNT: usize>(
    simd: S,
    part: usize,
    (spectra, first): (Table, usize),
    (y, precision, amounts): (&[f32], &[f32], &[f32]),
    to: &mut [f32],
) {
    let (begins, ends) = (first == 0, first + COUNT == spectra.columns);
    let mut of = [V::splat(simd, 0.0); COUNT];
    for (i, of) in of.iter_mut().enumerate() {
        *of = V::load(simd, amounts, (first + i) * LANES + part);
    }
    let rows = to.chunks_exact_mut(LANES).zip(spectra.values.chunks_exact(spectra.columns));
    let pixels = y.chunks_exact(LANES).zip(precision.chunks_exact(LANES));
    for ((to, row), (y, precision)) in rows.zip(pixels) {
        let row = &row[first..first + COUNT];
        let mut rest = V::load(simd, if begins { y } else { to }, part);
        for i in 0..COUNT {
            rest = of[i].neg_mul_add(V::splat(simd, row[i]), rest);
        }
        if ends {
            rest = rest * V::load(simd, precision, part);
        }
        rest.store(to, part);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn many(seed: usize, count: usize) -> Vec<f32> {
        (0..count).map(|at| ((at * 37 + seed * 101) % 89) as f32 / 89.0 + 0.05).collect()
    }

    #[test]
    fn slopes_alone_are_those_beside_curvatures() {
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
            let slopes = |shared: Projection, square: Option<&mut [f32]>| {
                let mut linear = zeros(k);
                pulp::Arch::new().dispatch(Forms {
                    k,
                    spectra: &spectra,
                    y: &y,
                    precision: &precision,
                    around: &around,
                    weighted: &mut zeros(bands),
                    shared,
                    room: &mut zeros(Projection::room(k, count)),
                    linear: &mut linear,
                    square,
                });
                linear
            };
            let wanted = slopes(shared, Some(&mut zeros(k * k)));
            let off = |found: Vec<f32>| {
                found.iter().zip(&wanted).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
            };
            // Sums of 21 values below 8, and of as many products of them, in f32.
            assert!(off(slopes(shared, None)) < 2e-4, "{k} {count}");
            // Without what bands share: seen.
            let other = off(slopes(Projection::default(), None));
            assert!(count == 0 || other > 5e-4, "{k} {count}: {other}");
        }
    }

    #[test]
    fn forms_are_the_sums_that_they_stand_for() {
        for k in 1..12 {
            let bands = 7;
            let value = |seed: usize, at: usize| (((at * 37 + seed * 101) % 89) as f32) / 89.0;
            let many =
                |seed, count: usize| -> Vec<f32> { (0..count).map(|at| value(seed, at)).collect() };
            let (spectra, y) = (many(1, bands * k), many(2, bands * LANES));
            let (precision, around) = (many(3, bands * LANES), many(4, k * LANES));
            let mut weighted = vec![0.0; bands * LANES];
            let (mut linear, mut square) = (vec![0.0; k * LANES], vec![0.0; k * k * LANES]);
            pulp::Arch::new().dispatch(Forms {
                k,
                spectra: &spectra,
                y: &y,
                precision: &precision,
                around: &around,
                shared: Projection::default(),
                room: &mut [],
                weighted: &mut weighted,
                linear: &mut linear,
                square: Some(&mut square),
            });
            for lane in 0..LANES {
                let c = |l: usize, i: usize| f64::from(spectra[l * k + i]);
                let p = |l: usize| f64::from(precision[l * LANES + lane]);
                let rest = |l: usize| {
                    let fit: f64 =
                        (0..k).map(|i| c(l, i) * f64::from(around[i * LANES + lane])).sum();
                    f64::from(y[l * LANES + lane]) - fit
                };
                for i in 0..k {
                    let slope: f64 = (0..bands).map(|l| c(l, i) * p(l) * rest(l)).sum();
                    // Sums of 7 values below 12, each rounded to 6e-8 of its own.
                    assert!((f64::from(linear[i * LANES + lane]) - slope).abs() < 1e-4);
                    for j in 0..k {
                        let bend: f64 = (0..bands).map(|l| c(l, i) * p(l) * c(l, j)).sum();
                        let found = f64::from(square[(i * k + j) * LANES + lane]);
                        assert!((found - bend).abs() < 1e-5, "{k} {i} {j}: {found} {bend}");
                    }
                }
            }
        }
    }
}
