//! Numbers that a file holds as texts, as some writers do with wavelengths.

use super::arrays::NamedArray;
use super::envi::number_and_word;
use super::numbers::{Kind, Numbers};

/// Longer lists describe pixels, not bands.
pub(crate) const MOST: usize = 1 << 17;

/// The numbers of texts such as `460.2`, `460.2 nm` or `Band 1 (0.4602 um)`, in nanometres where
/// they have a unit; `None` where one of them has no number, or another unit than the first.
pub(crate) fn numbers(texts: &[String]) -> Option<Vec<f64>> {
    let mut unit: Option<f64> = None;
    let number = |text: &String| {
        let text = text.trim();
        // What stands in brackets behind a name.
        let inner = text.split_once('(').map_or(text, |(_, rest)| rest.trim_end_matches(')'));
        let (number, word) = number_and_word(inner)?;
        let own = match word.to_lowercase().as_str() {
            "" | "nm" | "nanometers" | "nanometres" => 1.0,
            "um" | "\u{b5}m" | "\u{3bc}m" | "micrometers" | "micrometres" | "microns" => 1e3,
            _ => return None,
        };
        (*unit.get_or_insert(own) == own).then_some(number * own)
    };
    let numbers: Option<Vec<f64>> = texts.iter().map(number).collect();
    numbers.filter(|list| !list.is_empty() && list.len() <= MOST)
}

/// A list of numbers as an array of a file.
pub(crate) fn named(name: String, values: &[f64]) -> NamedArray {
    let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    let numbers = Numbers::owned(bytes, Kind::F64, false);
    NamedArray { name, shape: vec![values.len()], fortran: false, numbers }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_with_and_without_units() {
        let of =
            |texts: &[&str]| numbers(&texts.iter().map(|t| (*t).to_owned()).collect::<Vec<_>>());
        assert_eq!(of(&["460.5", " 470 "]), Some(vec![460.5, 470.0]));
        assert_eq!(of(&["0.5 um", "0.75um"]), Some(vec![500.0, 750.0]));
        assert_eq!(of(&["band 1 (460 nm)", "band 2 (470 nm)"]), Some(vec![460.0, 470.0]));
        assert_eq!(of(&["460 nm", "0.47 um"]), None);
        assert_eq!(of(&["B1", "B2"]), None);
        assert_eq!(of(&[]), None);
    }
}
