//! The amounts of pixels that fit best, and whether what they leave is noise.

use ndarray::Array2;

use super::group::Group;
use super::group_at;
use super::known::Known;
use crate::engine::ground::lanes::LANES;
use crate::engine::pixels::Cube;
use crate::statistics::products::{NONLINEAR, share_of_products};

/// The amounts of each pixel that fit best with some spectra, (K, L), (N, K), and what they leave,
/// (N, L), reflectance. `key` is the seed's.
pub(super) fn best_fit(
    known: &Known,
    cube: &Cube,
    key: [u32; 2],
    spectra: &[f64],
) -> (Array2<f64>, Array2<f64>) {
    let (k, bands, count) = (known.k, known.bands, cube.pixels());
    let by_bands = known.by_bands(spectra);
    let mut amounts = Array2::zeros((count, k));
    let mut group = Group::new(known);
    for first in (0..count).step_by(LANES) {
        let pixels = group_at(first, count);
        group.take(cube, &pixels, key, &by_bands);
        for (lane, &n) in pixels.iter().enumerate() {
            let around = group.around.iter().skip(lane).step_by(LANES);
            amounts.row_mut(n).iter_mut().zip(around).for_each(|(to, &u)| *to = u.into());
        }
    }
    let spectra = Array2::from_shape_fn((k, bands), |(i, l)| spectra[i * bands + l]);
    let mut rest = -amounts.dot(&spectra);
    for (n, mut rest) in rest.rows_mut().into_iter().enumerate() {
        rest.iter_mut().zip(cube.spectrum(n)).for_each(|(rest, &y)| *rest += f64::from(y));
    }
    (amounts, rest)
}

/// Whether pixels mix spectra, (K, L), linearly, as far as they are enough to tell.
pub(super) fn is_linear(known: &Known, cube: &Cube, key: [u32; 2], spectra: &[f64]) -> bool {
    let (amounts, rest) = best_fit(known, cube, key, spectra);
    share_of_products(amounts.view(), rest.view()).is_some_and(|share| share <= NONLINEAR)
}
