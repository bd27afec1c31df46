//! How many endmembers a scene has, from the second moments of its spectra.
//!
//! Both methods ask how many directions rise above the noise, so what else does (variability between
//! pixels, light that is reflected twice, noise common to bands) counts too: on real scenes take
//! them as upper ends.

mod hfc;
mod hysime;
mod noise;

use ndarray::Array2;
use serde::Serialize;

use crate::error::{Error, Result};
use crate::moments::{mean_spectrum, second_moment};
use crate::scene::Cube;

pub use hfc::FALSE_ALARMS;

/// The false-alarm rate of the recommendation.
const RATE: f64 = 1e-4;

/// What one method says.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Estimate {
    /// The method and what it was told, for tables.
    pub method: String,
    /// Number of endmembers, 1 to bands and pixels.
    pub endmembers: usize,
}

/// The evidence on the number of endmembers.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Rank {
    /// One a method and setting.
    pub estimates: Vec<Estimate>,
    /// The number to take.
    pub recommended: usize,
    /// Why, as a sentence.
    pub reason: String,
    /// Noise sd of each band, (L), reflectance.
    pub noise_sd: Vec<f64>,
    /// Eigenvalues of the noise-whitened correlation matrix, descending, (L): a direction of nothing
    /// but noise has 1.
    pub eigenvalues: Vec<f64>,
    /// HySime's error of a subspace of 1, 2, ... L directions: squared projection error and twice the
    /// noise inside, summed over bands, up to a constant.
    pub hysime_error: Vec<f64>,
}

/// Estimates the number of endmembers of a cube of N pixels and L bands. Cost: N L^2 and a few L^3.
///
/// HFC with noise whitening (Chang and Du 2004, "Estimation of number of spectrally distinct signal
/// sources in hyperspectral imagery", IEEE TGRS 42) at five false-alarm rates, and HySime
/// (Bioucas-Dias and Nascimento 2008, "Hyperspectral subspace identification", IEEE TGRS 46). Noise
/// is what a regression of each band on all others leaves (the latter paper): noise that
/// neighbouring bands share is taken for signal. One band has one endmember.
///
/// # Errors
///
/// [`Error::Scene`] when there are fewer than two pixels more than bands, too few for the
/// regressions, or a value is not finite.
pub fn rank(cube: &Cube) -> Result<Rank> {
    let (pixels, bands) = (cube.pixels(), cube.bands());
    if bands == 0 || pixels < bands + 2 {
        return Err(Error::Scene(format!(
            "The scene has {pixels} valid pixels and {bands} bands in use; the number of endmembers \
             can be estimated from at least 1 band and {} pixels. Give the number.",
            bands + 2
        )));
    }
    let mean = mean_spectrum(cube);
    let covariance = second_moment(cube, &mean);
    let outer = Array2::from_shape_fn((bands, bands), |(i, j)| mean[i] * mean[j]);
    let correlation = &covariance + &outer;
    if !correlation.iter().all(|v| v.is_finite()) {
        return Err(Error::Scene("The scene holds values that are not finite.".into()));
    }
    let noise = noise::variances(&correlation, pixels);
    let whiten = |matrix: &Array2<f64>| {
        Array2::from_shape_fn((bands, bands), |(i, j)| {
            matrix[[i, j]] / (noise[i] * noise[j]).sqrt()
        })
    };
    let whitened = hfc::Spectra::new(&whiten(&correlation), &whiten(&covariance));
    let most = bands.min(pixels);
    let mut estimates = Vec::new();
    let mut virtual_dimension = 1;
    for (rate, quantile) in FALSE_ALARMS {
        let endmembers = whitened.count(quantile, pixels).clamp(1, most);
        if rate == RATE {
            virtual_dimension = endmembers;
        }
        let method = format!("NWHFC, false alarms {rate:.0e}");
        estimates.push(Estimate { method, endmembers });
    }
    let (subspace, hysime_error) = hysime::subspace(&correlation, &noise);
    let subspace = subspace.clamp(1, most);
    estimates.push(Estimate { method: "HySime".into(), endmembers: subspace });
    let recommended = subspace.min(virtual_dimension);
    let reason = format!(
        "the smaller of HySime ({subspace}) and NWHFC at a false-alarm rate of {RATE:.0e} \
         ({virtual_dimension}): what is no endmember raises either."
    );
    Ok(Rank {
        estimates,
        recommended,
        reason,
        noise_sd: noise.iter().map(|v| v.sqrt()).collect(),
        eigenvalues: whitened.correlation,
        hysime_error,
    })
}
