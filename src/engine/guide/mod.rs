//! The variational families (equations 8 and 26): where they start, and what is constant in their
//! ELBO.

mod laplace;
pub mod transform;

use ndarray::{Array2, ArrayView1, ArrayView2};
use rayon::prelude::*;

use self::laplace::{Curvature, Room};
use self::transform::{add_products, loading_share};
use crate::engine::ground::error::{Error, Result};
use crate::engine::ground::math::{softmax, softplus, softplus_inverse};
use crate::engine::ground::rng::{self, Stream};
use crate::engine::ground::sample::spaced;
use crate::engine::layout::padding::padded;
use crate::engine::layout::{
    BRIGHTNESS, COMMON, CONCENTRATION, COVARIANCE, Params, SPREAD, VARIABILITY,
};
use crate::engine::model::{Held, Model};
use crate::engine::pixels::Cube;

/// A variational posterior of one scene and its pixels, and the model that it is of. N pixels, in
/// the order of the [`crate::engine::pixels::Pixels`] that it was made for.
#[derive(Debug, Clone, PartialEq)]
pub struct Guide {
    /// The model whose posterior it approximates.
    pub model: Model,
    /// Sizes, and hyperparameters as passes take them.
    pub params: Params,
    /// Scene latents, (global_stride), as [`crate::engine::layout::Buf::Globals`] lays them out.
    pub globals: Vec<f32>,
    /// Pixel latents, (N, local_stride).
    pub locals: Vec<f32>,
    /// Centre of the endmembers' prior, (K, stride).
    pub prior_centre: Vec<f32>,
    /// Sum over all pixels of products of loadings, a lower triangle (rank, rank).
    pub rank_sum: Vec<f32>,
    /// Gradients that a pixel has seen so far, mean over pixels: its rate falls with them.
    pub visits: f64,
    /// What the optimiser remembers of its way here; none: a run from here begins at rest.
    pub momentum: Option<Momentum>,
}

/// The moments of Adam (Kingma and Ba, ICLR 2015): running means of gradients and of their squares.
#[derive(Debug, Clone, PartialEq)]
pub struct Momentum {
    /// Gradients that the means are of: the moments of scene latents are corrected for their
    /// beginning at zero.
    pub steps: u32,
    /// First and second moment of the scene latents' guide, (2, global_stride).
    pub globals: Vec<f32>,
    /// First and second moment of the pixel latents' guide, (N, 2, local_stride).
    pub locals: Vec<f32>,
}

/// Least endmember value and abundance at the start: the transforms have no slope at zero.
const LEAST_ENDMEMBER: f64 = 1e-3;
const LEAST_ABUNDANCE: f64 = 1e-2;
/// Least noise sd at the start, reflectance: a perfect start still has to learn.
const LEAST_NOISE: f64 = 2e-3;

/// Log sd of the guides at the start: well inside what the data leave open, so that the first
/// draws are near the start, yet wide enough to move.
const LOG_SCALE_ENDMEMBER: f32 = -4.0;
/// Spectra that stay are taken to be exact.
const LOG_SCALE_HELD: f32 = -10.0;
const LOG_SCALE_NOISE: f32 = -3.0;
const LOG_SCALE_MEAN: f32 = -2.0;
const LOG_SCALE_CONCENTRATION: f32 = -3.0;
const LOG_SCALE_REGRESSION: f32 = -5.0;
const LOG_SCALE_PIXEL: f32 = -1.0;
const LOG_SCALE_BRIGHTNESS: f32 = -3.0;
/// Root mean square of the loadings of a latent at the start, in units of its scale.
const LOADING: f32 = 0.1;

impl Guide {
    /// The guide around a start: endmembers (K, L), abundances (N, K) on the simplex, and log
    /// brightness (N), where the model has it.
    pub fn around(
        params: &Params,
        model: &Model,
        cube: &Cube,
        endmembers: ArrayView2<f64>,
        abundances: ArrayView2<f32>,
        log_brightness: Option<ArrayView1<f32>>,
    ) -> Self {
        let (k, stride, g) = (params.k(), params.stride(), params.globals as usize);
        let mut globals = vec![0.0; params.global_stride()];
        let mut prior_centre = vec![0.0; k * stride];
        for ((i, l), &c) in endmembers.indexed_iter() {
            prior_centre[i * stride + l] = c.max(0.0) as f32;
            globals[i * stride + l] = softplus_inverse(c.max(LEAST_ENDMEMBER)) as f32;
        }
        globals[g..g + params.noise_at()].fill(match model.held {
            Held::Nothing => LOG_SCALE_ENDMEMBER,
            _ => LOG_SCALE_HELD,
        });

        let noise = start_noise(cube, endmembers, abundances, log_brightness);
        let per_band = params.noises > 1;
        let all = (noise.iter().map(|v| v * v).sum::<f64>() / noise.len().max(1) as f64).sqrt();
        for (i, x) in globals[params.noise_at()..params.mean_at()].iter_mut().enumerate() {
            *x = noise.get(i).filter(|_| per_band).unwrap_or(&all).ln() as f32;
        }
        globals[g + params.noise_at()..g + params.mean_at()].fill(LOG_SCALE_NOISE);

        let means: Vec<f64> =
            (0..k).map(|i| mean_of(abundances.column(i)).max(LEAST_ABUNDANCE)).collect();
        for i in 0..k - 1 {
            globals[params.mean_at() + i] = (means[i] / means[k - 1]).ln() as f32;
        }
        globals[g + params.mean_at()..g + params.concentration_at()].fill(LOG_SCALE_MEAN);
        if params.has(CONCENTRATION) {
            globals[params.concentration_at()] = model.concentration.ln() as f32;
            globals[g + params.concentration_at()] = LOG_SCALE_CONCENTRATION;
        }
        if params.has(SPREAD) {
            globals[params.spread_at()] = model.brightness.unwrap_or(1.0).ln() as f32;
            globals[g + params.spread_at()] = LOG_SCALE_CONCENTRATION;
        }
        if let (true, Some(common)) = (params.has(COMMON), model.common) {
            let at = params.common_at();
            for i in 0..k - 1 {
                globals[at + i] = (means[i] / means[k - 1]).ln() as f32;
            }
            globals[at + k - 1] = common.concentration.ln() as f32;
            globals[g + at..g + at + k + 1].fill(LOG_SCALE_CONCENTRATION);
        }

        if params.has(VARIABILITY) {
            let scale = model.variability.unwrap_or(1.0);
            globals[params.variability_at()..params.regression_at()].fill(scale.ln() as f32);
            globals[g + params.variability_at()..g + params.regression_at()].fill(LOG_SCALE_NOISE);
        }
        // Bands begin on their own: regressions of zero.
        globals[g + params.regression_at()..2 * g].fill(LOG_SCALE_REGRESSION);

        let (latents, local_stride) = (params.latents as usize, params.local_stride as usize);
        let mut locals = vec![0.0; abundances.nrows() * local_stride];
        let curvature = Curvature::new(params, endmembers, &noise, model.concentration);
        let independent = model.has_independent_bands(params.bands as usize);
        let begin = |room: &mut Room, (n, guide): (usize, &mut [f32])| {
            let weight = |i: usize| f64::from(abundances[[n, i]]).max(LEAST_ABUNDANCE);
            for (i, z) in guide.iter_mut().take(k - 1).enumerate() {
                *z = (weight(i) / weight(k - 1)).ln() as f32;
            }
            guide[latents..2 * latents].fill(LOG_SCALE_PIXEL);
            if latents == k {
                guide[k - 1] = log_brightness.map_or(0.0, |g| g[n]);
                guide[latents + k - 1] = LOG_SCALE_BRIGHTNESS;
            }
            // Where bands err together evidence is counted too often, and the further a fit goes,
            // the worse is its answer (docs/evidence.md): there guides begin at a fixed width.
            if independent {
                curvature.widen(guide, room);
            }
        };
        let guides = locals.par_chunks_exact_mut(local_stride.max(1)).enumerate();
        guides.for_each_init(Room::default, begin);
        let rank_sum = start_loadings(params, &mut globals, &mut locals);
        Guide {
            model: model.clone(),
            params: *params,
            globals,
            locals,
            prior_centre,
            rank_sum,
            visits: 0.0,
            momentum: None,
        }
    }

    /// Refuses arrays of other sizes than a run on these pixels has.
    ///
    /// # Errors
    ///
    /// [`Error::Fit`] for the first such array.
    pub(crate) fn check(&self, sizes: &Params) -> Result<()> {
        let locals = (sizes.pixels as usize).saturating_mul(sizes.local_stride as usize);
        let moments = self.momentum.as_ref();
        let of_moments = |values: fn(&Momentum) -> &Vec<f32>, len: usize| {
            moments.map_or((2 * len, 2 * len), |m| (values(m).len(), 2 * len))
        };
        let all = [
            ("globals", (self.globals.len(), sizes.global_stride())),
            ("locals", (self.locals.len(), locals)),
            ("prior_centre", (self.prior_centre.len(), sizes.k() * sizes.stride())),
            ("rank_sum", (self.rank_sum.len(), (sizes.rank as usize).pow(2))),
            ("global_moments", of_moments(|m| &m.globals, sizes.global_stride())),
            ("local_moments", of_moments(|m| &m.locals, locals)),
        ];
        match all.into_iter().find(|(_, (has, needs))| has != needs) {
            None => Ok(()),
            Some((name, (has, needs))) => Err(Error::Fit(format!(
                "the guide's {name} has {has} values, and {} pixels with {} bands and {} \
                 endmembers need {needs}",
                sizes.pixels, sizes.bands, sizes.endmembers
            ))),
        }
    }

    /// A guide of these sizes whose arrays hold no values.
    pub(crate) fn empty(model: Model, params: Params) -> Self {
        let (globals, locals) = (Vec::new(), Vec::new());
        let (prior_centre, rank_sum) = (Vec::new(), Vec::new());
        Guide {
            model,
            params,
            globals,
            locals,
            prior_centre,
            rank_sum,
            visits: 0.0,
            momentum: None,
        }
    }

    /// Number of endmembers, K.
    pub fn k(&self) -> usize {
        self.params.k()
    }

    /// Loc and standard deviation of scene latent j: `m` and `e^lambda sqrt(1 + |v|^2)` (equation
    /// 26).
    pub fn marginal(&self, j: usize) -> (f64, f64) {
        let (g, rank) = (self.params.globals as usize, self.params.rank as usize);
        let loadings = &self.globals[2 * g + j * rank..][..rank];
        let shared: f64 = loadings.iter().map(|&v| f64::from(v).powi(2)).sum();
        let (loc, log_scale) = (f64::from(self.globals[j]), f64::from(self.globals[g + j]));
        (loc, log_scale.exp() * (1.0 + shared).sqrt())
    }

    /// The medians of the spectra, (K, L), in reflectance: softplus is monotone.
    pub fn medians(&self) -> Array2<f64> {
        let p = &self.params;
        Array2::from_shape_fn((p.k(), p.bands as usize), |(k, l)| {
            softplus(f64::from(self.globals[k * p.stride() + l]))
        })
    }

    /// 1 / tau^2, with tau the prior sd of log brightness: given, or at the guide's loc.
    pub fn brightness_precision(&self) -> f64 {
        match self.params.has(SPREAD) {
            true => (-2.0 * f64::from(self.globals[self.params.spread_at()])).exp(),
            false => f64::from(self.params.brightness_precision),
        }
    }

    /// The amounts of one pixel, abundances times brightness, at the locs of its latents, (K).
    pub fn amounts(&self, n: usize) -> Vec<f64> {
        let (k, pixel) = (self.k(), self.pixel(n));
        let mut amounts: Vec<f64> = pixel[..k - 1].iter().map(|&z| f64::from(z)).collect();
        amounts.push(0.0);
        softmax(&mut amounts);
        let bright = match self.params.has(BRIGHTNESS) {
            true => f64::from(pixel[k - 1]).exp(),
            false => 1.0,
        };
        amounts.iter_mut().for_each(|w| *w *= bright);
        amounts
    }

    /// The pixel latents of one pixel, (local_stride).
    pub fn pixel(&self, n: usize) -> &[f32] {
        let stride = self.params.local_stride as usize;
        &self.locals[n * stride..][..stride]
    }
}

/// Fills in the loadings of the low-rank guide, small and random, and sums the pixels' products. At
/// zero the gradient by them is zero but for its noise, as nothing then depends on what they load.
fn start_loadings(params: &Params, globals: &mut [f32], locals: &mut [f32]) -> Vec<f32> {
    let (g, rank) = (params.globals as usize, params.rank as usize);
    if rank == 0 {
        return Vec::new();
    }
    let sd = LOADING / (rank as f32).sqrt();
    // The step of the counter tells scene latents (0) and pixels (1) apart.
    let fill = |kind: u32, index: usize, sd: f32, loadings: &mut [f32]| {
        for (block, four) in loadings.chunks_mut(4).enumerate() {
            let (index, block) = (index as u32, block as u32);
            let normals = rng::normals(params.key(), Stream::Start, 0, kind, index, block);
            four.iter_mut().zip(normals).for_each(|(v, normal)| *v = sd * normal);
        }
    };
    for (j, loadings) in globals[2 * g..].chunks_exact_mut(rank).enumerate() {
        if !padded(params, j) {
            fill(0, j, sd, loadings);
        }
    }
    let mut sum = vec![0.0f64; rank * rank];
    for (n, guide) in locals.chunks_exact_mut((params.local_stride as usize).max(1)).enumerate() {
        let loadings = &mut guide[params.loadings_at()..];
        fill(1, n, sd * loading_share(params) as f32, loadings);
        let exact: Vec<f64> = loadings.iter().map(|&v| f64::from(v)).collect();
        add_products(&mut sum, &exact, rank);
    }
    sum.into_iter().map(|s| s as f32).collect()
}

/// Scene latents without those that only fill up.
pub fn scene_latents(params: &Params) -> usize {
    (0..params.globals as usize).filter(|&j| !padded(params, j)).count()
}

fn mean_of(column: ArrayView1<f32>) -> f64 {
    column.iter().map(|&w| f64::from(w)).sum::<f64>() / column.len().max(1) as f64
}

/// Root mean square residual of the start, one a band: where the noise begins.
fn start_noise(
    cube: &Cube,
    endmembers: ArrayView2<f64>,
    abundances: ArrayView2<f32>,
    log_brightness: Option<ArrayView1<f32>>,
) -> Vec<f64> {
    // A few thousand pixels say it well enough, at a cost that does not grow with the scene.
    let mut squares = vec![0.0; cube.bands()];
    let mut count = 0.0;
    for n in spaced(cube.pixels(), 4096) {
        let brightness = log_brightness.map_or(1.0, |g| f64::from(g[n]).exp());
        count += 1.0;
        for (l, square) in squares.iter_mut().enumerate() {
            let mu: f64 = abundances
                .row(n)
                .iter()
                .zip(endmembers.column(l))
                .map(|(&w, &c)| f64::from(w) * c)
                .sum();
            *square += (f64::from(cube.spectrum(n)[l]) - brightness * mu).powi(2);
        }
    }
    squares.iter().map(|s| (s / count).sqrt().max(LEAST_NOISE)).collect()
}

/// What the passes leave out of the ELBO because no gradient needs it: normalisers of the
/// likelihood and the priors, entropies of standard normals (equation 14).
pub fn elbo_constant(params: &Params, model: &Model, prior_centre: &[f32]) -> f64 {
    let two_pi = 2.0 * std::f64::consts::PI;
    let (n, l, k) = (f64::from(params.pixels), f64::from(params.bands), params.k());
    let likelihood = -0.5 * n * l * f64::from(params.weight) * two_pi.ln();
    let entropy_of = |latents: f64| 0.5 * latents * (1.0 + two_pi.ln());
    // With a tau that is learned, its log is in the latent's own share of the ELBO.
    let log_tau = |tau: f64| if params.has(SPREAD) { 0.0 } else { tau.ln() };
    let brightness = model.brightness.map_or(0.0, |tau| -n * (0.5 * two_pi.ln() + log_tau(tau)));
    let spread = model.brightness_spread.filter(|_| params.has(SPREAD));

    let sd = model.endmember_sd;
    let endmembers: f64 = prior_centre
        .chunks_exact(params.stride())
        .take(k)
        .flat_map(|row| &row[..params.bands as usize])
        .map(|&centre| -0.5 * two_pi.ln() - sd.ln() - normal_cdf(f64::from(centre) / sd).ln())
        .sum();
    let noises = if params.noises == 1 { 1.0 } else { l };
    let half_normal = |scale: f64| 0.5 * (2.0 / std::f64::consts::PI).ln() - scale.ln();
    let variability = model.variability.map_or(0.0, |scale| k as f64 * l * half_normal(scale));
    let mean_abundance = crate::engine::ground::math::ln_gamma(k as f64 * model.mean_concentration)
        - k as f64 * crate::engine::ground::math::ln_gamma(model.mean_concentration);

    let log_normal = |sd: f64| -0.5 * two_pi.ln() - sd.ln();
    let concentration = model.concentration_sd.map_or(0.0, log_normal);
    // The share's prior has no constant, and that of the mixture is the mean abundance's.
    let common = model.common.map_or(0.0, |common| log_normal(common.sd) + mean_abundance);

    // L - h of the L bands have a band h before them.
    let pairs = if params.has(COVARIANCE) { 0.5 * l * (l - 1.0) } else { 0.0 };
    let lags: f64 = (1..if pairs > 0.0 { params.bands } else { 0 })
        .map(|lag| (l - f64::from(lag)) * f64::from(lag).ln())
        .sum();
    let regressions = lags - pairs * (0.5 * two_pi.ln() + model.regression_sd.ln());

    likelihood
        + brightness
        + endmembers
        + noises * model.noise_prior.constant
        + variability
        + mean_abundance
        + concentration
        + common
        + spread.map_or(0.0, log_normal)
        + regressions
        + entropy_of(scene_latents(params) as f64)
        + entropy_of(n * f64::from(params.latents))
}

/// The standard normal's distribution function for `x >= 0` (the prior's centre is never
/// negative), Abramowitz and Stegun 26.2.17: absolute error below 7.5e-8.
fn normal_cdf(x: f64) -> f64 {
    let t = 1.0 / (1.0 + 0.231_641_9 * x);
    let poly = t
        * (0.319_381_530
            + t * (-0.356_563_782
                + t * (1.781_477_937 + t * (-1.821_255_978 + t * 1.330_274_429))));
    1.0 - (-0.5 * x * x).exp() / (2.0 * std::f64::consts::PI).sqrt() * poly
}

#[cfg(test)]
mod tests {
    use super::normal_cdf;

    #[test]
    fn normal_cdf_meets_tabled_values() {
        // The stated bound of the approximation.
        for (x, p) in
            [(0.0, 0.5), (1.0, 0.841_344_746_1), (1.959_963_985, 0.975), (3.0, 0.998_650_102)]
        {
            assert!((normal_cdf(x) - p).abs() < 7.5e-8, "{x}");
        }
    }
}
