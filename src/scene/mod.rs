//! A scene: the cube of spectra as the engine takes it, and what is known about it.
//!
//! A file is opened as a [`CubeSource`], which gives it block by block of rows; [`load`] reads it
//! twice (statistics, then values), leaves out what cannot be used and scales to reflectance.

use rand::{RngExt, SeedableRng, rngs::ChaCha8Rng};

use crate::error::Result;
use crate::pages::Pages;

mod arrays;
mod envi;
mod load;
mod mat;
mod mat5;
mod memory;
mod npy;
mod numbers;
mod open;
mod scaling;
mod strided;
mod wavelengths;
mod write;

pub(crate) use arrays::{Arrays, NamedArray};
pub(crate) use envi::read_library;
pub use load::{LoadOptions, load};
pub use memory::Memory;
pub(crate) use numbers::{grow, grow_pages};
pub use open::{OpenOptions, open};
pub(crate) use open::{first_bytes, has_extension, is_array_file};
pub(crate) use scaling::{Stated, choose};
pub(crate) use wavelengths::to_nanometres;
pub use write::{write_envi, write_npz, write_truth};

/// Bands come in groups of so many, the last one padded: the widest vectors of a CPU, four `vec4`s
/// of a shader, and a cache line.
pub const BAND_GROUP: usize = 16;

/// Pixels by bands, pixel-major, each row padded with zeros to a multiple of [`BAND_GROUP`], so that
/// nobody has a remainder to read.
#[derive(Debug, Clone, PartialEq)]
pub struct Cube {
    data: Pages<f32>,
    pixels: usize,
    bands: usize,
}

impl Cube {
    /// An all-zero cube.
    pub fn zeros(pixels: usize, bands: usize) -> Self {
        Cube { data: Pages::zeros(pixels * bands.next_multiple_of(BAND_GROUP)), pixels, bands }
    }

    /// Number of pixels.
    pub fn pixels(&self) -> usize {
        self.pixels
    }

    /// Number of bands, padding not counted.
    pub fn bands(&self) -> usize {
        self.bands
    }

    /// Floats from one pixel to the next: `bands` rounded up to a multiple of [`BAND_GROUP`].
    pub fn stride(&self) -> usize {
        self.bands.next_multiple_of(BAND_GROUP)
    }

    /// The spectrum of one pixel, `bands` values.
    pub fn spectrum(&self, pixel: usize) -> &[f32] {
        &self.data[pixel * self.stride()..][..self.bands]
    }

    /// The spectrum of one pixel with its padding.
    #[inline]
    pub fn spectrum_padded(&self, pixel: usize) -> &[f32] {
        self.spectra_padded(pixel, 1)
    }

    /// Those of so many pixels that follow each other.
    #[inline]
    pub fn spectra_padded(&self, first: usize, count: usize) -> &[f32] {
        &self.data[first * self.stride()..][..count * self.stride()]
    }

    /// The spectrum of one pixel, to be written.
    pub fn spectrum_mut(&mut self, pixel: usize) -> &mut [f32] {
        let stride = self.stride();
        &mut self.data[pixel * stride..][..self.bands]
    }

    fn swap(&mut self, a: usize, b: usize) {
        if a == b {
            return;
        }
        let stride = self.stride();
        let (before, after) = self.data.split_at_mut(a.max(b) * stride);
        before[a.min(b) * stride..][..stride].swap_with_slice(&mut after[..stride]);
    }

    /// The cube of these pixels, in this order.
    pub fn select(&self, pixels: &[usize]) -> Cube {
        let mut chosen = Cube::zeros(pixels.len(), self.bands);
        for (to, &from) in pixels.iter().enumerate() {
            chosen.spectrum_mut(to).copy_from_slice(self.spectrum(from));
        }
        chosen
    }

    /// All values with the padding, `pixels * stride`.
    pub fn padded(&self) -> &[f32] {
        &self.data
    }
}

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
        for last in (1..self.pixel_index.len().min(self.cube.pixels)).rev() {
            let other = rng.random_range(0..=last);
            self.pixel_index.swap(last, other);
            self.cube.swap(last, other);
        }
    }
}

/// A cube in a file, read by blocks of rows.
pub trait CubeSource: Send {
    /// Size and what the file says about itself.
    fn header(&self) -> &Header;

    /// Reads rows `first .. first + count` into `out`, ordered (row, column, band):
    /// `out.len() == count * cols * bands`. Values as stored, not scaled.
    fn read_rows(&mut self, first: usize, count: usize, out: &mut [f32]) -> Result<()>;
}

/// What a file says about its cube.
#[derive(Debug, Clone, Default)]
pub struct Header {
    /// Height in pixels.
    pub rows: usize,
    /// Width in pixels.
    pub cols: usize,
    /// Number of bands.
    pub bands: usize,
    /// Centre wavelengths in nanometres, one a band.
    pub wavelengths: Option<Vec<f64>>,
    /// False for bands that the file marks as bad (ENVI `bbl`).
    pub good_bands: Option<Vec<bool>>,
    /// The value that stands for no data.
    pub ignore_value: Option<f64>,
    /// Gain and offset that the file states for the conversion to reflectance, one a band or one
    /// for all, and the key they came from.
    pub stated_scale: Option<(Vec<f64>, Vec<f64>, String)>,
    /// True when values are stored as integers.
    pub integer: bool,
    /// What was assumed while the file was opened, one sentence each.
    pub notes: Vec<String>,
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
