//! A scene: the cube of spectra as the engine takes it, and what is known about it.
//!
//! A file is opened as a [`CubeSource`], which gives it block by block of rows; [`load`] reads it
//! twice (statistics, then values), leaves out what cannot be used and scales to reflectance.

use rand::{RngExt, SeedableRng, rngs::ChaCha8Rng};

pub use crate::engine::pixels::Cube;

mod georeference;
mod grow;
mod image;
mod load;
mod memory;
mod scaling;
mod source;
mod truth;
mod wavelengths;

pub use georeference::{Crs, Georeference, Lookup};
pub(crate) use grow::{grow, grow_pages};
pub(crate) use image::layer;
pub use image::to_image;
pub use load::{LoadOptions, load};
pub use memory::Memory;
pub(crate) use scaling::{HIGHEST, Stated, choose};
pub use source::{CubeSource, Header};
pub use truth::Truth;
pub(crate) use wavelengths::to_nanometres;

/// One band that the fit uses.
#[derive(Debug, Clone, PartialEq)]
pub struct Band {
    /// Position in the file, from 0.
    pub index: usize,
    /// Centre wavelength in nanometres, where the file gives it.
    pub wavelength: Option<f64>,
}

/// How stored values became reflectance: `reflectance = stored * gain + offset`.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Scaling {
    /// Factor.
    pub gain: f64,
    /// Added after the factor.
    pub offset: f64,
    /// The rule that chose them, as a sentence.
    pub rule: String,
}

/// A scene ready to be fitted: valid pixels and good bands only, in reflectance.
#[derive(Debug, Clone)]
pub struct Scene {
    /// A short name, for titles: the file's stem.
    pub name: String,
    /// Height of the image in pixels.
    pub rows: usize,
    /// Width of the image in pixels.
    pub cols: usize,
    /// The bands in use, in the file's order. `bands.len() == cube.bands()`.
    pub bands: Vec<Band>,
    /// Bands in the file, the ones left out included.
    pub file_bands: usize,
    /// Spectra of the valid pixels.
    pub cube: Cube,
    /// For each pixel of the cube its place `row * cols + col` in the image: ascending, until [`Scene::scatter`].
    pub pixel_index: Vec<u32>,
    /// Where the image lies on earth, where the file says so.
    pub georeference: Option<Georeference>,
    /// How values became reflectance.
    pub scaling: Scaling,
    /// What was done to the data on the way in, one sentence each, for the screen and the report.
    pub notes: Vec<String>,
}

impl Scene {
    /// Puts the pixels of the cube into an order of chance, always the same, and `pixel_index` with them.
    /// Minibatches are runs of sixteen pixels that follow each other in the cube: neighbours on the ground
    /// are alike, and sixteen of them would say little more than one. Cost: a copy of the cube.
    pub fn scatter(&mut self) {
        // Fisher and Yates; Durstenfeld 1964, CACM 7.
        let rng = &mut ChaCha8Rng::seed_from_u64(0);
        for last in (1..self.pixel_index.len().min(self.cube.pixels())).rev() {
            let other = rng.random_range(0..=last);
            self.pixel_index.swap(last, other);
            self.cube.swap(last, other);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scattered_pixels_keep_their_places_and_are_no_neighbours() {
        let n = 400;
        let mut cube = Cube::zeros(n, 3);
        (0..n).for_each(|pixel| cube.spectrum_mut(pixel).fill(pixel as f32 + 7.0));
        let mut scene = Scene {
            name: String::new(),
            rows: 20,
            cols: 25,
            bands: Vec::new(),
            file_bands: 3,
            cube,
            pixel_index: (7..).take(n).collect(),
            georeference: None,
            scaling: Scaling { gain: 1.0, offset: 0.0, rule: String::new() },
            notes: Vec::new(),
        };
        scene.scatter();
        let order = scene.pixel_index.clone();
        for (pixel, &place) in order.iter().enumerate() {
            assert_eq!(scene.cube.spectrum_padded(pixel)[..3], [place as f32; 3]);
        }
        let unique: std::collections::BTreeSet<_> = order.iter().collect();
        assert_eq!(unique.len(), n);
        // In an order of chance two pairs of neighbours are expected, and 12 have a chance below 1e-5.
        let close = order.windows(2).filter(|pair| pair[0].abs_diff(pair[1]) == 1).count();
        assert!(close < 12, "{close}");
    }
}
