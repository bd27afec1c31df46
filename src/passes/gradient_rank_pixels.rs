//! Gradient of the loadings of the minibatch's pixels, mean over particles: equation 29. As for their
//! other parameters, no N / B.

use std::sync::atomic::{AtomicBool, Ordering};

use rayon::prelude::*;

use super::{Access, Grid, Pass, rows_a_task, shader};
use crate::buffers::Buffers;
use crate::layout::{Buf, Params};
use crate::math::Real;

/// One invocation a latent of a pixel of the minibatch; none without the guide.
pub static PASS: Pass = Pass {
    name: "gradient_rank_pixels",
    shader: shader!("gradient_rank_pixels", "finite"),
    bindings: &[
        (Buf::Locals, Access::Read),
        (Buf::PixelOf, Access::Read),
        (Buf::RankEps, Access::Read),
        (Buf::RankInverse, Access::Read),
        (Buf::LocalGrads, Access::Write),
        (Buf::Status, Access::Write),
    ],
    grid: |p| {
        let latents = u64::from(p.batch) * u64::from(p.latents);
        Grid::Line(if p.rank > 0 { latents } else { 0 })
    },
    trips: |p| {
        let (rank, latents) = (u64::from(p.rank), u64::from(p.latents));
        rank * (2 + rank) + u64::from(p.particles) * (1 + latents + rank)
    },
};

/// Chains on the CPU.
pub fn run<T: Real>(p: &Params, b: &mut Buffers<T>) {
    let (latents, stride, rank) = (p.latents as usize, p.local_stride as usize, p.rank as usize);
    let (batch, particles) = (p.batch as usize, p.particles as usize);
    if latents == 0 || rank == 0 {
        return;
    }
    let (locals, pixel_of) = (&b.locals, &b.pixel_of);
    let (inverse, etas) = (&b.rank_inverse, &b.rank_eps);
    let share = T::one() / T::of(f64::from(p.particles));
    let bad = AtomicBool::new(false);
    let (grads, by_standards) = b.local_grads.split_at_mut(batch * stride);
    grads
        .par_chunks_mut(stride)
        .zip(by_standards.par_chunks(particles * latents))
        .with_min_len(rows_a_task(latents * rank * rank))
        .enumerate()
        .for_each(|(place, (grads, by_standards))| {
            let guide = &locals[pixel_of[place] as usize * stride..][..stride];
            let (_, loadings) = guide.split_at(p.loadings_at());
            let (_, grads) = grads.split_at_mut(p.loadings_at());
            for (j, (row, grads)) in
                loadings.chunks_exact(rank).zip(grads.chunks_exact_mut(rank)).enumerate()
            {
                by_entropy(row, inverse, grads);
                for (by_standard, eta) in
                    by_standards.chunks_exact(latents).zip(etas.chunks_exact(rank))
                {
                    // Latent j is in those after it, by the column of T.
                    let later = (j + 1..latents)
                        .map(|i| guide[2 * latents + i * (i - 1) / 2 + j] * by_standard[i]);
                    let by_shared = (by_standard[j] + later.sum::<T>()) * share;
                    for (grad, &eta) in grads.iter_mut().zip(eta) {
                        *grad = *grad + by_shared * eta;
                    }
                }
                if grads.iter().any(|grad| !grad.is_finite()) {
                    bad.store(true, Ordering::Relaxed);
                }
            }
        });
    b.status[0] |= u32::from(bad.into_inner());
}

/// What the entropy asks of a latent's loadings: `V M^-1`.
pub fn by_entropy<T: Real>(row: &[T], inverse: &[T], grads: &mut [T]) {
    grads.fill(T::zero());
    for (&v, inverse) in row.iter().zip(inverse.chunks_exact(row.len())) {
        for (grad, &m) in grads.iter_mut().zip(inverse) {
            *grad = *grad + v * m;
        }
    }
}
