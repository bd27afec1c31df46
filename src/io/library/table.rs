//! Spectra in a table, a row a spectrum or a row a band.

use std::path::Path;

use super::Raw;
use super::columns::{self, Columns};
use super::dialect::Dialect;
use crate::engine::ground::error::{Error, Result};
use crate::scene::to_nanometres;

/// The fields of a line and its number, from 1.
type Row = (usize, Vec<String>);

pub(super) fn read(path: &Path, text: &str) -> Result<Raw> {
    let lines = text.lines().filter(|l| !l.trim().is_empty() && !l.trim_start().starts_with('#'));
    let dialect = Dialect::of(lines);
    let mut rows: Vec<Row> = records(path, text, dialect)?;
    if rows.is_empty() {
        return Err(Error::file(path, "is empty; a table of spectra was expected."));
    }
    // Without a header the first line is numbers like all others.
    let first = &rows[0].1;
    let numeric = |row: &[String]| row.iter().all(|f| dialect.number(f).is_some());
    let headless =
        numeric(first) && rows.get(1).is_some_and(|r| numeric(&r.1)) && !is_scale(first, dialect);
    let header = if headless {
        (1..=first.len()).map(|i| format!("spectrum {i}")).collect()
    } else {
        rows.remove(0).1
    };
    if rows.is_empty() {
        return Err(Error::file(
            path,
            "has a header and no rows; a table of spectra was expected.",
        ));
    }
    for (line, row) in &mut rows {
        // Empty fields at the end are what some programs leave.
        while row.len() > header.len() && row.last().is_some_and(String::is_empty) {
            row.pop();
        }
        if row.len() != header.len() {
            return Err(Error::file(
                path,
                format!("line {line} has {} fields, the header {}.", row.len(), header.len()),
            ));
        }
    }
    match wavelengths_across(&header, dialect) {
        Some(places) if !headless => by_row(path, &places, &header, &rows, dialect),
        _ => by_column(path, &header, &rows, dialect),
    }
}

fn records(path: &Path, text: &str, dialect: Dialect) -> Result<Vec<Row>> {
    if dialect.divider == ' ' {
        return Ok(text
            .lines()
            .enumerate()
            .filter(|(_, l)| !l.trim().is_empty() && !l.trim_start().starts_with('#'))
            .map(|(i, l)| (i + 1, dialect.split(l)))
            .collect());
    }
    let reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .trim(csv::Trim::All)
        .comment(Some(b'#'))
        .delimiter(dialect.divider as u8)
        .from_reader(text.as_bytes());
    let broken = |e: csv::Error| Error::file(path, format!("cannot be read as CSV ({e})."));
    reader
        .into_records()
        .map(|row| {
            let row = row.map_err(broken)?;
            let line = row.position().map_or(0, |p| p.line() as usize);
            Ok((line, row.iter().map(str::to_owned).collect::<Vec<_>>()))
        })
        .filter(|row: &Result<Row>| !row.as_ref().is_ok_and(|r| r.1.iter().all(String::is_empty)))
        .collect()
}

/// The wavelength in the header of a column: a number, perhaps behind letters (`X460.0`) or before
/// a unit (`460 nm`).
fn wavelength_of(field: &str, dialect: Dialect) -> Option<f64> {
    let field = field.trim();
    if let Some(number) = dialect.number(field).filter(|v| v.is_finite()) {
        return Some(number);
    }
    let start = field.find(|c: char| c.is_ascii_digit())?;
    let rest = field.get(start..)?;
    let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
    let (number, unit) = (rest.get(..end)?, rest.get(end..)?.trim().to_lowercase());
    let plain = ["", "nm", "um"].contains(&unit.as_str());
    let letters = field.get(..start)?.chars().all(|c| c.is_alphabetic() || c == '_' || c == ' ');
    (plain && letters && start <= 12).then(|| number.parse().ok()).flatten()
}

/// Columns whose headers are wavelengths, where they are most: place and wavelength.
fn wavelengths_across(header: &[String], dialect: Dialect) -> Option<Vec<(usize, f64)>> {
    let plain: Vec<(usize, f64)> = header
        .iter()
        .enumerate()
        .filter_map(|(i, h)| Some((i, dialect.number(h).filter(|v| v.is_finite())?)))
        .collect();
    if !plain.is_empty() && plain.len() + 1 >= header.len() {
        return Some(plain);
    }
    let found: Vec<(usize, f64)> = header
        .iter()
        .enumerate()
        .filter_map(|(i, h)| Some((i, wavelength_of(h, dialect)?)))
        .collect();
    let values: Vec<f64> = found.iter().map(|f| f.1).collect();
    // Names such as `soil1` hold numbers, too; wavelengths go through a spectrometer's range.
    (found.len() * 2 > header.len() && columns::rises(&values)).then_some(found)
}

/// True when a row of numbers is a header of wavelengths rather than values; of nanometres, since
/// reflectance may rise as micrometres do.
fn is_scale(row: &[String], dialect: Dialect) -> bool {
    let values: Vec<f64> = row.iter().skip(1).filter_map(|f| dialect.number(f)).collect();
    values.iter().all(|v| *v > 25.0) && columns::rises(&values)
}

/// A number in a field; an empty one is a deleted channel.
fn number(path: &Path, line: usize, text: &str, dialect: Dialect) -> Result<f64> {
    dialect.number(text).ok_or_else(|| {
        Error::file(
            path,
            format!(
                "line {line} holds `{text}` where a number belongs. Spectra are rows under a \
                 header \
                 of wavelengths, or columns beside one called `wavelength`."
            ),
        )
    })
}

fn nanometres(
    path: &Path,
    values: &[f64],
    unit: Option<&str>,
    notes: &mut Vec<String>,
) -> Result<Vec<f64>> {
    let (nm, note) =
        to_nanometres(values, unit).map_err(|why| Error::file(path, format!("{why}.")))?;
    notes.extend(note);
    Ok(nm)
}

fn by_row(
    path: &Path,
    places: &[(usize, f64)],
    header: &[String],
    rows: &[Row],
    dialect: Dialect,
) -> Result<Raw> {
    let wavelengths: Vec<f64> = places.iter().map(|p| p.1).collect();
    let mut raw = Raw { bands: wavelengths.len(), ..Raw::default() };
    raw.wavelengths = Some(nanometres(path, &wavelengths, None, &mut raw.notes)?);
    let name = naming(places, header);
    let mut names = Vec::new();
    for (line, row) in rows {
        names.push(name.and_then(|i| row.get(i)).cloned().unwrap_or_default());
        for (at, _) in places {
            let field = row.get(*at).map_or("", String::as_str);
            raw.values.push(number(path, *line, field, dialect)?);
        }
    }
    raw.names = name.is_some().then_some(names);
    Ok(raw)
}

/// The column that names the spectra: one called so, else the first that is no band.
fn naming(places: &[(usize, f64)], header: &[String]) -> Option<usize> {
    let others: Vec<usize> =
        (0..header.len()).filter(|i| !places.iter().any(|(at, _)| at == i)).collect();
    let names = ["name", "spectrum", "class", "material", "label", "species", "sample", "target"];
    let called =
        |wanted: &str| others.iter().copied().find(|&i| header[i].to_lowercase().contains(wanted));
    names.into_iter().find_map(called).or(others.first().copied())
}

fn by_column(path: &Path, header: &[String], rows: &[Row], dialect: Dialect) -> Result<Raw> {
    let values = |at: usize| -> Option<Vec<f64>> {
        rows.iter().map(|(_, row)| dialect.number(row.get(at)?)).collect()
    };
    let Columns { wavelength, unit, spectra } = columns::tell(header, &values);
    if spectra.is_empty() {
        return Err(Error::file(path, "has no column of a spectrum beside its wavelengths."));
    }
    let field = |row: &[String], line: usize, at: usize| {
        number(path, line, row.get(at).map_or("", String::as_str), dialect)
    };
    let mut raw = Raw { bands: rows.len(), ..Raw::default() };
    for (at, _) in &spectra {
        for (line, row) in rows {
            raw.values.push(field(row, *line, *at)?);
        }
    }
    raw.names = Some(spectra.into_iter().map(|(_, name)| name).collect());
    if let Some(at) = wavelength {
        let values: Vec<f64> =
            rows.iter().map(|(line, row)| field(row, *line, at)).collect::<Result<_>>()?;
        // The program leaves the column empty for scenes without wavelengths.
        if values.iter().any(|v| !v.is_nan()) {
            raw.wavelengths = Some(nanometres(path, &values, unit, &mut raw.notes)?);
        }
    }
    Ok(raw)
}
