//! Draws the scene latents and writes what they mean: endmembers, variances, Dirichlet parameters,
//! regressions between bands.
//! Equations 1, 3, 4, 5, 8, 19, 21 and 26 of `docs/model.md`.

use pulp::{Simd, WithSimd};

use super::{Access, Grid, Pass, shader};
use crate::buffers::Buffers;
use crate::layout::{Buf, CONCENTRATION, COVARIANCE, Params, VARIABILITY};
use crate::math::{Real, softplus};
use crate::rng::{self, LANES, Stream};

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
    let g = p.globals as usize;
    for (particle, (eps, theta)) in
        (0..).zip(b.global_eps.chunks_exact_mut(g).zip(b.theta.chunks_exact_mut(p.theta_stride())))
    {
        let rank = p.rank as usize;
        let eta = &b.rank_eps[particle as usize * rank..][..rank];
        pulp::Arch::new().dispatch(Particle { p, particle, globals: &b.globals, eta, eps, theta });
    }
}

/// One particle's draw.
struct Particle<'a, T> {
    p: &'a Params,
    particle: u32,
    /// As [`Buf::Globals`].
    globals: &'a [T],
    /// The normals that all latents share, as [`Buf::RankEps`].
    eta: &'a [T],
    /// As [`Buf::GlobalEps`].
    eps: &'a mut [T],
    /// As [`Buf::Theta`].
    theta: &'a mut [T],
}

impl<T: Real> WithSimd for Particle<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Particle { p, particle, globals, eta, eps, theta } = self;
        let (g, stride, k, bands) = (p.globals as usize, p.stride(), p.k(), p.bands as usize);
        for (group, eps) in eps.chunks_mut(4 * LANES).enumerate() {
            let index = std::array::from_fn(|lane| (group * LANES + lane) as u32);
            let (key, stream) = (p.key(), Stream::Global);
            let normals = rng::normals_lanes(key, stream, particle, p.step, index, [0; LANES], 4);
            for (j, e) in eps.iter_mut().enumerate() {
                *e = T::of(f64::from(normals[j % 4][j / 4]));
            }
        }
        add_loadings(eps, &globals[2 * g..], eta);
        let eps = &*eps;
        let x = |j: usize| globals[j] + globals[g + j].quick_exp() * eps[j];
        let two = T::of(2.0);
        let (locs, log_scales) = (&globals[..p.noise_at()], &globals[g..]);
        for (((c, &loc), &log_scale), &e) in theta.iter_mut().zip(locs).zip(log_scales).zip(eps) {
            *c = softplus(loc + log_scale.quick_exp() * e);
        }
        for row in theta[..p.noise_at()].chunks_exact_mut(stride) {
            row[bands..].fill(T::zero());
        }
        for l in 0..stride {
            let j = p.noise_at() + if p.noises == 1 { 0 } else { l };
            let used = l < bands || p.noises == 1;
            theta[p.noise_at() + l] = if used {
                T::of(f64::from(p.noise_floor)) + (two * x(j)).quick_exp()
            } else {
                T::one()
            };
        }
        if !p.has(VARIABILITY) {
            let (variances, rest) = theta[p.noise_at()..].split_at_mut(stride);
            for (precision, &variance) in rest.iter_mut().zip(&*variances) {
                *precision = T::one() / variance;
            }
        } else {
            for l in (0..k * stride).filter(|l| l % stride < bands) {
                theta[p.noise_at() + stride + l] = (two * x(p.variability_at() + l)).quick_exp();
            }
        }
        let logit = |i: usize| if i + 1 == k { T::zero() } else { x(p.mean_at() + i) };
        let top = (0..k).map(logit).fold(T::zero(), T::max);
        let sum: T = (0..k).map(|i| (logit(i) - top).quick_exp()).sum();
        let concentration = if p.has(CONCENTRATION) {
            x(p.concentration_at()).quick_exp()
        } else {
            T::of(f64::from(p.concentration))
        };
        for i in 0..k {
            theta[p.dirichlet_at() + i] =
                (concentration * (logit(i) - top).quick_exp() / sum).max(T::of(LEAST));
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
