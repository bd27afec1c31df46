//! Abundances as NumPy arrays.

use std::io::{self, Write};

use ndarray::{Array, Dimension};
use ndarray_npy::WriteNpyExt;

/// Writes `values` as an NPY file of float32 in C order.
///
/// # Errors
/// What the writer returns.
pub fn write_npy<D: Dimension>(values: &Array<f32, D>, to: &mut dyn Write) -> io::Result<()> {
    values.write_npy(to).map_err(|error| match error {
        ndarray_npy::WriteNpyError::Io(error) => error,
        other => io::Error::other(other),
    })
}
