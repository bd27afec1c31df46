//! Log density of the observed spectra where bands share their noise, and its derivatives by mean
//! (A) and variance (B) of the innovation, each times the likelihood's weight. The innovation is
//! the residual of a band less what the bands before it predict; but for that the pass does what
//! `likelihood` does. Equation 22.

use rayon::prelude::*;

use super::pass::{Access, Grid, Pass, shader, sum_lanes};
use crate::engine::ground::math::Real;
use crate::engine::layout::limits::ROW_BLOCK;
use crate::engine::layout::{Buf, COVARIANCE, Params};
use crate::engine::passes::buffers::Buffers;

/// One invocation a row and four bands.
pub static PASS: Pass = Pass {
    name: "likelihood_covariance",
    shader: shader!("likelihood_covariance"),
    bindings: &[
        (Buf::Theta, Access::Read),
        (Buf::Residuals, Access::Read),
        (Buf::ScoreInnovation, Access::Write),
        (Buf::ScoreVariance, Access::Write),
        (Buf::LogDensity, Access::Write),
    ],
    grid: |p| Grid::of_covariance(p, p.rows() as u64 * u64::from(p.quads)),
    trips: |p| u64::from(p.quads),
};

/// Evaluates the likelihood on the CPU: a band of several rows at a time, so that its regressions
/// are read once.
pub fn run<T: Real>(p: &Params, b: &mut Buffers<T>) {
    if !p.has(COVARIANCE) {
        return;
    }
    let (stride, quads, bands) = (p.stride(), p.quads as usize, p.bands as usize);
    let (wide, narrow) = (p.batch as usize * stride, p.batch as usize * quads);
    let weight = T::of(f64::from(p.weight));
    let half = T::of(0.5);
    for particle in 0..p.particles as usize {
        let theta = &b.theta[particle * p.theta_stride()..][..p.theta_stride()];
        let (noise, phi) = (&theta[p.noise_at()..][..stride], &theta[p.theta_regression_at()..]);
        let logs: Vec<T> = noise.iter().map(|v| v.ln()).collect();
        b.residuals[particle * wide..][..wide]
            .par_chunks(ROW_BLOCK * stride)
            .zip(b.score_innovation[particle * wide..][..wide].par_chunks_mut(ROW_BLOCK * stride))
            .zip(b.score_variance[particle * wide..][..wide].par_chunks_mut(ROW_BLOCK * stride))
            .zip(b.log_density[particle * narrow..][..narrow].par_chunks_mut(ROW_BLOCK * quads))
            .for_each(|(((residuals, scores), by_variance), densities)| {
                densities.fill(T::zero());
                for l in 0..bands {
                    let phi = &phi[l * stride..][..l];
                    let precision = T::one() / noise[l];
                    for (i, r) in residuals.chunks_exact(stride).enumerate() {
                        let e = r[l] - sum_lanes(phi, &r[..l], |phi, r| phi * r);
                        let a = e * precision;
                        scores[i * stride + l] = weight * a;
                        by_variance[i * stride + l] = weight * half * (a * a - precision);
                        let density = &mut densities[i * quads + l / 4];
                        *density = *density - half * weight * (e * a + logs[l]);
                    }
                }
            });
    }
}
