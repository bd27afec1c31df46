//! Truths from files.

use std::path::Path;

use ndarray::{Array2, Array3};

use crate::engine::ground::error::Result;
use crate::io::arrays::{Arrays, NamedArray};
use crate::io::evidence::{PixelOrder, pixel_order};
use crate::scene::{Scene, Truth};

/// Reads the truth for `scene`: NPZ with `endmembers` (K, bands) and `abundances` (rows, columns,
/// K), or MATLAB v5 with `M` or `E` (bands x K) and `A` (K x column-major pixels, or rows x columns
/// x K). Either array may be missing, not both.
///
/// For a scene of 0 x 0 pixels the spectra alone are read.
///
/// A MATLAB matrix is taken as its transpose where only that fits. Fails when sizes do not fit the
/// scene or each other, or a value that would be compared is not finite.
pub fn read(path: impl AsRef<Path>, scene: &Scene) -> Result<Truth> {
    let file = Arrays::read(path.as_ref())?;
    let endmembers = file.get(&["endmembers", "M", "E"]);
    let abundances =
        file.get(&["abundances", "A"]).filter(|_| (scene.rows(), scene.cols()) != (0, 0));
    let truth = Truth {
        names: None,
        endmembers: endmembers.map(|a| read_endmembers(&file, a, scene)).transpose()?,
        abundances: abundances
            .map(|a| {
                // The same number of endmembers tells flat abundances from their transpose.
                let spectra = endmembers
                    .and_then(|e| e.shape.iter().copied().find(|n| *n != scene.file_bands()));
                read_abundances(&file, a, scene, spectra)
            })
            .transpose()?,
    };
    match (&truth.endmembers, &truth.abundances) {
        (None, None) => Err(file.error(format!(
            "holds {}; a truth needs `endmembers` and `abundances` (NPZ), or `M` and `A` (MATLAB).",
            file.inventory()
        ))),
        (Some(e), Some(a)) if e.nrows() != a.dim().2 => Err(file.error(format!(
            "its spectra are of {} endmembers, its abundances of {}.",
            e.nrows(),
            a.dim().2
        ))),
        _ => Ok(truth),
    }
}

fn read_endmembers(file: &Arrays, array: &NamedArray, scene: &Scene) -> Result<Array2<f64>> {
    let bands = scene.file_bands();
    let matrix = array.array2()?.ok_or_else(|| {
        file.error(format!("`{}` is {}; spectra have two axes.", array.name, array.size()))
    })?;
    // MATLAB's custom is a column a spectrum, NumPy's a row.
    let columns = array.name != "endmembers";
    let (k_first, k_last) = (matrix.ncols() == bands, matrix.nrows() == bands);
    let matrix = match (k_first, k_last) {
        (true, true) if columns => matrix.reversed_axes(),
        (true, _) => matrix,
        (false, true) => matrix.reversed_axes(),
        (false, false) => {
            return Err(file.error(format!(
                "`{}` is {}, but the scene's file has {bands} bands.",
                array.name,
                array.size()
            )));
        }
    };
    if matrix.nrows() == 0 || matrix.iter().any(|v| !v.is_finite()) {
        return Err(
            file.error(format!("`{}` is empty or holds values that are not finite.", array.name))
        );
    }
    Ok(matrix)
}

fn read_abundances(
    file: &Arrays,
    array: &NamedArray,
    scene: &Scene,
    spectra: Option<usize>,
) -> Result<Array3<f32>> {
    let cols = scene.cols();
    let maps = read_maps(file, array, (scene.rows(), cols), spectra)?;
    for &place in scene.places() {
        let (r, c) = (place as usize / cols, place as usize % cols);
        if maps.slice(ndarray::s![r, c, ..]).iter().any(|v| !v.is_finite()) {
            return Err(file.error(format!(
                "`{}` holds a value that is not finite at row {r}, column {c} (from 0).",
                array.name
            )));
        }
    }
    Ok(maps)
}

/// Abundances as (rows, columns, K), from three axes or from flat pixels, which lie as their
/// patterns say, else column by column in a MATLAB file and row by row in others. `spectra` is K,
/// where it is known.
pub(crate) fn read_maps(
    file: &Arrays,
    array: &NamedArray,
    (rows, cols): (usize, usize),
    spectra: Option<usize>,
) -> Result<Array3<f32>> {
    let misfit = || {
        file.error(format!(
            "`{}` is {}, but the scene has {rows} rows x {cols} columns = {} pixels.",
            array.name,
            array.size(),
            rows.saturating_mul(cols)
        ))
    };
    let pixels = rows.checked_mul(cols).ok_or_else(misfit)?;
    let maps = if array.shape.len() == 2 {
        let flat = array.array2()?.ok_or_else(misfit)?;
        // (pixels, K), whichever way the file has it.
        let by_pixel = match flat.dim() {
            (k, n) if n == pixels && spectra.is_none_or(|s| s == k) => flat.reversed_axes(),
            (n, _) if n == pixels => flat,
            (_, n) if n == pixels => flat.reversed_axes(),
            _ => return Err(misfit()),
        };
        let k = by_pixel.ncols();
        let down = file.order_of_maps(&by_pixel, (rows, cols)) == PixelOrder::Column;
        Array3::from_shape_fn((rows, cols, k), |(r, c, i)| {
            by_pixel[(if down { c * rows + r } else { r * cols + c }, i)] as f32
        })
    } else {
        let maps = array.array3()?.ok_or_else(misfit)?;
        if maps.dim().0 != rows || maps.dim().1 != cols {
            return Err(misfit());
        }
        maps.mapv(|v| v as f32)
    };
    if maps.dim().2 == 0 {
        return Err(misfit());
    }
    Ok(maps)
}

impl Arrays {
    /// How the pixels of (pixels, K) abundances lie: the order of bytes in memory says nothing
    /// about it.
    fn order_of_maps(&self, by_pixel: &Array2<f64>, (rows, cols): (usize, usize)) -> PixelOrder {
        let value = |pixel: usize, k: usize| by_pixel.get((pixel, k)).copied();
        let size = (rows, cols, by_pixel.ncols());
        pixel_order(size, None, self.custom(), &value).0
    }
}

/// Bands of the spectra in a truth file; none when it has no spectra.
///
/// # Errors
///
/// When the file cannot be read.
pub fn bands(path: impl AsRef<Path>) -> Result<Option<usize>> {
    let file = Arrays::read(path.as_ref())?;
    Ok(file.get(&["endmembers", "M", "E"]).and_then(|array| match array.shape[..] {
        [_, bands] if array.name == "endmembers" => Some(bands),
        [a, b] => Some(a.max(b)),
        _ => None,
    }))
}
