//! Sizes and buffers that the kernels of the pixels' posterior share. `shaders/shared/
//! scene_draws.wgsl` states the same.

use bytemuck::{Pod, Zeroable};

use crate::engine::layout::limits::{MOST_FUSED, MOST_SHAPES};
use crate::posterior::nested::known::Known;
use crate::posterior::nested::pixels::{ROUND, SCENES};

/// What the kernels know of one dispatch, as shaders see it.
#[repr(C)]
#[derive(Debug, Clone, Copy, Pod, Zeroable, PartialEq)]
pub struct Sizes {
    /// Entries of the list of pixels, or pixels.
    pub count: u32,
    /// L, bands.
    pub bands: u32,
    /// Floats from one spectrum to the next.
    pub stride: u32,
    /// Rounds of what is done: of places, or of draws.
    pub rounds: u32,
    /// Rounds of places that were done before.
    pub begun: u32,
    /// J, shapes that bands share.
    pub shapes: u32,
    /// Weight of the likelihood.
    pub weight: f32,
    /// 1 / tau^2 of the log brightness; 0 where all pixels have the same.
    pub over_variance: f32,
    /// Sum of the parameters of the Dirichlet.
    pub alpha: f32,
}

/// Spectra, (N, stride).
pub const SPECTRA: usize = 0;
/// What is known of the scene and its draws.
pub const SCENE: usize = 1;
/// Precisions and weighted residuals, (N, 2, L).
pub const BANDS: usize = 2;
/// Amounts that fit best and the order of the endmembers, (N, 2, K).
pub const PLACED: usize = 3;
/// Pixels whose turn it is.
pub const LIST: usize = 4;
/// Shifts of the points, (N, K).
pub const SHIFTS: usize = 5;
/// What bands share in each pixel, eight shapes side by side, (N, blocks, L, 8).
pub const FACTORS: usize = 6;
/// Forms of the likelihood and what amounts are proposed from, (entries, 2 K^2 + 3 K, SCENES);
/// K^2 + 2 K columns more with a common mixture.
pub const PROPOSALS: usize = 7;
/// Shares, brightness and log weights, (entries, K + 2, draws).
pub const DRAWS: usize = 8;
/// What the kernels find: mean, sd and three quantiles of each share, (5, K), brightness and worth.
pub const ANSWERS: usize = 9;

/// Words of workgroup memory of `place_amounts` that sums over bands share.
const MOST_SUMS: usize = 2080;

/// Bytes that a buffer may take: what every WebGPU device binds.
const MOST_BYTES: usize = 128 << 20;

/// Values that the kernels find for a pixel.
pub fn answers(k: usize) -> usize {
    5 * k + 2
}

/// Words of the draws of a pixel in so many rounds.
pub fn draws(k: usize, rounds: usize) -> usize {
    rounds * ROUND * (k + 2)
}

/// Words of form and proposals of a pixel.
fn proposals(known: &Known) -> usize {
    let (k, kinds) = (known.k, 1 + usize::from(known.common.is_some()));
    (k * k + k + kinds * (k * k + 2 * k)) * SCENES
}

/// Shapes that are taken at a time.
pub const SHAPE_BLOCK: usize = 8;

/// Words of what bands share in a pixel.
pub fn factors(known: &Known) -> usize {
    known.shapes.count().div_ceil(SHAPE_BLOCK) * SHAPE_BLOCK * known.bands
}

/// Whether the kernels have room for so many endmembers and shapes, whatever the device.
pub fn fit(k: usize, shapes: usize) -> bool {
    let sums = (k + 1) * shapes.div_ceil(SHAPE_BLOCK) * SHAPE_BLOCK;
    k <= MOST_FUSED && shapes <= MOST_SHAPES && sums <= MOST_SUMS
}

/// Pixels whose buffers fit a device, at most `count`, but one where there is none; 0 where not
/// even one does.
pub fn chunk(count: usize, known: &Known, stride: usize, rounds: usize) -> usize {
    let drawn = draws(known.k, rounds).max(proposals(known));
    let widest = drawn.max(stride).max(2 * known.bands).max(factors(known));
    // One pixel in all rounds must fit, too.
    (MOST_BYTES / (4 * widest)).min(count.max(1))
}

/// Words of each buffer for so many pixels.
pub fn words(pixels: usize, known: &Known, stride: usize, drawn: usize) -> [usize; 10] {
    let (k, bands) = (known.k, known.bands);
    [
        pixels * stride,
        bands * (1 + 2 * k)
            + 3 * k
            + SCENES * (k * (bands + 2) + 1)
            + (bands + 1) * known.shapes.count()
            + known.tables.cells.len(),
        pixels * 2 * bands,
        pixels * 2 * k,
        pixels,
        pixels * k,
        pixels * factors(known),
        pixels * proposals(known),
        drawn,
        pixels * answers(k),
    ]
}
