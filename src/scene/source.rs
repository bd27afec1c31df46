//! A cube that is read by blocks of rows, wherever it lies.

use std::path::Path;

use super::Georeference;
use crate::engine::ground::error::{Error, Result};

/// A cube in a file, read by blocks of rows.
pub trait CubeSource: Send {
    /// Size and what the file says about itself.
    fn header(&self) -> &Header;

    /// Reads rows `first .. first + count` into `out`, ordered (row, column, band):
    /// `out.len() == count * cols * bands`. Values as stored, not scaled.
    fn read_rows(&mut self, first: usize, count: usize, out: &mut [f32]) -> Result<()>;

    /// Bytes of values that are in memory already, since the file could not be read by rows: packed
    /// as one stream, say. None of a file that is read by rows.
    fn held(&self) -> u64 {
        0
    }
}

/// What a file says about its cube.
#[derive(Debug, Clone, Default)]
pub struct Header {
    /// Height in pixels.
    pub rows: usize,
    /// Width in pixels.
    pub cols: usize,
    /// Number of bands.
    pub bands: usize,
    /// Centre wavelengths in nanometres, one a band.
    pub wavelengths: Option<Vec<f64>>,
    /// Widths of the bands at half of their maximum, in nanometres, one a band.
    pub fwhm: Option<Vec<f64>>,
    /// Where it lies on earth.
    pub georeference: Option<Georeference>,
    /// False for bands that the file marks as bad (ENVI `bbl`).
    pub good_bands: Option<Vec<bool>>,
    /// The value that stands for no data.
    pub ignore_value: Option<f64>,
    /// Gain and offset that the file states for the conversion to reflectance, one a band or one
    /// for all, and the key they came from.
    pub stated_scale: Option<(Vec<f64>, Vec<f64>, String)>,
    /// True when values are stored as integers.
    pub integer: bool,
    /// The largest number that the stored type can hold, where values are stored as integers of 8
    /// or 16 bits: 127, 255, 32767 or 65535.
    pub largest: Option<f64>,
    /// The file's format and the type of its values, for the reader: "ENVI bil, int16".
    pub format: String,
    /// What was assumed while the file was opened, one sentence each.
    pub notes: Vec<String>,
}

impl Header {
    /// Refuses rows that the image of the file at `path` does not have, and room for another number
    /// of values than they hold.
    pub(crate) fn check_rows(
        &self,
        path: &Path,
        first: usize,
        count: usize,
        room: usize,
    ) -> Result<()> {
        let fits = first.checked_add(count).is_some_and(|end| end <= self.rows);
        if fits && room == count * self.cols * self.bands {
            return Ok(());
        }
        Err(Error::file(
            path,
            format!(
                "rows {first} to {first} + {count} of {} were asked for, into {room} values.",
                self.rows
            ),
        ))
    }
}
