//! Everything that a pixel's spectrum is read for, in one read of it whatever the number of
//! particles: mixing, likelihood, and its gradients by abundances and by bands. Equations 6, 7, 9
//! and 13. Does the work of `mix`, `likelihood`, `gradient_abundances` and `gradient_bands`. These
//! write what lies between them to memory, serve covariance noise, and are what this pass is tested
//! against.

mod kernel;
mod vectors;

use rayon::prelude::*;

use super::pass::{Access, Grid, Pass, shader};
use crate::engine::layout::limits::WORKGROUP;
use crate::engine::layout::{Buf, Params, ROW_GROUP};
use crate::engine::passes::buffers::Buffers;

/// One workgroup a chunk of pixels and particle.
pub static PASS: Pass = Pass {
    name: "spectra",
    shader: shader!("spectra", "cube", "normal"),
    bindings: &[
        (Buf::Cube, Access::Read),
        (Buf::Theta, Access::Read),
        (Buf::PixelOf, Access::Read),
        (Buf::Draws, Access::Read),
        (Buf::RowGrads, Access::Write),
        (Buf::Partials, Access::Write),
    ],
    grid: |p| Grid::Groups(u64::from(p.chunks) * u64::from(p.particles)),
    trips: |p| {
        let (k, rows) = (u64::from(p.endmembers), u64::from(p.chunk_rows));
        let slots = u64::from(p.quads.div_ceil(WORKGROUP));
        let blocks = rows.div_ceil((MOST_SUMS / (2 * k + 1)).max(1));
        let lanes = u64::from(WORKGROUP / 4);
        slots * (1 + 2 * k + blocks * (1 + lanes) + rows * (1 + 2 * k))
    },
};

/// Sums over bands that fit workgroup memory at a time; `shaders/spectra.wgsl` has the number, too.
const MOST_SUMS: u64 = 63;

/// Tasks that a thread gets, each a few chunks in a row: with several, a thread that is late leaves
/// the others little to wait for.
const TASKS: usize = 4;

/// Reads the minibatch's spectra on the CPU.
pub fn run(p: &Params, b: &mut Buffers<f32>) {
    run_in(pulp::Arch::new(), p, b);
}

/// [`run`] with the vectors that are given, which the processor must have.
pub fn run_in(arch: pulp::Arch, p: &Params, b: &mut Buffers<f32>) {
    let particles = p.particles as usize;
    let (chunk_rows, batch) = (p.chunk_rows as usize, p.batch as usize);
    let sums = particles * p.row_grad_stride();
    let bands = particles * p.columns() * p.stride();
    let (cube, theta, draws, pixel_of) = (&*b.cube, &b.theta, &b.draws, &b.pixel_of[..batch]);
    let chunks = p.chunks as usize;
    let each = chunks.div_ceil(TASKS * rayon::current_num_threads());
    b.row_grads[..p.groups() * ROW_GROUP * sums]
        .par_chunks_mut(each * chunk_rows * sums)
        .zip(b.partials[..chunks * bands].par_chunks_mut(each * bands))
        .zip(pixel_of.par_chunks(each * chunk_rows))
        .enumerate()
        .for_each(|(task, ((row_sums, band_sums), pixels))| {
            let first = task * each * chunk_rows;
            let chunks =
                kernel::Chunks { p, cube, theta, draws, first, pixels, row_sums, band_sums };
            kernel::run(arch, chunks);
        });
}
