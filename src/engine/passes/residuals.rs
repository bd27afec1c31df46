//! Residuals of the drawn mixtures, `r = y - mu`, where bands share their noise. Equation 6.

use rayon::prelude::*;

use super::pass::{Access, Grid, Pass, rows_a_task, shader};
use crate::engine::ground::math::Real;
use crate::engine::layout::{Buf, COVARIANCE, Params};
use crate::engine::passes::buffers::Buffers;

/// One invocation a row and four bands.
pub static PASS: Pass = Pass {
    name: "residuals",
    shader: shader!("residuals", "cube"),
    bindings: &[
        (Buf::Cube, Access::Read),
        (Buf::PixelOf, Access::Read),
        (Buf::Mu, Access::Read),
        (Buf::Residuals, Access::Write),
    ],
    grid: |p| Grid::of_covariance(p, p.rows() as u64 * u64::from(p.quads)),
    trips: |_| 0,
};

/// Subtracts on the CPU.
pub fn run<T: Real>(p: &Params, b: &mut Buffers<T>) {
    if !p.has(COVARIANCE) {
        return;
    }
    let (stride, batch) = (p.stride(), p.batch as usize);
    let (cube, pixel_of, mu) = (&b.cube, &b.pixel_of, &b.mu);
    b.residuals[..p.rows() * stride]
        .par_chunks_mut(stride)
        .with_min_len(rows_a_task(stride))
        .enumerate()
        .for_each(|(row, residuals)| {
            let y = cube.spectrum(pixel_of[row % batch] as usize);
            for ((r, &y), &mu) in residuals.iter_mut().zip(y).zip(&mu[row * stride..]) {
                *r = T::of(f64::from(y)) - mu;
            }
        });
}
