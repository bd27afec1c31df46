//! The mean of the spectra's posterior where it is not at its mode: the normal that stands for the
//! posterior lies where the slope of the log posterior, averaged over the normal itself, is zero
//! (Opper and Archambeau 2009, "The variational Gaussian approximation revisited").
//!
//! A dark material that no pixel has alone is known the better the brighter it is: what its bands
//! may be is a wide bell on the dark side, and a narrow one at the mode. So the mode of hundreds of
//! values together lies several sds above most of what is probable.

use nalgebra::DVector;

use super::information::{self, DRAWS, Look, Parts};
use super::memory::Memory;
use super::newton::{Newton, hold_sizes, part_bound, with};
use super::rest::FEW;
use super::{SpectraNormal, cut, not_finite};
use crate::engine::ground::error::{Error, Result};
use crate::engine::pixels::Pixels;

/// Pairs of draws that a slope is averaged over, each with its mirror image: a mean over L bands
/// and four pairs is off by a tenth of what it moves by.
const PAIRS: u32 = 4;
/// Draws of each pixel in the middle. Means of weighted draws are off by a share of their number,
/// all pixels to one side: with 64 of them a spectrum with a steep fall would be too steep by five
/// sds, with K = 5 and without pure pixels.
const MANY: usize = 256;
/// Steps at most: in the model's own world two to eight of them lead to rest. Where materials do
/// not mix as the model has it they may lead on and on, away from what is likely.
const MOST_STEPS: usize = 10;
/// A step that moves the mean of no spectrum by more is the last, sds of its values.
const ENOUGH: f64 = 0.05;
/// How far a value is moved in one step at most, sds.
const LONGEST: f64 = 2.0;

/// A normal cut off at zero, and what the log posterior is like where it lies.
struct Near {
    normal: SpectraNormal,
    /// By how much the slope of the log posterior by c, at the means of the values cut off at zero,
    /// is another one than few draws of few pixels say twice: of all pixels, and of many draws.
    differs: DVector<f64>,
}

impl Newton<'_> {
    /// The normal cut off at zero that stands for the posterior of the spectra, from that around
    /// their mode on. Each step costs one look at the pixels, and ten at 2,048 of them, of which
    /// one with their curvature: by how much the slope on average differs from that in the middle
    /// is little, and these tell it. Where steps do not come to rest the normal around the mode
    /// stays.
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
        let SpectraNormal::Cut { mean, sds, .. } = around_mode else {
            return Ok(around_mode.clone());
        };
        let few = self.of.part(FEW);
        let mut near = self.near(mean.clone(), sds, &few)?;
        let mut memory = Memory::default();
        let mut before: Option<(DVector<f64>, DVector<f64>)> = None;
        for _ in 0..MOST_STEPS {
            let Near { normal, differs } = near;
            let slope = self.mean_slope(&normal, &differs, &few)?;
            let SpectraNormal::Cut { mean, factor, sds } = normal else { break };
            if let Some((step, from)) = before.take() {
                memory.add(step, &from, &slope);
            }
            let step = memory.step(&slope, |slope| {
                let mut step = slope.clone();
                // A factor of a positive matrix has no zero on its diagonal.
                factor.solve_lower_triangular_mut(&mut step);
                factor.tr_solve_lower_triangular_mut(&mut step);
                step
            });
            if step.iter().any(|x| !x.is_finite()) {
                return Err(not_finite());
            }
            let in_sds: Vec<f64> = step.iter().zip(&sds).map(|(x, sd)| x / sd).collect();
            let moved = in_sds.iter().zip(&sds).map(|(x, sd)| x.clamp(-LONGEST, LONGEST) * sd);
            let step = DVector::from_iterator(step.len(), moved);
            let mean: Vec<f64> = mean.iter().zip(step.iter()).map(|(m, x)| m + x).collect();
            if most_of_a_spectrum(&in_sds, self.known.bands) < ENOUGH {
                return Ok(SpectraNormal::Cut { mean, factor, sds });
            }
            before = Some((step, slope));
            near = self.near(mean, &sds, &few)?;
        }
        Ok(around_mode.clone())
    }

    /// The slope of the log posterior by c at the mean m of a normal, were it the parabola of the
    /// normal's curvature whose slopes are right on average: mean over draws c of `∇ log p(c) + H
    /// (c - m)`, with H the normal's inverse covariance.
    fn mean_slope(
        &self,
        normal: &SpectraNormal,
        differs: &DVector<f64>,
        few: &Pixels,
    ) -> Result<DVector<f64>> {
        let SpectraNormal::Cut { mean, factor, .. } = normal else { return Err(not_finite()) };
        let (size, key) = (mean.len(), self.guide.params.key());
        let (mut slopes, mut draws) = (DVector::zeros(size), DVector::zeros(size));
        for c in (0..PAIRS).flat_map(|pair| normal.pair(key, pair)) {
            slopes += self.slope_of(few, &c, DRAWS)?;
            draws += DVector::from_vec(c);
        }
        let count = f64::from(2 * PAIRS);
        // H is the product of its factor with itself, transposed.
        let off = draws / count - DVector::from_column_slice(mean);
        let bent = factor * factor.tr_mul(&off);
        let mut slope = slopes / count + differs + bent;
        if self.known.brightness.is_some() {
            hold_sizes(self.known.bands, mean, &vec![1.0; size], &mut slope, None);
        }
        Ok(slope)
    }

    /// The slope of the log posterior by c at spectra c, (K, L), with so many draws of each pixel.
    /// The pixels stand for all.
    fn slope_of(&self, pixels: &Pixels, c: &[f64], draws: usize) -> Result<DVector<f64>> {
        let (key, look) = (self.guide.params.key(), Look { draws, curved: false });
        let sums = information::sums(self.known, pixels.cube(), key, c, look, self.interrupted);
        Ok(self.with_prior(sums.ok_or(Error::Interrupted)?.slope, c, self.stand_for(pixels)))
    }

    /// How many pixels each of these stands for.
    fn stand_for(&self, pixels: &Pixels) -> f64 {
        self.of.count() as f64 / pixels.count().max(1) as f64
    }

    /// The normal around a mean, and what the log posterior is like there; `last` are the sds of
    /// another one.
    fn near(&self, mean: Vec<f64>, last: &[f64], few: &Pixels) -> Result<Near> {
        let (size, bands, key) = (mean.len(), self.known.bands, self.guide.params.key());
        let centre: Vec<f64> = mean.iter().zip(last).map(|(&m, &sd)| cut::mean(m, sd)).collect();
        let look = Look { draws: MANY, curved: true };
        let sums = information::sums(self.known, few.cube(), key, &centre, look, self.interrupted);
        let information::Sums { slope, curvature, .. } = sums.ok_or(Error::Interrupted)?;
        let Parts { mut complete, lost } = curvature.ok_or_else(not_finite)?;
        let stand_for = self.stand_for(few);
        complete.iter_mut().for_each(|x| *x *= stand_for);
        let mut whole = with(&(lost * -stand_for), 1.0, &complete);
        for a in 0..size {
            whole[(a, a)] += f64::from(self.guide.params.endmember_precision);
        }
        let bound = DVector::from_fn(size, |a, _| (mean[a] - centre[a]) * whole[(a, a)]);
        if self.known.brightness.is_some() {
            let ones = vec![1.0; size];
            hold_sizes(bands, &centre, &ones, &mut bound.clone(), Some(&mut whole));
        }
        part_bound(bands, &bound, &mut whole, &mut complete);
        let with_many = self.with_prior(slope, &centre, stand_for);
        let by_few = self.slope_of(few, &centre, DRAWS)?;
        let mut differs = with_many - &by_few;
        if few.count() < self.of.count() {
            differs += self.slope_of(self.of, &centre, DRAWS)? - by_few;
        }
        if whole.iter().chain(differs.iter()).any(|x| !x.is_finite()) {
            return Err(not_finite());
        }
        let factor = self.bend((whole, complete), vec![1.0; size], 0)?.factor.l();
        Ok(Near { normal: SpectraNormal::cut(mean, factor), differs })
    }
}

/// By how many sds a step, in sds of each value, moves the mean of that spectrum which it moves
/// most.
fn most_of_a_spectrum(step: &[f64], bands: usize) -> f64 {
    let means = step.chunks_exact(bands).map(|of| of.iter().sum::<f64>().abs() / bands as f64);
    means.fold(0.0, f64::max)
}
