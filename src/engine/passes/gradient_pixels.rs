//! The chain from abundances and brightness to the guide of each pixel of the minibatch, mean over
//! particles. No N / B: a pixel's own terms count once. Equations 10 to 12.

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use super::pass::{Access, Grid, Pass, shader};
use crate::engine::ground::lanes::{LANES, Lanes, load, prefetch_all, store};
use crate::engine::ground::math::Real;
use crate::engine::layout::{Buf, COMMON, FULL_RANK, Params, ROW_GROUP};
use crate::engine::passes::buffers::Buffers;

/// One invocation a pixel of the minibatch and latent.
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
    grid: |p| Grid::Line((p.groups() * ROW_GROUP) as u64 * u64::from(p.latents)),
    trips: |p| {
        let (latents, particles) = (u64::from(p.latents), u64::from(p.particles));
        // Neighbours may be of brightness and of an abundance: loops of both.
        let slope = 2 * u64::from(p.endmembers);
        particles * (1 + slope + latents) + latents * (1 + particles) + u64::from(p.rank)
    },
};

/// Chains on the CPU.
pub fn run<T: Real>(p: &Params, b: &mut Buffers<T>) {
    let (latents, local_stride, batch) =
        (p.latents as usize, p.local_stride as usize, p.batch as usize);
    if latents == 0 {
        return;
    }
    let arch = pulp::Arch::new();
    let view = View {
        p,
        theta: &b.theta,
        local_eps: &b.local_eps,
        draws: &b.draws,
        row_grads: &b.row_grads,
    };
    let (view, locals, pixel_of) = (&view, &b.locals, &b.pixel_of[..batch]);
    let guide = |pixel: u32| &locals[p.group_of(pixel, local_stride)];
    let particles = p.particles as usize;
    let (grads, by_standards) = b.local_grads.split_at_mut(p.groups() * LANES * local_stride);
    let bad = grads
        .par_chunks_mut(LANES * local_stride)
        .zip(by_standards.par_chunks_mut(LANES * particles * latents))
        .zip(pixel_of.par_chunks(LANES))
        .with_min_len(8)
        .enumerate()
        .map(|(group, ((grads, by_standards), pixels))| {
            if let Some(&next) = pixel_of.get((group + 1) * LANES) {
                prefetch_all(guide(next));
            }
            let (guide, rows) = (guide(pixels[0]), pixels.len());
            !arch.dispatch(Rows { view, group, rows, guide, grads, by_standards })
        })
        .reduce(|| false, |a, b| a | b);
    b.status[0] |= u32::from(bad);
}

/// What the pixels of a step see.
struct View<'a, T> {
    p: &'a Params,
    theta: &'a [T],
    local_eps: &'a [T],
    draws: &'a [T],
    row_grads: &'a [T],
}

/// A group of pixels. Says whether all gradients are finite.
struct Rows<'a, T> {
    view: &'a View<'a, T>,
    group: usize,
    /// Pixels that the group has, 1 to LANES.
    rows: usize,
    /// Their guide, (local_stride, LANES).
    guide: &'a [T],
    /// Gradient of their guide, (local_stride, LANES).
    grads: &'a mut [T],
    /// Gradient by each latent in units of its scale, (S, P, LANES).
    by_standards: &'a mut [T],
}

impl<T: Real> WithSimd for Rows<'_, T> {
    type Output = bool;

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, _: S) -> bool {
        let p = self.view.p;
        if p.rank > 0 {
            // What no particle writes: loadings, which have a pass of their own.
            self.grads.fill(T::zero());
        }
        for particle in 0..p.particles as usize {
            self.add(particle);
        }
        let share = T::one() / T::of(f64::from(p.particles));
        let mut finite = true;
        for grad in self.grads.iter_mut() {
            *grad = *grad * share;
            finite &= grad.is_finite();
        }
        finite
    }
}

impl<T: Real> Rows<'_, T> {
    /// Adds a particle's gradients.
    #[inline(always)]
    fn add(&mut self, particle: usize) {
        let View { p, theta, local_eps, draws, row_grads } = *self.view;
        let (k, latents, particles) = (p.k(), p.latents as usize, p.particles as usize);
        let (rows, guide) = (self.rows, self.guide);
        let row = self.group * particles + particle;
        let of_row = |columns: usize| row * columns * LANES..(row + 1) * columns * LANES;
        let draw = &draws[of_row(p.draw_stride())];
        let eps = &local_eps[of_row(latents)];
        let sums = &row_grads[of_row(p.row_grad_stride())];
        let by_standards = &mut self.by_standards[particle * latents * LANES..];
        let dirichlet = &theta[particle * p.theta_stride() + p.dirichlet_at()..];
        let a = &dirichlet[..k];
        let precision = theta[particle * p.theta_stride() + p.precision_at()];
        let total: T = a.iter().copied().sum();
        // Dirichlet parameters of each pixel: between a and b of a common mixture as it has one.
        let b = if p.has(COMMON) { &dirichlet[k + 1..][..k] } else { a };
        let more = b.iter().copied().sum::<T>() - total;
        let share = if p.has(COMMON) { load(draw, 2 * k + 3) } else { [T::zero(); LANES] };
        let brightness = load(draw, 2 * k);
        let zero = [T::zero(); LANES];
        let (mut mean_slope, mut mixed) = (zero, zero);
        // Slope of the log density by an abundance.
        let slope = |j: usize, w: &Lanes<T>, by_mean: &Lanes<T>| {
            let by_variance = load(sums, k + j);
            let mut slope = zero;
            for i in 0..LANES {
                slope[i] = brightness[i] * by_mean[i] + T::of(2.0) * w[i] * by_variance[i];
            }
            slope
        };
        for j in 0..k {
            let (w, by_mean) = (load(draw, j), load(sums, j));
            let slope = slope(j, &w, &by_mean);
            for i in 0..LANES {
                mean_slope[i] = mean_slope[i] + w[i] * slope[i];
                mixed[i] = mixed[i] + w[i] * by_mean[i];
            }
        }
        // The first particle finds no sum to add to.
        let before = |grads: &[T], column| match particle {
            0 => zero,
            _ => load(grads, column),
        };
        for j in 0..latents {
            let mut by_z = zero;
            if let (Some(&a), Some(&b)) = (a[..k - 1].get(j), b.get(j)) {
                let w = load(draw, j);
                let slope = slope(j, &w, &load(sums, j));
                for i in 0..LANES {
                    let (own, total) = (a + share[i] * (b - a), total + share[i] * more);
                    by_z[i] = w[i] * (slope[i] - mean_slope[i]) + own - total * w[i];
                }
            } else {
                let log = load(draw, 2 * k + 1);
                for i in 0..LANES {
                    by_z[i] = brightness[i] * mixed[i] - precision * log[i];
                }
            }
            let log_scale = load(guide, latents + j);
            let mut x = load(eps, j);
            let mut by_standard = zero;
            for i in 0..LANES {
                by_standard[i] = by_z[i] * log_scale[i].quick_exp();
            }
            if p.has(FULL_RANK) {
                for m in 0..j {
                    let at = 2 * latents + j * (j - 1) / 2 + m;
                    let t = load(guide, at);
                    let e = load(eps, m);
                    let mut by_t = before(self.grads, at);
                    for i in 0..LANES {
                        x[i] = x[i] + t[i] * e[i];
                        by_t[i] = by_t[i] + by_standard[i] * e[i];
                    }
                    store(self.grads, at, &by_t, rows);
                }
            }
            let mut by_loc = before(self.grads, j);
            let mut by_log_scale = before(self.grads, latents + j);
            for i in 0..LANES {
                by_loc[i] = by_loc[i] + by_z[i];
                by_log_scale[i] = by_log_scale[i] + by_standard[i] * x[i] + T::one();
            }
            store(self.grads, j, &by_loc, rows);
            store(self.grads, latents + j, &by_log_scale, rows);
            store(by_standards, j, &by_standard, rows);
        }
    }
}
