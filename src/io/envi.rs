//! ENVI: a text header beside raw data in any of three interleaves.

use std::collections::HashMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::numbers::{Kind, Numbers, map_file};
use super::open::has_extension;
use super::strided::{Order, Strided};
use crate::engine::ground::error::{Error, Result};
use crate::scene::{CubeSource, Header, grow, to_nanometres};

/// Extensions of data files, tried in this order beside a header.
const EXTENSIONS: [&str; 7] = ["img", "dat", "raw", "bsq", "bil", "bip", "sli"];
/// A header longer than this is something else: 10,000 bands take about 1 MB.
const LONGEST_HEADER: u64 = 64 << 20;

/// The header and the data file that belong together when the user names either one; `None` when
/// `path` is neither. `start` is the first bytes of `path`.
pub(crate) fn find_pair(path: &Path, start: &[u8]) -> Result<Option<(PathBuf, PathBuf)>> {
    if has_extension(path, "hdr") || start.trim_ascii_start().starts_with(b"ENVI") {
        let stem = path.with_extension("");
        let candidates = std::iter::once(stem.clone()).chain(
            EXTENSIONS
                .iter()
                .flat_map(|e| [with_suffix(&stem, e), with_suffix(&stem, &e.to_uppercase())]),
        );
        let data = candidates.into_iter().find(|c| c != path && c.is_file());
        return match data {
            Some(data) => Ok(Some((path.to_owned(), data))),
            None => Err(Error::file(
                path,
                format!(
                    "is an ENVI header, but its data file is missing: looked for `{}` without \
                     extension and with .{}.",
                    stem.display(),
                    EXTENSIONS.join(", .")
                ),
            )),
        };
    }
    let stem = path.with_extension("");
    // `a.csv` beside `a.hdr` is not its data; `a.csv` beside `a.csv.hdr` is.
    let usual = EXTENSIONS.iter().any(|e| has_extension(path, e));
    let header = [Some(path), usual.then_some(&stem)]
        .into_iter()
        .flatten()
        .flat_map(|p| [with_suffix(p, "hdr"), with_suffix(p, "HDR")])
        .find(|c| c.is_file());
    Ok(header.map(|header| (header, path.to_owned())))
}

/// Opens an ENVI image.
pub(crate) fn open(header_path: &Path, data_path: &Path) -> Result<Strided> {
    let fields = Fields::read(header_path)?;
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
        ignore_value: fields.number("data ignore value")?,
        ..Header::default()
    };
    let bands = header.bands;
    match fields.wavelengths(bands)? {
        Ok((nm, note)) => {
            header.wavelengths = nm;
            header.notes.extend(note);
        }
        Err(note) => header.notes.push(note),
    }
    if let Some(bbl) = fields.list("bbl", bands)? {
        header.good_bands = Some(bbl.iter().map(|v| *v != 0.0).collect());
    }
    header.stated_scale = fields.scale(bands)?;
    let order = fields.order()?;
    let (place, note) = super::envi_place::read(|key| fields.get(key));
    header.georeference = place;
    header.notes.extend(note);
    let numbers = fields.numbers(data_path, [header.rows, header.cols, header.bands])?;
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
    let numbers = fields.numbers(&data_path, [spectra, bands, 1])?;
    let header = Header { rows: spectra, cols: bands, bands: 1, ..Header::default() };
    let mut source = Strided::new(&data_path, header, numbers, Order::RowColBand)?;
    let mut values = grow(path, spectra * bands)?;
    values.resize(spectra * bands, 0.0);
    source.read_rows(0, spectra, &mut values)?;
    Ok(Some(Library {
        names: fields.names("spectra names").filter(|n| n.len() == spectra),
        wavelengths: fields.wavelengths(bands)?.ok().and_then(|(nm, _)| nm),
        values,
        bands,
        factor: fields.positive("reflectance scale factor")?,
        ignore_value: fields.number("data ignore value")?,
        integer: source.header().integer,
    }))
}

fn with_suffix(path: &Path, extension: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(".");
    name.push(extension);
    name.into()
}

/// The `key = value` pairs of a header, keys in lower case with single blanks.
struct Fields {
    path: PathBuf,
    map: HashMap<String, String>,
}

impl Fields {
    fn read(path: &Path) -> Result<Self> {
        let size = std::fs::metadata(path).map_err(|e| Error::io(path, e))?.len();
        if size > LONGEST_HEADER {
            return Err(Error::file(
                path,
                format!("holds {size} bytes, too many for an ENVI header."),
            ));
        }
        let bytes = std::fs::read(path).map_err(|e| Error::io(path, e))?;
        // Descriptions come in any old encoding; the keys and numbers that matter are ASCII.
        let map = parse(&String::from_utf8_lossy(&bytes)).map_err(|why| Error::file(path, why))?;
        Ok(Fields { path: path.to_owned(), map })
    }

    fn error(&self, reason: impl Into<String>) -> Error {
        Error::file(&self.path, reason)
    }

    fn get(&self, key: &str) -> Option<&str> {
        self.map.get(key).map(String::as_str).filter(|v| !v.is_empty())
    }

    fn file_type(&self) -> String {
        self.get("file type").unwrap_or_default().to_lowercase()
    }

    /// A required whole number from 1 up.
    fn count(&self, key: &str) -> Result<usize> {
        let text = self.get(key).ok_or_else(|| self.error(format!("lacks `{key}`.")))?;
        text.parse::<u32>().ok().filter(|n| *n > 0).map(|n| n as usize).ok_or_else(|| {
            self.error(format!("`{key} = {text}` is not a whole number from 1 to {}.", u32::MAX))
        })
    }

    fn number(&self, key: &str) -> Result<Option<f64>> {
        let Some(text) = self.get(key) else { return Ok(None) };
        let number =
            text.parse().map_err(|_| self.error(format!("`{key} = {text}` is not a number.")))?;
        Ok(Some(number))
    }

    /// A finite number above 0, where there is one.
    fn positive(&self, key: &str) -> Result<Option<f64>> {
        match self.number(key)? {
            Some(v) if !(v.is_finite() && v > 0.0) => {
                Err(self.error(format!("`{key} = {v}` must be a number above 0.")))
            }
            other => Ok(other),
        }
    }

    /// A small whole number from 0 up, where there is one.
    fn whole(&self, key: &str) -> Result<Option<u64>> {
        let Some(text) = self.get(key) else { return Ok(None) };
        let whole = text.parse().map_err(|_| {
            self.error(format!("`{key} = {text}` is not a whole number from 0 up."))
        })?;
        Ok(Some(whole))
    }

    /// The items of a list `{a, b, c}`.
    fn names(&self, key: &str) -> Option<Vec<String>> {
        let inner = inside_braces(self.get(key)?);
        Some(inner.split(',').map(|s| s.split_whitespace().collect::<Vec<_>>().join(" ")).collect())
    }

    /// A list of numbers, divided by commas or blanks, of any length.
    fn numbers_of(&self, key: &str) -> Result<Option<Vec<f64>>> {
        let Some(text) = self.get(key) else { return Ok(None) };
        inside_braces(text)
            .split(|c: char| c == ',' || c.is_whitespace())
            .filter(|s| !s.is_empty())
            .map(|s| {
                s.parse()
                    .map_err(|_| self.error(format!("`{key}` holds `{s}`, which is not a number.")))
            })
            .collect::<Result<Vec<f64>>>()
            .map(Some)
    }

    /// A list of `len` finite numbers.
    fn list(&self, key: &str, len: usize) -> Result<Option<Vec<f64>>> {
        let Some(values) = self.numbers_of(key)? else { return Ok(None) };
        if values.len() != len {
            return Err(self.error(format!(
                "`{key}` holds {} values, but there are {len} bands.",
                values.len()
            )));
        }
        if let Some(bad) = values.iter().find(|v| !v.is_finite()) {
            return Err(self.error(format!("`{key}` holds {bad}, which is not a finite number.")));
        }
        Ok(Some(values))
    }

    /// Wavelengths in nanometres with a note on the unit; the inner error is a note that says why
    /// there are none, since a scene can be fitted without.
    #[allow(clippy::type_complexity)]
    fn wavelengths(
        &self,
        bands: usize,
    ) -> Result<Result<(Option<Vec<f64>>, Option<String>), String>> {
        let Some(values) = self.numbers_of("wavelength")? else { return Ok(Ok((None, None))) };
        if values.len() != bands {
            return Ok(Err(format!(
                "The header lists {} wavelengths for {bands} bands; they were left aside.",
                values.len()
            )));
        }
        Ok(match to_nanometres(&values, self.get("wavelength units")) {
            Ok((nm, note)) => Ok((Some(nm), note)),
            Err(why) => Err(format!("The header's wavelengths were left aside: {why}.")),
        })
    }

    /// Gain and offset to reflectance, and the key that states them.
    #[allow(clippy::type_complexity)]
    fn scale(&self, bands: usize) -> Result<Option<(Vec<f64>, Vec<f64>, String)>> {
        let key = "reflectance scale factor";
        if let Some(factor) = self.positive(key)? {
            return Ok(Some((vec![1.0 / factor], vec![0.0], key.into())));
        }
        for (gain_key, offset_key) in [
            ("data reflectance gain values", "data reflectance offset values"),
            ("data gain values", "data offset values"),
        ] {
            let (gain, offset) = (self.list(gain_key, bands)?, self.list(offset_key, bands)?);
            if gain.is_some() || offset.is_some() {
                let key = if gain.is_some() { gain_key } else { offset_key };
                let gain = gain.unwrap_or_else(|| vec![1.0; bands]);
                if let Some(bad) = gain.iter().find(|g| **g <= 0.0) {
                    return Err(self.error(format!("`{gain_key}` holds {bad}; gains are above 0.")));
                }
                return Ok(Some((gain, offset.unwrap_or_else(|| vec![0.0; bands]), key.into())));
            }
        }
        Ok(None)
    }

    fn order(&self) -> Result<Order> {
        match self.get("interleave").map(str::to_lowercase).as_deref() {
            Some("bsq") => Ok(Order::BandRowCol),
            Some("bil") => Ok(Order::RowBandCol),
            Some("bip") => Ok(Order::RowColBand),
            Some(other) => {
                Err(self.error(format!("`interleave = {other}` is none of bsq, bil and bip.")))
            }
            None => Err(self.error("lacks `interleave`, one of bsq, bil and bip.")),
        }
    }

    /// Maps the data file, whose size must be what the header says.
    fn numbers(&self, data_path: &Path, size: [usize; 3]) -> Result<Numbers> {
        let kind = match self.whole("data type")? {
            Some(1) => Kind::U8,
            Some(2) => Kind::I16,
            Some(3) => Kind::I32,
            Some(4) => Kind::F32,
            Some(5) => Kind::F64,
            Some(12) => Kind::U16,
            Some(13) => Kind::U32,
            Some(14) => Kind::I64,
            Some(15) => Kind::U64,
            Some(other) => {
                return Err(self.error(format!(
                    "`data type = {other}` is not read; 1, 2, 3, 4, 5, 12, 13, 14 and 15 are."
                )));
            }
            None => return Err(self.error("lacks `data type`.")),
        };
        let big_endian = match self.whole("byte order")? {
            None | Some(0) => false,
            Some(1) => true,
            Some(other) => {
                return Err(self.error(format!("`byte order = {other}` is neither 0 nor 1.")));
            }
        };
        if self.whole("file compression")?.unwrap_or(0) != 0 {
            return Err(self.error("its data file is compressed; decompress it first."));
        }
        for key in ["major frame offsets", "minor frame offsets"] {
            if self.numbers_of(key)?.is_some_and(|v| v.iter().any(|v| *v != 0.0)) {
                return Err(self.error(format!("`{key}` other than 0 are not read.")));
            }
        }
        let [rows, cols, bands] = size;
        let offset = self.whole("header offset")?.unwrap_or(0);
        let expected = [rows, cols, bands, kind.size()]
            .into_iter()
            .try_fold(1u64, |n, d| n.checked_mul(d as u64))
            .and_then(|n| n.checked_add(offset))
            .ok_or_else(|| {
                self.error(format!(
                    "{rows} lines x {cols} samples x {bands} bands with a header offset of {offset} \
                     are more bytes than any file can hold."
                ))
            })?;
        let found = std::fs::metadata(data_path).map_err(|e| Error::io(data_path, e))?.len();
        let mismatch = || {
            Error::file(
                data_path,
                format!(
                    "holds {found} bytes, but its header `{}` describes {expected}: {rows} lines x \
                     {cols} samples x {bands} bands x {} bytes after an offset of {offset}. Correct \
                     the header, or fetch the data again.",
                    self.path.display(),
                    kind.size()
                ),
            )
        };
        if found != expected {
            return Err(mismatch());
        }
        let map = map_file(data_path)?;
        match (usize::try_from(offset), usize::try_from(expected)) {
            (Ok(start), Ok(end)) => {
                Numbers::mapped(&map, start..end, kind, big_endian).ok_or_else(mismatch)
            }
            _ => Err(mismatch()),
        }
    }
}

fn inside_braces(text: &str) -> &str {
    text.trim().trim_start_matches('{').trim_end_matches('}')
}

/// Splits the text of a header into its fields, or says why it is none.
fn parse(text: &str) -> Result<HashMap<String, String>, String> {
    let mut lines = text.trim_start_matches('\u{feff}').lines().enumerate();
    if lines
        .by_ref()
        .map(|(_, l)| l.trim())
        .find(|l| !l.is_empty())
        .is_none_or(|l| !l.starts_with("ENVI"))
    {
        return Err("is no ENVI header: its first line is not `ENVI`.".into());
    }
    let mut map = HashMap::new();
    while let Some((number, line)) = lines.next() {
        let line = line.trim();
        if line.is_empty() || line.starts_with(';') {
            continue;
        }
        // A line without `=` says nothing; some writers wrap descriptions without braces.
        let Some((key, value)) = line.split_once('=') else { continue };
        let key = key.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase();
        let mut value = value.trim().to_owned();
        if value.starts_with('{') {
            while !value.ends_with('}') {
                let Some((_, more)) = lines.next() else {
                    return Err(format!(
                        "the brace that `{key}` opens in line {} is never closed.",
                        number + 1
                    ));
                };
                if !more.trim_start().starts_with(';') {
                    value.push('\n');
                    value.push_str(more.trim());
                }
            }
        }
        map.insert(key, value);
    }
    Ok(map)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_in_any_case_lists_over_lines_and_comments() {
        let map = parse(
            "ENVI\r\n; made by hand\r\nSamples  = 3\r\nData   Type=4\r\nwavelength = {\r\n 1.5,\r\n; \
             inside\r\n 2.5 }\r\nbands = 2",
        )
        .unwrap();
        assert_eq!(map["samples"], "3");
        assert_eq!(map["data type"], "4");
        assert_eq!(map["bands"], "2");
        assert_eq!(inside_braces(&map["wavelength"]).split(',').count(), 2);
    }

    #[test]
    fn an_open_brace_is_named() {
        let why = parse("ENVI\nbands = 1\nbbl = { 1,\n 0").unwrap_err();
        assert!(why.contains("`bbl`") && why.contains("line 3"), "{why}");
        assert!(parse("samples = 3").is_err());
    }
}
