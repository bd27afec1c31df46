//! Where the amounts of a pixel lie, and their order. Equations 7, 30 and 38.

use super::shader;
use super::sizes::{BANDS, FACTORS, PLACED, SCENE, SHAPE_BLOCK, SPECTRA, Sizes};
use crate::engine::backend::gpu::Kernel;
use crate::engine::layout::limits::WORKGROUP;
use crate::engine::passes::{Access, Grid};
use crate::posterior::nested::descend::SWEEPS;

/// One workgroup a pixel.
pub static KERNEL: Kernel = Kernel {
    name: "place_amounts",
    shader: shader!("place_amounts"),
    bindings: &[
        (SPECTRA, Access::Read),
        (SCENE, Access::Read),
        (BANDS, Access::Write),
        (PLACED, Access::Write),
        (FACTORS, Access::Read),
    ],
};

pub fn grid(sizes: &Sizes) -> Grid {
    Grid::Groups(u64::from(sizes.count))
}

/// The most loop iterations of an invocation with K endmembers.
pub fn trips(sizes: &Sizes, k: u64) -> u64 {
    let own = u64::from(sizes.bands.div_ceil(WORKGROUP));
    let weigh = k + own * (1 + k);
    let columns = k + 2;
    let blocks = columns.div_ceil(TOGETHER);
    let row = blocks * (1 + u64::from(WORKGROUP)) + columns * (1 + own);
    let forms = own * (1 + k) + k * (1 + row);
    let moves = k + k * (k - 1) / 2;
    let descend = 2 * k + SWEEPS as u64 * (1 + k + moves * (1 + k));
    let blocks = u64::from(sizes.shapes).div_ceil(SHAPE_BLOCK as u64);
    let group = u64::from(WORKGROUP);
    let project = ((k + 1) * blocks).div_ceil(group) * (5 + u64::from(sizes.bands));
    let take = (k * (k + 1)).div_ceil(group) * (1 + blocks * SHAPE_BLOCK as u64);
    let round = 1 + forms + project + take + descend + weigh;
    2 * k + weigh + u64::from(sizes.rounds) * round + k * (1 + k)
}

/// Sums over bands that meet at a time; `shaders/place_amounts.wgsl` has the number, too.
const TOGETHER: u64 = 32;
