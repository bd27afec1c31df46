//! Slope and curvature of the scene's log posterior, pixels integrated out: Fisher's and Louis' identities
//! (Louis 1982, "Finding the observed information matrix when using the EM algorithm").

use nalgebra::DMatrix;
use rayon::prelude::*;

use super::pixels::{Drawn, Pixels};
use crate::layout::BRIGHTNESS;

/// Draws a pixel. Their noise is a tenth of each pixel's own, and pixels' are independent.
const DRAWS: u32 = 128;
/// The most pixels that the curvature is summed over: a pixel takes a rank-K change of a (K L, K L) matrix.
const MOST_PIXELS: usize = 2048;
/// Parts that threads take, fixed so that sums do not depend on their number.
const PARTS: usize = 8;
/// Rows of a product of matrices.
const ROWS: usize = 256;
/// Pixels between two questions whether to go on.
const BETWEEN: usize = 256;
/// Directions of a pixel's amounts with less of the largest variance than this are left out.
const LEAST: f64 = 1e-7;

/// Sums over the pixels, of the derivatives by spectra c, (K, L) as rows.
pub(super) struct Sums {
    /// (K L).
    pub(super) slope: Vec<f64>,
    /// Minus the second derivative, (K L, K L).
    pub(super) curvature: DMatrix<f64>,
}

/// Sums of one part.
struct Part {
    slope: Vec<f64>,
    /// `E[u_i u_j] / V` of each band, (K, K, L).
    complete: Vec<f64>,
    /// What the pixels' freedom takes from it.
    lost: DMatrix<f64>,
    /// First and second derivatives of the log prior by log amounts, (K) and (K, K).
    pull: Vec<f64>,
    bend: Vec<f64>,
}

/// At the spectra `c`, (K L). None when `interrupted`.
pub(super) fn sums(
    pixels: &Pixels,
    c: &[f64],
    interrupted: &(dyn Fn() -> bool + Sync),
) -> Option<Sums> {
    let p = pixels.params;
    let (k, bands, count) = (p.k(), p.bands as usize, p.pixels as usize);
    let size = k * bands;
    let gauge = Gauge::new(pixels, c);
    let every = count.div_ceil(MOST_PIXELS).max(1);
    let chunk = count.div_ceil(PARTS).max(1);
    let part = |first: usize| {
        let mut part = Part {
            slope: vec![0.0; size],
            complete: vec![0.0; size * k],
            lost: DMatrix::zeros(size, size),
            pull: vec![0.0; k],
            bend: vec![0.0; k * k],
        };
        let mut columns = Vec::new();
        for n in first..(first + chunk).min(count) {
            if n % BETWEEN == 0 && interrupted() {
                break;
            }
            let moments = Moments::new(pixels, n, c);
            moments.add_slope(c, &gauge, &mut part.slope);
            if n % every == 0 {
                moments.add_complete(&mut part.complete);
                moments.add_columns(c, &gauge, &mut columns);
                part.pull.iter_mut().zip(&moments.pull).for_each(|(to, x)| *to += x);
                part.bend.iter_mut().zip(&moments.bend).for_each(|(to, x)| *to += x);
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
    // Pixels that were looked at stand for the others.
    let scale = count as f64 / count.div_ceil(every) as f64;
    let mut slope = vec![0.0; size];
    let mut curvature = DMatrix::zeros(size, size);
    let (mut complete, mut pull, mut bend) = (vec![0.0; size * k], vec![0.0; k], vec![0.0; k * k]);
    for part in parts {
        slope.iter_mut().zip(part.slope).for_each(|(to, x)| *to += x);
        complete.iter_mut().zip(part.complete).for_each(|(to, x)| *to += scale * x);
        pull.iter_mut().zip(part.pull).for_each(|(to, x)| *to += scale * x);
        bend.iter_mut().zip(part.bend).for_each(|(to, x)| *to += scale * x);
        curvature -= part.lost * scale;
    }
    gauge.add_complete(c, &complete, &slope, (&pull, &bend), &mut curvature);
    Some(Sums { slope, curvature })
}

/// Which amounts are held while a spectrum changes. With brightness the data do not tell a spectrum's size: twice
/// c_k with half of u_k is the same mixture. So the amounts that are held are `v_k = h_k u_k` with
/// `h_k = rho_k'c_k`, 1 where we are: along the size of a spectrum only the prior of the amounts then changes, and the two
/// large terms of equation 32, whose difference would drown in the noise of the draws, are both zero.
struct Gauge {
    bands: usize,
    /// rho_k = c_k / c_k'c_k, (K L); zero without brightness, where amounts have a sum.
    rho: Vec<f64>,
}

impl Gauge {
    fn new(pixels: &Pixels, c: &[f64]) -> Self {
        let bands = pixels.params.bands as usize;
        let of = |c: &[f64]| -> Vec<f64> {
            let square: f64 = c.iter().map(|c| c * c).sum();
            let held = pixels.params.has(BRIGHTNESS) && square > 0.0;
            c.iter().map(|c| if held { c / square } else { 0.0 }).collect()
        };
        Gauge { bands, rho: c.chunks_exact(bands).flat_map(of).collect() }
    }

    /// Derivatives at held v from those at held u, `s - rho (c's + q)`, with q the derivative of the log
    /// prior by log u_k: one endmember's, (L).
    fn hold(&self, k: usize, c: &[f64], s: &mut [f64], q: f64) {
        let (c, rho) = (&c[k * self.bands..][..self.bands], &self.rho[k * self.bands..]);
        let along = q + c.iter().zip(&*s).map(|(c, s)| c * s).sum::<f64>();
        s.iter_mut().zip(rho).for_each(|(s, rho)| *s -= rho * along);
    }

    /// Minus the second derivative of likelihood and prior at held v: of mixtures `v_k c_k / h_k` the product
    /// of first derivatives, and `slope` times the second one; and what the prior adds.
    fn add_complete(
        &self,
        c: &[f64],
        complete: &[f64],
        slope: &[f64],
        (pull, bend): (&[f64], &[f64]),
        to: &mut DMatrix<f64>,
    ) {
        let (k, bands) = (pull.len(), self.bands);
        let at = |from: &[f64], k: usize, l: usize| from[k * bands + l];
        for i in 0..k {
            for j in 0..k {
                let d = &complete[(i * k + j) * bands..][..bands];
                let both: f64 = (0..bands).map(|l| at(c, i, l) * d[l] * at(c, j, l)).sum();
                let own = if i == j { 1.0 } else { 0.0 };
                let along = both - bend[i * k + j] + own * pull[i];
                for a in 0..bands {
                    let (row, rho_a) = (i * bands + a, at(&self.rho, i, a));
                    to[(row, j * bands + a)] += d[a];
                    for b in 0..bands {
                        let rho_b = at(&self.rho, j, b);
                        let cross = rho_a * (at(c, i, b) * d[b] - own * at(slope, i, b))
                            + (d[a] * at(c, j, a) - own * at(slope, i, a)) * rho_b;
                        to[(row, j * bands + b)] += along * rho_a * rho_b - cross;
                    }
                }
            }
        }
    }
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
    /// Covariance of the features: d = u - E u, the products d_i d_j, j <= i, and q.
    covariance: DMatrix<f64>,
    /// E q, q_k the derivative of the log prior by log u_k: `a_k - (alpha + g / tau^2) W_k`.
    pull: Vec<f64>,
    /// Mean of its derivatives, (K, K).
    bend: Vec<f64>,
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
        let pairs = k * (k + 1) / 2;
        let features = k + pairs + k;
        let prior = pixels.brightness_precision();
        let alpha: f64 = pixels.dirichlet.iter().sum();
        let mut bend = vec![0.0; k * k];
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
            let total: f64 = u.iter().sum();
            let strength = alpha + prior * total.ln();
            for i in 0..k {
                let share = u[i] / total;
                f[k + pairs + i] = pixels.dirichlet[i] - strength * share;
                bend[i * k + i] -= w * strength * share;
                for j in 0..k {
                    bend[i * k + j] += w * (strength - prior) * share * u[j] / total;
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
        let pull = of_f[k + pairs..].to_vec();
        Moments { k, precision, mean, residual, covariance, pull, bend }
    }

    /// Covariance of two amounts.
    fn spread(&self, i: usize, j: usize) -> f64 {
        self.covariance[(i, j)]
    }

    /// Mean over draws of the derivative by c, amounts held as the gauge says.
    fn add_slope(&self, c: &[f64], gauge: &Gauge, slope: &mut [f64]) {
        let bands = self.precision.len();
        let mut s = vec![0.0; bands];
        for i in 0..self.k {
            for l in 0..bands {
                let spread: f64 = (0..self.k).map(|j| self.spread(i, j) * c[j * bands + l]).sum();
                s[l] = self.precision[l] * (self.mean[i] * self.residual[l] - spread);
            }
            gauge.hold(i, c, &mut s, self.pull[i]);
            slope[i * bands..].iter_mut().zip(&s).for_each(|(to, s)| *to += s);
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

    /// Columns X with `X X'` the covariance over draws of that derivative. Amounts held, it is
    /// `u_i (y - u'c) / V`: with r the residual of the mean, `r d_i - E u_i sum_j d_j c_j - sum_j d_i d_j c_j` and a
    /// constant, linear in the features.
    fn add_columns(&self, c: &[f64], gauge: &Gauge, columns: &mut Vec<f64>) {
        let (k, bands) = (self.k, self.precision.len());
        let pair = |i: usize, j: usize| k + i.max(j) * (i.max(j) + 1) / 2 + i.min(j);
        // Features of one size, so that the small directions of none are taken for noise.
        let size: Vec<f64> =
            self.covariance.diagonal().iter().map(|v| v.sqrt().max(f64::MIN_POSITIVE)).collect();
        let correlation = DMatrix::from_fn(size.len(), size.len(), |a, b| {
            self.covariance[(a, b)] / size[a] / size[b]
        });
        let eigen = correlation.symmetric_eigen();
        let least = LEAST * eigen.eigenvalues.max();
        for (value, v) in eigen.eigenvalues.iter().zip(eigen.eigenvectors.column_iter()) {
            if value.is_nan() || *value <= least {
                continue;
            }
            let v: Vec<f64> =
                v.iter().zip(&size).map(|(v, size)| v * size * value.sqrt()).collect();
            for i in 0..k {
                let begin = columns.len();
                columns.extend(self.residual.iter().map(|r| r * v[i]));
                let column = &mut columns[begin..];
                for (j, c_j) in c.chunks_exact(bands).enumerate() {
                    let part = self.mean[i] * v[j] + v[pair(i, j)];
                    column.iter_mut().zip(c_j).for_each(|(to, c)| *to -= part * c);
                }
                column.iter_mut().zip(&self.precision).for_each(|(to, p)| *to *= p);
                gauge.hold(i, c, column, v[pair(k - 1, k - 1) + 1 + i]);
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::layout::Params;
    use crate::model::Model;
    use crate::scene::Cube;

    const SD: f64 = 0.1;
    const PIXELS: usize = 200;

    /// Two endmembers of three bands; abundances from near 0 to near 1.
    fn problem(brightness: Option<f64>) -> (Params, Cube, Vec<f64>) {
        let model = Model { concentration: 1.0, noise_floor: 0.0, brightness, ..Model::new(2) };
        let params = Params::new(&model, PIXELS, 3, PIXELS, 1, 7).unwrap();
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
        (params, cube, c)
    }

    /// Log density of all spectra given c, amounts summed out on a grid of logit and log brightness.
    fn marginal(cube: &Cube, c: &[f64], brightness: Option<f64>) -> f64 {
        let logs: Vec<f64> = match brightness {
            Some(_) => (-24..=24).map(|i| 0.05 * f64::from(i)).collect(),
            None => vec![0.0],
        };
        let of_pixel = |n: usize| {
            let mut sum = 0.0;
            // Sums of smooth densities that vanish at both ends converge faster than any power of the step.
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
        let (params, cube, c) = problem(brightness);
        let mut globals = vec![0.0; params.global_stride()];
        globals[params.noise_at()..][..params.noises as usize].fill(sd.ln() as f32);
        let locals = vec![0.0; PIXELS * params.local_stride as usize];
        let pixels = Pixels::new(&params, &cube, &globals, &locals);
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
        for brightness in [None, Some(0.3)] {
            let (slope, curvature) = compare(SD, brightness);
            // A pixel's amounts have sds near 0.3 of 128 draws: a slope is off by 0.03 / V 0.5 a pixel, 20 over
            // 200 pixels. Curvatures lose 1 in sqrt(64) of each pixel's, 1 in 100 of all; three times the one, five the other.
            let largest = slope.iter().map(|s| (s.0 - s.1).abs()).fold(0.0, f64::max);
            assert!(largest < 60.0, "{slope:?}");
            assert!(off(&curvature) < 0.05, "{curvature:?}");
        }
        let (_, other) = compare(1.2 * SD, None);
        assert!(off(&other) > 0.15, "{other:?}");
    }

    #[test]
    fn the_size_of_spectra_is_known_better_than_amounts_that_are_held_would_tell() {
        let (params, cube, c) = problem(Some(0.3));
        let mut globals = vec![0.0; params.global_stride()];
        globals[params.noise_at()..][..params.noises as usize].fill(SD.ln() as f32);
        let locals = vec![0.0; PIXELS * params.local_stride as usize];
        let pixels = Pixels::new(&params, &cube, &globals, &locals);
        let found = sums(&pixels, &c, &|| false).unwrap().curvature;
        // Along both spectra at once only the priors of the pixels' brightness bend: 1 / 0.3^2 each, less
        // what their own curves hold, some hundredths of it.
        let along = DMatrix::from_column_slice(6, 1, &c);
        let bend = (along.transpose() * found * along)[(0, 0)] / PIXELS as f64;
        let moved = |t: f64| {
            let c: Vec<f64> = c.iter().map(|c| c * (1.0 + t)).collect();
            marginal(&cube, &c, Some(0.3))
        };
        let truth = -(moved(0.01) - 2.0 * moved(0.0) + moved(-0.01)) / 1e-4 / PIXELS as f64;
        // 128 draws of 200 pixels: a hundredth; five times that.
        assert!((bend / truth - 1.0).abs() < 0.05, "{bend} {truth}");
    }

    #[test]
    fn interrupted_sums_are_none() {
        let (params, cube, c) = problem(None);
        let globals = vec![0.0; params.global_stride()];
        let locals = vec![0.0; PIXELS * params.local_stride as usize];
        let pixels = Pixels::new(&params, &cube, &globals, &locals);
        assert!(sums(&pixels, &c, &|| true).is_none());
    }
}
