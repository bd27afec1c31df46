//! Places on earth between Python and the library.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use unmixel::scene::{Crs, Georeference};

/// The place of an EPSG number or well-known text, and GDAL's six numbers; none without them.
pub fn place(crs: Option<&str>, transform: Option<[f64; 6]>) -> PyResult<Option<Georeference>> {
    let Some(transform) = transform else {
        return match crs {
            None => Ok(None),
            Some(_) => Err(PyValueError::new_err(
                "crs: needs a transform beside it, which says where the pixels lie in it",
            )),
        };
    };
    let known = match crs {
        None => Crs::default(),
        Some(text) => Crs::of_text(text).ok_or_else(|| {
            PyValueError::new_err(format!(
                "crs {text}: is no coordinate system; give EPSG:NUMBER, well-known text, or an \
                 object of pyproj or rasterio"
            ))
        })?,
    };
    let found = Georeference::new(known, transform).ok_or_else(|| {
        PyValueError::new_err(format!(
            "transform {transform:?}: takes all pixels to a line, or is not finite; give GDAL's \
             six numbers (x, width, 0, y, 0, -height), or an Affine"
        ))
    })?;
    Ok(Some(found))
}

/// A place as a dictionary: `epsg`, `wkt`, `transform` (GDAL's six numbers), and whether results
/// are put on that grid only when they are written (`lookup`).
pub fn described<'py>(
    py: Python<'py>,
    place: Option<&Georeference>,
) -> PyResult<Option<Bound<'py, PyDict>>> {
    let Some(place) = place else { return Ok(None) };
    let dict = PyDict::new(py);
    dict.set_item("epsg", place.crs.epsg)?;
    dict.set_item("wkt", place.crs.wkt.as_deref())?;
    dict.set_item("transform", place.transform.to_vec())?;
    dict.set_item("lookup", place.lookup.is_some())?;
    dict.set_item("rotated", place.is_rotated())?;
    Ok(Some(dict))
}
