//! What abundances are shares of.

use ndarray::{Array2, ArrayView2};
use serde::{Deserialize, Serialize};

use crate::engine::ground::error::{Error, Result};

/// What an abundance is a share of. Both describe the same mixtures: for any h > 0,
/// `(c_k / h_k, W_k h_k / sum_j W_j h_j)` mixes to the same spectrum up to brightness.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Convention {
    /// Spectra in reflectance, abundances as shares of area (h = 1).
    Reflectance,
    /// Spectra with a peak of one, abundances as shares of peak-normalised spectra
    /// (h_k = the largest value of c_k).
    Peak,
}

impl Convention {
    /// Whether the mixtures of a fit's pixels are multiplied by a brightness: where the model gives
    /// them one (`modelled`), and where abundances are shares of spectra over their peaks, which
    /// take the factor `sum_j W_j h_j`, shade or none.
    pub fn has_brightness(self, modelled: bool) -> bool {
        modelled || self == Convention::Peak
    }
}

/// Abundances below this are none in posterior draws. A sparse Dirichlet puts what is not there on
/// a shelf that ends nowhere; an interval that must be able to hold a share of exactly zero, or of
/// exactly one, has to reach it.
const TRACE: f32 = 1e-4;

/// What [`TRACE`] is for `k` endmembers: of very many no abundance need be above it.
pub(crate) fn trace(k: usize) -> f32 {
    TRACE.min(0.1 / k.max(1) as f32)
}

/// Takes abundances below [`trace`] out of amounts of any positive sum, and makes the others sum to
/// one. Amounts without a positive sum stay.
pub(crate) fn without_traces(amounts: &mut [f32]) {
    let total: f32 = amounts.iter().sum();
    let least = trace(amounts.len()) * total;
    let counts = |amount: f32| if amount < least { 0.0 } else { amount };
    let kept: f32 = amounts.iter().map(|&amount| counts(amount)).sum();
    if kept > 0.0 {
        amounts.iter_mut().for_each(|amount| *amount = counts(*amount) / kept);
    }
}

/// Endmembers (K, L) and abundances (N, K) in another convention, from `reflectance`.
///
/// `Peak` divides each spectrum by its largest value h_k and gives abundances
/// `W_k h_k / sum_j W_j h_j`. A spectrum without a positive value has no peak and stays (h_k = 1);
/// a row that sums to zero stays. The conversion is not linear: convert posterior draws one by
/// one where they are at hand, and take means after; means converted here are an approximation.
///
/// # Errors
///
/// [`Error::Scene`] when the numbers of endmembers differ.
pub fn convert(
    endmembers: ArrayView2<f64>,
    abundances: ArrayView2<f32>,
    convention: Convention,
) -> Result<(Array2<f64>, Array2<f32>)> {
    if endmembers.nrows() == 0 || endmembers.nrows() != abundances.ncols() {
        return Err(Error::Scene(format!(
            "The estimate has {} endmember spectra and {} abundances a pixel; it needs at least 1 \
             of each, and as many of one as of the other.",
            endmembers.nrows(),
            abundances.ncols()
        )));
    }
    let (mut endmembers, mut abundances) = (endmembers.to_owned(), abundances.to_owned());
    if convention == Convention::Reflectance {
        return Ok((endmembers, abundances));
    }
    let mut peaks = Vec::with_capacity(endmembers.nrows());
    for mut spectrum in endmembers.rows_mut() {
        let peak = spectrum.iter().copied().fold(0.0, f64::max);
        let peak = if peak > 0.0 && peak.is_finite() { peak } else { 1.0 };
        spectrum /= peak;
        peaks.push(peak);
    }
    for mut row in abundances.rows_mut() {
        let share = |(&w, &h): (&f32, &f64)| f64::from(w) * h;
        let total: f64 = row.iter().zip(&peaks).map(share).sum();
        if total != 0.0 {
            row.iter_mut().zip(&peaks).for_each(|(w, h)| *w = (f64::from(*w) * h / total) as f32);
        }
    }
    Ok((endmembers, abundances))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn traces_are_none_and_the_rest_sums_to_one() {
        let without = |mut amounts: Vec<f32>| {
            without_traces(&mut amounts);
            amounts
        };
        // A pixel of one material is wholly that, whatever its brightness.
        assert_eq!(without(vec![2e-5, 0.3, 1e-9]), [0.0, 1.0, 0.0]);
        assert_eq!(without(vec![0.5, 0.5]), [0.5, 0.5]);
        let found = without(vec![1e-5, 0.6, 0.2]);
        assert!(found[0] == 0.0 && (found[1] - 0.75).abs() < 1e-6, "{found:?}");
        // What is no trace stays.
        assert!(without(vec![2e-4, 1.0])[0] > 1.9e-4);
        // Of very many none need be above a ten-thousandth.
        let many = without(vec![1.0; 20_000]);
        assert!(many.iter().all(|&w| (w - 5e-5).abs() < 1e-8));
        // Nothing, and what is no number, stay.
        assert_eq!(without(vec![0.0, 0.0]), [0.0, 0.0]);
        assert!(without(vec![f32::NAN, 1.0])[0].is_nan());
    }
}
