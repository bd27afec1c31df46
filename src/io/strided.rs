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
    #[cfg(test)]
    /// Column, row, band: MATLAB's bands x pixels with column-major pixels.
    ColRowBand,
    #[cfg(test)]
    /// Band, column, row: MATLAB's or Fortran's (rows, columns, bands), and pixels x bands with
    /// column-major pixels.
    BandColRow,
}

impl Order {
    /// As ENVI calls it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Order::BandRowCol => "bsq",
            Order::RowBandCol => "bil",
            Order::RowColBand => "bip",
            #[cfg(test)]
            _ => "",
        }
    }
}

/// A cube that lies regularly in memory or in a file.
pub(crate) struct Strided {
    path: PathBuf,
    header: Header,
    numbers: Numbers,
    /// Numbers from one (row, column, band) to the next.
    strides: [usize; 3],
    slab: Slab,
}

/// Length, step in the file and step in the output.
type Axis = (usize, usize, usize);

/// Rows of a file in which rows run fastest, as they lie there.
#[derive(Default)]
struct Slab {
    bytes: Vec<u8>,
    rows: std::ops::Range<usize>,
}

/// Bytes of such rows that are held at a time.
const SLAB: usize = 128 << 20;
/// Numbers that are read along for one that is wanted: copying so many takes less time than
/// another call.
const SPARSE: usize = 8;

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
            #[cfg(test)]
            Order::ColRowBand => [bands, times(rows, bands), 1],
            #[cfg(test)]
            Order::BandColRow => [1, rows, times(rows, cols)],
        };
        Self::with_strides(path, header, numbers, strides)
    }

    /// A cube whose neighbours in row, column and band lie `strides` numbers apart. Fails when it
    /// is empty, overflows, is not the size of `numbers`, or would reach beyond them.
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
        let numbers = numbers.at_hand()?;
        header.integer = numbers.kind().is_integer();
        header.largest = numbers.kind().largest();
        let (kind, big) = (numbers.kind(), numbers.big_endian() && numbers.kind().size() > 1);
        let order = if big { " (big-endian)" } else { "" };
        header.format = format!("{}, {}{order}", header.format, kind.name());
        Ok(Strided { path: path.to_owned(), header, numbers, strides, slab: Slab::default() })
    }

    /// For readers that know more of the values than the numbers themselves tell; the size must
    /// stay.
    pub(crate) fn header_mut(&mut self) -> &mut Header {
        &mut self.header
    }
}

impl CubeSource for Strided {
    fn header(&self) -> &Header {
        &self.header
    }

    fn held(&self) -> u64 {
        self.numbers.held().map_or(0, |bytes| bytes.len() as u64)
    }

    fn read_rows(&mut self, first: usize, count: usize, out: &mut [f32]) -> Result<()> {
        let Header { cols, bands, .. } = self.header;
        self.header.check_rows(&self.path, first, count, out.len())?;
        if count == 0 {
            return Ok(());
        }
        let [row, col, band] = self.strides;
        // (length, step in the file, step in `out`), the longest step in the file outermost, so
        // that the file is read forwards.
        let mut axes = [(count, row, cols * bands), (cols, col, bands), (bands, band, 1)];
        axes.sort_by_key(|&(_, step, _)| std::cmp::Reverse(step));
        if self.numbers.is_in_file() && self.scattered(count, &axes) {
            return self.read_slab(first, count, out);
        }
        self.gather(first * row, &axes, out)
    }
}

impl Strided {
    /// True where the numbers of some rows are short runs that lie far apart: rows run fastest in
    /// the file, and are few of many.
    fn scattered(&self, count: usize, axes: &[Axis; 3]) -> bool {
        let [.., c] = axes;
        c.1 == self.strides[0]
            && self.header.cols * self.header.bands > 1
            && count * SPARSE < self.header.rows
    }

    /// Reads rows out of many that were read at once: a call for each short run would take longer
    /// than the reading.
    fn read_slab(&mut self, first: usize, count: usize, out: &mut [f32]) -> Result<()> {
        let Header { rows, cols, bands, .. } = self.header;
        let size = self.numbers.kind().size();
        let held = self.slab.rows.clone();
        if first < held.start || first + count > held.end {
            let most = (SLAB / (cols * bands * size).max(1)).max(count);
            let end = (first + most).min(rows);
            let taken = end - first;
            self.slab = Slab::default();
            let mut bytes = crate::scene::grow(&self.path, taken * cols * bands * size)?;
            let [_, col, band] = self.strides;
            let mut axes = [(cols, col), (bands, band)];
            axes.sort_by_key(|&(_, step)| std::cmp::Reverse(step));
            let [a, b] = axes;
            let mut buffer = Vec::new();
            for i in 0..a.0 {
                if taken * SPARSE >= rows {
                    // Runs and what lies between them in one go.
                    let from = first + i * a.1;
                    let whole =
                        self.numbers.bytes_of(from, (b.0 - 1) * b.1 + taken, &mut buffer)?;
                    for j in 0..b.0 {
                        let at = j * b.1 * size;
                        bytes.extend_from_slice(&whole[at..at + taken * size]);
                    }
                } else {
                    for j in 0..b.0 {
                        let from = first + i * a.1 + j * b.1;
                        bytes.extend_from_slice(self.numbers.bytes_of(from, taken, &mut buffer)?);
                    }
                }
            }
            self.slab = Slab { bytes, rows: first..end };
        }
        let Slab { bytes, rows: held } = &self.slab;
        let taken = held.end - held.start;
        let [_, col, band] = self.strides;
        // In the slab the axes lie as in the file, with fewer rows.
        let (col, band) = if col > band { (bands * taken, taken) } else { (taken, cols * taken) };
        decode!(self.numbers, bytes, f32, |values, decode| {
            for i in 0..cols {
                for j in 0..bands {
                    let from = first - held.start + i * col + j * band;
                    for k in 0..count {
                        out[k * cols * bands + i * bands + j] = decode(values[from + k]);
                    }
                }
            }
        });
        Ok(())
    }

    /// Reads the numbers along three axes from number `start` on.
    fn gather(&self, start: usize, axes: &[Axis; 3], out: &mut [f32]) -> Result<()> {
        let [a, b, c] = *axes;
        let run = (c.0 - 1) * c.1 + 1;
        let span = (b.0 - 1) * b.1 + run;
        // Numbers between the runs are read along where they are few.
        let together = span <= b.0 * c.0 * SPARSE;
        let mut buffer = Vec::new();
        // In bounds: `new` checked that rows * cols * bands is the number of values, so the
        // largest index is that number less one.
        for i in 0..a.0 {
            let from = start + i * a.1;
            let at_once = if together { b.0 } else { 1 };
            for j in (0..b.0).step_by(at_once) {
                let len = if together { span } else { run };
                let bytes = self.numbers.bytes_of(from + j * b.1, len, &mut buffer)?;
                decode!(self.numbers, bytes, f32, |values, decode| {
                    for m in 0..at_once {
                        let to = i * a.2 + (j + m) * b.2;
                        for k in 0..c.0 {
                            out[to + k * c.2] = decode(values[m * b.1 + k * c.1]);
                        }
                    }
                });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::super::bytes::FileBytes;
    use super::super::numbers::Kind;
    use super::*;

    /// Every order, in a file and in memory, by blocks of any number of rows: also where rows run
    /// fastest and a block is a small part of them.
    #[test]
    fn blocks_of_rows_are_the_same_from_every_order() {
        let (rows, cols, bands) = (41, 3, 5);
        let value = |r: usize, c: usize, b: usize| (100 * r + 10 * c + b) as u16;
        let header = Header { rows, cols, bands, ..Header::default() };
        let of_bytes = |order| -> Vec<u8> {
            let mut at = vec![0; rows * cols * bands];
            for r in 0..rows {
                for c in 0..cols {
                    for b in 0..bands {
                        let place = match order {
                            Order::BandRowCol => (b * rows + r) * cols + c,
                            Order::RowBandCol => (r * bands + b) * cols + c,
                            Order::RowColBand => (r * cols + c) * bands + b,
                            Order::ColRowBand => (c * rows + r) * bands + b,
                            Order::BandColRow => (b * cols + c) * rows + r,
                        };
                        at[place] = value(r, c, b);
                    }
                }
            }
            at.iter().flat_map(|v: &u16| v.to_be_bytes()).collect()
        };
        for order in [
            Order::BandRowCol,
            Order::RowBandCol,
            Order::RowColBand,
            Order::ColRowBand,
            Order::BandColRow,
        ] {
            let bytes = of_bytes(order);
            let mut file = tempfile::NamedTempFile::new().unwrap();
            file.write_all(&bytes).unwrap();
            let held = FileBytes::open(file.path()).unwrap();
            let in_file = Numbers::in_file(&held, 0..held.len(), Kind::U16, true).unwrap();
            for numbers in [in_file, Numbers::owned(bytes, Kind::U16, true)] {
                let mut cube =
                    Strided::new(Path::new("cube"), header.clone(), numbers, order).unwrap();
                for count in [1, 2, 7, rows] {
                    // Backwards, too: what was read at once does not lie ahead then.
                    for first in [0, count, rows - count, 3.min(rows - count)] {
                        let count = count.min(rows - first);
                        let mut out = vec![0.0; count * cols * bands];
                        cube.read_rows(first, count, &mut out).unwrap();
                        for (i, found) in out.iter().enumerate() {
                            let (r, c, b) = (i / bands / cols, i / bands % cols, i % bands);
                            let wanted = f32::from(value(first + r, c, b));
                            assert_eq!(*found, wanted, "{order:?}, {first} + {count}: {r} {c} {b}");
                        }
                    }
                }
            }
        }
    }
}
