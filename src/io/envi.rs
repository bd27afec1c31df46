//! ENVI: a text header beside raw data in any of three interleaves.

mod bands;
mod fields;
mod pair;
mod parse;

use std::path::Path;

use super::strided::{Order, Strided};
use crate::engine::ground::error::Result;
use crate::scene::{CubeSource, Header, grow};
use fields::Fields;

pub(crate) use pair::find_pair;
pub(crate) use parse::number_and_word;

/// Opens an ENVI image. A key that is not needed to read it and cannot be used is noted.
pub(crate) fn open(header_path: &Path, data_path: &Path) -> Result<Strided> {
    let fields = Fields::read(header_path)?;
    let kind = fields.file_type();
    if kind.contains("classification") || kind.contains("mask") {
        return Err(fields.error(format!(
            "holds classes, not spectra: `file type = {}`. A scene has `ENVI Standard` there.",
            fields.get("file type").unwrap_or_default()
        )));
    }
    open_fields(&fields, data_path)
}

/// Opens the ENVI image that `path` (header or data) belongs to, spectra or not; `None` when it
/// belongs to none.
pub(crate) fn open_any(path: &Path) -> Result<Option<Strided>> {
    let start = super::open::first_bytes(path)?;
    let Some((header, data)) = find_pair(path, &start)? else { return Ok(None) };
    open_fields(&Fields::read(&header)?, &data).map(Some)
}

fn open_fields(fields: &Fields, data_path: &Path) -> Result<Strided> {
    if fields.file_type().contains("spectral library") {
        return Err(fields.error(
            "is an ENVI spectral library, not an image. Give it as start with --init; a scene has \
             `file type = ENVI Standard`.",
        ));
    }
    let mut header = Header {
        rows: fields.count("lines")?,
        cols: fields.count("samples")?,
        bands: fields.count("bands")?,
        ..Header::default()
    };
    let bands = header.bands;
    let notes = &mut header.notes;
    header.ignore_value = fields.number("data ignore value", notes);
    let spectral = fields.spectral(bands, notes);
    (header.wavelengths, header.fwhm) = (spectral.wavelengths, spectral.fwhm);
    header.good_bands = fields.good_bands(bands, notes);
    header.stated_scale = fields.scale(bands, notes);
    let order = fields.order()?;
    let (place, note) = super::envi_place::read(|key| fields.get(key));
    header.georeference = place;
    notes.extend(note);
    header.format = format!("ENVI {}", order.name());
    let mut numbers = fields.numbers(data_path, [header.rows, header.cols, bands], notes)?;
    if numbers.seem_swapped() {
        numbers = numbers.swapped();
        notes.push(format!(
            "The header's `byte order = {}` gives values of impossible sizes, so the other order \
             was taken.",
            fields.get("byte order").unwrap_or("0 (none stated)")
        ));
    }
    if numbers.kind().size() == 1 && matches!(bands, 3 | 4) && header.wavelengths.is_none() {
        notes.push(format!("It holds bytes in {bands} bands, as pictures do, not spectra."));
    }
    Strided::new(data_path, header, numbers, order)
}

/// The spectra of an ENVI spectral library: names, wavelengths in nanometres, and the values as
/// stored, one spectrum after the other with `bands` values each.
pub(crate) struct Library {
    pub(crate) names: Option<Vec<String>>,
    pub(crate) wavelengths: Option<Vec<f64>>,
    pub(crate) values: Vec<f32>,
    pub(crate) bands: usize,
    /// The factor that the header states (`reflectance scale factor`), to be divided by.
    pub(crate) factor: Option<f64>,
    pub(crate) ignore_value: Option<f64>,
    pub(crate) integer: bool,
    /// What could not be used, one sentence each.
    pub(crate) notes: Vec<String>,
}

/// Reads the ENVI spectral library that `path` (header or data) belongs to; `None` when there is no
/// ENVI header. `start` is the first bytes of `path`.
pub(crate) fn read_library(path: &Path, start: &[u8]) -> Result<Option<Library>> {
    let Some((header_path, data_path)) = find_pair(path, start)? else { return Ok(None) };
    let fields = Fields::read(&header_path)?;
    if !fields.file_type().contains("spectral library") {
        return Err(fields.error(
            "is an ENVI image, not spectra. Spectra come as `file type = ENVI Spectral Library`, \
             as CSV, as MATLAB `M`, or as NPZ `endmembers`.",
        ));
    }
    let (spectra, bands) = (fields.count("lines")?, fields.count("samples")?);
    if fields.count("bands")? != 1 {
        return Err(
            fields.error("is a spectral library with more than the one band that it can have.")
        );
    }
    let mut notes = Vec::new();
    let numbers = fields.numbers(&data_path, [spectra, bands, 1], &mut notes)?;
    let header = Header { rows: spectra, cols: bands, bands: 1, ..Header::default() };
    let mut source = Strided::new(&data_path, header, numbers, Order::RowColBand)?;
    let mut values = grow(path, spectra * bands)?;
    values.resize(spectra * bands, 0.0);
    source.read_rows(0, spectra, &mut values)?;
    Ok(Some(Library {
        names: fields.names("spectra names").filter(|n| n.len() == spectra),
        wavelengths: fields.spectral(bands, &mut notes).wavelengths,
        values,
        bands,
        factor: fields.positive("reflectance scale factor", &mut notes),
        ignore_value: fields.number("data ignore value", &mut notes),
        integer: source.header().integer,
        notes,
    }))
}
