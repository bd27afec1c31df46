//! The normal cut off at zero: what a value that cannot be negative has for a posterior.

use statrs::function::erf::{erfc, erfc_inv};

/// Means from so many sds on are those of the whole normal to the last digit that is used.
const FAR: f64 = 8.0;
/// How many sds below zero a mean is taken to lie at most: densities below are no numbers.
const BELOW: f64 = 30.0;

/// The share of a standard normal above x.
fn above(x: f64) -> f64 {
    0.5 * erfc(x * std::f64::consts::FRAC_1_SQRT_2)
}

/// How many sds above its mean a normal is cut off; none where that is so far below that it is the
/// whole normal.
fn bound(mean: f64, sd: f64) -> Option<f64> {
    let bound = -mean / sd;
    (bound.is_finite() && bound >= -FAR).then(|| bound.min(BELOW))
}

/// The value of a normal with this mean and sd, cut off at zero, that has the rank of `off` in the
/// normal with mean zero: draws stay draws, and those that belong together still do.
pub(super) fn cut(mean: f64, sd: f64, off: f64) -> f64 {
    let Some(bound) = bound(mean, sd) else { return (mean + off).max(0.0) };
    // No draw lies farther off, and shares above are numbers up to there.
    let upper = above((off / sd).min(FAR)) * above(bound);
    (sd * (std::f64::consts::SQRT_2 * erfc_inv(2.0 * upper) - bound)).max(0.0)
}

/// The mean of that normal.
pub(super) fn mean(mean: f64, sd: f64) -> f64 {
    let Some(bound) = bound(mean, sd) else { return mean.max(0.0) };
    let density = (-0.5 * bound * bound).exp() / std::f64::consts::TAU.sqrt();
    (sd * (density / above(bound) - bound)).max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Draws at the middles of equal shares of a standard normal have the moments and the ranks of
    /// the density above zero, which is integrated on a grid.
    #[test]
    fn values_have_the_quantiles_of_the_density_above_zero() {
        for (centre, sd) in [(0.5_f64, 0.1), (0.1, 0.1), (0.0, 0.2), (-0.3, 0.1), (-2.0, 0.1)] {
            // Far below zero the density falls off within sd^2 / mean.
            let step = sd / (2000.0 * (1.0 - centre.min(0.0) / sd));
            let density =
                |x: f64| (-0.5 * ((x - centre) / sd).powi(2) - 0.5 * shift(centre, sd)).exp();
            let grid: Vec<(f64, f64)> =
                (0..40_000).map(|i| (f64::from(i) + 0.5) * step).map(|x| (x, density(x))).collect();
            let total: f64 = grid.iter().map(|g| g.1).sum();
            let first: f64 = grid.iter().map(|g| g.0 * g.1).sum::<f64>() / total;
            // The grid's steps are thousandths of an sd.
            assert!((mean(centre, sd) - first).abs() < 2e-3 * sd, "{centre} {sd}");
            for rank in [0.01, 0.3, 0.5, 0.95, 0.999] {
                let off = -sd * std::f64::consts::SQRT_2 * erfc_inv(2.0 * rank);
                let value = cut(centre, sd, off);
                let below: f64 = grid.iter().filter(|g| g.0 < value).map(|g| g.1).sum();
                assert!((below / total - rank).abs() < 2e-3, "{centre} {sd} {rank}: {value}");
            }
        }
    }

    /// Keeps densities far below zero from vanishing.
    fn shift(centre: f64, sd: f64) -> f64 {
        -(centre.min(0.0) / sd).powi(2)
    }

    #[test]
    fn what_lies_far_from_zero_or_is_no_number_stays() {
        assert_eq!(cut(1.0, 0.1, -0.2), 0.8);
        assert_eq!(mean(1.0, 0.1), 1.0);
        assert_eq!(cut(0.5, 0.0, 0.0), 0.5);
        assert_eq!(cut(-0.5, 0.0, 0.0), 0.0);
        for off in [-10.0, 0.0, 10.0] {
            assert!((0.0..1.0).contains(&cut(-100.0, 0.1, off)), "{off}");
        }
    }
}
