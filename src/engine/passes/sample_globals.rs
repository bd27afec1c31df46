//! Draws the scene latents and writes them as the model takes them: endmembers, variances,
//! Dirichlet parameters, regressions between bands. Equations 1, 3, 4, 5, 8, 19, 21 and 26 of
//! `docs/model.md`.

use pulp::{Simd, WithSimd};

use super::pass::{Access, Grid, Pass, shader};
use crate::engine::ground::math::{Real, ln_dirichlet, softplus};
use crate::engine::ground::rng::{self, LANES, Stream};
use crate::engine::guide::transform::add_loadings;
use crate::engine::layout::limits::WORKGROUP;
use crate::engine::layout::{Buf, COMMON, CONCENTRATION, COVARIANCE, Params, SPREAD, VARIABILITY};
use crate::engine::passes::buffers::Buffers;

/// For each particle one workgroup for [`WORKGROUP`] times four latents, and one for the Dirichlet
/// parameters.
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
    grid: |p| {
        let blocks = u64::from(p.globals).div_ceil(4).div_ceil(u64::from(WORKGROUP)) + 1;
        Grid::Groups(u64::from(p.particles) * blocks)
    },
    // Philox once for four latents, their loadings, and one noise for all bands; or for each of two
    // Dirichlets Philox and the loadings of the latents that lanes share, two loops over
    // endmembers, which draw what is not shared, a lane's own parameters with their log-gammas, and
    // the halves.
    trips: |p| {
        let standard = 10 + u64::from(p.rank);
        let (endmembers, lanes) = (u64::from(p.endmembers), u64::from(WORKGROUP));
        let latents = (p.variability_at() - p.mean_at()) as u64;
        let drawn = if latents > MOST_SHARED { 1 + standard } else { 1 };
        let own = endmembers.div_ceil(lanes) * (drawn + 7);
        let dirichlet = 2 * endmembers * drawn + own + 2 * drawn;
        let shared = latents.min(MOST_SHARED).div_ceil(lanes) * standard;
        let sums = u64::from(WORKGROUP.ilog2()) + 6;
        4 + 4 * standard + 4 * u64::from(p.quads) + shared + 2 * dirichlet + sums
    },
};

/// Latents of Dirichlets that the lanes of a workgroup share; `shaders/sample_globals.wgsl` has the
/// number, too.
const MOST_SHARED: u64 = 256;

/// The least Dirichlet parameter: log-gamma and digamma have poles at zero.
const LEAST: f64 = 1e-6;

/// Writes the parameters of a Dirichlet, total times softmax([logits, 0]), and their total, (K +
/// 1).
#[inline(always)]
fn dirichlet<T: Real>(to: &mut [T], total: T, logit: impl Fn(usize) -> T) {
    let k = to.len() - 1;
    let logit = |i: usize| if i + 1 == k { T::zero() } else { logit(i) };
    let top = (0..k).map(logit).fold(T::zero(), T::max);
    let sum: T = (0..k).map(|i| (logit(i) - top).quick_exp()).sum();
    for (i, to) in to[..k].iter_mut().enumerate() {
        *to = (total * (logit(i) - top).quick_exp() / sum).max(T::of(LEAST));
    }
    to[k] = total;
}

/// Draws the scene latents on the CPU.
pub fn run<T: Real>(p: &Params, b: &mut Buffers<T>) {
    b.status[0] = 0;
    let (g, rank) = (p.globals as usize, p.rank as usize);
    for (particle, theta) in b.theta.chunks_exact_mut(p.theta_stride()).enumerate() {
        let eta = &b.rank_eps[particle * rank..][..rank];
        let (drawn, eps) = b.global_eps.split_at_mut(particle * g);
        let eps = &mut eps[..g];
        // The second of a mirrored pair has the normals of the first, negated.
        let mirrored = (particle % 2 == 1).then(|| &drawn[(particle - 1) * g..]);
        let particle = particle as u32;
        let globals = &b.globals;
        pulp::Arch::new().dispatch(Particle { p, particle, globals, eta, mirrored, eps, theta });
    }
}

/// One particle's draw.
struct Particle<'a, T> {
    p: &'a Params,
    particle: u32,
    /// Guide of the scene latents, laid out as [`Buf::Globals`].
    globals: &'a [T],
    /// The normals that all latents share, a row of [`Buf::RankEps`].
    eta: &'a [T],
    /// What the other particle of the pair has drawn, where it went first.
    mirrored: Option<&'a [T]>,
    /// The standard normals that it draws, a row of [`Buf::GlobalEps`].
    eps: &'a mut [T],
    /// The latents as the model takes them, a row of [`Buf::Theta`].
    theta: &'a mut [T],
}

impl<T: Real> WithSimd for Particle<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Particle { p, particle, globals, eta, mirrored, eps, theta } = self;
        let (g, stride, k, bands) = (p.globals as usize, p.stride(), p.k(), p.bands as usize);
        if let Some(drawn) = mirrored {
            for (e, &drawn) in eps.iter_mut().zip(drawn) {
                *e = -drawn;
            }
        } else {
            for (group, eps) in eps.chunks_mut(4 * LANES).enumerate() {
                let index = std::array::from_fn(|lane| (group * LANES + lane) as u32);
                let (key, stream) = (p.key(), Stream::Global);
                let normals =
                    rng::normals_lanes(key, stream, particle, p.step, index, [0; LANES], 4);
                for (j, e) in eps.iter_mut().enumerate() {
                    *e = T::of(f64::from(normals[j % 4][j / 4]));
                }
            }
            add_loadings(eps, &globals[2 * g..], eta);
        }
        let eps = &*eps;
        let x = |j: usize| globals[j] + globals[g + j].quick_exp() * eps[j];
        let two = T::of(2.0);
        let (endmembers, rest) = theta.split_at_mut(p.noise_at());
        let (noise, varieties) = rest.split_at_mut(stride);
        let values =
            |from: usize| globals[from..].iter().zip(&globals[g + from..]).zip(&eps[from..]);
        for (c, ((&loc, &log_scale), &e)) in endmembers.iter_mut().zip(values(0)) {
            *c = softplus(loc + log_scale.quick_exp() * e);
        }
        for row in endmembers.chunks_exact_mut(stride) {
            row[bands..].fill(T::zero());
        }
        let floor = T::of(f64::from(p.noise_floor));
        if p.noises == 1 {
            noise[..bands].fill(floor + (two * x(p.noise_at())).quick_exp());
        } else {
            for (variance, ((&loc, &log_scale), &e)) in noise.iter_mut().zip(values(p.noise_at())) {
                *variance = floor + (two * (loc + log_scale.quick_exp() * e)).quick_exp();
            }
        }
        noise[bands..].fill(T::one());
        if p.has(VARIABILITY) {
            let varieties = &mut varieties[..k * stride];
            for (v, ((&loc, &log_scale), &e)) in
                varieties.iter_mut().zip(values(p.variability_at()))
            {
                *v = (two * (loc + log_scale.quick_exp() * e)).quick_exp();
            }
            for row in varieties.chunks_exact_mut(stride) {
                row[bands..].fill(T::zero());
            }
        } else {
            for (precision, &variance) in varieties.iter_mut().zip(&*noise) {
                *precision = T::one() / variance;
            }
        }
        let concentration = if p.has(CONCENTRATION) {
            x(p.concentration_at()).quick_exp()
        } else {
            T::of(f64::from(p.concentration))
        };
        let (a, rest) = theta[p.dirichlet_at()..].split_at_mut(k + 1);
        dirichlet(a, concentration, |i| x(p.mean_at() + i));
        if p.has(COMMON) {
            let (b, constants) = rest.split_at_mut(k + 1);
            let (beta, share) = (p.common_at() + k - 1, p.common_at() + k);
            dirichlet(b, x(beta).quick_exp(), |i| x(p.common_at() + i));
            // Logs of one minus the share, and of the share.
            constants[0] = ln_dirichlet(&a[..k]) - softplus(x(share));
            constants[1] = ln_dirichlet(&b[..k]) - softplus(-x(share));
        }
        theta[p.precision_at()] = match p.has(SPREAD) {
            true => (-two * x(p.spread_at())).quick_exp(),
            false => T::of(f64::from(p.brightness_precision)),
        };
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
