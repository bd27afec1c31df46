//! Derivative of the log density by the mixture where bands share their noise: a band's own score,
//! less what it gives to the bands after it. Equation 23.

use rayon::prelude::*;

use super::pass::{Access, Grid, Pass, shader};
use crate::engine::ground::math::Real;
use crate::engine::layout::limits::ROW_BLOCK;
use crate::engine::layout::{Buf, COVARIANCE, Params};
use crate::engine::passes::buffers::Buffers;

/// One invocation a row and four bands.
pub static PASS: Pass = Pass {
    name: "gradient_mean",
    shader: shader!("gradient_mean"),
    bindings: &[
        (Buf::Theta, Access::Read),
        (Buf::ScoreInnovation, Access::Read),
        (Buf::ScoreMean, Access::Write),
    ],
    grid: |p| Grid::of_covariance(p, p.rows() as u64 * u64::from(p.quads)),
    trips: |p| u64::from(p.quads),
};

/// Multiplies on the CPU: a row of regressions for several rows at a time.
pub fn run<T: Real>(p: &Params, b: &mut Buffers<T>) {
    if !p.has(COVARIANCE) {
        return;
    }
    let (stride, bands) = (p.stride(), p.bands as usize);
    let wide = p.batch as usize * stride;
    for particle in 0..p.particles as usize {
        let theta = &b.theta[particle * p.theta_stride()..][..p.theta_stride()];
        let phi = &theta[p.theta_regression_at()..];
        b.score_innovation[particle * wide..][..wide]
            .par_chunks(ROW_BLOCK * stride)
            .zip(b.score_mean[particle * wide..][..wide].par_chunks_mut(ROW_BLOCK * stride))
            .for_each(|(scores, out)| {
                out.copy_from_slice(scores);
                for l in 0..bands {
                    let phi = &phi[l * stride..][..l];
                    for (scores, out) in
                        scores.chunks_exact(stride).zip(out.chunks_exact_mut(stride))
                    {
                        for (out, &phi) in out.iter_mut().zip(phi) {
                            *out = *out - scores[l] * phi;
                        }
                    }
                }
            });
    }
}
