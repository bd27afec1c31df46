//! Scene latents that only fill up a row, and where a regression between bands belongs.

use super::Params;

/// Whether a scene latent only fills up a row: one of a band that pads the last group, or a
/// regression that is not below the diagonal.
pub fn padded(p: &Params, j: usize) -> bool {
    let bands = p.bands as usize;
    if j < p.noise_at() {
        j % p.stride() >= bands
    } else if j < p.mean_at() {
        p.noises > 1 && j - p.noise_at() >= bands
    } else if j >= p.regression_at() {
        let (l, m) = pair(p, j);
        l >= bands || m >= l
    } else {
        j >= p.variability_at() && (j - p.variability_at()) % p.stride() >= bands
    }
}

/// The band that the regression at j is of, and the band that it is on.
pub(crate) fn pair(p: &Params, j: usize) -> (usize, usize) {
    let i = j - p.regression_at();
    (i / p.stride(), i % p.stride())
}
