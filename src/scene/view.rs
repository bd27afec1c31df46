//! A cube in memory that belongs to someone else, read as a file would be: no more of it is copied
//! at once than a block of rows.

use ndarray::{ArrayView3, ArrayViewMut3, s};
use num_traits::AsPrimitive;

use super::{CubeSource, Header};
use crate::engine::ground::error::{Error, Result};

/// A number that cubes are stored as.
pub trait Stored: AsPrimitive<f32> + Send + Sync {
    /// Its name, as NumPy has it.
    const NAME: &'static str;
    /// Whether it is whole.
    const INTEGER: bool;
    /// The largest one, of whole numbers of 8 or 16 bits.
    const LARGEST: Option<f64>;
}

macro_rules! stored {
    ($($number:ty, $name:literal, $integer:literal, $largest:expr;)*) => {
        $(impl Stored for $number {
            const NAME: &'static str = $name;
            const INTEGER: bool = $integer;
            const LARGEST: Option<f64> = $largest;
        })*
    };
}

stored! {
    u8, "uint8", true, Some(255.0);
    i8, "int8", true, Some(127.0);
    u16, "uint16", true, Some(65535.0);
    i16, "int16", true, Some(32767.0);
    u32, "uint32", true, None;
    i32, "int32", true, None;
    u64, "uint64", true, None;
    i64, "int64", true, None;
    f32, "float32", false, None;
    f64, "float64", false, None;
}

/// Values (rows, columns, bands) of any strides, and what is known of them.
#[derive(Debug)]
pub struct View<'a, T> {
    header: Header,
    values: ArrayView3<'a, T>,
}

impl<'a, T: Stored> View<'a, T> {
    /// The values with a header that says of them what `header` does; size and type of the numbers
    /// are their own.
    pub fn new(values: ArrayView3<'a, T>, header: Header) -> Self {
        let (rows, cols, bands) = values.dim();
        let format = format!("array, {}", T::NAME);
        let (integer, largest) = (T::INTEGER, T::LARGEST);
        View { header: Header { rows, cols, bands, integer, largest, format, ..header }, values }
    }
}

impl<T: Stored> CubeSource for View<'_, T> {
    fn header(&self) -> &Header {
        &self.header
    }

    fn read_rows(&mut self, first: usize, count: usize, out: &mut [f32]) -> Result<()> {
        copy_rows(self.values, first, count, out)
    }
}

/// Copies rows of `values`, (rows, columns, bands), to `out`, pixel by pixel.
///
/// # Errors
/// [`Error::Scene`] for rows that are not there, or room for another number of values.
pub(super) fn copy_rows<T: Stored>(
    values: ArrayView3<'_, T>,
    first: usize,
    count: usize,
    out: &mut [f32],
) -> Result<()> {
    let (rows, cols, bands) = values.dim();
    // A view may be of a part of a slice.
    let fits = count.checked_mul(cols * bands) == Some(out.len());
    let end = first.checked_add(count).filter(|&end| end <= rows);
    let to = ArrayViewMut3::from_shape((count, cols, bands), out);
    match (end, to) {
        (Some(end), Ok(mut to)) if fits => {
            to.zip_mut_with(&values.slice(s![first..end, .., ..]), |to, from| *to = from.as_());
            Ok(())
        }
        _ => Err(Error::Scene(format!(
            "rows {first} and {count} on were asked of a cube in memory with {rows} rows"
        ))),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use ndarray::Array3;

    use super::*;

    #[test]
    fn any_strides_and_numbers_give_the_values_they_hold() {
        // (bands, rows, columns), as rasters have them, every second column, upside down.
        let stored = Array3::from_shape_fn((3, 4, 10), |(b, r, c)| (100 * b + 10 * r + c) as i16);
        let seen = stored.view().permuted_axes([1, 2, 0]);
        let seen = seen.slice_move(s![..;-1, ..;2, ..]);
        let mut view = View::new(seen, Header { notes: vec!["kept".into()], ..Header::default() });
        assert_eq!((view.header.rows, view.header.cols, view.header.bands), (4, 5, 3));
        assert_eq!((view.header.integer, view.header.largest), (true, Some(32767.0)));
        assert_eq!(view.header.notes, ["kept"]);
        let mut out = vec![0.0; 2 * 5 * 3];
        view.read_rows(1, 2, &mut out).unwrap();
        for (at, value) in out.iter().enumerate() {
            let (r, c, b) = (2 - at / 15, 2 * (at / 3 % 5), at % 3);
            assert_eq!(*value, (100 * b + 10 * r + c) as f32);
        }
        assert!(view.read_rows(3, 2, &mut out).is_err());
        assert!(view.read_rows(0, 1, &mut out).is_err());
        assert!(view.read_rows(usize::MAX, 2, &mut out).is_err());
    }
}
