//! What bands share in a pixel at its amounts. Equation 38.

use super::shader;
use super::sizes::{BANDS, FACTORS, PLACED, SCENE, SHAPE_BLOCK, Sizes};
use crate::engine::backend::gpu::Kernel;
use crate::engine::layout::limits::WORKGROUP;
use crate::engine::passes::{Access, Grid};

/// One workgroup a pixel.
pub static KERNEL: Kernel = Kernel {
    name: "share_bands",
    shader: shader!("share_bands"),
    bindings: &[
        (SCENE, Access::Read),
        (BANDS, Access::Read),
        (PLACED, Access::Read),
        (FACTORS, Access::Write),
    ],
};

pub fn grid(sizes: &Sizes) -> Grid {
    Grid::Groups(u64::from(sizes.count))
}

/// The most loop iterations of an invocation.
pub fn trips(sizes: &Sizes, _: u64) -> u64 {
    let (shapes, bands) = (u64::from(sizes.shapes), u64::from(sizes.bands));
    let own = |all: u64| all.div_ceil(u64::from(WORKGROUP));
    let multiply = own(shapes.div_ceil(2) * (shapes + 1)) * (1 + bands);
    let factorise = shapes * (1 + own(shapes) * (2 + shapes));
    let blocks = shapes.div_ceil(SHAPE_BLOCK as u64);
    let solve = own(bands) * (1 + shapes * (1 + shapes) + blocks * 5);
    own(shapes) + multiply + factorise + solve
}
