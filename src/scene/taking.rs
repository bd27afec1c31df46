//! What is taken of stored spectra: those with values in enough bands, in reflectance.

use pulp::{Arch, Simd, WithSimd};

use super::blocks::{of_parts, parts};
use super::no_data::Voids;
use super::scaling;

/// A pixel is kept when at most one in this many of its bands lacks a value.
const GAPS: usize = 4;
/// Values this many times as large as the brightest pixels are strays.
const STRAY: f64 = 5.0;

/// What is taken of a stored spectrum, and which ones are kept.
#[derive(Debug, Clone)]
pub(super) struct Rule {
    /// Bands in use, by their places in the file.
    pub(super) used: Vec<usize>,
    /// Gain of each of them, and offset.
    gains: Vec<f64>,
    offsets: Vec<f64>,
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
    pub(super) negative: usize,
    pub(super) high: usize,
    /// For each band how many of the kept pixels lack it.
    pub(super) gaps: Vec<usize>,
    /// For each band the sum over the kept pixels that have it.
    pub(super) sums: Vec<f64>,
    /// Kept pixels that lack a band.
    pub(super) hollow: usize,
}

/// Spectra of a block that are kept, a value a band in use.
pub(super) struct Kept<'a> {
    /// Places of the pixels in the image.
    pub(super) places: Vec<u32>,
    /// Their spectra one after the other, NaN where a band lacks a value.
    pub(super) spectra: &'a [f32],
}

impl Rule {
    /// A rule for a scene whose brightest pixels reach the reflectance `peak`. `gains` are gain and
    /// offset of each of the bands.
    pub(super) fn new(used: Vec<usize>, gains: Vec<(f64, f64)>, voids: Voids, peak: f64) -> Self {
        let (gains, offsets) = gains.into_iter().unzip();
        Rule { used, gains, offsets, voids, highest: scaling::HIGHEST.max(STRAY * peak) }
    }

    /// Takes the pixels of a block of stored spectra that are wanted and hold data, by the place of
    /// the first one in the image: in order, in parts. `size` values make a row of the image,
    /// `bands` of them a spectrum. Spectra that are taken overwrite the block.
    pub(super) fn keep<'a>(
        &self,
        block: &'a mut [f32],
        (first, size, bands): (usize, usize, usize),
        wanted: impl Fn(usize, &[f32]) -> bool + Sync,
        counts: &mut Counts,
    ) -> Vec<Kept<'a>> {
        let taken = self.used.len();
        let of_part = |row: usize, values: &mut [f32]| {
            let (mut places, mut counts) = (Vec::new(), Counts::default());
            let mut spectrum = vec![0.0; taken];
            let first = first + row * (size / bands);
            for pixel in 0..values.len() / bands {
                let stored = &values[pixel * bands..(pixel + 1) * bands];
                if wanted(first + pixel, stored) && self.take(stored, &mut spectrum, &mut counts) {
                    // No farther than the spectrum that was just read.
                    let to = places.len() * taken;
                    values[to..to + taken].copy_from_slice(&spectrum);
                    // Fits: `limits::check` counted the pixels.
                    places.push((first + pixel) as u32);
                }
            }
            (places, counts)
        };
        let found = parts(block, size, of_part);
        let spectra = of_parts(block, size);
        let each = found.into_iter().zip(spectra).map(|((places, of_part), values)| {
            counts.add(&of_part);
            let spectra = &values[..places.len() * taken];
            Kept { places, spectra }
        });
        each.collect()
    }

    /// Takes a stored spectrum to reflectance, a value a band in use, NaN where it has none, where
    /// it has values in enough of them; false for a pixel to leave out.
    fn take(&self, spectrum: &[f32], row: &mut [f32], counts: &mut Counts) -> bool {
        for (kept, &b) in row.iter_mut().zip(&self.used) {
            *kept = spectrum[b];
        }
        let scaled = Arch::new().dispatch(Scale { rule: self, row: &mut *row });
        let Scaled { all, mut negative, mut high, mut lit } = scaled;
        let mut gaps = 0;
        if !all {
            (negative, high, lit) = (0, 0, false);
            let gains = self.gains.iter().zip(&self.offsets);
            for ((&b, (gain, offset)), kept) in self.used.iter().zip(gains).zip(&mut *row) {
                let wide = f64::from(spectrum[b]) * gain + offset;
                let is_value = !self.voids.contain(spectrum[b]) && self.is_reflectance(wide);
                let v = if is_value { wide as f32 } else { f32::NAN };
                gaps += usize::from(!is_value);
                negative += usize::from(v < 0.0);
                high += usize::from(f64::from(v) > scaling::HIGHEST);
                lit |= v > 0.0;
                *kept = v;
            }
        }
        let is_partial = gaps > self.used.len() / GAPS;
        if is_partial || !lit {
            counts.partial += usize::from(is_partial);
            counts.dark += usize::from(!is_partial);
            return false;
        }
        counts.gaps.resize(self.used.len(), 0);
        counts.sums.resize(self.used.len(), 0.0);
        if gaps == 0 {
            counts.sums.iter_mut().zip(&*row).for_each(|(sum, &v)| *sum += f64::from(v));
        } else {
            for ((v, missing), sum) in row.iter().zip(&mut counts.gaps).zip(&mut counts.sums) {
                if v.is_nan() {
                    *missing += 1;
                } else {
                    *sum += f64::from(*v);
                }
            }
        }
        counts.kept += 1;
        counts.hollow += usize::from(gaps > 0);
        counts.negative += negative;
        counts.high += high;
        true
    }

    fn is_reflectance(&self, value: f64) -> bool {
        (scaling::LOWEST..=self.highest).contains(&value)
    }
}

/// Takes a spectrum to reflectance as if all of its bands had a value, which most have.
struct Scale<'a> {
    rule: &'a Rule,
    /// Stored values of the bands in use, then reflectance.
    row: &'a mut [f32],
}

struct Scaled {
    /// Whether all bands have a value; the rest is of no use where not.
    all: bool,
    negative: usize,
    high: usize,
    lit: bool,
}

impl WithSimd for Scale<'_> {
    type Output = Scaled;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> Scaled {
        let Scale { rule, row } = self;
        // Sums instead of conditions: a vector of bands at a time.
        let void = rule.voids.count(row);
        let (mut inside, mut negative, mut high, mut lit) = (0, 0u32, 0u32, 0u32);
        for ((v, gain), offset) in row.iter_mut().zip(&rule.gains).zip(&rule.offsets) {
            let wide = f64::from(*v) * gain + offset;
            inside += usize::from(wide >= scaling::LOWEST && wide <= rule.highest);
            *v = wide as f32;
            negative += u32::from(*v < 0.0);
            lit += u32::from(*v > 0.0);
            high += u32::from(f64::from(*v) > scaling::HIGHEST);
        }
        Scaled {
            all: void == 0 && inside == row.len(),
            negative: negative as usize,
            high: high as usize,
            lit: lit > 0,
        }
    }
}

impl Counts {
    /// Adds those of other pixels.
    fn add(&mut self, other: &Counts) {
        self.kept += other.kept;
        self.partial += other.partial;
        self.dark += other.dark;
        self.negative += other.negative;
        self.high += other.high;
        self.hollow += other.hollow;
        self.gaps.resize(self.gaps.len().max(other.gaps.len()), 0);
        self.gaps.iter_mut().zip(&other.gaps).for_each(|(to, n)| *to += n);
        self.sums.resize(self.sums.len().max(other.sums.len()), 0.0);
        self.sums.iter_mut().zip(&other.sums).for_each(|(to, sum)| *to += sum);
    }

    /// Bands that enough of the kept pixels have, by their places among those in use.
    pub(super) fn full(&self, bands: usize) -> Vec<usize> {
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
