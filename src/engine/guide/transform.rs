//! From standard normals to latents, and what loadings share: equations 8 and 26.

use crate::engine::ground::math::Real;
use crate::engine::layout::Params;

/// Pixels up to which loadings move at the full rate. What a pixel has in common with the scene is
/// of the order of `1 / sqrt(N)` in units of its scale, and so must be the noise of its steps: a
/// pixel of a large scene sees too few of them to average it out.
const LOADING_PIXELS: f64 = 6.25;

/// Latent j of a pixel in units of its scale: `eps_j + sum_i T_ji eps_i`, equation 8. T in these
/// units has the same range whatever the width of the posterior, so one learning rate serves.
#[inline(always)]
pub fn standard<T: Real>(full_rank: bool, guide: &[T], eps: &[T], j: usize) -> T {
    let mut x = eps[j];
    if full_rank {
        let off_diagonal = &guide[2 * eps.len() + j * j.saturating_sub(1) / 2..][..j];
        for (&t, &e) in off_diagonal.iter().zip(eps) {
            x = x + t * e;
        }
    }
    x
}

/// Latent j of a pixel from its guide and standard normals: equation 8.
#[inline(always)]
pub fn latent<T: Real>(full_rank: bool, guide: &[T], eps: &[T], j: usize) -> T {
    let latents = eps.len();
    guide[j] + guide[latents + j].quick_exp() * standard(full_rank, guide, eps, j)
}

/// Adds `V eta` to the standard normals of latents, with a row of loadings V for each: equation 26.
pub fn add_loadings<T: Real>(eps: &mut [T], loadings: &[T], eta: &[T]) {
    if eta.is_empty() {
        return;
    }
    for (e, row) in eps.iter_mut().zip(loadings.chunks_exact(eta.len())) {
        *e = row.iter().zip(eta).fold(*e, |sum, (&v, &shared)| sum + v * shared);
    }
}

/// Rate of a pixel's loadings over that of its other parameters.
pub fn loading_share(p: &Params) -> f64 {
    (LOADING_PIXELS * f64::from(p.per_pixel)).sqrt().min(1.0)
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
