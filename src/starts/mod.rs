//! Where a fit begins: endmember spectra and the abundances that go with them.
//!
//! Families of starts fail in different ways, so a search takes several: corners of the data cloud
//! ([`vca`], on spectra or on their shapes), the largest simplex ([`nfindr`]), clusters of shapes
//! of which the others are mixtures, [`random`] pixels, or spectra from the caller. [`purest`]
//! replaces extreme single pixels with the mean of the purest ones, which carries less noise and
//! fewer outliers; [`fcls`] gives abundances.

mod brightness;
mod candidates;
mod clusters;
mod explain;
mod families;
mod fcls;
mod finder;
mod kmeans;
mod learned;
mod library;
mod nfindr;
mod nnls;
mod normal;
mod purest;
mod random;
mod sample;
mod simplex;
mod sums;
mod survey;
mod vca;

pub use brightness::fcls_with_brightness;
pub use candidates::{Candidate, cluster_candidates, residual_candidates};
pub use families::{Families, Proposal, families, misfits};
pub use fcls::fcls;
pub use learned::{by_lot, learned_from, learned_from_windows};
pub use library::choose_from_library;
pub use nfindr::nfindr;
pub use nnls::nnls;
pub use purest::purest;
pub use random::random;
pub use survey::{Extremes, Scored, Survey};
pub use vca::vca;

use crate::engine::ground::error::{Error, Result};
use crate::engine::ground::setting;
use crate::engine::guide::Guide;
use crate::engine::model::Model;
use crate::engine::pixels::Pixels;
use crate::engine::svi;
use crate::scene::Cube;
use finder::Finder;
use ndarray::{Array1, Array2, Axis};
use rayon::prelude::*;

/// How the first endmember spectra are found.
#[derive(Debug, Clone, PartialEq)]
pub enum Init {
    /// Vertex component analysis: pixels at the corners of the data cloud.
    Vca,
    /// Vertex component analysis of spectra that are divided by their sums over bands, so that
    /// shade is no direction.
    VcaNormalised,
    /// The pixels that span the largest simplex (N-FINDR).
    NFindr,
    /// The pixels that span the largest simplex of spectra that are divided by their sums over
    /// bands, so that shade is no direction.
    NFindrNormalised,
    /// The smallest simplex around the pixels: of scenes without pure pixels.
    Simplex,
    /// The smallest simplex around the spectra that are divided by their sums over bands.
    SimplexNormalised,
    /// Clusters of spectral shape of which the other clusters are mixtures.
    Clusters,
    /// Pixels drawn at random.
    Random,
    /// Given spectra, (K, L), in the reflectance and the bands of the cube.
    Spectra(Array2<f64>),
}

impl Init {
    /// Every family that needs no given spectra.
    pub const FAMILIES: [Init; 8] = [
        Init::Vca,
        Init::VcaNormalised,
        Init::NFindr,
        Init::Clusters,
        Init::Simplex,
        Init::SimplexNormalised,
        Init::NFindrNormalised,
        Init::Random,
    ];

    /// A short name, as the command line takes it and reports say it.
    pub fn name(&self) -> &'static str {
        match self {
            Init::Vca => "vca",
            Init::VcaNormalised => "vca-normalised",
            Init::NFindr => "nfindr",
            Init::NFindrNormalised => "nfindr-normalised",
            Init::Simplex => "simplex",
            Init::SimplexNormalised => "simplex-normalised",
            Init::Clusters => "clusters",
            Init::Random => "random",
            Init::Spectra(_) => "spectra",
        }
    }

    fn phrase(&self) -> &'static str {
        match self {
            Init::Vca => "vertex component analysis, means of the purest pixels",
            Init::VcaNormalised => {
                "vertex component analysis of normalised spectra, means of the purest pixels"
            }
            Init::NFindr => "the simplex of largest volume, means of the purest pixels",
            Init::NFindrNormalised => {
                "the simplex of largest volume of normalised spectra, means of the purest pixels"
            }
            Init::Simplex => "the smallest simplex around the pixels",
            Init::SimplexNormalised => "the smallest simplex around normalised spectra",
            Init::Clusters => "clusters of spectral shape",
            Init::Random => "random pixels, means of the purest pixels",
            Init::Spectra(_) => "given spectra",
        }
    }
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
/// `Vca`, `NFindr`, both of these on normalised spectra, and `Random` choose pixels, compute
/// abundances with their spectra (FCLS), replace each spectrum with the mean of its purest pixels,
/// and compute abundances again; `Clusters` are means already, and `Spectra` stay as they are. The
/// two VCA do so with the pixels of both projections of the paper, where the paper would take the
/// second, and keep what fits best: in scenes with water the second alone often takes two corners
/// in the water's noise. Scenes of more than 20,000 pixels are searched in some 20,000 of them, the
/// extreme and ill-explained ones included; abundances are of all pixels. A start depends on the
/// seed alone, not on the number of threads; `Spectra` use no seed.
///
/// With `brightness`, the abundances that go with the spectra are those of the shapes of the
/// spectra, and the factor between the two is the brightness ([`fcls_with_brightness`]).
///
/// # Errors
///
/// [`Error::Setting`] when `k` is 0 or more than L or N, or when the given spectra are not finite
/// or not `k` by L; [`Error::Scene`] when the cube holds a value that is not finite.
pub fn start(cube: &Cube, k: usize, init: &Init, brightness: bool, seed: u64) -> Result<Start> {
    let endmembers = match init {
        Init::Spectra(spectra) => {
            check_count(cube, k)?;
            check_finite(cube)?;
            check_spectra(cube, k, spectra)?;
            spectra.clone()
        }
        _ => Finder::new(cube, k, brightness, seed)?.spectra(init, seed, 0)?,
    };
    Start::around(cube, endmembers, brightness, init.phrase())
}

/// The guide around endmember spectra, (K, L), and the abundances that go with them in these
/// pixels, for a run with these settings.
///
/// # Errors
///
/// What [`svi::params`] and [`fcls()`] refuse.
pub fn begin(
    model: &Model,
    settings: &svi::Settings,
    pixels: &Pixels,
    endmembers: Array2<f64>,
) -> Result<Guide> {
    let sizes = svi::params(model, settings, (pixels.count(), pixels.bands()))?;
    let cube = pixels.cube();
    let start = Start::around(cube, endmembers, model.brightness.is_some(), "")?;
    let log_brightness = start.log_brightness.as_ref().map(|g| g.view());
    let (endmembers, abundances) = (start.endmembers.view(), start.abundances.view());
    Ok(Guide::around(&sizes, model, cube, endmembers, abundances, log_brightness))
}

impl Start {
    /// The start with these spectra, (K, L) in the cube's reflectance and bands; `how` says where
    /// they come from.
    ///
    /// # Errors
    ///
    /// What [`fcls()`] refuses: [`Error::Scene`] when there is no endmember, or when the numbers of
    /// bands differ.
    pub fn around(
        cube: &Cube,
        endmembers: Array2<f64>,
        brightness: bool,
        how: &str,
    ) -> Result<Start> {
        let (abundances, log_brightness, by) = if brightness {
            let (abundances, log_brightness) = fcls_with_brightness(cube, &endmembers)?;
            (abundances, Some(log_brightness), "FCLS on the shapes of spectra")
        } else {
            (fcls(cube, &endmembers)?, None, "FCLS")
        };
        let description = format!("{how}, abundances by {by}");
        Ok(Start { endmembers, abundances, log_brightness, description })
    }

    /// Squares of what the mixtures leave of each pixel, summed over bands, (N).
    fn misfits(&self, cube: &Cube) -> Vec<f64> {
        let stride = cube.stride();
        let endmembers = sums::padded(self.endmembers.view(), stride);
        let of_pixel = |amounts: &mut Vec<f64>, pixel: usize| {
            let bright = self.log_brightness.as_ref().map_or(1.0, |g| f64::from(g[pixel]).exp());
            amounts.clear();
            amounts.extend(self.abundances.row(pixel).iter().map(|&w| bright * f64::from(w)));
            sums::left(&endmembers, amounts, &cube.padded()[pixel * stride..][..stride])
        };
        (0..cube.pixels()).into_par_iter().map_init(Vec::new, of_pixel).collect()
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
/// [`Error::Setting`] when `k` is 0 or more than the bands or the pixels.
pub fn check_count(cube: &Cube, k: usize) -> Result<()> {
    check_sizes(cube.bands(), cube.pixels(), k)
}

/// Refuses a number of endmembers that so many bands and pixels cannot tell apart; a header is
/// enough to ask, before any pixel is read.
///
/// # Errors
///
/// [`Error::Setting`] with the number and what is allowed.
pub fn check_sizes(bands: usize, pixels: usize, k: usize) -> Result<()> {
    let refuse = |reason: String| Err(Error::setting(setting::ENDMEMBERS, k, reason));
    if k == 0 {
        return refuse("a scene needs at least 1 endmember; give 1 or more.".into());
    }
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
    const BLOCK: usize = 4096;
    // Padding is part of it: it is zero, and a cube where it is not would spoil every product.
    // Without a way out, blocks are checked by vectors.
    let is_bad = |block: &&[f32]| !block.iter().fold(true, |good, value| good & value.is_finite());
    let block = cube.padded().par_chunks(BLOCK).enumerate().find_first(|(_, block)| is_bad(block));
    let bad = block.and_then(|(at, block)| {
        Some(at * BLOCK + block.iter().position(|value| !value.is_finite())?)
    });
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
    let refuse = |reason: String| Err(Error::option(setting::INIT, reason));
    let (rows, bands) = spectra.dim();
    if rows != k {
        return refuse(format!(
            "it gives {rows} spectra, and the fit has {k} endmembers; make the two agree."
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
