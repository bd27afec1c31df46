//! Spectral angles, and the pairing of spectra that they give.

use ndarray::{Array2, ArrayView1, ArrayView2};
use pathfinding::{kuhn_munkres::kuhn_munkres_min, matrix::Matrix};

use crate::engine::ground::error::{Error, Result};

/// Spectral angle between two spectra in radians, 0 to pi (Kruse et al. 1993, "The spectral image
/// processing system (SIPS)", Remote Sensing of Environment 44).
///
/// An angle that does not exist, as one of the spectra is zero or not finite, counts as pi / 2. A
/// band that only one of them has counts as zero in the other. Computed by Kahan's formula, exact
/// near 0 where the arc cosine loses half of the digits.
pub fn sad(a: ArrayView1<f64>, b: ArrayView1<f64>) -> f64 {
    let (Some(a), Some(b)) = (direction(a), direction(b)) else {
        return std::f64::consts::FRAC_PI_2;
    };
    let at = |v: &[f64], band: usize| v.get(band).copied().unwrap_or(0.0);
    let (mut apart, mut along) = (0.0, 0.0);
    for band in 0..a.len().max(b.len()) {
        apart += (at(&a, band) - at(&b, band)).powi(2);
        along += (at(&a, band) + at(&b, band)).powi(2);
    }
    2.0 * f64::atan2(apart.sqrt(), along.sqrt())
}

/// The unit vector along a spectrum, if there is one.
fn direction(spectrum: ArrayView1<f64>) -> Option<Vec<f64>> {
    // Divided by the peak first, so that no square over- or underflows.
    let peak = spectrum.iter().fold(0.0_f64, |peak, v| peak.max(v.abs()));
    if peak == 0.0 || !spectrum.iter().all(|v| v.is_finite()) {
        return None;
    }
    let length = spectrum.iter().map(|v| (v / peak).powi(2)).sum::<f64>().sqrt();
    Some(spectrum.iter().map(|v| v / peak / length).collect())
}

/// Pairs two sets of spectra, (K, L) each, one to one with the smallest sum of spectral angles: for
/// each of `a` the row of `b`, and their angle in radians.
///
/// # Errors
///
/// [`Error::Scene`] when their numbers differ or there is none.
pub fn match_spectra(a: ArrayView2<f64>, b: ArrayView2<f64>) -> Result<Vec<(usize, f64)>> {
    let (k, other) = (a.nrows(), b.nrows());
    if k == 0 || k != other {
        return Err(Error::Scene(format!(
            "{k} and {other} spectra cannot be paired; give as many of one as of the other."
        )));
    }
    let angles = Array2::from_shape_fn((k, k), |(i, j)| sad(a.row(i), b.row(j)));
    Ok(assign(&angles).into_iter().enumerate().map(|(i, j)| (j, angles[[i, j]])).collect())
}

/// The column for each row of a square matrix that makes the sum of costs smallest (Kuhn 1955).
pub(crate) fn assign(costs: &Array2<f64>) -> Vec<usize> {
    // The solver wants ordered numbers: whole ones, fine enough to keep 15 digits of the largest
    // cost and small enough that thousands of them sum without overflow.
    let largest = costs.iter().copied().fold(f64::MIN_POSITIVE, f64::max);
    let whole = |cost: &f64| (cost / largest * 2_f64.powi(50)) as i64;
    let rows = costs.rows().into_iter().map(|row| row.iter().map(whole).collect::<Vec<_>>());
    match Matrix::from_rows(rows) {
        Ok(weights) => kuhn_munkres_min(&weights).1,
        // Rows of one array have one length.
        Err(_) => (0..costs.nrows()).collect(),
    }
}
