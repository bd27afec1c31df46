//! Random pixels as first endmembers.

use super::{check_count, check_finite};
use crate::engine::ground::error::Result;
use crate::scene::Cube;
use rand::{SeedableRng, rngs::ChaCha8Rng, seq::SliceRandom};

/// `k` pixels drawn at random without replacement, as they are; a pixel that repeats the spectrum
/// of an earlier one is taken only when there are not enough different spectra.
///
/// # Errors
///
/// What [`start`](super::start) refuses: [`Error::Setting`](crate::Error::Setting) for a number of
/// endmembers that is 0 or more than the cube has pixels or bands,
/// [`Error::Scene`](crate::Error::Scene) when the cube holds a value that is not finite.
pub fn random(cube: &Cube, k: usize, seed: u64) -> Result<Vec<usize>> {
    check_count(cube, k)?;
    check_finite(cube)?;
    let mut order: Vec<usize> = (0..cube.pixels()).collect();
    order.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
    let mut picked: Vec<usize> = Vec::with_capacity(k);
    let mut repeats = Vec::new();
    for pixel in order {
        if picked.len() == k {
            break;
        }
        if picked.iter().any(|&p| cube.spectrum(p) == cube.spectrum(pixel)) {
            repeats.push(pixel);
        } else {
            picked.push(pixel);
        }
    }
    let missing = k - picked.len();
    picked.extend(repeats.into_iter().take(missing));
    Ok(picked)
}
