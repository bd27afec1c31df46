//! Scenes from NumPy's arrays: read where they lie, whatever their strides.

use ndarray::ArrayViewD;
use numpy::{PyArrayMethods, PyReadonlyArray2, PyReadonlyArrayDyn};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use unmixel::rooms::io::{Labels, OpenOptions, Told, in_memory};
use unmixel::scene::{
    CubeSource, Header, LoadOptions, Mask, NoData, Reading, Stored, load, load_again,
};
use unmixel::{Error, Result};

use crate::errors::OrRaise;
use crate::scene::{LabelsOf, Scene, ToldOf, Use, any_array, mask_of, no_numbers};
use crate::work::{self, Line};

/// All that is said of an array: by its own labels, by what lies beside it, by the caller.
#[derive(FromPyObject)]
pub struct Described {
    #[pyo3(item)]
    labels: LabelsOf,
    #[pyo3(item)]
    beside: Vec<LabelsOf>,
    #[pyo3(item)]
    told: ToldOf,
}

/// An array's labels, its coordinates' and what the caller states.
pub type Parts = (Labels, Vec<Labels>, Told);

impl Described {
    /// # Errors
    /// `ValueError` for a place on earth that is none.
    pub fn parts(self) -> PyResult<Parts> {
        let beside = self.beside.into_iter().map(Labels::from).collect();
        Ok((self.labels.into(), beside, self.told.told()?))
    }
}

/// An array of any type that cubes are stored as.
pub enum Cube<'py> {
    U8(PyReadonlyArrayDyn<'py, u8>),
    I8(PyReadonlyArrayDyn<'py, i8>),
    U16(PyReadonlyArrayDyn<'py, u16>),
    I16(PyReadonlyArrayDyn<'py, i16>),
    U32(PyReadonlyArrayDyn<'py, u32>),
    I32(PyReadonlyArrayDyn<'py, i32>),
    U64(PyReadonlyArrayDyn<'py, u64>),
    I64(PyReadonlyArrayDyn<'py, i64>),
    F32(PyReadonlyArrayDyn<'py, f32>),
    F64(PyReadonlyArrayDyn<'py, f64>),
}

/// Does something with the view of an array, whatever its type.
macro_rules! with_view {
    ($cube:expr, $view:ident => $do:expr) => {
        match $cube {
            Cube::U8(array) => {
                let $view = array.as_array();
                $do
            }
            Cube::I8(array) => {
                let $view = array.as_array();
                $do
            }
            Cube::U16(array) => {
                let $view = array.as_array();
                $do
            }
            Cube::I16(array) => {
                let $view = array.as_array();
                $do
            }
            Cube::U32(array) => {
                let $view = array.as_array();
                $do
            }
            Cube::I32(array) => {
                let $view = array.as_array();
                $do
            }
            Cube::U64(array) => {
                let $view = array.as_array();
                $do
            }
            Cube::I64(array) => {
                let $view = array.as_array();
                $do
            }
            Cube::F32(array) => {
                let $view = array.as_array();
                $do
            }
            Cube::F64(array) => {
                let $view = array.as_array();
                $do
            }
        }
    };
}

impl<'py> Cube<'py> {
    /// # Errors
    /// `TypeError` for anything but an array of numbers in this machine's order,
    /// `ValueError` for one that someone else writes to.
    pub fn of(values: &Bound<'py, PyAny>) -> PyResult<Self> {
        macro_rules! first {
            ($($kind:ident $number:ty),*) => {
                $(if let Some(array) = any_array::<$number>(values) {
                    let array = array.try_readonly().map_err(|_| {
                        PyValueError::new_err("the array is being written to; wait until it is not")
                    })?;
                    return Ok(Cube::$kind(array));
                })*
            };
        }
        first!(F32 f32, F64 f64, U16 u16, I16 i16, U8 u8, I8 i8);
        first!(U32 u32, I32 i32, U64 u64, I64 i64);
        Err(no_numbers(values))
    }

    /// Reads the scene from where the array lies.
    pub fn load(
        &self,
        py: Python<'_>,
        parts: (Labels, Vec<Labels>, &Told),
        how: &OpenOptions,
        options: &LoadOptions,
    ) -> PyResult<(unmixel::Scene, [usize; 3])> {
        let take = |source: &mut dyn CubeSource, name: &str| load(source, name, options);
        with_view!(self, view => read(py, view, parts, how, take))
    }

    /// Reads it as another scene was read.
    pub fn load_again(
        &self,
        py: Python<'_>,
        parts: (Labels, Vec<Labels>, &Told),
        how: &OpenOptions,
        reading: &Reading,
        (no_data, mask): (&NoData, Option<&Mask>),
    ) -> PyResult<(unmixel::Scene, [usize; 3])> {
        let read_again = |source: &mut dyn CubeSource, name: &str| {
            load_again(source, name, reading, no_data, mask)
        };
        with_view!(self, view => read(py, view, parts, how, read_again))
    }
}

fn read<T: Stored>(
    py: Python<'_>,
    values: ArrayViewD<'_, T>,
    (labels, beside, told): (Labels, Vec<Labels>, &Told),
    how: &OpenOptions,
    take: impl FnOnce(&mut dyn CubeSource, &str) -> Result<unmixel::Scene> + Send,
) -> PyResult<(unmixel::Scene, [usize; 3])> {
    work::finish(py, None, |line| {
        let name = labels.name.clone();
        let (view, axes) = in_memory(values, labels, beside, told, how)?;
        Ok((take(&mut UntilStopped { inner: view, line }, &name)?, axes))
    })
}

/// A source that ends with an error once someone wants it to.
struct UntilStopped<'a, S> {
    inner: S,
    line: &'a Line,
}

impl<S: CubeSource> CubeSource for UntilStopped<'_, S> {
    fn header(&self) -> &Header {
        self.inner.header()
    }

    fn read_rows(&mut self, first: usize, count: usize, out: &mut [f32]) -> Result<()> {
        if self.line.stopped() {
            return Err(Error::Interrupted);
        }
        self.inner.read_rows(first, count, out)
    }
}

/// Reads a piece of a scene as `reading` says.
pub fn piece(
    py: Python<'_>,
    values: &Bound<'_, PyAny>,
    described: Described,
    used: &Use,
    mask: Option<PyReadonlyArray2<'_, bool>>,
    reading: &Reading,
) -> PyResult<Scene> {
    let mask = mask_of(mask)?;
    let options = used.load()?;
    let (labels, beside, told) = described.parts()?;
    let path = labels.name.clone();
    let parts = (labels, beside, &told);
    let rules = (&options.no_data, mask.as_ref());
    let (inner, axes) = Cube::of(values)?.load_again(py, parts, &used.open()?, reading, rules)?;
    Ok(Scene { inner, path, axes: Some(axes) })
}

/// Which axes of an array are rows, columns and bands.
#[pyfunction]
pub fn axes_of(values: &Bound<'_, PyAny>, described: Described, used: Use) -> PyResult<[usize; 3]> {
    let (labels, beside, told) = described.parts()?;
    let how = used.open()?;
    let found = with_view!(&Cube::of(values)?, view => {
        in_memory(view, labels, beside, &told, &how).map(|(_, axes)| axes)
    });
    found.or_raise()
}
