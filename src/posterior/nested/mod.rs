//! The posterior beyond the guide: spectra with the pixels integrated out, and each pixel given the
//! spectra (docs/model.md, "Nested posterior"). The guide takes scene and pixels to be independent,
//! and a pixel to be normal in its logits; the nested posterior assumes neither.

mod information;
mod pixels;
mod power_normal;

use nalgebra::{Cholesky, DMatrix, DVector, Dyn};
use ndarray::Array2;

use crate::engine::ground::error::{Error, Result};
use crate::engine::ground::interrupt::unless;
use crate::engine::ground::math::{sigmoid, softplus};
use crate::engine::ground::rng::{self, Stream};
use crate::engine::ground::setting;
use crate::engine::guide::Guide;
use crate::engine::layout::{BRIGHTNESS, COVARIANCE, HELD, Params};
use crate::engine::pixels::Pixels as FitPixels;
pub use pixels::Drawn;
use pixels::Pixels;

/// Draws of the scene, given each of which the pixels are drawn.
pub const SCENES: u32 = 100;
/// Draws of a pixel given each draw of the scene.
pub const PER_SCENE: u32 = 8;
/// The most spectrum values, K times L: matrices of their squares, up to ten of them, are held and
/// inverted.
pub const MOST_VALUES: usize = 4096;
/// Newton's steps at most.
const MOST_STEPS: usize = 8;
/// Where steps end: a tenth of a posterior sd, root mean square over all values.
const SMALL: f64 = 0.1;
/// The longest change of a latent in one step.
const LONGEST: f64 = 0.5;
/// What the relative size of a spectrum may vary by, with brightness.
const SIZE_SD: f64 = 1e-3;
/// Pixels whose quadratic forms are computed at once.
pub const BLOCK: usize = 64;

/// The posterior of a scene's spectra, normal in u = softplus^-1(c), and what pixels need of the
/// rest.
#[derive(Debug)]
pub struct Nested<'a> {
    of: &'a FitPixels,
    pixels: Pixels<'a>,
    /// Mean of u, (K L).
    centre: Vec<f64>,
    /// Cholesky factor of the inverse covariance of u.
    factor: Cholesky<f64, Dyn>,
    /// Length of each of Newton's steps, in posterior sds, root mean square over the values. The
    /// last one was not taken.
    pub steps: Vec<f64>,
}

/// The posterior of a scene's spectra on its own: normal in u = softplus^-1(c).
#[derive(Debug, Clone, PartialEq)]
pub struct SceneNormal {
    /// Mean of u, (K L).
    pub(crate) centre: Vec<f64>,
    /// Lower Cholesky factor of the inverse covariance, (K L, K L).
    pub(crate) factor: DMatrix<f64>,
}

impl SceneNormal {
    /// The spectra's posterior as a guide has it: values that are independent of each other.
    ///
    /// # Errors
    ///
    /// What [`check`] refuses.
    pub fn of_guide(guide: &Guide) -> Result<Self> {
        check(&guide.params)?;
        let p = &guide.params;
        let at = |a: usize| (a / p.bands as usize) * p.stride() + a % p.bands as usize;
        let size = p.k() * p.bands as usize;
        let (centre, precision): (Vec<f64>, Vec<f64>) = (0..size)
            .map(|a| guide.marginal(at(a)))
            .map(|(loc, scale)| (loc, 1.0 / scale.max(f64::MIN_POSITIVE)))
            .unzip();
        let factor = DMatrix::from_diagonal(&DVector::from_vec(precision));
        Ok(SceneNormal { centre, factor })
    }
}

/// What the pixels' likelihoods need of draws of the spectra.
#[derive(Debug)]
pub struct Scenes {
    draws: usize,
    /// c_k of each draw, rows (draws K) of L.
    linear: Array2<f64>,
    /// c_i c_j, j <= i, of each draw, rows of L.
    square: Array2<f64>,
}

/// Refuses fits that have no nested posterior.
///
/// # Errors
///
/// [`Error::Setting`] with covariance noise, and with more than [`MOST_VALUES`] spectrum values.
pub fn check(params: &Params) -> Result<()> {
    let refuse = |why: String| Err(Error::setting(setting::POSTERIOR, "nested", why));
    if params.has(COVARIANCE) {
        return refuse(
            "does not go with a noise covariance: its pixels need bands that stand for themselves"
                .into(),
        );
    }
    let values = params.k().saturating_mul(params.bands as usize);
    if values > MOST_VALUES {
        return refuse(format!(
            "takes at most {MOST_VALUES} values of endmembers; {} endmembers of {} bands have \
             {values}; use the guide's posterior, or fewer bands",
            params.k(),
            params.bands
        ));
    }
    Ok(())
}

impl<'a> Nested<'a> {
    /// The nested posterior of a guide's pixels. Noise, variability and the Dirichlet stay at the
    /// guide's locs. Newton's method takes the spectra to the mode of their own posterior; each
    /// step costs 128 draws a pixel. None when `interrupted`.
    ///
    /// # Errors
    ///
    /// What [`check`] refuses; [`Error::Fit`] when the fit is not finite.
    pub fn new(
        guide: &'a Guide,
        of: &'a FitPixels,
        interrupted: &(dyn Fn() -> bool + Sync),
    ) -> Result<Option<Self>> {
        let (p, globals) = (&guide.params, &guide.globals);
        check(p)?;
        let pixels = Pixels::new(guide, of.cube());
        let values = |from: &[f32]| -> Vec<f64> {
            let row = |k: usize| from[k * p.stride()..][..p.bands as usize].iter();
            (0..p.k()).flat_map(row).map(|&x| f64::from(x)).collect()
        };
        let (mut centre, prior) = (values(globals), values(&guide.prior_centre));
        let begin = centre.clone();
        if p.has(HELD) {
            let scales = values(&globals[p.globals as usize..]);
            let precision =
                DVector::from_iterator(scales.len(), scales.iter().map(|s| (-2.0 * s).exp()));
            let factor = Cholesky::new(DMatrix::from_diagonal(&precision));
            return match factor {
                Some(factor) => Ok(Some(Nested { of, pixels, centre, factor, steps: vec![0.0] })),
                None => Err(Error::Fit("the guide of the endmembers is not finite".into())),
            };
        }
        let mut steps = Vec::new();
        loop {
            let Some((slope, factor)) = newton(&pixels, &centre, &prior, interrupted)? else {
                return Ok(None);
            };
            let step = factor.solve(&slope);
            let length = (step.dot(&slope).max(0.0) / centre.len() as f64).sqrt();
            steps.push(length);
            let lost = steps.len() > MOST_STEPS;
            if length < SMALL || (lost && centre == begin) {
                return Ok(Some(Nested { of, pixels, centre, factor, steps }));
            }
            if lost {
                // Where steps led nowhere the guide's own spectra are the better centre.
                centre.copy_from_slice(&begin);
                continue;
            }
            let bounded = |step: &f64| step.clamp(-LONGEST, LONGEST);
            centre.iter_mut().zip(step.iter()).for_each(|(u, s)| *u += bounded(s));
        }
    }

    /// The nested posterior of pixels whose scene is known: latents of the scene are the guide's,
    /// but for the spectra, which are those of `scene`.
    ///
    /// # Errors
    ///
    /// What [`check`] refuses, and [`Error::Fit`] where sizes do not agree.
    pub fn given(guide: &'a Guide, of: &'a FitPixels, scene: &SceneNormal) -> Result<Self> {
        check(&guide.params)?;
        let size = guide.k() * guide.params.bands as usize;
        if scene.centre.len() != size || scene.factor.shape() != (size, size) {
            return Err(Error::Fit(format!(
                "the posterior of the spectra has {} values, and the guide {size}",
                scene.centre.len()
            )));
        }
        let factor = Cholesky::pack_dirty(scene.factor.clone());
        let pixels = Pixels::new(guide, of.cube());
        Ok(Nested { of, pixels, centre: scene.centre.clone(), factor, steps: vec![0.0] })
    }

    /// The posterior of the spectra.
    pub fn scene(&self) -> SceneNormal {
        SceneNormal { centre: self.centre.clone(), factor: self.factor.l() }
    }

    pub(crate) fn params(&self) -> &'a Params {
        self.pixels.params
    }

    pub(crate) fn guide(&self) -> &'a Guide {
        self.pixels.guide
    }

    pub(crate) fn pixels(&self) -> &'a FitPixels {
        self.of
    }

    /// False where Newton's method did not come to rest: the centre is then the guide's, and the
    /// last of the steps is the one from there.
    pub fn settled(&self) -> bool {
        self.steps.last().is_some_and(|&step| step < SMALL)
    }

    /// The first `count` draws of the spectra, reflectance: draws, then endmembers, then bands.
    pub fn spectra(&self, count: u32) -> Vec<Vec<Vec<f64>>> {
        let p = self.pixels.params;
        let (k, bands) = (p.k(), p.bands as usize);
        let factor = self.factor.l().transpose();
        let one = |draw: u32| -> Vec<Vec<f64>> {
            let normal = |a: usize, _| {
                let (block, at) = ((a / 4) as u32, a % 4);
                f64::from(rng::normals(p.key(), Stream::Posterior, 0, draw, block, 0)[at])
            };
            let mut off = DVector::from_fn(k * bands, normal);
            // A factor of a positive matrix has no zero on its diagonal.
            factor.solve_upper_triangular_mut(&mut off);
            let c: Vec<f64> =
                self.centre.iter().zip(off.iter()).map(|(u, off)| softplus(u + off)).collect();
            c.chunks_exact(bands).map(<[f64]>::to_vec).collect()
        };
        (0..count).map(one).collect()
    }

    /// What the pixels' likelihoods need of draws of the spectra, reflectance, which
    /// [`Nested::spectra`] gives. Takes K^2 L 8 bytes a draw.
    pub fn scenes(&self, spectra: &[Vec<Vec<f64>>]) -> Scenes {
        let p = self.pixels.params;
        let (k, bands) = (p.k(), p.bands as usize);
        let pairs: Vec<(usize, usize)> =
            (0..k).flat_map(|i| (0..=i).map(move |j| (i, j))).collect();
        let linear =
            Array2::from_shape_fn((spectra.len() * k, bands), |(at, l)| spectra[at / k][at % k][l]);
        let square = Array2::from_shape_fn((spectra.len() * pairs.len(), bands), |(at, l)| {
            let ((i, j), c) = (pairs[at % pairs.len()], &spectra[at / pairs.len()]);
            c[i][l] * c[j][l]
        });
        Scenes { draws: spectra.len(), linear, square }
    }

    /// Number of blocks that [`Nested::block`] takes.
    pub fn blocks(&self) -> usize {
        (self.pixels.params.pixels as usize).div_ceil(BLOCK)
    }

    /// Weighted draws of the pixels of one block, in the order of the pixels: [`PER_SCENE`] for
    /// each draw of the scene in turn, weights with sum 1.
    pub fn block(&self, block: usize, scenes: &Scenes) -> Vec<Drawn> {
        let p = self.pixels.params;
        let (k, bands) = (p.k(), p.bands as usize);
        let first = block * BLOCK;
        let count = BLOCK.min((p.pixels as usize).saturating_sub(first));
        let mut precision = Array2::zeros((count, bands));
        let mut weighted = Array2::zeros((count, bands));
        let expected: Vec<Vec<f64>> =
            (first..first + count).map(|n| self.pixels.expected(n)).collect();
        for (i, expected) in expected.iter().enumerate() {
            let y = self.pixels.cube.spectrum(first + i);
            for (l, value) in self.pixels.precision(expected).into_iter().enumerate() {
                precision[[i, l]] = value;
                weighted[[i, l]] = value * f64::from(y[l]);
            }
        }
        let linear = weighted.dot(&scenes.linear.t());
        let square = precision.dot(&scenes.square.t());
        let draws = scenes.draws;
        let one = |(n, expected): (usize, &Vec<f64>)| {
            let mut drawn = Drawn::default();
            let mut form = vec![0.0; k * k];
            for s in 0..draws {
                let linear: Vec<f64> = (0..k).map(|i| linear[[n, s * k + i]]).collect();
                let mut at = s * k * (k + 1) / 2;
                for i in 0..k {
                    for j in 0..=i {
                        (form[i * k + j], form[j * k + i]) = (square[[n, at]], square[[n, at]]);
                        at += 1;
                    }
                }
                let range = (s as u32 * PER_SCENE, PER_SCENE);
                self.pixels.draw(first + n, range, (&linear, &form), expected, &mut drawn);
            }
            drawn.weights.iter_mut().for_each(|w| *w /= draws as f64);
            drawn
        };
        expected.iter().enumerate().map(one).collect()
    }
}

/// Slope of the log posterior of u, and the factor of its curvature.
type Slope = (DVector<f64>, Cholesky<f64, Dyn>);

/// Slope and curvature of the log posterior at u, with the centre of the spectra's prior. Where
/// data and prior leave the posterior too flat for a step, a ridge holds the spectra. None when
/// `interrupted`.
fn newton(
    pixels: &Pixels,
    u: &[f64],
    prior: &[f64],
    interrupted: &(dyn Fn() -> bool + Sync),
) -> Result<Option<Slope>> {
    let c: Vec<f64> = u.iter().map(|&u| softplus(u)).collect();
    let rise: Vec<f64> = u.iter().map(|&u| sigmoid(u)).collect();
    let Some(information::Sums { slope, mut curvature }) =
        information::sums(pixels, &c, interrupted)
    else {
        return Ok(None);
    };
    let precision = f64::from(pixels.params.endmember_precision);
    // Equation 15, and its derivative at a mode, where the two terms in c'' cancel to 1 - rise.
    let mut slope = DVector::from_fn(u.len(), |a, _| {
        rise[a] * (slope[a] - precision * (c[a] - prior[a])) + 1.0 - rise[a]
    });
    for a in 0..u.len() {
        curvature[(a, a)] += precision;
        for b in 0..u.len() {
            curvature[(a, b)] *= rise[a] * rise[b];
        }
        curvature[(a, a)] += 1.0 - rise[a];
    }
    hold_sizes(pixels, &c, &rise, &mut slope, &mut curvature);
    if slope.iter().chain(curvature.iter()).any(|x| !x.is_finite()) {
        return Err(Error::Fit(
            "the fit is not finite, so pixels cannot be integrated out; use the guide's posterior"
                .into(),
        ));
    }
    let mut ridge = 0.0;
    loop {
        let held = &curvature + DMatrix::identity(u.len(), u.len()) * ridge;
        match unless(interrupted, move |_| Ok(Cholesky::new(held))) {
            Ok(Some(factor)) => return Ok(Some((slope, factor))),
            Ok(None) => {}
            Err(Error::Interrupted) => return Ok(None),
            Err(error) => return Err(error),
        }
        ridge = if ridge == 0.0 { 1.0 } else { 4.0 * ridge };
    }
}

/// Keeps the size of each spectrum where the guide has it. With brightness the data do not tell it,
/// as twice c_k with half of u_k is the same mixture: the two terms of equation 32 cancel along it
/// but for the noise of the draws. What is reported is in relation to peaks, where sizes go out.
fn hold_sizes(
    pixels: &Pixels,
    c: &[f64],
    rise: &[f64],
    slope: &mut DVector<f64>,
    curvature: &mut DMatrix<f64>,
) {
    if !pixels.params.has(BRIGHTNESS) {
        return;
    }
    let bands = pixels.params.bands as usize;
    for (k, c) in c.chunks_exact(bands).enumerate() {
        let square: f64 = c.iter().map(|c| c * c).sum();
        let rise = &rise[k * bands..];
        // Relative change of size with each latent.
        let rho: Vec<f64> = c.iter().zip(rise).map(|(c, rise)| c * rise / square).collect();
        let along: f64 =
            (0..bands).map(|l| slope[k * bands + l] * c[l] / rise[l].max(f64::MIN_POSITIVE)).sum();
        for a in 0..bands {
            slope[k * bands + a] -= rho[a] * along;
            for b in 0..bands {
                curvature[(k * bands + a, k * bands + b)] += rho[a] * rho[b] / SIZE_SD.powi(2);
            }
        }
    }
}

impl Drawn {
    /// Brightness, abundances and weight of each draw, with h the `heights` of a draw of the scene:
    /// `sum_j u_j h_j`, and `u_k h_k` over it.
    pub(crate) fn shares(
        &self,
        heights: &[Vec<f64>],
    ) -> impl Iterator<Item = (f64, Vec<f64>, f64)> {
        let rows = self.amounts.chunks_exact(heights.first().map_or(1, Vec::len));
        rows.zip(&self.weights).enumerate().map(|(i, (u, &weight))| {
            let h = &heights[i / PER_SCENE as usize];
            let total: f64 = u.iter().zip(h).map(|(u, h)| u * h).sum();
            (total, u.iter().zip(h).map(|(u, h)| u * h / total).collect(), weight)
        })
    }
}

/// Mean and sd of abundances and mean brightness; `heights` of each draw of the scene.
pub(crate) fn moments(draws: &Drawn, heights: &[Vec<f64>]) -> (Vec<f64>, Vec<f64>, f64) {
    let k = heights.first().map_or(0, Vec::len);
    let (mut mean, mut square, mut bright) = (vec![0.0; k], vec![0.0; k], 0.0);
    for (total, shares, weight) in draws.shares(heights) {
        bright += weight * total;
        for (j, w) in shares.into_iter().enumerate() {
            mean[j] += weight * w;
            square[j] += weight * w * w;
        }
    }
    let sd = mean.iter().zip(square).map(|(m, s)| (s - m * m).max(0.0).sqrt()).collect();
    (mean, sd, bright)
}
