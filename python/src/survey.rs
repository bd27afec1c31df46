//! `Survey`: the extremes of a scene that is never whole in memory.

use ndarray::Array2;
use numpy::{IntoPyArray, PyArray1, PyArray2, PyReadonlyArray1, PyReadonlyArray2};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use unmixel::rooms::search;
use unmixel::rooms::starts::{self, Extremes};

use crate::scene::Scene;

/// Of each entry the list it is in, its score, and the number of its pixel.
type Lists<'py> = (Bound<'py, PyArray1<u32>>, Bound<'py, PyArray1<f64>>, Bound<'py, PyArray1<u64>>);
type Given<'py> =
    (PyReadonlyArray1<'py, u32>, PyReadonlyArray1<'py, f64>, PyReadonlyArray1<'py, u64>);

/// What is looked for in every block of a scene.
#[pyclass(frozen, module = "unmixel._unmixel")]
pub struct Survey {
    inner: starts::Survey,
    /// Pixels that a model is learned from, about.
    #[pyo3(get)]
    pixels: usize,
    #[pyo3(get)]
    seed: u64,
}

#[pymethods]
impl Survey {
    /// The most pixels that a scene is learned from.
    #[staticmethod]
    fn most_pixels() -> usize {
        search::MOST_PIXELS
    }

    /// Of a scene that is a fair sample, for a model of `k` endmembers.
    #[staticmethod]
    fn of_sample(sample: &Scene, k: usize, pixels: usize, seed: u64) -> Self {
        let inner = starts::Survey::new(sample.inner.cube(), k, pixels, seed);
        Survey { inner, pixels, seed }
    }

    /// Of what `parts` gave, in another process.
    #[staticmethod]
    fn of_parts(axes: PyReadonlyArray2<'_, f64>, mean: f64, pixels: usize, seed: u64) -> Self {
        let axes: Array2<f64> = axes.as_array().to_owned();
        Survey { inner: starts::Survey::of_parts(axes, mean, pixels, seed), pixels, seed }
    }

    /// Directions of the sample, (L, k), and its mean along the first.
    fn parts<'py>(&self, py: Python<'py>) -> (Bound<'py, PyArray2<f64>>, f64) {
        let (axes, mean) = self.inner.parts();
        (axes.clone().into_pyarray(py), mean)
    }

    /// The extremes of a block, of whose pixels, valid or not, `numbers` has the numbers in the
    /// scene.
    fn of<'py>(
        &self,
        py: Python<'py>,
        block: &Scene,
        numbers: PyReadonlyArray1<'py, u64>,
    ) -> PyResult<Lists<'py>> {
        let scene = &block.inner;
        let numbers = numbers.as_array();
        if numbers.len() != scene.rows() * scene.cols() {
            return Err(PyValueError::new_err("numbers: one a pixel of the block"));
        }
        let own: Vec<u64> = scene.places().iter().map(|&at| numbers[at as usize]).collect();
        let found = py.detach(|| self.inner.of(scene.cube(), &own));
        Ok(lists(py, &found))
    }

    /// The extremes of two parts of a scene together.
    fn merge<'py>(&self, py: Python<'py>, one: Given<'py>, other: Given<'py>) -> Lists<'py> {
        lists(py, &self.inner.merge(extremes(&one), extremes(&other)))
    }
}

fn lists<'py>(py: Python<'py>, found: &Extremes) -> Lists<'py> {
    let all = || found.lists.iter().zip(0u32..).flat_map(|(l, i)| l.iter().map(move |e| (i, e)));
    let list: Vec<u32> = all().map(|(i, _)| i).collect();
    let scores: Vec<f64> = all().map(|(_, entry)| entry.0).collect();
    let numbers: Vec<u64> = all().map(|(_, entry)| entry.1).collect();
    (list.into_pyarray(py), scores.into_pyarray(py), numbers.into_pyarray(py))
}

fn extremes((list, scores, numbers): &Given<'_>) -> Extremes {
    let (list, scores, numbers) = (list.as_array(), scores.as_array(), numbers.as_array());
    let longest = list.iter().max().map_or(0, |last| *last as usize + 1);
    let mut lists = vec![Vec::new(); longest];
    for ((&at, &score), &number) in list.iter().zip(scores).zip(numbers) {
        lists[at as usize].push((score, number));
    }
    Extremes { lists }
}
