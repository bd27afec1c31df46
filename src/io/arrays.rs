//! Named arrays from a file that may hold several: MATLAB, NPZ, or the one of an NPY.

use std::path::{Path, PathBuf};

use ndarray::{Array2, Array3, ArrayD, IxDyn, ShapeBuilder};

use super::evidence::{Custom, PixelOrder, normalised};
use super::numbers::Numbers;
use super::{hdf5, mat4, mat5, npy};
use crate::engine::ground::error::{Error, Result};

/// One numeric array. The product of `shape` is the number of values.
#[derive(Debug)]
pub(crate) struct NamedArray {
    pub(crate) name: String,
    pub(crate) shape: Vec<usize>,
    /// True when the first axis runs fastest.
    pub(crate) fortran: bool,
    pub(crate) numbers: Numbers,
}

/// What a file holds.
pub(crate) struct Arrays {
    pub(crate) path: PathBuf,
    pub(crate) arrays: Vec<NamedArray>,
    /// Variables that are no numeric arrays: name, and what they are ("a cell array").
    pub(crate) others: Vec<(String, String)>,
    /// True for MATLAB's files, whose customs differ from NumPy's: bands x pixels, column by
    /// column, counts from 1.
    pub(crate) matlab: bool,
}

impl NamedArray {
    fn values(&self) -> Result<Option<ArrayD<f64>>> {
        let shape = IxDyn(&self.shape).set_f(self.fortran);
        Ok(ArrayD::from_shape_vec(shape, self.numbers.to_f64()?).ok())
    }

    /// The array when it has two axes; `None` when it has another number, or too many.
    pub(crate) fn array2(&self) -> Result<Option<Array2<f64>>> {
        if self.shape.len() != 2 {
            return Ok(None);
        }
        Ok(self.values()?.and_then(|values| values.into_dimensionality().ok()))
    }

    /// The array when it has three axes.
    pub(crate) fn array3(&self) -> Result<Option<Array3<f64>>> {
        if self.shape.len() != 3 {
            return Ok(None);
        }
        Ok(self.values()?.and_then(|values| values.into_dimensionality().ok()))
    }

    /// The size as a reader would write it: `156 x 9025`.
    pub(crate) fn size(&self) -> String {
        let lengths: Vec<_> = self.shape.iter().map(usize::to_string).collect();
        lengths.join(" x ")
    }

    /// Numbers in the file from one index of each axis to the next.
    pub(crate) fn strides(&self) -> Vec<usize> {
        let mut strides = vec![1usize; self.shape.len()];
        let mut step = 1usize;
        let mut place = |axis: usize| {
            if let (Some(stride), Some(n)) = (strides.get_mut(axis), self.shape.get(axis)) {
                *stride = step;
                // The number of values fits, so this does wherever it is used.
                step = step.saturating_mul(*n);
            }
        };
        let axes = self.shape.len();
        if self.fortran {
            (0..axes).for_each(&mut place)
        } else {
            (0..axes).rev().for_each(&mut place)
        }
        strides
    }

    /// The value at an index.
    pub(crate) fn at(&self, index: &[usize]) -> Option<f64> {
        let inside =
            index.len() == self.shape.len() && index.iter().zip(&self.shape).all(|(i, n)| i < n);
        let place = || self.strides().iter().zip(index).map(|(step, i)| step * i).sum();
        inside.then(place).and_then(|place| self.numbers.at(place))
    }

    /// The values when the array is a list: all axes but one have the length 1, and it is no longer
    /// than any list of bands. `None` also where they cannot be read.
    pub(crate) fn list(&self) -> Option<Vec<f64>> {
        let long = self.shape.iter().filter(|n| **n > 1).count();
        let fits = long <= 1 && (1..=LONGEST_LIST).contains(&self.numbers.len());
        fits.then(|| self.numbers.to_f64().ok()).flatten()
    }
}

/// Longer lists describe pixels, not bands.
const LONGEST_LIST: usize = 1 << 17;

impl Arrays {
    /// Reads every array of a MATLAB v4 or v5, NPZ or NPY file.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let start = super::open::first_bytes(path)?;
        if hdf5::mat73::is_mat73(&start) {
            hdf5::mat73::read(path)
        } else if npy::is_npy(&start) || npy::is_npz(&start) {
            npy::read(path)
        } else if mat4::is_mat(&start) {
            mat4::read(path)
        } else {
            mat5::read(path)
        }
    }

    /// The first of `names` that is an array here; the letter case must agree.
    pub(crate) fn get(&self, names: &[&str]) -> Option<&NamedArray> {
        names.iter().find_map(|name| self.arrays.iter().find(|a| a.name == *name))
    }

    /// The first array whose name, in lower case without marks, is one of `names`, the earlier
    /// names first.
    pub(crate) fn get_alike(&self, names: &[&str]) -> Option<&NamedArray> {
        let last = |a: &NamedArray| normalised(a.name.rsplit(['/', '.']).next().unwrap_or(&a.name));
        names.iter().find_map(|name| self.arrays.iter().find(|a| last(a) == *name))
    }

    /// The one number that a variable of one of these names holds (lower case, without marks).
    pub(crate) fn scalar(&self, names: &[&str]) -> Option<(&str, f64)> {
        names.iter().find_map(|name| {
            let array = self.get_alike(&[name])?;
            match array.numbers.len() {
                1 => Some((array.name.as_str(), array.list()?.first().copied()?)),
                _ => None,
            }
        })
    }

    /// A count of at least 1 that a variable of one of these names holds.
    pub(crate) fn count(&self, names: &[&str]) -> Result<Option<usize>> {
        match self.scalar(names) {
            None => Ok(None),
            Some((_, v)) if v >= 1.0 && v <= f64::from(u32::MAX) && v.fract() == 0.0 => {
                Ok(Some(v as usize))
            }
            Some((name, v)) => Err(self.error(format!(
                "`{name}` is {v}; it must be a whole number from 1 to {}.",
                u32::MAX
            ))),
        }
    }

    /// What the file states of its size.
    pub(crate) fn stated_size(&self) -> Result<StatedSize> {
        let mut size = StatedSize {
            rows: self.count(&ROWS)?,
            cols: self.count(&COLS)?,
            bands: self.count(&BANDS).unwrap_or(None),
            pixels: self.count(&["n", "npixels", "numpixels", "npix"]).unwrap_or(None),
        };
        let listed =
            self.get_alike(&["imsize", "imagesize", "imgsize", "size", "shape", "dims", "sz"]);
        let whole = |v: &f64| (*v >= 1.0 && *v <= 1e9 && v.fract() == 0.0).then_some(*v as usize);
        let list: Option<Vec<usize>> =
            listed.and_then(NamedArray::list).and_then(|l| l.iter().map(whole).collect());
        if let (None, None, Some([rows, cols, rest @ ..])) = (size.rows, size.cols, list.as_deref())
            && rest.len() < 2
        {
            (size.rows, size.cols) = (Some(*rows), Some(*cols));
            size.bands = size.bands.or(rest.first().copied());
        }
        // A number of rows alone may be that of the bands.
        if size.pixels.is_some() && size.rows.zip(size.cols).is_none() {
            size.pixels = None;
        }
        Ok(size)
    }

    /// How this kind of file has pixels that lie in one line.
    ///
    /// HySUPP's files (`Y` with `H`, `W` and one of `L`, `N` and `p`) have them row by row.
    pub(crate) fn custom(&self) -> Custom {
        let has = |name: &str| self.arrays.iter().any(|a| a.name == name && a.numbers.len() == 1);
        if has("H") && has("W") && (has("L") || has("N") || has("p")) {
            return Custom { order: PixelOrder::Row, because: "those of files with `H` and `W`" };
        }
        if self.matlab {
            Custom { order: PixelOrder::Column, because: "those of MATLAB files" }
        } else {
            Custom { order: PixelOrder::Row, because: "those of NumPy files" }
        }
    }

    /// What the file holds, for messages: "`A` (3 x 9025), `names` (a cell array)".
    pub(crate) fn inventory(&self) -> String {
        let mut list: Vec<_> =
            self.arrays.iter().map(|a| format!("`{}` ({})", a.name, a.size())).collect();
        list.extend(self.others.iter().map(|(name, what)| format!("`{name}` ({what})")));
        if list.is_empty() { "no variables".to_owned() } else { list.join(", ") }
    }

    /// An error about this file.
    pub(crate) fn error(&self, reason: impl Into<String>) -> Error {
        Error::file(&self.path, reason)
    }
}

/// Names of the height, the width and the number of bands in files of many countries, in lower case
/// without marks.
const ROWS: [&str; 38] = [
    "nrow",
    "nrows",
    "rows",
    "row",
    "numrows",
    "numrow",
    "lines",
    "nlines",
    "line",
    "height",
    "h",
    "ny",
    "imgh",
    "imheight",
    "imageheight",
    "nr",
    "nl",
    "numlines",
    "zeilen",
    "zeile",
    "nzeilen",
    "lignes",
    "ligne",
    "nlignes",
    "filas",
    "fila",
    "nfilas",
    "righe",
    "nrighe",
    "linhas",
    "nlinhas",
    "rader",
    "rijen",
    "hoehe",
    "hang",
    "numberoflines",
    "numberofscans",
    "scans",
];
const COLS: [&str; 36] = [
    "ncol",
    "ncols",
    "cols",
    "col",
    "columns",
    "numcols",
    "numcol",
    "ncolumns",
    "samples",
    "nsamples",
    "width",
    "w",
    "nx",
    "imgw",
    "imwidth",
    "imagewidth",
    "nc",
    "pixelsperline",
    "ns",
    "numsamples",
    "spalten",
    "spalte",
    "nspalten",
    "colonnes",
    "colonne",
    "ncolonnes",
    "columnas",
    "columna",
    "ncolumnas",
    "ncolonne",
    "colunas",
    "ncolunas",
    "kolumner",
    "kolommen",
    "breite",
    "lie",
];
const BANDS: [&str; 17] = [
    "nband",
    "nbands",
    "bands",
    "band",
    "numbands",
    "l",
    "channels",
    "nchannels",
    "b",
    "numband",
    "nb",
    "kanaele",
    "nbandes",
    "bandes",
    "bandas",
    "nbandas",
    "numberofbands",
];

/// True for a name that counts rows, or is that of an axis of rows.
pub(crate) fn names_rows(name: &str) -> bool {
    ROWS.contains(&normalised(name).as_str())
}

/// As [`names_rows`], of columns.
pub(crate) fn names_cols(name: &str) -> bool {
    COLS.contains(&normalised(name).as_str())
}

/// As [`names_rows`], of bands.
pub(crate) fn names_bands(name: &str) -> bool {
    BANDS.contains(&normalised(name).as_str())
}

/// What a file states of the size of its scene.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct StatedSize {
    pub(crate) rows: Option<usize>,
    pub(crate) cols: Option<usize>,
    pub(crate) bands: Option<usize>,
    pub(crate) pixels: Option<usize>,
}
