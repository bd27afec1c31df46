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
    /// Row, column, band: ENVI `bip`.
    RowColBand,
}

impl Order {
    /// As ENVI calls it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Order::BandRowCol => "bsq",
            Order::RowBandCol => "bil",
            Order::RowColBand => "bip",
        }
    }
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
    pub(crate) fn new(path: &Path, header: Header, numbers: Numbers, order: Order) -> Result<Self> {
        let Header { rows, cols, bands, .. } = header;
        // Where these overflow, the size is refused below.
        let times = usize::saturating_mul;
        let strides = match order {
            Order::BandRowCol => [cols, 1, times(rows, cols)],
            Order::RowBandCol => [times(bands, cols), 1, cols],
            Order::RowColBand => [times(cols, bands), bands, 1],
        };
        Self::with_strides(path, header, numbers, strides)
    }

    /// A cube whose neighbours in row, column and band lie `strides` numbers apart. Fails when it is
    /// empty, overflows, is not the size of `numbers`, or would reach beyond them.
    pub(crate) fn with_strides(
        path: &Path,
        mut header: Header,
        numbers: Numbers,
        strides: [usize; 3],
    ) -> Result<Self> {
        let Header { rows, cols, bands, .. } = header;
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
        // The last value is the farthest; the product of the sizes fits, so this does.
        let last = [rows, cols, bands].iter().zip(&strides).try_fold(0usize, |sum, (n, step)| {
            (n - 1).checked_mul(*step).and_then(|far| far.checked_add(sum))
        });
        if last.is_none_or(|last| last >= numbers.len()) {
            return Err(Error::file(path, "holds fewer values than its axes span."));
        }
        header.integer = numbers.kind().is_integer();
        header.largest = numbers.kind().largest();
        let (kind, big) = (numbers.kind(), numbers.big_endian() && numbers.kind().size() > 1);
        let order = if big { " (big-endian)" } else { "" };
        header.format = format!("{}, {}{order}", header.format, kind.name());
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
        // In bounds: `with_strides` checked that the farthest value lies within.
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
