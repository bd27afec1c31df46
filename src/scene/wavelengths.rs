//! Wavelengths in nanometres, whatever the file calls its unit.

/// Where imaging spectrometers have bands, from the ultraviolet to the thermal infrared,
/// nanometres.
const SPECTROMETERS: std::ops::RangeInclusive<f64> = 150.0..=30_000.0;

/// A unit of wavelength or frequency: its name, and the function to nanometres.
type Unit = (&'static str, fn(f64) -> f64);

const NANOMETRES: Unit = ("nanometres", |v| v);
const MICROMETRES: Unit = ("micrometres", |v| v * 1e3);
const ANGSTROMS: Unit = ("angstroms", |v| v * 0.1);
const METRES: Unit = ("metres", |v| v * 1e9);

/// The unit that a file's word means, in any case and with any marks; `Err` where the word is that
/// of no unit.
fn unit_of(word: &str) -> Result<Option<Unit>, ()> {
    let word: String =
        word.chars().filter(|c| c.is_alphanumeric()).collect::<String>().to_lowercase();
    let begins = |begin: &str| word.starts_with(begin);
    Ok(Some(match word.as_str() {
        "" | "unknown" | "none" | "na" => return Ok(None),
        "nm" => NANOMETRES,
        "um" | "µm" | "μm" | "mkm" => MICROMETRES,
        "mm" => ("millimetres", |v| v * 1e6),
        "cm" => ("centimetres", |v| v * 1e7),
        "m" => METRES,
        "a" | "å" => ANGSTROMS,
        "ghz" => ("gigahertz", |v| 2.997_924_58e8 / v),
        "mhz" => ("megahertz", |v| 2.997_924_58e11 / v),
        "cm1" => ("wavenumbers", |v| 1e7 / v),
        _ if begins("nano") => NANOMETRES,
        _ if begins("micro") => MICROMETRES,
        _ if begins("milli") => ("millimetres", |v| v * 1e6),
        _ if begins("centi") => ("centimetres", |v| v * 1e7),
        _ if begins("met") => METRES,
        _ if begins("angstr") || begins("ångstr") => ANGSTROMS,
        _ if begins("wavenumber") => ("wavenumbers", |v| 1e7 / v),
        _ => return Err(()),
    }))
}

/// Converts `values` to nanometres and, where that took an assumption, says which.
///
/// `unit` is the file's word, in any case; without one (or with one that says nothing) values that
/// all lie below 25 are micrometres, since no imaging spectrometer has a band below 25 nm. Values
/// that no spectrometer has in the stated unit are taken in the one in which they have. Single
/// values that are no positive numbers are put between their neighbours. `Err` tells why they
/// cannot be wavelengths.
pub(crate) fn to_nanometres(
    values: &[f64],
    unit: Option<&str>,
) -> Result<(Vec<f64>, Option<String>), String> {
    let (values, mended) = mend(values)?;
    let word = unit.unwrap_or_default().trim();
    let stated = match unit_of(word) {
        Ok(stated) => stated,
        Err(()) if word.eq_ignore_ascii_case("index") => {
            return Err("they number the bands: their unit is `Index`".into());
        }
        Err(()) => None,
    };
    let counts = stated.is_none()
        && values.len() > 2
        && values.windows(2).all(|w| w[1] - w[0] == 1.0)
        && values.first().is_some_and(|v| *v <= 1.0);
    if counts {
        return Err("they number the bands from first to last".into());
    }
    let fits = |unit: &Unit| values.iter().all(|v| SPECTROMETERS.contains(&unit.1(*v)));
    let other = [NANOMETRES, MICROMETRES, METRES, ANGSTROMS].into_iter().find(|unit| fits(unit));
    let (taken, note) = match (stated, other) {
        (Some(unit), Some(other)) if !fits(&unit) => {
            let first = values.first().copied().unwrap_or_default();
            (
                other,
                Some(format!(
                    "The file states its wavelengths in {}, but no spectrometer has a band at \
                     {first} {}; they were taken as {}.",
                    unit.0, unit.0, other.0
                )),
            )
        }
        (Some(unit), _) => (unit, None),
        (None, _) if values.iter().all(|v| *v < 25.0 && *v > 1e-3) => (
            MICROMETRES,
            Some(
                "The file gives no unit for its wavelengths; all lie below 25, so they are taken \
                 as micrometres."
                    .to_owned(),
            ),
        ),
        (None, Some(other)) if other.0 != NANOMETRES.0 => (
            other,
            Some(format!(
                "The file gives no unit for its wavelengths; they were taken as {}.",
                other.0
            )),
        ),
        (None, _) => (NANOMETRES, None),
    };
    let notes: Vec<String> = [note, mended].into_iter().flatten().collect();
    Ok((values.iter().map(|v| taken.1(*v)).collect(), (!notes.is_empty()).then(|| notes.join(" "))))
}

/// Widths of bands in nanometres; `factor` is what brings the wavelengths to nanometres, in whose
/// unit widths usually are. `None` where one is negative or no number.
pub(crate) fn widths_in_nanometres(values: &[f64], factor: Option<f64>) -> Option<Vec<f64>> {
    if values.iter().any(|v| !(v.is_finite() && *v >= 0.0)) {
        return None;
    }
    let largest = values.iter().copied().fold(0.0, f64::max);
    // Bands are some nanometres wide: thousandths of a micrometre.
    let own = if largest < 0.5 { 1e3 } else { 1.0 };
    let factor = factor.filter(|f| (0.5..=500.0).contains(&(largest * f))).unwrap_or(own);
    Some(values.iter().map(|v| v * factor).collect())
}

/// Puts single values that are no positive numbers between their neighbours; `Err` where they are
/// more than a tenth.
fn mend(values: &[f64]) -> Result<(Vec<f64>, Option<String>), String> {
    let good: Vec<usize> =
        (0..values.len()).filter(|&i| values[i].is_finite() && values[i] > 0.0).collect();
    let bad = values.len() - good.len();
    if bad == 0 {
        return Ok((values.to_vec(), None));
    }
    if bad * 10 > values.len() || good.len() < 2 {
        let first = values.iter().find(|v| !(v.is_finite() && **v > 0.0)).copied();
        return Err(format!(
            "the wavelength {} is not a positive number",
            first.unwrap_or_default()
        ));
    }
    let mut mended = values.to_vec();
    for (i, slot) in mended.iter_mut().enumerate() {
        let next = good.partition_point(|&g| g < i);
        if good.get(next) == Some(&i) {
            continue;
        }
        // The line through the two nearest on either side, or the two at an end.
        let a = next.saturating_sub(1).min(good.len() - 2);
        let (a, b) = (good[a], good[a + 1]);
        let step = (values[b] - values[a]) / (b as f64 - a as f64);
        *slot = values[a] + step * (i as f64 - a as f64);
    }
    if mended.iter().any(|v| !(v.is_finite() && *v > 0.0)) {
        return Err("some wavelengths are not positive numbers".into());
    }
    let note = format!("{bad} wavelengths are no positive numbers; they were put between others.");
    Ok((mended, Some(note)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_become_nanometres() {
        for (unit, given, nm) in [
            (Some("Micrometers"), 0.5, 500.0),
            (Some("nanometers"), 500.0, 500.0),
            (Some("(nm)"), 500.0, 500.0),
            (None, 0.5, 500.0),
            (None, 500.0, 500.0),
            (Some("Unknown"), 2.5, 2500.0),
            (Some("whatever"), 500.0, 500.0),
            (Some("Wavenumber"), 20_000.0, 500.0),
            (Some("m"), 5e-7, 500.0),
            (None, 5e-7, 500.0),
            // Contradictions.
            (Some("Micrometers"), 460.0, 460.0),
            (Some("Nanometers"), 0.46, 460.0),
            (Some("Nanometers"), 4.0, 4000.0),
        ] {
            let (got, note) = to_nanometres(&[given], unit).unwrap();
            // Factors are not exactly representable.
            assert!((got[0] / nm - 1.0).abs() < 1e-12, "{given} {unit:?}");
            let contradicts = matches!(unit, Some("Micrometers" | "Nanometers")) && given != 0.5;
            assert_eq!(note.is_some_and(|n| n.contains("no spectrometer")), contradicts);
        }
        assert!(to_nanometres(&[1.0, -3.0], None).is_err());
        assert!(to_nanometres(&[1.0, f64::NAN], None).is_err());
        assert!(to_nanometres(&[1.0], Some("Index")).is_err());
        assert!(to_nanometres(&[1.0, 2.0, 3.0], None).unwrap_err().contains("number the bands"));
    }

    #[test]
    fn a_single_odd_wavelength_is_mended() {
        let mut nm: Vec<f64> = (0..30).map(|i| 400.0 + 10.0 * f64::from(i)).collect();
        let whole = nm.clone();
        for at in [0, 11, 29] {
            nm[at] = 0.0;
            let (got, note) = to_nanometres(&nm, None).unwrap();
            assert_eq!(got, whole);
            assert!(note.is_some_and(|n| n.contains("1 wavelengths")));
            nm[at] = whole[at];
        }
        nm[..9].fill(f64::NAN);
        assert!(to_nanometres(&nm, None).is_err());
    }
}
