//! `Unmixing`: settings, and the fit that they give.

use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::PyDict;
use unmixel::engine::backend::Choice;
use unmixel::engine::ground::setting;
use unmixel::{Error, Result};

use crate::errors::OrRaise;
use crate::fit::Fit;
use crate::scene::Scene;
use crate::settings::{NumberOr, Settings, Start};
use crate::work::{self, Line};

/// How a scene is unmixed.
#[pyclass(frozen, module = "unmixel._unmixel")]
pub struct Unmixing {
    inner: unmixel::Unmixing,
    start: Start,
}

#[pymethods]
impl Unmixing {
    /// `settings` has every key of `Settings`; `init` is none, a family, a path or an array.
    #[new]
    fn new(
        endmembers: NumberOr,
        settings: &Bound<'_, PyAny>,
        device: &str,
        init: Option<&Bound<'_, PyAny>>,
        init_wavelengths: Option<Vec<f64>>,
    ) -> PyResult<Self> {
        let count = match &endmembers {
            NumberOr::Word(word) if word == "auto" => None,
            NumberOr::Whole(count) => usize::try_from(*count).ok().filter(|count| *count > 0),
            _ => None,
        };
        let of = match (count, &endmembers) {
            (Some(count), _) => unmixel::Unmixing::new(count),
            (None, NumberOr::Word(word)) if word == "auto" => unmixel::Unmixing::auto(),
            _ => {
                let why = "give a whole number of at least 1, or \"auto\"";
                return Err(Error::setting(setting::ENDMEMBERS, &endmembers, why)).or_raise();
            }
        };
        let settings: Settings = settings.extract()?;
        let start = Start::of(init, init_wavelengths)?;
        start.check(&settings).or_raise()?;
        let choice: Choice = device.parse().or_raise()?;
        let inner = settings.on(of).or_raise()?.on(choice);
        // Spectra that are given are known with the scene.
        let checked = match &start {
            Start::Search => inner.clone(),
            Start::Family(family) => inner.clone().init(family.clone()),
            Start::File(_) => inner.clone().init(unmixel::Init::Spectra(Default::default())),
            Start::Spectra(given) => {
                inner.clone().init(unmixel::Init::Spectra(given.values.clone()))
            }
        };
        checked.check().or_raise()?;
        Ok(Unmixing { inner, start })
    }

    /// Fits a scene; gives the fit and the names that came with the spectra it began from. An
    /// exception of `listener` or a signal ends it, and goes on with the fit so far as its
    /// attribute `fit`.
    #[pyo3(signature = (scene, listener=None))]
    fn fit(
        &self,
        py: Python<'_>,
        scene: &Scene,
        listener: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<(Fit, Vec<String>)> {
        let (found, raised) = work::run(py, listener, |line| self.run(&scene.inner, line));
        let found = found.map(|(fit, names)| (Fit::new(fit, scene.path.clone()), names));
        let Some(raised) = raised else { return found };
        let so_far = found.ok().map(|(fit, _)| Bound::new(py, fit)).transpose()?;
        raised.value(py).setattr("fit", so_far)?;
        Err(raised)
    }

    /// How many endmembers the scene has: the number, why, what each method says, and ELBOs of
    /// short fits.
    #[pyo3(signature = (scene, listener=None))]
    fn count<'py>(
        &self,
        py: Python<'py>,
        scene: &Scene,
        listener: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let count = work::finish(py, listener, |line| self.listening(line).count(&scene.inner))?;
        let dict = PyDict::new(py);
        dict.set_item("recommended", count.recommended)?;
        dict.set_item("reason", count.reason)?;
        let estimates: Vec<(String, usize)> =
            count.estimates.into_iter().map(|one| (one.method, one.endmembers)).collect();
        dict.set_item("estimates", estimates)?;
        let evidence: Vec<(usize, Option<f64>)> =
            count.evidence.into_iter().map(|one| (one.endmembers, one.elbo)).collect();
        dict.set_item("evidence", evidence)?;
        Ok(dict)
    }
}

impl Unmixing {
    fn listening(&self, line: &Line) -> unmixel::Unmixing {
        let (asked, line) = (line.clone(), Arc::new(line.clone()));
        let of = self.inner.clone().stop_when(move || asked.stopped());
        of.on_event(move |event| line.tell(event))
    }

    fn run(&self, scene: &unmixel::Scene, line: &Line) -> Result<(unmixel::Fit, Vec<String>)> {
        let of = self.listening(line);
        match self.start.on(scene)? {
            None => Ok((of.fit(scene)?, Vec::new())),
            Some((init, names)) => {
                let fit = of.init(init).fit(scene)?;
                let names = if names.len() == fit.k() { names } else { Vec::new() };
                Ok((fit, names))
            }
        }
    }
}
