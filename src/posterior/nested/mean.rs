//! The mean of the spectra's posterior where it is not at its mode: the normal that stands for the
//! posterior lies where the slope of the log posterior, averaged over the normal itself, is zero
//! (Opper and Archambeau 2009, "The variational Gaussian approximation revisited").
//!
//! A dark material that no pixel has alone is known the better the brighter it is: what its bands
//! may be is a wide bell on the dark side, and a narrow one at the mode. So the mode of hundreds of
//! values together lies several sds above most of what is probable.

use nalgebra::{DMatrix, DVector};

use super::information::{self, Parts};
use super::newton::{Newton, hold_sizes, part_bound, with};
use super::rest::FEW;
use super::{SpectraNormal, not_finite};
use crate::engine::ground::error::{Error, Result};
use crate::engine::pixels::Cube;

/// Pairs of draws that a slope is averaged over, each with its mirror image: a mean over L bands
/// and four pairs is off by a tenth of what it moves by.
const PAIRS: u32 = 4;
/// Steps at most: where nearly all is lost of what a direction tells, steps along it are short.
const MOST_STEPS: usize = 12;
/// A step that moves the mean of no spectrum by more is the last, sds of its values.
const ENOUGH: f64 = 0.05;
/// How far a value is moved in one step at most, sds.
const LONGEST: f64 = 2.0;

/// A normal and what is known where it lies.
struct Near {
    mean: Vec<f64>,
    /// Lower factor of the inverse covariance, (K L, K L).
    factor: DMatrix<f64>,
    /// Slope of the log posterior by c at the means of its values cut off at zero.
    slope: DVector<f64>,
}

impl Newton<'_> {
    /// The normal cut off at zero that stands for the posterior of the spectra, from that around
    /// their mode on. Each step costs one look at the pixels with their curvature, and nine at
    /// 2,048 of them without: the average of the slope differs little from the slope in the middle,
    /// and by how much these tell. Where steps lead to no numbers the normal around the mode stays.
    ///
    /// # Errors
    ///
    /// [`Error::Interrupted`].
    pub(super) fn mean(&self, around_mode: SpectraNormal) -> Result<SpectraNormal> {
        match self.steps_to_mean(&around_mode) {
            Err(Error::Fit(_)) => Ok(around_mode),
            found => found,
        }
    }

    fn steps_to_mean(&self, around_mode: &SpectraNormal) -> Result<SpectraNormal> {
        let SpectraNormal::Cut { mean, factor, .. } = around_mode else {
            return Ok(around_mode.clone());
        };
        let few = self.of.part(FEW);
        let mut near = self.near(mean.clone(), factor)?;
        for _ in 0..MOST_STEPS {
            let normal = SpectraNormal::cut(near.mean.clone(), near.factor.clone());
            let step = self.step_to_mean(&normal, &near, few.cube())?;
            let SpectraNormal::Cut { sds, .. } = &normal else { return Ok(normal) };
            let in_sds =
                DVector::from_iterator(step.len(), step.iter().zip(sds).map(|(x, sd)| x / sd));
            let moved = in_sds.iter().map(|x| x.clamp(-LONGEST, LONGEST)).zip(sds);
            let mean = near.mean.iter().zip(moved).map(|(m, (x, sd))| m + x * sd).collect();
            near = self.near(mean, &near.factor)?;
            let of_spectra = in_sds.as_slice().chunks_exact(self.known.bands);
            if of_spectra
                .map(|of| of.iter().sum::<f64>().abs() / of.len() as f64)
                .fold(0.0, f64::max)
                < ENOUGH
            {
                break;
            }
        }
        Ok(SpectraNormal::cut(near.mean, near.factor))
    }

    /// The step to where the slope is zero on average, were the log posterior a parabola with the
    /// normal's curvature: `H^-1 mean(∇ log p(c) + H (c - m))` over draws c, with H its inverse
    /// covariance and m its mean. By how much the slope differs from that in the middle is found
    /// from `few` of the pixels.
    fn step_to_mean(
        &self,
        normal: &SpectraNormal,
        near: &Near,
        few: &Cube,
    ) -> Result<DVector<f64>> {
        let (size, centre, key) = (near.mean.len(), normal.centre(), self.guide.params.key());
        let stands_for = self.of.count() as f64 / few.pixels().max(1) as f64;
        let slope = |c: &[f64]| -> Result<DVector<f64>> {
            let sums = information::sums(self.known, few, key, c, false, self.interrupted);
            Ok(DVector::from_vec(sums.ok_or(Error::Interrupted)?.slope) * stands_for)
        };
        let (mut slopes, mut draws) = (DVector::zeros(size), DVector::zeros(size));
        for c in (0..PAIRS).flat_map(|pair| normal.pair(key, pair)) {
            slopes += slope(&c)?;
            draws += DVector::from_vec(c);
        }
        let count = f64::from(2 * PAIRS);
        let draws = draws / count;
        let in_middle = DVector::from_column_slice(&centre);
        // The prior's slope falls like a line.
        let precision = f64::from(self.guide.params.endmember_precision);
        let mut step = slopes / count - slope(&centre)? - precision * (&draws - in_middle);
        step += &near.slope;
        // H is the product of its factor with itself, transposed.
        let off = draws - DVector::from_column_slice(&near.mean);
        step += &near.factor * near.factor.tr_mul(&off);
        if self.known.brightness.is_some() {
            hold_sizes(self.known.bands, &near.mean, &vec![1.0; size], &mut step, None);
        }
        // A factor of a positive matrix has no zero on its diagonal.
        near.factor.solve_lower_triangular_mut(&mut step);
        near.factor.tr_solve_lower_triangular_mut(&mut step);
        match step.iter().all(|x| x.is_finite()) {
            true => Ok(step),
            false => Err(not_finite()),
        }
    }

    /// What is known around a mean; `last` is the factor of another one.
    fn near(&self, mean: Vec<f64>, last: &DMatrix<f64>) -> Result<Near> {
        let (size, bands, prior) = (mean.len(), self.known.bands, self.prior_centre());
        let precision = f64::from(self.guide.params.endmember_precision);
        let centre = SpectraNormal::cut(mean.clone(), last.clone()).centre();
        let (cube, key) = (self.of.cube(), self.guide.params.key());
        let sums = information::sums(self.known, cube, key, &centre, true, self.interrupted);
        let information::Sums { slope, curvature, .. } = sums.ok_or(Error::Interrupted)?;
        let Parts { mut complete, lost } = curvature.ok_or_else(not_finite)?;
        let slope = DVector::from_fn(size, |a, _| slope[a] - precision * (centre[a] - prior[a]));
        let mut whole = with(&-lost, 1.0, &complete);
        for a in 0..size {
            whole[(a, a)] += precision;
        }
        let bound = DVector::from_fn(size, |a, _| (mean[a] - centre[a]) * whole[(a, a)]);
        if self.known.brightness.is_some() {
            let ones = vec![1.0; size];
            hold_sizes(bands, &centre, &ones, &mut bound.clone(), Some(&mut whole));
        }
        part_bound(bands, &bound, &mut whole, &mut complete);
        if whole.iter().chain(slope.iter()).any(|x| !x.is_finite()) {
            return Err(not_finite());
        }
        let factor = self.bend((whole, complete), vec![1.0; size], 0)?.factor.l();
        Ok(Near { mean, factor, slope })
    }
}
