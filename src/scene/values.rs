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

/// What is taken of a stored spectrum, and which ones are kept.
#[derive(Debug, Clone)]
pub(super) struct Rule {
    /// Bands in use, by their places in the file.
    pub(super) used: Vec<usize>,
    /// Gain and offset of each of them.
    pub(super) gains: Vec<(f64, f64)>,
    /// Values that stand for no data.
    pub(super) voids: Voids,
    /// Reflectance above is a stray value.
    pub(super) highest: f64,
}

/// Counts of what was done to pixels.
#[derive(Debug, Clone, Default)]
pub(super) struct Counts {
    /// Pixels that were kept.
    pub(super) kept: usize,
    /// Pixels left out because too many bands lack a value.
    pub(super) partial: usize,
    /// Pixels left out because no value is above zero.
    pub(super) dark: usize,
    /// Values below zero, and those too bright for reflectance.
    negative: usize,
    high: usize,
    /// For each band how many of the kept pixels lack it.
    gaps: Vec<usize>,
    /// For each band the sum over the kept pixels that have it.
    sums: Vec<f64>,
    /// Kept pixels that lack a band.
    hollow: usize,
}

impl Rule {
    /// A rule for a scene whose brightest pixels reach the reflectance `peak`.
    pub(super) fn new(used: Vec<usize>, gains: Vec<(f64, f64)>, voids: Voids, peak: f64) -> Self {
        Rule { used, gains, voids, highest: scaling::HIGHEST.max(STRAY * peak) }
    }

    /// Takes a stored spectrum to reflectance, a value a band in use, NaN where it has none, where
    /// it has values in enough of them; false, and zeros, for a pixel to leave out.
    pub(super) fn take(&self, spectrum: &[f32], row: &mut [f32], counts: &mut Counts) -> bool {
        let (mut negative, mut high, mut lit, mut gaps) = (0, 0, false, 0);
        for ((&b, (gain, offset)), kept) in self.used.iter().zip(&self.gains).zip(&mut *row) {
            let wide = f64::from(spectrum[b]) * gain + offset;
            let v = wide as f32;
            if self.voids.contain(spectrum[b]) || !(scaling::LOWEST..=self.highest).contains(&wide)
            {
                gaps += 1;
                *kept = f32::NAN;
                continue;
            }
            negative += usize::from(v < 0.0);
            high += usize::from(f64::from(v) > scaling::HIGHEST);
            lit |= v > 0.0;
            *kept = v;
        }
        if gaps > self.used.len() / GAPS || !lit {
            row.fill(0.0);
            if gaps > self.used.len() / GAPS {
                counts.partial += 1
            } else {
                counts.dark += 1
            }
            return false;
        }
        counts.gaps.resize(self.used.len(), 0);
        counts.sums.resize(self.used.len(), 0.0);
        for ((v, missing), sum) in row.iter().zip(&mut counts.gaps).zip(&mut counts.sums) {
            if v.is_nan() {
                *missing += 1;
            } else {
                *sum += f64::from(*v);
            }
        }
        counts.kept += 1;
        counts.hollow += usize::from(gaps > 0);
        counts.negative += negative;
        counts.high += high;
        true
    }
}

impl Counts {
    /// Bands that enough of the kept pixels have, by their places among those in use.
    fn full(&self, bands: usize) -> Vec<usize> {
        (0..bands).filter(|&b| self.gaps.get(b).is_none_or(|n| 2 * n <= self.kept)).collect()
    }

    /// Says how many values of the bands that stay were filled.
    pub(super) fn tell_filled(&self, stay: &[usize], to: &mut Vec<String>) {
        let total: usize = stay.iter().filter_map(|&b| self.gaps.get(b)).sum();
        if total == 0 {
            return;
        }
        // Of bands that are left out nobody counted how many pixels lack others, too.
        let of = match stay.len() < self.gaps.len() {
            true => String::new(),
            false => format!(" of {} pixels", self.hollow),
        };
        to.push(format!(
            "{total} single values{of} are missing or out of range; they were filled with the \
             scene's mean spectrum, brought to the level of the pixel's nearest bands. Pixels that \
             lack at most a quarter of the bands stay."
        ));
    }

    /// Says what was left out and what was kept; `all` and `empty` count pixels, `stride` is the
    /// length of a row of values.
    pub(super) fn note(&self, (empty, all): (usize, usize), stride: usize, to: &mut Vec<String>) {
        for (count, why) in [
            (empty, "hold no data in any band"),
            (self.partial, "lack a valid value in more than a quarter of the bands in use"),
            (self.dark, "have no value above zero"),
        ] {
            if count > 0 {
                to.push(format!("{count} of {all} pixels {why} and were left out."));
            }
        }
        if self.negative > 0 {
            to.push(format!("{} values are negative and stay so, as noise.", self.negative));
        }
        // One in a thousand is a stray value; more says that the scale is wrong.
        if self.high > self.kept * stride / 1000 {
            to.push(format!(
                "{} values lie above a reflectance of {}; if the scale is wrong, state it.",
                self.high,
                scaling::HIGHEST
            ));
        }
    }
}

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
    pub(super) counts: Counts,
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
            counts: Counts::default(),
        })
    }

    /// Keeps the pixel at `place` where it has values in enough of the bands in use; bands that
    /// lack one are NaN until [`Values::fill`].
    pub(super) fn push(&mut self, place: u32, spectrum: &[f32], rule: &Rule) {
        let start = self.places.len() * self.stride;
        let Some(row) = self.data.get_mut(start..start + self.bands) else {
            // Not counted the first time: the file has changed since.
            self.counts.partial += 1;
            return;
        };
        if rule.take(spectrum, row, &mut self.counts) {
            self.places.push(place);
        }
    }

    /// Leaves out bands, and fills gaps.
    pub(super) fn fill(&mut self, filling: &Filling) {
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
        if self.counts.hollow > 0 && stride > 0 {
            for row in self.data.chunks_exact_mut(stride).take(pixels) {
                filling.fill(&mut row[..bands]);
            }
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
