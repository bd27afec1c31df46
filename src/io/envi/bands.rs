//! What an ENVI header says of its bands: wavelengths, widths, which are bad, and the scale.

use super::fields::Fields;
use super::parse::number_and_word;
use crate::io::band_flags;
use crate::scene::{to_nanometres, widths_in_nanometres};

const WAVELENGTHS: [&str; 7] = [
    "wavelength",
    "wavelengths",
    "band wavelengths",
    "wavelength values",
    "center wavelength",
    "center wavelengths",
    "central wavelength",
];
const UNITS: [&str; 4] =
    ["wavelength units", "wavelength unit", "wavelengths units", "wavelength_units"];
/// Flags or numbers of good bands, and of bad ones.
const GOOD: [&str; 8] = [
    "bbl",
    "bad band list",
    "bad bands list",
    "good bands",
    "good band list",
    "good wavelengths",
    "bad_band_list",
    "valid bands",
];
const BAD: [&str; 4] = ["bad bands", "bad band", "noisy bands", "removed bands"];

/// Wavelengths, wavelengths in nanometres and widths likewise.
pub(super) struct Spectral {
    pub(super) wavelengths: Option<Vec<f64>>,
    pub(super) fwhm: Option<Vec<f64>>,
}

impl Fields {
    /// Wavelengths and widths in nanometres, from their keys, else from the names of the bands.
    pub(super) fn spectral(&self, bands: usize, notes: &mut Vec<String>) -> Spectral {
        let unit = self.first(&UNITS).map(|(_, unit)| unit.to_owned());
        let mut found = Spectral { wavelengths: None, fwhm: None };
        let stated = self.first(&WAVELENGTHS).map(|(key, _)| key);
        if let Some(key) = stated {
            match self.numbers_of(key) {
                Some(Ok((values, _))) if values.len() != bands => notes.push(format!(
                    "The header lists {} wavelengths for {bands} bands; they were left aside.",
                    values.len()
                )),
                Some(Ok((values, own))) => {
                    match to_nanometres(&values, unit.as_deref().or(own.as_deref())) {
                        Ok((nm, note)) => {
                            notes.extend(note);
                            let factor = values.first().zip(nm.first()).map(|(v, nm)| nm / v);
                            found.fwhm = self.widths(bands, factor, notes);
                            found.wavelengths = Some(nm);
                        }
                        Err(why) => {
                            notes.push(format!("The header's wavelengths were left aside: {why}."))
                        }
                    }
                }
                Some(Err(why)) => notes.push(why),
                None => {}
            }
        }
        if found.wavelengths.is_none()
            && let Some(nm) = self.names("band names").and_then(|n| from_names(&n, bands))
        {
            notes.push("Wavelengths were read from the names of the bands.".into());
            found.fwhm = self.widths(bands, None, notes);
            found.wavelengths = Some(nm);
        }
        found
    }

    /// Widths in nanometres; `factor` is what brings the wavelengths to nanometres.
    fn widths(
        &self,
        bands: usize,
        factor: Option<f64>,
        notes: &mut Vec<String>,
    ) -> Option<Vec<f64>> {
        let values = self.list("fwhm", bands, notes)?;
        let widths = widths_in_nanometres(&values, factor);
        if widths.is_none() {
            notes.push("`fwhm` holds numbers below 0 and was left aside.".into());
        }
        widths
    }

    /// Which bands are good, by flags or numbers under any usual key.
    pub(super) fn good_bands(&self, bands: usize, notes: &mut Vec<String>) -> Option<Vec<bool>> {
        let good = self.first(&GOOD).map(|(key, _)| (key, true));
        let (key, marks_good) = good.or_else(|| self.first(&BAD).map(|(key, _)| (key, false)))?;
        match self.numbers_of(key)? {
            Ok((values, _)) => {
                let found = band_flags::good(&values, bands, marks_good, 1.0);
                match found {
                    Ok(flags) => flags,
                    Err(why) => {
                        notes.push(format!("`{key}` {why}; it was left aside."));
                        None
                    }
                }
            }
            Err(why) => {
                notes.push(why);
                None
            }
        }
    }

    /// Gain and offset to reflectance or radiance, and the key that states them.
    #[allow(clippy::type_complexity)]
    pub(super) fn scale(
        &self,
        bands: usize,
        notes: &mut Vec<String>,
    ) -> Option<(Vec<f64>, Vec<f64>, String)> {
        let key = "reflectance scale factor";
        if let Some(factor) = self.positive(key, notes) {
            return Some((vec![1.0 / factor], vec![0.0], key.into()));
        }
        for (gain_key, offset_key) in [
            ("data reflectance gain values", "data reflectance offset values"),
            ("data gain values", "data offset values"),
        ] {
            let gain = self.list(gain_key, bands, notes);
            let offset = self.list(offset_key, bands, notes);
            if gain.is_none() && offset.is_none() {
                continue;
            }
            let key = if gain.is_some() { gain_key } else { offset_key };
            let gain = gain.unwrap_or_else(|| vec![1.0; bands]);
            if let Some(bad) = gain.iter().find(|g| **g < 0.0) {
                notes.push(format!("`{gain_key}` holds {bad}, below 0; it was left aside."));
                continue;
            }
            if gain.iter().all(|g| *g == 0.0) {
                notes.push(format!("`{gain_key}` is 0 for all bands; it was left aside."));
                continue;
            }
            let dead = gain.iter().filter(|g| **g == 0.0).count();
            if dead > 0 {
                notes.push(format!("`{gain_key}` is 0 for {dead} bands: they hold nothing."));
            }
            return Some((gain, offset.unwrap_or_else(|| vec![0.0; bands]), key.into()));
        }
        None
    }
}

/// Wavelengths in nanometres from names such as `Band 1 (460.000 Nanometers)`, `B1: 460nm` or
/// `460.0`: the number before a unit, else the one in parentheses, else the only one.
fn from_names(names: &[String], bands: usize) -> Option<Vec<f64>> {
    if names.len() != bands {
        return None;
    }
    let (mut values, mut unit) = (Vec::new(), None);
    for name in names {
        let (value, word) = wavelength_in(name)?;
        values.push(value);
        unit = unit.or(word);
    }
    // Numbers without a unit that count the bands are no wavelengths.
    let counts = |first: usize| values.iter().zip(first..).all(|(v, i)| *v == i as f64);
    if unit.is_none() && (counts(0) || counts(1)) {
        return None;
    }
    let (nm, _) = to_nanometres(&values, unit.as_deref()).ok()?;
    // Other numbers in names repeat.
    let plausible = nm.iter().all(|v| (200.0..=30_000.0).contains(v))
        && (unit.is_some() || nm.windows(2).all(|w| w[0] < w[1]) && nm.len() > 1);
    plausible.then_some(nm)
}

fn wavelength_in(name: &str) -> Option<(f64, Option<String>)> {
    let numbers: Vec<(usize, f64, &str)> = name
        .char_indices()
        .filter(|&(at, c)| {
            let before = name.get(..at).and_then(|s| s.chars().next_back());
            let inside = before.is_some_and(|b| b.is_ascii_digit() || b == '.');
            c.is_ascii_digit() && !inside
        })
        .filter_map(|(at, _)| {
            let (value, rest) = number_and_word(name.get(at..)?)?;
            Some((at, value, rest))
        })
        .collect();
    let unit = |rest: &str| {
        let word: String =
            rest.trim_start().chars().take_while(|c| c.is_alphabetic()).collect::<String>();
        let lower = word.to_lowercase();
        let known = ["nm", "um", "µm", "μm"].contains(&lower.as_str())
            || ["nanom", "microm", "micron"].iter().any(|begin| lower.starts_with(begin));
        known.then_some(word)
    };
    let with_unit = numbers.iter().find_map(|(_, v, rest)| Some((*v, Some(unit(rest)?))));
    let in_brackets = || {
        let open = name.rfind('(')?;
        numbers.iter().find(|(at, ..)| *at > open).map(|(_, v, _)| (*v, None))
    };
    let only = || match numbers[..] {
        [(_, v, _)] => Some((v, None)),
        _ => None,
    };
    with_unit.or_else(in_brackets).or_else(only)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_bands_hold_wavelengths() {
        let read = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(|s| (*s).to_owned()).collect();
            from_names(&names, names.len())
        };
        let nm = Some(vec![460.0, 623.5]);
        assert_eq!(read(&["Band 1 (460.000 Nanometers)", "Band 2 (623.500 Nanometers)"]), nm);
        assert_eq!(read(&["B1: 0.46um", "B2: 0.6235um"]), nm);
        assert_eq!(read(&["460.0", "623.5"]), nm);
        assert_eq!(read(&["Band 1 (0.460)", "Band 2 (0.6235)"]), nm);
        assert_eq!(read(&["refl_460nm", "refl_623.5nm"]), nm);
        assert_eq!(read(&["Band 1", "Band 2"]), None);
        assert_eq!(read(&["red", "green"]), None);
        assert_eq!(read(&["B460 of flight 3", "B470 of flight 3"]), None);
    }
}
