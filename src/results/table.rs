//! The table of endmember spectra.

use std::io::{self, Write};

use crate::posterior::Posterior;
use crate::scene::Band;
use crate::score::nearest::Nearest;

/// Writes one line a band in use: `band` (its number in the file, from 1), `wavelength_nm` (empty
/// when unknown), then for each name `NAME_mean`, `NAME_sd`, `NAME_q05`, `NAME_q95` and, where the
/// model has it, `NAME_variability` (sd between pixels), in the posterior's unit. Values that are
/// not finite are left empty. Where `nearest` says of each endmember which materials it is like, a
/// last column `NAME_nearest` for each has the nearest on every line.
///
/// # Errors
/// What the writer returns.
pub fn write_endmembers(
    bands: &[Band],
    names: &[String],
    posterior: &Posterior,
    nearest: &[Vec<Nearest>],
    to: &mut dyn Write,
) -> io::Result<()> {
    let mut columns = vec![
        ("mean", &posterior.endmember_mean),
        ("sd", &posterior.endmember_sd),
        ("q05", &posterior.endmember_q05),
        ("q95", &posterior.endmember_q95),
    ];
    columns.extend(posterior.variability.as_ref().map(|sd| ("variability", sd)));
    let mut table = csv::Writer::from_writer(to);
    let mut header = vec!["band".to_owned(), "wavelength_nm".to_owned()];
    for name in names {
        header.extend(columns.iter().map(|(kind, _)| format!("{name}_{kind}")));
    }
    let named =
        || names.iter().zip(nearest).filter_map(|(name, found)| Some((name, found.first()?)));
    header.extend(named().map(|(name, _)| format!("{name}_nearest")));
    table.write_record(&header)?;
    for (l, band) in bands.iter().enumerate() {
        let wavelength = number(band.wavelength.unwrap_or(f64::NAN));
        let mut line = vec![(band.index + 1).to_string(), wavelength];
        for k in 0..names.len() {
            let values = columns.iter().map(|(_, v)| v.get((k, l)).copied().unwrap_or(f64::NAN));
            line.extend(values.map(number));
        }
        line.extend(named().map(|(_, found)| found.text()));
        table.write_record(&line)?;
    }
    table.flush()
}

/// As many digits as it takes to read the same number back.
fn number(value: f64) -> String {
    if value.is_finite() { value.to_string() } else { String::new() }
}
