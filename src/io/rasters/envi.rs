//! Maps and spectra as ENVI files: a text header beside raw float32.

use std::io::{self, Write};

use ndarray::{ArrayView2, Axis};

use super::{About, Raster, on_grid};
use crate::io::envi_place;

/// Stands for no data: readers of ENVI files compare with a number, and NaN equals none.
pub const NO_DATA: f32 = -9999.0;

/// Gives the text of the header of maps that are written band by band, float32, to `to`.
///
/// No data is -9999. A place that an ENVI header cannot say is told in a comment of the header.
///
/// # Errors
/// What the writer returns.
pub fn write_envi_maps(
    raster: &Raster<'_>,
    about: &About<'_>,
    to: &mut dyn Write,
) -> io::Result<String> {
    let values = on_grid(raster.values, about.place);
    let (rows, cols, _) = values.dim();
    for band in values.axis_iter(Axis(2)) {
        for &value in band {
            let stored = if value.is_finite() { value } else { NO_DATA };
            to.write_all(&stored.to_le_bytes())?;
        }
    }
    Ok(envi_maps_header((raster.title, raster.unit, raster.bands), (rows, cols), about))
}

/// The text of the header of maps of that title, unit and bands, written band by band.
pub fn envi_maps_header(
    (title, unit, bands): (&str, &str, &[String]),
    (rows, cols): (usize, usize),
    about: &About<'_>,
) -> String {
    let mut header = format!(
        "ENVI\ndescription = {{{}}}\nsamples = {cols}\nlines = {rows}\nbands = {}\n\
         header offset = 0\nfile type = ENVI Standard\ndata type = 4\ninterleave = bsq\n\
         byte order = 0\ndata ignore value = {NO_DATA}\ndata units = {{{}}}\n\
         history = {{{}}}\n",
        plain(title),
        bands.len(),
        plain(unit),
        plain(about.history)
    );
    header += &format!("band names = {{{}}}\n", list(bands));
    if let Some(place) = about.place {
        match envi_place::lines(place) {
            Ok(lines) => header += &lines,
            Err(why) => header += &format!("; {}\n", plain(&why)),
        }
    }
    header
}

/// Spectra to be written as a library.
#[derive(Debug)]
pub struct Spectra<'a> {
    /// What they are, for people.
    pub title: &'a str,
    /// A name a spectrum.
    pub names: &'a [String],
    /// Centre wavelengths in nanometres, one a band, where all are known.
    pub wavelengths: Option<&'a [f64]>,
    /// (spectra, bands).
    pub values: ArrayView2<'a, f64>,
}

/// Gives the text of the header of an ENVI spectral library whose spectra are written, float64, to
/// `to`.
///
/// # Errors
/// What the writer returns.
pub fn write_envi_spectra(spectra: &Spectra<'_>, to: &mut dyn Write) -> io::Result<String> {
    let (count, bands) = spectra.values.dim();
    for value in spectra.values {
        to.write_all(&value.to_le_bytes())?;
    }
    let mut header = format!(
        "ENVI\ndescription = {{{}}}\nsamples = {bands}\nlines = {count}\nbands = 1\nheader offset \
         = \
         0\nfile type = ENVI Spectral Library\ndata type = 5\ninterleave = bsq\nbyte order = \
         0\nspectra names = {{{}}}\n",
        plain(spectra.title),
        list(spectra.names)
    );
    if let Some(nm) = spectra.wavelengths {
        let nm: Vec<String> = nm.iter().map(f64::to_string).collect();
        header +=
            &format!("wavelength units = Nanometers\nwavelength = {{\n{}}}\n", nm.join(",\n"));
    }
    Ok(header)
}

/// Names divided by commas; a comma inside one would make it two.
fn list(names: &[String]) -> String {
    names.iter().map(|name| plain(name).replace(',', ";")).collect::<Vec<_>>().join(",\n")
}

/// One line without braces, which would end a value.
fn plain(text: &str) -> String {
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    text.replace('{', "(").replace('}', ")")
}
