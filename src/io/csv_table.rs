//! Spectra in CSV, a row a spectrum or a row a band.

use std::path::Path;

use super::library::Raw;
use crate::engine::ground::error::{Error, Result};
use crate::scene::to_nanometres;

/// What the columns of a table with a row a band hold.
struct Columns {
    wavelength: Option<usize>,
    /// Place and name of each spectrum.
    spectra: Vec<(usize, String)>,
}

pub(super) fn read(path: &Path) -> Result<Raw> {
    let broken = |e: csv::Error| Error::file(path, format!("cannot be read as CSV ({e})."));
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .trim(csv::Trim::All)
        .comment(Some(b'#'))
        .from_reader(super::open::open_file(path)?);
    let mut rows = reader.records();
    let header = rows
        .next()
        .ok_or_else(|| Error::file(path, "is empty; a table of spectra was expected."))?
        .map_err(broken)?;
    let header: Vec<&str> = header.iter().collect();
    let mut table = Vec::new();
    for row in rows {
        let row = row.map_err(broken)?;
        let line = row.position().map_or(0, csv::Position::line);
        if row.len() != header.len() {
            return Err(Error::file(
                path,
                format!("line {line} has {} fields, the header {}.", row.len(), header.len()),
            ));
        }
        table.push((line, row));
    }
    if table.is_empty() {
        return Err(Error::file(
            path,
            "has a header and no rows; a table of spectra was expected.",
        ));
    }
    let numbers: Option<Vec<f64>> = header.iter().skip(1).map(|h| h.parse().ok()).collect();
    match numbers {
        Some(wavelengths) if !wavelengths.is_empty() => by_row(path, &wavelengths, &table),
        _ => by_column(path, &columns(&header), &table),
    }
}

/// A number in a field; an empty one is a deleted channel.
fn number(path: &Path, line: u64, text: &str) -> Result<f64> {
    if text.is_empty() {
        return Ok(f64::NAN);
    }
    text.parse().map_err(|_| {
        Error::file(
            path,
            format!(
                "line {line} holds `{text}` where a number belongs. Spectra are rows under a header \
                 of wavelengths, or columns beside one called `wavelength`."
            ),
        )
    })
}

fn nanometres(path: &Path, values: &[f64], unit: Option<&str>) -> Result<Vec<f64>> {
    let (nm, _) =
        to_nanometres(values, unit).map_err(|why| Error::file(path, format!("{why}.")))?;
    Ok(nm)
}

fn by_row(path: &Path, wavelengths: &[f64], table: &[(u64, csv::StringRecord)]) -> Result<Raw> {
    let mut raw = Raw {
        wavelengths: Some(nanometres(path, wavelengths, None)?),
        bands: wavelengths.len(),
        ..Raw::default()
    };
    let mut names = Vec::new();
    for (line, row) in table {
        names.push(row.get(0).unwrap_or_default().to_owned());
        for field in row.iter().skip(1) {
            raw.values.push(number(path, *line, field)?);
        }
    }
    raw.names = Some(names);
    Ok(raw)
}

fn columns(header: &[&str]) -> Columns {
    let is_wavelength = |h: &str| h.to_lowercase().starts_with("wavelength");
    let wavelength = header.iter().position(|h| is_wavelength(h));
    let means: Vec<(usize, String)> = header
        .iter()
        .enumerate()
        .filter_map(|(i, h)| Some((i, h.strip_suffix("_mean")?.to_owned())))
        .collect();
    let spectra = if means.is_empty() {
        let counters = ["band", "index", "channel", ""];
        header
            .iter()
            .enumerate()
            .filter(|(i, h)| {
                Some(*i) != wavelength && !counters.contains(&h.to_lowercase().as_str())
            })
            .map(|(i, h)| (i, (*h).to_owned()))
            .collect()
    } else {
        means
    };
    Columns { wavelength, spectra }
}

fn by_column(path: &Path, columns: &Columns, table: &[(u64, csv::StringRecord)]) -> Result<Raw> {
    if columns.spectra.is_empty() {
        return Err(Error::file(path, "has no column of a spectrum beside its wavelengths."));
    }
    let field = |row: &csv::StringRecord, line: u64, at: usize| {
        number(path, line, row.get(at).unwrap_or_default())
    };
    let mut raw = Raw { bands: table.len(), ..Raw::default() };
    for (at, _) in &columns.spectra {
        for (line, row) in table {
            raw.values.push(field(row, *line, *at)?);
        }
    }
    raw.names = Some(columns.spectra.iter().map(|(_, name)| name.clone()).collect());
    if let Some(at) = columns.wavelength {
        let values: Vec<f64> =
            table.iter().map(|(line, row)| field(row, *line, at)).collect::<Result<_>>()?;
        // The program leaves the column empty for scenes without wavelengths.
        if values.iter().any(|v| !v.is_nan()) {
            raw.wavelengths = Some(nanometres(path, &values, None)?);
        }
    }
    Ok(raw)
}
