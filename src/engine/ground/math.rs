//! The few functions that the passes need beyond `std`, generic over f32 (runs) and f64 (the
//! gradient tests), each with its twin in `shaders/shared/math.wgsl`.

use bytemuck::Pod;
use num_traits::{Float, FromPrimitive};

/// The scalar of a CPU pass: f32 in runs, f64 where a test needs the digits.
pub trait Real:
    Float + FromPrimitive + Default + Pod + Send + Sync + std::iter::Sum + std::fmt::Debug
{
    /// The nearest value of this type.
    fn of(x: f64) -> Self;

    /// `exp(x)`; in f32 without a call or a branch, so that loops over it become vectors: relative
    /// error below 2e-7, 0 below the least normal number and infinite from 88.3 on.
    fn quick_exp(self) -> Self;

    /// `log(x)`; in f32 without a call or a branch: relative error below 2e-7.
    fn quick_ln(self) -> Self;

    /// `log(1 + x)` for x in 0..1; in f32 without a call or a branch: relative error below 5e-7.
    fn quick_ln_1p(self) -> Self;
}

impl Real for f32 {
    #[inline(always)]
    fn of(x: f64) -> f32 {
        x as f32
    }

    // Cephes' expf (Moshier): 2^n exp(r) with |r| <= log(2) / 2, n rounded by adding 1.5 * 2^23.
    #[inline(always)]
    fn quick_exp(self) -> f32 {
        const ROUND: f32 = 12_582_912.0;
        let shifted = self * std::f32::consts::LOG2_E + ROUND;
        let n = shifted - ROUND;
        let r = self - n * 0.693_359_4 + n * 2.121_944_4e-4;
        let tail = ((((1.987_569_1e-4 * r + 1.398_2e-3) * r + 8.333_452e-3) * r + 4.166_579_6e-2)
            * r
            + 0.166_666_66)
            * r
            + 0.5;
        let two_to_n = f32::from_bits((shifted.to_bits() << 23).wrapping_add(0x3f80_0000));
        let value = (tail * r * r + r + 1.0) * two_to_n;
        let value = if self > 88.3 { f32::INFINITY } else { value };
        if self < -87.3 { 0.0 } else { value }
    }

    // fdlibm's logf: x = 2^k m with m in [sqrt(1/2), sqrt(2)).
    #[inline(always)]
    fn quick_ln(self) -> f32 {
        let bits = self.to_bits().wrapping_add(0x3f80_0000 - 0x3f35_04f3);
        let k = ((bits >> 23) as i32 - 127) as f32;
        let f = f32::from_bits((bits & 0x007f_ffff) + 0x3f35_04f3) - 1.0;
        let s = f / (2.0 + f);
        let z = s * s;
        let w = z * z;
        let r = w * (0.400_000_1 + w * 0.242_790_79) + z * (0.666_666_6 + w * 0.284_987_87);
        let half = 0.5 * f * f;
        let value = s * (half + r) + k * 9.058_001e-6 - half + f + k * 0.693_138_1;
        // Zero, negative, infinite and not a number, in this order.
        let value = if self < f32::MIN_POSITIVE { f32::NEG_INFINITY } else { value };
        let value = if self < 0.0 { f32::NAN } else { value };
        if self < f32::INFINITY { value } else { self }
    }

    #[inline(always)]
    fn quick_ln_1p(self) -> f32 {
        // 1 + x loses digits of x; what it kept is known (Kahan, in Higham 2002, section 1.14).
        let sum = 1.0 + self;
        let kept = sum - 1.0;
        let value = sum.quick_ln() * (self / kept);
        if kept == 0.0 { self } else { value }
    }
}

impl Real for f64 {
    #[inline(always)]
    fn of(x: f64) -> f64 {
        x
    }

    fn quick_exp(self) -> f64 {
        self.exp()
    }

    fn quick_ln(self) -> f64 {
        self.ln()
    }

    fn quick_ln_1p(self) -> f64 {
        self.ln_1p()
    }
}

/// `log(1 + exp(x))`, accurate in both tails.
#[inline(always)]
pub fn softplus<T: Real>(x: T) -> T {
    let e = (-x.abs()).quick_exp();
    let above = if x > T::zero() { x } else { T::zero() };
    above + e.quick_ln_1p()
}

/// The inverse of [`softplus`], for `y > 0`: `log(exp(y) - 1)`.
pub fn softplus_inverse(y: f64) -> f64 {
    if y > 20.0 { y } else { y.exp_m1().ln() }
}

/// Logits to shares of sum 1: `exp(z) / sum exp(z)`, scaled by the largest so that none overflows.
pub fn softmax(logits: &mut [f64]) {
    let top = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    logits.iter_mut().for_each(|z| *z = (*z - top).exp());
    let sum: f64 = logits.iter().sum();
    logits.iter_mut().for_each(|z| *z /= sum);
}

/// The median of what standard normals are off their mean.
const MIDDLE: f64 = 0.6745;

/// How far values are spread around their median, by the median of their distances from it, as the
/// sd of a normal. None of no values.
pub fn spread(values: &[f64]) -> Option<f64> {
    let middle = median(values.to_vec())?;
    Some(median(values.iter().map(|x| (x - middle).abs()).collect())? / MIDDLE)
}

/// The middle one of some numbers, of an even count the larger of two; none of none.
pub fn median(mut values: Vec<f64>) -> Option<f64> {
    let middle = values.len() / 2;
    (middle < values.len()).then(|| *values.select_nth_unstable_by(middle, f64::total_cmp).1)
}

/// `1 / (1 + exp(-x))`.
#[inline(always)]
pub fn sigmoid<T: Real>(x: T) -> T {
    let e = (-x.abs()).quick_exp();
    let p = T::one() / (T::one() + e);
    if x >= T::zero() { p } else { e * p }
}

/// Recurrence steps before the asymptotic series: at x >= 6 the terms kept below leave a relative
/// error under 1e-9 for digamma and log-gamma (Abramowitz and Stegun 6.1.41, 6.3.18).
const SHIFT: usize = 6;

/// The digamma function for `x > 0`: recurrence to `x + 6`, then the asymptotic series.
pub fn digamma<T: Real>(x: T) -> T {
    let mut shifted = x;
    let mut below = T::zero();
    for _ in 0..SHIFT {
        below = below + T::one() / shifted;
        shifted = shifted + T::one();
    }
    let r = T::one() / (shifted * shifted);
    let series = r
        * (T::of(1.0 / 12.0)
            - r * (T::of(1.0 / 120.0) - r * (T::of(1.0 / 252.0) - r * T::of(1.0 / 240.0))));
    shifted.ln() - T::of(0.5) / shifted - series - below
}

/// What is constant in the log density of a Dirichlet with these parameters, all above 0:
/// `log(Gamma(sum a)) - sum log(Gamma(a))`.
pub fn ln_dirichlet<T: Real>(a: &[T]) -> T {
    ln_gamma(a.iter().copied().sum::<T>()) - a.iter().map(|&a| ln_gamma(a)).sum::<T>()
}

/// `log(Gamma(x))` for `x > 0`: recurrence to `x + 6`, then Stirling's series.
pub fn ln_gamma<T: Real>(x: T) -> T {
    let mut shifted = x;
    let mut product = T::one();
    for _ in 0..SHIFT {
        product = product * shifted;
        shifted = shifted + T::one();
    }
    let r = T::one() / (shifted * shifted);
    let series = (T::of(1.0 / 12.0)
        - r * (T::of(1.0 / 360.0) - r * (T::of(1.0 / 1260.0) - r * T::of(1.0 / 1680.0))))
        / shifted;
    let half_ln_two_pi = T::of(0.918_938_533_204_672_8);
    (shifted - T::of(0.5)) * shifted.ln() - shifted + half_ln_two_pi + series - product.ln()
}

/// The quantile of a chi squared of so many degrees of freedom, one or more, at the probability of
/// which `normal` is the standard normal's (Wilson and Hilferty 1931; to 2 % from three degrees on
/// for 1 in 2 to 99 in 100).
pub fn chi_squared(degrees: usize, normal: f64) -> f64 {
    let d = degrees as f64;
    d * (1.0 - 2.0 / (9.0 * d) + normal * (2.0 / (9.0 * d)).sqrt()).powi(3)
}

#[cfg(test)]
mod tests {
    use super::*;

    const EULER: f64 = 0.577_215_664_901_532_9;

    #[test]
    fn chi_squared_meets_known_quantiles() {
        // Medians and 99 % points: to 2 % by its cube root.
        for (degrees, middle, most) in [(3, 2.366, 11.345), (9, 8.343, 21.666)] {
            assert!((chi_squared(degrees, 0.0) / middle - 1.0).abs() < 0.02);
            assert!((chi_squared(degrees, 2.326) / most - 1.0).abs() < 0.02);
        }
        assert!((chi_squared(1, 2.326) / 6.635 - 1.0).abs() < 0.02);
    }

    #[test]
    fn digamma_meets_known_values() {
        // psi(1) = -gamma, psi(1/2) = -gamma - 2 ln 2, psi(x + 1) = psi(x) + 1/x. The truncated
        // series leaves 5/(660 * 6^10) = 1.3e-10 at the worst point.
        assert!((digamma(1.0_f64) + EULER).abs() < 1e-9);
        assert!((digamma(0.5_f64) + EULER + 2.0 * 2.0_f64.ln()).abs() < 1e-9);
        for x in [1e-4, 0.03, 0.7, 3.0, 50.0] {
            let step = digamma(x + 1.0) - digamma(x) - 1.0 / x;
            assert!(step.abs() < 1e-9 * (1.0 / x).max(1.0), "{x}: {step}");
        }
    }

    #[test]
    fn digamma_is_the_slope_of_ln_gamma() {
        for x in [0.05, 0.6, 2.0, 30.0] {
            // Central differences: truncation h^2 psi''/6, at most 1e-10 * 2/x^3 / 6 here.
            let h = 1e-5;
            let slope = (ln_gamma(x + h) - ln_gamma(x - h)) / (2.0 * h);
            assert!((slope - digamma(x)).abs() < 1e-5 * digamma(x).abs(), "{x}");
        }
    }

    #[test]
    fn ln_gamma_meets_factorials() {
        let mut factorial = 1.0_f64;
        for n in 1..15 {
            factorial *= f64::from(n);
            assert!((ln_gamma(f64::from(n + 1)) - factorial.ln()).abs() < 1e-9, "{n}");
        }
        assert!((ln_gamma(0.5_f64) - std::f64::consts::PI.sqrt().ln()).abs() < 1e-9);
    }

    #[test]
    fn quick_functions_keep_their_word() {
        // The stated bounds. Arguments of the exponential are exact in f32, so its error is its
        // own.
        for i in -8700..8800 {
            let x = i as f32 / 100.0;
            let off = f64::from(x.quick_exp()) / f64::from(x).exp() - 1.0;
            assert!(off.abs() < 2e-7, "exp {x}: {off}");
        }
        for i in 1..40_000u32 {
            let x = f32::from_bits(0x0080_0000 + i * 53_000);
            let exact = f64::from(x).ln();
            let off = (f64::from(x.quick_ln()) - exact) / exact.abs().max(1e-30);
            assert!(off.abs() < 2e-7 || exact == 0.0, "ln {x}: {off}");
            let part = i as f32 / 40_000.0;
            let off = f64::from(part.quick_ln_1p()) / f64::from(part).ln_1p() - 1.0;
            assert!(off.abs() < 5e-7, "ln_1p {part}: {off}");
        }
    }

    #[test]
    fn quick_functions_are_defined_everywhere() {
        assert_eq!(
            (f32::NEG_INFINITY.quick_exp(), f32::INFINITY.quick_exp()),
            (0.0, f32::INFINITY)
        );
        assert_eq!((1e30f32.quick_exp(), (-1e30f32).quick_exp()), (f32::INFINITY, 0.0));
        assert_eq!(
            (0.0f32.quick_ln(), f32::INFINITY.quick_ln()),
            (f32::NEG_INFINITY, f32::INFINITY)
        );
        assert!((-1.0f32).quick_ln().is_nan() && f32::NAN.quick_ln().is_nan());
        assert!(f32::NAN.quick_exp().is_nan() && f32::NAN.quick_ln_1p().is_nan());
        assert_eq!((0.0f32.quick_exp(), 1.0f32.quick_ln(), 0.0f32.quick_ln_1p()), (1.0, 0.0, 0.0));
    }

    #[test]
    fn softplus_keeps_its_digits_in_both_tails() {
        assert!((softplus(-30.0_f64) / (-30.0_f64).exp() - 1.0).abs() < 1e-12);
        assert_eq!(softplus(40.0_f64), 40.0);
        for y in [1e-6, 0.3, 5.0, 100.0] {
            assert!((softplus(softplus_inverse(y)) / y - 1.0).abs() < 1e-9, "{y}");
        }
    }
}
