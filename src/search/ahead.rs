//! By how much one solution is ahead of another in evidence, and how sure that is.

/// Standard errors by which a solution must be ahead to count: few pixels may tell.
const ERRORS: f64 = 2.0;
/// One pixel in so many at either end says nothing: what the draws of one solution miss is off by
/// thousands of nats, and a single such pixel would be all that two solutions differ by.
const EXTREME: usize = 500;

/// By how much one solution makes pixels more probable than another, nats a pixel, and the
/// standard error of that: the mean of the gains but for the largest and the least, one pixel in
/// 500 each. A pixel that one of them does not explain at all says nothing.
pub fn ahead(one: &[f64], other: &[f64]) -> (f64, f64) {
    let gains = one.iter().zip(other).map(|(one, other)| one - other);
    let mut gains: Vec<f64> = gains.filter(|gain| gain.is_finite()).collect();
    gains.sort_by(f64::total_cmp);
    let out = gains.len() / EXTREME;
    let gains = &gains[out..gains.len() - out];
    let gain = mean(gains);
    let variance = mean(&gains.iter().map(|of| (of - gain).powi(2)).collect::<Vec<f64>>());
    (gain, (variance / gains.len().max(1) as f64).sqrt())
}

/// By how much one solution is [`ahead`] of another, where that is more than `least`, nats a pixel,
/// and than two standard errors.
pub fn clearly_ahead(one: &[f64], other: &[f64], least: f64) -> Option<f64> {
    let (gain, error) = ahead(one, other);
    (gain > least.max(ERRORS * error)).then_some(gain)
}

/// Of those that are finite; zero of none.
pub fn mean(of: &[f64]) -> f64 {
    let finite = of.iter().filter(|x| x.is_finite());
    let (sum, count) = finite.fold((0.0, 0.0), |(sum, count), x| (sum + x, count + 1.0));
    if count > 0.0 { sum / count } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_ahead_by_the_mean_and_as_uncertain_as_the_pixels_differ() {
        let (one, other) = ([3.0, 4.0, 5.0, 8.0], [2.0, 2.0, 4.0, 4.0]);
        // Gains 1, 2, 1 and 4.
        let (gain, error) = ahead(&one, &other);
        assert!((gain - 2.0).abs() < 1e-12);
        assert!((error - 6f64.sqrt() / 4.0).abs() < 1e-12, "{error}");
        assert_eq!(ahead(&other, &one), (-gain, error));
        assert_eq!(ahead(&[], &[]), (0.0, 0.0));
        // A pixel that one of them does not explain says nothing.
        let none = [f64::NEG_INFINITY, 2.0, 4.0, 4.0];
        assert!((ahead(&one, &none).0 - 7.0 / 3.0).abs() < 1e-12);
    }

    /// One pixel that the draws miss decides nothing, and ten pixels of a material that one of two
    /// solutions lacks do.
    #[test]
    fn a_pixel_alone_does_not_decide() {
        let noise = |n: usize| (n as f64).sin();
        let other = vec![0.0; 1000];
        let missed: Vec<f64> =
            (0..1000).map(|n| if n == 7 { -4000.0 } else { 0.5 + noise(n) }).collect();
        let (gain, error) = ahead(&missed, &other);
        assert!((gain - 0.5).abs() < 0.01 && error < 0.03, "{gain} {error}");
        let rare: Vec<f64> = (0..1000).map(|n| if n < 10 { 200.0 } else { noise(n) }).collect();
        let (gain, error) = ahead(&rare, &other);
        assert!(gain > 1.5 && gain > 2.0 * error, "{gain} {error}");
    }
}
