//! Draws the latents of the minibatch's pixels and writes abundances and brightness. Equations
//! 8 and 26.

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use super::sample_globals::add_loadings;
use super::{Access, Grid, Pass, shader};
use crate::buffers::Buffers;
use crate::lanes::{LANES, Lanes, NEAR, gather, prefetch_rows, scatter, starts};
use crate::layout::{Buf, FULL_RANK, Params};
use crate::math::Real;
use crate::rng::{self, Stream};

/// One invocation a row.
pub static PASS: Pass = Pass {
    name: "sample_pixels",
    shader: shader!("sample_pixels", "rng"),
    bindings: &[
        (Buf::Locals, Access::Read),
        (Buf::PixelOf, Access::Write),
        (Buf::LocalEps, Access::Write),
        (Buf::Draws, Access::Write),
        (Buf::RankEps, Access::Read),
    ],
    grid: |p| Grid::Line(p.rows() as u64),
    // The walk of the shuffle, with two rounds of two Philox of ten; the latents, each with its
    // off-diagonals and Philox; two sums.
    trips: |p| {
        u64::from(rng::MAX_WALK) * (1 + 2 * 21)
            + u64::from(p.latents) * (11 + u64::from(p.latents) + u64::from(p.rank))
            + 2 * u64::from(p.endmembers)
    },
};

/// Groups of rows between a guide's being asked for and its turn.
const AHEAD: usize = 2;

/// Draws the pixel latents on the CPU.
pub fn run<T: Real>(p: &Params, b: &mut Buffers<T>) {
    let arch = pulp::Arch::new();
    let (batch, latents) = (p.batch as usize, p.latents as usize);
    b.pixel_of[..batch].par_chunks_mut(rng::SHUFFLED).enumerate().for_each(|(chunk, pixels)| {
        let first = p.batch_first + (chunk * rng::SHUFFLED) as u32;
        arch.dispatch(Shuffle { p, first, pixels });
    });
    let (locals, pixel_of, rank) = (&b.locals, &b.pixel_of[..batch], p.rank as usize);
    let rank_eps = &b.rank_eps;
    let (per_group, noises) = (LANES * latents, batch * latents);
    for (particle, draws) in
        (0..).zip(b.draws[..p.rows() * p.draw_stride()].chunks_exact_mut(batch * p.draw_stride()))
    {
        let (drawn, eps) = b.local_eps.split_at_mut(particle * noises);
        // The second of a mirrored pair has the normals of the first, negated.
        let mirrored = (particle % 2 == 1).then(|| &drawn[(particle - 1) * noises..]);
        let eta = &rank_eps[particle * rank..][..rank];
        let group = |group: usize, draws: &mut [T], eps: &mut [T]| {
            let pixels = &pixel_of[group * LANES..batch.min((group + 1) * LANES)];
            if particle == 0 {
                let next =
                    batch.min((group + AHEAD) * LANES)..batch.min((group + AHEAD + 1) * LANES);
                prefetch_rows(locals, &pixel_of[next], p.local_stride as usize);
            }
            let mirrored = mirrored.map(|drawn| &drawn[group * per_group..][..eps.len()]);
            arch.dispatch(Rows {
                p,
                particle: particle as u32,
                pixels,
                locals,
                eta,
                mirrored,
                eps,
                draws,
            });
        };
        let draws = draws.par_chunks_mut(LANES * p.draw_stride()).with_min_len(4).enumerate();
        if latents == 0 {
            // K = 1 without brightness: there is nothing to draw, but a row to write.
            draws.for_each(|(at, draws)| group(at, draws, &mut []));
        } else {
            draws
                .zip(eps[..noises].par_chunks_mut(per_group))
                .for_each(|((at, draws), eps)| group(at, draws, eps));
        }
    }
}

struct Shuffle<'a> {
    p: &'a Params,
    first: u32,
    pixels: &'a mut [u32],
}

impl WithSimd for Shuffle<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let p = self.p;
        if p.batch == p.pixels {
            // All pixels in any order are the same minibatch, and in this one they lie side by side.
            for (pixel, place) in self.pixels.iter_mut().zip(self.first..) {
                *pixel = place;
            }
        } else {
            rng::shuffled_lanes(
                p.key(),
                p.epoch,
                p.pixels,
                p.shuffle_bits,
                self.first,
                self.pixels,
            );
        }
    }
}

/// Up to [`LANES`] rows of a particle.
struct Rows<'a, T> {
    p: &'a Params,
    particle: u32,
    pixels: &'a [u32],
    locals: &'a [T],
    /// The normals that all latents share, as [`Buf::RankEps`].
    eta: &'a [T],
    /// What the other particle of the pair has drawn, where it went first.
    mirrored: Option<&'a [T]>,
    /// As [`Buf::LocalEps`].
    eps: &'a mut [T],
    /// As [`Buf::Draws`].
    draws: &'a mut [T],
}

impl<T: Real> WithSimd for Rows<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, _: S) {
        match self.mirrored {
            Some(drawn) => {
                for (e, &drawn) in self.eps.iter_mut().zip(drawn) {
                    *e = -drawn;
                }
            }
            None => self.draw_normals(),
        }
        self.mean();
    }
}

impl<T: Real> Rows<'_, T> {
    /// Standard normals with the loadings' share.
    #[inline(always)]
    fn draw_normals(&mut self) {
        let (p, latents) = (self.p, self.p.latents as usize);
        let noise = starts(0..self.pixels.len(), latents);
        let index: [u32; LANES] =
            std::array::from_fn(|i| self.pixels[i.min(self.pixels.len() - 1)]);
        for block in 0..latents.div_ceil(4) {
            let (key, stream, left) = (p.key(), Stream::Pixel, latents - 4 * block);
            let blocks = [block as u32; LANES];
            let normals =
                rng::normals_lanes(key, stream, self.particle, p.step, index, blocks, left);
            for (j, normals) in (4 * block..latents).zip(&normals) {
                let mut e = [T::zero(); LANES];
                for i in 0..LANES {
                    e[i] = T::from_f32(normals[i]).unwrap_or_default();
                }
                scatter(self.eps, &noise, j, &e);
            }
        }
        if !self.eta.is_empty() && latents > 0 {
            for (&pixel, eps) in self.pixels.iter().zip(self.eps.chunks_exact_mut(latents)) {
                let guide = &self.locals[pixel as usize * p.local_stride as usize..];
                add_loadings(eps, &guide[p.loadings_at()..], self.eta);
            }
        }
    }

    /// What the normals mean.
    #[inline(always)]
    fn mean(self) {
        let Rows { p, pixels, locals, eps, draws, .. } = self;
        let (k, latents) = (p.k(), p.latents as usize);
        let guide = starts(pixels.iter().map(|&pixel| pixel as usize), p.local_stride as usize);
        let noise = starts(0..pixels.len(), latents);
        let draw = starts(0..pixels.len(), p.draw_stride());
        let zero = [T::zero(); LANES];
        let (mut top, mut brightness, mut log_scales) = (zero, zero, zero);
        // Logits, then abundances without their common factor; beyond the first few, in the rows' own memory.
        let mut near = [[zero; NEAR]; 2];
        for j in 0..latents {
            let loc = gather(locals, &guide, j);
            let log_scale = gather(locals, &guide, latents + j);
            let mut x = gather(eps, &noise, j);
            if p.has(FULL_RANK) {
                for m in 0..j {
                    let t = gather(locals, &guide, 2 * latents + j * (j - 1) / 2 + m);
                    let e = gather(eps, &noise, m);
                    for i in 0..LANES {
                        x[i] = x[i] + t[i] * e[i];
                    }
                }
            }
            for i in 0..LANES {
                x[i] = loc[i] + log_scale[i].quick_exp() * x[i];
                log_scales[i] = log_scales[i] + log_scale[i];
            }
            if j + 1 == k {
                brightness = x;
                continue;
            }
            match near[0].get_mut(j) {
                Some(z) => *z = x,
                None => scatter(draws, &draw, k + j, &x),
            }
            for i in 0..LANES {
                top[i] = if x[i] > top[i] { x[i] } else { top[i] };
            }
        }
        if k > NEAR {
            scatter(draws, &draw, 2 * k - 1, &zero);
        }
        let mut sum = zero;
        for j in 0..k {
            let mut w = near[0].get(j).copied().unwrap_or_else(|| gather(draws, &draw, k + j));
            for i in 0..LANES {
                w[i] = (w[i] - top[i]).quick_exp();
                sum[i] = sum[i] + w[i];
            }
            match near[1].get_mut(j) {
                Some(near) => *near = w,
                None => scatter(draws, &draw, j, &w),
            }
        }
        let (mut share, mut log_sum) = (zero, zero);
        for i in 0..LANES {
            share[i] = T::one() / sum[i];
            log_sum[i] = top[i] + sum[i].quick_ln();
        }
        for j in 0..k {
            let at = |at: usize, near: &[Lanes<T>; NEAR]| {
                near.get(j).copied().unwrap_or_else(|| gather(draws, &draw, at))
            };
            let (mut log_w, mut w) = (at(k + j, &near[0]), at(j, &near[1]));
            for i in 0..LANES {
                log_w[i] = log_w[i] - log_sum[i];
                w[i] = w[i] * share[i];
            }
            scatter(draws, &draw, k + j, &log_w);
            scatter(draws, &draw, j, &w);
        }
        let mut factor = zero;
        for i in 0..LANES {
            factor[i] = brightness[i].quick_exp();
        }
        scatter(draws, &draw, 2 * k, &factor);
        scatter(draws, &draw, 2 * k + 1, &brightness);
        scatter(draws, &draw, 2 * k + 2, &log_scales);
    }
}

/// Latent j of a pixel in units of its scale: `eps_j + sum_i T_ji eps_i`, equation 8. T in these
/// units has the same range whatever the width of the posterior, so one learning rate serves.
#[inline(always)]
pub fn standard<T: Real>(full_rank: bool, guide: &[T], eps: &[T], j: usize) -> T {
    let mut x = eps[j];
    if full_rank {
        let off_diagonal = &guide[2 * eps.len() + j * j.saturating_sub(1) / 2..][..j];
        for (&t, &e) in off_diagonal.iter().zip(eps) {
            x = x + t * e;
        }
    }
    x
}

/// Latent j of a pixel from its guide and standard normals: equation 8.
#[inline(always)]
pub fn latent<T: Real>(full_rank: bool, guide: &[T], eps: &[T], j: usize) -> T {
    let latents = eps.len();
    guide[j] + guide[latents + j].quick_exp() * standard(full_rank, guide, eps, j)
}
