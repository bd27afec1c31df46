//! The table of endmember spectra.

use std::io::{self, Write};

use ndarray::Array2;

use crate::posterior::Posterior;
use crate::scene::Band;
use crate::score::nearest::Nearest;

/// Writes one line a band in use: `band` (its number in the file, from 1), `wavelength_nm` (empty
/// when unknown), then for each name `NAME_mean`, `NAME_sd`, `NAME_q05`, `NAME_q95` and, where the
/// model has it, `NAME_variability` (sd between pixels), in the posterior's unit. Values that are
/// not finite are left empty. Where `nearest` says of each endmember which materials it is like, a
/// last column `NAME_nearest` for each has the nearest on every line.
///
/// # Errors
/// What the writer returns.
pub fn write_endmembers(
    bands: &[Band],
    names: &[String],
    posterior: &Posterior,
    nearest: &[Vec<Nearest>],
    to: &mut dyn Write,
) -> io::Result<()> {
    let mut columns = vec![
        ("mean", &posterior.endmember_mean),
        ("sd", &posterior.endmember_sd),
        ("q05", &posterior.endmember_q05),
        ("q95", &posterior.endmember_q95),
    ];
    columns.extend(posterior.variability.as_ref().map(|sd| ("variability", sd)));
    let mut table = csv::Writer::from_writer(to);
    let mut header = vec!["band".to_owned(), "wavelength_nm".to_owned()];
    for name in names {
        header.extend(columns.iter().map(|(kind, _)| format!("{name}_{kind}")));
    }
    let named =
        || names.iter().zip(nearest).filter_map(|(name, found)| Some((name, found.first()?)));
    header.extend(named().map(|(name, _)| format!("{name}_nearest")));
    table.write_record(&header)?;
    for (l, band) in bands.iter().enumerate() {
        let wavelength = number(band.wavelength.unwrap_or(f64::NAN));
        let mut line = vec![(band.index + 1).to_string(), wavelength];
        for k in 0..names.len() {
            let values = columns.iter().map(|(_, v)| v.get((k, l)).copied().unwrap_or(f64::NAN));
            line.extend(values.map(number));
        }
        line.extend(named().map(|(_, found)| found.text()));
        table.write_record(&line)?;
    }
    table.flush()
}

/// A table of endmembers as [`write_endmembers`] writes it.
pub(super) struct Table {
    pub(super) bands: Vec<Band>,
    pub(super) names: Vec<String>,
    /// (endmembers, bands) each.
    pub(super) mean: Array2<f64>,
    pub(super) sd: Array2<f64>,
    pub(super) q05: Array2<f64>,
    pub(super) q95: Array2<f64>,
    pub(super) variability: Option<Array2<f64>>,
}

/// Reads what [`write_endmembers`] has written, to the last bit.
///
/// # Errors
/// A sentence about the table.
pub(super) fn read_endmembers(bytes: &[u8]) -> Result<Table, String> {
    let damaged = || "is no table of endmembers that unmixel wrote, or is damaged".to_owned();
    let mut table = csv::Reader::from_reader(bytes);
    let header: Vec<String> =
        table.headers().map_err(|_| damaged())?.iter().map(str::to_owned).collect();
    let varies = header.get(6).is_some_and(|name| name.ends_with("_variability"));
    let kinds = if varies { 5 } else { 4 };
    let columns: Vec<&String> =
        header.iter().skip(2).filter(|name| !name.ends_with("_nearest")).collect();
    let names: Option<Vec<String>> = columns
        .chunks(kinds)
        .map(|of_one| Some(of_one.first()?.strip_suffix("_mean")?.to_owned()))
        .collect();
    let names = names.filter(|names| names.len() * kinds == columns.len()).ok_or_else(damaged)?;
    let (mut bands, mut values) = (Vec::new(), Vec::new());
    for line in table.records() {
        let line = line.map_err(|_| damaged())?;
        let cell = |at: usize| line.get(at).unwrap_or_default();
        let index = cell(0).parse::<usize>().ok().and_then(|band| band.checked_sub(1));
        let index = index.ok_or_else(damaged)?;
        bands.push(Band { index, wavelength: cell(1).parse().ok(), fwhm: None });
        for at in 0..columns.len() {
            values.push(match cell(2 + at) {
                "" => f64::NAN,
                text => text.parse::<f64>().map_err(|_| damaged())?,
            });
        }
    }
    let of = |kind: usize| {
        Array2::from_shape_fn((names.len(), bands.len()), |(k, l)| {
            values[l * columns.len() + k * kinds + kind]
        })
    };
    let [mean, sd, q05, q95] = [0, 1, 2, 3].map(of);
    let variability = varies.then(|| of(4));
    Ok(Table { mean, sd, q05, q95, variability, bands, names })
}

/// As many digits as it takes to read the same number back.
fn number(value: f64) -> String {
    if value.is_finite() { value.to_string() } else { String::new() }
}
