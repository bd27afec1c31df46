//! A scene: the cube of spectra as the engine takes it, and what is known about it.
//!
//! A file is opened as a [`CubeSource`], which gives it block by block of rows; [`load`] reads it
//! twice (statistics, then values), leaves out what cannot be used and scales to reflectance.

use std::sync::Arc;

use crate::engine::ground::error::{Error, Result};
pub use crate::engine::pixels::Cube;
use crate::engine::pixels::Pixels;

mod again;
mod bands;
mod blocks;
mod extremes;
mod georeference;
mod grow;
mod image;
mod limits;
mod load;
mod lottery;
mod mask;
mod memory;
mod no_data;
mod scaling;
mod source;
mod statistics;
mod taking;
mod truth;
mod values;
mod view;
mod water;
mod wavelengths;
mod window;
mod windows;

pub use again::{Reading, load_again};
pub use georeference::{Crs, Georeference, Lookup};
pub(crate) use grow::{grow, grow_pages};
pub(crate) use image::layer;
pub use image::to_image;
pub use load::{LoadOptions, load};
pub use lottery::Lottery;
pub use mask::Mask;
pub use memory::Memory;
pub use no_data::NoData;
pub(crate) use scaling::{Peak, Stated, choose, peak};
pub use source::{CubeSource, Header};
pub use truth::Truth;
pub use view::{Stored, View};
pub(crate) use wavelengths::{to_nanometres, widths_in_nanometres};
pub use window::window;
pub use windows::{Drawn, Windows};

/// One band that the fit uses.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Band {
    /// Position in the file, from 0.
    pub index: usize,
    /// Centre wavelength in nanometres, where the file gives it.
    pub wavelength: Option<f64>,
    /// Width at half of its maximum in nanometres, where the file gives it.
    #[serde(default)]
    pub fwhm: Option<f64>,
}

/// How stored values became reflectance: `reflectance = stored * gain + offset`.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Scaling {
    /// Factor.
    pub gain: f64,
    /// Added after the factor.
    pub offset: f64,
    /// The rule that chose them, as a sentence.
    pub rule: String,
}

/// A scene ready to be fitted: valid pixels and good bands only, in reflectance. Its pixels follow
/// each other as in the image, row by row, and it does not change.
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
    /// Spectra of the valid pixels, (N, L), row by row of the image; none where only the geometry
    /// is known.
    pub cube: Arc<Cube>,
    /// For each valid pixel its place `row * cols + col` in the image, (N), ascending.
    pub places: Vec<u32>,
    /// Where the image lies on earth, where that is known.
    pub georeference: Option<Georeference>,
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
    /// [`Error::Scene`] when places do not ascend or lie outside of the image, or sizes do not
    /// agree. A cube of no pixels stands for a scene of which only places and bands are known.
    pub fn new(parts: SceneParts) -> Result<Self> {
        let SceneParts { name, rows, cols, bands, cube, places, .. } = &parts;
        let fail = |why: String| Err(Error::Scene(format!("{name}: {why}")));
        if let Some(pair) = places.windows(2).find(|pair| pair[0] >= pair[1]) {
            let (before, after) = (pair[0], pair[1]);
            return fail(format!(
                "place {after} follows place {before}; pixels must follow each other as in the \
                 image"
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

    /// The spectra that [`Scene::cube`] shows, shared.
    pub(crate) fn shared_cube(&self) -> &Arc<Cube> {
        &self.parts.cube
    }

    /// For each valid pixel its place `row * cols + col` in the image, (N), ascending.
    pub fn places(&self) -> &[u32] {
        &self.parts.places
    }

    /// Where the image lies on earth, where that is known.
    pub fn georeference(&self) -> Option<&Georeference> {
        self.parts.georeference.as_ref()
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// Two rows of three pixels, of which the second has no data; two bands.
    fn parts() -> SceneParts {
        let band = |index| Band { index, wavelength: None, fwhm: None };
        let mut cube = Cube::zeros(5, 2);
        (0..5).for_each(|pixel| cube.spectrum_mut(pixel).fill(pixel as f32));
        SceneParts {
            name: "field".into(),
            rows: 2,
            cols: 3,
            bands: vec![band(0), band(3)],
            file_bands: 4,
            cube: Arc::new(cube),
            places: vec![0, 2, 3, 4, 5],
            georeference: None,
            scaling: Scaling { gain: 1.0, offset: 0.0, rule: String::new() },
            notes: Vec::new(),
        }
    }

    /// What a scene of these parts, changed, is refused with.
    fn refusal(change: impl FnOnce(&mut SceneParts)) -> String {
        let mut changed = parts();
        change(&mut changed);
        Scene::new(changed).unwrap_err().to_string()
    }

    #[test]
    fn a_scene_has_the_parts_it_was_made_of() {
        let scene = Scene::new(parts()).unwrap();
        assert_eq!((scene.name(), scene.rows(), scene.cols()), ("field", 2, 3));
        assert_eq!((scene.bands().len(), scene.file_bands()), (2, 4));
        assert_eq!(scene.places(), [0, 2, 3, 4, 5]);
        assert_eq!(scene.cube().spectrum(4), [4.0, 4.0]);
        assert_eq!((scene.pixels().count(), scene.pixels().bands()), (5, 2));
        let back = scene.into_parts();
        assert_eq!((back.places, back.cube), (parts().places, parts().cube));
        // Of a scene without spectra the geometry is known.
        let geometry = SceneParts { cube: Arc::new(Cube::zeros(0, 2)), ..parts() };
        assert_eq!(Scene::new(geometry).unwrap().places().len(), 5);
    }

    #[test]
    fn places_that_do_not_ascend_are_refused() {
        for (second, third) in [(3, 2), (2, 2)] {
            let text = refusal(|parts| parts.places[1..3].copy_from_slice(&[second, third]));
            let words = format!("place {third} follows place {second}");
            assert!(text.contains("field: ") && text.contains(&words), "{text}");
        }
    }

    #[test]
    fn places_outside_of_the_image_are_refused() {
        for outside in [6, u32::MAX] {
            let text = refusal(|parts| parts.places[4] = outside);
            let words = format!("place {outside} lies outside of the image of 2 x 3 pixels");
            assert!(text.contains("field: ") && text.contains(&words), "{text}");
        }
        assert!(refusal(|parts| parts.rows = 0).contains("0 x 3"));
        // More pixels than a number can count are still a size.
        let huge = SceneParts { rows: usize::MAX, cols: usize::MAX, ..parts() };
        assert!(Scene::new(huge).is_ok());
    }

    #[test]
    fn sizes_that_do_not_agree_are_refused() {
        let of_cube = |pixels, bands| {
            move |parts: &mut SceneParts| {
                parts.cube = Arc::new(Cube::zeros(pixels, bands));
            }
        };
        for (pixels, bands) in [(4, 2), (6, 2), (5, 1), (5, 3), (0, 3), (0, 0)] {
            let text = refusal(of_cube(pixels, bands));
            let words = format!("{pixels} pixels of {bands} bands, and the scene 5 of 2");
            assert!(text.contains("field: ") && text.contains(&words), "{text}");
        }
    }
}
