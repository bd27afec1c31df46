//! Abundances where pixels differ in brightness.

use ndarray::{Array1, Array2};
use rayon::prelude::*;

use super::fcls::fcls_scaled;
use super::sums::sum;
use crate::engine::ground::error::Result;
use crate::scene::Cube;

/// Least sum of a spectrum over its bands: a darker one has no shape to speak of.
const LEAST_SUM: f64 = 1e-3;

/// Abundances (N, K) and log brightness (N) that bring `endmembers` (K, L) closest to each pixel of
/// `cube`: FCLS on spectra and endmembers that are divided by their sums over bands, mapped back to
/// shares of the endmembers as they are; the brightness is what then is left between the sums.
///
/// FCLS on the spectra themselves takes shade for the darkest endmember.
///
/// # Errors
///
/// What [`fcls`](super::fcls()) refuses: [`Error::Scene`](crate::Error::Scene) when there is no
/// endmember, or when the numbers of bands differ.
pub fn fcls_with_brightness(
    cube: &Cube,
    endmembers: &Array2<f64>,
) -> Result<(Array2<f32>, Array1<f32>)> {
    let sums: Vec<f64> = endmembers.rows().into_iter().map(|c| c.sum().max(LEAST_SUM)).collect();
    let mut shapes = endmembers.clone();
    for (mut shape, sum) in shapes.rows_mut().into_iter().zip(&sums) {
        shape /= *sum;
    }
    let bright: Vec<f64> = (0..cube.pixels())
        .into_par_iter()
        .map(|n| sum(&cube.padded()[n * cube.stride()..][..cube.stride()]).max(LEAST_SUM))
        .collect();
    let mut abundances = fcls_scaled(cube, &shapes, |n| 1.0 / bright[n])?;
    let mut log_brightness = Array1::zeros(cube.pixels());
    for ((mut row, log), bright) in
        abundances.rows_mut().into_iter().zip(&mut log_brightness).zip(&bright)
    {
        // A share v of the shapes is a share v / sum of the spectra; sum_k W_k sum_k = 1 / total.
        row.iter_mut().zip(&sums).for_each(|(v, sum)| *v = (f64::from(*v) / sum) as f32);
        let total = row.sum();
        row /= total;
        *log = (bright * f64::from(total)).ln() as f32;
    }
    Ok((abundances, log_brightness))
}
