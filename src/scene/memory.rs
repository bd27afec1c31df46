//! A cube that is already in memory, read as a file would be.

use ndarray::Array3;

use super::view::copy_rows;
use super::{CubeSource, Header, LoadOptions, Scene, load};
use crate::engine::ground::error::Result;

/// Reflectance or stored values, (rows, columns, bands).
pub struct Memory {
    header: Header,
    cube: Array3<f32>,
}

impl Memory {
    /// A cube with its wavelengths in nanometres, where known.
    pub fn new(cube: Array3<f32>, wavelengths: Option<Vec<f64>>) -> Self {
        let (rows, cols, bands) = cube.dim();
        Memory { header: Header { rows, cols, bands, wavelengths, ..Header::default() }, cube }
    }
}

impl CubeSource for Memory {
    fn header(&self) -> &Header {
        &self.header
    }

    fn held(&self) -> u64 {
        4 * self.cube.len() as u64
    }

    fn read_rows(&mut self, first: usize, count: usize, out: &mut [f32]) -> Result<()> {
        copy_rows(self.cube.view(), first, count, out)
    }
}

impl Scene {
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
