//! Draws from the posterior of spectra and abundances together, by Gibbs' sampler from exact
//! conditionals: what approximations are held against in scenes of some dozen pixels. Noise and the
//! Dirichlet are given; there is neither brightness nor variability.

use ndarray::Array2;

use super::common::uniform;

/// What is known beside the pixels' spectra (N, L).
pub struct Given {
    pub y: Array2<f64>,
    /// Noise variance of each band, (L).
    pub noise: Vec<f64>,
    /// Parameters of the Dirichlet, (K).
    pub dirichlet: Vec<f64>,
    /// Mean of the normal that spectra have before they are cut off at zero, (K, L).
    pub centre: Array2<f64>,
    /// Its precision.
    pub precision: f64,
}

/// Mean and sd of all draws after the first tenth.
pub struct Moments {
    /// Abundances, (N, K).
    pub abundances: [Array2<f64>; 2],
    /// Spectra, (K, L).
    pub spectra: [Array2<f64>; 2],
}

/// Random numbers one after the other.
struct Random {
    seed: u64,
    next: u32,
}

impl Random {
    fn uniform(&mut self) -> f64 {
        self.next += 1;
        uniform(self.seed, self.next)
    }

    fn normal(&mut self) -> f64 {
        let (radius, turn) = (self.uniform(), self.uniform());
        (-2.0 * radius.ln()).sqrt() * (std::f64::consts::TAU * turn).cos()
    }

    /// A standard normal above `least`, however far that is: beyond zero by an exponential that
    /// begins there (Robert 1995).
    fn normal_above(&mut self, least: f64) -> f64 {
        let rate = 0.5 * (least + (least * least + 4.0).sqrt());
        loop {
            let x = match least > 0.0 {
                true => least - self.uniform().ln() / rate,
                false => self.normal(),
            };
            let kept = least <= 0.0 || self.uniform() < (-0.5 * (x - rate).powi(2)).exp();
            if x >= least && kept {
                return x;
            }
        }
    }
}

/// `sweeps` sweeps over all unknowns from spectra (K, L) and abundances (N, K).
pub fn sample(
    given: &Given,
    (mut c, mut w): (Array2<f64>, Array2<f64>),
    sweeps: usize,
    seed: u64,
) -> Moments {
    let mut random = Random { seed, next: 0 };
    let sums = |of: &Array2<f64>| [Array2::zeros(of.dim()), Array2::zeros(of.dim())];
    let (mut of_w, mut of_c) = (sums(&w), sums(&c));
    let burn = sweeps / 10;
    for sweep in 0..sweeps {
        (0..w.nrows()).for_each(|n| abundances(given, &c, &mut w, n, &mut random));
        spectra(given, &mut c, &w, &mut random);
        if sweep >= burn {
            for (sums, of) in [(&mut of_w, &w), (&mut of_c, &c)] {
                sums[0] += of;
                sums[1] += &(of * of);
            }
        }
    }
    let count = (sweeps - burn) as f64;
    let moments = |[sum, square]: [Array2<f64>; 2]| {
        let mean = sum / count;
        let variance = square / count - &mean * &mean;
        [mean, variance.mapv(|v| v.max(0.0).sqrt())]
    };
    Moments { abundances: moments(of_w), spectra: moments(of_c) }
}

/// Each value of the spectra from its normal, cut off at zero.
fn spectra(given: &Given, c: &mut Array2<f64>, w: &Array2<f64>, random: &mut Random) {
    let (k, bands) = c.dim();
    for l in 0..bands {
        for i in 0..k {
            let (mut precision, mut pull) =
                (given.precision, given.precision * given.centre[[i, l]]);
            for n in 0..w.nrows() {
                let others: f64 = (0..k).filter(|&j| j != i).map(|j| w[[n, j]] * c[[j, l]]).sum();
                precision += w[[n, i]].powi(2) / given.noise[l];
                pull += w[[n, i]] * (given.y[[n, l]] - others) / given.noise[l];
            }
            let sd = precision.sqrt().recip();
            c[[i, l]] = pull / precision + sd * random.normal_above(-pull / precision / sd);
        }
    }
}

/// The abundances of a pixel, two at a time along what their sum leaves them, by slices (Neal 2003)
/// of the logit of their share in it.
fn abundances(given: &Given, c: &Array2<f64>, w: &mut Array2<f64>, n: usize, random: &mut Random) {
    let (k, bands) = c.dim();
    for (i, j) in (0..k).flat_map(|i| (0..i).map(move |j| (i, j))) {
        let sum = w[[n, i]] + w[[n, j]];
        let (mut bend, mut slope) = (0.0, 0.0);
        for l in 0..bands {
            let others: f64 =
                (0..k).filter(|&m| m != i && m != j).map(|m| w[[n, m]] * c[[m, l]]).sum();
            let along = c[[i, l]] - c[[j, l]];
            bend += along * along / given.noise[l];
            slope += along * (given.y[[n, l]] - others - sum * c[[j, l]]) / given.noise[l];
        }
        let softplus = |x: f64| x.max(0.0) + (-x.abs()).exp().ln_1p();
        let share = |x: f64| (-softplus(-x)).exp();
        let log = |x: f64| {
            let t = sum * share(x);
            t * (slope - 0.5 * bend * t)
                - given.dirichlet[i] * softplus(-x)
                - given.dirichlet[j] * softplus(x)
        };
        let most = 500.0;
        let x = (w[[n, i]] / w[[n, j]]).ln().clamp(-most, most);
        let level = log(x) + random.uniform().ln();
        let width = 4.0;
        let mut low = x - width * random.uniform();
        let mut high = low + width;
        while low > -most && log(low) > level {
            low -= width;
        }
        while high < most && log(high) > level {
            high += width;
        }
        let x = loop {
            let to = low + (high - low) * random.uniform();
            if log(to) > level || high - low < 1e-9 {
                break to;
            }
            if to < x {
                low = to;
            } else {
                high = to;
            }
        };
        // An amount of nothing would have no logarithm.
        w[[n, i]] = (sum * share(x)).max(1e-300);
        w[[n, j]] = (sum * share(-x)).max(1e-300);
    }
}
