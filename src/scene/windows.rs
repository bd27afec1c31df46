//! A scene whose spectra stay in their file, and are read by rows as often as they are needed.

use std::ops::Range;

use super::load::{Decided, LoadOptions};
use super::values::{Filling, Values};
use super::{Cube, CubeSource, Lottery, Scene, SceneParts};
use crate::engine::ground::error::{Error, Result};
use crate::engine::layout::BAND_GROUP;

/// A scene that is read by windows of rows. Which bands and pixels are used, the scale, and how
/// gaps are filled follow the rules of [`super::load`] over the whole file, so that a pixel has the
/// same spectrum here and in a [`Scene`], to the last bit, whatever the window.
pub struct Windows {
    source: Box<dyn CubeSource>,
    decided: Decided,
    filling: Filling,
    /// The whole, of which no pixel is held.
    geometry: Scene,
    valid: usize,
    /// Pixels drawn by lot while all of them passed by, in their order.
    drawn: Drawn,
}

/// Pixels drawn by lot.
pub struct Drawn {
    /// Their numbers among the valid pixels, ascending.
    pub numbers: Vec<usize>,
    /// Their places `row * cols + col` in the image.
    pub places: Vec<u32>,
    /// Their spectra.
    pub cube: Cube,
}

impl Windows {
    /// Reads `source` twice: for what bands and values are, as [`super::load`] does, and for what
    /// is taken of them. On the way `most` pixels are drawn by lot, with the seed ([`Lottery`]).
    ///
    /// # Errors
    ///
    /// Those of [`super::load`].
    pub fn open(
        mut source: Box<dyn CubeSource>,
        name: &str,
        options: &LoadOptions,
        (most, seed): (usize, u64),
    ) -> Result<Self> {
        let mut decided = Decided::new(source.as_mut(), name, options)?;
        let taken = decided.bands.len();
        let mut lottery = Lottery::new(most, seed);
        let mut held: Vec<(u32, Vec<f32>)> = Vec::new();
        let (rows, mut numbers) = (0..source.header().rows, 0..);
        let counts = decided.each_kept(source.as_mut(), rows, |parts| {
            for kept in parts {
                let spectra = kept.spectra.chunks_exact(taken.max(1));
                for ((&place, spectrum), number) in
                    kept.places.iter().zip(spectra).zip(&mut numbers)
                {
                    let Some(slot) = lottery.draw(number) else { continue };
                    let pixel = (place, spectrum.to_vec());
                    match held.get_mut(slot) {
                        Some(other) => *other = pixel,
                        None => held.push(pixel),
                    }
                }
            }
            Ok(())
        })?;
        let filling = decided.conclude(&counts, taken.next_multiple_of(BAND_GROUP))?;
        let geometry = Scene::new(decided.parts())?;
        let slots = lottery.slots();
        let mut drawn = Drawn {
            numbers: slots.iter().map(|&(number, _)| number).collect(),
            places: Vec::with_capacity(slots.len()),
            cube: Cube::zeros(slots.len(), filling.stay.len()),
        };
        for (pixel, &(_, slot)) in slots.iter().enumerate() {
            let (place, spectrum) = &held[slot];
            drawn.places.push(*place);
            finished(spectrum, &filling, drawn.cube.spectrum_mut(pixel));
        }
        Ok(Windows { source, decided, filling, geometry, valid: counts.kept, drawn })
    }

    /// The scene without its pixels: size, bands, place on earth, scale, notes.
    pub fn geometry(&self) -> &Scene {
        &self.geometry
    }

    /// Number of valid pixels, N.
    pub fn valid(&self) -> usize {
        self.valid
    }

    /// Pixels drawn by lot.
    pub fn drawn(&self) -> &Drawn {
        &self.drawn
    }

    /// The valid pixels of some rows: their spectra, and their places `row * cols + col` in the
    /// image, ascending.
    ///
    /// # Errors
    ///
    /// [`Error::Scene`] for rows outside of the image, and what reading refuses.
    pub fn rows(&mut self, rows: Range<usize>) -> Result<(Cube, Vec<u32>)> {
        let header = self.source.header();
        let (all, cols) = (header.rows, header.cols);
        if rows.start > rows.end || rows.end > all {
            return Err(Error::Scene(format!(
                "{}: rows {}:{} were asked for of {all}",
                self.geometry.name(),
                rows.start,
                rows.end
            )));
        }
        let name = self.geometry.name();
        let mut values = Values::with_capacity(name, rows.len() * cols, self.decided.taken())?;
        let (decided, source) = (&self.decided, self.source.as_mut());
        let counts = decided.each_kept(source, rows, |kept| values.add(name, &kept))?;
        values.fill(&self.filling, &counts);
        Ok(values.into_cube())
    }

    /// A scene of some of the pixels: places in the image, ascending, and spectra (n, L).
    ///
    /// # Errors
    ///
    /// [`Error::Scene`] when sizes do not agree.
    pub fn part(&self, cube: Cube, places: Vec<u32>) -> Result<Scene> {
        let parts = self.geometry.clone().into_parts();
        Scene::new(SceneParts { cube: std::sync::Arc::new(cube), places, ..parts })
    }
}

/// Writes a spectrum of the bands in use as one of the bands that stay, without gaps.
fn finished(taken: &[f32], filling: &Filling, to: &mut [f32]) {
    to.iter_mut().zip(&filling.stay).for_each(|(to, &b)| *to = taken[b]);
    filling.fill(to);
}
