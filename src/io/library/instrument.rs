//! Spectra as instruments and public libraries write them in text: lines of description above
//! columns of numbers.
//!
//! ASD's and SVC's programs, USGS's spectral library and ECOSTRESS do so, each in its own way; what
//! they have in common is read here.

use std::path::Path;

use super::Raw;
use super::columns;
use super::dialect::Dialect;
use crate::engine::ground::error::{Error, Result};
use crate::scene::to_nanometres;

/// A spectrum has at least so many channels.
const FEWEST: usize = 8;
/// A description has at most so many lines.
const LONGEST: usize = 400;

/// Reads the spectra below a description; `None` where the text is a plain table, with at most a
/// line of names above its numbers.
pub(super) fn read(path: &Path, text: &str) -> Result<Option<Raw>> {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let Some((start, end, dialect)) = numbers_below(&lines) else { return Ok(None) };
    let above = &lines[..start];
    let described = above.iter().filter(|l| !l.is_empty() && !l.starts_with('#')).count();
    let rows: Vec<Vec<f64>> = lines[start..end]
        .iter()
        .filter_map(|l| dialect.split(l).iter().map(|f| dialect.number(f)).collect())
        .collect();
    let width = rows.first().map_or(0, Vec::len);
    // One line of names as wide as the numbers is a table's header.
    let last = above.iter().rev().find(|l| !l.is_empty());
    let header = last.map(|l| dialect.split(l)).filter(|h| h.len() == width && width > 1);
    // Lines as wide as the numbers are rows of a table, some of them with gaps.
    let alike = above.iter().filter(|l| width > 1 && dialect.split(l).len() == width).count();
    if alike > 1 {
        return Ok(None);
    }
    if described == 0 || (described == 1 && header.is_some()) {
        return Ok(None);
    }
    let column = |i: usize| -> Vec<f64> { rows.iter().map(|r| r[i]).collect() };
    let mut raw = Raw { bands: rows.len(), ..Raw::default() };
    let svc = above.iter().any(|l| l.contains("Spectra Vista") || *l == "data=");
    let wavelength = (0..width).find(|&i| columns::rises(&column(i))).or_else(|| {
        // Spectrometers that overlap: rising but for a step back or two.
        (0..width).find(|&i| nearly_rises(&column(i)))
    });
    if let Some(at) = wavelength {
        let unit = stated(above, &["x units", "xunits", "wavelength units"]);
        let unit = unit.as_deref().and_then(unit_word);
        let (nm, note) =
            to_nanometres(&column(at), unit).map_err(|why| Error::file(path, format!("{why}.")))?;
        raw.wavelengths = Some(nm);
        raw.notes.extend(note);
    }
    let spectra: Vec<usize> = match (svc, width) {
        // Wavelength, reference, target, reflectance in per cent.
        (true, 4..) => vec![width - 1],
        _ => spectra(above, header.as_deref(), wavelength, width),
    };
    if spectra.is_empty() {
        return Err(Error::file(path, "has no column of a spectrum beside its wavelengths."));
    }
    let percent = svc
        || stated(above, &["y units", "yunits"])
            .is_some_and(|unit| unit.contains("percent") || unit.contains('%'));
    if percent {
        raw.factor = Some(100.0);
    }
    for &at in &spectra {
        raw.values.extend(column(at));
    }
    raw.names = Some(names(path, above, header.as_deref(), &spectra));
    Ok(Some(raw))
}

/// The block of lines that are numbers and nothing else, all as wide, that ends the text: where it
/// begins and ends, and how it is written.
fn numbers_below(lines: &[&str]) -> Option<(usize, usize, Dialect)> {
    let end = lines.iter().rposition(|l| !l.is_empty())? + 1;
    let tail = &lines[end.saturating_sub(50)..end];
    let dialect = Dialect::of(tail.iter().copied());
    let width = dialect.split(lines[end - 1]).len();
    let is_numbers = |line: &str| {
        let fields = dialect.split(line);
        let numbers = fields.iter().filter(|f| dialect.number(f).is_some_and(f64::is_finite));
        fields.len() == width && numbers.count() == fields.len() && !line.is_empty()
    };
    let start = (0..end).rev().find(|&i| !is_numbers(lines[i])).map_or(0, |i| i + 1);
    (end - start >= FEWEST && start <= LONGEST).then_some((start, end, dialect))
}

fn nearly_rises(values: &[f64]) -> bool {
    let back = values.windows(2).filter(|w| w[0] >= w[1]).count();
    let range = values.iter().copied().fold(0.0, f64::max)
        / values.iter().copied().fold(f64::INFINITY, f64::min);
    back <= 4
        && back * 20 < values.len()
        && range > 1.5
        && to_nanometres(values, None)
            .is_ok_and(|(nm, _)| nm.iter().all(|v| (200.0..=20_000.0).contains(v)))
}

/// What stands behind one of these keys, in lower case: `Key: value` or `Key= value`.
fn stated(above: &[&str], keys: &[&str]) -> Option<String> {
    above.iter().find_map(|line| {
        let (key, value) = line.split_once([':', '='])?;
        let key = key.trim().to_lowercase();
        keys.contains(&key.as_str()).then(|| value.trim().to_lowercase())
    })
}

/// The unit in a text such as `wavelength (micrometers)`.
fn unit_word(text: &str) -> Option<&'static str> {
    if text.contains("micro") || text.contains("um") {
        Some("um")
    } else if text.contains("nano") || text.contains("nm") {
        Some("nm")
    } else {
        None
    }
}

/// Columns that hold spectra: all but the wavelengths, counters and standard deviations.
fn spectra(
    above: &[&str],
    header: Option<&[String]>,
    wavelength: Option<usize>,
    width: usize,
) -> Vec<usize> {
    if let Some(header) = header {
        let none = |_: usize| None;
        let named = columns::tell(header, &none);
        let found: Vec<usize> =
            named.spectra.into_iter().map(|s| s.0).filter(|i| Some(*i) != wavelength).collect();
        if !found.is_empty() {
            return found;
        }
    }
    let doubt = above.iter().any(|l| l.to_lowercase().contains("standard deviation"));
    let last = width.saturating_sub(1);
    (0..width).filter(|&i| Some(i) != wavelength && !(doubt && width > 2 && i == last)).collect()
}

/// A name for each spectrum: those of the header, else what the description calls it, else the
/// file's name.
fn names(path: &Path, above: &[&str], header: Option<&[String]>, spectra: &[usize]) -> Vec<String> {
    let file =
        path.file_stem().map_or_else(|| "spectrum".into(), |s| s.to_string_lossy().into_owned());
    let said = above.iter().find_map(|line| {
        let (key, value) = line.split_once([':', '='])?;
        (key.trim().eq_ignore_ascii_case("name") && !value.trim().is_empty())
            .then(|| value.trim().to_owned())
    });
    // USGS: `splib07a Record=123: Acmite NMNH133746 ...`.
    let record = above.iter().find_map(|line| {
        let at = line.to_lowercase().find("record=")?;
        Some(line.get(at..)?.split_once(':')?.1.trim().to_owned())
    });
    let one = said.or(record).unwrap_or(file);
    match (header, spectra.len()) {
        (_, 1) => vec![one],
        (Some(header), _) => spectra.iter().filter_map(|&i| header.get(i).cloned()).collect(),
        (None, n) => (1..=n).map(|i| format!("{one} {i}")).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> Raw {
        read(Path::new("leaf.txt"), text).unwrap().unwrap()
    }

    /// Ten channels from 0.4 um, written by `line(wavelength in um, reflectance)`.
    fn body(line: impl Fn(f64, f64) -> String) -> String {
        (0..10).map(|i| line(0.4 + 0.05 * f64::from(i), 0.1 + 0.01 * f64::from(i)) + "\n").collect()
    }

    #[test]
    fn text_of_public_libraries_and_instruments() {
        let asd =
            format!("Wavelength\tleaf0001.asd\n{}", body(|w, r| format!("{:.0}\t{r:.4}", w * 1e3)));
        assert!(read(Path::new("a.txt"), &asd).unwrap().is_none(), "a table with a header");
        let svc =
            "/*** Spectra Vista SIG Data ***/\nname= a.sig\nunits= Radiance, Radiance\ndata=\n"
                .to_owned()
                + &body(|w, r| format!("{:.1}  900.1  100.2  {:.2}", w * 1e3, r * 100.0));
        let ecostress = "Name: Grass, dry\nType: vegetation\nX Units: Wavelength (micrometers)\n\
                         Y Units: Reflectance (percent)\nFirst X Value: 0.4\n\n"
            .to_owned()
            + &body(|w, r| format!("{w:.4}\t{:.3}", r * 100.0));
        let usgs = " splib06 Record=99: Acmite NMNH133746\nDescription: wavelength, reflectance, \
                    standard deviation\n\n"
            .to_owned()
            + &body(|w, r| format!("   {w:.6}   {r:.6}   0.001000"));
        for (text, name) in [(svc, "a.sig"), (ecostress, "Grass, dry"), (usgs, "Acmite NMNH133746")]
        {
            let raw = one(&text);
            assert_eq!(raw.names.as_deref(), Some(&[name.to_owned()][..]));
            assert_eq!(raw.bands, 10);
            let nm = raw.wavelengths.unwrap();
            assert!((nm[0] - 400.0).abs() < 1e-6 && (nm[9] - 850.0).abs() < 1e-6, "{name} {nm:?}");
            let value = raw.values[3] / raw.factor.unwrap_or(1.0);
            assert_eq!(raw.values.len(), 10);
            assert!((value - 0.13).abs() < 1e-6, "{name}: {value}");
        }
        // Without wavelengths: USGS's splib07 has them in a file of their own.
        let lone = " splib07a Record=7: Quartz\n".to_owned() + &body(|_, r| format!(" {r:.5}"));
        let raw = one(&lone);
        assert!(raw.wavelengths.is_none());
        assert_eq!(raw.names.as_deref(), Some(&["Quartz".to_owned()][..]));
    }
}
