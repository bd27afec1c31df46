//! `Fit`: a result as arrays.

use std::sync::{Arc, Mutex, PoisonError};

use ndarray::{Array3, Array4, Axis, stack};
use numpy::{IntoPyArray, PyArray1, PyArray2, PyArray3, PyArray4, PyReadonlyArray2};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use unmixel::engine::backend::device::choose;
use unmixel::rooms::figures::{Labels, SpectraFigure, composite_png, spectra_png};
use unmixel::rooms::results::{Report, warnings};
use unmixel::scene::to_image;
use unmixel::{Device, Error};

use crate::errors::OrRaise;
use crate::scene::{Scene, Use};
use crate::scene_array::{Described, piece};
use crate::work;

/// The result of a fit.
#[pyclass(frozen, module = "unmixel._unmixel")]
pub struct Fit {
    pub inner: unmixel::Fit,
    /// The scene, as the user named it.
    pub path: String,
}

impl Fit {
    pub fn new(inner: unmixel::Fit, path: String) -> Self {
        Fit { inner, path }
    }
}

/// The device of a name, chosen once a process: blocks of a large scene come one by one.
fn opened(name: &str) -> unmixel::Result<Arc<Device>> {
    static OPENED: Mutex<Vec<(String, Arc<Device>)>> = Mutex::new(Vec::new());
    let choice = name.parse()?;
    let mut opened = OPENED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, device)) = opened.iter().find(|(of, _)| of == name) {
        return Ok(Arc::clone(device));
    }
    let device = Arc::new(choose(&choice)?);
    opened.push((name.to_owned(), Arc::clone(&device)));
    Ok(device)
}

#[pymethods]
impl Fit {
    /// Number of endmembers, K.
    #[getter]
    fn k(&self) -> usize {
        self.inner.k()
    }

    /// What abundances are shares of: `reflectance` or `peak`.
    #[getter]
    fn convention(&self) -> &'static str {
        match self.inner.convention() {
            unmixel::Convention::Reflectance => "reflectance",
            unmixel::Convention::Peak => "peak",
        }
    }

    /// The scene that was fitted, without its spectra.
    #[getter]
    fn scene(&self) -> Scene {
        Scene { inner: self.inner.scene().clone(), path: self.path.clone(), axes: None }
    }

    /// Maps of the abundances, (rows, columns, K), float32, NaN where there are no data: `mean`,
    /// `sd`, `q05`, `q50` or `q95`.
    fn abundances<'py>(&self, py: Python<'py>, what: &str) -> PyResult<Bound<'py, PyArray3<f32>>> {
        let p = self.inner.posterior();
        let values = match what {
            "mean" => &p.abundance_mean,
            "sd" => &p.abundance_sd,
            "q05" => &p.abundance_q05,
            "q50" => &p.abundance_q50,
            "q95" => &p.abundance_q95,
            other => return Err(PyValueError::new_err(format!("there is no `{other}`"))),
        };
        let image = py.detach(|| to_image(self.inner.scene(), values.view()));
        Ok(image.or_raise()?.into_pyarray(py))
    }

    /// A map, (rows, columns), float32, NaN where there are no data: `brightness`, `residual` or
    /// `draws_worth`; none where the fit has no such.
    fn map<'py>(&self, py: Python<'py>, what: &str) -> PyResult<Option<Bound<'py, PyArray2<f32>>>> {
        let flat = |values: ndarray::ArrayView1<'_, f32>| {
            let image = to_image(self.inner.scene(), values.insert_axis(Axis(1)));
            image.map(|image| image.index_axis_move(Axis(2), 0))
        };
        let p = self.inner.posterior();
        let found = match what {
            "brightness" => p.brightness.as_ref().map(|values| flat(values.view())),
            "residual" => Some(flat(ndarray::ArrayView1::from(&p.residual))),
            "draws_worth" => p.draws_worth.as_ref().map(|values| flat(values.view())),
            other => return Err(PyValueError::new_err(format!("there is no `{other}`"))),
        };
        Ok(found.transpose().or_raise()?.map(|map| map.into_pyarray(py)))
    }

    /// Spectra, (K, L), float64: `mean`, `sd`, `q05`, `q95` or `variability`; none where the model
    /// has no such.
    fn spectra<'py>(
        &self,
        py: Python<'py>,
        what: &str,
    ) -> PyResult<Option<Bound<'py, PyArray2<f64>>>> {
        let p = self.inner.posterior();
        let found = match what {
            "mean" => Some(&p.endmember_mean),
            "sd" => Some(&p.endmember_sd),
            "q05" => Some(&p.endmember_q05),
            "q95" => Some(&p.endmember_q95),
            "variability" => p.variability.as_ref(),
            other => return Err(PyValueError::new_err(format!("there is no `{other}`"))),
        };
        Ok(found.map(|values| values.clone().into_pyarray(py)))
    }

    /// Noise sd of each band, (L), reflectance.
    #[getter]
    fn noise_sd<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray1<f64>> {
        self.inner.posterior().noise_sd.clone().into_pyarray(py)
    }

    /// Noise correlation of the bands, (L, L); none when the model has none.
    #[getter]
    fn noise_correlation<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyArray2<f64>>> {
        let found = self.inner.posterior().noise_correlation.as_ref();
        found.map(|values| values.clone().into_pyarray(py))
    }

    /// Draws of the abundances, (draws, rows, columns, K), and of the spectra, (draws, K, L),
    /// float32; none where none were asked for.
    #[allow(clippy::type_complexity, reason = "a pair of arrays")]
    fn draws<'py>(
        &self,
        py: Python<'py>,
    ) -> PyResult<Option<(Bound<'py, PyArray4<f32>>, Bound<'py, PyArray3<f32>>)>> {
        let Some(drawn) = self.inner.draws() else { return Ok(None) };
        let images = py.detach(|| {
            let of = |draw| to_image(self.inner.scene(), draw);
            let images: Vec<Array3<f32>> =
                drawn.abundances.outer_iter().map(of).collect::<unmixel::Result<_>>()?;
            let views: Vec<_> = images.iter().map(|image| image.view()).collect();
            let stacked: Array4<f32> =
                stack(Axis(0), &views).map_err(|error| Error::Fit(error.to_string()))?;
            Ok(stacked)
        });
        let spectra = drawn.endmembers.clone().into_pyarray(py);
        Ok(Some((images.or_raise()?.into_pyarray(py), spectra)))
    }

    /// ELBO a pixel of every step, nats, (steps).
    #[getter]
    fn trace<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray1<f64>> {
        self.inner.record().trace.clone().into_pyarray(py)
    }

    /// Whether it was stopped before it was done.
    #[getter]
    fn interrupted(&self) -> bool {
        self.inner.record().interrupted
    }

    /// Seconds of the stages, in order.
    #[getter]
    fn seconds<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let dict = PyDict::new(py);
        for (stage, seconds) in &self.inner.record().seconds {
            dict.set_item(stage, seconds)?;
        }
        Ok(dict)
    }

    /// The report as JSON, as `report.json` has it, without what differs from run to run.
    fn report(&self) -> PyResult<String> {
        let report = Report::of(&self.inner, &self.path, Vec::new());
        let mut value = serde_json::to_value(&report)
            .map_err(|error| Error::Fit(format!("the report cannot be written: {error}")))
            .or_raise()?;
        if let Some(map) = value.as_object_mut() {
            map.remove("run");
            map.remove("files");
            map.remove("scores");
        }
        Ok(value.to_string())
    }

    /// What to know before one trusts the maps, a sentence each.
    fn warnings(&self, names: Vec<String>) -> Vec<String> {
        warnings(&self.inner, &names)
    }

    /// Names of all endmembers as results show them: missing ones are numbered, doubled ones told
    /// apart.
    fn labels(&self, names: Vec<String>) -> Vec<String> {
        Labels::new(&names, self.inner.k()).shown
    }

    /// The fit with its endmembers in another order: `order[i]` is the one that becomes number i.
    fn in_order(&self, order: Vec<usize>) -> PyResult<Fit> {
        let inner = self.inner.clone().in_order(&order).or_raise()?;
        Ok(Fit { inner, path: self.path.clone() })
    }

    /// Another piece of the scene, read as the scene of this fit was read.
    fn read(
        &self,
        py: Python<'_>,
        values: &Bound<'_, PyAny>,
        described: Described,
        used: Use,
        mask: Option<PyReadonlyArray2<'_, bool>>,
    ) -> PyResult<Scene> {
        piece(py, values, described, &used, mask, &self.inner.reading())
    }

    /// Abundances of another scene under this fit.
    fn apply(&self, py: Python<'_>, scene: &Scene, device: &str) -> PyResult<Fit> {
        let inner = work::finish(py, None, |line| {
            self.inner.apply_on(&scene.inner, &opened(device)?, &|| line.stopped())
        })?;
        Ok(Fit { inner, path: scene.path.clone() })
    }

    /// All abundances in one picture, PNG.
    fn composite_png(&self, py: Python<'_>, names: Vec<String>) -> PyResult<Vec<u8>> {
        py.detach(|| {
            let fit = &self.inner;
            let names = Labels::new(&names, fit.k()).shown;
            let title = format!("{}: all abundances", fit.scene().name());
            composite_png(&fit.abundances().mean(), &names, &title)
        })
        .or_raise()
    }

    /// Spectra with their 90 % intervals, PNG.
    fn spectra_png(&self, py: Python<'_>, names: Vec<String>) -> PyResult<Vec<u8>> {
        py.detach(|| {
            let (fit, p) = (&self.inner, self.inner.posterior());
            spectra_png(&SpectraFigure {
                title: &format!("{}: endmember spectra", fit.scene().name()),
                bands: fit.scene().bands(),
                names: &Labels::new(&names, fit.k()).shown,
                mean: &p.endmember_mean,
                q05: &p.endmember_q05,
                q95: &p.endmember_q95,
                variability: p.variability.as_ref(),
                unit: unmixel::rooms::results::unit(p.convention),
                truth: None,
                sad: &[],
            })
        })
        .or_raise()
    }
}
