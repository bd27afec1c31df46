//! The means of a guide: what a search asks of its fits.

use ndarray::{Array1, Array2, ArrayView1};

use super::of_pixels::OfGuide;
use crate::convention::Convention;
use crate::engine::guide::Guide;
use crate::engine::layout::BRIGHTNESS;
use crate::engine::pixels::Pixels;

/// The means of a [`Posterior`](super::Posterior) of a guide, without its sds, quantiles and
/// residuals.
pub(crate) struct Means {
    /// Abundances, (N, K), each row on the simplex.
    pub(crate) abundances: Array2<f32>,
    /// Brightness of each pixel, (N); none where that is one for all.
    pub(crate) brightness: Option<Array1<f32>>,
    /// Endmember spectra, (K, L).
    pub(crate) endmembers: Array2<f64>,
}

impl Means {
    /// Of a guide of these pixels, with rows in the order of their cube.
    pub(crate) fn new(guide: &Guide, of: &Pixels, convention: Convention) -> Self {
        let OfGuide { spectra: [endmembers, ..], pixels, .. } =
            OfGuide::new(guide, convention, false);
        let has_brightness = convention.has_brightness(guide.params.has(BRIGHTNESS));
        Means {
            abundances: of.restore(pixels.mean),
            brightness: has_brightness.then(|| of.restore(pixels.brightness)),
            endmembers,
        }
    }

    /// The mean fit of a pixel, (L), reflectance.
    pub(crate) fn fitted(&self, pixel: usize) -> Array1<f64> {
        mixture(&self.abundances, self.brightness.as_ref(), &self.endmembers, pixel)
    }

    /// Mean abundances of the scene, (K).
    pub(crate) fn of_scene(&self) -> Vec<f64> {
        mean_of_columns(&self.abundances)
    }
}

/// Means of columns.
pub(super) fn mean_of_columns(table: &Array2<f32>) -> Vec<f64> {
    let mean = |column: ArrayView1<f32>| {
        column.iter().map(|&w| f64::from(w)).sum::<f64>() / column.len().max(1) as f64
    };
    table.columns().into_iter().map(mean).collect()
}

/// What a pixel's abundances, (N, K), and brightness make of the spectra, (K, L): (L), reflectance.
pub(super) fn mixture(
    abundances: &Array2<f32>,
    brightness: Option<&Array1<f32>>,
    endmembers: &Array2<f64>,
    pixel: usize,
) -> Array1<f64> {
    let bright = brightness.map_or(1.0, |all| f64::from(all[pixel]));
    abundances.row(pixel).mapv(|w| bright * f64::from(w)).dot(endmembers)
}
