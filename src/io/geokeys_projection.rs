//! Coordinate systems that a GeoTIFF defines by itself, key by key, as well-known text.

use geotiff_core::geokeys::{self as keys, GeoKeyDirectory, GeoKeyValue};

use super::crs;
use crate::scene::Crs;

// Keys of the GeoTIFF standard (OGC 19-008r4) that have no name in the library.
const SEMI_MAJOR: u16 = 2057;
const SEMI_MINOR: u16 = 2058;
const INVERSE_FLATTENING: u16 = 2059;
const PARALLEL_1: u16 = 3078;
const PARALLEL_2: u16 = 3079;
const NATURAL_LONGITUDE: u16 = 3080;
const NATURAL_LATITUDE: u16 = 3081;
const FALSE_EASTING: u16 = 3082;
const FALSE_NORTHING: u16 = 3083;
const ORIGIN_LONGITUDE: u16 = 3084;
const ORIGIN_LATITUDE: u16 = 3085;
const ORIGIN_EASTING: u16 = 3086;
const ORIGIN_NORTHING: u16 = 3087;
const CENTRE_LONGITUDE: u16 = 3088;
const CENTRE_LATITUDE: u16 = 3089;
const SCALE: u16 = 3092;
const POLE_LONGITUDE: u16 = 3095;

/// The system of projections by transverse Mercator, Lambert (conic and azimuthal), Albers, polar
/// stereographic and sinusoidal in metres; `None` for any other.
pub(super) fn system(directory: &GeoKeyDirectory) -> Option<Crs> {
    let number =
        |wanted: &[u16]| wanted.iter().find_map(|key| value(directory, *key)).unwrap_or(0.0);
    let units = directory.get_short(keys::PROJ_LINEAR_UNITS);
    if units.is_some_and(|code| code != 9001) {
        return None;
    }
    let longitude =
        number(&[NATURAL_LONGITUDE, CENTRE_LONGITUDE, ORIGIN_LONGITUDE, POLE_LONGITUDE]);
    let latitude = number(&[NATURAL_LATITUDE, CENTRE_LATITUDE, ORIGIN_LATITUDE]);
    let scale = value(directory, SCALE).unwrap_or(1.0);
    let (first, second) = (number(&[PARALLEL_1]), number(&[PARALLEL_2]));
    let (method, parameters): (&str, Vec<(&str, f64)>) =
        match directory.get_short(keys::PROJ_COORD_TRANS)? {
            1 => (
                "Transverse_Mercator",
                vec![
                    ("latitude_of_origin", latitude),
                    ("central_meridian", longitude),
                    ("scale_factor", scale),
                ],
            ),
            8 => (
                "Lambert_Conformal_Conic_2SP",
                vec![
                    ("latitude_of_origin", number(&[ORIGIN_LATITUDE, NATURAL_LATITUDE])),
                    ("central_meridian", number(&[ORIGIN_LONGITUDE, NATURAL_LONGITUDE])),
                    ("standard_parallel_1", first),
                    ("standard_parallel_2", second),
                ],
            ),
            10 => (
                "Lambert_Azimuthal_Equal_Area",
                vec![("latitude_of_center", latitude), ("longitude_of_center", longitude)],
            ),
            11 => (
                "Albers_Conic_Equal_Area",
                vec![
                    ("latitude_of_center", latitude),
                    ("longitude_of_center", longitude),
                    ("standard_parallel_1", first),
                    ("standard_parallel_2", second),
                ],
            ),
            15 => (
                "Polar_Stereographic",
                vec![
                    ("latitude_of_origin", latitude),
                    ("central_meridian", longitude),
                    ("scale_factor", scale),
                ],
            ),
            24 => ("Sinusoidal", vec![("longitude_of_center", longitude)]),
            _ => return None,
        };
    let name = [keys::PROJ_CITATION, keys::GT_CITATION]
        .into_iter()
        .find_map(|key| directory.get_ascii(key));
    let plain = |text: &str| text.replace(['"', '|'], " ").trim().to_owned();
    let name = name.map_or_else(|| "unnamed".to_owned(), plain);
    let mut text = format!("PROJCS[\"{name}\",{},PROJECTION[\"{method}\"]", geographic(directory)?);
    let (easting, northing) =
        (number(&[FALSE_EASTING, ORIGIN_EASTING]), number(&[FALSE_NORTHING, ORIGIN_NORTHING]));
    for (name, value) in
        parameters.into_iter().chain([("false_easting", easting), ("false_northing", northing)])
    {
        text += &format!(",PARAMETER[\"{name}\",{value}]");
    }
    text += ",UNIT[\"metre\",1,AUTHORITY[\"EPSG\",\"9001\"]]]";
    crs::from_text(&text)
}

/// The geographic system below a projection, as text.
fn geographic(directory: &GeoKeyDirectory) -> Option<String> {
    if let Some(code) =
        directory.get_short(keys::GEODETIC_CRS_TYPE).filter(|c| *c != 0 && *c != 32767)
    {
        return crs::from_epsg(u32::from(code)).wkt;
    }
    let major = value(directory, SEMI_MAJOR)?;
    let inverse = value(directory, INVERSE_FLATTENING).or_else(|| {
        let minor = value(directory, SEMI_MINOR)?;
        Some(if minor == major { 0.0 } else { major / (major - minor) })
    })?;
    Some(format!(
        "GEOGCS[\"unnamed\",DATUM[\"unknown\",SPHEROID[\"unnamed\",{major},{inverse}]],\
         PRIMEM[\"Greenwich\",0],UNIT[\"degree\",0.0174532925199433]]"
    ))
}

fn value(directory: &GeoKeyDirectory, key: u16) -> Option<f64> {
    let found = match &directory.get(key)?.value {
        GeoKeyValue::Double(values) => values.first().copied(),
        GeoKeyValue::Short(value) => Some(f64::from(*value)),
        GeoKeyValue::Ascii(_) => None,
    };
    found.filter(|v| v.is_finite())
}
