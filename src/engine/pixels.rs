//! Spectra of pixels as the engine reads them.

use crate::engine::ground::pages::Pages;
use crate::engine::layout::limits::BAND_GROUP;

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

    /// Takes padded rows, as [`Cube::padded`] gives them: `pixels * stride` values.
    pub(crate) fn from_padded(data: Pages<f32>, pixels: usize, bands: usize) -> Self {
        debug_assert_eq!(data.len(), pixels * bands.next_multiple_of(BAND_GROUP));
        Cube { data, pixels, bands }
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

    pub(crate) fn swap(&mut self, a: usize, b: usize) {
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
