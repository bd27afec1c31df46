//! Masks: which pixels of a scene to use, from a file.

use std::path::Path;

use super::OpenOptions;
use super::arrays::{Arrays, NamedArray};
use super::evidence::{PixelOrder, role_of_mask};
use crate::engine::ground::error::{Error, Result};
use crate::scene::Mask;

/// Reads a mask for a scene of `rows` x `cols` pixels: NPY, NPZ or MATLAB with an array of that
/// size, or any raster of one band that is read as a scene. 0 and NaN leave a pixel out, all other
/// values keep it.
///
/// # Errors
/// [`Error::File`] when no array has that size or several do, or the file cannot be read.
pub fn read(path: impl AsRef<Path>, rows: usize, cols: usize) -> Result<Mask> {
    let path = path.as_ref();
    let start = super::open::first_bytes(path)?;
    let values = if super::open::is_array_file(path, &start) {
        from_arrays(path, rows, cols)?
    } else {
        from_raster(path, rows, cols)?
    };
    let keep = values.into_iter().map(|v| v != 0.0 && !v.is_nan()).collect();
    Mask::new(rows, cols, keep).map_err(|error| Error::file(path, error.to_string()))
}

fn from_arrays(path: &Path, rows: usize, cols: usize) -> Result<Vec<f64>> {
    let file = Arrays::read(path)?;
    let long = |a: &NamedArray| a.shape.iter().copied().filter(|n| *n > 1).collect::<Vec<_>>();
    let size: Vec<usize> = [rows, cols].into_iter().filter(|n| *n > 1).collect();
    let flat = |a: &NamedArray| long(a) == [rows.saturating_mul(cols)];
    let fits = |a: &&NamedArray| long(a) == size || flat(a);
    let fitting: Vec<&NamedArray> = file.arrays.iter().filter(fits).collect();
    let named: Vec<&NamedArray> =
        fitting.iter().copied().filter(|a| role_of_mask(&a.name)).collect();
    let array = match (&fitting[..], &named[..]) {
        ([one], _) | (_, [one]) => *one,
        ([], _) => {
            return Err(file.error(format!(
                "holds {}; a mask for this scene is one array of {rows} rows x {cols} columns.",
                file.inventory()
            )));
        }
        (several, _) => {
            let names: Vec<_> = several.iter().map(|a| format!("`{}`", a.name)).collect();
            return Err(file.error(format!(
                "holds several arrays that may be a mask ({}); call one `mask`, or save it alone.",
                names.join(", ")
            )));
        }
    };
    // Column by column in memory is no order of pixels where there are two axes.
    let by_column = match long(array) == size {
        true => array.fortran,
        false => file.custom().order == PixelOrder::Column,
    };
    let values = array.numbers.to_f64()?;
    let place =
        |row: usize, col: usize| if by_column { col * rows + row } else { row * cols + col };
    Ok((0..rows)
        .flat_map(|row| (0..cols).map(move |col| (row, col)))
        .map(|(row, col)| values.get(place(row, col)).copied().unwrap_or(0.0))
        .collect())
}

fn from_raster(path: &Path, rows: usize, cols: usize) -> Result<Vec<f64>> {
    let mut source = match super::envi::open_any(path)? {
        Some(source) => Box::new(source),
        None => super::open(path, &OpenOptions::default())?,
    };
    let header = source.header();
    let (height, width, bands) = (header.rows, header.cols, header.bands);
    if (height, width) != (rows, cols) || bands == 0 {
        return Err(Error::file(
            path,
            format!(
                "has {height} rows x {width} columns, the scene {rows} x {cols}; they must be of \
                 one size."
            ),
        ));
    }
    let ignored = header.ignore_value.map(|v| v as f32);
    let mut row = crate::scene::grow(path, width.saturating_mul(bands))?;
    row.resize(width.saturating_mul(bands), 0.0f32);
    let mut values = Vec::new();
    for at in 0..rows {
        source.read_rows(at, 1, &mut row)?;
        let first = row.chunks_exact(bands).filter_map(|pixel| pixel.first());
        values.extend(first.map(|v| if ignored == Some(*v) { 0.0 } else { f64::from(*v) }));
    }
    Ok(values)
}
