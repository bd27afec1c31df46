//! The chain from abundances and brightness to the guide of each pixel of the minibatch, mean over
//! particles. No N / B: a pixel's own terms count once. Equations 10 to 12.

use std::sync::atomic::{AtomicBool, Ordering};

use rayon::prelude::*;

use super::sample_pixels::standard;
use super::{Access, Grid, Pass, rows_a_task, shader};
use crate::buffers::Buffers;
use crate::layout::{Buf, FULL_RANK, Params};
use crate::math::Real;

/// One invocation a pixel of the minibatch.
pub static PASS: Pass = Pass {
    name: "gradient_pixels",
    shader: shader!("gradient_pixels", "finite"),
    bindings: &[
        (Buf::Theta, Access::Read),
        (Buf::Locals, Access::Read),
        (Buf::PixelOf, Access::Read),
        (Buf::LocalEps, Access::Read),
        (Buf::Draws, Access::Read),
        (Buf::RowGrads, Access::Read),
        (Buf::LocalGrads, Access::Write),
        (Buf::Status, Access::Write),
    ],
    grid: |p| Grid::Line(u64::from(p.batch)),
    trips: |p| {
        let latents = u64::from(p.latents);
        2 * u64::from(p.local_stride)
            + u64::from(p.particles) * (1 + u64::from(p.endmembers) + latents * (1 + latents) / 2)
    },
};

/// Chains on the CPU.
pub fn run<T: Real>(p: &Params, b: &mut Buffers<T>) {
    let (latents, local_stride, batch, k) =
        (p.latents as usize, p.local_stride as usize, p.batch as usize, p.k());
    if latents == 0 {
        return;
    }
    let (theta, locals, pixel_of, local_eps, draws, row_grads) =
        (&b.theta, &b.locals, &b.pixel_of, &b.local_eps, &b.draws, &b.row_grads);
    let bad = AtomicBool::new(false);
    let two = T::of(2.0);
    let particles = p.particles as usize;
    let (grads, by_standards) = b.local_grads.split_at_mut(batch * local_stride);
    grads
        .par_chunks_mut(local_stride)
        .zip(by_standards.par_chunks_mut(particles * latents))
        .with_min_len(rows_a_task(local_stride * 8))
        .enumerate()
        .for_each(|(place, (grads, by_standards))| {
            let guide = &locals[pixel_of[place] as usize * local_stride..][..local_stride];
            grads.fill(T::zero());
            for particle in 0..particles {
                let row = particle * batch + place;
                let draw = &draws[row * p.draw_stride()..][..p.draw_stride()];
                let eps = &local_eps[row * latents..][..latents];
                let sums = place * p.particles as usize + particle;
                let sums = &row_grads[sums * p.row_grad_stride()..][..2 * k];
                let a = &theta[particle * p.theta_stride() + p.dirichlet_at()..][..k];
                let brightness = draw[2 * k];
                let slope = |i: usize| brightness * sums[i] + two * draw[i] * sums[k + i];
                let mean_slope: T = (0..k).map(|i| draw[i] * slope(i)).sum();
                let total: T = a.iter().copied().sum();
                for j in 0..latents {
                    let by_z = if j + 1 < k {
                        draw[j] * (slope(j) - mean_slope) + a[j] - total * draw[j]
                    } else {
                        let mixed: T = (0..k).map(|i| draw[i] * sums[i]).sum();
                        brightness * mixed
                            - T::of(f64::from(p.brightness_precision)) * draw[2 * k + 1]
                    };
                    grads[j] = grads[j] + by_z;
                    let by_standard = by_z * guide[latents + j].quick_exp();
                    by_standards[particle * latents + j] = by_standard;
                    let x = standard(p.has(FULL_RANK), guide, eps, j);
                    grads[latents + j] = grads[latents + j] + by_standard * x + T::one();
                    if p.has(FULL_RANK) {
                        for (grad, &e) in grads[2 * latents + j * j.saturating_sub(1) / 2..]
                            .iter_mut()
                            .zip(&eps[..j])
                        {
                            *grad = *grad + by_standard * e;
                        }
                    }
                }
            }
            let share = T::one() / T::of(f64::from(p.particles));
            for grad in grads.iter_mut() {
                *grad = *grad * share;
            }
            if grads.iter().any(|g| !g.is_finite()) {
                bad.store(true, Ordering::Relaxed);
            }
        });
    b.status[0] |= u32::from(bad.into_inner());
}
