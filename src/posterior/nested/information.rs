//! Slope and curvature of the scene's log posterior, pixels integrated out: Fisher's and Louis'
//! identities (Louis 1982, "Finding the observed information matrix when using the EM algorithm").

use nalgebra::DMatrix;
use rayon::prelude::*;

use super::pixels::{Drawn, Pixels};

/// Draws of each pixel. Their noise is a tenth of what the pixel itself leaves open, and
/// independent between pixels.
const DRAWS: u32 = 128;
/// The most pixels that the curvature is summed over: each changes a (K L, K L) matrix by one of
/// rank K.
const MOST_PIXELS: usize = 2048;
/// Parts that threads take, fixed so that sums do not depend on their number.
const PARTS: usize = 8;
/// Rows of a product of matrices.
const ROWS: usize = 256;
/// Pixels between two questions whether to go on.
const BETWEEN: usize = 256;
/// Directions of a pixel's amounts with less of the largest variance than this are left out.
const LEAST: f64 = 1e-7;

/// Sums over all pixels: derivatives of the log likelihood by the spectra c, (K, L), row by row.
pub(super) struct Sums {
    /// The first derivative, (K L).
    pub(super) slope: Vec<f64>,
    /// Minus the second derivative, (K L, K L).
    pub(super) curvature: DMatrix<f64>,
}

/// Sums over one part of the pixels.
struct Part {
    slope: Vec<f64>,
    /// `E[u_i u_j] / V` of each band, (K, K, L).
    complete: Vec<f64>,
    /// What is lost of it because the pixels' amounts are not known, (K L, K L).
    lost: DMatrix<f64>,
}

/// The sums at the spectra `c`, (K L). None when `interrupted`.
pub(super) fn sums(
    pixels: &Pixels,
    c: &[f64],
    interrupted: &(dyn Fn() -> bool + Sync),
) -> Option<Sums> {
    let p = pixels.params;
    let (k, bands, count) = (p.k(), p.bands as usize, p.pixels as usize);
    let size = k * bands;
    let every = count.div_ceil(MOST_PIXELS).max(1);
    let chunk = count.div_ceil(PARTS).max(1);
    let part = |first: usize| {
        let mut part = Part {
            slope: vec![0.0; size],
            complete: vec![0.0; size * k],
            lost: DMatrix::zeros(size, size),
        };
        let mut columns = Vec::new();
        for n in first..(first + chunk).min(count) {
            if n % BETWEEN == 0 && interrupted() {
                break;
            }
            let moments = Moments::new(pixels, n, c);
            moments.add_slope(c, &mut part.slope);
            if n % every == 0 {
                moments.add_complete(&mut part.complete);
                moments.add_columns(c, &mut columns);
            }
            if columns.len() > ROWS * size {
                product(&mut columns, &mut part.lost);
            }
        }
        product(&mut columns, &mut part.lost);
        part
    };
    let firsts: Vec<usize> = (0..count).step_by(chunk).collect();
    let parts: Vec<Part> = firsts.into_par_iter().map(part).collect();
    if interrupted() {
        return None;
    }
    let mut slope = vec![0.0; size];
    let mut curvature = DMatrix::zeros(size, size);
    // Pixels that were looked at stand for the others.
    let scale = count as f64 / count.div_ceil(every) as f64;
    for part in parts {
        slope.iter_mut().zip(part.slope).for_each(|(to, x)| *to += x);
        curvature -= part.lost * scale;
        for (at, x) in part.complete.into_iter().enumerate() {
            let (i, j, l) = (at / (k * bands), at / bands % k, at % bands);
            curvature[(i * bands + l, j * bands + l)] += scale * x;
        }
    }
    Some(Sums { slope, curvature })
}

/// Adds `X X'` and empties X, columns of the matrix's size.
fn product(columns: &mut Vec<f64>, to: &mut DMatrix<f64>) {
    let size = to.nrows();
    let x = DMatrix::from_column_slice(size, columns.len() / size, columns);
    to.gemm(1.0, &x, &x.transpose(), 1.0);
    columns.clear();
}

/// A pixel's amounts u given the scene, and what its spectrum says.
struct Moments {
    k: usize,
    /// Weight of the likelihood over the variance, (L).
    precision: Vec<f64>,
    /// E u.
    mean: Vec<f64>,
    /// What the mean leaves of the spectrum, (L).
    residual: Vec<f64>,
    /// Covariance of the features: d = u - E u, and the products d_i d_j, j <= i.
    covariance: DMatrix<f64>,
}

impl Moments {
    fn new(pixels: &Pixels, n: usize, c: &[f64]) -> Self {
        let (k, bands) = (pixels.params.k(), pixels.params.bands as usize);
        let expected = pixels.expected(n);
        let precision = pixels.precision(&expected);
        let y = pixels.cube.spectrum(n);
        let (mut linear, mut square) = (vec![0.0; k], vec![0.0; k * k]);
        for (i, c_i) in c.chunks_exact(bands).enumerate() {
            let weighted: Vec<f64> = c_i.iter().zip(&precision).map(|(c, p)| c * p).collect();
            linear[i] = weighted.iter().zip(y).map(|(c, &y)| c * f64::from(y)).sum();
            for (j, c_j) in c.chunks_exact(bands).take(i + 1).enumerate() {
                let sum: f64 = weighted.iter().zip(c_j).map(|(a, b)| a * b).sum();
                (square[i * k + j], square[j * k + i]) = (sum, sum);
            }
        }
        let mut drawn = Drawn::default();
        pixels.draw(n, (0, DRAWS), (&linear, &square), &expected, &mut drawn);
        let rows = || drawn.amounts.chunks_exact(k).zip(&drawn.weights);
        let mut mean = vec![0.0; k];
        for (u, w) in rows() {
            mean.iter_mut().zip(u).for_each(|(m, u)| *m += w * u);
        }
        let features = k + k * (k + 1) / 2;
        let mut f = vec![0.0; features];
        let mut of_f = vec![0.0; features];
        let mut covariance = DMatrix::zeros(features, features);
        for (u, w) in rows() {
            let mut at = k;
            for i in 0..k {
                f[i] = u[i] - mean[i];
                for j in 0..=i {
                    f[at] = f[i] * f[j];
                    at += 1;
                }
            }
            for a in 0..features {
                of_f[a] += w * f[a];
                for b in 0..=a {
                    covariance[(a, b)] += w * f[a] * f[b];
                }
            }
        }
        for a in 0..features {
            for b in 0..=a {
                let x = covariance[(a, b)] - of_f[a] * of_f[b];
                (covariance[(a, b)], covariance[(b, a)]) = (x, x);
            }
        }
        let residual = (0..bands)
            .map(|l| f64::from(y[l]) - (0..k).map(|i| mean[i] * c[i * bands + l]).sum::<f64>())
            .collect();
        Moments { k, precision, mean, residual, covariance }
    }

    /// Covariance of two amounts.
    fn spread(&self, i: usize, j: usize) -> f64 {
        self.covariance[(i, j)]
    }

    /// Mean over draws of `u_i (y - u'c) / V`.
    fn add_slope(&self, c: &[f64], slope: &mut [f64]) {
        let bands = self.precision.len();
        for i in 0..self.k {
            for l in 0..bands {
                let spread: f64 = (0..self.k).map(|j| self.spread(i, j) * c[j * bands + l]).sum();
                slope[i * bands + l] +=
                    self.precision[l] * (self.mean[i] * self.residual[l] - spread);
            }
        }
    }

    /// Mean over draws of `u_i u_j / V`.
    fn add_complete(&self, complete: &mut [f64]) {
        let bands = self.precision.len();
        for (at, block) in complete.chunks_exact_mut(bands).enumerate() {
            let (i, j) = (at / self.k, at % self.k);
            let product = self.mean[i] * self.mean[j] + self.spread(i, j);
            block.iter_mut().zip(&self.precision).for_each(|(to, p)| *to += product * p);
        }
    }

    /// Columns X with `X X'` the covariance over draws of `u_i (y - u'c) / V`: with r the residual
    /// of the mean that is linear in the features, `r d_i - E u_i sum_j d_j c_j - sum_j d_i d_j
    /// c_j`.
    fn add_columns(&self, c: &[f64], columns: &mut Vec<f64>) {
        let (k, bands) = (self.k, self.precision.len());
        let pair = |i: usize, j: usize| k + i.max(j) * (i.max(j) + 1) / 2 + i.min(j);
        let eigen = self.covariance.clone().symmetric_eigen();
        let least = LEAST * eigen.eigenvalues.max();
        for (value, v) in eigen.eigenvalues.iter().zip(eigen.eigenvectors.column_iter()) {
            if value.is_nan() || *value <= least {
                continue;
            }
            let length = value.sqrt();
            for i in 0..k {
                let begin = columns.len();
                columns.extend(self.residual.iter().map(|r| r * v[i]));
                for (j, c_j) in c.chunks_exact(bands).enumerate() {
                    let part = self.mean[i] * v[j] + v[pair(i, j)];
                    columns[begin..].iter_mut().zip(c_j).for_each(|(to, c)| *to -= part * c);
                }
                columns[begin..]
                    .iter_mut()
                    .zip(&self.precision)
                    .for_each(|(to, p)| *to *= length * p);
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::engine::guide::Guide;
    use crate::engine::model::Model;
    use crate::engine::pixels::Cube;
    use crate::posterior::nested::pixels::tests::flat;

    const SD: f64 = 0.1;
    const PIXELS: usize = 200;

    /// Two endmembers of three bands; abundances from near 0 to near 1.
    fn problem(brightness: Option<f64>) -> (Guide, Cube, Vec<f64>) {
        let model = Model { concentration: 1.0, noise_floor: 0.0, brightness, ..Model::new(2) };
        let c = vec![0.6, 0.2, 0.4, 0.3, 0.5, 0.1];
        let mut cube = Cube::zeros(PIXELS, 3);
        for n in 0..PIXELS {
            let w = (n as f64 / PIXELS as f64).powi(2);
            let bright = if brightness.is_some() { 0.8 + 0.1 * (n % 5) as f64 } else { 1.0 };
            for l in 0..3 {
                let noise = [0.7, -1.1, 0.2, -0.4, 1.3][(3 * n + l) % 5] * SD;
                let mix = bright * (w * c[l] + (1.0 - w) * c[3 + l]);
                cube.spectrum_mut(n)[l] = (mix + noise) as f32;
            }
        }
        (flat(&model, PIXELS, 3), cube, c)
    }

    /// Log density of all spectra given c, amounts summed out on a grid of logit and log
    /// brightness.
    fn marginal(cube: &Cube, c: &[f64], brightness: Option<f64>) -> f64 {
        let logs: Vec<f64> = match brightness {
            Some(_) => (-24..=24).map(|i| 0.05 * f64::from(i)).collect(),
            None => vec![0.0],
        };
        let of_pixel = |n: usize| {
            let mut sum = 0.0;
            // Sums of smooth densities that vanish at both ends converge faster than any power of
            // the step.
            for i in -60..=60 {
                let w = 1.0 / (1.0 + (-f64::from(i) * 0.5).exp());
                for g in &logs {
                    let square: f64 = (0..3)
                        .map(|l| g.exp() * (w * c[l] + (1.0 - w) * c[3 + l]))
                        .zip(cube.spectrum(n))
                        .map(|(mu, &y)| (mu - f64::from(y)).powi(2))
                        .sum();
                    let prior = brightness.map_or(0.0, |tau| 0.5 * (g / tau).powi(2));
                    sum += (0.5 * (w * (1.0 - w)).ln() - 0.5 * square / (SD * SD) - prior).exp();
                }
            }
            sum.ln()
        };
        (0..PIXELS).into_par_iter().map(of_pixel).collect::<Vec<f64>>().iter().sum()
    }

    /// Pairs of ours and the truth.
    type Pairs = Vec<(f64, f64)>;

    /// Slope and curvature, with noise of `sd`, and the same by central differences.
    fn compare(sd: f64, brightness: Option<f64>) -> (Pairs, Pairs) {
        let (mut guide, cube, c) = problem(brightness);
        let (noise, count) = (guide.params.noise_at(), guide.params.noises as usize);
        guide.globals[noise..][..count].fill(sd.ln() as f32);
        let pixels = Pixels::new(&guide, &cube);
        let sums = sums(&pixels, &c, &|| false).unwrap();
        let moved = |a: usize, b: usize, to: (f64, f64)| {
            let mut c = c.clone();
            c[a] += 1e-3 * to.0;
            c[b] += 1e-3 * to.1;
            marginal(&cube, &c, brightness)
        };
        let slope = |a| (moved(a, a, (0.5, 0.5)) - moved(a, a, (-0.5, -0.5))) / 2e-3;
        let bend = |a, b| {
            let [pp, pm, mp, mm] =
                [(1.0, 1.0), (1.0, -1.0), (-1.0, 1.0), (-1.0, -1.0)].map(|to| moved(a, b, to));
            -(pp - pm - mp + mm) / 4e-6
        };
        let slopes = (0..6).map(|a| (sums.slope[a], slope(a))).collect();
        let pairs = (0..6).flat_map(|a| (0..=a).map(move |b| (a, b)));
        (slopes, pairs.map(|(a, b)| (sums.curvature[(a, b)], bend(a, b))).collect())
    }

    /// Largest difference in units of the largest of the truths.
    fn off(pairs: &[(f64, f64)]) -> f64 {
        let largest = pairs.iter().map(|p| p.1.abs()).fold(0.0, f64::max);
        pairs.iter().map(|p| (p.0 - p.1).abs()).fold(0.0, f64::max) / largest
    }

    #[test]
    fn slope_and_curvature_are_those_of_the_integrated_density() {
        // With brightness two amounts are free, and sds twice as large.
        for (brightness, most) in [(None, 60.0), (Some(0.3), 120.0)] {
            let (slope, curvature) = compare(SD, brightness);
            // A pixel's amounts have sds near 0.3 of 128 draws: a slope is off by 0.03 / V 0.5 a
            // pixel, 20 over 200 pixels. Curvatures lose 1 in sqrt(64) of each pixel's, 1 in 100 of
            // all; three times the one, five the other.
            let largest = slope.iter().map(|s| (s.0 - s.1).abs()).fold(0.0, f64::max);
            assert!(largest < most, "{slope:?}");
            assert!(off(&curvature) < 0.05, "{curvature:?}");
        }
        let (_, other) = compare(1.2 * SD, None);
        assert!(off(&other) > 0.15, "{other:?}");
    }

    #[test]
    fn interrupted_sums_are_none() {
        let (guide, cube, c) = problem(None);
        let pixels = Pixels::new(&guide, &cube);
        assert!(sums(&pixels, &c, &|| true).is_none());
    }
}
