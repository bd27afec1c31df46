//! Spectra first: abundances without brightness, given the spectra of a fit with brightness.
//!
//! A scene is shaded whether abundances have a brightness or not. Fitted together with abundances
//! that have none, spectra give way to shade: they become brighter than any pixel, and their pixels
//! mixtures with something dark. So the spectra come from a fit with brightness, get the size that
//! their pixels have, and stay, as does how they vary; the rest is fitted given them. What a model
//! that is known to be wrong says about the spectra is cut off: a cut posterior (Plummer,
//! Statistics and Computing 2015), each of its two parts by SVI (Yu, Nott and Smith, Statistical
//! Science 2023).

use std::sync::Arc;

use ndarray::{ArrayView1, Zip};

use crate::convention::Convention;
use crate::engine::ground::error::Result;
use crate::engine::ground::math::{sigmoid, softplus, softplus_inverse};
use crate::engine::guide::Guide;
use crate::engine::layout::{Params, VARIABILITY};
use crate::engine::model::Model;
use crate::engine::pixels::Pixels;
use crate::engine::svi::Settings;
use crate::posterior::Means;
use crate::starts::{self, purest};

/// The guide of `model`, without brightness and with held endmembers, around the spectra of
/// `shaded`, a fit with brightness. What it knows of the spectra and of their variability stays,
/// but for their sizes.
///
/// # Errors
///
/// As [`starts::begin`].
pub fn begin(model: &Model, settings: &Settings, pixels: &Pixels, shaded: &Guide) -> Result<Guide> {
    let (p, from, cube) = (&shaded.params, &shaded.globals, pixels.cube());
    // Which pixels are purest must not depend on the sizes that brightness leaves open.
    let in_order = Pixels::as_given(Arc::clone(cube));
    let means = Means::new(shaded, &in_order, Convention::Peak);
    let medians = shaded.medians();
    let pure = purest(cube, &means.abundances, &medians)?;
    let sizes: Vec<f64> =
        Zip::from(medians.rows()).and(pure.rows()).map_collect(size).into_iter().collect();
    let mut spectra = medians;
    spectra.rows_mut().into_iter().zip(&sizes).for_each(|(mut row, size)| row *= *size);
    let mut guide = starts::begin(model, settings, pixels, spectra)?;
    let to = guide.params;
    for (k, &size) in sizes.iter().enumerate() {
        for l in 0..cube.bands() {
            resize(p, from, &to, &mut guide.globals, (k, l), size);
        }
    }
    Ok(guide)
}

/// The factor that brings a spectrum closest to the mean of its purest pixels; 1 where they are
/// dark.
fn size(spectrum: ArrayView1<f64>, pure: ArrayView1<f64>) -> f64 {
    let size = spectrum.dot(&pure) / spectrum.dot(&spectrum);
    if size.is_finite() && size > 0.0 { size } else { 1.0 }
}

/// Carries one value of a spectrum over, `size` times as large: u of `softplus(u)` with the scale
/// that the same relative uncertainty has there (the delta method), and the guide of the sd between
/// pixels. Loadings are in units of scales, and so stay as they are.
fn resize(
    p: &Params,
    from: &[f32],
    to: &Params,
    globals: &mut [f32],
    (k, l): (usize, usize),
    size: f64,
) {
    let at = k * p.stride() + l;
    let (loc, log_scale) = (f64::from(from[at]), f64::from(from[p.globals as usize + at]));
    let resized = softplus_inverse((size * softplus(loc)).max(f64::MIN_POSITIVE));
    globals[at] = resized as f32;
    globals[to.globals as usize + at] =
        (log_scale + (size * sigmoid(loc) / sigmoid(resized)).ln()) as f32;
    carry_loadings(p, from, to, globals, (at, at));
    if p.has(VARIABILITY) && to.has(VARIABILITY) {
        let (old, new) = (p.variability_at() + at, to.variability_at() + at);
        globals[new] = from[old] + size.ln() as f32;
        globals[to.globals as usize + new] = from[p.globals as usize + old];
        carry_loadings(p, from, to, globals, (old, new));
    }
}

/// Carries the loadings of a scene latent over; none where the guide is not of low rank.
fn carry_loadings(
    p: &Params,
    from: &[f32],
    to: &Params,
    globals: &mut [f32],
    (old, new): (usize, usize),
) {
    let rank = p.rank.min(to.rank) as usize;
    let (old, new) = (
        2 * p.globals as usize + old * p.rank as usize,
        2 * to.globals as usize + new * to.rank as usize,
    );
    globals[new..new + rank].copy_from_slice(&from[old..old + rank]);
}
