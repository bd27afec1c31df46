//! Wavelengths in nanometres, whatever the file calls its unit.

/// Converts `values` to nanometres and, where that took an assumption, says which.
///
/// `unit` is the file's word, in any case; without one (or with one that says nothing) values that
/// all lie below 25 are micrometres, since no imaging spectrometer has a band below 25 nm. `Err`
/// tells why they cannot be wavelengths.
pub(crate) fn to_nanometres(
    values: &[f64],
    unit: Option<&str>,
) -> Result<(Vec<f64>, Option<String>), String> {
    if let Some(bad) = values.iter().find(|v| !(v.is_finite() && **v > 0.0)) {
        return Err(format!("the wavelength {bad} is not a positive number"));
    }
    let unit = unit.unwrap_or_default().trim().to_lowercase();
    let mut note = None;
    let factor = match unit.as_str() {
        "nanometers" | "nanometres" | "nanometer" | "nanometre" | "nm" => 1.0,
        "micrometers" | "micrometres" | "micrometer" | "micrometre" | "microns" | "micron"
        | "um" | "µm" | "μm" => 1e3,
        "millimeters" | "millimetres" | "mm" => 1e6,
        "meters" | "metres" | "m" => 1e9,
        "angstroms" | "angstrom" => 0.1,
        "" | "unknown" if values.iter().all(|v| *v < 25.0) => {
            note = Some(
                "The file gives no unit for its wavelengths; all lie below 25, so they are taken \
                 as micrometres."
                    .to_owned(),
            );
            1e3
        }
        "" | "unknown" => 1.0,
        other => return Err(format!("the unit of wavelength `{other}` is not a length")),
    };
    Ok((values.iter().map(|v| v * factor).collect(), note))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_become_nanometres() {
        for (unit, given, nm) in [
            (Some("Micrometers"), 0.5, 500.0),
            (Some("nanometers"), 500.0, 500.0),
            (None, 0.5, 500.0),
            (None, 500.0, 500.0),
            (Some("Unknown"), 2.5, 2500.0),
        ] {
            let (got, _) = to_nanometres(&[given], unit).unwrap();
            assert_eq!(got, [nm], "{given} {unit:?}");
        }
        assert!(to_nanometres(&[1.0, -3.0], None).is_err());
        assert!(to_nanometres(&[1.0, f64::NAN], None).is_err());
        assert!(to_nanometres(&[1.0], Some("Index")).is_err());
    }
}
