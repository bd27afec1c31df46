//! The partial sums over chunks of rows, added in a fixed order. Equations 13 and 14.

use rayon::prelude::*;

use super::pass::{Access, Grid, Pass, shader};
use crate::engine::ground::math::Real;
use crate::engine::layout::limits::WORKGROUP;
use crate::engine::layout::{Buf, Params};
use crate::engine::passes::buffers::Buffers;

/// Sums of a workgroup.
const SUMS: u64 = 4;

/// One workgroup for every [`SUMS`] of a particle, each of four bands or one of the pixels'.
pub static PASS: Pass = Pass {
    name: "sum_chunks",
    shader: shader!("sum_chunks"),
    bindings: &[
        (Buf::Partials, Access::Read),
        (Buf::RowSums, Access::Read),
        (Buf::Totals, Access::Write),
    ],
    grid: |p| {
        let sums = p.columns() * p.quads as usize + p.scalars();
        Grid::Groups(u64::from(p.particles) * (sums as u64).div_ceil(SUMS))
    },
    // Two kinds of sum, the first four chunks at a time and then what is left; the halves.
    trips: |p| {
        let slice = u64::from(p.chunks).div_ceil(u64::from(WORKGROUP) / SUMS);
        2 * slice + 4 + u64::from(WORKGROUP.ilog2())
    },
};

/// Adds on the CPU.
pub fn run<T: Real>(p: &Params, b: &mut Buffers<T>) {
    let (chunks, bands, scalars) = (p.chunks as usize, p.columns() * p.stride(), p.scalars());
    let particles = p.particles as usize;
    let (partials, row_sums) = (&b.partials, &b.row_sums);
    b.totals[..p.particles as usize * p.totals_stride()]
        .par_chunks_mut(p.totals_stride())
        .enumerate()
        .for_each(|(particle, totals)| {
            totals.fill(T::zero());
            let (by_band, by_pixel) = totals.split_at_mut(bands);
            for chunk in 0..chunks {
                add(by_band, &partials[(chunk * particles + particle) * bands..][..bands]);
                add(by_pixel, &row_sums[(particle * chunks + chunk) * scalars..][..scalars]);
            }
        });
}

fn add<T: Real>(to: &mut [T], values: &[T]) {
    for (to, &value) in to.iter_mut().zip(values) {
        *to = *to + value;
    }
}
