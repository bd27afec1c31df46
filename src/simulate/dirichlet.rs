//! Abundances as the model has them: each pixel for itself, from a Dirichlet.

use super::maps::MOST_WITHOUT_PURE;
use ndarray::{Array3, Axis};
use rand::{Rng, RngExt};
use rand_distr::{Distribution, Gamma};

/// Abundances (rows, cols, K), each pixel from Dirichlet(alpha / K, ..., alpha / K): equation 2
/// with equal mean abundances. Without `pure`, pixels with an abundance above 0.8 (or 1 / K) are
/// drawn again. `alpha` > 0; at the model's default, 0.2 K, a sixth of the draws is kept or more.
pub fn abundances(
    size: (usize, usize),
    k: usize,
    alpha: f64,
    pure: bool,
    rng: &mut impl Rng,
) -> Array3<f64> {
    let mut shares = Array3::zeros((size.0, size.1, k));
    let most = if pure { 1.0 } else { MOST_WITHOUT_PURE.max(1.0 / k as f64) };
    let own = alpha / k as f64;
    // The shape is a finite number above 1, which is all that Gamma asks for.
    let Ok(gamma) = Gamma::new(own + 1.0, 1.0) else { return shares };
    for mut pixel in shares.lanes_mut(Axis(2)) {
        loop {
            // Gamma(a) is Gamma(a + 1) U^(1/a) (Marsaglia and Tsang 2000); its logarithm does not
            // underflow where a is small.
            pixel.iter_mut().for_each(|w| {
                let u = 1.0 - rng.random::<f64>();
                *w = gamma.sample(rng).ln() + u.ln() / own;
            });
            let top = pixel.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            pixel.mapv_inplace(|log| (log - top).exp());
            let total = pixel.sum();
            pixel /= total;
            // A single endmember is 1 in whatever rounding.
            if k == 1 || pixel.iter().all(|&w| w <= most) {
                break;
            }
        }
    }
    shares
}
