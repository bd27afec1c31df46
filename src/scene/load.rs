//! From a cube in a file to a [`Scene`]: what is left out, and how values become reflectance.
//!
//! Two passes over blocks of rows. The first gathers statistics of every band, from which the bands
//! and the scale are decided; the second keeps the pixels that are valid in most of those bands.

use std::ops::Range;
use std::sync::Arc;

use super::bands;
use super::blocks::for_each_block;
use super::no_data::NoData;
use super::scaling::{self, Peak, Stated};
use super::statistics::Statistics;
use super::taking::{Counts, Kept, Rule};
use super::values::{Filling, Values};
use super::{Band, CubeSource, Header, Mask, Scaling, Scene, SceneParts, limits};
use crate::engine::ground::error::{Error, Result};

/// What the caller asks of [`load`].
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LoadOptions {
    /// Reflectance is the stored value divided by it. Above 0; wins over all else.
    pub scale: Option<f64>,
    /// Which values stand for no data.
    pub no_data: NoData,
    /// Bands to leave out, by their numbers in the file, from 1.
    pub drop_bands: Vec<usize>,
    /// Ranges of wavelengths to leave out, nanometres, both ends included.
    pub drop_wavelengths: Vec<(f64, f64)>,
    /// Keeps bands that look like noise in the windows of water vapour.
    pub keep_water_bands: bool,
    /// Pixels to use; none: all.
    pub mask: Option<Mask>,
}

/// What the passes need to know of what was asked.
pub(super) struct Request<'a> {
    pub(super) options: &'a LoadOptions,
    /// Bands that count.
    pub(super) good: &'a [bool],
    /// Gain and offset of each band of the file where it states them and the user no scale; else
    /// nothing.
    pub(super) stated: Vec<(f64, f64)>,
}

impl Request<'_> {
    /// Whether the mask leaves the pixel at this place (row * columns + column) in.
    pub(super) fn wants(&self, place: usize) -> bool {
        self.options.mask.as_ref().is_none_or(|mask| mask.has(place))
    }
}

/// More bands than this are a wrong header.
pub(super) const MOST_BANDS: usize = 1 << 16;

/// Reads `source` into a scene called `name`.
///
/// - **Bands** are left out when the file flags them as bad (`bbl`) or the caller drops them, when
///   fewer than half of the valid pixels have a value in them, when they are constant over all
///   valid pixels (of which there are at least two), when they are nowhere above zero; and, where
///   the file flags no bands but gives wavelengths, when they hold noise or nothing within the
///   windows of water vapour.
/// - **Pixels** are left out as no data when every band that counts holds zero, NaN, infinity, a
///   magnitude of 1e30 or more, the ignore value (the caller's or the file's, to the digits that a
///   header prints), or a number that fills whole pixels and lies outside of what all others hold;
///   and when more than a quarter of the bands in use hold no value, or none holds one above zero.
/// - **Single missing values** are filled: with the scene's mean spectrum, brought to the level of
///   the pixel's nearest bands. So are stray values: those above a reflectance of 1.5 and above
///   five times what the brightest pixels reach, and those below -0.5.
/// - **Negative reflectance** stays, and is counted in the notes: noise around a dark spectrum is
///   partly negative, and with that part set to 0 dark endmembers would come out too bright.
/// - **Scale**: `options.scale`, else the file's statement where the values do not contradict it,
///   else a guess from how bright the brightest pixels are; [`Scaling::rule`] tells. A file may
///   state one gain and offset a band: then `Scaling` holds those of the first band in use.
///
/// Fails when nothing is left, when there are more than 2^32 - 1 pixels, or when memory does not
/// suffice.
pub fn load(source: &mut dyn CubeSource, name: &str, options: &LoadOptions) -> Result<Scene> {
    let mut decided = Decided::new(source, name, options)?;
    let bands = decided.bands.len();
    let mut values = Values::with_capacity(name, decided.filled, bands)?;
    let rows = 0..decided.header.rows;
    let counts = decided.each_kept(source, rows, |kept| values.add(name, &kept))?;
    let filling = decided.conclude(&counts, values.stride)?;
    values.fill(&filling, &counts);
    let (cube, places) = values.into_cube();
    Scene::new(SceneParts { cube: Arc::new(cube), places, ..decided.parts() })
}

/// What one pass over all values decides before a pixel is taken.
#[derive(Debug, Clone)]
pub(super) struct Decided {
    name: String,
    header: Header,
    mask: Option<Mask>,
    /// Bands that count.
    good: Vec<bool>,
    pub(super) rule: Rule,
    pub(super) bands: Vec<Band>,
    scaling: Scaling,
    notes: Vec<String>,
    /// Pixels with data, and those without.
    pub(super) filled: usize,
    empty: usize,
}

impl Decided {
    /// Reads the whole source once.
    pub(super) fn new(
        source: &mut dyn CubeSource,
        name: &str,
        options: &LoadOptions,
    ) -> Result<Self> {
        if let Some(scale) = options.scale
            && !(scale.is_finite() && scale > 0.0)
        {
            return Err(Error::option(
                format!("scale {scale}"),
                "must be a number above 0, by which stored values are divided to give reflectance.",
            ));
        }
        let header = source.header().clone();
        limits::check(name, &header)?;
        if let Some(mask) = &options.mask {
            mask.check(header.rows, header.cols)?;
        }
        let mut notes = header.notes.clone();
        let chosen = bands::choose(name, &header, options)?;
        let request =
            Request { options, good: &chosen.good, stated: stated_gains(&header, options.scale) };
        let mut statistics = Statistics::gather(source, name, &header, &request)?;
        notes.append(&mut statistics.notes);
        let mut used = bands::in_use(name, &header, &chosen, &statistics, options, &mut notes)?;
        let (scaling, mut gains, peak) = scale(&mut statistics, name, &header, &used, &request)?;
        drop_dark(&statistics, name, &mut used, &mut gains, &mut notes)?;
        notes.push(scaling.rule.clone());
        Ok(Decided {
            name: name.to_owned(),
            mask: options.mask.clone(),
            bands: described(&header, &used),
            good: chosen.good,
            rule: Rule::new(used, gains, statistics.voids, peak),
            scaling,
            notes,
            filled: statistics.filled,
            empty: statistics.empty,
            header,
        })
    }

    /// Hands the pixels of some rows that are wanted, hold data and have values in enough bands to
    /// `each`, in order and in parts; counts what was done to them.
    pub(super) fn each_kept(
        &self,
        source: &mut dyn CubeSource,
        rows: Range<usize>,
        mut each: impl FnMut(Vec<Kept<'_>>) -> Result<()> + Send,
    ) -> Result<Counts> {
        let (cols, bands) = (self.header.cols, self.header.bands);
        let mut counts = Counts::default();
        for_each_block(source, &self.name, cols * bands, rows, |row, block| {
            let at = (row * cols, cols * bands, bands);
            each(self.rule.keep(block, at, |place, v| self.wants(place, v), &mut counts))
        })?;
        Ok(counts)
    }

    /// Whether a pixel is wanted, and holds data.
    fn wants(&self, place: usize, spectrum: &[f32]) -> bool {
        let empty = || {
            let mut values = spectrum.iter().zip(&self.good);
            values.all(|(v, good)| !good || *v == 0.0 || self.rule.voids.contain(*v))
        };
        self.mask.as_ref().is_none_or(|mask| mask.has(place)) && !empty()
    }

    /// Bands that are taken of a stored spectrum, before those go that most pixels lack.
    pub(super) fn taken(&self) -> usize {
        self.rule.used.len()
    }

    /// What all pixels together say, once all were taken: an error when none is left. `stride` is
    /// the length of a row of values.
    pub(super) fn conclude(&mut self, counts: &Counts, stride: usize) -> Result<Filling> {
        let all = self.header.rows * self.header.cols;
        let masked = all - self.empty - self.filled;
        if masked > 0 {
            self.notes.push(format!(
                "{masked} of {all} pixels were left out because the mask is 0 there."
            ));
        }
        counts.note((self.empty, all), stride, &mut self.notes);
        if counts.kept == 0 {
            return Err(Error::Scene(format!(
                "{}: no valid pixel is left: of {all}, {} are no data, {} lack a value in too \
                 many of the bands in use, {} have none above zero.",
                self.name, self.empty, counts.partial, counts.dark
            )));
        }
        Ok(Filling::new(counts, &self.rule, &mut self.bands, &mut self.notes))
    }

    /// A scene of no pixels.
    pub(super) fn parts(&self) -> SceneParts {
        let header = &self.header;
        SceneParts {
            name: self.name.clone(),
            rows: header.rows,
            cols: header.cols,
            bands: self.bands.clone(),
            file_bands: header.bands,
            cube: Arc::new(super::Cube::zeros(0, self.bands.len())),
            places: Vec::new(),
            georeference: header.georeference.clone(),
            scaling: self.scaling.clone(),
            notes: self.notes.clone(),
        }
    }
}

/// The bands of these numbers, as the file describes them.
fn described(header: &Header, used: &[usize]) -> Vec<Band> {
    let of = |list: &Option<Vec<f64>>, b: usize| list.as_ref().and_then(|l| l.get(b).copied());
    let band = |&index: &usize| Band {
        index,
        wavelength: of(&header.wavelengths, index),
        fwhm: of(&header.fwhm, index),
    };
    used.iter().map(band).collect()
}

/// Gain and offset of every band as the file states them; nothing where it does not, or where the
/// user states the scale.
fn stated_gains(header: &Header, by_user: Option<f64>) -> Vec<(f64, f64)> {
    let (None, Some((gain, offset, _))) = (by_user, &header.stated_scale) else {
        return Vec::new();
    };
    let of = |list: &[f64], band: usize| *list.get(band).or(list.first()).unwrap_or(&1.0);
    (0..header.bands).map(|b| (of(gain, b), of(offset, b))).collect()
}

/// The scaling to tell, gain and offset of each band in use, and the reflectance that the brightest
/// pixels reach.
#[allow(clippy::type_complexity)]
fn scale(
    statistics: &mut Statistics,
    name: &str,
    header: &Header,
    used: &[usize],
    request: &Request<'_>,
) -> Result<(Scaling, Vec<(f64, f64)>, f64)> {
    let peak = scaling::peak(&mut statistics.brightness).or_else(|| {
        // No pixel is bright in a tenth of its bands: the brightest value of all.
        let top = |&b: &usize| {
            let (gain, offset) = request.stated.get(b).copied().unwrap_or((1.0, 0.0));
            f64::from(statistics.bands[b].high.value) * gain + offset
        };
        Some(used.iter().map(top).fold(0.0, f64::max)).filter(|top| *top > 0.0)
    });
    let Some(value) = peak else {
        return Err(Error::Scene(format!("{name}: no value is above zero.")));
    };
    let whole = header.largest.or(header.integer.then_some(f64::INFINITY));
    let stated = &request.stated;
    // A gain of 0 marks a dead band, which says nothing of the others.
    let first = used.iter().filter_map(|&b| stated.get(b)).find(|g| g.0 != 0.0).copied();
    let by_file = first.zip(header.stated_scale.as_ref());
    let choice = match (request.options.scale, by_file) {
        (Some(by), _) => Stated::ByUser(by),
        (None, Some(((gain, offset), (.., key)))) => {
            Stated::ByFile { gain, offset, key: key.clone() }
        }
        (None, None) => Stated::No,
    };
    let mut scaling = scaling::choose(choice, Peak { value, whole_up_to: whole });
    let Some((gain, _)) = first else {
        let gains = vec![(scaling.gain, scaling.offset); used.len()];
        let peak = value * scaling.gain;
        return Ok((scaling, gains, peak));
    };
    // What was chosen for the first band goes for all, on top of what is stated for each.
    let inverse = scaling.gain == 1.0 / gain && scaling.gain != gain;
    let top = scaling.gain / gain;
    let of = |&b: &usize| match stated.get(b) {
        Some((g, _)) if inverse && *g != 0.0 => (1.0 / g, 0.0),
        Some((g, o)) => (g * top, o * top),
        None => (1.0, 0.0),
    };
    let gains: Vec<_> = used.iter().map(of).collect();
    let told = (scaling.gain, scaling.offset);
    if gains.iter().any(|g| g.0 != 0.0 && (g.0 / told.0 - 1.0).abs() > 1e-12 || g.1 != told.1) {
        scaling.rule += " It differs from band to band; that of the first band is given.";
    }
    let reached = if inverse { value / gain / gain } else { value * top };
    Ok((scaling, gains, reached))
}

/// Leaves out bands that are nowhere above zero once scaled: they would be all zero.
fn drop_dark(
    statistics: &Statistics,
    name: &str,
    used: &mut Vec<usize>,
    gains: &mut Vec<(f64, f64)>,
    notes: &mut Vec<String>,
) -> Result<()> {
    if statistics.filled == 1 {
        return Ok(());
    }
    let before = used.len();
    let lit = |&(b, (gain, offset)): &(usize, (f64, f64))| {
        f64::from(statistics.bands[b].high.value) * gain + offset > 0.0
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
