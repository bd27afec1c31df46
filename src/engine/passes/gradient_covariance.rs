//! The likelihood's gradient by the regressions between bands: `sum A_l r_m` over the rows of a
//! particle, in a fixed order. Equation 24.
//!
//! No chunks of rows as in `gradient_bands`: there are thousands of sums to keep a device busy, and
//! partial sums of L x L would be larger than the scene.

use rayon::prelude::*;

use super::pass::{Access, Grid, Pass, shader};
use crate::engine::ground::math::Real;
use crate::engine::layout::{Buf, COVARIANCE, Params};
use crate::engine::passes::buffers::Buffers;

/// One invocation a particle and four by four bands.
pub static PASS: Pass = Pass {
    name: "gradient_covariance",
    shader: shader!("gradient_covariance"),
    bindings: &[
        (Buf::Residuals, Access::Read),
        (Buf::ScoreInnovation, Access::Read),
        (Buf::RegressionSums, Access::Write),
    ],
    grid: |p| {
        let quads = u64::from(p.quads);
        Grid::of_covariance(p, u64::from(p.particles) * quads * quads)
    },
    trips: |p| if p.has(COVARIANCE) { u64::from(p.batch) } else { 0 },
};

/// Bands to a task: their sums stay in the first cache while the rows pass by.
const BAND_BLOCK: usize = 8;

/// Sums over pixels on the CPU.
pub fn run<T: Real>(p: &Params, b: &mut Buffers<T>) {
    if !p.has(COVARIANCE) {
        return;
    }
    let stride = p.stride();
    let wide = p.batch as usize * stride;
    for particle in 0..p.particles as usize {
        let residuals = &b.residuals[particle * wide..][..wide];
        let scores = &b.score_innovation[particle * wide..][..wide];
        b.regression_sums[particle * stride * stride..][..stride * stride]
            .par_chunks_mut(BAND_BLOCK * stride)
            .enumerate()
            .for_each(|(block, sums)| {
                sums.fill(T::zero());
                for (r, a) in residuals.chunks_exact(stride).zip(scores.chunks_exact(stride)) {
                    for (i, sums) in sums.chunks_exact_mut(stride).enumerate() {
                        let l = block * BAND_BLOCK + i;
                        // To the end of the group of four that holds the diagonal, as the shader.
                        for (sum, &r) in sums[..4 * (l / 4 + 1)].iter_mut().zip(r) {
                            *sum = *sum + a[l] * r;
                        }
                    }
                }
            });
    }
}
