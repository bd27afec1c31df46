//! The half of `spectra` that concerns rows, on a software driver: mixing, likelihood, and its sums
//! over bands. Equations 6, 7 and 9.
//!
//! A software driver's invocations are the lanes of a processor's vectors. There a barrier puts
//! away the registers of every lane, and a load from memory goes lane by lane, so that the
//! workgroup memory in which the lanes of `spectra` meet costs many times what it saves on a GPU.
//! Here no lane meets another: a lane goes over all bands of a row, and in `spectra_bands` a lane
//! goes over the rows of a chunk. Both passes read the spectra and compute the residuals, which is
//! still cheaper.

use super::pass::{Access, Grid, Pass, shader};
use crate::engine::layout::Buf;

/// One invocation a row.
pub static PASS: Pass = Pass {
    name: "spectra_rows",
    shader: shader!("spectra_rows", "cube"),
    bindings: &[
        (Buf::Cube, Access::Read),
        (Buf::Theta, Access::Constant),
        (Buf::PixelOf, Access::Read),
        (Buf::Draws, Access::Read),
        (Buf::RowGrads, Access::Write),
    ],
    grid: |p| Grid::Line(p.rows() as u64),
    trips: |p| {
        let k = u64::from(p.endmembers);
        2 * k + u64::from(p.quads) * (1 + 2 * k)
    },
};
