//! The log likelihood of sixteen pixels as quadratic forms of their amounts, equation 30: one read
//! of their spectra, a pixel in each lane of a vector.

use pulp::{Simd, WithSimd};

use super::shared::{Projection, project};
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
    /// Precision times what those amounts leave of the spectra, (L, LANES).
    pub(super) weighted: &'a mut [f32],
    /// What bands share beside the noise of each.
    pub(super) shared: Projection<'a>,
    /// Room for [`Projection::room`] values, LANES each.
    pub(super) room: &'a mut [f32],
    /// Slope, (K, LANES).
    pub(super) linear: &'a mut [f32],
    /// Minus the curvature, (K, K, LANES).
    pub(super) square: &'a mut [f32],
}

/// Endmembers that are taken at once: 16 products are half of the vector registers.
const MOST: usize = 4;

impl WithSimd for Forms<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        for part in (0..LANES).step_by(S::F32_LANES) {
            self.residual(simd, part);
            // Blocks of endmembers, none of them much smaller than the others.
            let (k, blocks) = (self.k, self.k.div_ceil(MOST));
            let ends = move |b: usize| (b * k / blocks, (b + 1) * k / blocks);
            for i in (0..blocks).map(ends) {
                match i.1 - i.0 {
                    1 => self.slopes::<S, 1>(simd, part, i.0),
                    2 => self.slopes::<S, 2>(simd, part, i.0),
                    3 => self.slopes::<S, 3>(simd, part, i.0),
                    _ => self.slopes::<S, 4>(simd, part, i.0),
                }
                for j in (0..blocks).map(ends).filter(|j| j.0 <= i.0) {
                    macro_rules! products {
                        ($($i:literal, $j:literal);*) => {
                            match (i.1 - i.0, j.1 - j.0) {
                                $(($i, $j) => self.products::<S, $i, $j>(simd, part, i.0, j.0),)*
                                _ => {}
                            }
                        };
                    }
                    products!(1, 1; 1, 2; 2, 1; 2, 2; 2, 3; 3, 2; 3, 3; 3, 4; 4, 3; 4, 4);
                }
            }
            if self.shared.count > 0 {
                self.take_shared(simd, part);
            }
        }
    }
}

/// The vector of lanes that begins at `at`.
#[inline(always)]
fn load<S: Simd>(from: &[f32], at: usize) -> S::f32s {
    S::as_simd_f32s(&from[at..at + S::F32_LANES]).0[0]
}

#[inline(always)]
fn store<S: Simd>(to: &mut [f32], at: usize, value: S::f32s) {
    S::as_mut_simd_f32s(&mut to[at..at + S::F32_LANES]).0[0] = value;
}

impl Forms<'_> {
    /// Takes from slope and curvature what the variability that bands share may explain: with
    /// equation 38 the inverse covariance is P - F F', and F'x is T D'P x.
    #[inline(always)]
    fn take_shared<S: Simd>(&mut self, simd: S, part: usize) {
        let (k, count) = (self.k, self.shared.count);
        let (projected, sums) = self.room.split_at_mut((k + 1) * count * LANES);
        for i in 0..k {
            let of = |l: usize| {
                let c = V::splat(simd, self.spectra[l * k + i]);
                V::load(simd, self.precision, l * LANES + part) * c
            };
            let to = &mut projected[i * count * LANES..(i + 1) * count * LANES];
            project(simd, part, &self.shared, of, sums, to);
        }
        let of = |l: usize| V::load(simd, self.weighted, l * LANES + part);
        project(simd, part, &self.shared, of, sums, &mut projected[k * count * LANES..]);
        let load = |i: usize, a: usize| V::load(simd, projected, (i * count + a) * LANES + part);
        for i in 0..k {
            let at = i * LANES + part;
            let mut sum = V::load(simd, self.linear, at);
            for a in 0..count {
                sum = load(i, a).neg_mul_add(load(k, a), sum);
            }
            sum.store(self.linear, at);
            for j in 0..=i {
                let mut sum = V::load(simd, self.square, (i * k + j) * LANES + part);
                for a in 0..count {
                    sum = load(i, a).neg_mul_add(load(j, a), sum);
                }
                sum.store(self.square, (i * k + j) * LANES + part);
                sum.store(self.square, (j * k + i) * LANES + part);
            }
        }
    }

    #[inline(always)]
    fn residual<S: Simd>(&mut self, simd: S, part: usize) {
        for (l, c) in self.spectra.chunks_exact(self.k).enumerate() {
            let at = l * LANES + part;
            let mut rest = load::<S>(self.y, at);
            for (i, &c) in c.iter().enumerate() {
                let u = load::<S>(self.around, i * LANES + part);
                rest = simd.negate_mul_add_e_f32s(simd.splat_f32s(c), u, rest);
            }
            let rest = simd.mul_f32s(rest, load::<S>(self.precision, at));
            store::<S>(self.weighted, at, rest);
        }
    }

    #[inline(always)]
    fn slopes<S: Simd, const I: usize>(&mut self, simd: S, part: usize, i: usize) {
        let mut sums = [simd.splat_f32s(0.0); I];
        for (l, c) in self.spectra.chunks_exact(self.k).enumerate() {
            let rest = load::<S>(self.weighted, l * LANES + part);
            for (sum, &c) in sums.iter_mut().zip(&c[i..i + I]) {
                *sum = simd.mul_add_e_f32s(simd.splat_f32s(c), rest, *sum);
            }
        }
        for (a, sum) in sums.into_iter().enumerate() {
            store::<S>(self.linear, (i + a) * LANES + part, sum);
        }
    }

    #[inline(always)]
    fn products<S: Simd, const I: usize, const J: usize>(
        &mut self,
        simd: S,
        part: usize,
        i: usize,
        j: usize,
    ) {
        let mut sums = [[simd.splat_f32s(0.0); J]; I];
        for (l, c) in self.spectra.chunks_exact(self.k).enumerate() {
            let precision = load::<S>(self.precision, l * LANES + part);
            for (sums, &c_i) in sums.iter_mut().zip(&c[i..i + I]) {
                let weighted = simd.mul_f32s(precision, simd.splat_f32s(c_i));
                for (sum, &c_j) in sums.iter_mut().zip(&c[j..j + J]) {
                    *sum = simd.mul_add_e_f32s(weighted, simd.splat_f32s(c_j), *sum);
                }
            }
        }
        for (a, sums) in sums.into_iter().enumerate() {
            for (b, sum) in sums.into_iter().enumerate() {
                // Diagonal blocks are computed whole: of both halves the lower one stands.
                if i == j && b > a {
                    continue;
                }
                store::<S>(self.square, ((i + a) * self.k + j + b) * LANES + part, sum);
                store::<S>(self.square, ((j + b) * self.k + i + a) * LANES + part, sum);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
                square: &mut square,
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
