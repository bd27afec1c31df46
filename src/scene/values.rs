//! The second pass over a scene: room for the pixels that are kept, and their gaps filled.

use std::path::Path;

use rayon::prelude::*;

use super::taking::{Counts, Kept, Rule};
use super::{Band, Cube, grow, grow_pages, scaling};
use crate::engine::ground::error::{Error, Result};
use crate::engine::ground::pages::Pages;

/// How gaps are filled, and which bands are left out because most pixels lack them: what all pixels
/// together say.
///
/// A gap gets the value of the scene's mean spectrum, brought to the pixel's own level at the
/// nearest bands below and above that it has, and between them in proportion to their wavelengths,
/// or numbers of bands. The engine's likelihood knows no gaps, and so few filled values, which
/// follow from the others, hardly add to the evidence.
#[derive(Debug, Clone)]
pub(super) struct Filling {
    /// Bands that stay, by their places among those in use.
    pub(super) stay: Vec<usize>,
    /// Mean of each of them over the pixels that have it.
    means: Vec<f64>,
    positions: Vec<f64>,
    highest: f64,
}

impl Filling {
    /// From the counts of all pixels. `bands` are those in use, of which some may go.
    pub(super) fn new(
        counts: &Counts,
        rule: &Rule,
        bands: &mut Vec<Band>,
        notes: &mut Vec<String>,
    ) -> Self {
        let stay = counts.full(bands.len());
        if stay.len() < bands.len() {
            notes.push(format!(
                "{} bands were left out because most of their values are out of range.",
                bands.len() - stay.len()
            ));
            *bands = stay.iter().filter_map(|&b| bands.get(b).cloned()).collect();
        }
        let of = |list: &[usize], b: usize| list.get(b).copied().unwrap_or(0);
        let mean = |&b: &usize| {
            let known = counts.kept - of(&counts.gaps, b).min(counts.kept);
            let sum = counts.sums.get(b).copied().unwrap_or(0.0);
            if known > 0 { sum / known as f64 } else { 0.0 }
        };
        counts.tell_filled(&stay, notes);
        let means = stay.iter().map(mean).collect();
        Filling { means, positions: positions(bands), highest: rule.highest, stay }
    }

    /// With a mean spectrum that is known, (L), and all bands in use.
    pub(super) fn given(means: &[f64], bands: &[Band], rule: &Rule) -> Self {
        Filling {
            means: means.to_vec(),
            positions: positions(bands),
            highest: rule.highest,
            stay: (0..bands.len()).collect(),
        }
    }

    /// Fills the gaps of a row of the bands that stay.
    pub(super) fn fill(&self, row: &mut [f32]) {
        if row.iter().any(|v| v.is_nan()) {
            fill_spectrum(row, &self.means, &self.positions, self.highest);
        }
    }
}

/// Where bands lie: their wavelengths, or their numbers where one is unknown.
fn positions(bands: &[Band]) -> Vec<f64> {
    let known: Option<Vec<f64>> = bands.iter().map(|b| b.wavelength).collect();
    known.unwrap_or_else(|| bands.iter().map(|b| b.index as f64).collect())
}

/// The pixels that were kept.
pub(super) struct Values {
    data: Pages<f32>,
    /// Place of each pixel in the image.
    pub(super) places: Vec<u32>,
    /// Numbers from one pixel to the next.
    pub(super) stride: usize,
    bands: usize,
}

impl Values {
    /// Room for `pixels`.
    pub(super) fn with_capacity(name: &str, pixels: usize, bands: usize) -> Result<Self> {
        let stride = bands.next_multiple_of(crate::engine::layout::BAND_GROUP);
        Ok(Values {
            data: grow_pages(Path::new(name), pixels * stride)?,
            places: grow(Path::new(name), pixels)?,
            stride,
            bands,
        })
    }

    /// Adds spectra that are kept, of all bands in use, in their order.
    pub(super) fn add(&mut self, name: &str, kept: &[Kept]) -> Result<()> {
        let Values { data, places, stride, bands, .. } = self;
        let (stride, bands) = (*stride, *bands);
        let count: usize = kept.iter().map(|kept| kept.places.len()).sum();
        let begin = places.len() * stride;
        let Some(mut room) = data.get_mut(begin..begin + count * stride) else {
            return Err(Error::Scene(format!(
                "{name}: more pixels hold data than a moment before; wait until it is no longer \
                 written to."
            )));
        };
        let mut each = Vec::with_capacity(kept.len());
        for kept in kept {
            places.extend(&kept.places);
            let (own, rest) = std::mem::take(&mut room).split_at_mut(kept.places.len() * stride);
            room = rest;
            each.push((own, kept.spectra));
        }
        each.into_par_iter().for_each(|(own, spectra)| {
            let rows = own.chunks_exact_mut(stride.max(1));
            for (row, spectrum) in rows.zip(spectra.chunks_exact(bands.max(1))) {
                row[..bands].copy_from_slice(spectrum);
            }
        });
        Ok(())
    }

    /// Leaves out bands, and fills the gaps that were counted.
    pub(super) fn fill(&mut self, filling: &Filling, counts: &Counts) {
        let pixels = self.places.len();
        let stay = &filling.stay;
        if stay.len() < self.bands {
            let stride = stay.len().next_multiple_of(crate::engine::layout::BAND_GROUP);
            let mut row = vec![0.0; stride];
            for pixel in 0..pixels {
                let (from, to) = (pixel * self.stride, pixel * stride);
                row.iter_mut().zip(stay).for_each(|(to, &b)| *to = self.data[from + b]);
                self.data[to..to + stride].copy_from_slice(&row);
            }
            (self.stride, self.bands) = (stride, stay.len());
        }
        let (stride, bands) = (self.stride, self.bands);
        if counts.hollow > 0 && stride > 0 {
            let rows = self.data.par_chunks_exact_mut(stride).take(pixels);
            rows.for_each(|row| filling.fill(&mut row[..bands]));
        }
    }

    /// The cube, (pixels kept, bands).
    pub(super) fn into_cube(mut self) -> (Cube, Vec<u32>) {
        self.data.truncate(self.places.len() * self.stride);
        (Cube::from_padded(self.data, self.places.len(), self.bands), self.places)
    }
}

/// Fills the NaN of one spectrum; at least one value is a number.
fn fill_spectrum(row: &mut [f32], means: &[f64], positions: &[f64], highest: f64) {
    let known: Vec<usize> = (0..row.len()).filter(|&b| !row[b].is_nan()).collect();
    let mut next = 0;
    for b in 0..row.len() {
        if !row[b].is_nan() {
            continue;
        }
        while known.get(next).is_some_and(|&k| k < b) {
            next += 1;
        }
        let (below, above) = (next.checked_sub(1).and_then(|i| known.get(i)), known.get(next));
        let (Some(&below), Some(&above)) = (below.or(above), above.or(below)) else { return };
        let width = positions[above] - positions[below];
        let share = (positions[b] - positions[below]) / width;
        // Wavelengths need not ascend; a gap at an end has one neighbour.
        let share = if share.is_finite() { share.clamp(0.0, 1.0) } else { 0.0 };
        let between = |f: &dyn Fn(usize) -> f64| f(below) + (f(above) - f(below)) * share;
        let line = between(&|k| f64::from(row[k]));
        let level = between(&|k| f64::from(row[k]) / means[k]) * means[b];
        // Near zero means say nothing of a level.
        let trusted = level.is_finite() && (scaling::LOWEST..=highest).contains(&level);
        row[b] = if trusted { level } else { line } as f32;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_follow_the_mean_spectrum() {
        let means = [0.1, 0.4, 0.2, 0.3, 0.1];
        let positions = [400.0, 500.0, 700.0, 800.0, 900.0];
        for gaps in [&[1][..], &[0], &[4], &[1, 2], &[0, 1, 4]] {
            // Half of the mean spectrum: every gap follows exactly, to f32's seven digits.
            let whole: Vec<f32> = means.iter().map(|m| 0.5 * *m as f32).collect();
            let mut row = whole.clone();
            gaps.iter().for_each(|&b| row[b] = f32::NAN);
            fill_spectrum(&mut row, &means, &positions, 1.5);
            assert!(row.iter().zip(&whole).all(|(a, b)| (a - b).abs() < 1e-7), "{gaps:?} {row:?}");
        }
        // A mean of zero has no level: the line between the neighbours.
        let mut row = [0.2, f32::NAN, 0.5];
        fill_spectrum(&mut row, &[0.0, 0.3, 0.0], &[1.0, 2.0, 4.0], 1.5);
        assert!((row[1] - 0.3).abs() < 1e-6, "{row:?}");
    }
}
