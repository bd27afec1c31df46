//! Draws the scene latents and writes what they mean: endmembers, variances, Dirichlet parameters,
//! regressions between bands.
//! Equations 1, 3, 4, 5, 8, 19, 21 and 26 of `docs/model.md`.

use super::{Access, Grid, Pass, shader};
use crate::buffers::Buffers;
use crate::layout::{Buf, CONCENTRATION, COVARIANCE, Params, VARIABILITY};
use crate::math::{Real, softplus};
use crate::rng::{self, Stream};

/// One invocation a latent and particle, and one a particle for the Dirichlet parameters.
pub static PASS: Pass = Pass {
    name: "sample_globals",
    shader: shader!("sample_globals", "rng", "math"),
    bindings: &[
        (Buf::Globals, Access::Read),
        (Buf::GlobalEps, Access::Write),
        (Buf::Theta, Access::Write),
        (Buf::Status, Access::Write),
        (Buf::RankEps, Access::Read),
    ],
    grid: |p| Grid::Line(u64::from(p.particles) * (u64::from(p.globals) + 1)),
    // Philox's rounds and the loadings for each logit and the concentration, and three loops over
    // endmembers; or one noise for all bands.
    trips: |p| {
        let standard = 10 + u64::from(p.rank);
        let endmembers = u64::from(p.endmembers);
        (endmembers + 2) * standard + 3 * endmembers + 4 * u64::from(p.quads)
    },
};

/// The least Dirichlet parameter: log-gamma and digamma have poles at zero.
const LEAST: f64 = 1e-6;

/// Draws the scene latents on the CPU.
pub fn run<T: Real>(p: &Params, b: &mut Buffers<T>) {
    b.status[0] = 0;
    let (g, stride, k) = (p.globals as usize, p.stride(), p.k());
    let bands = p.bands as usize;
    for particle in 0..p.particles {
        let eps = &mut b.global_eps[particle as usize * g..][..g];
        let theta = &mut b.theta[particle as usize * p.theta_stride()..][..p.theta_stride()];
        for (block, four) in eps.chunks_mut(4).enumerate() {
            let normals = rng::normals(p.key(), Stream::Global, particle, p.step, block as u32, 0);
            for (e, n) in four.iter_mut().zip(normals) {
                *e = T::of(f64::from(n));
            }
        }
        let rank = p.rank as usize;
        add_loadings(eps, &b.globals[2 * g..], &b.rank_eps[particle as usize * rank..][..rank]);
        let x = |j: usize| b.globals[j] + b.globals[g + j].exp() * eps[j];
        let two = T::of(2.0);
        for j in (0..p.noise_at()).filter(|j| j % stride < bands) {
            theta[j] = softplus(x(j));
        }
        for l in 0..stride {
            let j = p.noise_at() + if p.noises == 1 { 0 } else { l };
            let used = l < bands || p.noises == 1;
            theta[p.noise_at() + l] =
                if used { T::of(f64::from(p.noise_floor)) + (two * x(j)).exp() } else { T::one() };
        }
        if p.has(VARIABILITY) {
            for l in (0..k * stride).filter(|l| l % stride < bands) {
                theta[p.noise_at() + stride + l] = (two * x(p.variability_at() + l)).exp();
            }
        }
        let logit = |i: usize| if i + 1 == k { T::zero() } else { x(p.mean_at() + i) };
        let top = (0..k).map(logit).fold(T::zero(), T::max);
        let sum: T = (0..k).map(|i| (logit(i) - top).exp()).sum();
        let concentration = if p.has(CONCENTRATION) {
            x(p.concentration_at()).exp()
        } else {
            T::of(f64::from(p.concentration))
        };
        for i in 0..k {
            theta[p.dirichlet_at() + i] =
                (concentration * (logit(i) - top).exp() / sum).max(T::of(LEAST));
        }
        theta[p.dirichlet_at() + k] = concentration;
        if p.has(COVARIANCE) {
            let phi = &mut theta[p.theta_regression_at()..];
            for (l, row) in phi.chunks_exact_mut(stride).take(bands).enumerate() {
                for (m, phi) in row[..l].iter_mut().enumerate() {
                    *phi = x(p.regression_at() + l * stride + m);
                }
            }
        }
    }
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
