//! EMIT L2A reflectance: NetCDF-4 in the geometry of the sensor, with a lookup to a map grid.

use std::sync::Arc;

use super::file::Hdf5;
use crate::engine::ground::error::Result;
use crate::io::crs;
use crate::io::labelled::{Cube, Part};
use crate::scene::{Georeference, Header, Lookup, to_nanometres};

/// What EMIT stores where there is no value; -0.01 marks bands that the atmosphere hides.
const FILL: f64 = -9999.0;

/// The scene in an EMIT file; `None` when it is none.
pub(super) fn open(file: &Hdf5) -> Result<Option<Cube<Hdf5>>> {
    let wavelengths = file.array("sensor_band_parameters/wavelengths");
    let (Some(array), Some(wavelengths)) = (file.array("reflectance"), wavelengths) else {
        return Ok(None);
    };
    let [rows, cols, bands] = array.shape[..] else { return Ok(None) };
    let mut header = Header { rows, cols, bands, ..Header::default() };
    let fill = array.numbers("_FillValue").and_then(|v| v.first().copied());
    header.ignore_value = Some(fill.unwrap_or(FILL));
    let whole = |values: Vec<f64>| Some(values).filter(|values| values.len() == bands);
    let unit = wavelengths.text("units");
    match whole(file.numbers(wavelengths)?).map(|v| to_nanometres(&v, unit.as_deref())) {
        Some(Ok((nm, note))) => {
            header.wavelengths = Some(nm);
            header.notes.extend(note);
        }
        Some(Err(why)) => {
            header.notes.push(format!("The file's wavelengths were left aside: {why}."))
        }
        None => header
            .notes
            .push("The file has other wavelengths than bands; they were left aside.".into()),
    }
    if let Some(fwhm) = file.array("sensor_band_parameters/fwhm") {
        header.fwhm = whole(file.numbers(fwhm)?);
    }
    if let Some(good) = file.array("sensor_band_parameters/good_wavelengths") {
        let flags = whole(file.numbers(good)?);
        header.good_bands = flags.map(|flags| flags.iter().map(|flag| *flag != 0.0).collect());
    }
    place(file, &mut header)?;
    let part = Part { array: array.clone(), axes: [0, 1, 2], bands: (0..bands).collect() };
    Cube::new(file, header, vec![part]).map(Some)
}

/// The map grid and the way to it.
fn place(file: &Hdf5, header: &mut Header) -> Result<()> {
    let transform = file.root_numbers("geotransform").and_then(|t| <[f64; 6]>::try_from(t).ok());
    let Some(transform) = transform else { return Ok(()) };
    let crs = file.root_text("spatial_ref").as_deref().and_then(crs::from_text).unwrap_or_default();
    let Some(mut place) = Georeference::new(crs, transform) else {
        header
            .notes
            .push("The file's geotransform is none; results have no place on earth.".into());
        return Ok(());
    };
    let (x, y) = (file.array("location/glt_x"), file.array("location/glt_y"));
    let (Some(x), Some(y)) = (x, y) else {
        header.notes.push(
            "The file has no lookup to its map grid (location/glt_x); results have no place on \
             earth."
                .into(),
        );
        return Ok(());
    };
    let [rows, cols] = x.shape[..] else { return Ok(()) };
    if x.shape != y.shape {
        header.notes.push(
            "The file's glt_x and glt_y differ in size; results have no place on earth.".into(),
        );
        return Ok(());
    }
    let (x, y) = (file.numbers(x)?, file.numbers(y)?);
    // Pixels are counted from 1, those of interpolated cells with a minus; 0 is beside the scene.
    let index = |value: f64, count: usize| {
        let at = value.abs();
        (at >= 1.0 && at <= count as f64).then(|| at as usize - 1)
    };
    let pixels =
        x.iter().zip(&y).map(|(x, y)| match (index(*y, header.rows), index(*x, header.cols)) {
            (Some(row), Some(col)) => {
                u32::try_from(row * header.cols + col).unwrap_or(Lookup::NONE)
            }
            _ => Lookup::NONE,
        });
    place.lookup = Some(Arc::new(Lookup { rows, cols, pixels: pixels.collect() }));
    header.georeference = Some(place);
    header.notes.push(format!(
        "The scene is in the geometry of its sensor; GeoTIFF, ENVI and NetCDF maps are put on the \
         file's grid of {rows} x {cols} cells."
    ));
    Ok(())
}
