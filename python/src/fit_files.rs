//! A fit to files and back.

use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use unmixel::rooms::results::{
    Beside, Format, OutputFolder, Single, write_fit, write_single, write_store,
};

use crate::errors::OrRaise;
use crate::fit::Fit;
use crate::work;

/// The fit itself in a folder of results, as the command line names it.
const SAVED_FIT: &str = "fit.unmixel";

#[pymethods]
impl Fit {
    /// Writes the fit itself, whole or not at all.
    fn save(&self, py: Python<'_>, path: PathBuf) -> PyResult<()> {
        py.detach(|| self.inner.save(path)).or_raise()
    }

    /// Reads a fit; of a folder of results the one that is in it.
    #[staticmethod]
    fn load(py: Python<'_>, path: PathBuf) -> PyResult<Fit> {
        let file = if path.is_dir() { path.join(SAVED_FIT) } else { path };
        let inner = py.detach(|| unmixel::Fit::load(file)).or_raise()?;
        let path = inner.scene().name().to_owned();
        Ok(Fit { inner, path })
    }

    /// The fit as the bytes of a file.
    fn to_bytes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let bytes = py.detach(|| self.inner.to_bytes()).or_raise()?;
        Ok(PyBytes::new(py, &bytes))
    }

    /// A fit from those bytes.
    #[staticmethod]
    fn from_bytes(py: Python<'_>, bytes: &[u8]) -> PyResult<Fit> {
        let inner = py.detach(|| unmixel::Fit::from_bytes(bytes)).or_raise()?;
        let path = inner.scene().name().to_owned();
        Ok(Fit { inner, path })
    }

    /// Writes a folder of results; sentences about files that had to give way.
    #[pyo3(signature = (folder, formats, names, save, overwrite, notes, command))]
    #[allow(clippy::too_many_arguments, reason = "what a folder of results takes")]
    fn to_folder(
        &self,
        py: Python<'_>,
        folder: PathBuf,
        formats: Option<Vec<String>>,
        names: Vec<String>,
        save: bool,
        overwrite: bool,
        notes: Vec<String>,
        command: Vec<String>,
    ) -> PyResult<Vec<String>> {
        let formats: Vec<Format> = match formats {
            None => Format::usual(self.inner.scene()),
            Some(words) => words.iter().map(|word| format(word)).collect::<PyResult<_>>()?,
        };
        let started = SystemTime::now().duration_since(UNIX_EPOCH).ok().map(|time| time.as_secs());
        work::finish(py, None, |_| {
            let folder = OutputFolder::prepare(&folder, overwrite)?;
            folder.protect(&self.path);
            let beside = Beside {
                formats: &formats,
                names: &names,
                path: &self.path,
                notes,
                command,
                started,
                ..Beside::default()
            };
            write_fit(&folder, &self.inner, beside)?;
            if save {
                let bytes = self.inner.to_bytes()?;
                folder.write(SAVED_FIT, |to| to.write_all(&bytes))?;
            }
            folder.commit("fit")
        })
    }

    /// Writes all maps and spectra as one NetCDF file.
    fn to_netcdf(&self, py: Python<'_>, path: PathBuf, names: Vec<String>) -> PyResult<()> {
        py.detach(|| write_single(&path, &self.inner, &names, Single::NetCdf)).or_raise()
    }

    /// Writes one kind of map as a cloud-optimised GeoTIFF.
    fn to_geotiff(
        &self,
        py: Python<'_>,
        path: PathBuf,
        names: Vec<String>,
        map: &str,
    ) -> PyResult<()> {
        py.detach(|| write_single(&path, &self.inner, &names, Single::GeoTiff(map))).or_raise()
    }

    /// Writes all maps and spectra as a Zarr store; sentences about files that had to give way.
    fn to_zarr(
        &self,
        py: Python<'_>,
        path: PathBuf,
        names: Vec<String>,
        overwrite: bool,
    ) -> PyResult<Vec<String>> {
        work::finish(py, None, |_| {
            let store = OutputFolder::prepare(&path, overwrite)?;
            write_store(&store, &self.inner, &names)?;
            store.commit("zarr")
        })
    }
}

fn format(word: &str) -> PyResult<Format> {
    Ok(match word {
        "png" => Format::Png,
        "npy" => Format::Npy,
        "envi" => Format::Envi,
        "geotiff" => Format::GeoTiff,
        "netcdf" => Format::NetCdf,
        "zarr" => Format::Zarr,
        other => {
            let why = format!("format {other:?}: give png, npy, envi, geotiff, netcdf or zarr");
            return Err(PyValueError::new_err(why));
        }
    })
}
