//! Maps and spectra as a Zarr store of version 2, with xarray's conventions and one text of all
//! metadata: what xarray, GDAL and every other reader of Zarr opens.

use std::io::{self, Write};

use flate2::Compression;
use flate2::write::ZlibEncoder;
use ndarray::Array3;
use serde_json::{Map, Value as Json, json};

use super::netcdf::{SpectraTable, variables};
use super::netcdf_classic::{File, Source, Value, Values, Variable};
use super::{About, Raster, on_grid};

/// Side of a chunk of a map in pixels.
const SIDE: usize = 512;

/// Takes the bytes of one file of the store: the array it belongs to (empty for the store itself),
/// its name there, and what it holds.
type Put<'a> = &'a mut dyn FnMut(&str, &str, &[u8]) -> io::Result<()>;

/// Writes what [`super::write_netcdf`] writes, as the files of a Zarr store, each handed to `put`
/// with the name of its array (empty for the store itself) and its own name.
///
/// # Errors
/// What `put` returns.
pub fn write_zarr(
    rasters: &[Raster<'_>],
    spectra: &SpectraTable<'_>,
    about: &About<'_>,
    put: Put<'_>,
) -> io::Result<()> {
    let grids: Vec<Array3<f32>> = rasters.iter().map(|r| on_grid(r.values, about.place)).collect();
    let file = variables(rasters, &grids, spectra, about);
    let group = json!({ "zarr_format": 2 });
    let attributes = Json::Object(attributes(&file.attributes).0);
    let mut all = Map::new();
    for (name, text) in [(".zgroup", group), (".zattrs", attributes)] {
        put("", name, &bytes(&text)?)?;
        all.insert(name.to_owned(), text);
    }
    for variable in &file.variables {
        let layout = Layout::of(&file, variable, about);
        for (name, text) in [(".zarray", &layout.array), (".zattrs", &layout.attributes)] {
            put(&variable.name, name, &bytes(text)?)?;
            all.insert(format!("{}/{name}", variable.name), text.clone());
        }
        values(variable, &layout, put)?;
    }
    let all = json!({ "zarr_consolidated_format": 1, "metadata": all });
    put("", ".zmetadata", &bytes(&all)?)
}

fn bytes(value: &Json) -> io::Result<Vec<u8>> {
    Ok(serde_json::to_vec_pretty(value)?)
}

/// How a variable is stored.
struct Layout {
    array: Json,
    attributes: Json,
    shape: Vec<usize>,
    chunks: Vec<usize>,
}

impl Layout {
    fn of(file: &File<'_>, variable: &Variable<'_>, about: &About<'_>) -> Layout {
        let dimension = |place: &usize| file.dimensions.get(*place).copied().unwrap_or(("", 0));
        let mut dimensions: Vec<(&str, usize)> =
            variable.dimensions.iter().map(dimension).collect();
        let dtype = match &variable.values {
            // Texts of one length: their bytes are no axis here.
            Values::Bytes(_) => {
                format!("<U{}", dimensions.pop().map_or(1, |(_, length)| length.max(1)))
            }
            Values::Ints(_) => "<i4".into(),
            Values::Doubles(_) => "<f8".into(),
            Values::Floats(..) => "<f4".into(),
        };
        let map = matches!(variable.values, Values::Floats(..));
        let axes = dimensions.len();
        let chunk = |(axis, (_, length)): (usize, &(&str, usize))| match map {
            true if axis + 2 >= axes => (*length).clamp(1, SIDE),
            true => 1,
            false => (*length).max(1),
        };
        let shape: Vec<usize> = dimensions.iter().map(|(_, length)| *length).collect();
        let chunks: Vec<usize> = dimensions.iter().enumerate().map(chunk).collect();
        let names: Vec<&str> = dimensions.iter().map(|(name, _)| *name).collect();
        let (mut own, missing) = attributes(&variable.attributes);
        own.insert("_ARRAY_DIMENSIONS".into(), json!(names));
        // GDAL's own way to say the coordinate system.
        if let (true, Some(place)) = (own.contains_key("grid_mapping"), about.place)
            && let Some(wkt) = &place.crs.wkt
        {
            own.insert("_CRS".into(), json!({ "wkt": wkt }));
        }
        let array = json!({
            "zarr_format": 2,
            "shape": shape,
            "chunks": chunks,
            "dtype": dtype,
            "compressor": { "id": "zlib", "level": 6 },
            "fill_value": if missing { json!("NaN") } else { Json::Null },
            "order": "C",
            "filters": null,
        });
        Layout { array, attributes: Json::Object(own), shape, chunks }
    }
}

/// Attributes as JSON, and whether NaN stands for what is missing, which is said elsewhere.
fn attributes(list: &[(&'static str, Value)]) -> (Map<String, Json>, bool) {
    let number = |v: f64| serde_json::Number::from_f64(v).map_or(Json::Null, Json::Number);
    let one_or_all = |list: Vec<Json>| match <[Json; 1]>::try_from(list) {
        Ok([one]) => one,
        Err(list) => Json::Array(list),
    };
    let mut out = Map::new();
    for (key, value) in list.iter().filter(|(key, _)| !["_FillValue", "_Encoding"].contains(key)) {
        let value = match value {
            Value::Text(text) => Json::String(text.clone()),
            Value::Doubles(list) => one_or_all(list.iter().map(|v| number(*v)).collect()),
            Value::Floats(list) => one_or_all(list.iter().map(|v| number(f64::from(*v))).collect()),
        };
        out.insert((*key).to_owned(), value);
    }
    (out, list.iter().any(|(key, _)| *key == "_FillValue"))
}

/// Hands all chunks of a variable to `put`.
fn values(variable: &Variable<'_>, layout: &Layout, put: Put<'_>) -> io::Result<()> {
    let name = &variable.name;
    let whole = vec!["0"; layout.shape.len().max(1)].join(".");
    match &variable.values {
        Values::Ints(list) => {
            let raw: Vec<u8> = list.iter().flat_map(|v| v.to_le_bytes()).collect();
            put(name, &whole, &packed(&raw)?)
        }
        Values::Doubles(list) => {
            let raw: Vec<u8> = list.iter().flat_map(|v| v.to_le_bytes()).collect();
            put(name, &whole, &packed(&raw)?)
        }
        Values::Bytes(list) => {
            let count: usize = layout.shape.iter().product();
            let length = list.len() / count.max(1);
            let mut raw = Vec::new();
            for text in list.chunks_exact(length.max(1)) {
                let text = String::from_utf8_lossy(text);
                let letters = text.trim_end_matches('\0').chars().chain(std::iter::repeat('\0'));
                raw.extend(letters.take(length).flat_map(|c| u32::from(c).to_le_bytes()));
            }
            put(name, &whole, &packed(&raw)?)
        }
        Values::Floats(_, source) => maps(name, layout, source, put),
    }
}

/// Maps, a plane after the other, of which some rows are held at a time.
fn maps(name: &str, layout: &Layout, source: &Source<'_>, put: Put<'_>) -> io::Result<()> {
    let [.., rows, cols] = layout.shape[..] else { return Ok(()) };
    let [.., down, across] = layout.chunks[..] else { return Ok(()) };
    let prefixed = layout.shape.len() > 2;
    let mut held: Vec<f32> = Vec::new();
    let (mut plane, mut first) = (0, 0);
    let mut result = Ok(());
    source(&mut |value| {
        held.push(value);
        let now = down.min(rows - first);
        if held.len() < now * cols || result.is_err() {
            return;
        }
        for left in (0..cols).step_by(across) {
            // A chunk at an edge has its full size, too.
            let at = |i: usize| {
                let (row, col) = (i / across, left + i % across);
                let inside = row < now && col < cols;
                inside.then(|| held.get(row * cols + col)).flatten().copied().unwrap_or(f32::NAN)
            };
            let raw: Vec<u8> = (0..down * across).flat_map(|i| at(i).to_le_bytes()).collect();
            let place = format!("{}.{}", first / down, left / across);
            let key = if prefixed { format!("{plane}.{place}") } else { place };
            result = packed(&raw).and_then(|bytes| put(name, &key, &bytes));
            if result.is_err() {
                return;
            }
        }
        held.clear();
        first += now;
        if first == rows {
            (plane, first) = (plane + 1, 0);
        }
    });
    result
}

fn packed(raw: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(raw)?;
    encoder.finish()
}
