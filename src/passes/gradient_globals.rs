//! Gradient of the guide of the scene latents: the sums over pixels, times N / B, with priors, Jacobians and entropy; and what each latent gives the ELBO.
//! Equations 13, 15 to 20 and 24.

use rayon::prelude::*;

use super::{Access, Grid, Pass, shader};
use crate::buffers::Buffers;
use crate::layout::{Buf, Params};
use crate::math::{Real, digamma, sigmoid, softplus};

/// One invocation a scene latent.
pub static PASS: Pass = Pass {
    name: "gradient_globals",
    shader: shader!("gradient_globals", "math"),
    bindings: &[
        (Buf::Globals, Access::Read),
        (Buf::PriorCentre, Access::Read),
        (Buf::GlobalEps, Access::Read),
        (Buf::Theta, Access::Read),
        (Buf::Totals, Access::Read),
        (Buf::RegressionSums, Access::Read),
        (Buf::GlobalGrads, Access::Write),
        (Buf::GlobalTerms, Access::Write),
    ],
    grid: |p| Grid::Line(u64::from(p.globals)),
    trips: |p| {
        // Two digammas of six steps for each logit; isotropic noise sums all bands.
        let mean = 7 * u64::from(p.endmembers) + 6;
        let noise = if p.noises == 1 { u64::from(p.bands) } else { 0 };
        // Padding beside latents in use: both loop over particles.
        u64::from(p.particles) * (2 + mean + noise)
    },
};

/// Gathers the gradient on the CPU.
pub fn run<T: Real>(p: &Params, b: &mut Buffers<T>) {
    let g = p.globals as usize;
    let view = View {
        p,
        theta: &b.theta,
        totals: &b.totals,
        regression_sums: &b.regression_sums,
        prior_centre: &b.prior_centre,
    };
    let (globals, eps) = (&b.globals, &b.global_eps);
    let share = T::of(f64::from(p.per_pixel) / f64::from(p.particles));
    let (by_loc, by_log_scale) = b.global_grads[..2 * g].split_at_mut(g);
    let (terms, by_standards) = b.global_terms.split_at_mut(g);
    by_loc
        .par_iter_mut()
        .zip(by_log_scale)
        .zip(terms)
        .zip(by_standards.par_chunks_mut(p.particles as usize))
        .with_min_len(128)
        .enumerate()
        .for_each(|(j, (((by_loc, by_log_scale), term), by_standards))| {
            (*by_loc, *by_log_scale, *term) = (T::zero(), T::zero(), T::zero());
            by_standards.fill(T::zero());
            if padded(p, j) {
                return;
            }
            let scale = globals[g + j].quick_exp();
            for particle in 0..p.particles as usize {
                let e = eps[particle * g + j];
                let (slope, prior) = view.latent(particle, j, globals[j] + scale * e);
                *by_loc = *by_loc + slope;
                by_standards[particle] = slope * scale;
                *by_log_scale = *by_log_scale + slope * e * scale;
                *term = *term + prior;
            }
            *by_loc = *by_loc * share;
            *by_log_scale = *by_log_scale * share + T::of(f64::from(p.per_pixel));
            *term = *term / T::of(f64::from(p.particles)) + globals[g + j];
        });
}

/// True for scene latents that only fill up: bands of a last group of four, and regressions that are
/// not below the diagonal.
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
fn pair(p: &Params, j: usize) -> (usize, usize) {
    let i = j - p.regression_at();
    (i / p.stride(), i % p.stride())
}

/// What the latents of a step see.
struct View<'a, T> {
    p: &'a Params,
    theta: &'a [T],
    totals: &'a [T],
    regression_sums: &'a [T],
    prior_centre: &'a [T],
}

impl<T: Real> View<'_, T> {
    /// Slope of the log joint by latent j at x, and the latent's log prior with its Jacobian.
    fn latent(&self, particle: usize, j: usize, x: T) -> (T, T) {
        let p = self.p;
        let of = |value: f32| T::of(f64::from(value));
        let (half, two) = (T::of(0.5), T::of(2.0));
        if j < p.noise_at() {
            let c = self.theta[particle * p.theta_stride() + j];
            let off = c - self.prior_centre[j];
            let precision = of(p.endmember_precision);
            let by_c = of(p.scale) * self.total(particle, j / p.stride(), j % p.stride())
                - precision * off;
            (sigmoid(x) * by_c + sigmoid(-x), -half * precision * off * off - softplus(-x))
        } else if j < p.mean_at() {
            let square = (two * x).quick_exp();
            let off = x - of(p.noise_centre);
            let sum = if p.noises == 1 {
                (0..p.bands as usize).map(|l| self.total(particle, p.k(), l)).sum()
            } else {
                self.total(particle, p.k(), j - p.noise_at())
            };
            let slope = two * square * of(p.scale) * sum + of(p.noise_jacobian)
                - of(p.noise_quadratic) * square
                - of(p.noise_precision) * off;
            let prior = of(p.noise_jacobian) * x
                - half * of(p.noise_quadratic) * square
                - half * of(p.noise_precision) * off * off;
            (slope, prior)
        } else if j < p.variability_at() {
            self.dirichlet(particle, j, x)
        } else if j >= p.regression_at() {
            let (l, m) = pair(p, j);
            let lag = T::of((l - m) as f64);
            let precision = of(p.regression_precision) * lag * lag;
            let sum = self.regression_sums[(particle * p.stride() + l) * p.stride() + m];
            (of(p.scale) * sum - precision * x, -half * precision * x * x)
        } else {
            let square = (two * x).quick_exp();
            let l = j - p.variability_at();
            let sum = self.total(particle, p.k() + 1 + l / p.stride(), l % p.stride());
            let quadratic = of(p.variability_quadratic);
            (
                two * square * of(p.scale) * sum + T::one() - quadratic * square,
                x - half * quadratic * square,
            )
        }
    }

    /// Sum over pixels in a column of the partial sums; past the last column stand the scalars.
    fn total(&self, particle: usize, column: usize, at: usize) -> T {
        self.totals[particle * self.p.totals_stride() + column * self.p.stride() + at]
    }

    /// Slope by a logit of the mean abundance, or by the log concentration x, and the latent's share
    /// of the log prior. Both move all a_k: a logit by `a_k (1 - pi)` or `-a_k pi`, the log
    /// concentration by `a_k`. The last abundance has no logit, so the first one carries its share of
    /// the prior too.
    fn dirichlet(&self, particle: usize, j: usize, x: T) -> (T, T) {
        let (p, k) = (self.p, self.p.k());
        let of = |value: f64| T::of(value);
        let theta = &self.theta[particle * p.theta_stride() + p.dirichlet_at()..];
        let (a, concentration) = (&theta[..k], theta[k]);
        let prior_concentration = of(f64::from(p.mean_concentration));
        let precision = of(f64::from(p.concentration_precision));
        let from_centre = x - of(f64::from(p.concentration)).quick_ln();
        let own = (j < p.concentration_at()).then(|| j - p.mean_at());
        let pi_j = own.map_or(-T::one(), |own| a[own] / concentration);
        let mut slope = match own {
            Some(_) => prior_concentration * (T::one() - of(k as f64) * pi_j),
            None => -precision * from_centre,
        };
        for (i, &a_i) in a.iter().enumerate() {
            let logs = self.total(particle, p.columns(), i);
            let by_a = of(f64::from(p.scale))
                * (of(f64::from(p.batch)) * (digamma(concentration) - digamma(a_i)) + logs);
            let same = if own == Some(i) { T::one() } else { T::zero() };
            slope = slope + a_i * (same - pi_j) * by_a;
        }
        if own.is_none() {
            return (slope, -of(0.5) * precision * from_centre * from_centre);
        }
        let last = if own == Some(0) { (a[k - 1] / concentration).quick_ln() } else { T::zero() };
        (slope, prior_concentration * (pi_j.quick_ln() + last))
    }
}
