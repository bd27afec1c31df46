//! The second pass over a scene: the pixels that are kept, in reflectance, and their gaps filled.

use std::path::Path;

use super::no_data::Voids;
use super::{Band, Cube, grow, grow_pages, scaling};
use crate::engine::ground::error::Result;
use crate::engine::ground::pages::Pages;

/// A pixel is kept when at most one in this many of its bands lacks a value.
const GAPS: usize = 4;
/// Values this many times as large as the brightest pixels are strays.
const STRAY: f64 = 5.0;

/// The pixels that were kept, and counts of what was done.
pub(super) struct Values {
    pub(super) data: Pages<f32>,
    /// Place of each pixel in the image.
    pub(super) places: Vec<u32>,
    /// Numbers from one pixel to the next.
    pub(super) stride: usize,
    bands: usize,
    /// Values above are strays.
    highest: f64,
    /// Pixels left out because too many bands lack a value.
    pub(super) partial: usize,
    /// Pixels left out because no value is above zero.
    pub(super) dark: usize,
    negative: usize,
    high: usize,
    /// For each band how many pixels lack it.
    gaps: Vec<usize>,
}

impl Values {
    /// Room for `pixels`; `peak` is the reflectance of the brightest ones.
    pub(super) fn with_capacity(
        name: &str,
        pixels: usize,
        bands: usize,
        peak: f64,
    ) -> Result<Self> {
        let stride = bands.next_multiple_of(crate::engine::layout::BAND_GROUP);
        Ok(Values {
            data: grow_pages(Path::new(name), pixels * stride)?,
            places: grow(Path::new(name), pixels)?,
            stride,
            bands,
            highest: scaling::HIGHEST.max(STRAY * peak),
            partial: 0,
            dark: 0,
            negative: 0,
            high: 0,
            gaps: vec![0; bands],
        })
    }

    /// Keeps the pixel at `place` where it has values in enough of the bands in use; bands that
    /// lack one are NaN until [`Values::fill`].
    pub(super) fn push(
        &mut self,
        place: u32,
        spectrum: &[f32],
        used: &[usize],
        gains: &[(f64, f64)],
        voids: &Voids,
    ) {
        let start = self.places.len() * self.stride;
        let Some(row) = self.data.get_mut(start..start + used.len()) else {
            // Not counted the first time: the file has changed since.
            self.partial += 1;
            return;
        };
        let (mut negative, mut high, mut lit, mut gaps) = (0, 0, false, 0);
        for ((&b, (gain, offset)), kept) in used.iter().zip(gains).zip(&mut *row) {
            let wide = f64::from(spectrum[b]) * gain + offset;
            let v = wide as f32;
            if voids.contain(spectrum[b]) || !(scaling::LOWEST..=self.highest).contains(&wide) {
                gaps += 1;
                *kept = f32::NAN;
                continue;
            }
            negative += usize::from(v < 0.0);
            high += usize::from(f64::from(v) > scaling::HIGHEST);
            lit |= v > 0.0;
            *kept = v;
        }
        if gaps > used.len() / GAPS || !lit {
            row.fill(0.0);
            if gaps > used.len() / GAPS {
                self.partial += 1
            } else {
                self.dark += 1
            }
            return;
        }
        if gaps > 0 {
            let lacking = self.gaps.iter_mut().zip(&*row).filter(|(_, v)| v.is_nan());
            lacking.for_each(|(count, _)| *count += 1);
        }
        self.places.push(place);
        self.negative += negative;
        self.high += high;
    }

    /// Fills the gaps of each pixel: with the scene's mean spectrum `means`, brought to the pixel's
    /// own level at the nearest bands below and above that it has, and between them in proportion
    /// to `positions` (wavelengths, or numbers of bands). The engine's likelihood knows no gaps, and
    /// so few filled values, which follow from the others, hardly add to the evidence.
    pub(super) fn fill(&mut self, means: &[f64], positions: &[f64], notes: &mut Vec<String>) {
        let total: usize = self.gaps.iter().sum();
        if total == 0 {
            return;
        }
        let (stride, bands, highest) = (self.stride, self.bands, self.highest);
        let mut pixels = 0;
        for row in self.data.chunks_exact_mut(stride).take(self.places.len()) {
            let Some(row) = row.get_mut(..bands) else { continue };
            if row.iter().any(|v| v.is_nan()) {
                pixels += 1;
                fill_spectrum(row, means, positions, highest);
            }
        }
        notes.push(format!(
            "{total} single values of {pixels} pixels are missing or out of range; they were \
             filled with the scene's mean spectrum, brought to the level of the pixel's nearest \
             bands. Pixels that lack at most a quarter of the bands stay."
        ));
    }

    /// The mean of each band over the pixels that have it; zero where none has.
    pub(super) fn means(&self) -> Vec<f64> {
        let mut sums = vec![(0.0, 0usize); self.bands];
        for row in self.data.chunks_exact(self.stride).take(self.places.len()) {
            for (sum, v) in sums.iter_mut().zip(row).filter(|(_, v)| !v.is_nan()) {
                sum.0 += f64::from(*v);
                sum.1 += 1;
            }
        }
        sums.into_iter().map(|(sum, n)| if n > 0 { sum / n as f64 } else { 0.0 }).collect()
    }

    /// Leaves out bands that most of the kept pixels lack.
    pub(super) fn drop_hollow(&mut self, bands: &mut Vec<Band>, notes: &mut Vec<String>) {
        let pixels = self.places.len();
        let keep: Vec<usize> =
            (0..self.bands).filter(|&b| self.gaps.get(b).is_none_or(|n| 2 * n <= pixels)).collect();
        if keep.len() == self.bands {
            return;
        }
        notes.push(format!(
            "{} bands were left out because most of their values are out of range.",
            self.bands - keep.len()
        ));
        let stride = keep.len().next_multiple_of(crate::engine::layout::BAND_GROUP);
        let mut row = vec![0.0; stride];
        for pixel in 0..pixels {
            let (from, to) = (pixel * self.stride, pixel * stride);
            row.iter_mut().zip(&keep).for_each(|(to, &b)| *to = self.data[from + b]);
            self.data[to..to + stride].copy_from_slice(&row);
        }
        (self.stride, self.bands) = (stride, keep.len());
        self.gaps = keep.iter().map(|&b| self.gaps[b]).collect();
        *bands = keep.iter().filter_map(|&b| bands.get(b).cloned()).collect();
    }

    /// The cube, (pixels kept, bands).
    pub(super) fn into_cube(mut self) -> (Cube, Vec<u32>) {
        self.data.truncate(self.places.len() * self.stride);
        (Cube::from_padded(self.data, self.places.len(), self.bands), self.places)
    }

    /// Says what was left out and what was kept; `all` and `empty` count pixels.
    pub(super) fn note(&self, empty: usize, all: usize, notes: &mut Vec<String>) {
        for (count, why) in [
            (empty, "hold no data in any band"),
            (self.partial, "lack a valid value in more than a quarter of the bands in use"),
            (self.dark, "have no value above zero"),
        ] {
            if count > 0 {
                notes.push(format!("{count} of {all} pixels {why} and were left out."));
            }
        }
        if self.negative > 0 {
            notes.push(format!("{} values are negative and stay so, as noise.", self.negative));
        }
        // One in a thousand is a stray value; more says that the scale is wrong.
        if self.high > self.places.len() * self.stride / 1000 {
            notes.push(format!(
                "{} values lie above a reflectance of {}; if the scale is wrong, state it.",
                self.high,
                scaling::HIGHEST
            ));
        }
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
