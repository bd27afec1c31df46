//! The guide of the scene latents as distributions, and draws of its spectra.

use ndarray::{Array1, Array2};
use rayon::prelude::*;

use crate::engine::ground::math::softplus;
use crate::engine::ground::rng::{self, Stream};
use crate::engine::guide::Guide;
use crate::engine::guide::transform::add_loadings;
use crate::engine::layout::{CONCENTRATION, Params, VARIABILITY};
use crate::posterior::peaks;

/// Draws of the endmembers behind moments and quantiles that have no closed form.
pub(super) const ENDMEMBER_DRAWS: usize = 500;

/// Standard normal at 95 %.
const NORMAL_95: f64 = 1.644_853_626_951_472_7;

/// The guide of the scene latents, as distributions.
pub(crate) struct SceneGuide<'a> {
    pub(crate) guide: &'a Guide,
}

impl SceneGuide<'_> {
    pub(super) fn endmember_table(&self, f: impl Fn(f64, f64) -> f64) -> Array2<f64> {
        let shape = (self.guide.params.k(), self.guide.params.bands as usize);
        Array2::from_shape_fn(shape, |(k, l)| {
            let (loc, scale) = self.guide.marginal(k * self.guide.params.stride() + l);
            f(loc, scale)
        })
    }

    /// Mean, sd, 5 % and 95 % quantiles of the spectra.
    pub(crate) fn reflectance(&self) -> [Array2<f64>; 4] {
        let mean = self.endmember_table(|loc, scale| expectation(loc, scale, softplus));
        let square =
            self.endmember_table(|loc, scale| expectation(loc, scale, |x| softplus(x).powi(2)));
        let sd = (&square - &mean.mapv(|m| m * m)).mapv(|v| v.max(0.0).sqrt());
        let quantile = |z: f64| self.endmember_table(|loc, scale| softplus(loc + z * scale));
        [mean, sd, quantile(-NORMAL_95), quantile(NORMAL_95)]
    }

    /// The first `count` draws of spectrum k over their peaks, and the peaks. These are freed of
    /// what [`ENDMEMBER_DRAWS`] draws say, however many are asked for.
    pub(super) fn over_peaks(&self, k: usize, count: usize) -> (Vec<Vec<f64>>, Vec<f64>) {
        let all = 0..count.max(ENDMEMBER_DRAWS) as u32;
        let mut drawn: Vec<Vec<f64>> =
            all.into_par_iter().map(|draw| self.spectrum(k, draw)).collect();
        let excess = peaks::excess(drawn[..ENDMEMBER_DRAWS].iter());
        drawn.truncate(count);
        let peaks = drawn.iter_mut().map(|spectrum| peaks::divide(spectrum, excess)).collect();
        (drawn, peaks)
    }

    /// Mean, sd, 5 % and 95 % quantiles of spectra over their peaks, draw by draw, and the peaks
    /// of the first `count` draws, at most all: draws, then endmembers. One endmember is held at a
    /// time.
    pub(super) fn relative_to_peak(&self, count: usize) -> ([Array2<f64>; 4], Vec<Vec<f32>>) {
        let shape = (self.guide.params.k(), self.guide.params.bands as usize);
        let mut tables = [(); 4].map(|()| Array2::zeros(shape));
        let mut peaks = vec![Vec::with_capacity(shape.0); count];
        for k in 0..shape.0 {
            let (drawn, of_draws) = self.over_peaks(k, ENDMEMBER_DRAWS);
            for (peaks, peak) in peaks.iter_mut().zip(of_draws) {
                peaks.push(peak as f32);
            }
            table_of(k, &drawn, &mut tables);
        }
        (tables, peaks)
    }

    /// One draw of spectrum k, reflectance.
    pub(crate) fn spectrum(&self, k: usize, draw: u32) -> Vec<f64> {
        let (key, g, rank) = (
            self.guide.params.key(),
            self.guide.params.globals as usize,
            self.guide.params.rank as usize,
        );
        let shared = shared(&self.guide.params, draw);
        // Rows begin at multiples of four, so each four bands share the words of one counter.
        (0..self.guide.params.quads as usize)
            .flat_map(|quad| {
                let first = k * self.guide.params.stride() + 4 * quad;
                let four = rng::normals(key, Stream::Posterior, 0, draw, (first / 4) as u32, 0);
                let mut standard = four;
                add_loadings(&mut standard, &self.guide.globals[2 * g + first * rank..], &shared);
                (first..).zip(standard).map(move |(j, standard)| {
                    let (loc, log_scale) = (self.guide.globals[j], self.guide.globals[g + j]);
                    softplus(f64::from(loc) + f64::from(log_scale).exp() * f64::from(standard))
                })
            })
            .take(self.guide.params.bands as usize)
            .collect()
    }

    /// Mean sd of the endmembers between pixels, in the unit of the spectra.
    pub(super) fn variability(&self, heights: &Array1<f64>) -> Option<Array2<f64>> {
        let p = &self.guide.params;
        p.has(VARIABILITY).then(|| {
            Array2::from_shape_fn((p.k(), p.bands as usize), |(k, l)| {
                let (loc, scale) = self.guide.marginal(p.variability_at() + k * p.stride() + l);
                (loc + 0.5 * scale * scale).exp() / heights[k]
            })
        })
    }

    /// The total concentration.
    pub(super) fn concentration(&self) -> f64 {
        match self.guide.params.has(CONCENTRATION) {
            true => self.guide.marginal(self.guide.params.concentration_at()).0.exp(),
            false => f64::from(self.guide.params.concentration),
        }
    }
}

/// Writes mean, sd, 5 % and 95 % quantiles of draws of spectrum `k` into its rows of tables.
pub(super) fn table_of<S: AsRef<[f64]>>(k: usize, draws: &[S], tables: &mut [Array2<f64>; 4]) {
    let count = draws.len() as f64;
    for l in 0..tables[0].ncols() {
        let mut values: Vec<f64> = draws.iter().map(|draw| draw.as_ref()[l]).collect();
        values.sort_unstable_by(f64::total_cmp);
        let mean = values.iter().sum::<f64>() / count;
        let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / count;
        let at = |share: f64| values[(share * (count - 1.0)).round() as usize];
        let row = [mean, variance.sqrt(), at(0.05), at(0.95)];
        for (table, value) in tables.iter_mut().zip(row) {
            table[[k, l]] = value;
        }
    }
}

/// `E f(loc + scale * x)`, x standard normal: the trapezoidal rule over eight sds either way, which
/// converges faster than any power for smooth f (Trefethen and Weideman, SIAM Review 2014).
fn expectation(loc: f64, scale: f64, f: impl Fn(f64) -> f64) -> f64 {
    let (mut sum, mut total) = (0.0, 0.0);
    for i in -16..=16 {
        let x = f64::from(i) * 0.5;
        let weight = (-0.5 * x * x).exp();
        sum += weight * f(loc + scale * x);
        total += weight;
    }
    sum / total
}

/// What all latents share in one draw: normals in pairs of mirror images.
pub(crate) fn shared(params: &Params, draw: u32) -> Vec<f32> {
    (0..params.rank)
        .map(|r| rng::normal_at(params.key(), Stream::Posterior, draw, u32::MAX, r / 4, r % 4))
        .collect()
}
