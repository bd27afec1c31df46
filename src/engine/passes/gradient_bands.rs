//! The likelihood's gradient by the scene latents of each band, summed over a chunk of rows in a
//! fixed order: `sum e^g W_k A`, `sum B`, `sum W_k^2 B`. Equation 13.

use rayon::prelude::*;

use super::pass::{Access, Grid, Pass, shader};
use crate::engine::ground::math::Real;
use crate::engine::layout::{Buf, Params, ROW_GROUP};
use crate::engine::passes::buffers::Buffers;

/// One invocation a chunk, particle, column and four bands.
pub static PASS: Pass = Pass {
    name: "gradient_bands",
    shader: shader!("gradient_bands"),
    bindings: &[
        (Buf::Draws, Access::Read),
        (Buf::ScoreMean, Access::Read),
        (Buf::ScoreVariance, Access::Read),
        (Buf::Partials, Access::Write),
    ],
    grid: |p| {
        Grid::Line(
            u64::from(p.particles) * u64::from(p.chunks) * p.columns() as u64 * u64::from(p.quads),
        )
    },
    trips: |p| u64::from(p.chunk_rows),
};

/// Sums over pixels on the CPU.
pub fn run<T: Real>(p: &Params, b: &mut Buffers<T>) {
    let (stride, k, batch) = (p.stride(), p.k(), p.batch as usize);
    let (chunks, chunk_rows, columns) = (p.chunks as usize, p.chunk_rows as usize, p.columns());
    let particles = p.particles as usize;
    let (draws, score_mean, score_variance) = (&b.draws, &b.score_mean, &b.score_variance);
    b.partials[..p.particles as usize * chunks * columns * stride]
        .par_chunks_mut(columns * stride)
        .enumerate()
        .for_each(|(at, sums)| {
            let (particle, first) = (at % particles, at / particles * chunk_rows);
            sums.fill(T::zero());
            for place in first..(first + chunk_rows).min(batch) {
                let row = particle * batch + place;
                let at = p.row_at(particle, place, p.draw_stride());
                let draw = |column: usize| draws[at + column * ROW_GROUP];
                let (a, b) = (
                    &score_mean[row * stride..][..stride],
                    &score_variance[row * stride..][..stride],
                );
                for (column, sum) in sums.chunks_exact_mut(stride).enumerate() {
                    if column == k {
                        for (s, &b) in sum.iter_mut().zip(b) {
                            *s = *s + b;
                        }
                        continue;
                    }
                    let (factor, score) = if column < k {
                        (draw(2 * k) * draw(column), a)
                    } else {
                        (draw(column - k - 1) * draw(column - k - 1), b)
                    };
                    for (s, &x) in sum.iter_mut().zip(score) {
                        *s = *s + factor * x;
                    }
                }
            }
        });
}
