//! Gradient of the guide of the scene latents: sums over pixels, times N / B, with priors,
//! Jacobians and entropy; and the share of each latent in the ELBO. Equations 13, 15 to 20 and 24.

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use super::pass::{Access, Grid, Pass, rows_a_task, shader};
use crate::engine::ground::lanes::LANES;
use crate::engine::ground::math::{Real, digamma, sigmoid, softplus};
use crate::engine::layout::padding::{padded, pair};
use crate::engine::layout::{Buf, COMMON, Params};
use crate::engine::passes::buffers::Buffers;

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
        // Two digammas of six steps for each logit of a Dirichlet; isotropic noise sums all bands.
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
        globals: &b.globals,
        eps: &b.global_eps,
        theta: &b.theta,
        totals: &b.totals,
        regression_sums: &b.regression_sums,
        prior_centre: &b.prior_centre,
    };
    let (by_loc, by_log_scale) = b.global_grads[..2 * g].split_at_mut(g);
    let (terms, by_standards) = b.global_terms.split_at_mut(g);
    let all = Part { first: 0, by_loc, by_log_scale, terms, by_standards };
    // Rows of bands, then what has no band or all, then rows of variability, then regressions.
    let (rows, rest) = all.split(if p.noises == 1 { p.noise_at() } else { p.mean_at() });
    let (scalars, rest) = rest.split(p.variability_at());
    let (varieties, regressions) = rest.split(p.regression_at());
    let arch = pulp::Arch::new();
    for part in [rows, varieties] {
        part.chunks(&view, p.stride(), rows_a_task(p.stride()))
            .for_each(|row| arch.dispatch(Row { view: &view, out: row }));
    }
    for part in [scalars, regressions] {
        part.chunks(&view, p.stride(), 1).for_each(|part| view.one_by_one(part));
    }
}

/// The outputs of some latents, from `first` on: gradients by loc and by log scale, shares of the
/// ELBO, and with the low-rank guide the gradients by each latent in units of its scale (latents,
/// S).
struct Part<'a, T> {
    first: usize,
    by_loc: &'a mut [T],
    by_log_scale: &'a mut [T],
    terms: &'a mut [T],
    by_standards: &'a mut [T],
}

impl<'a, T: Real> Part<'a, T> {
    /// Splits the outputs into those of latents before `at` and those of the others.
    fn split(self, at: usize) -> (Self, Self) {
        let n = at - self.first;
        let particles = self.by_standards.len() / self.by_loc.len().max(1);
        let (by_loc, by_loc_rest) = self.by_loc.split_at_mut(n);
        let (by_log_scale, by_log_scale_rest) = self.by_log_scale.split_at_mut(n);
        let (terms, terms_rest) = self.terms.split_at_mut(n);
        let (by_standards, by_standards_rest) = self.by_standards.split_at_mut(n * particles);
        (
            Part { first: self.first, by_loc, by_log_scale, terms, by_standards },
            Part {
                first: at,
                by_loc: by_loc_rest,
                by_log_scale: by_log_scale_rest,
                terms: terms_rest,
                by_standards: by_standards_rest,
            },
        )
    }

    /// Splits the outputs into runs of `len` latents.
    fn chunks(
        self,
        view: &View<'_, T>,
        len: usize,
        least: usize,
    ) -> impl ParallelIterator<Item = Part<'a, T>> {
        let first = self.first;
        self.by_loc
            .par_chunks_mut(len)
            .zip(self.by_log_scale.par_chunks_mut(len))
            .zip(self.terms.par_chunks_mut(len))
            .zip(self.by_standards.par_chunks_mut(len * view.p.particles as usize))
            .with_min_len(least)
            .enumerate()
            .map(move |(at, (((by_loc, by_log_scale), terms), by_standards))| Part {
                first: first + at * len,
                by_loc,
                by_log_scale,
                terms,
                by_standards,
            })
    }
}

/// A row with a latent for each band.
struct Row<'a, T> {
    view: &'a View<'a, T>,
    out: Part<'a, T>,
}

impl<T: Real> WithSimd for Row<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Row { view, mut out } = self;
        let p = view.p;
        if out.first < p.noise_at() {
            let k = out.first / p.stride();
            view.row(&mut out, k, |x, c, centre, sum| view.endmember(x, c, centre, sum));
        } else if out.first < p.mean_at() {
            view.row(&mut out, p.k(), |x, _, _, sum| view.noise(x, sum));
        } else {
            let column = p.k() + 1 + (out.first - p.variability_at()) / p.stride();
            view.row(&mut out, column, |x, _, _, sum| view.variability(x, sum));
        }
    }
}

/// What the latents of a step see.
struct View<'a, T> {
    p: &'a Params,
    globals: &'a [T],
    eps: &'a [T],
    theta: &'a [T],
    totals: &'a [T],
    regression_sums: &'a [T],
    prior_centre: &'a [T],
}

impl<T: Real> View<'_, T> {
    /// Gathers the outputs of latents one after the other.
    fn one_by_one(&self, out: Part<'_, T>) {
        let (p, g) = (self.p, self.p.globals as usize);
        let particles = p.particles as usize;
        for i in 0..out.by_loc.len() {
            let j = out.first + i;
            let (mut by_loc, mut by_log_scale, mut term) = (T::zero(), T::zero(), T::zero());
            if !padded(p, j) {
                let scale = self.globals[g + j].quick_exp();
                for particle in 0..particles {
                    let e = self.eps[particle * g + j];
                    let (slope, prior) = self.latent(particle, j, self.globals[j] + scale * e);
                    by_loc = by_loc + slope;
                    by_log_scale = by_log_scale + slope * e * scale;
                    term = term + prior;
                    if p.rank > 0 {
                        out.by_standards[i * particles + particle] = slope * scale;
                    }
                }
                by_loc = by_loc * self.share();
                by_log_scale = by_log_scale * self.share() + T::of(f64::from(p.per_pixel));
                term = term / T::of(f64::from(p.particles)) + self.globals[g + j];
            }
            (out.by_loc[i], out.by_log_scale[i], out.terms[i]) = (by_loc, by_log_scale, term);
        }
    }

    /// The latents of a row of bands, with the sums over pixels in `column`. `latent` takes the
    /// latent, for an endmember its value and prior centre, and the sum, and gives what
    /// [`View::latent`] gives.
    #[inline(always)]
    fn row(&self, out: &mut Part<'_, T>, column: usize, latent: impl Fn(T, T, T, T) -> (T, T)) {
        let (p, g, particles) = (self.p, self.p.globals as usize, self.p.particles as usize);
        let (count, share) = (T::of(f64::from(p.particles)), self.share());
        let per_pixel = T::of(f64::from(p.per_pixel));
        for block in (0..p.stride()).step_by(LANES) {
            let at = out.first + block;
            let loc = &self.globals[at..][..LANES];
            let log_scale = &self.globals[g + at..][..LANES];
            let mut scale = [T::zero(); LANES];
            for i in 0..LANES {
                scale[i] = log_scale[i].quick_exp();
            }
            let zero = [T::zero(); LANES];
            let centre = self.prior_centre.get(at..at + LANES).unwrap_or(&zero);
            let (mut by_loc, mut by_log_scale, mut term) = (zero, zero, zero);
            for particle in 0..particles {
                let eps = &self.eps[particle * g + at..][..LANES];
                let sums = &self.totals[particle * p.totals_stride()..];
                let sums = &sums[column * p.stride() + block..][..LANES];
                let theta = &self.theta[particle * p.theta_stride()..];
                let c = theta.get(at..at + LANES).unwrap_or(&zero);
                let mut slopes = zero;
                for i in 0..LANES {
                    let x = loc[i] + scale[i] * eps[i];
                    let (slope, prior) = latent(x, c[i], centre[i], sums[i]);
                    by_loc[i] = by_loc[i] + slope;
                    by_log_scale[i] = by_log_scale[i] + slope * eps[i] * scale[i];
                    term[i] = term[i] + prior;
                    slopes[i] = slope * scale[i];
                }
                if p.rank > 0 {
                    let place = out.by_standards[block * particles..].iter_mut().skip(particle);
                    for (place, &slope) in place.step_by(particles).zip(&slopes) {
                        *place = slope;
                    }
                }
            }
            for i in 0..LANES {
                by_loc[i] = by_loc[i] * share;
                by_log_scale[i] = by_log_scale[i] * share + per_pixel;
                term[i] = term[i] / count + log_scale[i];
            }
            out.by_loc[block..][..LANES].copy_from_slice(&by_loc);
            out.by_log_scale[block..][..LANES].copy_from_slice(&by_log_scale);
            out.terms[block..][..LANES].copy_from_slice(&term);
        }
        let bands = p.bands as usize;
        out.by_loc[bands..].fill(T::zero());
        out.by_log_scale[bands..].fill(T::zero());
        out.terms[bands..].fill(T::zero());
        out.by_standards[bands * particles..].fill(T::zero());
    }

    /// The factor by which a sum over particles becomes a mean over particles and pixels.
    fn share(&self) -> T {
        T::of(f64::from(self.p.per_pixel) / f64::from(self.p.particles))
    }

    /// Slope of the log joint density by latent j at x, and the latent's log prior with its
    /// Jacobian.
    fn latent(&self, particle: usize, j: usize, x: T) -> (T, T) {
        let p = self.p;
        if j < p.noise_at() {
            let sum = self.total(particle, j / p.stride(), j % p.stride());
            let c = self.theta[particle * p.theta_stride() + j];
            self.endmember(x, c, self.prior_centre[j], sum)
        } else if j < p.mean_at() {
            let sum = if p.noises == 1 {
                (0..p.bands as usize).map(|l| self.total(particle, p.k(), l)).sum()
            } else {
                self.total(particle, p.k(), j - p.noise_at())
            };
            self.noise(x, sum)
        } else if j < p.spread_at() {
            self.dirichlet(particle, j, x)
        } else if j < p.variability_at() {
            self.spread(particle, x)
        } else if j >= p.regression_at() {
            let (l, m) = pair(p, j);
            let lag = T::of((l - m) as f64);
            let precision = T::of(f64::from(p.regression_precision)) * lag * lag;
            let sum = self.regression_sums[(particle * p.stride() + l) * p.stride() + m];
            (T::of(f64::from(p.scale)) * sum - precision * x, -T::of(0.5) * precision * x * x)
        } else {
            let l = j - p.variability_at();
            let sum = self.total(particle, p.k() + 1 + l / p.stride(), l % p.stride());
            self.variability(x, sum)
        }
    }

    /// [`View::latent`] for an endmember's value c, with its sum over pixels.
    #[inline(always)]
    fn endmember(&self, x: T, c: T, centre: T, sum: T) -> (T, T) {
        let p = self.p;
        let off = c - centre;
        let precision = T::of(f64::from(p.endmember_precision));
        let by_c = T::of(f64::from(p.scale)) * sum - precision * off;
        let prior = -T::of(0.5) * precision * off * off - softplus(-x);
        (sigmoid(x) * by_c + sigmoid(-x), prior)
    }

    /// [`View::latent`] for a log noise.
    #[inline(always)]
    fn noise(&self, x: T, sum: T) -> (T, T) {
        let p = self.p;
        let of = |value: f32| T::of(f64::from(value));
        let (half, two) = (T::of(0.5), T::of(2.0));
        let square = (two * x).quick_exp();
        let off = x - of(p.noise_centre);
        let slope = two * square * of(p.scale) * sum + of(p.noise_jacobian)
            - of(p.noise_quadratic) * square
            - of(p.noise_precision) * off;
        let prior = of(p.noise_jacobian) * x
            - half * of(p.noise_quadratic) * square
            - half * of(p.noise_precision) * off * off;
        (slope, prior)
    }

    /// [`View::latent`] for a log variability.
    #[inline(always)]
    fn variability(&self, x: T, sum: T) -> (T, T) {
        let of = |value: f32| T::of(f64::from(value));
        let (two, quadratic) = (T::of(2.0), of(self.p.variability_quadratic));
        let square = (two * x).quick_exp();
        (
            two * square * of(self.p.scale) * sum + T::one() - quadratic * square,
            x - T::of(0.5) * quadratic * square,
        )
    }

    /// Sum over pixels in a column of the partial sums; past the last column stand the scalars.
    fn total(&self, particle: usize, column: usize, at: usize) -> T {
        self.totals[particle * self.p.totals_stride() + column * self.p.stride() + at]
    }

    /// Slope by the log x of the sd of log brightness, and its log prior with what is constant in
    /// the density of the pixels' log brightness.
    fn spread(&self, particle: usize, x: T) -> (T, T) {
        let p = self.p;
        let of = |value: f32| T::of(f64::from(value));
        let squares = self.total(particle, p.columns(), p.scalars() - 2);
        let precision = (-T::of(2.0) * x).quick_exp();
        // The median's log is minus half the log of its precision.
        let from_centre = x + T::of(0.5) * of(p.brightness_precision).quick_ln();
        let slope = of(p.scale) * (precision * squares - of(p.batch as f32))
            - of(p.spread_precision) * from_centre;
        let prior = -T::of(0.5) * of(p.spread_precision) * from_centre * from_centre;
        (slope, prior - T::of(f64::from(p.pixels)) * x)
    }

    /// Slope by a latent x of one of the two Dirichlets, and its share of the log prior.
    fn dirichlet(&self, particle: usize, j: usize, x: T) -> (T, T) {
        let (p, k) = (self.p, self.p.k());
        let of = |value: f32| T::of(f64::from(value));
        let theta = &self.theta[particle * p.theta_stride() + p.dirichlet_at()..];
        let total = |at| self.total(particle, p.columns(), at);
        if j < p.common_at() {
            // Pixels without the common mixture.
            let without = |at| if p.has(COMMON) { total(at) - total(k + at) } else { total(at) };
            let count = of(p.batch as f32) - if p.has(COMMON) { total(2 * k) } else { T::zero() };
            let prior = (of(p.concentration), of(p.concentration_precision));
            return self.of_dirichlet(&theta[..=k], j - p.mean_at(), x, count, without, prior);
        }
        let (own, count) = (j - p.common_at(), total(2 * k));
        if own == k {
            // The logit of a share that is as likely to be anything.
            let share = sigmoid(x);
            let slope = of(p.scale) * (count - of(p.batch as f32) * share) + T::one();
            return (slope - T::of(2.0) * share, -softplus(x) - softplus(-x));
        }
        let prior = (of(p.common_concentration), of(p.common_precision));
        self.of_dirichlet(&theta[k + 1..][..=k], own, x, count, |at| total(k + at), prior)
    }

    /// Slope by a logit of the mean, or by the log total x, of the Dirichlet with parameters and
    /// total `a` (K + 1) that `count` pixels have, whose sums of log abundances are `logs`; and the
    /// latent's share of the log prior, with the total's median and 1 / sd^2 of its log. All `a_k`
    /// move: by `a_k (1 - pi)` or `-a_k pi` with a logit, by `a_k` with the log total. The last
    /// abundance has no logit, so the first one carries its share of the prior too.
    fn of_dirichlet(
        &self,
        a: &[T],
        own: usize,
        x: T,
        count: T,
        logs: impl Fn(usize) -> T,
        (median, precision): (T, T),
    ) -> (T, T) {
        let (p, k) = (self.p, self.p.k());
        let (a, concentration) = (&a[..k], a[k]);
        let prior_concentration = T::of(f64::from(p.mean_concentration));
        let own = (own + 1 < k).then_some(own);
        let pi_j = own.map_or(-T::one(), |own| a[own] / concentration);
        let mut slope = match own {
            Some(_) => prior_concentration * (T::one() - T::of(k as f64) * pi_j),
            None => -precision * (x - median.quick_ln()),
        };
        for (i, &a_i) in a.iter().enumerate() {
            let by_a = T::of(f64::from(p.scale))
                * (count * (digamma(concentration) - digamma(a_i)) + logs(i));
            let same = if own == Some(i) { T::one() } else { T::zero() };
            slope = slope + a_i * (same - pi_j) * by_a;
        }
        if own.is_none() {
            let from_centre = x - median.quick_ln();
            return (slope, -T::of(0.5) * precision * from_centre * from_centre);
        }
        let last = if own == Some(0) { (a[k - 1] / concentration).quick_ln() } else { T::zero() };
        (slope, prior_concentration * (pi_j.quick_ln() + last))
    }
}
