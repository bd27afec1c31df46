//! The hard case: a material that fills few pixels, or is much like another.

use ndarray::{Array2, Array3};
use rand::Rng;

use super::maps::Field;
use crate::engine::ground::error::{Error, Result};
use crate::engine::ground::setting;
use crate::score::sad;

/// Turns the last of `spectra` (K, bands), K at least 2, towards the first until the angle between
/// them is `angle` radians, at the length of the first. It stays a sum of spectra, so it is not
/// negative; where a value would exceed 1 the whole is darker.
///
/// # Errors
///
/// [`Error::Setting`] when they are closer already.
pub fn close(spectra: &mut Array2<f64>, angle: f64) -> Result<()> {
    let last = spectra.nrows() - 1;
    let (first, other) = (spectra.row(0).to_owned(), spectra.row(last).to_owned());
    let between = sad(first.view(), other.view());
    if angle >= between {
        return Err(Error::setting(
            setting::CLOSE,
            angle,
            format!(
                "the first and the last endmember are {between:.3} rad apart at these bands; give \
                 less than that."
            ),
        ));
    }
    let length = first.dot(&first).sqrt();
    let along = &first / length;
    let mut across = &other - &along * other.dot(&along);
    across /= across.dot(&across).sqrt();
    let mut turned = (along * angle.cos() + across * angle.sin()) * length;
    let peak = turned.iter().copied().fold(0.0, f64::max);
    if peak > 1.0 {
        turned /= peak;
    }
    // Round-off around an absorption to zero.
    turned.mapv_inplace(|c| c.max(0.0));
    spectra.row_mut(last).assign(&turned);
    Ok(())
}

/// Takes the last endmember out of `shares` (rows, cols, K), K at least 2, and puts it where a
/// smooth field is highest: alone in the `share` of all pixels, rounded and at least one, and
/// mixed, with less and less of it, in twice as many around. The cores (one pixel an endmember) of
/// the others stay as they are; that of the last becomes the field's highest pixel.
pub fn rare(shares: &mut Array3<f64>, cores: &mut [usize], share: f64, rng: &mut impl Rng) {
    let (rows, cols, k) = shares.dim();
    let last = k - 1;
    for mut pixel in shares.rows_mut() {
        let rest = 1.0 - pixel[last];
        pixel[last] = 0.0;
        if rest > 1e-9 {
            pixel /= rest;
        } else {
            pixel.fill(0.0);
            pixel[0] = 1.0;
        }
    }
    let field = Field::draw((rows, cols), rng).values();
    let mut order: Vec<(f64, usize)> = field.iter().copied().zip(0..).collect();
    order.retain(|(_, pixel)| !cores[..last].contains(pixel));
    order.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    let pure = ((share * (rows * cols) as f64).round() as usize).max(1);
    if let Some(&(_, pixel)) = order.first() {
        cores[last] = pixel;
    }
    for (rank, &(_, pixel)) in order.iter().take(3 * pure).enumerate() {
        let fill = match rank < pure {
            true => 1.0,
            false => 1.0 - (rank - pure + 1) as f64 / (2 * pure + 1) as f64,
        };
        let mut pixel = shares.slice_mut(ndarray::s![pixel / cols, pixel % cols, ..]);
        pixel *= 1.0 - fill;
        pixel[last] += fill;
    }
}
