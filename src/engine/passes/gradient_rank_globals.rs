//! Gradient of the loadings of the scene latents, mean over particles, of the ELBO a pixel:
//! equation 29.

use std::sync::atomic::{AtomicBool, Ordering};

use rayon::prelude::*;

use super::pass::{Access, Grid, Pass, rows_a_task, shader};
use crate::engine::ground::math::Real;
use crate::engine::layout::{Buf, Params};
use crate::engine::passes::buffers::Buffers;

/// One invocation a scene latent; none without the low-rank guide.
pub static PASS: Pass = Pass {
    name: "gradient_rank_globals",
    shader: shader!("gradient_rank_globals", "finite"),
    bindings: &[
        (Buf::Globals, Access::Read),
        (Buf::RankEps, Access::Read),
        (Buf::RankInverse, Access::Read),
        (Buf::GlobalTerms, Access::Read),
        (Buf::GlobalGrads, Access::Write),
        (Buf::Status, Access::Write),
    ],
    grid: |p| Grid::Line(if p.rank > 0 { u64::from(p.globals) } else { 0 }),
    trips: |p| {
        let (rank, particles) = (u64::from(p.rank), u64::from(p.particles));
        rank * (1 + rank + particles)
    },
};

/// Chains on the CPU. Padding has no loadings, and no slope to get some.
pub fn run<T: Real>(p: &Params, b: &mut Buffers<T>) {
    let (g, rank, particles) = (p.globals as usize, p.rank as usize, p.particles as usize);
    if rank == 0 {
        return;
    }
    let (inverse, etas) = (&b.rank_inverse, &b.rank_eps);
    let per_pixel = T::of(f64::from(p.per_pixel));
    let share = T::one() / T::of(f64::from(p.particles));
    let bad = AtomicBool::new(false);
    b.global_grads[2 * g..]
        .par_chunks_mut(rank)
        .zip(b.globals[2 * g..].par_chunks(rank))
        .zip(b.global_terms[g..].par_chunks(particles))
        .with_min_len(rows_a_task(rank * rank))
        .for_each(|((grads, row), by_standards)| {
            by_entropy(row, inverse, grads);
            for (r, grad) in grads.iter_mut().enumerate() {
                for (particle, &by_standard) in by_standards.iter().enumerate() {
                    *grad = *grad + share * by_standard * etas[particle * rank + r];
                }
                *grad = *grad * per_pixel;
            }
            if grads.iter().any(|grad| !grad.is_finite()) {
                bad.store(true, Ordering::Relaxed);
            }
        });
    b.status[0] |= u32::from(bad.into_inner());
}

/// The entropy's gradient by a latent's loadings: `V M^-1`.
fn by_entropy<T: Real>(row: &[T], inverse: &[T], grads: &mut [T]) {
    grads.fill(T::zero());
    for (&v, inverse) in row.iter().zip(inverse.chunks_exact(row.len())) {
        for (grad, &m) in grads.iter_mut().zip(inverse) {
            *grad = *grad + v * m;
        }
    }
}
