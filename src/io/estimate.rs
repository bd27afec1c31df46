//! Results of any program, to be scored: abundances, endmember spectra, or both.

use std::path::Path;

use ndarray::{Array2, Array3};

use super::arrays::Arrays;
use super::{library, truth};
use crate::engine::ground::error::{Error, Result};
use crate::io::OpenOptions;

/// What a file of results holds.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Estimate {
    /// One name an endmember, where the file gives them.
    pub names: Option<Vec<String>>,
    /// Spectra, (K, bands of the file).
    pub endmembers: Option<Array2<f64>>,
    /// Abundances, (rows, columns, K), NaN where there is no data.
    pub abundances: Option<Array3<f32>>,
}

/// Reads results.
///
/// - **NPZ** with `abundances` (rows, columns, K), `endmembers` (K, bands), or both.
/// - **MATLAB v5** with `A` (rows x columns x K, or flat with column-major pixels), `M` or `E`
///   (bands x K), or both.
/// - **NPY**: abundances, (rows, columns, K) or (pixels, K) row by row.
/// - **ENVI**: abundances, one a band; the header's ignore value is no data.
///
/// `rows` and `cols` give the size of flat arrays, where the file does not (`nRow`, `nCol`).
///
/// # Errors
///
/// [`Error::File`] when there is neither, or sizes do not fit each other.
pub fn read(path: impl AsRef<Path>, rows: Option<usize>, cols: Option<usize>) -> Result<Estimate> {
    let path = path.as_ref();
    let start = super::open::first_bytes(path)?;
    let estimate = if super::open::is_array_file(path, &start) {
        read_arrays(path, rows, cols)?
    } else {
        Estimate { abundances: Some(read_cube(path, rows, cols)?), ..Estimate::default() }
    };
    if let (Some(c), Some(w)) = (&estimate.endmembers, &estimate.abundances)
        && c.nrows() != w.dim().2
    {
        return Err(Error::file(
            path,
            format!(
                "its spectra are of {} endmembers, its abundances of {}.",
                c.nrows(),
                w.dim().2
            ),
        ));
    }
    Ok(estimate)
}

fn read_arrays(path: &Path, rows: Option<usize>, cols: Option<usize>) -> Result<Estimate> {
    let file = Arrays::read(path)?;
    let spectra = file.get(&["endmembers", "M", "E"]);
    let endmembers = spectra.map(|_| library::read(path)).transpose()?;
    // An NPY file has one array, and no name for it.
    let only = if file.arrays.len() == 1 && spectra.is_none() { file.arrays.first() } else { None };
    let found = file.get(&["abundances", "A"]).or(only);
    let abundances = match found {
        None => None,
        Some(array) => {
            let (height, width) = match array.shape[..] {
                [height, width, _] => (height, width),
                _ => {
                    let size = file.stated_size()?;
                    let rows = rows.or(size.rows);
                    let cols = cols.or(size.cols);
                    rows.zip(cols).ok_or_else(|| {
                        file.error(format!(
                            "`{}` is {}, one row of pixels; give the size of the image with --rows \
                             and --cols.",
                            array.name,
                            array.size()
                        ))
                    })?
                }
            };
            let known = endmembers.as_ref().map(|e| e.values.nrows());
            Some(truth::read_maps(&file, array, (height, width), known)?)
        }
    };
    if abundances.is_none() && endmembers.is_none() {
        return Err(file.error(format!(
            "holds {}; results need `abundances` or `endmembers` (NPZ), `A` or `M` (MATLAB), or \
             one array (NPY).",
            file.inventory()
        )));
    }
    let names = endmembers.as_ref().and_then(|e| e.names.clone());
    Ok(Estimate { names, endmembers: endmembers.map(|e| e.values), abundances })
}

fn read_cube(path: &Path, rows: Option<usize>, cols: Option<usize>) -> Result<Array3<f32>> {
    let mut source = super::open(path, &OpenOptions { rows, cols, ..OpenOptions::default() })?;
    let header = source.header().clone();
    let size = (header.rows, header.cols, header.bands);
    let count = size.0.checked_mul(size.1).and_then(|n| n.checked_mul(size.2));
    let count = count.ok_or_else(|| Error::file(path, "holds more values than memory can."))?;
    let mut values = crate::scene::grow(path, count)?;
    values.resize(count, 0.0f32);
    source.read_rows(0, header.rows, &mut values)?;
    if let Some(ignored) = header.ignore_value.map(|v| v as f32) {
        values.iter_mut().filter(|v| **v == ignored).for_each(|v| *v = f32::NAN);
    }
    Array3::from_shape_vec(size, values).map_err(|error| Error::file(path, error.to_string()))
}
