//! What a file says of a scene's bands and values: in arrays beside it, in its coordinates, in
//! attributes.

use super::store::{Store, StoredArray};
use crate::io::arrays::Arrays;
use crate::io::spectral::names_wavelengths;
use crate::scene::{Header, to_nanometres};

/// Fills the wavelengths, widths and flags of the bands, the scale and the value for no data.
pub(super) fn describe<S: Store>(
    file: &S,
    array: &S::Array,
    band: usize,
    lists: &Arrays,
    header: &mut Header,
) {
    header.wavelengths = coordinates(file, array, band, header);
    lists.describe(header);
    if header.wavelengths.is_none() {
        let names = ["wavelength", "wavelengths", "Wavelength", "center_wavelengths"];
        let list = names.iter().find_map(|name| array.attribute_numbers(name));
        let unit = ["wavelength_units", "wavelength units", "wavelength_unit", "units_wavelength"];
        let unit = unit.iter().find_map(|name| array.attribute_text(name));
        let list = list.filter(|list| list.len() == header.bands);
        if let Some(Ok((nm, note))) = list.map(|list| to_nanometres(&list, unit.as_deref())) {
            header.wavelengths = Some(nm);
            header.notes.extend(note);
        }
    }
    if header.good_bands.is_none() {
        let flags = ["bbl", "good_bands", "good_wavelengths"];
        let flags = flags.iter().find_map(|name| array.attribute_numbers(name));
        let flags = flags.filter(|list| list.len() == header.bands);
        header.good_bands = flags.map(|list| list.iter().map(|flag| *flag != 0.0).collect());
    }
    attributes(array, header);
}

/// The wavelengths in nanometres from an array with a unit: one that is called so, or the
/// coordinate of the bands.
fn coordinates<S: Store>(
    file: &S,
    array: &S::Array,
    band: usize,
    header: &mut Header,
) -> Option<Vec<f64>> {
    let own = file.axes(array).and_then(|names| names.get(band).cloned());
    let standard = |a: &S::Array| {
        a.attribute_text("standard_name").is_some_and(|name| name.contains("wavelength"))
    };
    let long = |a: &S::Array| {
        a.attribute_text("long_name").is_some_and(|name| name.to_lowercase().contains("wavelength"))
    };
    let unit = |a: &S::Array| {
        ["units", "Units", "unit", "Unit"].iter().find_map(|name| a.attribute_text(name))
    };
    let length = |word: &str| {
        let word = word.trim().to_lowercase();
        ["nm", "um", "µm", "μm"].contains(&word.as_str())
            || ["nano", "micro", "angstr"].iter().any(|begin| word.starts_with(begin))
    };
    let fits = |a: &&S::Array| {
        let name = a.last_name().to_lowercase();
        let is_own = own.as_ref() == Some(&name);
        a.count() == Some(header.bands)
            && (names_wavelengths(&name)
                || standard(a)
                || long(a)
                || (is_own && unit(a).is_some_and(|word| length(&word))))
    };
    for found in file.arrays().iter().filter(fits) {
        let (Ok(values), Some(unit)) = (file.whole(found), unit(found)) else { continue };
        match to_nanometres(&values, Some(&unit)) {
            Ok((nm, note)) => {
                header.notes.extend(note);
                return Some(nm);
            }
            Err(why) => header.notes.push(format!("`{}` was left aside: {why}.", found.place())),
        }
    }
    None
}

/// Scale and value for no data, as attributes of the array state them.
pub(super) fn attributes<A: StoredArray>(array: &A, header: &mut Header) {
    let single = |names: &[&str]| {
        let found = names.iter().find_map(|name| array.attribute_numbers(name));
        found.and_then(|v| v.first().copied()).filter(|v| !v.is_nan())
    };
    let ignored = single(&[
        "_FillValue",
        "missing_value",
        "Data_Ignore_Value",
        "data ignore value",
        "data_ignore_value",
        "no_data",
        "no_data_value",
        "nodata_value",
        "nodata",
        "nodatavals",
        "NoData",
        "fill_value",
    ]);
    header.ignore_value = ignored.or(header.ignore_value);
    let (gain, offset) = (single(&["scale_factor"]), single(&["add_offset"]));
    if gain.is_some() || offset.is_some() {
        let pair = (vec![gain.unwrap_or(1.0)], vec![offset.unwrap_or(0.0)]);
        header.stated_scale = Some((pair.0, pair.1, "scale_factor".into()));
        return;
    }
    let divisor = single(&["Scale_Factor", "Scale Factor", "reflectance scale factor", "scale"]);
    if let Some(by) = divisor.filter(|by| *by > 0.0 && by.is_finite()) {
        let gain = if by > 1.0 { 1.0 / by } else { by };
        header.stated_scale = Some((vec![gain], vec![0.0], "Scale_Factor".into()));
    }
}
