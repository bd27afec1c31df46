//! Maps and spectra as one set of variables with the CF conventions, and as a NetCDF file.

use std::io::{self, Write};

use ndarray::{Array3, ArrayView2};

use super::netcdf_classic::{File, Value, Values, Variable};
use super::{About, Raster, on_grid};
use crate::io::crs;
use crate::scene::{Band, Georeference};

/// Spectra beside the maps.
#[derive(Debug)]
pub struct SpectraTable<'a> {
    /// Bands in use.
    pub bands: &'a [Band],
    /// A name a spectrum.
    pub names: &'a [String],
    /// Name of the variable, what it is, and its values (spectra, bands).
    pub tables: Vec<(&'static str, &'static str, ArrayView2<'a, f64>)>,
    /// Unit of the values for people, such as `reflectance`.
    pub unit: &'a str,
}

// Places among the dimensions.
const Y: usize = 0;
const X: usize = 1;
const ENDMEMBER: usize = 2;
const BAND: usize = 3;
const LENGTH: usize = 4;

/// Writes `rasters` that have a band an endmember, or one band, and the spectra.
///
/// NaN stands for no data. Coordinates are those of the centres of pixels; where the raster is
/// rotated they count rows and columns, and `GeoTransform` of the variable `crs` has the rest.
///
/// # Errors
/// What the writer returns.
pub fn write_netcdf(
    rasters: &[Raster<'_>],
    spectra: &SpectraTable<'_>,
    about: &About<'_>,
    to: &mut dyn Write,
) -> io::Result<()> {
    let grids: Vec<Array3<f32>> = rasters.iter().map(|r| on_grid(r.values, about.place)).collect();
    variables(rasters, &grids, spectra, about).write(to)
}

/// All variables of `rasters`, whose values on their grid are `grids`, and of the spectra.
pub(super) fn variables<'a>(
    rasters: &[Raster<'_>],
    grids: &'a [Array3<f32>],
    spectra: &SpectraTable<'_>,
    about: &About<'_>,
) -> File<'a> {
    let (rows, cols) = grids.first().map_or((0, 0), |grid| (grid.dim().0, grid.dim().1));
    let longest = spectra.names.iter().map(String::len).max().unwrap_or(0).max(1);
    let mut variables = coordinates(about.place, rows, cols);
    variables.extend(endmembers(spectra, longest));
    for (raster, grid) in rasters.iter().zip(grids) {
        variables.push(maps(raster, grid, about.place.is_some()));
    }
    let unit = format!("1 ({})", spectra.unit);
    for (name, title, values) in &spectra.tables {
        let attributes = vec![
            ("long_name", Value::Text((*title).to_owned())),
            ("units", Value::Text("1".into())),
            ("comment", Value::Text(unit.clone())),
            ("_FillValue", Value::Doubles(vec![f64::NAN])),
            ("coordinates", Value::Text("endmember_name wavelength".into())),
        ];
        variables.push(Variable {
            name: (*name).to_owned(),
            dimensions: vec![ENDMEMBER, BAND],
            attributes,
            values: Values::Doubles(values.iter().copied().collect()),
        });
    }
    File {
        dimensions: vec![
            ("y", rows),
            ("x", cols),
            ("endmember", spectra.names.len()),
            ("band", spectra.bands.len()),
            ("name_length", longest),
        ],
        attributes: vec![
            ("Conventions", Value::Text("CF-1.8".into())),
            ("title", Value::Text("Spectral unmixing".into())),
            ("history", Value::Text(about.history.to_owned())),
            ("source", Value::Text(format!("unmixel {}", env!("CARGO_PKG_VERSION")))),
        ],
        variables,
    }
}

fn text(value: &str) -> Value {
    Value::Text(value.to_owned())
}

/// The axes `y` and `x`, and where there is a place the variable `crs`.
fn coordinates(place: Option<&Georeference>, rows: usize, cols: usize) -> Vec<Variable<'static>> {
    let upright = place.filter(|place| !place.is_rotated());
    let geographic = place.is_some_and(|place| {
        let text = place.crs.wkt.as_deref().unwrap_or_default().trim_start().to_uppercase();
        text.starts_with("GEOG") || text.starts_with("GEODCRS")
    });
    let axis = |name: &str, dimension: usize, length: usize| {
        let at = |i: usize| match upright {
            Some(place) if dimension == X => place.at(i as f64 + 0.5, 0.0).0,
            Some(place) => place.at(0.0, i as f64 + 0.5).1,
            None => i as f64,
        };
        let x = dimension == X;
        let attributes = match (upright.is_some(), geographic, x) {
            (true, true, true) => [("standard_name", "longitude"), ("units", "degrees_east")],
            (true, true, false) => [("standard_name", "latitude"), ("units", "degrees_north")],
            (true, false, true) => [("standard_name", "projection_x_coordinate"), ("units", "m")],
            (true, false, false) => [("standard_name", "projection_y_coordinate"), ("units", "m")],
            (false, _, true) => [("long_name", "column, counted from 0"), ("units", "1")],
            (false, _, false) => [("long_name", "row, counted from 0"), ("units", "1")],
        };
        let mut attributes: Vec<(&'static str, Value)> =
            attributes.into_iter().map(|(key, value)| (key, text(value))).collect();
        if upright.is_some() {
            attributes.push(("axis", text(if x { "X" } else { "Y" })));
        }
        Variable {
            name: name.to_owned(),
            dimensions: vec![dimension],
            attributes,
            values: Values::Doubles((0..length).map(at).collect()),
        }
    };
    let mut variables = vec![axis("y", Y, rows), axis("x", X, cols)];
    if let Some(place) = place {
        let transform: Vec<String> = place.transform.iter().map(f64::to_string).collect();
        let mut attributes: Vec<(&'static str, Value)> = Vec::new();
        for (key, value) in crs::conventions(&place.crs) {
            attributes.push((key, value.map_or_else(text, |number| Value::Doubles(vec![number]))));
        }
        if let Some(wkt) = &place.crs.wkt {
            attributes.push(("crs_wkt", text(wkt)));
            attributes.push(("spatial_ref", text(wkt)));
        } else if let Some(epsg) = place.crs.epsg {
            attributes.push(("spatial_ref", Value::Text(format!("EPSG:{epsg}"))));
        }
        attributes.push(("GeoTransform", Value::Text(transform.join(" "))));
        variables.push(Variable {
            name: "crs".into(),
            dimensions: Vec::new(),
            attributes,
            values: Values::Ints(vec![0]),
        });
    }
    variables
}

/// Names of the endmembers, and the bands of their spectra.
fn endmembers(spectra: &SpectraTable<'_>, longest: usize) -> Vec<Variable<'static>> {
    let mut names = vec![0u8; spectra.names.len() * longest];
    for (slot, name) in names.chunks_exact_mut(longest).zip(spectra.names) {
        slot.iter_mut().zip(name.bytes()).for_each(|(to, from)| *to = from);
    }
    let mut variables = vec![
        Variable {
            name: "endmember_name".into(),
            dimensions: vec![ENDMEMBER, LENGTH],
            attributes: vec![
                ("long_name", text("name of the endmember")),
                ("_Encoding", text("utf-8")),
            ],
            values: Values::Bytes(names),
        },
        Variable {
            name: "band_number".into(),
            dimensions: vec![BAND],
            attributes: vec![("long_name", text("number of the band in the scene's file, from 1"))],
            values: Values::Ints(spectra.bands.iter().map(|b| b.index as i32 + 1).collect()),
        },
    ];
    let nm = spectra.bands.iter().map(|b| b.wavelength.unwrap_or(f64::NAN)).collect();
    variables.push(Variable {
        name: "wavelength".into(),
        dimensions: vec![BAND],
        attributes: vec![
            ("standard_name", text("radiation_wavelength")),
            ("long_name", text("centre wavelength")),
            ("units", text("nm")),
            ("_FillValue", Value::Doubles(vec![f64::NAN])),
        ],
        values: Values::Doubles(nm),
    });
    variables
}

/// The maps of one raster, a plane after the other.
fn maps<'a>(raster: &Raster<'_>, grid: &'a Array3<f32>, placed: bool) -> Variable<'a> {
    let single = grid.dim().2 == 1 && raster.bands.len() == 1 && raster.bands[0] == raster.name;
    let mut attributes = vec![
        ("long_name", text(raster.title)),
        ("units", text(raster.unit)),
        ("_FillValue", Value::Floats(vec![f32::NAN])),
    ];
    if placed {
        attributes.push(("grid_mapping", text("crs")));
    }
    if !single {
        attributes.push(("coordinates", text("endmember_name")));
    }
    let each = move |emit: &mut dyn FnMut(f32)| {
        for plane in grid.axis_iter(ndarray::Axis(2)) {
            plane.iter().for_each(|&v| emit(v));
        }
    };
    Variable {
        name: raster.name.to_owned(),
        dimensions: if single { vec![Y, X] } else { vec![ENDMEMBER, Y, X] },
        attributes,
        values: Values::Floats(grid.len(), Box::new(each)),
    }
}
