//! A scene in an HDF5 or NetCDF-4 file of no known product.

use super::cube::{Cube, Part};
use super::file::{Array, Hdf5};
use crate::engine::ground::error::{Error, Result};
use crate::io::crs;
use crate::io::open::OpenOptions;
use crate::scene::{Georeference, Header, to_nanometres};

/// Names of arrays that hold wavelengths.
const WAVELENGTHS: [&str; 9] = [
    "wavelength",
    "wavelengths",
    "wl",
    "lambda",
    "center_wavelength",
    "central_wavelength",
    "band_wavelength",
    "wvl",
    "radiation_wavelength",
];
const ROW_NAMES: [&str; 9] =
    ["y", "row", "rows", "line", "lines", "lat", "latitude", "downtrack", "northing"];
const COL_NAMES: [&str; 10] = [
    "x",
    "col",
    "cols",
    "column",
    "sample",
    "samples",
    "lon",
    "longitude",
    "crosstrack",
    "easting",
];
const BAND_NAMES: [&str; 7] = ["band", "bands", "channel", "channels", "spectral", "lambda", "wl"];

/// Opens the array that the user names, or the only one that can be a scene.
pub(super) fn open(file: &Hdf5, options: &OpenOptions) -> Result<Cube> {
    let array = choose(file, options)?;
    // Axes of length 1 say nothing.
    let long: Vec<usize> = (0..array.shape.len()).filter(|axis| array.shape[*axis] > 1).collect();
    let [a, b, c] = long[..] else {
        return Err(Error::file(
            &file.path,
            format!(
                "`{}` has {} axes longer than 1; a scene has three: rows, columns, bands.",
                array.place,
                long.len()
            ),
        ));
    };
    let (axes, how) = orient(file, array, [a, b, c])?;
    let bands = array.shape[axes[2]];
    let mut header = Header { bands, ..Header::default() };
    header.notes.push(format!("`{}` was taken as the scene; {how}.", array.place));
    describe(file, array, &mut header)?;
    place(file, array, axes, &mut header)?;
    let part = Part { array: array.clone(), axes, bands: (0..bands).collect() };
    Cube::new(&file.path, header, vec![part])
}

fn choose<'a>(file: &'a Hdf5, options: &OpenOptions) -> Result<&'a Array> {
    if let Some(name) = &options.variable {
        let by_place = file.array(name);
        let named: Vec<&Array> = file.arrays.iter().filter(|array| array.name() == name).collect();
        return match (by_place, &named[..]) {
            (Some(array), _) => Ok(array),
            (None, [array]) => Ok(array),
            (None, []) => Err(Error::file(
                &file.path,
                format!("has no array `{name}`; it holds {}.", file.inventory()),
            )),
            (None, several) => {
                let places: Vec<String> =
                    several.iter().map(|a| format!("`{}`", a.place)).collect();
                Err(Error::file(
                    &file.path,
                    format!("has several arrays `{name}`: say one of {}.", places.join(", ")),
                ))
            }
        };
    }
    let is_cube = |array: &&Array| array.shape.iter().filter(|n| **n > 1).count() == 3;
    let mut cubes: Vec<&Array> = file.arrays.iter().filter(is_cube).collect();
    if cubes.len() > 1 {
        let told = |array: &&&Array| array.name().to_lowercase().contains("reflectance");
        let named: Vec<&Array> = cubes.iter().filter(told).copied().collect();
        let sure: Vec<&Array> =
            named.iter().copied().filter(|a| !a.name().to_lowercase().contains("uncert")).collect();
        if sure.len() == 1 {
            cubes = sure;
        }
    }
    match cubes[..] {
        [one] => Ok(one),
        [] => Err(Error::file(
            &file.path,
            format!("holds {}; none has the three axes of a scene.", file.inventory()),
        )),
        _ => {
            let places: Vec<String> = cubes.iter().map(|a| format!("`{}`", a.place)).collect();
            Err(Error::file(
                &file.path,
                format!(
                    "holds several arrays that could be the scene; name one of {} with --variable.",
                    places.join(", ")
                ),
            ))
        }
    }
}

/// The arrays that could hold the wavelengths of this one's bands.
fn wavelength_arrays<'a>(file: &'a Hdf5, array: &Array) -> Vec<&'a Array> {
    let named = |a: &&Array| {
        let name = a.name().to_lowercase();
        WAVELENGTHS.contains(&name.as_str())
    };
    let line = |a: &&Array| a.shape.iter().filter(|n| **n > 1).count() == 1;
    let found = file.arrays.iter().filter(named).filter(line);
    found.filter(|a| array.shape.iter().any(|n| a.shape.contains(n) && *n > 1)).collect()
}

/// Which axes are rows, columns and bands, and how that is known.
fn orient(file: &Hdf5, array: &Array, long: [usize; 3]) -> Result<([usize; 3], String)> {
    let names = array.axes(file);
    let named = |axis: usize, list: &[&str]| {
        let name = names.as_ref().and_then(|names| names.get(axis));
        name.is_some_and(|name| {
            list.contains(&name.as_str())
                || (list[0] == "band" && WAVELENGTHS.contains(&name.as_str()))
        })
    };
    let find = |list: &[&str]| long.into_iter().find(|axis| named(*axis, list));
    let by_name = find(&BAND_NAMES);
    let lengths: Vec<usize> =
        wavelength_arrays(file, array).iter().map(|a| a.shape.iter().product()).collect();
    let fitting: Vec<usize> =
        long.into_iter().filter(|axis| lengths.contains(&array.shape[*axis])).collect();
    let (bands, how) = match (by_name, &fitting[..]) {
        (Some(axis), _) => (axis, "its axes are named"),
        (None, [axis]) => (*axis, "the wavelengths tell which axis is bands"),
        _ => {
            return Err(Error::file(
                &file.path,
                format!(
                    "`{}` does not say which of its axes is bands: none is named so, and no \
                     wavelengths are as \
                     long as one axis alone; write it with dimension names (xarray, netCDF4) or wavelengths.",
                    array.place
                ),
            ));
        }
    };
    let rest: Vec<usize> = long.into_iter().filter(|axis| *axis != bands).collect();
    let (rows, cols) = match (find(&ROW_NAMES), find(&COL_NAMES)) {
        (Some(rows), Some(cols)) if rows != cols && rows != bands && cols != bands => (rows, cols),
        _ => (rest[0], rest[1]),
    };
    Ok(([rows, cols, bands], how.into()))
}

/// Wavelengths, no-data value, scale.
fn describe(file: &Hdf5, array: &Array, header: &mut Header) -> Result<()> {
    let bands = header.bands;
    for found in wavelength_arrays(file, array) {
        let values = file.numbers(found)?;
        if values.len() != bands {
            continue;
        }
        let unit = found.text("units").or_else(|| found.text("Units"));
        match to_nanometres(&values, unit.as_deref()) {
            Ok((nm, note)) => {
                header.wavelengths = Some(nm);
                header.notes.extend(note);
                break;
            }
            Err(why) => header.notes.push(format!("`{}` was left aside: {why}.", found.place)),
        }
    }
    let line = |names: &[&str]| -> Result<Option<Vec<f64>>> {
        let fits = |a: &&Array| {
            names.contains(&a.name().to_lowercase().as_str())
                && a.shape.iter().product::<usize>() == bands
        };
        file.arrays.iter().find(fits).map(|a| file.numbers(a)).transpose()
    };
    header.fwhm = line(&["fwhm"])?;
    let good = line(&["good_wavelengths", "good_bands", "bbl"])?;
    header.good_bands = good.map(|flags| flags.iter().map(|flag| *flag != 0.0).collect());
    let single = |names: &[&str]| {
        let found = names.iter().find_map(|name| array.numbers(name));
        found.and_then(|v| v.first().copied())
    };
    let ignored =
        single(&["_FillValue", "missing_value", "Data_Ignore_Value", "no_data", "nodata"]);
    header.ignore_value = ignored.filter(|v| !v.is_nan());
    let (gain, offset) = (single(&["scale_factor"]), single(&["add_offset"]));
    if gain.is_some() || offset.is_some() {
        let pair = (vec![gain.unwrap_or(1.0)], vec![offset.unwrap_or(0.0)]);
        header.stated_scale = Some((pair.0, pair.1, "scale_factor".into()));
    }
    Ok(())
}

/// The grid mapping of the CF conventions: GDAL's `GeoTransform`, or coordinates in even steps.
fn place(file: &Hdf5, array: &Array, axes: [usize; 3], header: &mut Header) -> Result<()> {
    let group = array.place.rsplit_once('/').map_or("", |(group, _)| group);
    let mapping = array.text("grid_mapping").and_then(|name| {
        let name = name.split_whitespace().next()?.trim_end_matches(':').to_owned();
        file.array(&format!("{group}/{name}")).or_else(|| file.array(&name))
    });
    let text = |key: &str| mapping.and_then(|m| m.text(key));
    let crs = ["crs_wkt", "spatial_ref"]
        .iter()
        .find_map(|key| crs::from_text(&text(key)?))
        .unwrap_or_default();
    let stated = text("GeoTransform").and_then(|list| {
        let values: Vec<f64> = list.split_whitespace().filter_map(|v| v.parse().ok()).collect();
        <[f64; 6]>::try_from(values).ok()
    });
    if let Some(transform) = stated {
        header.georeference = Georeference::new(crs, transform);
        return Ok(());
    }
    let Some(names) = array.axes(file) else { return Ok(()) };
    let even = |axis: usize| -> Result<Option<(f64, f64)>> {
        let fits = |a: &&Array| {
            a.name().eq_ignore_ascii_case(&names[axis]) && a.shape == [array.shape[axis]]
        };
        let Some(found) = file.arrays.iter().find(fits) else { return Ok(None) };
        let coordinate = found.text("units").is_some() || found.has("standard_name");
        let values = file.numbers(found)?;
        Ok(step(&values).filter(|_| coordinate))
    };
    if let (Some((y, height)), Some((x, width))) = (even(axes[0])?, even(axes[1])?) {
        let transform = [x - width / 2.0, width, 0.0, y - height / 2.0, 0.0, height];
        header.georeference = Georeference::new(crs, transform);
    }
    Ok(())
}

/// The first value and the step between values that are evenly spaced.
fn step(values: &[f64]) -> Option<(f64, f64)> {
    let (first, last) = (values.first()?, values.last()?);
    let step = (last - first) / (values.len().checked_sub(1).filter(|n| *n > 0)? as f64);
    // Coordinates in 32 bits are off by their rounding.
    let even = |(i, v): (usize, &f64)| (first + step * i as f64 - v).abs() <= step.abs() * 1e-2;
    (step != 0.0 && step.is_finite() && values.iter().enumerate().all(even))
        .then_some((*first, step))
}
