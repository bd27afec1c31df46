//! PRISMA products: HDF-EOS5 with a cube of each of the two spectrometers.

use super::file::{Array, Hdf5};
use crate::engine::ground::error::{Error, Result};
use crate::io::crs;
use crate::io::labelled::{Cube, Part};
use crate::scene::{Georeference, Header};

/// The range of the stored numbers that is spread over the range of the values.
const FULL_SCALE: f64 = 65535.0;

/// One spectrometer: bands in the order of the file.
struct Spectrometer {
    part: Part<Array>,
    wavelengths: Vec<f64>,
    widths: Vec<f64>,
    gain: f64,
    offset: f64,
}

/// The scene in a PRISMA file; `None` when it is none.
pub(super) fn open(file: &Hdf5) -> Result<Option<Cube<Hdf5>>> {
    let vnir = spectrometer(file, "VNIR", "Vnir")?;
    let swir = spectrometer(file, "SWIR", "Swir")?;
    let mut parts: Vec<Spectrometer> = vnir.into_iter().chain(swir).collect();
    if parts.is_empty() {
        return Ok(None);
    }
    let mut header = Header { ignore_value: Some(0.0), ..Header::default() };
    // By wavelength within each spectrometer, the one of short waves first; bands that are not in
    // use have the wavelength 0 and go last.
    let mut order: Vec<(usize, usize)> = Vec::new();
    for (which, part) in parts.iter().enumerate() {
        let mut own: Vec<usize> = (0..part.wavelengths.len()).collect();
        own.sort_by(|a, b| part.wavelengths[*a].total_cmp(&part.wavelengths[*b]));
        own.rotate_left(part.wavelengths.iter().filter(|nm| **nm <= 0.0).count());
        order.extend(own.into_iter().map(|band| (which, band)));
    }
    let first_of_swir =
        parts.iter().skip(1).flat_map(|p| &p.wavelengths).copied().filter(|nm| *nm > 0.0);
    let overlap = first_of_swir.fold(f64::INFINITY, f64::min);
    let (mut unused, mut doubled) = (0, 0);
    let mut good = Vec::new();
    let (mut nm, mut fwhm, mut gains, mut offsets) = (vec![], vec![], vec![], vec![]);
    let mut last = 1.0;
    for (to, &(which, band)) in order.iter().enumerate() {
        let part = &mut parts[which];
        part.part.bands[band] = to;
        let used = part.wavelengths[band] > 0.0;
        let twice = used && which == 0 && part.wavelengths[band] >= overlap;
        unused += usize::from(!used);
        doubled += usize::from(twice);
        good.push(used && !twice);
        // A wavelength must be above zero; the band is out of use, so any other than 0 will do.
        last = if used { part.wavelengths[band] } else { last };
        nm.push(last);
        fwhm.push(part.widths.get(band).copied().unwrap_or(0.0));
        gains.push(part.gain);
        offsets.push(part.offset);
    }
    header.bands = order.len();
    header.wavelengths = Some(nm);
    header.fwhm = Some(fwhm);
    header.good_bands = Some(good);
    header.stated_scale = Some((gains, offsets, "scale factors of PRISMA".into()));
    if unused > 0 {
        header
            .notes
            .push(format!("{unused} bands have no wavelength in the file and are not in use."));
    }
    if doubled > 0 {
        header.notes.push(format!(
            "{doubled} bands of the first spectrometer from {overlap:.0} nm on were left out: the \
             second sees \
             these wavelengths with less noise."
        ));
    }
    header.notes.push("Bands were put in the order of their wavelengths.".into());
    let size = parts.first().map(|p| (p.part.array.shape[0], p.part.array.shape[2]));
    place(file, size.unwrap_or_default(), &mut header);
    let parts = parts.into_iter().map(|part| part.part).collect();
    Cube::new(file, header, parts).map(Some)
}

fn spectrometer(file: &Hdf5, cube: &str, name: &str) -> Result<Option<Spectrometer>> {
    let of_product = |array: &&Array| {
        array.place.starts_with("/HDFEOS/SWATHS/PRS_L")
            && array.place.ends_with(&format!("_HCO/Data Fields/{cube}_Cube"))
    };
    let Some(array) = file.arrays.iter().find(of_product) else { return Ok(None) };
    // Along the track, bands, across.
    let [_, bands, _] = array.shape[..] else { return Ok(None) };
    let list = |what: &str| file.root_numbers(&format!("List_{what}_{name}"));
    let wavelengths = list("Cw").filter(|list| list.len() == bands).ok_or_else(|| {
        Error::file(
            &file.path,
            format!(
                "`{}` has {bands} bands, and List_Cw_{name} has not as many wavelengths.",
                array.place
            ),
        )
    })?;
    if let Some(bad) = wavelengths.iter().find(|nm| !nm.is_finite()) {
        return Err(Error::file(
            &file.path,
            format!("List_Cw_{name} holds {bad}, which is no wavelength."),
        ));
    }
    let single = |key: String| file.root_numbers(&key).and_then(|v| v.first().copied());
    let range = single(format!("L2Scale{name}Min")).zip(single(format!("L2Scale{name}Max")));
    let radiance = single(format!("ScaleFactor_{name}")).zip(single(format!("Offset_{name}")));
    let (gain, offset) = match (range, radiance) {
        (Some((min, max)), _) => ((max - min) / FULL_SCALE, min),
        (None, Some((factor, offset))) if factor != 0.0 => (1.0 / factor, -offset),
        _ => {
            return Err(Error::file(
                &file.path,
                format!("does not say how `{}` is scaled (L2Scale{name}Min and Max).", array.place),
            ));
        }
    };
    let part = Part { array: array.clone(), axes: [0, 2, 1], bands: vec![0; bands] };
    let widths = list("Fwhm").unwrap_or_default();
    Ok(Some(Spectrometer { part, wavelengths, widths, gain, offset }))
}

/// The place of a product on a map grid (L2D). The corners that the file gives are centres of
/// pixels; a file in which they divide into pixels of a whole number of metres as edges is taken
/// so.
fn place(file: &Hdf5, (rows, cols): (usize, usize), header: &mut Header) {
    let number = |name: &str| {
        file.root_numbers(name).and_then(|v| v.first().copied()).filter(|v| v.is_finite())
    };
    let Some(epsg) = number("Epsg_Code").filter(|e| *e >= 1.0 && *e < 1e6) else { return };
    let corner = |which: &str| {
        number(&format!("Product_{which}_easting"))
            .zip(number(&format!("Product_{which}_northing")))
    };
    let (Some((left, top)), Some((right, bottom))) = (corner("ULcorner"), corner("LRcorner"))
    else {
        header.notes.push(
            "The file does not say where its corners lie; results have no place on earth.".into(),
        );
        return;
    };
    let (width, height) = (right - left, top - bottom);
    let whole = |v: f64| v > 0.0 && (v - v.round()).abs() < 1e-6;
    let edges = whole(width / cols as f64) && whole(height / rows as f64);
    let shares =
        if edges { (cols as f64, rows as f64) } else { (cols as f64 - 1.0, rows as f64 - 1.0) };
    let (x, y) = (width / shares.0, height / shares.1);
    let shift = if edges { 0.0 } else { 0.5 };
    let transform = [left - shift * x, x, 0.0, top + shift * y, 0.0, -y];
    match Georeference::new(crs::from_epsg(epsg as u32), transform) {
        Some(place) => header.georeference = Some(place),
        None => {
            header.notes.push("The file's corners are no place; results have none on earth.".into())
        }
    }
}
