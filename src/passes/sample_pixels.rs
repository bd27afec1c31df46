//! Draws the latents of the minibatch's pixels and writes abundances and brightness. Equations
//! 8 and 26.

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use super::sample_globals::add_loadings;
use super::{Access, Grid, Pass, shader};
use crate::buffers::Buffers;
use crate::layout::{Buf, FULL_RANK, Params};
use crate::math::Real;
use crate::rng::{self, LANES, Stream};

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

/// Draws the pixel latents on the CPU.
pub fn run<T: Real>(p: &Params, b: &mut Buffers<T>) {
    let arch = pulp::Arch::new();
    let (batch, latents) = (p.batch as usize, p.latents as usize);
    b.pixel_of[..batch].par_chunks_mut(SHUFFLE_ROWS).enumerate().for_each(|(chunk, pixels)| {
        let first = p.batch_first + (chunk * SHUFFLE_ROWS) as u32;
        arch.dispatch(Shuffle { p, first, pixels });
    });
    let (locals, pixel_of, rank) = (&b.locals, &b.pixel_of[..batch], p.rank as usize);
    let rank_eps = &b.rank_eps;
    // A pixel without latents (K = 1, no brightness) still has a row.
    let mut none = vec![T::zero(); if latents == 0 { p.rows() } else { 0 }];
    let eps = if latents == 0 { &mut none[..] } else { &mut b.local_eps[..p.rows() * latents] };
    for ((particle, draws), eps) in (0..)
        .zip(b.draws[..p.rows() * p.draw_stride()].chunks_exact_mut(batch * p.draw_stride()))
        .zip(eps.chunks_exact_mut(batch * latents.max(1)))
    {
        draws
            .par_chunks_mut(LANES * p.draw_stride())
            .zip(eps.par_chunks_mut(LANES * latents.max(1)))
            .zip(pixel_of.par_chunks(LANES))
            .with_min_len(2)
            .for_each(|((draws, eps), pixels)| {
                let eta = &rank_eps[particle as usize * rank..][..rank];
                arch.dispatch(Rows { p, particle, pixels, locals, eta, eps, draws });
            });
    }
}

/// Places of the minibatch that one thread looks up at a time.
const SHUFFLE_ROWS: usize = 256;

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
        rng::shuffled_lanes(p.key(), p.epoch, p.pixels, p.shuffle_bits, self.first, self.pixels);
    }
}

/// Up to [`LANES`] rows of a particle, whose random numbers are drawn together.
struct Rows<'a, T> {
    p: &'a Params,
    particle: u32,
    pixels: &'a [u32],
    locals: &'a [T],
    /// The normals that all latents share, as [`Buf::RankEps`].
    eta: &'a [T],
    /// As [`Buf::LocalEps`].
    eps: &'a mut [T],
    /// As [`Buf::Draws`].
    draws: &'a mut [T],
}

impl<T: Real> WithSimd for Rows<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Rows { p, particle, pixels, locals, eta, eps, draws } = self;
        let (latents, local_stride) = (p.latents as usize, p.local_stride as usize);
        let mut index = [0; LANES];
        index[..pixels.len()].copy_from_slice(pixels);
        for block in 0..latents.div_ceil(4) {
            let (key, stream) = (p.key(), Stream::Pixel);
            let normals =
                rng::normals_lanes(key, stream, particle, p.step, index, [block as u32; LANES]);
            for (lane, eps) in eps.chunks_exact_mut(latents).enumerate() {
                for (e, normals) in eps[4 * block..].iter_mut().zip(&normals) {
                    *e = T::of(f64::from(normals[lane]));
                }
            }
        }
        let eps = eps.chunks_exact_mut(latents.max(1));
        for ((&pixel, draw), eps) in
            pixels.iter().zip(draws.chunks_exact_mut(p.draw_stride())).zip(eps)
        {
            let guide = locals
                .get(pixel as usize * local_stride..)
                .map_or(&[][..], |rest| &rest[..local_stride]);
            let eps = &mut eps[..latents];
            add_loadings(eps, &guide[p.loadings_at()..], eta);
            draw_row(p, guide, eps, draw);
        }
    }
}

/// What one row's normals mean: `guide` as in [`Buf::Locals`].
#[inline(always)]
fn draw_row<T: Real>(p: &Params, guide: &[T], eps: &[T], draw: &mut [T]) {
    let k = p.k();
    let log_weight = k..2 * k;
    let mut brightness = T::zero();
    for j in 0..eps.len() {
        let z = latent(p.has(FULL_RANK), guide, eps, j);
        if j + 1 < k {
            draw[k + j] = z;
        } else {
            brightness = z;
        }
    }
    draw[2 * k - 1] = T::zero();
    let top = draw[log_weight.clone()].iter().copied().fold(T::zero(), T::max);
    let log_sum =
        top + draw[log_weight].iter().map(|&z| (z - top).quick_exp()).sum::<T>().quick_ln();
    for i in 0..k {
        draw[k + i] = draw[k + i] - log_sum;
        draw[i] = draw[k + i].quick_exp();
    }
    draw[2 * k] = brightness.quick_exp();
    draw[2 * k + 1] = brightness;
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
