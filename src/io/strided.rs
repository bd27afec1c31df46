//! A cube in any of the orders in which files store one: three strides say it all.

use std::path::{Path, PathBuf};

use super::numbers::{Numbers, decode};
use crate::engine::ground::error::{Error, Result};
use crate::scene::{CubeSource, Header};

/// The order of the axes in the file, the slowest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// Band, row, column: ENVI `bsq`.
    BandRowCol,
    /// Row, band, column: ENVI `bil`.
    RowBandCol,
    /// Row, column, band: ENVI `bip`, NumPy's C order, pixels by bands in row-major order.
    RowColBand,
    /// Column, row, band: MATLAB's bands x pixels with column-major pixels.
    ColRowBand,
    /// Band, column, row: MATLAB's or Fortran's (rows, columns, bands), and pixels x bands with
    /// column-major pixels.
    BandColRow,
}

/// A cube that lies regularly in memory or in a mapped file.
pub(crate) struct Strided {
    path: PathBuf,
    header: Header,
    numbers: Numbers,
    /// Numbers from one (row, column, band) to the next.
    strides: [usize; 3],
}

impl Strided {
    /// `header` gives the size; fails when it is empty, overflows, or is not the size of `numbers`.
    pub(crate) fn new(
        path: &Path,
        mut header: Header,
        numbers: Numbers,
        order: Order,
    ) -> Result<Self> {
        let (rows, cols, bands) = (header.rows, header.cols, header.bands);
        if rows == 0 || cols == 0 || bands == 0 {
            return Err(Error::file(
                path,
                format!("{rows} rows x {cols} columns x {bands} bands are an empty scene."),
            ));
        }
        let total = rows.checked_mul(cols).and_then(|n| n.checked_mul(bands));
        if total != Some(numbers.len()) {
            return Err(Error::file(
                path,
                format!(
                    "{rows} rows x {cols} columns x {bands} bands do not describe the {} values \
                     that the file holds.",
                    numbers.len()
                ),
            ));
        }
        let strides = match order {
            Order::BandRowCol => [cols, 1, rows * cols],
            Order::RowBandCol => [bands * cols, 1, cols],
            Order::RowColBand => [cols * bands, bands, 1],
            Order::ColRowBand => [bands, rows * bands, 1],
            Order::BandColRow => [1, rows, rows * cols],
        };
        header.integer = numbers.kind().is_integer();
        Ok(Strided { path: path.to_owned(), header, numbers, strides })
    }
}

impl CubeSource for Strided {
    fn header(&self) -> &Header {
        &self.header
    }

    fn read_rows(&mut self, first: usize, count: usize, out: &mut [f32]) -> Result<()> {
        let Header { rows, cols, bands, .. } = self.header;
        if first.checked_add(count).is_none_or(|end| end > rows)
            || out.len() != count * cols * bands
        {
            return Err(Error::file(
                &self.path,
                format!(
                    "rows {first} to {first} + {count} of {rows} were asked for, into {} values.",
                    out.len()
                ),
            ));
        }
        let [row, col, band] = self.strides;
        // (length, step in the file, step in `out`), the longest step in the file outermost, so
        // that the file is read forwards.
        let mut axes = [(count, row, cols * bands), (cols, col, bands), (bands, band, 1)];
        axes.sort_by_key(|&(_, step, _)| std::cmp::Reverse(step));
        let [a, b, c] = axes;
        // In bounds: `new` checked that rows * cols * bands is the number of values, so the
        // largest index is that number less one.
        decode!(self.numbers, f32, |values, decode| {
            for i in 0..a.0 {
                for j in 0..b.0 {
                    let from = first * row + i * a.1 + j * b.1;
                    let to = i * a.2 + j * b.2;
                    for k in 0..c.0 {
                        out[to + k * c.2] = decode(values[from + k * c.1]);
                    }
                }
            }
        });
        Ok(())
    }
}
