//! Log density of the observed spectra and its derivatives by mean (A) and variance (B), each times
//! the likelihood's weight. Equation 7. `likelihood_covariance` does it where bands share their
//! noise.

use rayon::prelude::*;

use super::pass::{Access, Grid, Pass, rows_a_task, shader};
use crate::engine::ground::math::Real;
use crate::engine::layout::{Buf, COVARIANCE, Params, ROW_GROUP, VARIABILITY};
use crate::engine::passes::buffers::Buffers;

/// One invocation a row and four bands; none with covariance noise.
pub static PASS: Pass = Pass {
    name: "likelihood",
    shader: shader!("likelihood", "cube", "normal"),
    bindings: &[
        (Buf::Cube, Access::Read),
        (Buf::Theta, Access::Read),
        (Buf::PixelOf, Access::Read),
        (Buf::Draws, Access::Read),
        (Buf::Mu, Access::Read),
        (Buf::ScoreMean, Access::Write),
        (Buf::ScoreVariance, Access::Write),
        (Buf::LogDensity, Access::Write),
    ],
    grid: |p| match p.has(COVARIANCE) {
        true => Grid::Line(0),
        false => Grid::Line(p.rows() as u64 * u64::from(p.quads)),
    },
    trips: |p| u64::from(p.endmembers),
};

/// Evaluates the likelihood on the CPU.
pub fn run<T: Real>(p: &Params, b: &mut Buffers<T>) {
    if p.has(COVARIANCE) {
        return;
    }
    let (stride, quads, k, batch, bands) =
        (p.stride(), p.quads as usize, p.k(), p.batch as usize, p.bands as usize);
    let weight = T::of(f64::from(p.weight));
    let half = T::of(0.5);
    let (cube, theta, pixel_of, draws, mu) = (&b.cube, &b.theta, &b.pixel_of, &b.draws, &b.mu);
    // Without variability the logarithms are the same for all pixels: one a band, not one a value.
    let shared_logs: Vec<T> = if p.has(VARIABILITY) {
        Vec::new()
    } else {
        (0..p.particles as usize)
            .flat_map(|s| {
                theta[s * p.theta_stride() + p.noise_at()..][..stride].iter().map(|v| v.ln())
            })
            .collect()
    };
    b.score_mean[..p.rows() * stride]
        .par_chunks_mut(stride)
        .zip(b.score_variance[..p.rows() * stride].par_chunks_mut(stride))
        .zip(b.log_density[..p.rows() * quads].par_chunks_mut(quads))
        .with_min_len(rows_a_task(stride))
        .enumerate()
        .for_each_init(
            || (vec![T::zero(); stride], vec![T::zero(); stride]),
            |(own_variance, own_logs), (row, ((score_mean, score_variance), log_density))| {
                let particle = row / batch;
                let at = p.row_at(particle, row % batch, p.draw_stride());
                let draw = draws[at..].iter().step_by(ROW_GROUP).take(k);
                let theta = &theta[particle * p.theta_stride()..][..p.theta_stride()];
                let noise = &theta[p.noise_at()..][..stride];
                let (variance, logs) = if p.has(VARIABILITY) {
                    own_variance.copy_from_slice(noise);
                    for (endmember, &w) in
                        theta[p.noise_at() + stride..].chunks_exact(stride).zip(draw)
                    {
                        for (v, &e) in own_variance.iter_mut().zip(endmember) {
                            *v = *v + w * w * e;
                        }
                    }
                    for (log, v) in own_logs.iter_mut().zip(&*own_variance) {
                        *log = v.ln();
                    }
                    (&own_variance[..], &own_logs[..])
                } else {
                    (noise, &shared_logs[particle * stride..][..stride])
                };
                let y = cube.spectrum(pixel_of[row % batch] as usize);
                let mu = &mu[row * stride..][..stride];
                for l in 0..bands {
                    let precision = T::one() / variance[l];
                    let r = T::of(f64::from(y[l])) - mu[l];
                    let a = r * precision;
                    score_mean[l] = weight * a;
                    score_variance[l] = weight * half * (a * a - precision);
                }
                for l in bands..stride {
                    score_mean[l] = T::zero();
                    score_variance[l] = T::zero();
                }
                for (q, out) in log_density.iter_mut().enumerate() {
                    *out = T::zero();
                    for l in 4 * q..(4 * q + 4).min(bands) {
                        let r = T::of(f64::from(y[l])) - mu[l];
                        *out = *out - half * (r * score_mean[l] + weight * logs[l]);
                    }
                }
            },
        );
}
