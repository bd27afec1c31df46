//! How a table of text is written: its encoding, what divides its fields, its decimal mark.

use std::path::Path;

use crate::engine::ground::error::{Error, Result};
use crate::io::bytes::FileBytes;

/// Tables of spectra are smaller than this; larger files are something else.
const LARGEST: u64 = 1 << 30;
/// Lines that are looked at.
const LINES: usize = 200;

/// The text of a file, whatever its encoding: UTF-8 or UTF-16 by its mark, else UTF-8, else
/// Latin-1.
pub(super) fn read_text(path: &Path) -> Result<String> {
    let file = FileBytes::open(path)?;
    let size = file.len();
    if size > LARGEST {
        return Err(Error::file(
            path,
            format!("holds {size} bytes, too many for a table of spectra."),
        ));
    }
    let bytes = file.first(0..size, LARGEST as usize)?;
    Ok(decode(&bytes))
}

fn decode(bytes: &[u8]) -> String {
    let utf16 = |rest: &[u8], unit: fn([u8; 2]) -> u16| {
        let units: Vec<u16> = rest.as_chunks::<2>().0.iter().copied().map(unit).collect();
        String::from_utf16_lossy(&units)
    };
    match bytes {
        [0xef, 0xbb, 0xbf, rest @ ..] => String::from_utf8_lossy(rest).into_owned(),
        [0xff, 0xfe, rest @ ..] => utf16(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => utf16(rest, u16::from_be_bytes),
        _ => match std::str::from_utf8(bytes) {
            Ok(text) => text.to_owned(),
            // Latin-1: each byte is the character of that number.
            Err(_) => bytes.iter().map(|b| char::from(*b)).collect(),
        },
    }
}

/// How fields are divided and decimals marked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Dialect {
    /// `,`, `;`, a tab, or a blank for any run of blanks.
    pub(super) divider: char,
    pub(super) decimal_comma: bool,
}

impl Dialect {
    /// The dialect of lines of a table.
    pub(super) fn of<'a>(lines: impl Iterator<Item = &'a str> + Clone) -> Self {
        let lines = lines.filter(|l| !l.trim().is_empty() && !l.starts_with('#')).take(LINES);
        let count = lines.clone().count();
        let most = |mark: char| lines.clone().filter(|l| l.contains(mark)).count() * 2 > count;
        let divider = [';', '\t'].into_iter().find(|mark| most(*mark)).unwrap_or_else(|| {
            // `460,0 0,12` are two numbers, not three.
            let spaced = lines
                .clone()
                .filter(|l| {
                    let fields: Vec<&str> = l.split_whitespace().collect();
                    fields.len() > 1 && fields.iter().all(|f| number(f, true).is_some())
                })
                .count();
            if most(',') && spaced * 2 <= count { ',' } else { ' ' }
        });
        let mut dialect = Dialect { divider, decimal_comma: false };
        if divider != ',' {
            let (mut points, mut commas) = (0, 0);
            for line in lines {
                for field in dialect.split(line) {
                    points += usize::from(field.contains('.') && number(&field, false).is_some());
                    commas += usize::from(field.contains(',') && number(&field, true).is_some());
                }
            }
            dialect.decimal_comma = commas > points;
        }
        dialect
    }

    /// The fields of one line, quotes and blanks around them taken off.
    pub(super) fn split(self, line: &str) -> Vec<String> {
        if self.divider == ' ' {
            return line.split_whitespace().map(|f| f.trim_matches('"').to_owned()).collect();
        }
        let reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .trim(csv::Trim::All)
            .delimiter(self.divider as u8)
            .from_reader(line.as_bytes());
        let record = reader.into_records().next().and_then(std::result::Result::ok);
        record.map(|r| r.iter().map(str::to_owned).collect()).unwrap_or_default()
    }

    /// The number in a field; an empty field or a word for none is a deleted channel, NaN.
    pub(super) fn number(self, field: &str) -> Option<f64> {
        let word = field.trim().to_lowercase();
        if ["", "na", "n/a", "nan", "null", "none", "-", "#n/a"].contains(&word.as_str()) {
            return Some(f64::NAN);
        }
        number(field, self.decimal_comma)
    }
}

fn number(field: &str, decimal_comma: bool) -> Option<f64> {
    let field = field.trim();
    if decimal_comma && field.contains(',') {
        return (!field.contains('.')).then(|| field.replacen(',', ".", 1).parse().ok()).flatten();
    }
    field.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dialects() {
        for (text, divider, decimal_comma) in [
            ("wavelength,a,b\n460.0,0.1,0.2", ',', false),
            ("wavelength;a;b\n460.0;0.1;0.2", ';', false),
            ("wavelength;a;b\n460,0;0,1;0,2", ';', true),
            ("wavelength\ta\n460.0\t0.1", '\t', false),
            ("wavelength\ta\n460,0\t0,1", '\t', true),
            ("460.0  0.1\n470.0  0.2", ' ', false),
            ("460,0  0,1\n470,0  0,2", ' ', true),
            ("a,b\n460,1\n470,2", ',', false),
        ] {
            let found = Dialect::of(text.lines());
            assert_eq!(found, Dialect { divider, decimal_comma }, "{text}");
        }
        let d = Dialect { divider: ';', decimal_comma: true };
        assert_eq!(d.split("\"tree; dry\"; 0,5"), ["tree; dry", "0,5"]);
        assert_eq!(d.number("0,5"), Some(0.5));
        assert!(d.number("").is_some_and(f64::is_nan));
        assert_eq!(d.number("x"), None);
    }

    #[test]
    fn encodings() {
        assert_eq!(decode(b"\xef\xbb\xbfa"), "a");
        assert_eq!(decode(b"\xff\xfea\0"), "a");
        assert_eq!(decode(b"\xfe\xff\0a"), "a");
        assert_eq!(decode(b"gr\xfcn"), "gr\u{fc}n");
        assert_eq!(decode("gr\u{fc}n".as_bytes()), "gr\u{fc}n");
    }
}
