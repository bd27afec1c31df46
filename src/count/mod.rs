//! How many endmembers a scene has: from the second moments of its spectra, and from short fits.
//!
//! Methods on moments ask how many directions rise above the noise, so what else does (pixels at an
//! edge, light that is reflected twice, variability, noise that is neither of bands nor of
//! neighbours) counts too: on real scenes they are upper ends. The fits know of mixtures,
//! brightness and variability, and decide.

mod evidence;
mod hfc;
mod hysime;
mod noise;

use ndarray::{Array1, Array2};
use serde::Serialize;

use crate::engine::ground::error::{Error, Result};
use crate::scene::{Cube, Scene};
use crate::statistics::moments::{mean_spectrum, second_moment};

pub use evidence::{Evidence, MOST, MOST_PIXELS, STEPS, evidence};
pub use hfc::FALSE_ALARMS;

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
pub struct Count {
    /// One a method and setting.
    pub estimates: Vec<Estimate>,
    /// Short fits with 1, 2, 3, ... endmembers; empty without fits.
    pub evidence: Vec<Evidence>,
    /// The number to take.
    pub recommended: usize,
    /// Why, as a sentence.
    pub reason: String,
    /// Noise sd of each band, (L), reflectance.
    pub noise_sd: Vec<f64>,
    /// Eigenvalues of the noise-whitened correlation matrix, descending, (L): a direction of
    /// nothing but noise has 1.
    pub eigenvalues: Vec<f64>,
    /// HySime's error, with noise from neighbours, of 1, 2, ... L directions: squared projection
    /// error and twice the noise inside, summed over bands.
    pub hysime_error: Vec<f64>,
}

/// Estimates the number of endmembers of a scene of N pixels and L bands. Cost: N L^2 and a few
/// L^3.
///
/// HFC with noise whitening (Chang and Du 2004, "Estimation of number of spectrally distinct signal
/// sources in hyperspectral imagery", IEEE TGRS 42) at five false-alarm rates, and HySime
/// (Bioucas-Dias and Nascimento 2008, "Hyperspectral subspace identification", IEEE TGRS 46) with
/// noise from two sources: what a regression of each band on all others leaves, as in the paper,
/// which takes noise that bands share, and variability between pixels, for signal; and what
/// neighbouring pixels do not share, which takes the slopes of the scene for noise. Recommended is
/// the smaller of the latter two. Neighbours are valid pixels that follow each other in the image.
/// One band has one endmember.
///
/// # Errors
///
/// [`Error::Scene`] when there are fewer than two pixels more than bands, too few for the
/// regressions, or a value is not finite.
pub fn count(scene: &Scene) -> Result<Count> {
    let cube = scene.cube();
    let (pixels, bands) = (cube.pixels(), cube.bands());
    if bands == 0 || pixels < bands + 2 {
        return Err(Error::Scene(format!(
            "The scene has {pixels} valid pixels and {bands} bands in use; the number of \
             endmembers \
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
    for (rate, quantile) in FALSE_ALARMS {
        let endmembers = whitened.count(quantile, pixels).clamp(1, most);
        let method = format!("NWHFC, false alarms {rate:.0e}");
        estimates.push(Estimate { method, endmembers });
    }
    let diagonal = Array2::from_diag(&Array1::from(noise.clone()));
    let (upper, _) = hysime::subspace(&correlation, &diagonal);
    let (subspace, hysime_error) = hysime::subspace(&correlation, &noise::of_neighbours(cube));
    let (upper, subspace) = (upper.clamp(1, most), subspace.clamp(1, most));
    for (method, endmembers) in [
        ("HySime, noise by regression of bands", upper),
        ("HySime, noise by neighbouring pixels", subspace),
    ] {
        estimates.push(Estimate { method: method.into(), endmembers });
    }
    let recommended = subspace.min(upper);
    let reason = format!(
        "the smaller of HySime with noise from bands ({upper}) and from neighbours ({subspace}); \
         on \
         real scenes an upper end."
    );
    Ok(Count {
        estimates,
        evidence: Vec::new(),
        recommended,
        reason,
        noise_sd: noise.iter().map(|v| v.sqrt()).collect(),
        eigenvalues: whitened.correlation,
        hysime_error,
    })
}

/// Noise of each band, sd, reflectance, (L): what a regression on all other bands leaves. None of
/// fewer pixels than it needs, or with values that are not finite.
pub fn noise_sds(cube: &Cube) -> Option<Vec<f64>> {
    let (pixels, bands) = (cube.pixels(), cube.bands());
    if bands == 0 || pixels < bands + 2 {
        return None;
    }
    let correlation = second_moment(cube, &Array1::zeros(bands));
    let finite = correlation.iter().all(|v| v.is_finite());
    finite.then(|| noise::variances(&correlation, pixels).into_iter().map(f64::sqrt).collect())
}

impl Count {
    /// Takes what [`evidence`] found: the number with the highest ELBO is recommended, where a
    /// larger one must gain 0.2 %. Without any the recommendation stays.
    pub fn with_evidence(mut self, found: Vec<Evidence>) -> Self {
        if let Some((k, elbo)) = evidence::best(&found) {
            let beside = |k: usize| {
                let one = found.iter().find(|one| one.endmembers == k)?;
                Some(format!("{:.2} with {k}", one.elbo?))
            };
            let beside: Vec<String> =
                [k.wrapping_sub(1), k + 1].into_iter().filter_map(beside).collect();
            let than = match beside.is_empty() {
                true => String::new(),
                false => format!(" against {}", beside.join(" and ")),
            };
            self.reason = format!(
                "beyond which short fits gain no ELBO ({elbo:.2} nats a pixel{than}); by moments \
                 {} \
                 directions rise above the noise.",
                self.recommended
            );
            self.recommended = k;
        }
        self.evidence = found;
        self
    }
}
