//! Maps in NPY files, read row by row.

use std::path::{Path, PathBuf};

use super::npy;
use super::numbers::{Kind, Numbers, decode};
use crate::engine::ground::error::{Error, Result};

/// An array of float32, (rows, columns) or (rows, columns, depth) in C order, that stays in its
/// file.
pub struct NpyRows {
    path: PathBuf,
    numbers: Numbers,
    size: [usize; 3],
    buffer: Vec<u8>,
}

impl NpyRows {
    /// Opens the array at `path`.
    ///
    /// # Errors
    /// [`Error::File`] for another kind of file or array.
    pub fn open(path: &Path) -> Result<Self> {
        let found = npy::read(path)?.arrays.pop();
        let wrong = || Error::file(path, "is no map: float32, (rows, columns) or more");
        let array = found.filter(|array| !array.fortran).ok_or_else(wrong)?;
        let size = match array.shape[..] {
            [rows, cols] => [rows, cols, 1],
            [rows, cols, depth] => [rows, cols, depth],
            _ => return Err(wrong()),
        };
        if array.numbers.kind() != Kind::F32 {
            return Err(wrong());
        }
        Ok(NpyRows { path: path.to_owned(), numbers: array.numbers, size, buffer: Vec::new() })
    }

    /// Height in pixels.
    pub fn rows(&self) -> usize {
        self.size[0]
    }

    /// Width in pixels.
    pub fn cols(&self) -> usize {
        self.size[1]
    }

    /// Values of a pixel.
    pub fn depth(&self) -> usize {
        self.size[2]
    }

    /// The values of one row, columns times depth.
    ///
    /// # Errors
    /// [`Error::File`] for a row that is not there, and what reading refuses.
    pub fn row(&mut self, row: usize) -> Result<Vec<f32>> {
        let [rows, cols, depth] = self.size;
        if row >= rows {
            return Err(Error::file(&self.path, format!("has {rows} rows, and none number {row}")));
        }
        let count = cols * depth;
        let bytes = self.numbers.bytes_of(row * count, count, &mut self.buffer)?;
        let mut values = Vec::with_capacity(count);
        decode!(self.numbers, bytes, f32, |stored, decode| {
            values.extend(stored.iter().copied().map(decode));
        });
        if values.len() == count {
            Ok(values)
        } else {
            Err(Error::file(&self.path, "holds fewer values than its size asks for"))
        }
    }
}
