//! Keeps the sum over all pixels of products of loadings, by what a step changed. Equation 28.

use super::pass::{Access, Grid, Pass, shader};
use crate::engine::ground::math::Real;
use crate::engine::layout::{Buf, Params};
use crate::engine::passes::buffers::Buffers;

/// One invocation a pair of directions; those above the diagonal have nothing to do.
pub static PASS: Pass = Pass {
    name: "update_rank",
    shader: shader!("update_rank"),
    bindings: &[(Buf::RankPartials, Access::Read), (Buf::RankSum, Access::Write)],
    grid: |p| Grid::Line(u64::from(p.rank).pow(2)),
    trips: |p| u64::from(p.chunks),
};

/// Adds on the CPU.
pub fn run<T: Real>(p: &Params, b: &mut Buffers<T>) {
    let square = (p.rank as usize).pow(2);
    if square == 0 {
        return;
    }
    let mut change = vec![T::zero(); square];
    let chunks = b.rank_partials[p.scene_chunks() * square..].chunks_exact(square);
    for chunk in chunks.take(p.chunks as usize) {
        for (sum, &part) in change.iter_mut().zip(chunk) {
            *sum = *sum + part;
        }
    }
    for (sum, change) in b.rank_sum.iter_mut().zip(change) {
        *sum = *sum + change;
    }
}
