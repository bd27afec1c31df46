//! The inverse and half the log determinant of `M = I + sum V'V` over all latents: equation 28.
//! Gauss and Jordan's elimination in place: M has no eigenvalue below 1, so every pivot is at least
//! 1 and none is sought; their logarithms add up to the log determinant.

use super::pass::{Access, Grid, Pass, shader};
use crate::engine::ground::math::Real;
use crate::engine::layout::{Buf, Params};
use crate::engine::passes::buffers::Buffers;

/// One workgroup, a lane a column: it has room for [`crate::engine::model::MOST_RANK`] columns,
/// which fill its 16 KiB.
pub static PASS: Pass = Pass {
    name: "factor_rank",
    shader: shader!("factor_rank"),
    bindings: &[
        (Buf::RankPartials, Access::Read),
        (Buf::RankSum, Access::Read),
        (Buf::RankInverse, Access::Write),
    ],
    grid: |p| if p.rank > 0 { Grid::OneGroup } else { Grid::Line(0) },
    trips: |p| {
        let rank = u64::from(p.rank);
        rank * (3 + rank + p.scene_chunks() as u64)
    },
};

/// Inverts on the CPU.
pub fn run<T: Real>(p: &Params, b: &mut Buffers<T>) {
    let rank = p.rank as usize;
    if rank == 0 {
        return;
    }
    let (m, rest) = b.rank_inverse.split_at_mut(rank * rank);
    for i in 0..rank {
        for j in 0..=i {
            let at = i * rank + j;
            let one = if i == j { T::one() } else { T::zero() };
            let scene = b.rank_partials[at..].iter().step_by(rank * rank);
            let scene: T = scene.take(p.scene_chunks()).copied().sum();
            m[at] = one + scene + b.rank_sum[at];
            m[j * rank + i] = m[at];
        }
    }
    rest[0] = T::of(0.5) * invert(m, rank);
}

/// Inverts a symmetric matrix without eigenvalues below 1, in place, and gives its log determinant.
pub fn invert<T: Real>(m: &mut [T], rank: usize) -> T {
    let mut log_det = T::zero();
    for k in 0..rank {
        let pivot = m[k * rank + k];
        log_det = log_det + pivot.ln();
        for column in (0..rank).filter(|&column| column != k) {
            let share = m[k * rank + column] / pivot;
            m[k * rank + column] = share;
            for row in (0..rank).filter(|&row| row != k) {
                m[row * rank + column] = m[row * rank + column] - m[row * rank + k] * share;
            }
        }
        for row in 0..rank {
            let at = row * rank + k;
            m[at] = if row == k { T::one() / pivot } else { -m[at] / pivot };
        }
    }
    log_det
}
