//! The passes of one SVI step, in order. One pass is one file here (its equation, bindings, grid
//! and CPU twin) and one file of the same name in `shaders/`. Pipelines, the CPU loop, the checks
//! of every shader and the comparison of the two backends all come from [`all`].

use crate::buffers::Buffers;
use crate::layout::{Buf, COVARIANCE, MOST_CONSTANTS, Params, SEPARATE};
use crate::math::Real;

pub mod change_rank;
pub mod elbo;
pub mod factor_rank;
pub mod gradient_abundances;
pub mod gradient_bands;
pub mod gradient_covariance;
pub mod gradient_globals;
pub mod gradient_mean;
pub mod gradient_pixels;
pub mod gradient_rank_globals;
pub mod gradient_rank_pixels;
pub mod likelihood;
pub mod likelihood_covariance;
pub mod mix;
pub mod residuals;
pub mod sample_globals;
pub mod sample_pixels;
pub mod sample_rank;
pub mod spectra;
pub mod spectra_bands;
pub mod spectra_rows;
pub mod sum_chunks;
pub mod sum_pixels;
pub mod sum_rank;
pub mod update_globals;
pub mod update_pixels;
pub mod update_rank;

/// What the backends need to know of a pass.
#[derive(Debug)]
pub struct Pass {
    /// Name of the pass, and of its files.
    pub name: &'static str,
    /// The whole WGSL text. The pass comes first, so that line numbers in errors are its own.
    pub shader: &'static str,
    /// Buffers at bindings 1, 2, ..., and whether the pass writes them. Binding 0 is [`Params`].
    pub bindings: &'static [(Buf, Access)],
    /// Invocations.
    pub grid: fn(&Params) -> Grid,
    /// Upper bound of loop iterations, all loops together, of a group of invocations that run in
    /// lockstep: where they take different branches, the loops of all of these. See [`MOST_TRIPS`].
    pub trips: fn(&Params) -> u64,
}

/// What a pass does with a buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Reads only.
    Read,
    /// Reads only, as a uniform of [`MOST_CONSTANTS`] words: what a buffer holds beyond is not seen.
    Constant,
    /// Writes, and may read.
    Write,
}

/// How many invocations a pass takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grid {
    /// That many independent ones.
    Line(u64),
    /// One workgroup.
    OneGroup,
    /// That many workgroups, each with work of its own.
    Groups(u64),
}

impl Grid {
    /// True where there is no work.
    pub fn is_empty(self) -> bool {
        matches!(self, Grid::Line(0) | Grid::Groups(0))
    }

    /// That many independent ones where bands share their noise, none otherwise.
    fn of_covariance(params: &Params, invocations: u64) -> Grid {
        Grid::Line(if params.has(COVARIANCE) { invocations } else { 0 })
    }
}

/// A pass and its CPU twin.
pub type Twin<T> = (&'static Pass, fn(&Params, &mut Buffers<T>));

/// The passes in the order of a step, each with its CPU twin. Those that a model has no use for have
/// no invocations.
pub fn all<T: Real>() -> [Twin<T>; 24] {
    [
        (&sample_rank::PASS, sample_rank::run),
        (&sample_globals::PASS, sample_globals::run),
        (&sample_pixels::PASS, sample_pixels::run),
        (&sum_rank::PASS, sum_rank::run),
        (&factor_rank::PASS, factor_rank::run),
        (&mix::PASS, mix::run),
        (&likelihood::PASS, likelihood::run),
        (&residuals::PASS, residuals::run),
        (&likelihood_covariance::PASS, likelihood_covariance::run),
        (&gradient_mean::PASS, gradient_mean::run),
        (&gradient_covariance::PASS, gradient_covariance::run),
        (&gradient_abundances::PASS, gradient_abundances::run),
        (&gradient_pixels::PASS, gradient_pixels::run),
        (&gradient_rank_pixels::PASS, gradient_rank_pixels::run),
        (&gradient_bands::PASS, gradient_bands::run),
        (&sum_pixels::PASS, sum_pixels::run),
        (&sum_chunks::PASS, sum_chunks::run),
        (&gradient_globals::PASS, gradient_globals::run),
        (&gradient_rank_globals::PASS, gradient_rank_globals::run),
        (&elbo::PASS, elbo::run),
        (&update_pixels::PASS, update_pixels::run),
        (&update_globals::PASS, update_globals::run),
        (&change_rank::PASS, change_rank::run),
        (&update_rank::PASS, update_rank::run),
    ]
}

/// The passes of a run, in order: one read of the spectra where nothing else needs what lies
/// between, all of [`all`] otherwise.
pub fn step(params: &Params) -> Vec<Twin<f32>> {
    let mut passes = all().to_vec();
    if !params.has(SEPARATE) {
        let replaced = ["likelihood", "gradient_abundances", "gradient_bands"];
        passes.retain(|(pass, _)| !replaced.contains(&pass.name));
        for twin in &mut passes {
            if twin.0.name == "mix" {
                *twin = (&spectra::PASS, spectra::run);
            }
        }
    }
    passes
}

/// The passes of a run on a software driver: those of [`step`], with two for `spectra`, where the
/// scene's draws fit the uniform that these read.
pub fn step_on_software(params: &Params) -> Vec<&'static Pass> {
    let two: [&'static Pass; 2] = [&spectra_rows::PASS, &spectra_bands::PASS];
    let fit = params.len(Buf::Theta) <= MOST_CONSTANTS;
    let passes = step(params).into_iter().map(|(pass, _)| pass);
    passes
        .flat_map(|pass| match pass.name == spectra::PASS.name && fit {
            true => two.to_vec(),
            false => vec![pass],
        })
        .collect()
}

/// Every pass there is.
pub fn every() -> Vec<&'static Pass> {
    let fused = [&spectra::PASS, &spectra_rows::PASS, &spectra_bands::PASS];
    all::<f32>().map(|(pass, _)| pass).into_iter().chain(fused).collect()
}

/// The most endmembers of `spectra`: more would not fit its workgroup memory.
pub const MOST_FUSED: usize = 31;

/// Workgroup size of every pass: a multiple of all vendors' subgroup sizes, within every limit.
pub const WORKGROUP: u32 = 64;

/// Workgroups in a row of a dispatch; `shaders/shared/grid.wgsl` states the same.
pub const GROUPS_X: u32 = 32_768;

/// Software drivers on Mesa's llvmpipe end every loop of a shader, silently, after 65,535
/// iterations (`LP_MAX_TGSI_LOOP_ITERATIONS`).
pub const MOST_TRIPS: u64 = 65_535;

/// The first pass with more loop iterations than [`MOST_TRIPS`].
pub fn too_long(params: &Params, passes: &[&'static Pass]) -> Option<&'static Pass> {
    passes.iter().copied().find(|pass| (pass.trips)(params) > MOST_TRIPS)
}

/// A lower triangle of products of loadings, summed over rows of `rank`: `to_lm += V_l V_m`.
pub(crate) fn add_products<T: Real>(to: &mut [T], loadings: &[T], rank: usize) {
    for row in loadings.chunks_exact(rank) {
        for l in 0..rank {
            for m in 0..=l {
                to[l * rank + m] = to[l * rank + m] + row[l] * row[m];
            }
        }
    }
}

/// The text of a pass followed by the shared texts it needs.
macro_rules! shader {
    ($name:literal $(, $shared:literal)*) => {
        concat!(
            include_str!(concat!("../../shaders/", $name, ".wgsl")),
            include_str!("../../shaders/shared/params.wgsl"),
            include_str!("../../shaders/shared/grid.wgsl"),
            $(include_str!(concat!("../../shaders/shared/", $shared, ".wgsl"))),*
        )
    };
}
use shader;

/// Elements below which a loop is not worth a second thread.
const PARALLEL_ELEMENTS: usize = 4096;

/// Rows to give a thread at least, when each has `stride` elements.
fn rows_a_task(stride: usize) -> usize {
    PARALLEL_ELEMENTS.div_ceil(stride.max(1))
}

/// Rows that share one reading of the regressions between bands, 360 KB of them at 300 bands.
const ROW_BLOCK: usize = 8;

/// Lanes of the running sums below: enough for two AVX-512 registers, so that the sum is not one
/// long chain of dependent additions.
const LANES: usize = 32;

/// `sum f(a, b)` over two slices of equal length, in a fixed order.
#[inline(always)]
fn sum_lanes<T: Real>(a: &[T], b: &[T], f: impl Fn(T, T) -> T) -> T {
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
