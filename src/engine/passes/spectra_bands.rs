//! The half of `spectra` that concerns bands, on a software driver: mixing, likelihood, and its
//! sums over chunks of rows. Equations 6, 7 and 13. [`spectra_rows`](super::spectra_rows) says why
//! there are two.

use super::pass::{Access, Grid, Pass, shader};
use crate::engine::layout::Buf;

/// One invocation a chunk, particle and four bands.
pub static PASS: Pass = Pass {
    name: "spectra_bands",
    shader: shader!("spectra_bands", "cube"),
    bindings: &[
        (Buf::Cube, Access::Read),
        (Buf::Theta, Access::Read),
        (Buf::PixelOf, Access::Read),
        (Buf::Draws, Access::Read),
        (Buf::Partials, Access::Write),
    ],
    grid: |p| Grid::Line(u64::from(p.chunks) * u64::from(p.particles) * u64::from(p.quads)),
    trips: |p| {
        let k = u64::from(p.endmembers);
        2 * k + u64::from(p.chunk_rows) * (1 + 2 * k)
    },
};
