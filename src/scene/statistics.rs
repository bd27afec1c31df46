//! The first pass over a scene: what each band holds, how bright its pixels are, which are empty.

use super::load::{Request, for_each_row};
use super::no_data::{Constants, SENTINELS, Voids};
use super::water::Roughness;
use super::{CubeSource, Header};
use crate::engine::ground::error::{Error, Result};

/// Pixels whose brightness is measured, evenly from the whole scene.
const SAMPLED: usize = 1 << 16;
/// Among a sampled pixel's bands the share that is darker than its brightness, and its darkness.
const BRIGHT: f64 = 0.9;
const DARK: f64 = 0.1;

/// What is known of one band over the pixels that are not empty.
#[derive(Debug, Clone)]
pub(super) struct BandStatistics {
    /// Values that count: finite, not ignored.
    pub(super) count: usize,
    /// The lowest value and the highest.
    pub(super) low: Extreme,
    pub(super) high: Extreme,
    /// How often each sentinel occurs.
    sentinels: [usize; 2],
}

/// The most extreme value of a band, how often it occurs, and the next.
#[derive(Debug, Clone, Copy)]
pub(super) struct Extreme {
    pub(super) value: f32,
    count: usize,
    next: f32,
}

impl Extreme {
    /// Takes a value in; `beyond` says whether the first is more extreme than the second.
    fn add(&mut self, value: f32, count: usize, beyond: impl Fn(f32, f32) -> bool) {
        if beyond(value, self.value) {
            (self.value, self.count, self.next) = (value, count, self.value);
        } else if value == self.value {
            self.count += count;
        } else if beyond(value, self.next) {
            self.next = value;
        }
    }

    /// Takes the value out if it is the extreme one, and gives how often it was there.
    fn remove(&mut self, value: f32) -> usize {
        if self.value != value {
            return 0;
        }
        let count = self.count;
        (self.value, self.count) = (self.next, 0);
        count
    }
}

impl BandStatistics {
    fn new() -> Self {
        let at = |value| Extreme { value, count: 0, next: value };
        BandStatistics {
            count: 0,
            low: at(f32::INFINITY),
            high: at(f32::NEG_INFINITY),
            sentinels: [0; 2],
        }
    }

    fn add(&mut self, value: f32, count: usize) {
        self.count += count;
        self.low.add(value, count, |a, b| a < b);
        self.high.add(value, count, |a, b| a > b);
    }

    fn remove(&mut self, value: f32) {
        // A band of one value has it at both ends.
        let count = self.low.remove(value).max(self.high.remove(value));
        self.count -= count.min(self.count);
    }

    /// True when all of its values are the same.
    pub(super) fn is_constant(&self) -> bool {
        self.low.value == self.high.value
    }
}

/// What the first pass found.
pub(super) struct Statistics {
    pub(super) bands: Vec<BandStatistics>,
    pub(super) voids: Voids,
    /// How bright sampled pixels are, after the gain and offset that the file states.
    pub(super) brightness: Vec<f32>,
    pub(super) roughness: Roughness,
    /// Pixels without data, and the others.
    pub(super) empty: usize,
    pub(super) filled: usize,
    /// What was decided about codes for no data.
    pub(super) notes: Vec<String>,
}

/// What is gathered pixel by pixel.
struct Gathering<'a> {
    bands: &'a [usize],
    voids: Voids,
    all: Vec<BandStatistics>,
    constants: Constants,
    fills_a_pixel: [bool; 2],
    empty: usize,
    filled: usize,
    bright: Vec<f32>,
    bright_scaled: Vec<f32>,
    dark: Vec<f32>,
    roughness: Roughness,
    scratch: Vec<f32>,
}

impl Statistics {
    /// Reads the whole source once. `request.good` are the bands that count.
    pub(super) fn gather(
        source: &mut dyn CubeSource,
        name: &str,
        header: &Header,
        request: &Request<'_>,
    ) -> Result<Self> {
        let bands: Vec<usize> =
            request.good.iter().enumerate().filter(|(_, g)| **g).map(|(b, _)| b).collect();
        let mut gathering = Gathering {
            bands: &bands,
            voids: Voids::stated(&request.options.no_data, header.ignore_value),
            all: vec![BandStatistics::new(); header.bands],
            constants: Constants::default(),
            fills_a_pixel: [false; 2],
            empty: 0,
            filled: 0,
            bright: Vec::new(),
            bright_scaled: Vec::new(),
            dark: Vec::new(),
            roughness: Roughness::new(header.bands),
            scratch: Vec::new(),
        };
        let every = (header.rows * header.cols).div_ceil(SAMPLED).max(1);
        let size = header.cols * header.bands;
        for_each_row(source, name, size, 0..header.rows, |row, values| {
            for (col, spectrum) in values.chunks_exact(header.bands).enumerate() {
                let place = row * header.cols + col;
                if !request.wants(place) {
                    continue;
                }
                if gathering.pixel(spectrum) && place.is_multiple_of(every) {
                    gathering.sample(spectrum, &request.stated);
                }
            }
        })?;
        gathering.finish(name, header, request)
    }
}

impl Gathering<'_> {
    /// Takes a pixel in; true when it holds data that are not the same in all bands.
    fn pixel(&mut self, spectrum: &[f32]) -> bool {
        let open = self.voids.open();
        let sentinel = |v: f32| if open { SENTINELS.iter().position(|s| *s == v) } else { None };
        let mut seen = [false; 2];
        let is_empty = self.bands.iter().all(|&b| {
            let v = spectrum[b];
            if let Some(s) = sentinel(v) {
                seen[s] = true;
                return true;
            }
            v == 0.0 || self.voids.contain(v)
        });
        if is_empty {
            self.empty += 1;
            for (fills, seen) in self.fills_a_pixel.iter_mut().zip(seen) {
                *fills |= seen;
            }
            return false;
        }
        if open
            && let Some(one) = Constants::of(self.bands.iter().map(|&b| spectrum[b]), &self.voids)
            && self.constants.add(one)
        {
            return false;
        }
        self.filled += 1;
        for &b in self.bands {
            let (v, band) = (spectrum[b], &mut self.all[b]);
            if self.voids.contain(v) {
            } else if let Some(s) = sentinel(v) {
                band.sentinels[s] += 1;
            } else {
                band.add(v, 1);
            }
        }
        true
    }

    fn sample(&mut self, spectrum: &[f32], stated: &[(f64, f64)]) {
        let decile = |values: &mut Vec<f32>, share: f64| {
            let last = values.len().checked_sub(1)?;
            let place = (share * last as f64).floor() as usize;
            Some(*values.select_nth_unstable_by(place, f32::total_cmp).1)
        };
        let valid =
            |b: &usize| !self.voids.contain(spectrum[*b]) && !SENTINELS.contains(&spectrum[*b]);
        let scratch = &mut self.scratch;
        scratch.clear();
        scratch.extend(self.bands.iter().filter(|b| valid(b)).map(|&b| spectrum[b]));
        if let (Some(bright), Some(dark)) = (decile(scratch, BRIGHT), decile(scratch, DARK)) {
            self.bright.push(bright);
            self.dark.push(dark);
        }
        if stated.len() == spectrum.len() {
            scratch.clear();
            scratch.extend(
                self.bands
                    .iter()
                    .filter(|b| valid(b))
                    .map(|&b| (f64::from(spectrum[b]) * stated[b].0 + stated[b].1) as f32),
            );
            self.bright_scaled.extend(decile(scratch, BRIGHT));
        }
        self.roughness.add(spectrum, |v| !self.voids.contain(v) && !SENTINELS.contains(&v));
    }

    fn finish(mut self, name: &str, header: &Header, request: &Request<'_>) -> Result<Statistics> {
        let others = super::scaling::peak(&mut self.bright).map(|high| {
            self.dark.sort_unstable_by(f32::total_cmp);
            let low = self.dark.get(self.dark.len() / 1000).copied().unwrap_or_default();
            (f64::from(low), high)
        });
        let sorted = self.constants.sort(others, header.largest);
        for &(code, count) in &sorted.codes {
            self.voids.add(code);
            self.empty += count;
            for &b in self.bands {
                self.all[b].remove(code);
            }
        }
        for &(value, count) in &sorted.values {
            self.filled += count;
            for &b in self.bands {
                self.all[b].add(value, count);
            }
            if others.is_none() {
                let (gain, offset) = request.stated.first().copied().unwrap_or((1.0, 0.0));
                self.bright.push(value);
                self.bright_scaled.push((f64::from(value) * gain + offset) as f32);
            }
        }
        for (s, fills) in self.fills_a_pixel.into_iter().enumerate() {
            if fills {
                self.voids.add(SENTINELS[s]);
                continue;
            }
            // It fills no pixel, so it is a value like any other.
            for band in self.all.iter_mut().filter(|b| b.sentinels[s] > 0) {
                band.add(SENTINELS[s], band.sentinels[s]);
            }
        }
        if self.filled == 0 {
            return Err(Error::Scene(format!(
                "{name}: all {} pixels are no data: every band holds 0, NaN or a value that \
                 stands for no data.",
                self.empty
            )));
        }
        let scaled = !request.stated.is_empty();
        Ok(Statistics {
            bands: self.all,
            voids: self.voids,
            brightness: if scaled { self.bright_scaled } else { self.bright },
            roughness: self.roughness,
            empty: self.empty,
            filled: self.filled,
            notes: sorted.notes,
        })
    }
}
