//! By how much one solution is ahead of another in evidence, and how sure that is.

/// By how much one solution makes pixels more probable than another, nats a pixel, and the
/// standard error of that.
pub fn ahead(one: &[f64], other: &[f64]) -> (f64, f64) {
    let gains: Vec<f64> = one.iter().zip(other).map(|(one, other)| one - other).collect();
    let gain = mean(&gains);
    let variance = mean(&gains.iter().map(|of| (of - gain).powi(2)).collect::<Vec<f64>>());
    (gain, (variance / one.len().max(1) as f64).sqrt())
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
}
