//! Gradient of the loadings of the minibatch's pixels, mean over particles: equation 29. No N / B:
//! a pixel's own terms count once.

use std::sync::atomic::{AtomicBool, Ordering};

use rayon::prelude::*;

use super::pass::{Access, Grid, Pass, rows_a_task, shader};
use crate::engine::ground::math::Real;
use crate::engine::layout::{Buf, Params, ROW_GROUP};
use crate::engine::passes::buffers::Buffers;

/// One invocation a latent of a pixel of the minibatch; none without the low-rank guide.
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
    let (locals, pixel_of) = (&b.locals, &b.pixel_of[..batch]);
    let (inverse, etas) = (&b.rank_inverse, &b.rank_eps);
    let share = T::one() / T::of(f64::from(p.particles));
    let bad = AtomicBool::new(false);
    let (grads, by_standards) = b.local_grads.split_at_mut(p.groups() * ROW_GROUP * stride);
    grads
        .par_chunks_mut(ROW_GROUP * stride)
        .zip(by_standards.par_chunks(ROW_GROUP * particles * latents))
        .with_min_len(rows_a_task(ROW_GROUP * latents * rank * rank))
        .zip(pixel_of.par_chunks(ROW_GROUP))
        .for_each(|((grads, by_standards), pixels)| {
            for (lane, &pixel) in pixels.iter().enumerate() {
                let guide = &locals[p.place_at(pixel as usize, stride)..];
                for j in 0..latents {
                    let at = |r: usize| (p.loadings_at() + j * rank + r) * ROW_GROUP + lane;
                    let of_row = |r: usize| guide[(p.loadings_at() + j * rank + r) * ROW_GROUP];
                    // What the entropy asks: V M^-1.
                    for r in 0..rank {
                        let columns = inverse[r..].iter().step_by(rank);
                        grads[at(r)] = (0..rank).zip(columns).map(|(q, &m)| of_row(q) * m).sum();
                    }
                    for (particle, eta) in etas.chunks_exact(rank).take(particles).enumerate() {
                        let by_standard =
                            |i: usize| by_standards[(particle * latents + i) * ROW_GROUP + lane];
                        // Latent j is in those after it, by the column of T.
                        let later = (j + 1..latents).map(|i| {
                            guide[(2 * latents + i * (i - 1) / 2 + j) * ROW_GROUP] * by_standard(i)
                        });
                        let by_shared = (by_standard(j) + later.sum::<T>()) * share;
                        for (r, &eta) in eta.iter().enumerate() {
                            grads[at(r)] = grads[at(r)] + by_shared * eta;
                        }
                    }
                    if (0..rank).any(|r| !grads[at(r)].is_finite()) {
                        bad.store(true, Ordering::Relaxed);
                    }
                }
            }
        });
    b.status[0] |= u32::from(bad.into_inner());
}
