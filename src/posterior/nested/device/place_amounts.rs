//! Where the amounts of a pixel lie, and their order. Equations 7 and 30.

use super::shader;
use super::sizes::{BANDS, PLACED, SCENE, SPECTRA, Sizes};
use crate::engine::backend::gpu::Kernel;
use crate::engine::layout::limits::WORKGROUP;
use crate::engine::passes::{Access, Grid};
use crate::posterior::nested::group::{ROUNDS, SWEEPS};

/// One workgroup a pixel.
pub static KERNEL: Kernel = Kernel {
    name: "place_amounts",
    shader: shader!("place_amounts"),
    bindings: &[
        (SPECTRA, Access::Read),
        (SCENE, Access::Read),
        (BANDS, Access::Write),
        (PLACED, Access::Write),
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
    let descend = 3 * k + k * k + SWEEPS as u64 * (1 + k + k * k);
    2 * k + weigh + ROUNDS as u64 * (1 + forms + descend + weigh) + k * (1 + k)
}

/// Sums over bands that meet at a time; `shaders/place_amounts.wgsl` has the number, too.
const TOGETHER: u64 = 32;
