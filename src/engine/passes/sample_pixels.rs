//! Draws the latents of the minibatch's pixels and writes abundances and brightness. Equations
//! 8 and 26.

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use super::pass::{Access, Grid, Pass, shader};
use crate::engine::ground::lanes::{LANES, load, prefetch_all, store};
use crate::engine::ground::math::{Real, sigmoid, softplus};
use crate::engine::ground::rng::{self, Stream};
use crate::engine::layout::{Buf, COMMON, FULL_RANK, Params};
use crate::engine::passes::buffers::Buffers;

/// One invocation a row.
pub static PASS: Pass = Pass {
    name: "sample_pixels",
    shader: shader!("sample_pixels", "rng", "math"),
    bindings: &[
        (Buf::Locals, Access::Read),
        (Buf::PixelOf, Access::Write),
        (Buf::LocalEps, Access::Write),
        (Buf::Draws, Access::Write),
        (Buf::RankEps, Access::Read),
        (Buf::Theta, Access::Read),
    ],
    grid: |p| Grid::Line(p.rows() as u64),
    // The walk of the shuffle, with at most four rounds of two Philox of ten; the latents, each
    // with its off-diagonals and Philox; three sums.
    trips: |p| {
        u64::from(rng::MAX_WALK) * (1 + 4 * 21)
            + u64::from(p.latents) * (11 + u64::from(p.latents) + u64::from(p.rank))
            + 3 * u64::from(p.endmembers)
    },
};

/// How many groups ahead of its turn a guide is asked for.
const AHEAD: usize = 2;

/// Draws the pixel latents on the CPU.
pub fn run<T: Real>(p: &Params, b: &mut Buffers<T>) {
    let arch = pulp::Arch::new();
    let (batch, latents) = (p.batch as usize, p.latents as usize);
    let drawn = b.pixel_of[..batch].par_chunks_mut(rng::SHUFFLED * LANES);
    drawn.enumerate().for_each(|(chunk, pixels)| {
        arch.dispatch(Shuffle { p, first: (chunk * rng::SHUFFLED) as u32, pixels });
    });
    let (locals, pixel_of) = (&b.locals, &b.pixel_of[..batch]);
    let (particles, etas) = (p.particles as usize, &b.rank_eps);
    let thetas = &b.theta;
    let (noises, values) = (latents * LANES, p.draw_stride() * LANES);
    let guide = |pixel: u32| &locals[p.group_of(pixel, p.local_stride as usize)];
    let group = |group: usize, draws: &mut [T], eps: &mut [T]| {
        if let Some(&next) = pixel_of.get((group + AHEAD) * LANES) {
            prefetch_all(guide(next));
        }
        let pixels = &pixel_of[group * LANES..batch.min((group + 1) * LANES)];
        let guide = guide(pixels[0]);
        for (particle, draws) in draws.chunks_exact_mut(values).enumerate() {
            let (drawn, eps) = eps.split_at_mut(particle * noises);
            // The second of a mirrored pair has the normals of the first, negated.
            let mirrored = (particle % 2 == 1).then(|| &drawn[(particle - 1) * noises..]);
            let eta = &etas[particle * p.rank as usize..][..p.rank as usize];
            let theta = &thetas[particle * p.theta_stride() + p.dirichlet_at()..];
            let (particle, eps) = (particle as u32, &mut eps[..noises]);
            arch.dispatch(Rows { p, particle, pixels, guide, eta, theta, mirrored, eps, draws });
        }
    };
    let draws = b.draws[..p.groups() * particles * values].par_chunks_mut(particles * values);
    let draws = draws.with_min_len(4).enumerate();
    if latents == 0 {
        // K = 1 without brightness: there is nothing to draw, but a row to write.
        draws.for_each(|(at, draws)| group(at, draws, &mut []));
    } else {
        draws
            .zip(b.local_eps.par_chunks_mut(particles * noises))
            .for_each(|((at, draws), eps)| group(at, draws, eps));
    }
}

/// Puts the pixels of at most [`rng::SHUFFLED`] groups of the minibatch in place, from group
/// `first` on.
struct Shuffle<'a> {
    p: &'a Params,
    first: u32,
    pixels: &'a mut [u32],
}

impl WithSimd for Shuffle<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Shuffle { p, first, pixels } = self;
        let last = p.groups() as u32 - 1;
        let mut groups = [0; rng::SHUFFLED];
        let groups = &mut groups[..pixels.len().div_ceil(LANES)];
        for (group, at) in groups.iter_mut().zip(first..) {
            // All pixels in any order are the same minibatch, and in this one they lie side by
            // side.
            *group = match at {
                _ if p.whole() => at,
                _ if at == last => p.first_group + p.odd_group,
                _ if at == p.odd_group => p.first_group + last,
                _ => p.first_group + at,
            };
        }
        if !p.whole() {
            let count = p.scene_groups() as u32;
            rng::shuffled_lanes(p.key(), p.epoch, count, p.shuffle_bits, groups);
        }
        for (pixels, &group) in pixels.chunks_mut(LANES).zip(&*groups) {
            for (pixel, at) in pixels.iter_mut().zip(group * LANES as u32..) {
                *pixel = at;
            }
        }
    }
}

/// A group of a particle's rows.
struct Rows<'a, T> {
    p: &'a Params,
    particle: u32,
    pixels: &'a [u32],
    /// Their guide, (local_stride, LANES).
    guide: &'a [T],
    /// The normals that all latents share, a row of [`Buf::RankEps`].
    eta: &'a [T],
    /// The Dirichlet parameters of the scene draw, the end of a row of [`Buf::Theta`].
    theta: &'a [T],
    /// What the other particle of the pair has drawn, where it went first.
    mirrored: Option<&'a [T]>,
    /// The standard normals that it draws, the group's part of [`Buf::LocalEps`], (P, LANES).
    eps: &'a mut [T],
    /// Abundances, brightness and so on, the group's part of [`Buf::Draws`], (draw_stride, LANES).
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
    /// Draws the standard normals and adds the loadings' share.
    #[inline(always)]
    fn draw_normals(&mut self) {
        let (p, latents) = (self.p, self.p.latents as usize);
        let index: [u32; LANES] = std::array::from_fn(|i| self.pixels[0] + i as u32);
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
                for (r, &eta) in self.eta.iter().enumerate() {
                    let loading = load(self.guide, p.loadings_at() + j * self.eta.len() + r);
                    for i in 0..LANES {
                        e[i] = e[i] + loading[i] * eta;
                    }
                }
                store(self.eps, j, &e, self.pixels.len());
            }
        }
    }

    /// Makes abundances and brightness of the normals.
    #[inline(always)]
    fn mean(self) {
        let Rows { p, pixels, guide, theta, eps, draws, .. } = self;
        let (k, latents, rows) = (p.k(), p.latents as usize, pixels.len());
        let zero = [T::zero(); LANES];
        let (mut top, mut brightness, mut log_scales) = (zero, zero, zero);
        for j in 0..latents {
            let loc = load(guide, j);
            let log_scale = load(guide, latents + j);
            let mut x = load(eps, j);
            if p.has(FULL_RANK) {
                for m in 0..j {
                    let t = load(guide, 2 * latents + j * (j - 1) / 2 + m);
                    let e = load(eps, m);
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
            store(draws, k + j, &x, rows);
            for i in 0..LANES {
                top[i] = if x[i] > top[i] { x[i] } else { top[i] };
            }
        }
        store(draws, 2 * k - 1, &zero, rows);
        let mut sum = zero;
        for j in 0..k {
            // Abundances without their common factor.
            let mut w = load(draws, k + j);
            for i in 0..LANES {
                w[i] = (w[i] - top[i]).quick_exp();
                sum[i] = sum[i] + w[i];
            }
            store(draws, j, &w, rows);
        }
        let (mut share, mut log_sum, mut factor) = (zero, zero, zero);
        for i in 0..LANES {
            share[i] = T::one() / sum[i];
            log_sum[i] = top[i] + sum[i].quick_ln();
            factor[i] = brightness[i].quick_exp();
        }
        for j in 0..k {
            let (mut log_w, mut w) = (load(draws, k + j), load(draws, j));
            for i in 0..LANES {
                log_w[i] = log_w[i] - log_sum[i];
                w[i] = w[i] * share[i];
            }
            store(draws, k + j, &log_w, rows);
            store(draws, j, &w, rows);
        }
        store(draws, 2 * k, &factor, rows);
        store(draws, 2 * k + 1, &brightness, rows);
        store(draws, 2 * k + 2, &log_scales, rows);
        if p.has(COMMON) {
            common(p, theta, draws, rows);
        }
    }
}

/// Writes the probability that each row has the common mixture, and by how much its log density of
/// abundances is more than `a'log W`. `theta` begins with the Dirichlet parameters.
#[inline(always)]
fn common<T: Real>(p: &Params, theta: &[T], draws: &mut [T], rows: usize) {
    let k = p.k();
    let (a, b, constants) = (&theta[..k], &theta[k + 1..][..k], &theta[2 * k + 2..][..2]);
    let mut odds = [constants[1] - constants[0]; LANES];
    for j in 0..k {
        let (log_w, more) = (load(draws, k + j), b[j] - a[j]);
        for i in 0..LANES {
            odds[i] = odds[i] + more * log_w[i];
        }
    }
    let (mut share, mut density) = ([T::zero(); LANES], [T::zero(); LANES]);
    for i in 0..LANES {
        share[i] = sigmoid(odds[i]);
        density[i] = constants[0] + softplus(odds[i]);
    }
    store(draws, 2 * k + 3, &share, rows);
    store(draws, 2 * k + 4, &density, rows);
}
