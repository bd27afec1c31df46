//! A long-run reference: the model of docs/model.md with brightness and one noise, its log density
//! and gradient written out in f64, and Hamiltonian Monte Carlo on it (Duane et al. 1987).

use super::common::{normal, uniform};
use unmixel::engine::ground::math::{digamma, ln_gamma};

/// What is known: spectra (N rows of L), the prior and its centre (K rows of L).
pub struct Density {
    pub spectra: Vec<Vec<f64>>,
    pub centre: Vec<Vec<f64>>,
    pub endmember_sd: f64,
    pub concentration: f64,
    pub brightness_sd: f64,
    pub noise_scale: f64,
    pub noise_floor: f64,
}

impl Density {
    pub fn bands(&self) -> usize {
        self.centre[0].len()
    }

    /// Latents: u (two rows of bands), log noise sd, the logit of the mean abundance, and for each
    /// pixel its logit and log brightness.
    pub fn latents(&self) -> usize {
        2 * self.bands() + 2 + 2 * self.spectra.len()
    }

    /// Log density at x, and its gradient.
    pub fn at(&self, x: &[f64], gradient: &mut [f64]) -> f64 {
        let bands = self.bands();
        let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
        let (noise_at, mean_at) = (2 * bands, 2 * bands + 1);
        gradient.fill(0.0);
        let mut sum = 0.0;
        let c: Vec<f64> = x[..noise_at].iter().map(|u| u.exp().ln_1p()).collect();
        for (i, c) in c.iter().enumerate() {
            let off = c - self.centre[i / bands][i % bands];
            let slope = sigmoid(x[i]);
            sum += -0.5 * (off / self.endmember_sd).powi(2) + slope.ln();
            gradient[i] += -off / self.endmember_sd.powi(2) * slope + 1.0 - slope;
        }
        let noise = x[noise_at].exp();
        sum += -0.5 * (noise / self.noise_scale).powi(2) + x[noise_at];
        gradient[noise_at] += 1.0 - (noise / self.noise_scale).powi(2);
        let variance = noise * noise + self.noise_floor.powi(2);
        // Dirichlet(1) of the mean abundance, with the Jacobian of its logit.
        let pi = [sigmoid(x[mean_at]), sigmoid(-x[mean_at])];
        sum += pi[0].ln() + pi[1].ln();
        gradient[mean_at] += 1.0 - 2.0 * pi[0];
        let a = pi.map(|pi| self.concentration * pi);
        let by_pi = pi[0] * pi[1] * self.concentration;
        for (n, y) in self.spectra.iter().enumerate() {
            let (z_at, g_at) = (mean_at + 1 + 2 * n, mean_at + 2 + 2 * n);
            let w = [sigmoid(x[z_at]), sigmoid(-x[z_at])];
            let logs = w.map(f64::ln);
            sum += ln_gamma(self.concentration) - ln_gamma(a[0]) - ln_gamma(a[1]);
            sum += a[0] * logs[0] + a[1] * logs[1];
            gradient[z_at] += a[0] * w[1] - a[1] * w[0];
            gradient[mean_at] += by_pi * (logs[0] - digamma(a[0]) - logs[1] + digamma(a[1]));
            sum += -0.5 * (x[g_at] / self.brightness_sd).powi(2);
            gradient[g_at] += -x[g_at] / self.brightness_sd.powi(2);
            let bright = x[g_at].exp();
            for (l, &y) in y.iter().enumerate() {
                let mu = bright * (w[0] * c[l] + w[1] * c[bands + l]);
                let r = y - mu;
                sum += -0.5 * r * r / variance - 0.5 * variance.ln();
                let by_mu = r / variance;
                for k in 0..2 {
                    let u = k * bands + l;
                    gradient[u] += by_mu * bright * w[k] * sigmoid(x[u]);
                }
                gradient[z_at] += by_mu * bright * w[0] * w[1] * (c[l] - c[bands + l]);
                gradient[g_at] += by_mu * mu;
                gradient[noise_at] += (r * r / variance - 1.0) / variance * noise * noise;
            }
        }
        sum
    }
}

/// Draws of a chain, and the share of proposals it took.
pub struct Chain {
    pub draws: Vec<Vec<f64>>,
    pub accepted: f64,
}

/// A chain from `start` in units of `factor` (lower triangular): steps of `step` of these units,
/// twelve on average to a proposal.
pub fn chain(
    density: &Density,
    start: &[f64],
    factor: &[Vec<f64>],
    step: f64,
    count: usize,
    seed: u64,
) -> Chain {
    let d = start.len();
    let mut index = 0;
    let mut random = || {
        index += 1;
        index
    };
    let (mut x, mut gradient) = (start.to_vec(), vec![0.0; d]);
    let mut value = density.at(&x, &mut gradient);
    let mut draws = Vec::with_capacity(count);
    let mut accepted = 0;
    let kick = |p: &mut [f64], gradient: &[f64], step: f64| {
        for j in 0..d {
            p[j] += step * (j..d).map(|i| factor[i][j] * gradient[i]).sum::<f64>();
        }
    };
    for _ in 0..count {
        let mut p: Vec<f64> = (0..d).map(|_| normal(seed, random())).collect();
        let energy = value - 0.5 * p.iter().map(|p| p * p).sum::<f64>();
        let (mut to, mut to_gradient, mut to_value) = (x.clone(), gradient.clone(), value);
        // Lengths differ, so that no orbit returns to where it began.
        let steps = 6 + (13.0 * uniform(seed, random())) as usize;
        for _ in 0..steps {
            kick(&mut p, &to_gradient, 0.5 * step);
            for i in 0..d {
                to[i] += step * (0..=i).map(|j| factor[i][j] * p[j]).sum::<f64>();
            }
            to_value = density.at(&to, &mut to_gradient);
            kick(&mut p, &to_gradient, 0.5 * step);
        }
        let gain = to_value - 0.5 * p.iter().map(|p| p * p).sum::<f64>() - energy;
        if uniform(seed, random()).ln() < gain {
            (x, gradient, value) = (to, to_gradient, to_value);
            accepted += 1;
        }
        draws.push(x.clone());
    }
    Chain { draws, accepted: f64::from(accepted) / count as f64 }
}

/// Mean and covariance of draws.
pub fn moments(draws: &[Vec<f64>]) -> (Vec<f64>, Vec<Vec<f64>>) {
    let (d, count) = (draws[0].len(), draws.len() as f64);
    let mean: Vec<f64> = (0..d).map(|j| draws.iter().map(|x| x[j]).sum::<f64>() / count).collect();
    let mut covariance = vec![vec![0.0; d]; d];
    for x in draws {
        for j in 0..d {
            for i in 0..=j {
                covariance[j][i] += (x[j] - mean[j]) * (x[i] - mean[i]) / count;
            }
        }
    }
    for j in 0..d {
        for i in 0..j {
            covariance[i][j] = covariance[j][i];
        }
    }
    (mean, covariance)
}
