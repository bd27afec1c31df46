//! What [`super::Params::flags`] says of the model.

/// Flag: pixels have a brightness.
pub const BRIGHTNESS: u32 = 1;
/// Flag: endmembers vary between pixels.
pub const VARIABILITY: u32 = 2;
/// Flag: a pixel's latents share a Cholesky factor (full-rank and low-rank guides).
pub const FULL_RANK: u32 = 4;
/// Flag: the concentration is learned.
pub const CONCENTRATION: u32 = 8;
/// Flag: bands share their noise.
pub const COVARIANCE: u32 = 16;
/// Flag: the passes over bands run one by one and hand on through memory, instead of `spectra`; see
/// `passes::step`.
pub const SEPARATE: u32 = 32;

/// Flag: many pixels may share one mixture.
pub const COMMON: u32 = 256;
/// Flag: how much the brightness of pixels differs is learned.
pub const SPREAD: u32 = 512;
/// Flag: the spectra are floats of 16 bits; on a GPU only.
pub const HALF: u32 = 1024;
/// Flag: the guide of the endmembers stays as it is.
pub const HELD: u32 = 64;
/// Flag: the guide of the endmembers' variability stays as it is.
pub const HELD_VARIABILITY: u32 = 128;
