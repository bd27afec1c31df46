//! From a cube in a file to a [`Scene`]: what is left out, and how values become reflectance.
//!
//! Two passes over blocks of rows. The first gathers statistics of every band, from which the bands
//! and the scale are decided; the second keeps the pixels that are valid in all of those bands.

use std::path::Path;

use super::{
    Band, Cube, CubeSource, Header, Scaling, Scene, Stated, choose, grow, grow_pages, scaling,
};
use crate::engine::ground::error::{Error, Result};
use crate::engine::ground::pages::Pages;

/// What the caller asks of [`load`].
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LoadOptions {
    /// `--scale FACTOR`: reflectance is the stored value divided by it. Above 0; wins over all else.
    pub scale: Option<f64>,
}

/// Values that stand for no data where a file does not say so, once a pixel holds one in all bands.
const SENTINELS: [f32; 2] = [-9999.0, -32768.0];
/// Bytes of values that are read at once: small enough for the caches, since turning bsq into pixels
/// writes all over the block, and large enough that column-major files give many rows in one go.
const BLOCK: usize = 8 << 20;
/// The statistics of a band take 2 KB; more bands than this are a wrong header.
const MOST_BANDS: usize = 1 << 16;

/// Reads `source` into a scene called `name`.
///
/// - **Bands** are left out when the file flags them as bad (`bbl`), when fewer than half of the
///   valid pixels have a value in them, when they are constant over all valid pixels (of which there
///   are at least two), or when they are nowhere above zero.
/// - **Pixels** are left out as no data when every band not flagged holds zero, NaN, infinity or the
///   ignore value (the file's; where it states none, -9999 and -32768 count once they fill a pixel);
///   and when a band in use holds no value, or all of them hold none above zero.
/// - **Negative reflectance** stays, and is counted in the notes: noise around a dark spectrum is
///   partly negative, and with that part set to 0 dark endmembers would come out too bright. Below
///   -0.5 it is no reflectance: the pixel is left out as one that lacks a value.
/// - **Scale**: `options.scale`, else the file's statement, else a guess from the value that one in
///   a thousand exceeds; [`Scaling::rule`] tells. A file may state one gain and offset a band: then
///   `Scaling` holds those of the first band in use.
///
/// Fails when nothing is left, when there are more than 2^32 - 1 pixels, or when memory does not
/// suffice.
pub fn load(source: &mut dyn CubeSource, name: &str, options: &LoadOptions) -> Result<Scene> {
    if let Some(scale) = options.scale
        && !(scale.is_finite() && scale > 0.0)
    {
        return Err(Error::option(
            format!("--scale {scale}"),
            "must be a number above 0, by which stored values are divided to give reflectance.",
        ));
    }
    let header = source.header().clone();
    check(name, &header)?;
    let mut notes = header.notes.clone();
    let statistics = Statistics::gather(source, name, &header)?;
    let mut used = statistics.bands_in_use(name, &header, &mut notes)?;
    let (scaling, mut gains) = statistics.scaling(name, &header, &used, options)?;
    statistics.drop_dark(name, &mut used, &mut gains, &mut notes)?;
    notes.push(scaling.rule.clone());

    let all = header.rows * header.cols;
    let mut values = Values::with_capacity(name, all - statistics.empty, used.len())?;
    for_each_row(source, name, &header, |row, spectra| {
        for (col, spectrum) in spectra.chunks_exact(header.bands).enumerate() {
            // Fits: `check` counted the pixels.
            let place = (row * header.cols + col) as u32;
            values.push(place, spectrum, &used, &gains, |v| statistics.is_void(v), &header);
        }
    })?;
    values.note(statistics.empty, all, &mut notes);
    if values.places.is_empty() {
        return Err(Error::Scene(format!(
            "{name}: no valid pixel is left: of {all}, {} are no data, {} lack a value in a band in \
             use, {} have none above zero.",
            statistics.empty, values.partial, values.dark
        )));
    }
    let bands = used
        .iter()
        .map(|&index| Band {
            index,
            wavelength: header.wavelengths.as_ref().and_then(|w| w.get(index).copied()),
        })
        .collect();
    values.data.truncate(values.places.len() * values.stride);
    let cube = Cube::from_padded(values.data, values.places.len(), used.len());
    Ok(Scene {
        name: name.to_owned(),
        rows: header.rows,
        cols: header.cols,
        bands,
        file_bands: header.bands,
        cube,
        pixel_index: values.places,
        georeference: header.georeference,
        scaling,
        notes,
    })
}

/// Sizes within limits, and one entry a band where there is one a band.
fn check(name: &str, header: &Header) -> Result<()> {
    let Header { rows, cols, bands, .. } = *header;
    let fail = |why: String| Err(Error::Scene(format!("{name}: {why}")));
    if rows.checked_mul(cols).is_none_or(|n| n > u32::MAX as usize) {
        return fail(format!(
            "{rows} rows x {cols} columns are more than the {} pixels that one fit can have; cut \
             the scene into pieces.",
            u32::MAX
        ));
    }
    if rows == 0 || cols == 0 || bands == 0 {
        return fail(format!("{rows} rows x {cols} columns x {bands} bands are an empty scene."));
    }
    if bands > MOST_BANDS
        || (rows * cols)
            .checked_mul(bands.next_multiple_of(crate::engine::layout::BAND_GROUP))
            .is_none()
    {
        return fail(format!("{bands} bands are more than the {MOST_BANDS} that are allowed."));
    }
    for (what, len) in [
        ("wavelengths", header.wavelengths.as_ref().map(Vec::len)),
        ("flags of bad bands", header.good_bands.as_ref().map(Vec::len)),
    ] {
        if let Some(len) = len.filter(|len| *len != bands) {
            return fail(format!("{len} {what} are given for {bands} bands."));
        }
    }
    if let Some((gain, offset, key)) = &header.stated_scale {
        for list in [gain, offset] {
            if (list.len() != 1 && list.len() != bands) || list.iter().any(|v| !v.is_finite()) {
                return fail(format!("`{key}` must hold 1 or {bands} finite numbers."));
            }
        }
    }
    Ok(())
}

/// Hands every row to `each` as (row, its `cols * bands` values), reading blocks of rows.
fn for_each_row(
    source: &mut dyn CubeSource,
    name: &str,
    header: &Header,
    mut each: impl FnMut(usize, &[f32]),
) -> Result<()> {
    let row = header.cols * header.bands;
    let at_once = (BLOCK / 4 / row).clamp(1, header.rows);
    let mut block = grow(Path::new(name), at_once * row)?;
    block.resize(at_once * row, 0.0f32);
    for first in (0..header.rows).step_by(at_once) {
        let count = at_once.min(header.rows - first);
        let block = &mut block[..count * row];
        source.read_rows(first, count, block)?;
        for (i, values) in block.chunks_exact(row).enumerate() {
            each(first + i, values);
        }
    }
    Ok(())
}

/// Counts of values by size, eight to an octave: enough to find the value that one in a thousand
/// exceeds to within an eighth.
#[derive(Clone)]
struct Histogram([u32; Histogram::BINS]);

impl Histogram {
    const LOWEST_EXPONENT: i32 = -20;
    const BINS: usize = 60 * 8;

    fn add(&mut self, value: f32) {
        // The exponent and three bits of the mantissa, straight from the number's bits.
        let origin = ((127 + Self::LOWEST_EXPONENT) * 8) as u32;
        let bin = (value.to_bits() >> 20).saturating_sub(origin) as usize;
        self.0[bin.min(Self::BINS - 1)] += 1;
    }

    /// The upper end of a bin.
    fn upper(bin: usize) -> f64 {
        let octave = (bin / 8) as i32 + Self::LOWEST_EXPONENT;
        (1.0 + (bin % 8 + 1) as f64 / 8.0) * 2f64.powi(octave)
    }
}

/// What is known of one band over the pixels that are not empty.
#[derive(Clone)]
struct BandStatistics {
    /// Values that count: finite, not ignored.
    count: usize,
    min: f32,
    max: f32,
    /// How often each sentinel occurs.
    sentinels: [usize; 2],
    positive: Histogram,
}

struct Statistics {
    bands: Vec<BandStatistics>,
    /// Values that stand for no data.
    ignored: Vec<f32>,
    /// Pixels without data, and the others.
    empty: usize,
    filled: usize,
}

impl Statistics {
    fn gather(source: &mut dyn CubeSource, name: &str, header: &Header) -> Result<Self> {
        let declared = header.ignore_value.map(|v| v as f32);
        let good = |band: usize| header.good_bands.as_ref().is_none_or(|g| g[band]);
        let bands: Vec<usize> = (0..header.bands).filter(|b| good(*b)).collect();
        if bands.is_empty() {
            return Err(Error::Scene(format!(
                "{name}: the file flags all of its {} bands as bad.",
                header.bands
            )));
        }
        let fresh = BandStatistics {
            count: 0,
            min: f32::INFINITY,
            max: f32::NEG_INFINITY,
            sentinels: [0; 2],
            positive: Histogram([0; Histogram::BINS]),
        };
        let mut all = vec![fresh; header.bands];
        let mut fills_a_pixel = [false; 2];
        let (mut empty, mut filled) = (0, 0);
        let sentinel = |v: f32| {
            if declared.is_none() { SENTINELS.iter().position(|s| *s == v) } else { None }
        };
        for_each_row(source, name, header, |_, row| {
            for spectrum in row.chunks_exact(header.bands) {
                let mut seen = [false; 2];
                let is_empty = bands.iter().all(|&b| {
                    let v = spectrum[b];
                    if let Some(s) = sentinel(v) {
                        seen[s] = true;
                        return true;
                    }
                    v == 0.0 || !v.is_finite() || declared == Some(v)
                });
                if is_empty {
                    empty += 1;
                    fills_a_pixel = [fills_a_pixel[0] | seen[0], fills_a_pixel[1] | seen[1]];
                    continue;
                }
                filled += 1;
                for &b in &bands {
                    let (v, band) = (spectrum[b], &mut all[b]);
                    if !v.is_finite() || declared == Some(v) {
                    } else if let Some(s) = sentinel(v) {
                        band.sentinels[s] += 1;
                    } else {
                        band.count += 1;
                        band.min = band.min.min(v);
                        band.max = band.max.max(v);
                        if v > 0.0 {
                            band.positive.add(v);
                        }
                    }
                }
            }
        })?;
        let mut ignored: Vec<f32> = declared.into_iter().collect();
        for (s, fills) in fills_a_pixel.into_iter().enumerate() {
            if fills {
                ignored.push(SENTINELS[s]);
                continue;
            }
            // It fills no pixel, so it is a value like any other.
            for band in all.iter_mut().filter(|b| b.sentinels[s] > 0) {
                band.count += band.sentinels[s];
                band.min = band.min.min(SENTINELS[s]);
                band.max = band.max.max(SENTINELS[s]);
            }
        }
        if filled == 0 {
            return Err(Error::Scene(format!(
                "{name}: all {empty} pixels are no data: every band holds 0, NaN or a value that \
                 stands for no data."
            )));
        }
        Ok(Statistics { bands: all, ignored, empty, filled })
    }

    fn is_void(&self, value: f32) -> bool {
        !value.is_finite() || self.ignored.contains(&value)
    }

    fn bands_in_use(
        &self,
        name: &str,
        header: &Header,
        notes: &mut Vec<String>,
    ) -> Result<Vec<usize>> {
        let (mut flagged, mut hollow, mut constant) = (0, 0, 0);
        let mut used = Vec::new();
        for (index, band) in self.bands.iter().enumerate() {
            if header.good_bands.as_ref().is_some_and(|g| !g[index]) {
                flagged += 1;
            } else if band.count == 0 || band.count * 2 < self.filled {
                // Kept, such a band would cost more pixels than it leaves.
                hollow += 1;
            } else if band.min == band.max && self.filled > 1 {
                constant += 1;
            } else {
                used.push(index);
            }
        }
        let told: Vec<String> = [
            (flagged, "flagged as bad by the file"),
            (hollow, "without a value in most valid pixels"),
            (constant, "constant over all valid pixels"),
        ]
        .into_iter()
        .filter(|(n, _)| *n > 0)
        .map(|(n, why)| format!("{n} {why}"))
        .collect();
        if used.is_empty() {
            return Err(Error::Scene(format!(
                "{name}: none of the {} bands can be used: {}.",
                header.bands,
                told.join(", ")
            )));
        }
        if !told.is_empty() {
            notes.push(format!(
                "{} of {} bands were left out: {}.",
                header.bands - used.len(),
                header.bands,
                told.join(", ")
            ));
        }
        Ok(used)
    }

    /// The scaling to tell, and gain and offset of each band in use.
    #[allow(clippy::type_complexity)]
    fn scaling(
        &self,
        name: &str,
        header: &Header,
        used: &[usize],
        options: &LoadOptions,
    ) -> Result<(Scaling, Vec<(f64, f64)>)> {
        if let (None, Some((gain, offset, key))) = (options.scale, &header.stated_scale) {
            let of = |list: &[f64], band: usize| if list.len() == 1 { list[0] } else { list[band] };
            let gains: Vec<_> = used.iter().map(|&b| (of(gain, b), of(offset, b))).collect();
            let (gain, offset) = gains[0];
            let mut scaling = choose(Stated::ByFile { gain, offset, key: key.clone() }, 0.0, false);
            if gains.iter().any(|g| *g != gains[0]) {
                scaling.rule += " It differs from band to band; that of the first band is given.";
            }
            return Ok((scaling, gains));
        }
        let stated = options.scale.map_or(Stated::No, Stated::ByUser);
        let peak = self.peak(used);
        if peak <= 0.0 {
            return Err(Error::Scene(format!("{name}: no value is above zero.")));
        }
        let scaling = choose(stated, peak, header.integer);
        let gains = vec![(scaling.gain, scaling.offset); used.len()];
        Ok((scaling, gains))
    }

    /// The stored value that at most one in a thousand exceeds, in the bands in use.
    fn peak(&self, used: &[usize]) -> f64 {
        let max = used.iter().map(|&b| self.bands[b].max).fold(f32::NEG_INFINITY, f32::max);
        let count: usize = used.iter().map(|&b| self.bands[b].count).sum();
        let mut above = 0;
        for bin in (0..Histogram::BINS).rev() {
            above += used.iter().map(|&b| self.bands[b].positive.0[bin] as usize).sum::<usize>();
            if above > count / 1000 {
                return Histogram::upper(bin).min(f64::from(max));
            }
        }
        f64::from(max)
    }

    /// Leaves out bands that are nowhere above zero once scaled: they would be all zero.
    fn drop_dark(
        &self,
        name: &str,
        used: &mut Vec<usize>,
        gains: &mut Vec<(f64, f64)>,
        notes: &mut Vec<String>,
    ) -> Result<()> {
        if self.filled == 1 {
            return Ok(());
        }
        let before = used.len();
        let lit = |&(b, (gain, offset)): &(usize, (f64, f64))| {
            f64::from(self.bands[b].max) * gain + offset > 0.0
        };
        (*used, *gains) = used.iter().copied().zip(gains.iter().copied()).filter(lit).unzip();
        if used.is_empty() {
            return Err(Error::Scene(format!("{name}: no reflectance is above zero.")));
        }
        if used.len() < before {
            notes.push(format!(
                "{} bands were left out because they are nowhere above zero.",
                before - used.len()
            ));
        }
        Ok(())
    }
}

/// The pixels that were kept, and counts of what was done.
struct Values {
    data: Pages<f32>,
    places: Vec<u32>,
    stride: usize,
    partial: usize,
    dark: usize,
    negative: usize,
    high: usize,
}

impl Values {
    fn with_capacity(name: &str, pixels: usize, bands: usize) -> Result<Self> {
        let stride = bands.next_multiple_of(crate::engine::layout::BAND_GROUP);
        Ok(Values {
            data: grow_pages(Path::new(name), pixels * stride)?,
            places: grow(Path::new(name), pixels)?,
            stride,
            partial: 0,
            dark: 0,
            negative: 0,
            high: 0,
        })
    }

    /// Keeps the pixel at `place` if it is valid in all bands in use.
    fn push(
        &mut self,
        place: u32,
        spectrum: &[f32],
        used: &[usize],
        gains: &[(f64, f64)],
        is_void: impl Fn(f32) -> bool,
        header: &Header,
    ) {
        let empty = spectrum.iter().enumerate().all(|(b, v)| {
            header.good_bands.as_ref().is_some_and(|g| !g[b]) || *v == 0.0 || is_void(*v)
        });
        if empty {
            return;
        }
        let start = self.places.len() * self.stride;
        let Some(row) = self.data.get_mut(start..start + used.len()) else {
            // Not counted the first time: the file has changed since.
            self.partial += 1;
            return;
        };
        let (mut negative, mut high, mut lit) = (0, 0, false);
        for ((&b, (gain, offset)), kept) in used.iter().zip(gains).zip(row) {
            let v = (f64::from(spectrum[b]) * gain + offset) as f32;
            if is_void(spectrum[b]) || !v.is_finite() || f64::from(v) < scaling::LOWEST {
                self.partial += 1;
                return;
            }
            negative += usize::from(v < 0.0);
            high += usize::from(f64::from(v) > scaling::HIGHEST);
            lit |= v > 0.0;
            *kept = v;
        }
        if !lit {
            self.dark += 1;
            return;
        }
        self.places.push(place);
        self.negative += negative;
        self.high += high;
    }

    fn note(&self, empty: usize, all: usize, notes: &mut Vec<String>) {
        for (count, why) in [
            (empty, "hold no data in any band"),
            (self.partial, "hold no valid value in a band in use"),
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
                "{} values lie above a reflectance of {}; if the scale is wrong, say --scale.",
                self.high,
                scaling::HIGHEST
            ));
        }
    }
}
