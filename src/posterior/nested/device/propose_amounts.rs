//! The form of a pixel's likelihood given draws of the scene, and what amounts are proposed from.
//! Equations 30 and 38.

use super::shader;
use super::sizes::{BANDS, FACTORS, LIST, PLACED, PROPOSALS, SCENE, SHAPE_BLOCK, SPECTRA, Sizes};
use crate::engine::backend::gpu::Kernel;
use crate::engine::passes::{Access, Grid};
use crate::posterior::nested::pixels::SCENES;

/// One invocation a pixel of the list and draw of the scene.
pub static KERNEL: Kernel = Kernel {
    name: "propose_amounts",
    shader: shader!("propose_amounts"),
    bindings: &[
        (SPECTRA, Access::Read),
        (SCENE, Access::Read),
        (BANDS, Access::Read),
        (PLACED, Access::Read),
        (LIST, Access::Read),
        (FACTORS, Access::Read),
        (PROPOSALS, Access::Write),
    ],
};

pub fn grid(sizes: &Sizes) -> Grid {
    Grid::Line(u64::from(sizes.count) * SCENES as u64)
}

/// The most loop iterations of an invocation with K endmembers.
pub fn trips(sizes: &Sizes, k: u64) -> u64 {
    let triangle = k * (k + 1);
    let spectrum = u64::from(sizes.bands) * (1 + 2 * k + triangle);
    let blocks = u64::from(sizes.shapes).div_ceil(SHAPE_BLOCK as u64);
    let share = blocks * (1 + 2 * k + triangle + 2 * u64::from(sizes.bands) * (1 + k));
    // Twice with a common mixture, whose own form comes between.
    let propose = 2 * (triangle * (1 + k) + 2 * triangle);
    let narrow = 2 * k + 2 * k * k + k;
    let write = 2 * k + k * k + 2 * (k + triangle);
    2 * triangle + k + spectrum + share + propose + narrow + write
}
