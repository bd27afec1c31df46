//! Reciprocals and logarithms of vectors, without a division and with one logarithm for many
//! values.

use pulp::Simd;

use crate::engine::ground::math::Real;

/// `1 / x` of a positive, normal x: a guess from the bits, 12 % off at most, and three of Newton's
/// steps, each of which squares the relative error. Seven operations, where a division takes as
/// long as thirty.
#[inline(always)]
pub fn reciprocal<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    let bits = simd.sub_u32s(simd.splat_u32s(0x7ef3_11c7), simd.transmute_u32s_f32s(x));
    let mut guess = simd.transmute_f32s_u32s(bits);
    for _ in 0..3 {
        let error = simd.negate_mul_add_e_f32s(x, guess, simd.splat_f32s(1.0));
        guess = simd.mul_add_e_f32s(guess, error, guess);
    }
    guess
}

/// A sum of logarithms as one logarithm of a product: exponents add up as integers, and factors in
/// [1, 2) multiply. A vector costs five operations of one cycle instead of a polynomial.
#[derive(Clone, Copy)]
pub struct Logs<S: Simd> {
    exponents: S::u32s,
    product: S::f32s,
    /// Exponents taken, each with its bias of 127.
    taken: u32,
}

impl<S: Simd> Logs<S> {
    #[inline(always)]
    pub fn new(simd: S) -> Self {
        Logs { exponents: simd.splat_u32s(0), product: simd.splat_f32s(1.0), taken: 0 }
    }

    /// Takes one more positive, normal factor; at most 64 in all,
    /// for their product to be finite.
    #[inline(always)]
    pub fn multiply(&mut self, simd: S, x: S::f32s) {
        let bits = simd.transmute_u32s_f32s(x);
        let exponent = simd.wrapping_dyn_shr_u32s(bits, simd.splat_u32s(23));
        let mantissa = simd.or_u32s(
            simd.and_u32s(bits, simd.splat_u32s(0x007f_ffff)),
            simd.splat_u32s(0x3f80_0000),
        );
        self.exponents = simd.add_u32s(self.exponents, exponent);
        self.product = simd.mul_f32s(self.product, simd.transmute_f32s_u32s(mantissa));
        self.taken += 1;
    }

    /// Brings the product back into [1, 2).
    #[inline(always)]
    fn fold(&mut self, simd: S) {
        let product = std::mem::replace(&mut self.product, simd.splat_f32s(1.0));
        self.multiply(simd, product);
    }

    /// The sum of all lanes: one logarithm of the product of sixteen factors below 2. Exponents,
    /// below 2^23 in all, stand in the mantissa of 2^23.
    #[inline(always)]
    pub fn sum(mut self, simd: S) -> f32 {
        self.fold(simd);
        let big = simd.or_u32s(self.exponents, simd.splat_u32s(0x4b00_0000));
        let bias = simd.splat_f32s(8_388_608.0 + 127.0 * self.taken as f32);
        let exponents = simd.sub_f32s(simd.transmute_f32s_u32s(big), bias);
        let log = simd.reduce_product_f32s(self.product).quick_ln();
        simd.reduce_sum_f32s(exponents) * std::f32::consts::LN_2 + log
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pulp::{Arch, WithSimd};

    struct Reciprocals<'a>(&'a mut [f32]);

    impl WithSimd for Reciprocals<'_> {
        type Output = ();

        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) {
            for x in S::as_mut_simd_f32s(self.0).0 {
                *x = reciprocal(simd, *x);
            }
        }
    }

    #[test]
    fn reciprocals_are_those_of_a_division() {
        // Whole vectors of any kind, from 1e-30 to 1e30.
        let values: Vec<f32> =
            (0..4096).map(|i| 10f32.powf(i as f32 / 4095.0 * 60.0 - 30.0)).collect();
        let mut got = values.clone();
        Arch::new().dispatch(Reciprocals(&mut got));
        for (&x, y) in values.iter().zip(got) {
            // The third step leaves 0.12^8, and each of its two operations rounds by 6e-8, by twice
            // that where products and sums are not fused.
            assert!((f64::from(y) * f64::from(x) - 1.0).abs() < 4e-7, "{x}: {y}");
        }
    }
}
