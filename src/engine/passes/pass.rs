//! What a pass is, and what passes share.

use crate::engine::ground::math::Real;
use crate::engine::layout::{Buf, COVARIANCE, Params};
use crate::engine::passes::buffers::Buffers;

/// What the backends need to know of a pass.
#[derive(Debug)]
pub struct Pass {
    /// Name of the pass, and of its files.
    pub name: &'static str,
    /// The whole WGSL text. The pass comes first, so that line numbers in errors are its own.
    pub shader: &'static str,
    /// Buffers at bindings 1, 2, ..., and whether the pass writes them. Binding 0 is [`Params`].
    pub bindings: &'static [(Buf, Access)],
    /// How many invocations it takes.
    pub grid: fn(&Params) -> Grid,
    /// Upper bound of loop iterations, all loops together, of a group of invocations that run in
    /// lockstep: where they take different branches, the loops of all branches. At most
    /// [`MOST_TRIPS`](crate::engine::layout::limits::MOST_TRIPS) on software drivers.
    pub trips: fn(&Params) -> u64,
}

/// What a pass does with a buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Reads only.
    Read,
    /// Reads only, as a uniform of [`MOST_CONSTANTS`](crate::engine::layout::MOST_CONSTANTS) words:
    /// what a buffer holds beyond is not seen.
    Constant,
    /// Writes, and may read.
    Write,
}

/// How many invocations a pass takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grid {
    /// Independent invocations, as many as the number says.
    Line(u64),
    /// One workgroup.
    OneGroup,
    /// Workgroups, as many as the number says, each with work of its own.
    Groups(u64),
}

impl Grid {
    /// True where there is no work.
    pub fn is_empty(self) -> bool {
        matches!(self, Grid::Line(0) | Grid::Groups(0))
    }

    /// A line of invocations where bands share their noise, none otherwise.
    pub(super) fn of_covariance(params: &Params, invocations: u64) -> Grid {
        Grid::Line(if params.has(COVARIANCE) { invocations } else { 0 })
    }
}

/// A pass and its CPU twin.
pub type Twin<T> = (&'static Pass, fn(&Params, &mut Buffers<T>));

/// The text of a pass followed by the shared texts it needs.
macro_rules! shader {
    ($name:literal $(, $shared:literal)*) => {
        concat!(
            include_str!(concat!("../../../shaders/", $name, ".wgsl")),
            include_str!("../../../shaders/shared/params.wgsl"),
            include_str!("../../../shaders/shared/grid.wgsl"),
            $(include_str!(concat!("../../../shaders/shared/", $shared, ".wgsl"))),*
        )
    };
}
pub(super) use shader;

/// Elements below which a loop is not worth a second thread.
const PARALLEL_ELEMENTS: usize = 4096;

/// Rows to give a thread at least, when each has `stride` elements.
pub(super) fn rows_a_task(stride: usize) -> usize {
    PARALLEL_ELEMENTS.div_ceil(stride.max(1))
}

/// Lanes of the running sums below: enough for two AVX-512 registers, so that the sum is not one
/// long chain of dependent additions.
const LANES: usize = 32;

/// `sum f(a, b)` over two slices of equal length, in a fixed order.
#[inline(always)]
pub(super) fn sum_lanes<T: Real>(a: &[T], b: &[T], f: impl Fn(T, T) -> T) -> T {
    let mut lanes = [T::zero(); LANES];
    let (a_chunks, b_chunks) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let rest = a_chunks.remainder().iter().zip(b_chunks.remainder());
    for (a, b) in a_chunks.zip(b_chunks) {
        for i in 0..LANES {
            lanes[i] = lanes[i] + f(a[i], b[i]);
        }
    }
    for (lane, (&a, &b)) in lanes.iter_mut().zip(rest) {
        *lane = *lane + f(a, b);
    }
    let mut width = LANES / 2;
    while width > 0 {
        for i in 0..width {
            lanes[i] = lanes[i] + lanes[i + width];
        }
        width /= 2;
    }
    lanes[0]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sum_lanes_takes_every_element_once() {
        for n in [0, 1, 4, 31, 32, 33, 100] {
            let a: Vec<f64> = (0..n).map(f64::from).collect();
            // Integers below 2^53: exact in any order.
            assert_eq!(sum_lanes(&a, &a, |x, y| x + y), f64::from(n * (n - 1)));
        }
    }
}
