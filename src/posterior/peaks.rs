//! Peaks of uncertain spectra.

use crate::convention::Convention;

/// How much of a difference the excess is. The largest value of a mean that is uncertain lies x(1)
/// above the true peak, that of a draw around it x(2), at twice the variance, and x(2) is wanted
/// where x(2) - x(1) is seen. At a curved peak x grows as the variance, and it is 2 of them; where
/// many bands are equally high it grows as the sd, and it is 2 + sqrt(2): the middle of both.
const TIMES: f64 = 2.7;
/// The most of a largest value that is excess: beyond, a spectrum is hardly known at all.
const MOST_EXCESS: f64 = 0.5;

/// By how much the largest of a spectrum's uncertain values lies above the value at its true peak,
/// as a share of it, from draws of the spectrum, reflectance.
///
/// The largest of many uncertain values is one whose error is positive. The mean spectrum has such
/// an error, and a draw has another one on top of it, and how much that adds is seen (as in the
/// bootstrap's estimate of a bias; Efron and Tibshirani 1993, chapter 10).
pub(super) fn excess<S: AsRef<[f64]>>(draws: impl Iterator<Item = S>) -> f64 {
    let (mut sum, mut of_draws, mut count) = (Vec::new(), 0.0, 0.0);
    for draw in draws {
        let draw = draw.as_ref();
        sum.resize(draw.len(), 0.0);
        sum.iter_mut().zip(draw).for_each(|(sum, c)| *sum += c);
        of_draws += largest(draw);
        count += 1.0;
    }
    sum.iter_mut().for_each(|sum| *sum /= count);
    let share = TIMES * (1.0 - largest(&sum) * count / of_draws);
    if share.is_finite() { share.clamp(0.0, MOST_EXCESS) } else { 0.0 }
}

/// Divides one draw of a spectrum by its peak: the peak.
pub(super) fn divide(spectrum: &mut [f64], excess: f64) -> f64 {
    let peak = largest(spectrum) * (1.0 - excess);
    spectrum.iter_mut().for_each(|c| *c /= peak);
    peak
}

/// Brings draws of all spectra into a convention: draws, then endmembers, then bands. What each
/// was divided by: draws, then endmembers.
pub(crate) fn scale(drawn: &mut [Vec<Vec<f64>>], convention: Convention) -> Vec<Vec<f64>> {
    let k = drawn.first().map_or(0, Vec::len);
    if convention == Convention::Reflectance {
        return vec![vec![1.0; k]; drawn.len()];
    }
    let of = |k: usize| excess(drawn.iter().map(|spectra| spectra[k].as_slice()));
    let excess: Vec<f64> = (0..k).map(of).collect();
    let divided = |spectra: &mut Vec<Vec<f64>>| -> Vec<f64> {
        spectra
            .iter_mut()
            .zip(&excess)
            .map(|(spectrum, &excess)| divide(spectrum, excess))
            .collect()
    };
    drawn.iter_mut().map(divided).collect()
}

/// The largest value of a spectrum, above zero.
fn largest(spectrum: &[f64]) -> f64 {
    spectrum.iter().copied().fold(f64::MIN_POSITIVE, f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{SeedableRng, rngs::ChaCha8Rng};
    use rand_distr::{Distribution, StandardNormal};

    /// Mean heights, as shares of sds above the true peak 0.5: plain and corrected, of estimates of
    /// a spectrum, each with draws around it.
    fn above(truth: &[f64]) -> (f64, f64) {
        let rng = &mut ChaCha8Rng::seed_from_u64(3);
        let sd = 0.01;
        let mut around = |of: &[f64]| -> Vec<f64> {
            let mut normal = || -> f64 { StandardNormal.sample(rng) };
            of.iter().map(|c| c + sd * normal()).collect()
        };
        let (mut plain, mut corrected) = (0.0, 0.0);
        let estimates = 40;
        for _ in 0..estimates {
            let estimate = around(truth);
            let mut draws: Vec<Vec<Vec<f64>>> = (0..100).map(|_| vec![around(&estimate)]).collect();
            plain += draws.iter().map(|spectra| largest(&spectra[0])).sum::<f64>();
            corrected += scale(&mut draws, Convention::Peak).concat().iter().sum::<f64>();
            assert!(draws.iter().all(|spectra| largest(&spectra[0]) > 1.0));
        }
        let count = 100.0 * f64::from(estimates);
        ((plain / count - 0.5) / sd, (corrected / count - 0.5) / sd)
    }

    #[test]
    fn heights_are_those_of_the_true_peak() {
        let spectrum = |of: fn(f64) -> f64| -> Vec<f64> {
            (0..60).map(|l| of((f64::from(l) - 24.0) / 60.0)).collect()
        };
        // Largest values have sds near 0.5, 40 of them 0.08; a flat top keeps 0.7 of the excess of
        // the mean's, 0.5 sds, and what is too much for a curved one is less.
        for (truth, least) in [
            (spectrum(|x| 0.5 - x.powi(4)), 2.0),
            (spectrum(|x| 0.5 - 0.5 * x * x), 1.0),
            (spectrum(|x| 0.5 - 5.0 * x * x), 0.4),
        ] {
            let (plain, corrected) = above(&truth);
            assert!(corrected.abs() < 0.75 && plain > least, "{plain} {corrected}");
        }
    }

    #[test]
    fn certain_spectra_have_their_largest_value_and_reflectance_has_none() {
        let mut draws = vec![vec![vec![0.2, 0.8], vec![0.0, 0.0]]; 3];
        let heights = scale(&mut draws.clone(), Convention::Reflectance);
        assert_eq!(heights, vec![vec![1.0, 1.0]; 3]);
        let heights = scale(&mut draws, Convention::Peak).concat();
        assert!((heights[0] - 0.8).abs() < 1e-12 && heights[1] > 0.0, "{heights:?}");
        assert!((draws[0][0][1] - 1.0).abs() < 1e-12);
        assert!(scale(&mut [], Convention::Peak).is_empty());
    }
}
