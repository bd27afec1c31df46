//! The few functions that the passes need beyond `std`, generic over f32 (runs) and f64 (the
//! gradient tests), each with its twin in `shaders/shared/math.wgsl`.

use num_traits::{Float, FromPrimitive};

/// The scalar of a CPU pass: f32 in runs, f64 where a test needs the digits.
pub trait Real:
    Float + FromPrimitive + Default + Send + Sync + std::iter::Sum + std::fmt::Debug + 'static
{
    /// The nearest value of this type.
    fn of(x: f64) -> Self;
}

impl Real for f32 {
    #[inline(always)]
    fn of(x: f64) -> f32 {
        x as f32
    }
}

impl Real for f64 {
    #[inline(always)]
    fn of(x: f64) -> f64 {
        x
    }
}

/// `log(1 + exp(x))`, accurate in both tails.
pub fn softplus<T: Real>(x: T) -> T {
    let e = (-x.abs()).exp();
    x.max(T::zero()) + e.ln_1p()
}

/// The inverse of [`softplus`], for `y > 0`: `log(exp(y) - 1)`.
pub fn softplus_inverse(y: f64) -> f64 {
    if y > 20.0 { y } else { y.exp_m1().ln() }
}

/// `1 / (1 + exp(-x))`.
pub fn sigmoid<T: Real>(x: T) -> T {
    let e = (-x.abs()).exp();
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

#[cfg(test)]
mod tests {
    use super::*;

    const EULER: f64 = 0.577_215_664_901_532_9;

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
    fn softplus_keeps_its_digits_in_both_tails() {
        assert!((softplus(-30.0_f64) / (-30.0_f64).exp() - 1.0).abs() < 1e-12);
        assert_eq!(softplus(40.0_f64), 40.0);
        for y in [1e-6, 0.3, 5.0, 100.0] {
            assert!((softplus(softplus_inverse(y)) / y - 1.0).abs() < 1e-9, "{y}");
        }
    }
}
