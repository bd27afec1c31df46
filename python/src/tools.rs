//! Devices, simulated scenes and the usual methods to compare with.

use ndarray::Array2;
use numpy::{IntoPyArray, PyArray2, PyArray3};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use unmixel::engine::backend::device;
use unmixel::rooms::starts::{check_count, fcls, nfindr, nnls, vca};
use unmixel::scene::{Cube, to_image};
use unmixel::simulate::{Maps, Settings, simulate as make};

use crate::errors::OrRaise;
use crate::scene::Scene;
use crate::work;

/// Every device that a fit can run on: name, backend, kind, driver; the CPU first.
#[pyfunction]
pub fn devices(py: Python<'_>) -> PyResult<Vec<Bound<'_, PyDict>>> {
    let mut all = vec![device::cpu("").info];
    all.extend(device::all().into_iter().filter(|d| !d.is_cpu()).map(|d| d.info.clone()));
    let described = |info: device::DeviceInfo| {
        let dict = PyDict::new(py);
        dict.set_item("name", info.name)?;
        dict.set_item("backend", info.backend)?;
        dict.set_item("kind", info.kind)?;
        dict.set_item("driver", info.driver)?;
        Ok(dict)
    };
    all.into_iter().map(described).collect()
}

/// What is simulated.
#[derive(FromPyObject)]
pub struct Simulation {
    #[pyo3(item)]
    rows: usize,
    #[pyo3(item)]
    cols: usize,
    #[pyo3(item)]
    bands: usize,
    #[pyo3(item)]
    endmembers: usize,
    #[pyo3(item)]
    noise_sd: f64,
    #[pyo3(item)]
    smooth: bool,
    #[pyo3(item)]
    pure_pixels: bool,
    #[pyo3(item)]
    brightness_sd: f64,
    #[pyo3(item)]
    variability_sd: f64,
    #[pyo3(item)]
    band_correlation: f64,
    #[pyo3(item)]
    no_data: f64,
    #[pyo3(item)]
    seed: u64,
}

/// A scene with its truth: `cube` (rows, columns, bands), `wavelengths` in nanometres, `names`,
/// `endmembers` (K, bands), `abundances` (rows, columns, K), `brightness` (rows, columns).
#[pyfunction]
pub fn simulate(py: Python<'_>, settings: Simulation) -> PyResult<Bound<'_, PyDict>> {
    let wanted = Settings {
        rows: settings.rows,
        cols: settings.cols,
        bands: settings.bands,
        endmembers: settings.endmembers,
        noise_sd: settings.noise_sd,
        maps: if settings.smooth { Maps::Smooth } else { Maps::Dirichlet },
        pure_pixels: settings.pure_pixels,
        brightness_sd: settings.brightness_sd,
        variability_sd: settings.variability_sd,
        band_correlation: settings.band_correlation,
        no_data_fraction: settings.no_data,
        seed: settings.seed,
        ..Settings::default()
    };
    let made = work::finish(py, None, |_| make(&wanted))?;
    let dict = PyDict::new(py);
    dict.set_item("cube", made.cube.into_pyarray(py))?;
    dict.set_item("wavelengths", made.wavelengths.into_pyarray(py))?;
    dict.set_item("names", made.names)?;
    dict.set_item("endmembers", made.endmembers.into_pyarray(py))?;
    dict.set_item("abundances", made.abundances.into_pyarray(py))?;
    dict.set_item("brightness", made.brightness.into_pyarray(py))?;
    Ok(dict)
}

/// Endmembers and abundances.
type Baseline<'py> = (Bound<'py, PyArray2<f64>>, Bound<'py, PyArray3<f32>>);

/// A method in use: pixels as endmembers (`vca` or `nfindr`), abundances by `fcls` or `nnls`.
/// Spectra, (K, L), reflectance, and abundances, (rows, columns, K), NaN where there are no data.
#[pyfunction]
pub fn baseline<'py>(
    py: Python<'py>,
    scene: &Scene,
    endmembers: usize,
    corners: &str,
    inversion: &str,
    seed: u64,
) -> PyResult<Baseline<'py>> {
    let find: fn(&Cube, usize, u64) -> unmixel::Result<Vec<usize>> = match corners {
        "vca" => vca,
        "nfindr" => nfindr,
        other => {
            let why = format!("corners {other:?}: give vca or nfindr");
            return Err(PyValueError::new_err(why));
        }
    };
    let invert: fn(&Cube, &Array2<f64>) -> unmixel::Result<ndarray::Array2<f32>> = match inversion {
        "fcls" => fcls,
        "nnls" => nnls,
        other => {
            let why = format!("inversion {other:?}: give fcls or nnls");
            return Err(PyValueError::new_err(why));
        }
    };
    let scene = &scene.inner;
    let found = py.detach(|| {
        let cube = scene.cube();
        check_count(cube, endmembers)?;
        let pixels = find(cube, endmembers, seed)?;
        let spectra = Array2::from_shape_fn((pixels.len(), cube.bands()), |(k, l)| {
            f64::from(cube.spectrum(pixels[k])[l])
        });
        let maps = to_image(scene, invert(cube, &spectra)?.view())?;
        Ok((spectra, maps))
    });
    let (spectra, maps) = found.or_raise()?;
    Ok((spectra.into_pyarray(py), maps.into_pyarray(py)))
}
