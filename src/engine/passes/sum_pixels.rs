//! Sums over a chunk of rows in a fixed order: the log abundances, once more as far as rows have a
//! common mixture, the squares of log brightness, and the rows' part of the ELBO. Equation 14.

use rayon::prelude::*;

use super::pass::{Access, Grid, Pass, rows_a_task, shader};
use crate::engine::ground::lanes::{LANES, load};
use crate::engine::ground::math::Real;
use crate::engine::layout::limits::WORKGROUP;
use crate::engine::layout::{Buf, COMMON, Params, SPREAD};
use crate::engine::passes::buffers::Buffers;

/// Lanes that share a chunk; `shaders/sum_pixels.wgsl` has the number, too.
const TOGETHER: u64 = 16;

/// Sixteen lanes a particle and chunk.
pub static PASS: Pass = Pass {
    name: "sum_pixels",
    shader: shader!("sum_pixels"),
    bindings: &[
        (Buf::Theta, Access::Read),
        (Buf::Draws, Access::Read),
        (Buf::RowGrads, Access::Read),
        (Buf::RowSums, Access::Write),
    ],
    grid: |p| {
        let a_group = u64::from(WORKGROUP) / TOGETHER;
        Grid::Groups((u64::from(p.particles) * u64::from(p.chunks)).div_ceil(a_group))
    },
    trips: |p| {
        let (sums, rows) = (p.scalars() as u64, u64::from(p.chunk_rows).div_ceil(TOGETHER));
        // The row's part of the ELBO has a loop over endmembers.
        sums * (1 + rows)
            + rows * u64::from(p.endmembers)
            + sums.div_ceil(TOGETHER) * (1 + TOGETHER)
    },
};

/// Sums over pixels on the CPU, a group side by side. Beyond the minibatch draws are zero, but sums
/// over bands are left from earlier steps.
pub fn run<T: Real>(p: &Params, b: &mut Buffers<T>) {
    let (k, particles, groups) = (p.k(), p.particles as usize, p.groups());
    let (chunks, chunk_groups) = (p.chunks as usize, p.chunk_rows as usize / LANES);
    let (theta, draws, row_grads) = (&b.theta, &b.draws, &b.row_grads);
    let (per_draw, per_row) = (p.draw_stride() * LANES, p.row_grad_stride() * LANES);
    let scalars = p.scalars();
    b.row_sums[..particles * chunks * scalars]
        .par_chunks_mut(scalars)
        .with_min_len(rows_a_task(p.chunk_rows as usize * scalars))
        .enumerate()
        .for_each(|(at, sums)| {
            let (particle, first) = (at / chunks, at % chunks * chunk_groups);
            let rows = || {
                (first..groups.min(first + chunk_groups))
                    .map(move |group| group * particles + particle)
            };
            let a = &theta[particle * p.theta_stride() + p.dirichlet_at()..][..k];
            let half_precision = T::of(0.5) * theta[particle * p.theta_stride() + p.precision_at()];
            let (logs, local) = sums.split_at_mut(k);
            for (i, sum) in logs.iter_mut().enumerate() {
                let mut lanes = [T::zero(); LANES];
                for row in rows() {
                    let log = load(&draws[row * per_draw..], k + i);
                    for lane in 0..LANES {
                        lanes[lane] = lanes[lane] + log[lane];
                    }
                }
                *sum = lanes.into_iter().sum();
            }
            if p.has(COMMON) {
                add_common(k, local, rows().map(|row| &draws[row * per_draw..]));
            }
            let (mut elbo, mut squares) = ([T::zero(); LANES], [T::zero(); LANES]);
            for row in rows() {
                let draw = &draws[row * per_draw..];
                let (g, entropy) = (load(draw, 2 * k + 1), load(draw, 2 * k + 2));
                let mut density = load(&row_grads[row * per_row..], 2 * k);
                if let Some(unused) = density.get_mut(p.batch as usize - row / particles * LANES..)
                {
                    unused.fill(T::zero());
                }
                for i in 0..LANES {
                    let square = g[i] * g[i];
                    squares[i] = squares[i] + square;
                    elbo[i] = elbo[i] + (density[i] - half_precision * square + entropy[i]);
                }
                if p.has(COMMON) {
                    let more = load(draw, 2 * k + 4);
                    for i in 0..LANES {
                        elbo[i] = elbo[i] + more[i];
                    }
                }
            }
            // The Dirichlet density is linear in the logs.
            let dirichlet: T = a.iter().zip(&*logs).map(|(&a, &log)| a * log).sum();
            if p.has(SPREAD) {
                local[local.len() - 2] = squares.into_iter().sum();
            }
            local[local.len() - 1] = elbo.into_iter().sum::<T>() + dirichlet;
        });
}

/// Writes sums over rows of r log W (K) and r, with r the probability that a row has the common
/// mixture.
fn add_common<'a, T: Real>(k: usize, to: &mut [T], draws: impl Iterator<Item = &'a [T]> + Clone) {
    for (i, sum) in to.iter_mut().take(k + 1).enumerate() {
        let mut lanes = [T::zero(); LANES];
        for draw in draws.clone() {
            let share = load(draw, 2 * k + 3);
            let log = if i < k { load(draw, k + i) } else { [T::one(); LANES] };
            for lane in 0..LANES {
                lanes[lane] = lanes[lane] + share[lane] * log[lane];
            }
        }
        *sum = lanes.into_iter().sum();
    }
}
