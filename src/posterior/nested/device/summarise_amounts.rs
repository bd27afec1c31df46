//! Mean, sd and quantiles of a pixel's shares, and what its weighted draws are worth.

use super::shader;
use super::sizes::{ANSWERS, DRAWS, Sizes};
use crate::engine::backend::gpu::Kernel;
use crate::engine::layout::limits::WORKGROUP;
use crate::engine::passes::{Access, Grid};
use crate::posterior::nested::marginal::HALVINGS;
use crate::posterior::nested::pixels::ROUND;

/// One workgroup a pixel of the list.
pub static KERNEL: Kernel = Kernel {
    name: "summarise_amounts",
    shader: shader!("summarise_amounts"),
    bindings: &[(DRAWS, Access::Write), (ANSWERS, Access::Write)],
};

pub fn grid(sizes: &Sizes) -> Grid {
    Grid::Groups(u64::from(sizes.count))
}

/// The most loop iterations of an invocation with K endmembers.
pub fn trips(sizes: &Sizes, k: u64) -> u64 {
    let own = u64::from(sizes.rounds) * ROUND as u64 / u64::from(WORKGROUP);
    let halves = u64::from(WORKGROUP.ilog2());
    4 * own + 4 + halves + k * (1 + 2 * own + 3 * halves + HALVINGS as u64 * (1 + own + halves))
}
