//! The first pass over a scene: what each band holds, how bright its pixels are, which are empty.

use pulp::{Arch, Simd, WithSimd};

use super::blocks::{for_each_block, parts};
use super::extremes::BandStatistics;
use super::load::Request;
use super::no_data::{Constants, SENTINELS, Voids};
use super::water::Roughness;
use super::{CubeSource, Header};
use crate::engine::ground::error::{Error, Result};

/// Pixels whose brightness is measured, evenly from the whole scene.
const SAMPLED: usize = 1 << 16;
/// Among a sampled pixel's bands the share that is darker than its brightness, and its darkness.
const BRIGHT: f64 = 0.9;
const DARK: f64 = 0.1;

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

/// What is to be gathered.
struct Plan<'a> {
    header: &'a Header,
    request: &'a Request<'a>,
    /// Bands that count.
    bands: &'a [usize],
    voids: Voids,
    /// One pixel in so many is sampled.
    every: usize,
}

/// What is gathered pixel by pixel, of a part of them or of all.
struct Gathered {
    bands: Vec<BandStatistics>,
    /// Above the lows, and below the highs, a value is neither the extreme of its band nor the
    /// next. Of the bands that count, one after the other.
    lows: Vec<f32>,
    highs: Vec<f32>,
    /// Pixels that lie between them in all bands, and are not counted band by band.
    plain: usize,
    fills_a_pixel: [bool; 2],
    empty: usize,
    filled: usize,
    bright: Vec<f32>,
    bright_scaled: Vec<f32>,
    dark: Vec<f32>,
    roughness: Roughness,
    scratch: Vec<f32>,
}

/// All that was gathered, with the numbers that fill pixels.
struct Gathering<'a> {
    plan: Plan<'a>,
    all: Gathered,
    constants: Constants,
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
            all: Gathered::beside(&vec![BandStatistics::new(); header.bands], &bands),
            constants: Constants::default(),
            plan: Plan {
                header,
                request,
                bands: &bands,
                voids: Voids::stated(&request.options.no_data, header.ignore_value),
                every: (header.rows * header.cols).div_ceil(SAMPLED).max(1),
            },
        };
        let size = header.cols * header.bands;
        for_each_block(source, name, size, 0..header.rows, |row, block| {
            gathering.block(row * header.cols, block);
            Ok(())
        })?;
        gathering.finish(name)
    }
}

impl Gathering<'_> {
    /// Takes in a block of spectra, by the place of the first one in the image. Parts begin with
    /// the extremes of all blocks before, so that hardly a value is beyond them.
    fn block(&mut self, first: usize, block: &mut [f32]) {
        let Gathering { plan, all, constants } = self;
        let (cols, bands) = (plan.header.cols, plan.header.bands);
        let found = parts(block, cols * bands, |row, values| {
            let mut part = Gathered::beside(&all.bands, plan.bands);
            let mut same = Vec::new();
            for (pixel, spectrum) in values.chunks_exact(bands).enumerate() {
                let place = first + row * cols + pixel;
                if plan.request.wants(place)
                    && let Some(value) = part.pixel(plan, place, spectrum)
                {
                    same.push((place, value));
                }
            }
            (part, same)
        });
        for (part, same) in found {
            all.merge(part, plan.bands);
            for (place, value) in same {
                if !constants.add(value) {
                    let at = (place - first) * bands;
                    all.take(plan, place, &block[at..at + bands]);
                }
            }
        }
    }
}

impl Gathered {
    /// Nothing yet, beside extremes that were seen before.
    fn beside(seen: &[BandStatistics], bands: &[usize]) -> Self {
        let mut gathered = Gathered {
            bands: seen.iter().map(BandStatistics::emptied).collect(),
            lows: vec![0.0; bands.len()],
            highs: vec![0.0; bands.len()],
            plain: 0,
            fills_a_pixel: [false; 2],
            empty: 0,
            filled: 0,
            bright: Vec::new(),
            bright_scaled: Vec::new(),
            dark: Vec::new(),
            roughness: Roughness::new(seen.len()),
            scratch: Vec::new(),
        };
        gathered.mark(bands);
        gathered
    }

    /// Notes between what values of the bands that count are plain.
    fn mark(&mut self, bands: &[usize]) {
        for ((low, high), &b) in self.lows.iter_mut().zip(&mut self.highs).zip(bands) {
            (*low, *high) = (self.bands[b].low.next, self.bands[b].high.next);
        }
    }

    /// Adds what other pixels have; `bands` are those that count.
    fn merge(&mut self, other: Gathered, bands: &[usize]) {
        for &b in bands {
            self.bands[b].merge(&other.bands[b]);
            self.bands[b].count += other.plain;
        }
        self.mark(bands);
        for (fills, more) in self.fills_a_pixel.iter_mut().zip(other.fills_a_pixel) {
            *fills |= more;
        }
        self.empty += other.empty;
        self.filled += other.filled;
        self.bright.extend(other.bright);
        self.bright_scaled.extend(other.bright_scaled);
        self.dark.extend(other.dark);
        self.roughness.merge(&other.roughness);
    }

    /// Takes a pixel in, but for one that holds the same number in all bands: that number is given.
    fn pixel(&mut self, plan: &Plan<'_>, place: usize, spectrum: &[f32]) -> Option<f32> {
        let open = plan.voids.open();
        let mut seen = [false; 2];
        let is_empty = plan.bands.iter().all(|&b| {
            let v = spectrum[b];
            if open && let Some(s) = SENTINELS.iter().position(|s| *s == v) {
                seen[s] = true;
                return true;
            }
            v == 0.0 || plan.voids.contain(v)
        });
        if is_empty {
            self.empty += 1;
            for (fills, seen) in self.fills_a_pixel.iter_mut().zip(seen) {
                *fills |= seen;
            }
            return None;
        }
        let same = || Constants::of(plan.bands.iter().map(|&b| spectrum[b]), &plan.voids);
        if open && let Some(one) = same() {
            return Some(one);
        }
        self.take(plan, place, spectrum);
        None
    }

    /// Takes in a pixel that holds data.
    fn take(&mut self, plan: &Plan<'_>, place: usize, spectrum: &[f32]) {
        self.filled += 1;
        let Gathered { lows, highs, scratch, .. } = self;
        let mut values = spectrum;
        if plan.bands.len() < spectrum.len() {
            scratch.clear();
            scratch.extend(plan.bands.iter().map(|&b| spectrum[b]));
            values = scratch;
        }
        if Arch::new().dispatch(IsPlain { voids: &plan.voids, values, lows, highs }) {
            self.plain += 1;
        } else {
            self.take_each(plan, spectrum);
        }
        if place.is_multiple_of(plan.every) {
            self.sample(plan, spectrum);
        }
    }

    /// Takes in its values band by band.
    fn take_each(&mut self, plan: &Plan<'_>, spectrum: &[f32]) {
        for &b in plan.bands {
            let (v, band) = (spectrum[b], &mut self.bands[b]);
            if plan.voids.contain(v) {
                continue;
            }
            match SENTINELS.iter().position(|s| *s == v) {
                Some(s) if plan.voids.open() => band.sentinels[s] += 1,
                _ => band.add(v, 1),
            }
        }
        self.mark(plan.bands);
    }

    fn sample(&mut self, plan: &Plan<'_>, spectrum: &[f32]) {
        let decile = |values: &mut Vec<f32>, share: f64| {
            let last = values.len().checked_sub(1)?;
            let place = (share * last as f64).floor() as usize;
            Some(*values.select_nth_unstable_by(place, f32::total_cmp).1)
        };
        let is_value = |v: f32| !plan.voids.contain(v) && !SENTINELS.contains(&v);
        let valid = |b: &&usize| is_value(spectrum[**b]);
        let scratch = &mut self.scratch;
        scratch.clear();
        scratch.extend(plan.bands.iter().filter(valid).map(|&b| spectrum[b]));
        if let (Some(bright), Some(dark)) = (decile(scratch, BRIGHT), decile(scratch, DARK)) {
            self.bright.push(bright);
            self.dark.push(dark);
        }
        let stated = &plan.request.stated;
        if stated.len() == spectrum.len() {
            scratch.clear();
            let scaled = |&b: &usize| (f64::from(spectrum[b]) * stated[b].0 + stated[b].1) as f32;
            scratch.extend(plan.bands.iter().filter(valid).map(scaled));
            self.bright_scaled.extend(decile(scratch, BRIGHT));
        }
        self.roughness.add(spectrum, is_value);
    }
}

/// Whether values lie between lows and highs in all bands that count, and none stands for no data:
/// those change no extreme.
struct IsPlain<'a> {
    voids: &'a Voids,
    values: &'a [f32],
    lows: &'a [f32],
    highs: &'a [f32],
}

impl WithSimd for IsPlain<'_> {
    type Output = bool;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> bool {
        let IsPlain { voids, values, lows, highs } = self;
        let mut odd = voids.count(values);
        for ((&v, &low), &high) in values.iter().zip(lows).zip(highs) {
            odd += u32::from((v <= low) | (v >= high));
        }
        if voids.open() {
            for &v in values {
                odd += u32::from((v == SENTINELS[0]) | (v == SENTINELS[1]));
            }
        }
        odd == 0
    }
}

impl Gathering<'_> {
    fn finish(self, name: &str) -> Result<Statistics> {
        let Gathering { plan, mut all, constants } = self;
        let Plan { header, request, bands, mut voids, .. } = plan;
        bands.iter().for_each(|&b| all.bands[b].count += all.plain);
        let others = super::scaling::peak(&mut all.bright).map(|high| {
            all.dark.sort_unstable_by(f32::total_cmp);
            let low = all.dark.get(all.dark.len() / 1000).copied().unwrap_or_default();
            (f64::from(low), high)
        });
        let sorted = constants.sort(others, header.largest);
        for &(code, count) in &sorted.codes {
            voids.add(code);
            all.empty += count;
            for &b in bands {
                all.bands[b].remove(code);
            }
        }
        for &(value, count) in &sorted.values {
            all.filled += count;
            for &b in bands {
                all.bands[b].add(value, count);
            }
            if others.is_none() {
                let (gain, offset) = request.stated.first().copied().unwrap_or((1.0, 0.0));
                all.bright.push(value);
                all.bright_scaled.push((f64::from(value) * gain + offset) as f32);
            }
        }
        for (s, fills) in all.fills_a_pixel.into_iter().enumerate() {
            if fills {
                voids.add(SENTINELS[s]);
                continue;
            }
            // It fills no pixel, so it is a value like any other.
            for band in all.bands.iter_mut().filter(|b| b.sentinels[s] > 0) {
                band.add(SENTINELS[s], band.sentinels[s]);
            }
        }
        if all.filled == 0 {
            return Err(Error::Scene(format!(
                "{name}: all {} pixels are no data: every band holds 0, NaN or a value that \
                 stands for no data.",
                all.empty
            )));
        }
        let scaled = !request.stated.is_empty();
        Ok(Statistics {
            bands: all.bands,
            voids,
            brightness: if scaled { all.bright_scaled } else { all.bright },
            roughness: all.roughness,
            empty: all.empty,
            filled: all.filled,
            notes: sorted.notes,
        })
    }
}

#[cfg(test)]
mod tests {
    use ndarray::Array3;

    use super::super::{LoadOptions, View};
    use super::*;

    /// Values without order, so that extremes come anywhere, some of them more than once.
    fn value(row: usize, col: usize, band: usize) -> f32 {
        let x = (row * 7919 + col * 104_729 + band * 15_485_863) % 9973;
        0.01 + x as f32 / 20_000.0
    }

    /// A scene of several parts with pixels of no data, gaps, a sentinel that fills no pixel, and
    /// `same` different numbers that each fill one.
    fn stored(same: usize) -> Array3<f32> {
        let mut cube = Array3::from_shape_fn((2500, 7, 6), |(r, c, b)| value(r, c, b));
        for row in 0..2500 {
            if row % 11 == 0 {
                cube.slice_mut(ndarray::s![row, 3, ..]).fill(0.0);
            }
            if row % 13 == 0 {
                cube[[row, 4, 1]] = f32::NAN;
                cube[[row, 5, 2]] = -9999.0;
            }
        }
        for i in 0..same {
            cube.slice_mut(ndarray::s![20 * i + 7, 6, ..]).fill(0.1 + i as f32 / 1000.0);
        }
        cube
    }

    fn gathered(cube: &Array3<f32>, good: &[bool]) -> Statistics {
        let mut view = View::new(cube.view(), Header::default());
        let header = view.header().clone();
        let options = LoadOptions::default();
        let request = Request { options: &options, good, stated: Vec::new() };
        Statistics::gather(&mut view, "values", &header, &request).unwrap()
    }

    /// Count, lowest and highest value of a band, counted one by one.
    fn counted(cube: &Array3<f32>, band: usize) -> (usize, f32, f32) {
        let spectra = cube.rows().into_iter();
        let held = spectra.filter(|s| s.iter().any(|v| *v != 0.0 && v.is_finite()));
        let values: Vec<f32> = held.map(|s| s[band]).filter(|v| v.is_finite()).collect();
        let low = values.iter().copied().fold(f32::INFINITY, f32::min);
        (values.len(), low, values.iter().copied().fold(f32::NEG_INFINITY, f32::max))
    }

    #[test]
    fn parts_add_up_to_what_is_counted_one_by_one() {
        // Fewer different numbers that fill a pixel than are kept apart, and more.
        for same in [3, 100] {
            let cube = stored(same);
            for good in [[true; 6], [true, false, true, true, true, true]] {
                let found = gathered(&cube, &good);
                assert_eq!((found.empty, found.filled), (228, 2500 * 7 - 228), "{same}");
                for band in (0..6).filter(|&b| good[b]) {
                    let of = &found.bands[band];
                    let seen = (of.count, of.low.value, of.high.value);
                    assert_eq!(seen, counted(&cube, band), "band {band}, {same}");
                }
                // All pixels are sampled, but for those whose bands hold one number.
                let constant = same.min(64);
                assert_eq!(found.brightness.len(), found.filled - constant);
            }
        }
    }

    #[test]
    fn a_pixel_more_is_seen() {
        let mut cube = stored(3);
        let before = gathered(&cube, &[true; 6]);
        cube[[2400, 2, 0]] = 7.0;
        let after = gathered(&cube, &[true; 6]);
        assert!(before.bands[0].high.value < 1.0 && after.bands[0].high.value == 7.0);
        assert_eq!(after.bands[0].high.count, 1);
        assert_eq!(after.bands[0].high.next, before.bands[0].high.value);
    }
}
