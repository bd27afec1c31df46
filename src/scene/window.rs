//! A piece of a scene, read as if it were the whole.

use std::ops::Range;

use super::{CubeSource, Header, grow};
use crate::engine::ground::error::{Error, Result};

/// A rectangle of another source.
struct Window {
    inner: Box<dyn CubeSource>,
    header: Header,
    first_row: usize,
    cols: Range<usize>,
    /// Whole rows of the inner source, as many as were asked for at once.
    buffer: Vec<f32>,
}

/// The part of `source` in these rows and columns, counted from 0, each range without its end.
///
/// # Errors
/// [`Error::Option`] when a range is empty or ends outside of the scene.
pub fn window(
    source: Box<dyn CubeSource>,
    rows: Range<usize>,
    cols: Range<usize>,
) -> Result<Box<dyn CubeSource>> {
    let mut header = source.header().clone();
    for (what, range, size) in [("rows", &rows, header.rows), ("columns", &cols, header.cols)] {
        if range.start >= range.end || range.end > size {
            return Err(Error::option(
                format!("window of {what} {}:{}", range.start, range.end),
                format!(
                    "the scene has the {what} 0:{size}; the first must lie before the end, which \
                     is not part of the window"
                ),
            ));
        }
    }
    header.notes.push(format!(
        "Rows {}:{} and columns {}:{} of {} x {} pixels, as asked.",
        rows.start, rows.end, cols.start, cols.end, header.rows, header.cols
    ));
    let place = header.georeference.take();
    header.georeference = place
        .map(|place| place.window((rows.start, rows.len()), (cols.start, cols.len()), header.cols));
    (header.rows, header.cols) = (rows.len(), cols.len());
    Ok(Box::new(Window { inner: source, header, first_row: rows.start, cols, buffer: Vec::new() }))
}

impl CubeSource for Window {
    fn header(&self) -> &Header {
        &self.header
    }

    fn held(&self) -> u64 {
        self.inner.held()
    }

    fn read_rows(&mut self, first: usize, count: usize, out: &mut [f32]) -> Result<()> {
        let bands = self.header.bands;
        let (row, kept) = (self.inner.header().cols * bands, self.cols.len() * bands);
        let inside = first.checked_add(count).is_some_and(|end| end <= self.header.rows);
        if !inside || Some(out.len()) != count.checked_mul(kept) {
            return Err(Error::Scene(format!(
                "rows {first} and {count} on were asked of a window of {} rows",
                self.header.rows
            )));
        }
        let needed = row.saturating_mul(count);
        if self.buffer.len() < needed {
            self.buffer = grow(std::path::Path::new("window"), needed)?;
            self.buffer.resize(needed, 0.0);
        }
        let buffer = &mut self.buffer[..needed];
        self.inner.read_rows(self.first_row + first, count, buffer)?;
        let rows = buffer.chunks_exact(row).zip(out.chunks_exact_mut(kept));
        for (from, to) in rows {
            to.copy_from_slice(&from[self.cols.start * bands..self.cols.end * bands]);
        }
        Ok(())
    }
}
