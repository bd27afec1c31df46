//! A scene: the cube of spectra as the engine takes it, and what is known about it.
//!
//! A file is opened as a [`CubeSource`], which gives it block by block of rows; [`load`] reads it
//! twice (statistics, then values), leaves out what cannot be used and scales to reflectance.

use std::sync::Arc;

use crate::engine::ground::error::{Error, Result};
pub use crate::engine::pixels::Cube;
use crate::engine::pixels::Pixels;

mod grow;
mod image;
mod load;
mod memory;
mod scaling;
mod source;
mod truth;
mod wavelengths;

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

/// A scene ready to be fitted: valid pixels and good bands only, in reflectance. Its pixels follow each other
/// as in the image, row by row, and it does not change.
#[derive(Debug, Clone)]
pub struct Scene {
    parts: SceneParts,
}

/// What a [`Scene`] is made of. N valid pixels, L bands in use.
#[derive(Debug, Clone)]
pub struct SceneParts {
    /// A short name, for titles: a file's stem.
    pub name: String,
    /// Height of the image in pixels.
    pub rows: usize,
    /// Width of the image in pixels.
    pub cols: usize,
    /// The bands in use, (L), in the file's order.
    pub bands: Vec<Band>,
    /// Bands in the file, with those that are left out.
    pub file_bands: usize,
    /// Spectra of the valid pixels, (N, L), row by row of the image; none where only the geometry is known.
    pub cube: Arc<Cube>,
    /// For each valid pixel its place `row * cols + col` in the image, (N), ascending.
    pub places: Vec<u32>,
    /// How values became reflectance.
    pub scaling: Scaling,
    /// What was done to the data on the way in, one sentence each, for the screen and the report.
    pub notes: Vec<String>,
}

impl Scene {
    /// A scene of its parts.
    ///
    /// # Errors
    ///
    /// [`Error::Scene`] when places do not ascend or lie outside of the image, or sizes do not agree. A cube of no
    /// pixels stands for a scene of which only places and bands are known.
    pub fn new(parts: SceneParts) -> Result<Self> {
        let SceneParts { name, rows, cols, bands, cube, places, .. } = &parts;
        let fail = |why: String| Err(Error::Scene(format!("{name}: {why}")));
        if let Some(pair) = places.windows(2).find(|pair| pair[0] >= pair[1]) {
            let (before, after) = (pair[0], pair[1]);
            return fail(format!(
                "place {after} follows place {before}; pixels must follow each other as in the image"
            ));
        }
        if let Some(last) =
            places.last().filter(|last| **last as usize >= rows.saturating_mul(*cols))
        {
            return fail(format!(
                "place {last} lies outside of the image of {rows} x {cols} pixels"
            ));
        }
        if cube.bands() != bands.len() || (cube.pixels() != 0 && cube.pixels() != places.len()) {
            return fail(format!(
                "the cube has {} pixels of {} bands, and the scene {} of {}",
                cube.pixels(),
                cube.bands(),
                places.len(),
                bands.len()
            ));
        }
        Ok(Scene { parts })
    }

    /// A short name, for titles.
    pub fn name(&self) -> &str {
        &self.parts.name
    }

    /// Height of the image in pixels.
    pub fn rows(&self) -> usize {
        self.parts.rows
    }

    /// Width of the image in pixels.
    pub fn cols(&self) -> usize {
        self.parts.cols
    }

    /// The bands in use, (L), in the file's order.
    pub fn bands(&self) -> &[Band] {
        &self.parts.bands
    }

    /// Bands in the file, with those that are left out.
    pub fn file_bands(&self) -> usize {
        self.parts.file_bands
    }

    /// Spectra of the valid pixels, (N, L), row by row of the image.
    pub fn cube(&self) -> &Cube {
        &self.parts.cube
    }

    /// For each valid pixel its place `row * cols + col` in the image, (N), ascending.
    pub fn places(&self) -> &[u32] {
        &self.parts.places
    }

    /// How values became reflectance.
    pub fn scaling(&self) -> &Scaling {
        &self.parts.scaling
    }

    /// What was done to the data on the way in, one sentence each.
    pub fn notes(&self) -> &[String] {
        &self.parts.notes
    }

    /// The geometry alone: places and bands.
    pub(crate) fn without_spectra(self) -> Self {
        let cube = Arc::new(Cube::zeros(0, self.parts.bands.len()));
        Scene { parts: SceneParts { cube, ..self.parts } }
    }

    /// All parts, to make another scene of them.
    pub fn into_parts(self) -> SceneParts {
        self.parts
    }

    /// The pixels of a fit: a copy of the spectra in an order of chance.
    pub fn pixels(&self) -> Pixels {
        Pixels::of(self.cube())
    }
}
