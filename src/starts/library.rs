//! Endmembers out of a spectral library.

use ndarray::Array2;

use super::finder::Finder;
use crate::engine::ground::error::{Error, Result};
use crate::engine::ground::setting;
use crate::scene::Cube;

/// The `k` rows of `library`, (spectra, L) in the bands of the cube, whose non-negative mixtures
/// come closest to the scene, ascending.
///
/// The scene is taken as its clusters of spectral shape, five an endmember, weighted by size, so
/// that the cost does not grow with the pixels; rows are added greedily (orthogonal matching
/// pursuit with signs; Bioucas-Dias and Figueiredo 2010 state the problem as sparse unmixing) and
/// then exchanged one by one while that gains. The same seed gives the same rows.
///
/// # Errors
///
/// [`Error::Setting`] when the library has fewer than `k` spectra, other bands than the cube or
/// values that are not finite, or when `k` is too large for the cube; [`Error::Scene`] when the
/// cube holds values that are not finite.
pub fn choose_from_library(
    cube: &Cube,
    k: usize,
    library: &Array2<f64>,
    seed: u64,
) -> Result<Vec<usize>> {
    let finder = Finder::new(cube, k, true, seed)?;
    let refuse = |reason: String| Err(Error::option(setting::INIT, reason));
    if library.nrows() < k {
        return refuse(format!(
            "it gives {} spectra, and the fit has {k} endmembers; give a library of at least {k}.",
            library.nrows()
        ));
    }
    if library.ncols() != cube.bands() {
        return refuse(format!(
            "its spectra have {} bands, but the scene has {} in use; give spectra at the scene's \
             own bands.",
            library.ncols(),
            cube.bands()
        ));
    }
    if let Some(((row, band), value)) = library.indexed_iter().find(|(_, v)| !v.is_finite()) {
        return refuse(format!(
            "spectrum {} holds {value} in band {} (both counted from 1); every value must be a \
             finite number.",
            row + 1,
            band + 1
        ));
    }
    let mut chosen = finder.clusters(seed, 0).explained_by(library.view()).choose(k, seed);
    chosen.sort_unstable();
    Ok(chosen)
}
