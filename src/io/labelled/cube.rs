//! A scene in one or more arrays of a file, read by windows of rows.

use super::store::{OnDisk, Store, StoredArray};
use crate::engine::ground::error::{Error, Result};
use crate::scene::{CubeSource, Header};

/// Bytes that are read at once, about.
const WINDOW: usize = 16 << 20;

/// The place of an array's bands in the scene.
pub(crate) struct Part<A> {
    pub(crate) array: A,
    /// Which axes of the array are rows, columns and bands.
    pub(crate) axes: [usize; 3],
    /// For each band of the array its place in the scene.
    pub(crate) bands: Vec<usize>,
}

/// A scene, read by windows of rows.
pub(crate) struct Cube<S: Store> {
    file: S,
    header: Header,
    parts: Vec<Part<S::Array>>,
}

impl<S: OnDisk> Cube<S> {
    /// `header.bands` must be the number of bands of all parts; rows and columns come from them.
    /// The file is opened again with room for the chunks that a row crosses.
    pub(crate) fn new(
        file: &S,
        mut header: Header,
        mut parts: Vec<Part<S::Array>>,
    ) -> Result<Self> {
        let path = file.path();
        let size = |part: &Part<S::Array>| {
            part.axes.map(|axis| part.array.shape().get(axis).copied().unwrap_or(0))
        };
        let Some([rows, cols, _]) = parts.first().map(size) else {
            return Err(Error::file(path, "holds no cube."));
        };
        for part in &parts {
            let [r, c, b] = size(part);
            if (r, c) != (rows, cols) || b != part.bands.len() {
                return Err(Error::file(
                    path,
                    format!(
                        "`{}` is {r} x {c} pixels with {b} bands, and {rows} x {cols} pixels with \
                         {} were expected.",
                        part.array.place(),
                        part.bands.len()
                    ),
                ));
            }
            if rows == 0 || cols == 0 || b == 0 {
                return Err(Error::file(path, format!("`{}` is empty.", part.array.place())));
            }
        }
        (header.rows, header.cols) = (rows, cols);
        header.integer = parts.iter().all(|part| part.array.kind().is_integer());
        if let [part] = &parts[..] {
            header.largest = part.array.kind().largest();
        }
        if header.format.is_empty() {
            let kinds: Vec<&str> = parts.iter().map(|part| part.array.kind().name()).collect();
            header.format = format!("{}, {}", S::FORMAT, kinds.first().unwrap_or(&""));
        }
        let cache = parts
            .iter()
            .map(|part| part.array.chunk_row(part.axes[0]))
            .fold(0, usize::saturating_add);
        let file = S::open_again(path, cache)?;
        for part in &mut parts {
            let place = part.array.place();
            let again = file.array_at(place).cloned();
            part.array = again.ok_or_else(|| {
                Error::file(path, format!("`{place}` is gone since it was opened."))
            })?;
        }
        Ok(Cube { file, header, parts })
    }
}

impl<S: Store> CubeSource for Cube<S> {
    fn header(&self) -> &Header {
        &self.header
    }

    fn read_rows(&mut self, first: usize, count: usize, out: &mut [f32]) -> Result<()> {
        let Header { cols, bands, .. } = self.header;
        self.header.check_rows(self.file.path(), first, count, out.len())?;
        for part in &self.parts {
            let row = (cols * part.bands.len() * part.array.kind().size()).max(1);
            let at_once = (WINDOW / row).clamp(1, count.max(1));
            for from in (0..count).step_by(at_once) {
                let some = at_once.min(count - from);
                let out = &mut out[from * cols * bands..][..some * cols * bands];
                self.read_part(part, first + from, some, out)?;
            }
        }
        Ok(())
    }
}

impl<S: Store> Cube<S> {
    fn read_part(
        &self,
        part: &Part<S::Array>,
        first: usize,
        count: usize,
        out: &mut [f32],
    ) -> Result<()> {
        let Header { cols, bands, .. } = self.header;
        let [rows_at, cols_at, bands_at] = part.axes;
        // Axes of length 1 beside the three stay whole.
        let mut window: Vec<_> = part.array.shape().iter().map(|n| 0..*n).collect();
        if let Some(range) = window.get_mut(rows_at) {
            *range = first..first + count;
        }
        let mut strides = vec![1; window.len()];
        for axis in (1..window.len()).rev() {
            strides[axis - 1] = strides[axis] * window[axis].len();
        }
        let values = self.file.window(&part.array, &window)?;
        if values.len() != count * cols * part.bands.len() {
            return Err(Error::file(
                self.file.path(),
                format!("`{}` holds fewer values than its size asks for.", part.array.place()),
            ));
        }
        let step = [strides[rows_at], strides[cols_at], strides[bands_at]];
        for (row, line) in out.chunks_exact_mut(cols * bands).enumerate() {
            for (col, pixel) in line.chunks_exact_mut(bands).enumerate() {
                let start = row * step[0] + col * step[1];
                for (band, &to) in part.bands.iter().enumerate() {
                    pixel[to] = values[start + band * step[2]];
                }
            }
        }
        Ok(())
    }
}
