//! The fields of an ENVI header: what is needed to read the image is required, all else is noted
//! where it cannot be used.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::parse::{inside_braces, number_and_word, parse};
use crate::engine::ground::error::{Error, Result};
use crate::io::bytes::FileBytes;
use crate::io::numbers::{Kind, Numbers};
use crate::io::strided::Order;

/// A header longer than this is something else: 10,000 bands take about 1 MB.
const LONGEST_HEADER: u64 = 64 << 20;

/// The `key = value` pairs of a header, keys in lower case with single blanks.
pub(super) struct Fields {
    path: PathBuf,
    map: HashMap<String, String>,
}

/// Where the values lie in the data file.
pub(super) struct Layout {
    kind: Kind,
    big_endian: bool,
    offset: u64,
    /// Bytes up to the last value.
    pub(super) end: u64,
}

impl Fields {
    pub(super) fn read(path: &Path) -> Result<Self> {
        let file = FileBytes::open(path)?;
        let size = file.len();
        if size > LONGEST_HEADER {
            return Err(Error::file(
                path,
                format!("holds {size} bytes, too many for an ENVI header."),
            ));
        }
        let bytes = file.first(0..size, LONGEST_HEADER as usize)?;
        // Descriptions come in any old encoding; the keys and numbers that matter are ASCII.
        let map = parse(&String::from_utf8_lossy(&bytes)).map_err(|why| Error::file(path, why))?;
        Ok(Fields { path: path.to_owned(), map })
    }

    pub(super) fn error(&self, reason: impl Into<String>) -> Error {
        Error::file(&self.path, reason)
    }

    pub(super) fn get(&self, key: &str) -> Option<&str> {
        self.map.get(key).map(String::as_str).filter(|v| !v.is_empty())
    }

    /// The first of `keys` that is there with a value, and the key.
    pub(super) fn first<'a>(&'a self, keys: &[&'a str]) -> Option<(&'a str, &'a str)> {
        keys.iter().find_map(|key| Some((*key, self.get(key)?)))
    }

    pub(super) fn file_type(&self) -> String {
        self.get("file type").unwrap_or_default().to_lowercase()
    }

    /// A required whole number from 1 up.
    pub(super) fn count(&self, key: &str) -> Result<usize> {
        let text = self.get(key).ok_or_else(|| self.error(format!("lacks `{key}`.")))?;
        let whole = self.whole(key)?.filter(|n| (1..=u64::from(u32::MAX)).contains(n));
        whole.and_then(|n| usize::try_from(n).ok()).ok_or_else(|| {
            self.error(format!("`{key} = {text}` is not a whole number from 1 to {}.", u32::MAX))
        })
    }

    /// A small whole number from 0 up, where there is one; a comment may follow it.
    pub(super) fn whole(&self, key: &str) -> Result<Option<u64>> {
        let Some(text) = self.get(key) else { return Ok(None) };
        let number = text.split(';').next().unwrap_or_default();
        let number = inside_braces(number).trim();
        // `8.0` is a whole number, too.
        let plain = number.strip_suffix(".0").unwrap_or(number);
        plain
            .parse()
            .map(Some)
            .map_err(|_| self.error(format!("`{key} = {text}` is not a whole number from 0 up.")))
    }

    /// An optional number; where it is none, a note.
    pub(super) fn number(&self, key: &str, notes: &mut Vec<String>) -> Option<f64> {
        let text = self.get(key)?;
        let inner = inside_braces(text);
        // Several values: one a band, of which the first counts.
        let item = inner.split(',').next().unwrap_or_default();
        if let Some((number, _)) = number_and_word(item) {
            return Some(number);
        }
        let says_none =
            ["none", "n/a", "na", "null", "-", ""].contains(&item.to_lowercase().trim());
        if !says_none {
            notes.push(format!("`{key} = {text}` is not a number and was left aside."));
        }
        None
    }

    /// An optional number above 0; where it is none, a note.
    pub(super) fn positive(&self, key: &str, notes: &mut Vec<String>) -> Option<f64> {
        let number = self.number(key, notes)?;
        if number.is_finite() && number > 0.0 {
            return Some(number);
        }
        notes.push(format!("`{key} = {number}` must be a number above 0; it was left aside."));
        None
    }

    /// The items of a list `{a, b, c}`.
    pub(super) fn names(&self, key: &str) -> Option<Vec<String>> {
        let inner = inside_braces(self.get(key)?);
        Some(inner.split(',').map(|s| s.split_whitespace().collect::<Vec<_>>().join(" ")).collect())
    }

    /// The numbers of a list, divided by commas, semicolons or blanks, and the unit that the items
    /// carry, if any; the error names an item that is no number.
    pub(super) fn numbers_of(
        &self,
        key: &str,
    ) -> Option<Result<(Vec<f64>, Option<String>), String>> {
        let text = inside_braces(self.get(key)?);
        let (mut numbers, mut unit) = (Vec::new(), None);
        let items = text.split(|c: char| matches!(c, ',' | ';') || c.is_whitespace());
        for item in items.filter(|s| !s.is_empty()) {
            match (number_and_word(item), item.to_lowercase().as_str()) {
                (Some((number, word)), _) => {
                    numbers.push(number);
                    if !word.is_empty() {
                        unit = Some(word.to_owned());
                    }
                }
                (None, "true") => numbers.push(1.0),
                (None, "false") => numbers.push(0.0),
                // The unit of the item before.
                (None, word) if !numbers.is_empty() && word.chars().all(char::is_alphabetic) => {
                    unit = Some(word.to_owned());
                }
                (None, _) => {
                    return Some(Err(format!(
                        "`{key}` holds `{item}`, which is not a number; it was left aside."
                    )));
                }
            }
        }
        Some(Ok((numbers, unit)))
    }

    /// An optional list of `len` finite numbers; where it is none, a note.
    pub(super) fn list(&self, key: &str, len: usize, notes: &mut Vec<String>) -> Option<Vec<f64>> {
        let why = match self.numbers_of(key)? {
            Ok((values, _)) if values.len() != len => format!(
                "`{key}` holds {} values, but there are {len} bands; it was left aside.",
                values.len()
            ),
            Ok((values, _)) => match values.iter().find(|v| !v.is_finite()) {
                None => return Some(values),
                Some(bad) => {
                    format!("`{key}` holds {bad}, which is not a finite number; it was left aside.")
                }
            },
            Err(why) => why,
        };
        notes.push(why);
        None
    }

    pub(super) fn order(&self) -> Result<Order> {
        let text = self.get("interleave").map(|t| t.split(';').next().unwrap_or(t).trim());
        match text.map(str::to_lowercase).as_deref() {
            Some("bsq") => Ok(Order::BandRowCol),
            Some("bil") => Ok(Order::RowBandCol),
            Some("bip") => Ok(Order::RowColBand),
            Some(other) => {
                Err(self.error(format!("`interleave = {other}` is none of bsq, bil and bip.")))
            }
            None => Err(self.error("lacks `interleave`, one of bsq, bil and bip.")),
        }
    }

    /// Where `size` values lie in the data file: lines, samples and bands.
    pub(super) fn layout(&self, size: [usize; 3]) -> Result<Layout> {
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
            if let Some(offsets) = self.numbers_of(key)
                && offsets.is_ok_and(|(v, _)| v.iter().any(|v| *v != 0.0))
            {
                return Err(self.error(format!("`{key}` other than 0 are not read.")));
            }
        }
        let [rows, cols, bands] = size;
        let offset = self.whole("header offset")?.unwrap_or(0);
        let end = [rows, cols, bands, kind.size()]
            .into_iter()
            .try_fold(1u64, |n, d| n.checked_mul(d as u64))
            .and_then(|n| n.checked_add(offset))
            .ok_or_else(|| {
                self.error(format!(
                    "{rows} lines x {cols} samples x {bands} bands with a header offset of \
                     {offset} \
                     are more bytes than any file can hold."
                ))
            })?;
        Ok(Layout { kind, big_endian, offset, end })
    }

    /// Maps the data file, which must hold what the header says; what follows is noted.
    pub(super) fn numbers(
        &self,
        data_path: &Path,
        size: [usize; 3],
        notes: &mut Vec<String>,
    ) -> Result<Numbers> {
        let Layout { kind, big_endian, offset, end } = self.layout(size)?;
        let [rows, cols, bands] = size;
        let found = std::fs::metadata(data_path).map_err(|e| Error::io(data_path, e))?.len();
        let mismatch = || {
            Error::file(
                data_path,
                format!(
                    "holds {found} bytes, but its header `{}` describes {end}: {rows} lines x \
                     {cols} samples x {bands} bands x {} bytes after {offset} others. Correct \
                     the header, or fetch the data again.",
                    self.path.display(),
                    kind.size()
                ),
            )
        };
        if found < end {
            return Err(mismatch());
        }
        if found > end {
            notes.push(format!(
                "The data file holds {} bytes after the {end} that its header describes; they were \
                 left aside.",
                found - end
            ));
        }
        let file = FileBytes::open(data_path)?;
        Numbers::in_file(&file, offset..end, kind, big_endian).ok_or_else(mismatch)
    }
}
