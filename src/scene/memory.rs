//! A cube that is already in memory, read as a file would be.

use ndarray::{Array3, s};

use super::{CubeSource, Header};
use crate::engine::ground::error::{Error, Result};

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

    fn read_rows(&mut self, first: usize, count: usize, out: &mut [f32]) -> Result<()> {
        let end = first.checked_add(count).filter(|&end| end <= self.header.rows);
        let block = end.map(|end| self.cube.slice(s![first..end, .., ..]));
        match block {
            Some(block) if block.len() == out.len() => {
                out.iter_mut().zip(block).for_each(|(to, &from)| *to = from);
                Ok(())
            }
            _ => Err(Error::Scene(format!(
                "rows {first} and {count} on were asked of a cube in memory with {} rows",
                self.header.rows
            ))),
        }
    }
}
