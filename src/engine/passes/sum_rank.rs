//! Partial sums of the products of loadings, in a fixed order: over scene latents, which M needs,
//! and over the minibatch's pixels as they stand before the update, which `change_rank` needs.
//! Equation 28.

use rayon::prelude::*;

use super::pass::{Access, Grid, Pass, shader};
use crate::engine::ground::lanes::{LANES, load};
use crate::engine::ground::math::Real;
use crate::engine::guide::transform::add_products;
use crate::engine::layout::{Buf, Params};
use crate::engine::passes::buffers::Buffers;

/// One invocation a partial sum and pair of directions; those above the diagonal have nothing to
/// do.
pub static PASS: Pass = Pass {
    name: "sum_rank",
    shader: shader!("sum_rank"),
    bindings: &[
        (Buf::Globals, Access::Read),
        (Buf::Locals, Access::Read),
        (Buf::PixelOf, Access::Read),
        (Buf::RankPartials, Access::Write),
    ],
    grid: |p| {
        let chunks = p.scene_chunks() as u64 + u64::from(p.chunks);
        Grid::Line(chunks * u64::from(p.rank).pow(2))
    },
    trips: |p| {
        let rows = u64::from(p.chunk_rows) * (1 + u64::from(p.latents));
        if p.rank > 0 { p.scene_chunk() as u64 + rows } else { 0 }
    },
};

/// Sums on the CPU.
pub fn run<T: Real>(p: &Params, b: &mut Buffers<T>) {
    let (rank, scene_chunks) = (p.rank as usize, p.scene_chunks());
    if rank == 0 {
        return;
    }
    let (scene, pixels) = b.rank_partials.split_at_mut(scene_chunks * rank * rank);
    let loadings = &b.globals[2 * p.globals as usize..p.global_stride()];
    scene.par_chunks_mut(rank * rank).zip(loadings.par_chunks(p.scene_chunk() * rank)).for_each(
        |(sums, rows)| {
            sums.fill(T::zero());
            add_products(sums, rows, rank);
        },
    );
    let (locals, pixel_of) = (&b.locals, &b.pixel_of);
    pixels.par_chunks_mut(rank * rank).take(p.chunks as usize).enumerate().for_each(
        |(chunk, sums)| {
            sums.fill(T::zero());
            add_pixels(p, locals, pixel_of, chunk, sums);
        },
    );
}

/// Adds the products of a chunk of the minibatch's places, `chunk < p.chunks`, to a lower triangle.
/// Where a group has room left, loadings are zero.
pub fn add_pixels<T: Real>(
    p: &Params,
    locals: &[T],
    pixel_of: &[u32],
    chunk: usize,
    sums: &mut [T],
) {
    let (rank, stride) = (p.rank as usize, p.local_stride as usize);
    let first = chunk * p.chunk_rows as usize;
    let last = (first + p.chunk_rows as usize).min(p.batch as usize);
    for &pixel in pixel_of[first..last].iter().step_by(LANES) {
        let guide = &locals[p.group_of(pixel, stride)];
        for row in (p.loadings_at()..stride).step_by(rank) {
            for l in 0..rank {
                let left = load(guide, row + l);
                for m in 0..=l {
                    let right = load(guide, row + m);
                    let mut products = [T::zero(); LANES];
                    for i in 0..LANES {
                        products[i] = left[i] * right[i];
                    }
                    let sum: T = products.into_iter().sum();
                    sums[l * rank + m] = sums[l * rank + m] + sum;
                }
            }
        }
    }
}
