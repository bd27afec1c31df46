//! Which pixels of a scene the caller wants.

use std::ops::Range;

use crate::engine::ground::error::{Error, Result};

/// A mask over the pixels of a scene: true for those that are used.
#[derive(Debug, Clone, PartialEq)]
pub struct Mask {
    rows: usize,
    cols: usize,
    keep: Vec<bool>,
}

impl Mask {
    /// A mask of `rows` x `cols` pixels, row by row.
    ///
    /// # Errors
    /// [`Error::Option`] when `keep` holds another number of pixels, or none that is used.
    pub fn new(rows: usize, cols: usize, keep: Vec<bool>) -> Result<Self> {
        if rows.checked_mul(cols) != Some(keep.len()) {
            return Err(Error::option(
                "mask",
                format!("{} values are not {rows} rows x {cols} columns", keep.len()),
            ));
        }
        if !keep.contains(&true) {
            return Err(Error::option(
                "mask",
                "leaves no pixel: all of its values are 0; other values mark the pixels to use",
            ));
        }
        Ok(Mask { rows, cols, keep })
    }

    /// Height and width in pixels.
    pub fn size(&self) -> (usize, usize) {
        (self.rows, self.cols)
    }

    /// The part in these rows and columns, counted from 0, each range without its end.
    ///
    /// # Errors
    /// [`Error::Option`] when a range ends outside of the mask or no pixel is left.
    pub fn window(&self, rows: Range<usize>, cols: Range<usize>) -> Result<Self> {
        if rows.end > self.rows || cols.end > self.cols {
            return Err(Error::option(
                "mask",
                format!("has {} rows x {} columns, less than the window", self.rows, self.cols),
            ));
        }
        let size = (rows.len(), cols.len());
        let keep = rows
            .flat_map(|r| cols.clone().map(move |c| r * self.cols + c))
            .map(|place| self.has(place))
            .collect();
        Mask::new(size.0, size.1, keep)
    }

    /// Whether the pixel at `row * columns + column` is used.
    pub(super) fn has(&self, place: usize) -> bool {
        self.keep.get(place).copied().unwrap_or(false)
    }

    pub(super) fn check(&self, rows: usize, cols: usize) -> Result<()> {
        if (self.rows, self.cols) == (rows, cols) {
            return Ok(());
        }
        Err(Error::option(
            "mask",
            format!(
                "has {} rows x {} columns, the scene {rows} x {cols}; they must be of one size",
                self.rows, self.cols
            ),
        ))
    }
}
