//! How close an estimate is to a known truth: spectral angles, abundance errors, and the matching
//! of endmembers that both need.

pub mod calibration;
pub mod nearest;
mod reference;

use crate::engine::ground::error::{Error, Result};
use crate::scene::Scene;
use crate::statistics::angles::assign;
pub use crate::statistics::angles::{match_spectra, sad};
use ndarray::{Array2, ArrayView2, Axis};
use serde::Serialize;

pub use reference::{Reference, Scores, valid};

/// An estimate against a truth.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Score {
    /// For each endmember of the truth, the index of the estimated one that stands for it.
    pub matching: Vec<usize>,
    /// Spectral angle of each pair in radians, in the truth's order; none without true spectra.
    pub sad: Option<Vec<f64>>,
    /// The mean of `sad`.
    pub mean_sad: Option<f64>,
    /// Root of the mean square abundance error over pixels and endmembers together; none without
    /// true abundances.
    pub abundance_rmse: Option<f64>,
    /// Root of the mean square abundance error of each endmember of the truth, over pixels; none
    /// without true abundances.
    pub abundance_rmse_each: Option<Vec<f64>>,
    /// Pixels that the abundance errors were taken over: those with a finite truth.
    pub pixels: Option<usize>,
}

/// Root of the mean square over valid pixels and bands of what mixtures leave of a scene (N, L):
/// y - sum_k amount_k c_k, reflectance, for endmembers (K, L) and amounts (N, K) of any sum.
///
/// # Errors
///
/// [`Error::Scene`] when sizes differ.
pub fn reconstruction_rmse(
    scene: &Scene,
    endmembers: ArrayView2<f64>,
    amounts: ArrayView2<f32>,
) -> Result<f64> {
    let cube = scene.cube();
    let (k, bands) = endmembers.dim();
    if amounts.dim() != (cube.pixels(), k) || bands != cube.bands() {
        return Err(Error::Scene(format!(
            "Amounts are {:?}, endmembers {:?} and the cube {:?}; they must be (pixels, \
             endmembers), (endmembers, bands) and (pixels, bands).",
            amounts.dim(),
            endmembers.dim(),
            (cube.pixels(), cube.bands())
        )));
    }
    let mut squares = 0.0;
    for (n, row) in amounts.rows().into_iter().enumerate() {
        let mix = row.mapv(f64::from).dot(&endmembers);
        let left = cube.spectrum(n).iter().zip(&mix).map(|(&y, m)| (f64::from(y) - m).powi(2));
        squares += left.sum::<f64>();
    }
    Ok((squares / (cube.pixels() * bands).max(1) as f64).sqrt())
}

/// Scores estimated endmembers (K, L) and abundances (N, K) against true endmembers (K, L), true
/// abundances (N, K) or both, all in the same convention.
///
/// Endmembers are matched once, one to one, with the smallest sum of spectral angles; when there
/// are no true spectra, with the smallest abundance error. Pixels whose true abundances are not all
/// finite are left out.
///
/// # Errors
///
/// [`Error::Scene`] when no truth is given, when sizes differ, when a spectrum or an estimated
/// abundance that counts is not finite, or when no pixel has a finite truth.
pub fn score(
    endmembers: ArrayView2<f64>,
    abundances: ArrayView2<f32>,
    true_endmembers: Option<ArrayView2<f64>>,
    true_abundances: Option<ArrayView2<f32>>,
) -> Result<Score> {
    score_matched(endmembers, abundances, true_endmembers, true_abundances, None)
}

/// [`score`], where it is known which estimated endmember stands for each true one: `matching` has
/// its index, (K).
///
/// # Errors
///
/// What [`score`] refuses, and [`Error::Scene`] when `matching` does not name each endmember once.
pub fn score_matched(
    endmembers: ArrayView2<f64>,
    abundances: ArrayView2<f32>,
    true_endmembers: Option<ArrayView2<f64>>,
    true_abundances: Option<ArrayView2<f32>>,
    matching: Option<&[usize]>,
) -> Result<Score> {
    check_estimate(endmembers, abundances)?;
    let k = endmembers.nrows();
    if matching.is_some_and(|m| m.len() != k || !(0..k).all(|j| m.contains(&j))) {
        return Err(Error::Scene(format!(
            "The matching {matching:?} must name each of the {k} endmembers once, from 0."
        )));
    }
    if let Some(truth) = true_endmembers {
        check_true_endmembers(endmembers, truth)?;
    }
    let errors = match true_abundances {
        Some(truth) => Some(square_errors(abundances, truth)?),
        None => None,
    };
    let angles = true_endmembers
        .map(|truth| Array2::from_shape_fn((k, k), |(t, e)| sad(truth.row(t), endmembers.row(e))));
    let matching = match (matching, &angles, &errors) {
        (Some(known), ..) if angles.is_some() || errors.is_some() => known.to_vec(),
        (_, Some(angles), _) => assign(angles),
        (_, None, Some((errors, _))) => assign(errors),
        (_, None, None) => {
            return Err(Error::Scene(
                "There is no truth to score against; give true spectra, true abundances or both."
                    .into(),
            ));
        }
    };
    let matched = |costs: &Array2<f64>| -> Vec<f64> {
        matching.iter().enumerate().map(|(t, &e)| costs[[t, e]]).collect()
    };
    let mean = |values: &[f64]| values.iter().sum::<f64>() / k as f64;
    let sad = angles.as_ref().map(matched);
    let squares = errors.as_ref().map(|(errors, _)| matched(errors));
    Ok(Score {
        mean_sad: sad.as_deref().map(mean),
        sad,
        abundance_rmse: squares.as_deref().map(|squares| mean(squares).sqrt()),
        abundance_rmse_each: squares.map(|squares| squares.iter().map(|s| s.sqrt()).collect()),
        pixels: errors.map(|(_, pixels)| pixels),
        matching,
    })
}

fn check_estimate(endmembers: ArrayView2<f64>, abundances: ArrayView2<f32>) -> Result<()> {
    let (k, columns) = (endmembers.nrows(), abundances.ncols());
    if k == 0 || k != columns {
        return Err(Error::Scene(format!(
            "The estimate has {k} endmember spectra and {columns} abundances a pixel; it needs \
             at least 1 of each, and as many of one as of the other."
        )));
    }
    Ok(())
}

fn check_true_endmembers(endmembers: ArrayView2<f64>, truth: ArrayView2<f64>) -> Result<()> {
    check_true_count(endmembers.nrows(), truth.nrows())?;
    if truth.ncols() != endmembers.ncols() {
        return Err(Error::Scene(format!(
            "The truth's spectra have {} bands and the estimate's have {}; give both at the same \
             bands.",
            truth.ncols(),
            endmembers.ncols()
        )));
    }
    for (whose, spectra) in [("truth's", truth), ("estimate's", endmembers)] {
        if let Some(((row, band), value)) = spectra.indexed_iter().find(|(_, v)| !v.is_finite()) {
            return Err(Error::Scene(format!(
                "The {whose} spectrum {} holds {value} in band {} (both counted from 1); only \
                 finite spectra can be compared.",
                row + 1,
                band + 1
            )));
        }
    }
    Ok(())
}

fn check_true_count(k: usize, truth: usize) -> Result<()> {
    if truth != k {
        return Err(Error::Scene(format!(
            "The truth has {truth} endmembers and the estimate has {k}; only equal numbers can be \
             matched, so fit with {truth} endmembers or give another truth."
        )));
    }
    Ok(())
}

/// Mean square difference of each true (row) and estimated (column) abundance over the pixels with
/// a finite truth, and the number of these pixels.
fn square_errors(
    abundances: ArrayView2<f32>,
    truth: ArrayView2<f32>,
) -> Result<(Array2<f64>, usize)> {
    let k = abundances.ncols();
    check_true_count(k, truth.ncols())?;
    if truth.nrows() != abundances.nrows() {
        return Err(Error::Scene(format!(
            "The truth has abundances of {} pixels and the estimate of {}; give both for the same \
             pixels in the same order.",
            truth.nrows(),
            abundances.nrows()
        )));
    }
    let mut sums = Array2::<f64>::zeros((k, k));
    let mut pixels = 0;
    for (pixel, (true_row, row)) in
        truth.axis_iter(Axis(0)).zip(abundances.axis_iter(Axis(0))).enumerate()
    {
        if !true_row.iter().all(|w| w.is_finite()) {
            continue;
        }
        if let Some(bad) = row.iter().find(|w| !w.is_finite()) {
            return Err(Error::Scene(format!(
                "The estimate holds an abundance of {bad} in pixel {pixel} (counted from 0); only \
                 finite abundances can be scored."
            )));
        }
        pixels += 1;
        for (t, &true_share) in true_row.iter().enumerate() {
            for (e, &share) in row.iter().enumerate() {
                sums[[t, e]] += (f64::from(true_share) - f64::from(share)).powi(2);
            }
        }
    }
    if pixels == 0 {
        return Err(Error::Scene(
            "The truth has no pixel with finite abundances; there is nothing to score against."
                .into(),
        ));
    }
    Ok((sums / pixels as f64, pixels))
}
