//! The extension module behind the Python package `unmixel`: it translates between Python and the
//! library, and decides nothing. What users see is `python/unmixel/*.py` above it.

mod errors;
mod fit;
mod fit_files;
mod georeference;
mod scene;
mod scene_array;
mod settings;
mod survey;
mod tools;
mod unmixing;
mod work;

use pyo3::prelude::*;

/// Bayesian hyperspectral unmixing: the compiled part of the package `unmixel`.
#[pymodule]
fn _unmixel(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add_class::<scene::Scene>()?;
    module.add_class::<unmixing::Unmixing>()?;
    module.add_class::<fit::Fit>()?;
    module.add_class::<work::Event>()?;
    module.add_class::<survey::Survey>()?;
    module.add_function(wrap_pyfunction!(scene_array::axes_of, module)?)?;
    module.add_function(wrap_pyfunction!(tools::devices, module)?)?;
    module.add_function(wrap_pyfunction!(tools::simulate, module)?)?;
    module.add_function(wrap_pyfunction!(tools::baseline, module)?)?;
    Ok(())
}
