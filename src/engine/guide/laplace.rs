//! Where the guides of pixels begin: the normal that the posterior of a pixel's latents is like
//! near the start, given spectra and noise (Laplace's approximation, with the expected curvature).
//! A pixel of a large scene sees few steps, and from any fixed width the guides of a search would
//! be compared by how far they have come.

use crate::engine::layout::{FULL_RANK, Params};

/// Least precision of a latent: where the data say nothing a guide begins at a sd of 1.
const LEAST_PRECISION: f64 = 1.0;

/// What all pixels share.
pub(super) struct Curvature<'a> {
    params: &'a Params,
    /// Sums over bands of products of spectra, each over the variance, times the weight of the
    /// likelihood, (K, K).
    gram: Vec<f64>,
    /// The Dirichlet's total.
    concentration: f64,
}

/// Room for one pixel.
#[derive(Default)]
pub(super) struct Room {
    weights: Vec<f64>,
    /// Derivatives of the amounts by the latents, (P, K).
    slopes: Vec<f64>,
    /// (P, P).
    precision: Vec<f64>,
    factor: Vec<f64>,
}

impl<'a> Curvature<'a> {
    /// `spectra` are (K, L), `noise` is the sd of each band.
    pub(super) fn new(
        params: &'a Params,
        spectra: ndarray::ArrayView2<f64>,
        noise: &[f64],
        concentration: f64,
    ) -> Self {
        let k = params.k();
        let weight = f64::from(params.weight);
        let mut gram = vec![0.0; k * k];
        for (l, sd) in noise.iter().enumerate() {
            let over_variance = weight / (sd * sd);
            for i in 0..k {
                for j in 0..k {
                    gram[i * k + j] += over_variance * spectra[[i, l]] * spectra[[j, l]];
                }
            }
        }
        Curvature { params, gram, concentration }
    }

    /// Writes log scales and off-diagonals into a pixel's guide, whose locs are there.
    pub(super) fn widen(&self, guide: &mut [f32], room: &mut Room) {
        let p = self.params;
        let latents = p.latents as usize;
        self.precision(&guide[..latents], room);
        let Room { precision, factor, .. } = room;
        if !p.has(FULL_RANK) {
            for j in 0..latents {
                guide[latents + j] = (-0.5 * precision[j * latents + j].ln()) as f32;
            }
            return;
        }
        // P = U U' with U upper triangular: the covariance is L L' with L' the inverse of U.
        factor.clear();
        factor.resize(latents * latents, 0.0);
        for j in (0..latents).rev() {
            for i in (0..=j).rev() {
                let known: f64 = (j + 1..latents)
                    .map(|m| factor[i * latents + m] * factor[j * latents + m])
                    .sum();
                let rest = precision[i * latents + j] - known;
                factor[i * latents + j] = if i == j {
                    rest.max(LEAST_PRECISION).sqrt()
                } else {
                    rest / factor[j * latents + j]
                };
            }
        }
        // Rows of the inverse of U, whose transpose is L: column by column.
        let inverse = &mut precision[..];
        inverse.fill(0.0);
        for j in 0..latents {
            inverse[j * latents + j] = 1.0 / factor[j * latents + j];
            for i in (0..j).rev() {
                let sum: f64 =
                    (i + 1..=j).map(|m| factor[i * latents + m] * inverse[m * latents + j]).sum();
                inverse[i * latents + j] = -sum / factor[i * latents + i];
            }
        }
        for j in 0..latents {
            let scale = inverse[j * latents + j];
            guide[latents + j] = scale.ln() as f32;
            for i in 0..j {
                let at = 2 * latents + j * (j - 1) / 2 + i;
                guide[at] = (inverse[i * latents + j] / scale) as f32;
            }
        }
    }

    /// The expected curvature of the log density of a pixel at these latents.
    fn precision(&self, latent: &[f32], room: &mut Room) {
        let (p, k, latents) = (self.params, self.params.k(), latent.len());
        let Room { weights, slopes, precision, .. } = room;
        weights.clear();
        weights.extend((0..k).map(|i| if i + 1 < k { f64::from(latent[i]) } else { 0.0 }));
        let top = weights.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        weights.iter_mut().for_each(|w| *w = (*w - top).exp());
        let sum: f64 = weights.iter().sum();
        weights.iter_mut().for_each(|w| *w /= sum);
        let bright = if latents == k { f64::from(latent[k - 1]).exp() } else { 1.0 };
        slopes.clear();
        for j in 0..latents {
            slopes.extend((0..k).map(|i| {
                let own = if i == j { 1.0 } else { 0.0 };
                // By a logit, or by the log brightness.
                bright * if j + 1 < k { weights[j] * (own - weights[i]) } else { weights[i] }
            }));
        }
        precision.clear();
        precision.resize(latents * latents, 0.0);
        for i in 0..latents {
            for j in 0..latents {
                let mut sum = 0.0;
                for a in 0..k {
                    let row: f64 = (0..k).map(|b| self.gram[a * k + b] * slopes[j * k + b]).sum();
                    sum += slopes[i * k + a] * row;
                }
                let same = if i == j { 1.0 } else { 0.0 };
                sum += same * LEAST_PRECISION;
                if i + 1 < k && j + 1 < k {
                    sum += self.concentration * weights[i] * (same - weights[j]);
                } else if i == j {
                    sum += f64::from(p.brightness_precision);
                }
                precision[i * latents + j] = sum;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::model::{Family, Model};
    use ndarray::array;

    #[test]
    fn the_guide_begins_with_the_inverse_of_the_curvature() {
        let model = Model {
            brightness: Some(0.5),
            family: Family::FullRank,
            likelihood_weight: 0.5,
            ..Model::new(3)
        };
        let params = Params::new(&model, 4, 5, 4, 1, 0).unwrap();
        let spectra = array![
            [0.1, 0.2, 0.5, 0.3, 0.2],
            [0.4, 0.1, 0.2, 0.6, 0.1],
            [0.3, 0.3, 0.1, 0.1, 0.5],
        ];
        let curvature = Curvature::new(&params, spectra.view(), &[0.02; 5], 0.6);
        let mut guide = vec![0.0; params.local_stride as usize];
        guide[..3].copy_from_slice(&[0.4, -0.3, 0.2]);
        let mut room = Room::default();
        curvature.precision(&guide[..3], &mut room);
        let precision = room.precision.clone();
        curvature.widen(&mut guide, &mut room);
        // Covariance of D (I + T) eps: times the curvature it is the unit matrix.
        let at = |j: usize, i: usize| match i.cmp(&j) {
            std::cmp::Ordering::Less => f64::from(guide[6 + j * (j - 1) / 2 + i]),
            std::cmp::Ordering::Equal => 1.0,
            std::cmp::Ordering::Greater => 0.0,
        };
        let factor = |j: usize, i: usize| f64::from(guide[3 + j]).exp() * at(j, i);
        for i in 0..3 {
            for j in 0..3 {
                let product: f64 = (0..3)
                    .flat_map(|m| (0..3).map(move |n| (m, n)))
                    .map(|(m, n)| factor(i, n) * factor(m, n) * precision[m * 3 + j])
                    .sum();
                let unit = if i == j { 1.0 } else { 0.0 };
                // The guide is in f32.
                assert!((product - unit).abs() < 1e-4, "{i} {j}: {product}");
            }
        }
        // The slope of the mean by a latent, squared over the variance, is what data say of it.
        let mean = |z: &[f64]| {
            let e: Vec<f64> = [z[0], z[1], 0.0].iter().map(|z| z.exp()).collect();
            let sum: f64 = e.iter().sum();
            let w = ndarray::Array1::from(e) / sum;
            w.dot(&spectra) * z[2].exp()
        };
        for j in 0..3 {
            let moved = |h: f64| {
                let mut z = [0.4, -0.3, 0.2];
                z[j] += h;
                mean(&z)
            };
            let slope = (moved(1e-5) - moved(-1e-5)) / 2e-5;
            let data = 0.5 * slope.dot(&slope) / 0.02f64.powi(2);
            let w =
                [0.4f64.exp(), (-0.3f64).exp()][j.min(1)] / (0.4f64.exp() + (-0.3f64).exp() + 1.0);
            let prior = if j < 2 { 0.6 * w * (1.0 - w) } else { 4.0 };
            let all = data + prior + LEAST_PRECISION;
            assert!((precision[j * 4] - all).abs() < 1e-6 * all, "{j}: {} {all}", precision[j * 4]);
        }
    }
}
