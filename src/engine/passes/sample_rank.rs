//! Draws what all latents have in common in the low-rank guide: eta of equation 26.

use super::pass::{Access, Grid, Pass, shader};
use crate::engine::ground::math::Real;
use crate::engine::ground::rng::{self, Stream};
use crate::engine::layout::{Buf, Params};
use crate::engine::passes::buffers::Buffers;

/// One invocation for four normals of a particle; none without the low-rank guide.
pub static PASS: Pass = Pass {
    name: "sample_rank",
    shader: shader!("sample_rank", "rng"),
    bindings: &[(Buf::RankEps, Access::Write)],
    grid: |p| Grid::Line(u64::from(p.particles) * u64::from(p.rank.div_ceil(4))),
    // Philox's rounds, and four values.
    trips: |_| 14,
};

/// Draws on the CPU.
pub fn run<T: Real>(p: &Params, b: &mut Buffers<T>) {
    let rank = p.rank as usize;
    if rank == 0 {
        return;
    }
    for (particle, eta) in b.rank_eps.chunks_exact_mut(rank).take(p.particles as usize).enumerate()
    {
        for (block, four) in eta.chunks_mut(4).enumerate() {
            let normals =
                rng::normals(p.key(), Stream::Rank, particle as u32, p.step, block as u32, 0);
            for (e, n) in four.iter_mut().zip(normals) {
                *e = T::of(f64::from(n));
            }
        }
    }
}
