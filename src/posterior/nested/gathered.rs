//! Sums over pixels of what each has, times what it has of each band: products of matrices, for
//! some groups of sixteen pixels at once.

use ndarray::{ArrayView2, s};

use crate::engine::ground::lanes::{LANES, Lanes};

/// Groups that are gathered before they are multiplied: 128 pixels of 200 bands are 100 KiB.
pub(super) const GROUPS: usize = 8;
/// Pixels that there is room for.
const ROOM: usize = GROUPS * LANES;

/// What some groups of pixels have.
pub(super) struct Gathered {
    /// Of each pixel, (rows, [`ROOM`]).
    of_pixels: Vec<f32>,
    /// Of each pixel and band, (L, [`ROOM`]).
    of_bands: Vec<f32>,
}

impl Gathered {
    /// Nothing yet.
    pub(super) fn new(rows: usize, bands: usize) -> Self {
        let room = |rows: usize| vec![0.0; rows * ROOM];
        Gathered { of_pixels: room(rows), of_bands: room(bands) }
    }

    /// Writes a row of a group below [`GROUPS`]; zeros in lanes without pixels.
    #[inline(always)]
    pub(super) fn put(&mut self, group: usize, row: usize, values: &Lanes<f32>) {
        self.of_pixels[row * ROOM + group * LANES..][..LANES].copy_from_slice(values);
    }

    /// Writes a band of a group below [`GROUPS`]; zeros in lanes without pixels.
    #[inline(always)]
    pub(super) fn put_band(&mut self, group: usize, band: usize, values: &Lanes<f32>) {
        self.of_bands[band * ROOM + group * LANES..][..LANES].copy_from_slice(values);
    }

    /// Sums over the pixels of the first `groups` of each row with each band: gives row, band and
    /// sum.
    pub(super) fn sums(&self, groups: usize, mut give: impl FnMut(usize, usize, f64)) {
        let pixels = groups * LANES;
        let table = |of: &[f32]| (of.len() / ROOM, ROOM);
        let rows = ArrayView2::from_shape(table(&self.of_pixels), &self.of_pixels);
        let bands = ArrayView2::from_shape(table(&self.of_bands), &self.of_bands);
        let (Ok(rows), Ok(bands)) = (rows, bands) else { return };
        let sums = rows.slice(s![.., ..pixels]).dot(&bands.slice(s![.., ..pixels]).t());
        for ((row, band), &sum) in sums.indexed_iter() {
            give(row, band, f64::from(sum));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// More groups than there is room for, and the last one not full.
    #[test]
    fn sums_are_those_of_one_pixel_after_the_other() {
        let (rows, bands, pixels) = (3, 5, (2 * GROUPS + 1) * LANES + 3);
        let x = |row: usize, n: usize| ((7 * row + n) as f32 * 0.37).sin();
        let y = |band: usize, n: usize| ((5 * band + n) as f32 * 0.23).cos();
        let mut gathered = Gathered::new(rows, bands);
        let mut found = vec![0.0; rows * bands];
        let mut groups = 0;
        for first in (0..pixels).step_by(LANES) {
            let lanes = |of: &dyn Fn(usize) -> f32| -> Lanes<f32> {
                std::array::from_fn(
                    |lane| if first + lane < pixels { of(first + lane) } else { 0.0 },
                )
            };
            (0..rows).for_each(|row| gathered.put(groups, row, &lanes(&|n| x(row, n))));
            (0..bands).for_each(|band| gathered.put_band(groups, band, &lanes(&|n| y(band, n))));
            groups += 1;
            if groups == GROUPS {
                gathered.sums(groups, |row, band, sum| found[row * bands + band] += sum);
                groups = 0;
            }
        }
        gathered.sums(groups, |row, band, sum| found[row * bands + band] += sum);
        // No groups add nothing.
        gathered.sums(0, |row, band, sum| found[row * bands + band] += sum);
        for (row, band) in (0..rows).flat_map(|row| (0..bands).map(move |band| (row, band))) {
            let plain: f64 =
                (0..pixels).map(|n| f64::from(x(row, n)) * f64::from(y(band, n))).sum();
            // Some hundred products in f32.
            assert!((found[row * bands + band] - plain).abs() < 1e-4, "{row} {band}");
        }
    }
}
