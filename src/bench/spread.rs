//! Median and quartiles: what other work on a machine does to a timing has a long tail, which a
//! mean follows.

/// Quartiles of several measurements of one thing.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Spread {
    /// The median: half of the measurements are below.
    pub median: f64,
    /// The lower quartile: a quarter of the measurements is below.
    pub low: f64,
    /// The upper quartile: a quarter of the measurements is above.
    pub high: f64,
    /// Number of measurements.
    pub count: usize,
}

impl Spread {
    /// Quantiles of the finite values, between neighbours in proportion (Hyndman and Fan 1996, type
    /// 7); none without a finite value.
    pub fn of(values: &[f64]) -> Option<Spread> {
        let mut sorted: Vec<f64> = values.iter().copied().filter(|v| v.is_finite()).collect();
        sorted.sort_unstable_by(f64::total_cmp);
        let last = sorted.len().checked_sub(1)?;
        let at = |share: f64| {
            let place = share * last as f64;
            let below = (place as usize).min(last);
            let above = (below + 1).min(last);
            sorted[below] + (place - below as f64) * (sorted[above] - sorted[below])
        };
        Some(Spread { median: at(0.5), low: at(0.25), high: at(0.75), count: sorted.len() })
    }

    /// Half the distance of the quartiles as a share of the median, in per cent.
    pub fn percent(&self) -> f64 {
        50.0 * (self.high - self.low) / self.median
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quartiles_of_known_values() {
        let of = |values: &[f64]| Spread::of(values).map(|s| (s.low, s.median, s.high, s.count));
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[f64::NAN, f64::INFINITY]), None);
        assert_eq!(of(&[3.0]), Some((3.0, 3.0, 3.0, 1)));
        // Order and what is not finite make no difference.
        assert_eq!(of(&[5.0, 1.0, f64::NAN, 4.0, 2.0, 3.0]), Some((2.0, 3.0, 4.0, 5)));
        assert_eq!(of(&[0.0, 1.0]), Some((0.25, 0.5, 0.75, 2)));
        // One run that something else held up leaves the median where it was.
        assert_eq!(of(&[1.0, 1.0, 1.0, 100.0]).map(|s| s.1), Some(1.0));
        assert_eq!(Spread { median: 4.0, low: 3.0, high: 5.0, count: 9 }.percent(), 25.0);
    }
}
