//! By how much the update changed the minibatch's sums of products of loadings. Equation 28.

use rayon::prelude::*;

use super::pass::{Access, Grid, Pass, shader};
use super::sum_rank::add_pixels;
use crate::engine::ground::math::Real;
use crate::engine::layout::{Buf, Params};
use crate::engine::passes::buffers::Buffers;

/// One invocation a partial sum over pixels and pair of directions; those above the diagonal have
/// nothing to do.
pub static PASS: Pass = Pass {
    name: "change_rank",
    shader: shader!("change_rank"),
    bindings: &[
        (Buf::Locals, Access::Read),
        (Buf::PixelOf, Access::Read),
        (Buf::RankPartials, Access::Write),
    ],
    grid: |p| Grid::Line(u64::from(p.chunks) * u64::from(p.rank).pow(2)),
    trips: |p| {
        let rows = u64::from(p.chunk_rows) * (1 + u64::from(p.latents));
        if p.rank > 0 { rows } else { 0 }
    },
};

/// Takes the differences on the CPU. Where the step changed nothing, the sums before and after are
/// equal to the bit, so that the step's status need not be asked.
pub fn run<T: Real>(p: &Params, b: &mut Buffers<T>) {
    let rank = p.rank as usize;
    if rank == 0 {
        return;
    }
    let (locals, pixel_of) = (&b.locals, &b.pixel_of);
    b.rank_partials[p.scene_chunks() * rank * rank..]
        .par_chunks_mut(rank * rank)
        .take(p.chunks as usize)
        .enumerate()
        .for_each(|(chunk, sums)| {
            let mut after = vec![T::zero(); rank * rank];
            add_pixels(p, locals, pixel_of, chunk, &mut after);
            for (sum, after) in sums.iter_mut().zip(after) {
                *sum = after - *sum;
            }
        });
}
