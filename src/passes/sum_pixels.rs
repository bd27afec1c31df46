//! Sums over a chunk of rows in a fixed order: the log abundances and the rows' part of the ELBO.
//! Equation 14.

use rayon::prelude::*;

use super::{Access, Grid, Pass, rows_a_task, shader};
use crate::buffers::Buffers;
use crate::layout::{Buf, Params, ROW_GROUP};
use crate::math::Real;

/// One invocation a particle, chunk and sum.
pub static PASS: Pass = Pass {
    name: "sum_pixels",
    shader: shader!("sum_pixels"),
    bindings: &[
        (Buf::Theta, Access::Read),
        (Buf::Draws, Access::Read),
        (Buf::RowGrads, Access::Read),
        (Buf::RowSums, Access::Write),
    ],
    grid: |p| {
        Grid::Line(u64::from(p.particles) * u64::from(p.chunks) * (u64::from(p.endmembers) + 1))
    },
    trips: |p| u64::from(p.chunk_rows) * (1 + u64::from(p.endmembers)),
};

/// Sums over pixels on the CPU.
pub fn run<T: Real>(p: &Params, b: &mut Buffers<T>) {
    let (k, batch) = (p.k(), p.batch as usize);
    let (chunks, chunk_rows) = (p.chunks as usize, p.chunk_rows as usize);
    let half_precision = T::of(0.5 * f64::from(p.brightness_precision));
    let (theta, draws, row_grads) = (&b.theta, &b.draws, &b.row_grads);
    b.row_sums[..p.particles as usize * chunks * (k + 1)]
        .par_chunks_mut(k + 1)
        .with_min_len(rows_a_task(chunk_rows * (k + 1)))
        .enumerate()
        .for_each(|(at, sums)| {
            let (particle, first) = (at / chunks, at % chunks * chunk_rows);
            let a = &theta[particle * p.theta_stride() + p.dirichlet_at()..][..k];
            sums.fill(T::zero());
            let (logs, local) = sums.split_at_mut(k);
            let mut elbo = T::zero();
            for place in first..(first + chunk_rows).min(batch) {
                let at = p.row_at(particle, place, p.draw_stride());
                let draw = |column: usize| draws[at + column * ROW_GROUP];
                for (i, sum) in logs.iter_mut().enumerate() {
                    *sum = *sum + draw(k + i);
                }
                let (g, entropy) = (draw(2 * k + 1), draw(2 * k + 2));
                let at = p.row_at(particle, place, p.row_grad_stride());
                let density = row_grads[at + 2 * k * ROW_GROUP];
                elbo = elbo + (density - half_precision * g * g + entropy);
            }
            // The Dirichlet density is linear in the logs.
            let dirichlet: T = a.iter().zip(&*logs).map(|(&a, &log)| a * log).sum();
            local[0] = elbo + dirichlet;
        });
}
