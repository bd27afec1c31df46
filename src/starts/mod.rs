//! Where a fit begins: endmember spectra and the abundances that go with them.
//!
//! Spectra come from [`vca`], from [`random`] pixels or from the caller; [`fcls`] gives their
//! abundances; [`purest`] replaces extreme single pixels with the mean of the purest ones, which
//! carries less noise and fewer outliers.

mod brightness;
mod fcls;
mod purest;
mod random;
mod vca;

pub use brightness::fcls_with_brightness;
pub use fcls::fcls;
pub use purest::purest;
pub use random::random;
pub use vca::vca;

use crate::error::{Error, Result};
use crate::scene::Cube;
use ndarray::{Array1, Array2, Axis};
use rayon::prelude::*;

/// How the first endmember spectra are found.
#[derive(Debug, Clone, PartialEq)]
pub enum Init {
    /// Vertex component analysis: pixels at the corners of the data cloud.
    Vca,
    /// Pixels drawn at random.
    Random,
    /// These spectra, (K, L), in the reflectance and the bands of the cube.
    Spectra(Array2<f64>),
}

/// A place to begin.
#[derive(Debug, Clone, PartialEq)]
pub struct Start {
    /// Endmember spectra, (K, L), reflectance.
    pub endmembers: Array2<f64>,
    /// Abundances that fit the cube best with these spectra, (N, K), each row on the simplex.
    pub abundances: Array2<f32>,
    /// Log brightness of each pixel, (N), where the model has it.
    pub log_brightness: Option<Array1<f32>>,
    /// How they were found, as a phrase for reports.
    pub description: String,
}

/// Finds a start of `k` endmembers for a cube of N pixels and L bands.
///
/// `Vca` and `Random` take pixels, invert the cube with them (FCLS), replace each spectrum with the
/// mean of its purest pixels and invert again; `Spectra` are inverted as they are. `Vca` does so
/// with the pixels of both projections of the paper, where the second is due, and keeps what fits
/// best: in scenes with water the second alone often takes two corners in the water's noise. The
/// same seed gives the same start with any number of threads; `Spectra` use no seed.
///
/// With `brightness`, the abundances that go with the spectra are those of the shapes of the
/// spectra, and the factor between the two is the brightness ([`fcls_with_brightness`]).
///
/// # Errors
///
/// [`Error::Option`] when `k` is 0 or more than L or N, or when the given spectra are not finite or
/// not `k` by L; [`Error::Scene`] when the cube holds a value that is not finite.
pub fn start(cube: &Cube, k: usize, init: &Init, brightness: bool, seed: u64) -> Result<Start> {
    check_count(cube, k)?;
    check_finite(cube)?;
    let (candidates, how) = match init {
        Init::Spectra(spectra) => {
            check_spectra(cube, k, spectra)?;
            return Start::around(cube, spectra.clone(), brightness, "given spectra");
        }
        Init::Vca => (vca::candidates(cube, k, seed)?, "vertex component analysis"),
        Init::Random => (vec![random(cube, k, seed)?], "random pixels"),
    };
    let how = format!("{how}, means of the purest pixels");
    let mut best: Option<(f64, Start)> = None;
    for pixels in candidates {
        let extremes = spectra_of(cube, &pixels);
        let endmembers = purest(cube, &fcls(cube, &extremes)?, &extremes)?;
        let start = Start::around(cube, endmembers, brightness, &how)?;
        let misfit = start.misfit(cube);
        if best.as_ref().is_none_or(|(least, _)| misfit < *least) {
            best = Some((misfit, start));
        }
    }
    best.map(|(_, start)| start).ok_or_else(|| Error::Fit("No start was found.".into()))
}

impl Start {
    /// The start with these spectra, (K, L).
    fn around(cube: &Cube, endmembers: Array2<f64>, brightness: bool, how: &str) -> Result<Start> {
        let (abundances, log_brightness, by) = if brightness {
            let (abundances, log_brightness) = fcls_with_brightness(cube, &endmembers)?;
            (abundances, Some(log_brightness), "FCLS on the shapes of spectra")
        } else {
            (fcls(cube, &endmembers)?, None, "FCLS")
        };
        let description = format!("{how}, abundances by {by}");
        Ok(Start { endmembers, abundances, log_brightness, description })
    }

    /// Sum of squares of what the mixtures leave unexplained.
    fn misfit(&self, cube: &Cube) -> f64 {
        let of_pixel = |pixel: usize| {
            let bright = self.log_brightness.as_ref().map_or(1.0, |g| f64::from(g[pixel]).exp());
            let amounts = self.abundances.row(pixel).mapv(|w| bright * f64::from(w));
            let residual = |(&y, mix): (&f32, &f64)| (f64::from(y) - mix).powi(2);
            cube.spectrum(pixel)
                .iter()
                .zip(&amounts.dot(&self.endmembers))
                .map(residual)
                .sum::<f64>()
        };
        // Collected before they are summed: the order of a parallel sum is not fixed.
        (0..cube.pixels()).into_par_iter().map(of_pixel).collect::<Vec<f64>>().iter().sum()
    }
}

/// The spectra of some pixels, (pixels, L).
fn spectra_of(cube: &Cube, pixels: &[usize]) -> Array2<f64> {
    let mut spectra = Array2::zeros((pixels.len(), cube.bands()));
    for (mut row, &pixel) in spectra.axis_iter_mut(Axis(0)).zip(pixels) {
        row.iter_mut().zip(cube.spectrum(pixel)).for_each(|(to, &from)| *to = from.into());
    }
    spectra
}

/// Refuses a number of endmembers that no start can have in this cube.
///
/// # Errors
///
/// [`Error::Option`] when `k` is 0 or more than the bands or the pixels.
pub fn check_count(cube: &Cube, k: usize) -> Result<()> {
    let refuse = |reason: String| Err(Error::option(format!("--endmembers {k}"), reason));
    if k == 0 {
        return refuse("a scene needs at least 1 endmember; give 1 or more.".into());
    }
    let (bands, pixels) = (cube.bands(), cube.pixels());
    if k > bands {
        return refuse(format!(
            "the scene has {bands} bands in use, and no more endmembers than bands can be told \
             apart; give 1 to {}.",
            bands.min(pixels)
        ));
    }
    if k > pixels {
        return refuse(format!(
            "the scene has only {pixels} valid pixels to find them in; give 1 to {pixels}."
        ));
    }
    Ok(())
}

fn check_finite(cube: &Cube) -> Result<()> {
    // Padding is part of it: it is zero, and a cube where it is not would spoil every product.
    let bad = cube.padded().par_iter().position_first(|value| !value.is_finite());
    match bad {
        None => Ok(()),
        Some(at) => Err(Error::Scene(format!(
            "Pixel {} of the cube holds {} in band {} (both counted from 0); only finite values \
             can be unmixed, so leave such pixels or bands out.",
            at / cube.stride(),
            cube.padded()[at],
            at % cube.stride()
        ))),
    }
}

fn check_spectra(cube: &Cube, k: usize, spectra: &Array2<f64>) -> Result<()> {
    let refuse = |reason: String| Err(Error::option("--init", reason));
    let (rows, bands) = spectra.dim();
    if rows != k {
        return refuse(format!(
            "it gives {rows} spectra, but --endmembers {k} asks for {k}; make the two agree."
        ));
    }
    if bands != cube.bands() {
        return refuse(format!(
            "its spectra have {bands} bands, but the scene has {} in use; give spectra at the \
             scene's own bands.",
            cube.bands()
        ));
    }
    match spectra.indexed_iter().find(|(_, value)| !value.is_finite()) {
        None => Ok(()),
        Some(((row, band), value)) => refuse(format!(
            "spectrum {} holds {value} in band {} (both counted from 1); every value must be a \
             finite number.",
            row + 1,
            band + 1
        )),
    }
}
