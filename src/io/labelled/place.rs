//! Where a scene lies on earth: the grid mapping of the CF conventions, GDAL's and rioxarray's
//! customs, or coordinates in even steps.

use super::store::{Store, StoredArray};
use crate::io::crs;
use crate::scene::{Crs, Georeference, Header};

/// Names of arrays that hold nothing but a coordinate system.
const MAPPINGS: [&str; 5] = ["spatial_ref", "crs", "grid_mapping", "transverse_mercator", "albers"];

/// Fills the place of a scene whose rows and columns are these axes of `array`.
pub(super) fn place<S: Store>(file: &S, array: &S::Array, axes: [usize; 2], header: &mut Header) {
    let group = array.place().rsplit_once('/').map_or("", |(group, _)| group);
    let below =
        |name: &str| file.array_at(&format!("{group}/{name}")).or_else(|| file.array_at(name));
    let stated = array.attribute_text("grid_mapping").and_then(|name| {
        let name = name.split_whitespace().next()?.trim_end_matches(':').to_owned();
        below(&name)
    });
    let mapping = stated.or_else(|| MAPPINGS.iter().find_map(|name| below(name)));
    let text = |key: &str| {
        let own = mapping.and_then(|m| m.attribute_text(key));
        own.or_else(|| array.attribute_text(key)).or_else(|| file.root_text(key))
    };
    let crs: Crs = ["crs_wkt", "spatial_ref", "_CRS", "crs"]
        .iter()
        .find_map(|key| crs::from_text(&text(key)?))
        .unwrap_or_default();
    let six = |values: Vec<f64>| <[f64; 6]>::try_from(values.get(..6)?.to_vec()).ok();
    let listed = |list: String| {
        let words = list.split(|c: char| c.is_whitespace() || c == ',').filter(|w| !w.is_empty());
        six(words.map_while(|v| v.parse().ok()).collect())
    };
    let gdal = text("GeoTransform").and_then(listed);
    // rasterio's order, in the attribute `transform` of xarray.
    let affine = array.attribute_numbers("transform").and_then(six);
    let affine = affine.map(|[a, b, c, d, e, f]| [c, a, b, f, d, e]);
    if let Some(transform) = gdal.or(affine) {
        header.georeference = Georeference::new(crs, transform);
        return;
    }
    let Some(names) = file.axes(array) else { return };
    let even = |axis: usize| -> Option<(f64, f64)> {
        let name = names.get(axis)?;
        let length = array.shape().get(axis).copied()?;
        let own = below(name).filter(|a| a.shape() == [length]);
        let fits =
            |a: &&S::Array| a.last_name().eq_ignore_ascii_case(name) && a.shape() == [length];
        let found = own.or_else(|| file.arrays().iter().find(fits))?;
        let has = |key: &str| found.attribute_text(key).is_some();
        // Without a word on what they are, numbers along an axis may count pixels.
        let coordinate = has("units") || has("standard_name") || !crs.is_unknown();
        let values = file.whole(found).ok()?;
        step(&values).filter(|_| coordinate)
    };
    if let (Some((y, height)), Some((x, width))) = (even(axes[0]), even(axes[1])) {
        let transform = [x - width / 2.0, width, 0.0, y - height / 2.0, 0.0, height];
        header.georeference = Georeference::new(crs, transform);
    }
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
