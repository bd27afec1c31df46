//! What the likelihood asks of each row, as sums over bands: `H_k = sum A c_k`,
//! `Q_k = sum B v_k^2`, and the row's log density. Equation 9.

use rayon::prelude::*;

use super::{Access, Grid, Pass, rows_a_task, shader, sum_lanes};
use crate::buffers::Buffers;
use crate::layout::{Buf, Params, VARIABILITY};
use crate::math::Real;

/// One invocation a place of the minibatch, particle and sum.
pub static PASS: Pass = Pass {
    name: "gradient_abundances",
    shader: shader!("gradient_abundances"),
    bindings: &[
        (Buf::Theta, Access::Read),
        (Buf::ScoreMean, Access::Read),
        (Buf::ScoreVariance, Access::Read),
        (Buf::LogDensity, Access::Read),
        (Buf::RowGrads, Access::Write),
    ],
    grid: |p| Grid::Line((p.rows() * p.row_grad_stride()) as u64),
    // Three kinds of column.
    trips: |p| 3 * u64::from(p.quads),
};

/// Sums over bands on the CPU.
pub fn run<T: Real>(p: &Params, b: &mut Buffers<T>) {
    let (stride, quads, k, batch) = (p.stride(), p.quads as usize, p.k(), p.batch as usize);
    let particles = p.particles as usize;
    let (theta, score_mean, score_variance, log_density) =
        (&b.theta, &b.score_mean, &b.score_variance, &b.log_density);
    b.row_grads[..p.rows() * p.row_grad_stride()]
        .par_chunks_mut(p.row_grad_stride())
        .with_min_len(rows_a_task(stride))
        .enumerate()
        .for_each(|(at, out)| {
            let (place, particle) = (at / particles, at % particles);
            let row = particle * batch + place;
            let theta = &theta[particle * p.theta_stride()..][..p.theta_stride()];
            let a = &score_mean[row * stride..][..stride];
            for (h, endmember) in out.iter_mut().zip(theta.chunks_exact(stride)).take(k) {
                *h = sum_lanes(a, endmember, |a, c| a * c);
            }
            let b = &score_variance[row * stride..][..stride];
            for (i, q) in out[k..2 * k].iter_mut().enumerate() {
                *q = if p.has(VARIABILITY) {
                    sum_lanes(b, &theta[(k + 1 + i) * stride..][..stride], |b, v| b * v)
                } else {
                    T::zero()
                };
            }
            let densities = &log_density[row * quads..][..quads];
            out[2 * k] = sum_lanes(densities, densities, |d, _| d);
        });
}
