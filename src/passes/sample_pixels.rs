//! Draws the latents of the minibatch's pixels and writes abundances and brightness. Equations
//! 8 and 26.

use rayon::prelude::*;

use super::sample_globals::add_loadings;
use super::{Access, Grid, Pass, rows_a_task, shader};
use crate::buffers::Buffers;
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

/// Draws the pixel latents on the CPU.
pub fn run<T: Real>(p: &Params, b: &mut Buffers<T>) {
    let batch = p.batch as usize;
    let (latents, local_stride) = (p.latents as usize, p.local_stride as usize);
    b.pixel_of[..batch].par_iter_mut().with_min_len(256).enumerate().for_each(|(place, pixel)| {
        *pixel =
            rng::shuffled(p.key(), p.epoch, p.pixels, p.shuffle_bits, p.batch_first + place as u32);
    });
    let (locals, pixel_of, rank) = (&b.locals, &b.pixel_of, p.rank as usize);
    let rank_eps = &b.rank_eps;
    // A pixel without latents (K = 1, no brightness) still has a row.
    let eps_stride = latents.max(1);
    let mut none = vec![T::zero(); if latents == 0 { p.rows() } else { 0 }];
    let eps = if latents == 0 { &mut none[..] } else { &mut b.local_eps[..p.rows() * latents] };
    b.draws[..p.rows() * p.draw_stride()]
        .par_chunks_mut(p.draw_stride())
        .zip(eps.par_chunks_mut(eps_stride))
        .with_min_len(rows_a_task(p.draw_stride() * 16))
        .enumerate()
        .for_each(|(row, (draw, eps))| {
            let pixel = pixel_of[row % batch];
            let guide = locals
                .get(pixel as usize * local_stride..)
                .map_or(&[][..], |rest| &rest[..local_stride]);
            let particle = row / batch;
            let eta = &rank_eps[particle * rank..][..rank];
            draw_row(p, particle as u32, pixel, guide, eta, &mut eps[..latents], draw);
        });
}

/// Draws one row: `guide` as in [`Buf::Locals`], `eta` the normals that all latents share, `eps` and `draw` as in [`Buf::LocalEps`], [`Buf::Draws`].
fn draw_row<T: Real>(
    p: &Params,
    particle: u32,
    pixel: u32,
    guide: &[T],
    eta: &[T],
    eps: &mut [T],
    draw: &mut [T],
) {
    let k = p.k();
    for (block, four) in eps.chunks_mut(4).enumerate() {
        let normals = rng::normals(p.key(), Stream::Pixel, particle, p.step, pixel, block as u32);
        for (e, n) in four.iter_mut().zip(normals) {
            *e = T::of(f64::from(n));
        }
    }
    add_loadings(eps, &guide[p.loadings_at()..], eta);
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
    let log_sum = top + draw[log_weight].iter().map(|&z| (z - top).exp()).sum::<T>().ln();
    for i in 0..k {
        draw[k + i] = draw[k + i] - log_sum;
        draw[i] = draw[k + i].exp();
    }
    draw[2 * k] = brightness.exp();
    draw[2 * k + 1] = brightness;
}

/// Latent j of a pixel in units of its scale: `eps_j + sum_i T_ji eps_i`, equation 8. T in these
/// units has the same range whatever the width of the posterior, so one learning rate serves.
#[inline]
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
#[inline]
pub fn latent<T: Real>(full_rank: bool, guide: &[T], eps: &[T], j: usize) -> T {
    let latents = eps.len();
    guide[j] + guide[latents + j].exp() * standard(full_rank, guide, eps, j)
}
