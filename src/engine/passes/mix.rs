//! Mixes the drawn endmembers by the drawn abundances: `mu = exp(g) sum_k W_k c_k`. Equation 6.

use rayon::prelude::*;

use super::pass::{Access, Grid, Pass, rows_a_task, shader};
use crate::engine::ground::math::Real;
use crate::engine::layout::{Buf, Params, ROW_GROUP};
use crate::engine::passes::buffers::Buffers;

/// One invocation a row and four bands.
pub static PASS: Pass = Pass {
    name: "mix",
    shader: shader!("mix"),
    bindings: &[(Buf::Theta, Access::Read), (Buf::Draws, Access::Read), (Buf::Mu, Access::Write)],
    grid: |p| Grid::Line(p.rows() as u64 * u64::from(p.quads)),
    trips: |p| u64::from(p.endmembers),
};

/// Mixes on the CPU.
pub fn run<T: Real>(p: &Params, b: &mut Buffers<T>) {
    let (stride, k, batch) = (p.stride(), p.k(), p.batch as usize);
    let (draws, theta) = (&b.draws, &b.theta);
    b.mu[..p.rows() * stride]
        .par_chunks_mut(stride)
        .with_min_len(rows_a_task(stride))
        .enumerate()
        .for_each(|(row, mu)| {
            let (particle, place) = (row / batch, row % batch);
            let at = p.row_at(particle, place, p.draw_stride());
            let endmembers = &theta[particle * p.theta_stride()..][..k * stride];
            mu.fill(T::zero());
            for (i, endmember) in endmembers.chunks_exact(stride).enumerate() {
                let amount = draws[at + 2 * k * ROW_GROUP] * draws[at + i * ROW_GROUP];
                for (m, &c) in mu.iter_mut().zip(endmember) {
                    *m = *m + amount * c;
                }
            }
        });
}
