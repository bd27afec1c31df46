//! Scenes from files and from memory.

use std::path::Path;

use ndarray::Array3;

use super::{OpenOptions, open};
use crate::engine::ground::error::Result;
use crate::scene::{LoadOptions, Memory, Scene, load};

impl Scene {
    /// Reads the scene at `path`: ENVI (the header or the data), MATLAB, NPY or NPZ, told apart by
    /// content. What was done to the data on the way in is among its notes.
    ///
    /// # Errors
    ///
    /// [`crate::Error::Io`], [`crate::Error::File`] for a file that holds no scene or does not say
    /// its size, and [`crate::Error::Scene`] where nothing in it can be fitted.
    pub fn open(path: impl AsRef<Path>) -> Result<Scene> {
        Scene::open_with(path, &OpenOptions::default(), &LoadOptions::default())
    }

    /// [`Scene::open`], for files that do not say everything.
    ///
    /// # Errors
    ///
    /// As [`Scene::open`].
    pub fn open_with(
        path: impl AsRef<Path>,
        how: &OpenOptions,
        options: &LoadOptions,
    ) -> Result<Scene> {
        let path = path.as_ref();
        let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
        load(open(path, how)?.as_mut(), &stem.unwrap_or_else(|| "scene".into()), options)
    }

    /// A scene of values (rows, cols, bands), with the centre wavelengths of its bands in
    /// nanometres, where they are known. Pixels of zeros, NaN or infinity in all bands are no data;
    /// the scale to reflectance follows the rules for files.
    ///
    /// # Errors
    ///
    /// [`crate::Error::Scene`] where nothing in it can be fitted.
    pub fn from_array(
        name: &str,
        values: Array3<f32>,
        wavelengths: Option<Vec<f64>>,
    ) -> Result<Scene> {
        load(&mut Memory::new(values, wavelengths), name, &LoadOptions::default())
    }
}
