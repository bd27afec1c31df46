//! Vectors with operators, so that formulas can be read: a pixel in each lane.

use std::ops::{Add, Div, Mul, Sub};

use pulp::Simd;

/// A vector of f32.
#[derive(Clone, Copy)]
pub(super) struct V<S: Simd> {
    pub(super) simd: S,
    pub(super) v: S::f32s,
}

impl<S: Simd> V<S> {
    #[inline(always)]
    pub(super) fn splat(simd: S, x: f32) -> Self {
        V { simd, v: simd.splat_f32s(x) }
    }

    /// The values from `at` on.
    #[inline(always)]
    pub(super) fn load(simd: S, from: &[f32], at: usize) -> Self {
        V { simd, v: S::as_simd_f32s(&from[at..at + S::F32_LANES]).0[0] }
    }

    #[inline(always)]
    pub(super) fn store(self, to: &mut [f32], at: usize) {
        S::as_mut_simd_f32s(&mut to[at..at + S::F32_LANES]).0[0] = self.v;
    }

    #[inline(always)]
    pub(super) fn of(self, v: S::f32s) -> Self {
        V { simd: self.simd, v }
    }

    #[inline(always)]
    pub(super) fn constant(self, x: f32) -> Self {
        V::splat(self.simd, x)
    }

    /// `self * b + c`.
    #[inline(always)]
    pub(super) fn mul_add(self, b: Self, c: Self) -> Self {
        self.of(self.simd.mul_add_e_f32s(self.v, b.v, c.v))
    }

    /// `c - self * b`.
    #[inline(always)]
    pub(super) fn neg_mul_add(self, b: Self, c: Self) -> Self {
        self.of(self.simd.negate_mul_add_e_f32s(self.v, b.v, c.v))
    }

    /// The larger of two; `other` where this is not a number.
    #[inline(always)]
    pub(super) fn max(self, other: Self) -> Self {
        other.less(self).select(self, other)
    }

    /// The smaller of two; `other` where this is not a number.
    #[inline(always)]
    pub(super) fn min(self, other: Self) -> Self {
        self.less(other).select(self, other)
    }

    #[inline(always)]
    pub(super) fn sqrt(self) -> Self {
        self.of(self.simd.sqrt_f32s(self.v))
    }

    #[inline(always)]
    pub(super) fn less(self, other: Self) -> Mask<S> {
        Mask { simd: self.simd, m: self.simd.less_than_f32s(self.v, other.v) }
    }

    /// `exp(x)`, of the bounds of [`crate::engine::ground::math::Real::quick_exp`].
    #[inline(always)]
    pub(super) fn exp(self) -> Self {
        let simd = self.simd;
        let round = self.constant(12_582_912.0);
        let shifted = self.mul_add(self.constant(std::f32::consts::LOG2_E), round);
        let n = shifted - round;
        let r = n.neg_mul_add(self.constant(0.693_359_4), self);
        let r = n.mul_add(self.constant(2.121_944_4e-4), r);
        let tail = self.constant(1.987_569_1e-4).mul_add(r, self.constant(1.398_2e-3));
        let tail = tail.mul_add(r, self.constant(8.333_452e-3));
        let tail = tail.mul_add(r, self.constant(4.166_579_6e-2));
        let tail = tail.mul_add(r, self.constant(0.166_666_66));
        let tail = tail.mul_add(r, self.constant(0.5));
        let power =
            simd.wrapping_dyn_shl_u32s(simd.transmute_u32s_f32s(shifted.v), simd.splat_u32s(23));
        let power = simd.add_u32s(power, simd.splat_u32s(0x3f80_0000));
        let power = self.of(simd.transmute_f32s_u32s(power));
        let value = (tail * r).mul_add(r, r + self.constant(1.0)) * power;
        let high = self.constant(88.3).less(self).select(self.constant(f32::INFINITY), value);
        self.less(self.constant(-87.3)).select(self.constant(0.0), high)
    }

    /// `log(x)`, of the bounds of [`crate::engine::ground::math::Real::quick_ln`]: minus infinity
    /// below the least normal number.
    #[inline(always)]
    pub(super) fn ln(self) -> Self {
        let simd = self.simd;
        let bits = simd
            .add_u32s(simd.transmute_u32s_f32s(self.v), simd.splat_u32s(0x3f80_0000 - 0x3f35_04f3));
        // The exponent, 0 to 255, stands in the mantissa of 2^23.
        let exponent = simd.wrapping_dyn_shr_u32s(bits, simd.splat_u32s(23));
        let exponent = simd.or_u32s(exponent, simd.splat_u32s(0x4b00_0000));
        let k = self.of(simd.transmute_f32s_u32s(exponent)) - self.constant(8_388_608.0 + 127.0);
        let mantissa = simd.and_u32s(bits, simd.splat_u32s(0x007f_ffff));
        let mantissa = simd.add_u32s(mantissa, simd.splat_u32s(0x3f35_04f3));
        let f = self.of(simd.transmute_f32s_u32s(mantissa)) - self.constant(1.0);
        // 1 / (f + 2) by a straight line, 1.5 % off at most, and two of Newton's steps, each of
        // which squares that: a division takes three times as long.
        let two = f + self.constant(2.0);
        let mut inverse = two.neg_mul_add(self.constant(0.239_016), self.constant(0.985_061_5));
        for _ in 0..2 {
            inverse = inverse.mul_add(two.neg_mul_add(inverse, self.constant(1.0)), inverse);
        }
        let s = f * inverse;
        let (z, half) = (s * s, f * f * self.constant(0.5));
        let w = z * z;
        let even = w.mul_add(self.constant(0.242_790_79), self.constant(0.400_000_1)) * w;
        let odd = w.mul_add(self.constant(0.284_987_87), self.constant(0.666_666_6));
        let r = z.mul_add(odd, even);
        let value = s.mul_add(half + r, k * self.constant(9.058_001e-6)) - half + f;
        let value = k.mul_add(self.constant(0.693_138_1), value);
        let none = self.constant(f32::NEG_INFINITY);
        let value = self.less(self.constant(f32::MIN_POSITIVE)).select(none, value);
        // Infinite and not a number stay what they are.
        self.less(self.constant(f32::INFINITY)).select(value, self)
    }
}

/// Makes weights of their logarithms, in place, with the sum `total`; where none of them is above
/// minus infinity all are alike. `rows` are where the vectors begin. Gives the logarithm of the sum
/// of what the logarithms stand for.
#[inline(always)]
pub(super) fn weigh<S: Simd>(
    simd: S,
    values: &mut [f32],
    rows: impl Iterator<Item = usize> + Clone,
    total: f32,
) -> V<S> {
    let c = |x: f32| V::splat(simd, x);
    let mut top = c(f32::NEG_INFINITY);
    for at in rows.clone() {
        top = V::load(simd, values, at).max(top);
    }
    let possible = c(f32::NEG_INFINITY).less(top);
    let mut sum = c(0.0);
    for at in rows.clone() {
        let weight = possible.select(V::load(simd, values, at) - top, c(0.0)).exp();
        weight.store(values, at);
        sum = sum + weight;
    }
    let share = c(total) / sum;
    for at in rows {
        (V::load(simd, values, at) * share).store(values, at);
    }
    top + sum.ln()
}

/// Which lanes a condition holds for.
#[derive(Clone, Copy)]
pub(super) struct Mask<S: Simd> {
    pub(super) simd: S,
    pub(super) m: S::m32s,
}

impl<S: Simd> Mask<S> {
    #[inline(always)]
    pub(super) fn select(self, yes: V<S>, no: V<S>) -> V<S> {
        yes.of(self.simd.select_f32s(self.m, yes.v, no.v))
    }

    /// Whether it holds for any lane.
    #[inline(always)]
    pub(super) fn any(self) -> bool {
        self.simd.first_true_m32s(self.m) < S::F32_LANES
    }
}

impl<S: Simd> Add for V<S> {
    type Output = Self;
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        self.of(self.simd.add_f32s(self.v, other.v))
    }
}

impl<S: Simd> Sub for V<S> {
    type Output = Self;
    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        self.of(self.simd.sub_f32s(self.v, other.v))
    }
}

impl<S: Simd> Mul for V<S> {
    type Output = Self;
    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        self.of(self.simd.mul_f32s(self.v, other.v))
    }
}

impl<S: Simd> Div for V<S> {
    type Output = Self;
    #[inline(always)]
    fn div(self, other: Self) -> Self {
        self.of(self.simd.div_f32s(self.v, other.v))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pulp::{Arch, WithSimd};

    struct Functions<'a> {
        exp: &'a mut [f32],
        ln: &'a mut [f32],
    }

    impl WithSimd for Functions<'_> {
        type Output = ();

        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) {
            for at in (0..self.exp.len()).step_by(S::F32_LANES) {
                V::load(simd, self.exp, at).exp().store(self.exp, at);
                V::load(simd, self.ln, at).ln().store(self.ln, at);
            }
        }
    }

    #[test]
    fn functions_keep_their_word() {
        let arguments: Vec<f32> = (0..16_000).map(|i| (i as f32 - 8_000.0) / 95.0).collect();
        let positive: Vec<f32> = arguments.iter().map(|x| (0.9 * x).exp()).collect();
        let (mut exp, mut ln) = (arguments.clone(), positive.clone());
        Arch::new().dispatch(Functions { exp: &mut exp, ln: &mut ln });
        for i in 0..arguments.len() {
            let off = f64::from(exp[i]) / f64::from(arguments[i]).exp() - 1.0;
            assert!(off.abs() < 3e-7, "exp {}: {off}", arguments[i]);
            let exact = f64::from(positive[i]).ln();
            assert!((f64::from(ln[i]) - exact).abs() < 3e-7 * exact.abs().max(0.1), "ln {exact}");
        }
        let mut ends = [[0.0f32; 16]; 2];
        ends[0][..5].copy_from_slice(&[f32::NEG_INFINITY, f32::INFINITY, 100.0, -100.0, f32::NAN]);
        ends[1][..5].copy_from_slice(&[0.0, f32::INFINITY, 1.0, -1.0, f32::NAN]);
        let [exp, ln] = &mut ends;
        Arch::new().dispatch(Functions { exp, ln });
        assert_eq!(exp[..4], [0.0, f32::INFINITY, f32::INFINITY, 0.0]);
        assert_eq!(ln[..4], [f32::NEG_INFINITY, f32::INFINITY, 0.0, f32::NEG_INFINITY]);
        assert!(exp[4].is_nan() && ln[4].is_nan());
    }
}
