//! Named arrays from a file that may hold several: MATLAB, NPZ, or the one of an NPY.

use std::path::{Path, PathBuf};

use ndarray::{Array2, Array3, ArrayD, IxDyn, ShapeBuilder};

use super::numbers::Numbers;
use super::{hdf5, mat5, npy};
use crate::engine::ground::error::{Error, Result};
use crate::scene::to_nanometres;

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
}

impl NamedArray {
    /// The array with `N` axes, or `None` when it has another number of them.
    fn values(&self) -> Option<ArrayD<f64>> {
        let shape = IxDyn(&self.shape).set_f(self.fortran);
        ArrayD::from_shape_vec(shape, self.numbers.to_f64()).ok()
    }

    /// The array when it has two axes.
    pub(crate) fn array2(&self) -> Option<Array2<f64>> {
        self.values()?.into_dimensionality().ok()
    }

    /// The array when it has three axes.
    pub(crate) fn array3(&self) -> Option<Array3<f64>> {
        self.values()?.into_dimensionality().ok()
    }

    /// The size as a reader would write it: `156 x 9025`.
    pub(crate) fn size(&self) -> String {
        let lengths: Vec<_> = self.shape.iter().map(usize::to_string).collect();
        lengths.join(" x ")
    }
}

impl Arrays {
    /// Reads every array of a MATLAB v5, NPZ or NPY file.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let start = super::open::first_bytes(path)?;
        if hdf5::mat73::is_mat73(&start) {
            return hdf5::mat73::read(path);
        }
        if npy::is_npy(&start) || npy::is_npz(&start) { npy::read(path) } else { mat5::read(path) }
    }

    /// The first of `names` that is an array here; the letter case must agree.
    pub(crate) fn get(&self, names: &[&str]) -> Option<&NamedArray> {
        names.iter().find_map(|name| self.arrays.iter().find(|a| a.name == *name))
    }

    /// The array of this name in any letter case.
    pub(crate) fn get_any_case(&self, name: &str) -> Option<&NamedArray> {
        self.arrays.iter().find(|a| a.name.eq_ignore_ascii_case(name))
    }

    /// The one number that the variable `name` (any letter case) holds.
    pub(crate) fn scalar(&self, name: &str) -> Option<f64> {
        match self.get_any_case(name)?.numbers.to_f64()[..] {
            [value] => Some(value),
            _ => None,
        }
    }

    /// A count of at least 1 that the variable `name` (any letter case) holds.
    pub(crate) fn count(&self, name: &str) -> Result<Option<usize>> {
        match self.scalar(name) {
            None => Ok(None),
            Some(v) if v >= 1.0 && v <= f64::from(u32::MAX) && v.fract() == 0.0 => {
                Ok(Some(v as usize))
            }
            Some(v) => Err(self.error(format!(
                "`{name}` is {v}; it must be a whole number from 1 to {}.",
                u32::MAX
            ))),
        }
    }

    /// Wavelengths in nanometres where the file has `bands` of them, and what was noted on the way.
    pub(crate) fn wavelengths(&self, bands: usize) -> (Option<Vec<f64>>, Option<String>) {
        let found = ["wavelength", "wavelengths", "wl"].iter().find_map(|n| self.get_any_case(n));
        match found {
            None => (None, None),
            Some(a) if a.numbers.len() != bands => (
                None,
                Some(format!(
                    "`{}` has {} values for {bands} bands and was left aside.",
                    a.name,
                    a.numbers.len()
                )),
            ),
            Some(a) => match to_nanometres(&a.numbers.to_f64(), None) {
                Ok((nm, note)) => (Some(nm), note),
                Err(why) => (None, Some(format!("`{}` was left aside: {why}.", a.name))),
            },
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
