//! `Scene`: from files and from arrays.

use std::path::PathBuf;

use ndarray::{ArrayView2, ShapeBuilder};
use numpy::{
    IntoPyArray, PyArray1, PyArray3, PyArrayDyn, PyArrayMethods, PyReadonlyArray2,
    PyUntypedArrayMethods,
};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use unmixel::engine::ground::interrupt::unless;
use unmixel::rooms::io::{Labels, OpenOptions, PixelOrder, Told, mask, open, parse_axes};
use unmixel::scene::{Header, LoadOptions, Mask, NoData, load, to_image, window};
use unmixel::{Error, Result};

use crate::errors::OrRaise;
use crate::georeference;
use crate::scene_array::{Cube, Described, piece};
use crate::work;

/// A scene ready to be fitted.
#[pyclass(frozen, module = "unmixel._unmixel")]
pub struct Scene {
    pub inner: unmixel::Scene,
    /// The file, as the user named it; for arrays the name.
    pub path: String,
    /// Of an array, which of its axes are rows, columns and bands.
    pub axes: Option<[usize; 3]>,
}

/// What is used of a scene, as every way to make one takes it.
#[derive(FromPyObject)]
pub struct Use {
    #[pyo3(item)]
    scale: Option<f64>,
    /// None: found; a list: these values and no others.
    #[pyo3(item)]
    no_data: Option<Vec<f64>>,
    #[pyo3(item)]
    drop_bands: Vec<i64>,
    #[pyo3(item)]
    drop_wavelengths: Vec<(f64, f64)>,
    #[pyo3(item)]
    keep_water_bands: bool,
    #[pyo3(item)]
    axes: Option<String>,
}

impl Use {
    /// # Errors
    /// `ValueError` for bands that no file numbers so.
    pub fn load(&self) -> PyResult<LoadOptions> {
        let band = |&band: &i64| {
            usize::try_from(band).map_err(|_| {
                PyValueError::new_err(format!("drop_bands {band}: bands are numbered from 1"))
            })
        };
        Ok(LoadOptions {
            scale: self.scale,
            no_data: self.no_data.clone().map_or(NoData::Found, NoData::Values),
            drop_bands: self.drop_bands.iter().map(band).collect::<PyResult<_>>()?,
            drop_wavelengths: self.drop_wavelengths.clone(),
            keep_water_bands: self.keep_water_bands,
            mask: None,
        })
    }

    /// # Errors
    /// `ValueError` for axes that are none.
    pub fn open(&self) -> PyResult<OpenOptions> {
        let axes = self.axes.as_deref().map(parse_axes).transpose();
        let axes = axes.map_err(|why| PyValueError::new_err(format!("axes: {why}")))?;
        Ok(OpenOptions { axes, ..OpenOptions::default() })
    }
}

/// Where a file needs help, and which part of it is used.
#[derive(FromPyObject)]
struct Layout {
    #[pyo3(item)]
    rows: Option<usize>,
    #[pyo3(item)]
    cols: Option<usize>,
    #[pyo3(item)]
    variable: Option<String>,
    #[pyo3(item)]
    pixel_order: Option<String>,
    #[pyo3(item)]
    mask_file: Option<PathBuf>,
    /// First row and the one after the last, and columns likewise; none: the end.
    #[pyo3(item)]
    window: Option<[Option<i64>; 4]>,
}

/// The mask of an array that is not 0 where pixels are used.
pub fn mask_of(mask: Option<PyReadonlyArray2<'_, bool>>) -> PyResult<Option<Mask>> {
    let Some(mask) = mask else { return Ok(None) };
    let mask = mask.as_array();
    let (rows, cols) = mask.dim();
    Mask::new(rows, cols, mask.iter().copied().collect()).or_raise().map(Some)
}

#[pymethods]
impl Scene {
    /// Reads a file.
    #[staticmethod]
    fn from_file(
        py: Python<'_>,
        path: PathBuf,
        used: Use,
        layout: &Bound<'_, PyDict>,
        mask: Option<PyReadonlyArray2<'_, bool>>,
    ) -> PyResult<Self> {
        let layout: Layout = layout.extract()?;
        let pixel_order = match layout.pixel_order.as_deref() {
            None => None,
            Some("row") => Some(PixelOrder::Row),
            Some("column") => Some(PixelOrder::Column),
            Some(other) => {
                let why = format!("pixel_order {other}: give row or column");
                return Err(PyValueError::new_err(why));
            }
        };
        let how = OpenOptions {
            rows: layout.rows,
            cols: layout.cols,
            variable: layout.variable.clone(),
            pixel_order,
            ..used.open()?
        };
        let options = LoadOptions { mask: mask_of(mask)?, ..used.load()? };
        let shown = path.display().to_string();
        // A file may take minutes to be unpacked, by what cannot be asked to stop.
        let inner = work::finish(py, None, |line| {
            unless(&|| line.stopped(), move |_| read(&path, &how, options, &layout))
        })?;
        Ok(Scene { inner, path: shown, axes: None })
    }

    /// Takes an array of three axes or more.
    #[staticmethod]
    fn from_array(
        py: Python<'_>,
        values: &Bound<'_, PyAny>,
        described: Described,
        used: Use,
        mask: Option<PyReadonlyArray2<'_, bool>>,
    ) -> PyResult<Self> {
        let options = LoadOptions { mask: mask_of(mask)?, ..used.load()? };
        let how = used.open()?;
        let (labels, beside, told) = described.parts()?;
        let name = labels.name.clone();
        let cube = Cube::of(values)?;
        let (inner, axes) = cube.load(py, (labels, beside, &told), &how, &options)?;
        Ok(Scene { inner, path: name, axes: Some(axes) })
    }

    /// A short name.
    #[getter]
    fn name(&self) -> &str {
        self.inner.name()
    }

    /// The file, as it was named; for arrays the name.
    #[getter]
    fn path(&self) -> &str {
        &self.path
    }

    /// Of an array, which of its axes are rows, columns and bands; of a file none.
    #[getter]
    fn axes(&self) -> Option<[usize; 3]> {
        self.axes
    }

    /// Height and width in pixels.
    #[getter]
    fn size(&self) -> (usize, usize) {
        (self.inner.rows(), self.inner.cols())
    }

    /// Pixels in use.
    #[getter]
    fn pixels(&self) -> usize {
        self.inner.places().len()
    }

    /// Bands in the file, with those that are left out.
    #[getter]
    fn file_bands(&self) -> usize {
        self.inner.file_bands()
    }

    /// Positions of the bands in use in the file, from 0, (L).
    #[getter]
    fn band_indices<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray1<i64>> {
        let found: Vec<i64> = self.inner.bands().iter().map(|band| band.index as i64).collect();
        found.into_pyarray(py)
    }

    /// Centre wavelengths of the bands in use, nanometres, (L); none where one is not known.
    #[getter]
    fn wavelengths<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyArray1<f64>>> {
        let found: Option<Vec<f64>> = self.inner.bands().iter().map(|b| b.wavelength).collect();
        found.map(|found| found.into_pyarray(py))
    }

    /// Widths of the bands in use, nanometres, (L); none where one is not known.
    #[getter]
    fn fwhm<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyArray1<f64>>> {
        let found: Option<Vec<f64>> = self.inner.bands().iter().map(|b| b.fwhm).collect();
        found.map(|found| found.into_pyarray(py))
    }

    /// Gain, offset and the rule that chose them.
    #[getter]
    fn scaling(&self) -> (f64, f64, &str) {
        let scaling = self.inner.scaling();
        (scaling.gain, scaling.offset, &scaling.rule)
    }

    /// What was done to the data on the way in, one sentence each.
    #[getter]
    fn notes(&self) -> Vec<String> {
        self.inner.notes().to_vec()
    }

    /// Where it lies on earth.
    #[getter]
    fn georeference<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyDict>>> {
        georeference::described(py, self.inner.georeference())
    }

    /// Places of the pixels in use, `row * columns + column`, ascending, (N).
    #[getter]
    fn places<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray1<u32>> {
        self.inner.places().to_vec().into_pyarray(py)
    }

    /// Another piece of it, read as it was read.
    fn read(
        &self,
        py: Python<'_>,
        values: &Bound<'_, PyAny>,
        described: Described,
        used: Use,
        mask: Option<PyReadonlyArray2<'_, bool>>,
    ) -> PyResult<Self> {
        piece(py, values, described, &used, mask, &self.inner.reading())
    }

    /// A copy of the reflectance, (rows, columns, L), NaN where there are no data.
    fn reflectance<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyArray3<f32>>> {
        let cube = self.inner.cube();
        if cube.pixels() == 0 {
            return Err(PyValueError::new_err(
                "the scene of a fit knows its geometry only; its spectra were let go",
            ));
        }
        let shape = (cube.pixels(), cube.bands()).strides((cube.stride(), 1));
        let image = py.detach(|| {
            ArrayView2::from_shape(shape, cube.padded())
                .map_err(|error| Error::Fit(error.to_string()))
                .and_then(|values| to_image(&self.inner, values))
        });
        Ok(image.or_raise()?.into_pyarray(py))
    }
}

fn read(
    path: &std::path::Path,
    how: &OpenOptions,
    mut options: LoadOptions,
    layout: &Layout,
) -> Result<unmixel::Scene> {
    let mut source = open(path, how)?;
    let Header { rows, cols, .. } = *source.header();
    for (name, given, own) in [("rows", layout.rows, rows), ("cols", layout.cols, cols)] {
        if let Some(given) = given.filter(|given| *given != own) {
            return Err(Error::setting(
                name,
                given,
                format!("the cube in the file has {own}; leave it out"),
            ));
        }
    }
    if let Some(file) = &layout.mask_file {
        options.mask = Some(mask::read(file, rows, cols)?);
    }
    if let Some([row, row_end, col, col_end]) = layout.window {
        let rows = range("rows", (row, row_end), rows)?;
        let cols = range("columns", (col, col_end), cols)?;
        source = window(source, rows.clone(), cols.clone())?;
        options.mask = options.mask.map(|mask| mask.window(rows, cols)).transpose()?;
    }
    let name =
        path.file_stem().map_or_else(|| "scene".into(), |s| s.to_string_lossy().into_owned());
    load(source.as_mut(), &name, &options)
}

/// From the first to the last, as a slice of Python has it; numbers from the end are refused.
fn range(
    what: &str,
    (first, end): (Option<i64>, Option<i64>),
    size: usize,
) -> Result<std::ops::Range<usize>> {
    let number = |value: Option<i64>, default: usize| match value {
        None => Ok(default),
        Some(value) => usize::try_from(value).map_err(|_| {
            Error::setting(
                format!("window of {what}"),
                value,
                format!("must be 0 to {size}; count from the first"),
            )
        }),
    };
    Ok(number(first, 0)?..number(end, size)?)
}

/// An array of any number of axes, where these are its numbers and they lie where a machine can
/// read them: those that came through a network need not.
pub fn any_array<'a, 'py, T: numpy::Element>(
    values: &'a Bound<'py, PyAny>,
) -> Option<&'a Bound<'py, PyArrayDyn<T>>> {
    let array = values.cast::<PyArrayDyn<T>>().ok()?;
    let address = array.data() as usize;
    let even = |stride: &isize| stride.unsigned_abs().is_multiple_of(align_of::<T>());
    (address.is_multiple_of(align_of::<T>()) && array.strides().iter().all(even)).then_some(array)
}

/// The exception for arrays that no scene is made of.
pub fn no_numbers(values: &Bound<'_, PyAny>) -> PyErr {
    let kind = values
        .getattr("dtype")
        .map_or_else(|_| "no array".to_owned(), |dtype| format!("an array of {dtype}"));
    PyTypeError::new_err(format!(
        "a scene is made of an aligned array of numbers, and this is {kind}"
    ))
}

/// Attributes and coordinates of an array, from a dictionary.
#[derive(FromPyObject)]
pub struct LabelsOf {
    #[pyo3(item)]
    name: String,
    #[pyo3(item)]
    axes: Vec<String>,
    #[pyo3(item)]
    texts: Vec<(String, String)>,
    #[pyo3(item)]
    numbers: Vec<(String, Vec<f64>)>,
    #[pyo3(item)]
    values: Vec<f64>,
}

impl From<LabelsOf> for Labels {
    fn from(of: LabelsOf) -> Self {
        let LabelsOf { name, axes, texts, numbers, values } = of;
        Labels { name, axes, texts, numbers, values }
    }
}

/// What the caller states of an array, from a dictionary.
#[derive(FromPyObject)]
pub struct ToldOf {
    #[pyo3(item)]
    wavelengths: Option<Vec<f64>>,
    #[pyo3(item)]
    wavelength_unit: Option<String>,
    #[pyo3(item)]
    fwhm: Option<Vec<f64>>,
    #[pyo3(item)]
    good_bands: Option<Vec<bool>>,
    #[pyo3(item)]
    crs: Option<String>,
    #[pyo3(item)]
    transform: Option<[f64; 6]>,
}

impl ToldOf {
    pub fn told(self) -> PyResult<Told> {
        let unit = self.wavelength_unit;
        Ok(Told {
            wavelengths: self.wavelengths.map(|list| (list, unit)),
            fwhm: self.fwhm,
            good_bands: self.good_bands,
            georeference: georeference::place(self.crs.as_deref(), self.transform)?,
        })
    }
}
