//! Weighted draws of a pixel's amounts given draws of the scene. Equations 30 to 38.

use super::shader;
use super::sizes::{DRAWS, LIST, PLACED, PROPOSALS, SCENE, SHIFTS, Sizes};
use crate::engine::backend::gpu::Kernel;
use crate::engine::passes::{Access, Grid};
use crate::posterior::nested::pixels::ROUND;

/// One invocation a pixel of the list and draw.
pub static KERNEL: Kernel = Kernel {
    name: "draw_amounts",
    shader: shader!("draw_amounts"),
    bindings: &[
        (SCENE, Access::Read),
        (PLACED, Access::Read),
        (LIST, Access::Read),
        (SHIFTS, Access::Read),
        (PROPOSALS, Access::Read),
        (DRAWS, Access::Write),
    ],
};

pub fn grid(sizes: &Sizes) -> Grid {
    Grid::Line(u64::from(sizes.count) * u64::from(sizes.rounds) * ROUND as u64)
}

/// The most loop iterations of an invocation with K endmembers.
pub fn trips(_: &Sizes, k: u64) -> u64 {
    k + k * (1 + k) + k + k * (1 + k) + 2 * k
}
