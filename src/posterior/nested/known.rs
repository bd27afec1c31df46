//! What the posterior of a pixel needs of the scene beside its spectra.

use super::mixture::{Mixture, Shift};
use super::power_normal::PowerNormals;
use super::shared::{Shapes, Shared};
use crate::engine::ground::math::{ln_dirichlet, softmax, softplus};
use crate::engine::guide::Guide;
use crate::engine::layout::{BRIGHTNESS, COMMON, CONCENTRATION, VARIABILITY};

/// Noise, variability and the prior of the amounts, at the medians of a guide.
#[derive(Debug, Clone)]
pub(super) struct Known {
    /// Number of endmembers, K.
    pub(super) k: usize,
    /// Number of bands, L.
    pub(super) bands: usize,
    /// Weight of the likelihood.
    pub(super) weight: f32,
    /// Precision of the log brightness; none where all pixels have the same.
    pub(super) brightness: Option<f32>,
    /// Noise variance of each band, (L).
    pub(super) noise: Vec<f32>,
    /// Variance of each endmember between pixels, (L, K); empty without variability.
    pub(super) variability: Vec<f32>,
    /// Mean abundances, (K).
    pub(super) mean: Vec<f32>,
    /// Parameters of the abundances' Dirichlet, a of equation 10 or learned, (K).
    pub(super) dirichlet: Vec<f32>,
    /// Those of equation 10, (K).
    pub(super) expected: Vec<f64>,
    /// Their sum.
    pub(super) alpha: f32,
    /// The mixture that many pixels share; none without one.
    pub(super) mixture: Option<Mixture>,
    /// What it adds to the prior of the amounts where the guide has it.
    pub(super) common: Option<Shift>,
    /// What the logarithm of the prior of a pixel's amounts has beside their powers.
    pub(super) normaliser: f64,
    /// Tables for the power of each endmember's amount.
    pub(super) tables: PowerNormals,
    /// Variability that bands share.
    pub(super) shapes: Shapes,
}

impl Known {
    pub(super) fn of(guide: &Guide) -> Self {
        let (p, globals) = (&guide.params, &guide.globals);
        let (k, bands) = (p.k(), p.bands as usize);
        let at = |j: usize| f64::from(globals[j]);
        let variance = |j: usize| (2.0 * at(j)).exp();
        let mut mean: Vec<f64> = (0..k - 1).map(|i| at(p.mean_at() + i)).collect();
        mean.push(0.0);
        softmax(&mut mean);
        let concentration = match p.has(CONCENTRATION) {
            true => at(p.concentration_at()).exp(),
            false => f64::from(p.concentration),
        };
        let dirichlet: Vec<f64> = mean.iter().map(|pi| concentration * pi).collect();
        let brightness = p.has(BRIGHTNESS).then(|| guide.brightness_precision());
        let mut normaliser = ln_dirichlet(&dirichlet);
        if let Some(precision) = brightness {
            normaliser += 0.5 * (precision / std::f64::consts::TAU).ln();
        }
        if p.has(COMMON) {
            // log (1 - rho) from the logarithm of its odds.
            normaliser -= softplus(at(p.common_at() + k));
        }
        let mixture = Mixture::of(guide, &dirichlet);
        // Amounts of pixels of the mixture are drawn from normals above zero.
        let exponents: Vec<f64> =
            dirichlet.iter().copied().chain(mixture.iter().map(|_| 1.0)).collect();
        let noise = |l: usize| variance(p.noise_at() + if p.noises == 1 { 0 } else { l });
        let own = |k: usize, l: usize| variance(p.variability_at() + k * p.stride() + l);
        let narrow = |values: &[f64]| values.iter().map(|&x| x as f32).collect::<Vec<f32>>();
        let cells = |(l, k)| own(k, l) as f32;
        Known {
            k,
            bands,
            weight: p.weight,
            brightness: brightness.map(|x| x as f32),
            normaliser,
            noise: (0..bands).map(|l| (f64::from(p.noise_floor) + noise(l)) as f32).collect(),
            variability: match p.has(VARIABILITY) {
                true => (0..bands).flat_map(|l| (0..k).map(move |k| (l, k))).map(cells).collect(),
                false => Vec::new(),
            },
            tables: PowerNormals::new(&exponents),
            shapes: Shapes::default(),
            common: mixture.as_ref().map(Mixture::shift),
            mixture,
            alpha: dirichlet.iter().sum::<f64>() as f32,
            dirichlet: narrow(&dirichlet),
            expected: dirichlet,
            mean: narrow(&mean),
        }
    }

    /// With noise, variability, shapes and the Dirichlet as they were learned, around spectra (K,
    /// L).
    pub(super) fn share(&mut self, shared: &Shared, spectra: &[f64]) {
        let (k, bands) = (self.k, self.bands);
        self.noise = shared.noise.iter().map(|&x| x as f32).collect();
        let cells = (0..bands).flat_map(|l| (0..k).map(move |i| i * bands + l));
        self.variability = cells.map(|at| shared.variability[at] as f32).collect();
        self.shapes = Shapes::of(shared, spectra, k, bands);
        let dirichlet = shared.dirichlet.clone().unwrap_or_else(|| self.expected.clone());
        self.with_dirichlet(&dirichlet);
    }

    /// This, with the Dirichlet of equation 10.
    pub(super) fn as_expected(&self) -> Self {
        let mut known = self.clone();
        known.with_dirichlet(&self.expected);
        known
    }

    fn with_dirichlet(&mut self, dirichlet: &[f64]) {
        let narrow: Vec<f32> = dirichlet.iter().map(|&a| a as f32).collect();
        if narrow == self.dirichlet {
            return;
        }
        let before: Vec<f64> = self.dirichlet.iter().map(|&a| f64::from(a)).collect();
        self.normaliser += ln_dirichlet(dirichlet) - ln_dirichlet(&before);
        self.alpha = dirichlet.iter().sum::<f64>() as f32;
        let mixture = self.mixture.iter().map(|_| 1.0);
        let exponents: Vec<f64> = dirichlet.iter().copied().chain(mixture).collect();
        self.tables = PowerNormals::new(&exponents);
        self.dirichlet = narrow;
    }

    /// With the mean spectrum of pixels that have the common mixture, reflectance, (L), where that
    /// is known.
    pub(super) fn mixed(&mut self, spectrum: Option<&[f64]>) {
        if let (Some(mixture), Some(spectrum)) = (&mut self.mixture, spectrum) {
            mixture.seen_as(spectrum);
        }
    }

    /// Spectra (K, L) as pixels take them, (L, K).
    pub(super) fn by_bands(&self, spectra: &[f64]) -> Vec<f32> {
        let (k, bands) = (self.k, self.bands);
        (0..bands * k).map(|at| spectra[at % k * bands + at / k] as f32).collect()
    }

    /// Amounts of a pixel that are drawn: the last one is what the others leave, where all pixels
    /// have the same brightness.
    pub(super) fn free(&self) -> usize {
        self.k - usize::from(self.brightness.is_none())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(super) mod tests {
    use crate::engine::guide::Guide;
    use crate::engine::layout::Params;
    use crate::engine::model::Model;

    /// A guide of so many pixels and bands whose latents are all zero.
    pub(crate) fn flat(model: &Model, pixels: usize, bands: usize) -> Guide {
        let params = Params::new(model, pixels, bands, pixels, 1, 7).unwrap();
        Guide {
            model: model.clone(),
            params,
            globals: vec![0.0; params.global_stride()],
            locals: vec![0.0; pixels * params.local_stride as usize],
            prior_centre: vec![0.0; params.k() * params.stride()],
            rank_sum: Vec::new(),
            visits: 0.0,
            momentum: None,
        }
    }
}
