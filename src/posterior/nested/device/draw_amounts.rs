//! Weighted draws of a pixel's amounts given draws of the scene. Equations 30 to 38.

use super::shader;
use super::sizes::{
    BANDS, DRAWS, FACTORS, LIST, PLACED, SCENE, SHAPE_BLOCK, SHIFTS, SPECTRA, Sizes,
};
use crate::engine::backend::gpu::Kernel;
use crate::engine::passes::{Access, Grid};
use crate::posterior::nested::pixels::{PER_SCENE, SCENES};

/// One invocation a pixel of the list and draw of the scene.
pub static KERNEL: Kernel = Kernel {
    name: "draw_amounts",
    shader: shader!("draw_amounts"),
    bindings: &[
        (SPECTRA, Access::Read),
        (SCENE, Access::Read),
        (BANDS, Access::Read),
        (PLACED, Access::Read),
        (LIST, Access::Read),
        (SHIFTS, Access::Read),
        (FACTORS, Access::Read),
        (DRAWS, Access::Write),
    ],
};

pub fn grid(sizes: &Sizes) -> Grid {
    Grid::Line(u64::from(sizes.count) * SCENES as u64)
}

/// The most loop iterations of an invocation with K endmembers.
pub fn trips(sizes: &Sizes, k: u64) -> u64 {
    let triangle = k * (k + 1);
    let spectrum = u64::from(sizes.bands) * (1 + 2 * k + triangle);
    let propose = triangle * (1 + k) + 2 * triangle;
    let blocks = u64::from(sizes.shapes).div_ceil(SHAPE_BLOCK as u64);
    let share = blocks * (1 + 2 * k + triangle + u64::from(sizes.bands) * (1 + k));
    let draw = k + triangle + k + k * (1 + k) + 2 * k;
    2 * triangle + k + spectrum + share + propose + u64::from(sizes.rounds) * PER_SCENE as u64 * (1 + draw)
}
