//! Numbers that bound or group the work, for all of the engine.

use crate::engine::ground::rng;

/// Bands come in groups of so many, the last one padded: the widest vectors of a CPU, four `vec4`s
/// of a shader, and a cache line.
pub const BAND_GROUP: usize = 16;

/// The most endmembers of `spectra`: more would not fit its workgroup memory.
pub const MOST_FUSED: usize = 31;

/// The most shapes that bands share which the kernels of the pixels' posterior take: half of a
/// matrix of them fits workgroup memory.
pub const MOST_SHAPES: usize = 88;

/// Workgroup size of every pass: a multiple of all vendors' subgroup sizes, within every limit.
pub const WORKGROUP: u32 = 64;

/// Workgroups in a row of a dispatch; `shaders/shared/grid.wgsl` states the same.
pub const GROUPS_X: u32 = 32_768;

/// Software drivers on Mesa's llvmpipe end every loop of a shader, silently, after 65,535
/// iterations (`LP_MAX_TGSI_LOOP_ITERATIONS`).
pub const MOST_TRIPS: u64 = 65_535;

/// Rows that share one reading of the regressions between bands, 360 KB of them at 300 bands.
pub(crate) const ROW_BLOCK: usize = 8;

/// Most draws a step: the particle's number has a byte in the random counter, and memory is finite.
pub const MOST_PARTICLES: usize = 64;

/// The most partial sums a particle: the final sums then stay short on any scene.
pub(super) const MAX_CHUNKS: u32 = 1024;

/// The fewest rows worth a partial sum of their own, of which there are whole multiples.
pub(super) const MIN_CHUNK_ROWS: u32 = 16;

/// Words of the largest uniform that every WebGPU device takes, 64 KiB.
pub const MOST_CONSTANTS: usize = 1 << 14;

/// Rows that lie side by side where a buffer has columns: a column of sixteen places of the
/// minibatch is a cache line, a vector of a CPU, and one read of neighbouring invocations.
pub const ROW_GROUP: usize = rng::LANES;

/// Steps whose ELBO the trace buffer holds: the longest block between two reads.
pub const TRACE_LEN: u32 = 1024;

/// Words of the status of a fit.
pub const STATUS: u32 = 4;

/// The fewest scene latents worth a partial sum of their own, and the most such sums.
pub(super) const MIN_SCENE_CHUNK: usize = 64;
pub(super) const MOST_SCENE_CHUNKS: usize = 256;
