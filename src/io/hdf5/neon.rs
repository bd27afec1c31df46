//! NEON's airborne reflectance: one group a site, with all metadata below it.

use super::file::{Array, Hdf5};
use crate::engine::ground::error::Result;
use crate::io::labelled::{Cube, Part};
use crate::io::{crs, envi_place};
use crate::scene::{Header, to_nanometres};

/// The scene in a NEON file; `None` when it is none.
pub(super) fn open(file: &Hdf5) -> Result<Option<Cube<Hdf5>>> {
    let Some(array) = file.array_below("Reflectance/Reflectance_Data") else { return Ok(None) };
    let [rows, cols, bands] = array.shape[..] else { return Ok(None) };
    let base = array.place.trim_end_matches("/Reflectance_Data").to_owned();
    let mut header = Header { rows, cols, bands, ..Header::default() };
    let single = |names: &[&str]| {
        let found = names.iter().find_map(|name| array.numbers(name));
        found.and_then(|v| v.first().copied()).filter(|v| v.is_finite())
    };
    header.ignore_value = single(&["Data_Ignore_Value", "data ignore value", "_FillValue"]);
    if let Some(factor) = single(&["Scale_Factor", "Scale Factor"]).filter(|f| *f > 0.0) {
        header.stated_scale = Some((vec![1.0 / factor], vec![0.0], "Scale_Factor".into()));
    }
    let list = |name: &str| -> Result<Option<(Vec<f64>, Option<String>)>> {
        let Some(array) = file.array(&format!("{base}/Metadata/Spectral_Data/{name}")) else {
            return Ok(None);
        };
        let values = file.numbers(array)?;
        let unit = array.text("Units").or_else(|| array.text("units"));
        Ok(Some((values, unit)).filter(|(values, _)| values.len() == bands))
    };
    if let Some((values, unit)) = list("Wavelength")? {
        match to_nanometres(&values, unit.as_deref()).or_else(|_| to_nanometres(&values, None)) {
            Ok((nm, note)) => {
                header.wavelengths = Some(nm);
                header.notes.extend(note);
            }
            Err(why) => {
                header.notes.push(format!("The file's wavelengths were left aside: {why}."))
            }
        }
    }
    header.fwhm = list("FWHM")?.map(|(values, _)| values);
    windows(file, array, &mut header);
    place(file, &base, &mut header);
    let part = Part { array: array.clone(), axes: [0, 1, 2], bands: (0..bands).collect() };
    Cube::new(file, header, vec![part]).map(Some)
}

/// Bands inside the windows of water vapour that the file states hold no reflectance.
fn windows(file: &Hdf5, array: &Array, header: &mut Header) {
    let names = ["Band_Window_1_Nanometers", "Band_Window_2_Nanometers"];
    let group = array.place.trim_end_matches("/Reflectance_Data");
    let of = |name: &str| array.numbers(name).or_else(|| file.group_numbers(group, name));
    let windows: Vec<(f64, f64)> = names
        .iter()
        .filter_map(|name| match of(name)?[..] {
            [from, to] if from < to => Some((from, to)),
            _ => None,
        })
        .collect();
    let Some(nm) = header.wavelengths.as_ref().filter(|_| !windows.is_empty()) else { return };
    let inside = |nm: f64| windows.iter().any(|(from, to)| nm >= *from && nm <= *to);
    header.good_bands = Some(nm.iter().map(|nm| !inside(*nm)).collect());
    let told: Vec<String> =
        windows.iter().map(|(from, to)| format!("{from:.0} to {to:.0} nm")).collect();
    header.notes.push(format!(
        "Bands at {} were left out: the file marks them as hidden by water vapour.",
        told.join(" and ")
    ));
}

fn place(file: &Hdf5, base: &str, header: &mut Header) {
    let below = |name: &str| format!("{base}/Metadata/Coordinate_System/{name}");
    let Some(info) = file.text(&below("Map_Info")) else { return };
    let epsg = file.number(&below("EPSG Code")).filter(|e| *e >= 1.0 && *e < 1e6);
    let text = file.text(&below("Coordinate_System_String"));
    match envi_place::place(info.trim().trim_matches(['{', '}']), text.as_deref()) {
        Ok(mut place) => {
            if let Some(epsg) = epsg {
                place.crs = crs::from_epsg(epsg as u32);
            }
            header.georeference = Some(place);
        }
        Err(why) => header.notes.push(format!("`Map_Info` was left aside: {why}.")),
    }
}
