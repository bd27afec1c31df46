//! The likelihood's gradient by the abundances of each row, as sums over bands: `H_k = sum A c_k`,
//! `Q_k = sum B v_k^2`, and the row's log density. Equation 9.

use rayon::prelude::*;

use super::pass::{Access, Grid, Pass, rows_a_task, shader, sum_lanes};
use crate::engine::ground::math::Real;
use crate::engine::layout::{Buf, Params, ROW_GROUP, VARIABILITY};
use crate::engine::passes::buffers::Buffers;

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
    let columns = p.row_grad_stride();
    b.row_grads[..p.groups() * particles * columns * ROW_GROUP]
        .par_chunks_mut(columns * ROW_GROUP)
        .with_min_len(rows_a_task(ROW_GROUP * stride))
        .enumerate()
        .for_each(|(at, out)| {
            let (group, particle) = (at / particles, at % particles);
            let theta = &theta[particle * p.theta_stride()..][..p.theta_stride()];
            for (lane, place) in (group * ROW_GROUP..batch).take(ROW_GROUP).enumerate() {
                let row = particle * batch + place;
                let a = &score_mean[row * stride..][..stride];
                let b = &score_variance[row * stride..][..stride];
                for i in 0..k {
                    let endmember = &theta[i * stride..][..stride];
                    out[i * ROW_GROUP + lane] = sum_lanes(a, endmember, |a, c| a * c);
                    out[(k + i) * ROW_GROUP + lane] = if p.has(VARIABILITY) {
                        let varies = &theta[(k + 1 + i) * stride..][..stride];
                        sum_lanes(b, varies, |b, v| b * v)
                    } else {
                        T::zero()
                    };
                }
                let densities = &log_density[row * quads..][..quads];
                out[2 * k * ROW_GROUP + lane] = sum_lanes(densities, densities, |d, _| d);
            }
        });
}
