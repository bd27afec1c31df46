//! Newton's method on the spectra, pixels integrated out.

use std::rc::Rc;

use nalgebra::{Cholesky, DMatrix, DVector, Dyn};

use super::factor::cholesky;
use super::information::{self, DRAWS, Look};
use super::known::Known;
use super::memory::Memory;
use super::{SpectraNormal, not_finite};
use crate::engine::ground::error::{Error, Result};
use crate::engine::ground::interrupt::unless;
use crate::engine::ground::math::{sigmoid, softplus, softplus_inverse};
use crate::engine::guide::Guide;
use crate::engine::pixels::Pixels;

/// Newton's steps at most: of seven materials without pure pixels it takes some thirty.
const MOST_STEPS: usize = 40;
/// A step leads away where the log density of a pixel falls by more than this, nats: the draws of
/// the pixels leave about so much open.
const DROP: f64 = 1e-4;
/// A step that gains as much, nats of all pixels, is followed by another: one sd along one
/// direction gains half a nat.
const WORTH: f64 = 0.5;
/// What is left at least of the information on the spectra, as a share of what it would be if all
/// amounts were known: sums over 64 draws of some thousand pixels have errors of a few thousandths.
const LEAST_KNOWN: f64 = 0.003;
/// The most that is added of it to find a direction at all.
const MOST_ADDED: f64 = 1e6;
/// Where steps to a posterior end: a tenth of its sd.
pub(super) const SMALL: f64 = 0.1;
/// Shorter steps may be noise, if they do not become shorter still: the draws of the pixels leave
/// about an eighth open of what nearly all is lost of.
pub(super) const NOISE: f64 = 0.5;
/// So many steps in a row may gain nothing before it is noise that is left: the first ones along a
/// direction that was not known are too long.
const IDLE: usize = 2;
/// The longest change of a latent in one step.
const LONGEST: f64 = 0.5;
/// What the relative size of a spectrum may vary by, with brightness.
const SIZE_SD: f64 = 1e-3;
/// A value whose mean would lie so many sds lower, were it not for zero, lies there: at 2 the mean
/// of its normal is 1.5 sds below zero.
const BOUND: f64 = 2.0;
/// What steps may add up to before the curvature is computed anew, posterior sds.
const FAR: f64 = 0.5;

/// What a step must gain, nats of so many pixels, lest it is the last on the way to a posterior.
pub(super) fn worth(pixels: usize) -> f64 {
    WORTH.max(DROP * pixels as f64)
}

/// The way to the mode of the spectra's posterior.
pub(super) struct Newton<'a> {
    pub(super) guide: &'a Guide,
    pub(super) known: &'a Known,
    pub(super) of: &'a Pixels,
    /// The step that ends it, posterior sds, root mean square over all values.
    pub(super) small: f64,
    /// What a step must gain lest it is the last, nats of all pixels together: a short one may be
    /// all along one of many directions.
    pub(super) worth: f64,
    pub(super) interrupted: &'a (dyn Fn() -> bool + Sync),
}

/// Posterior of the spectra, and the lengths of the steps.
pub(super) type Found = (SpectraNormal, Vec<f64>);

/// The log posterior of u near a place: slope, and minus the curvature in parts.
struct Place {
    centre: Vec<f64>,
    density: f64,
    slope: DVector<f64>,
    bend: Rc<Bend>,
    /// Length of the step from here, posterior sds.
    length: f64,
}

/// The log posterior of u at a place.
struct Looked {
    density: f64,
    slope: DVector<f64>,
    /// Where it was asked for minus its curvature, and what that would be if all amounts were
    /// known, but for the prior.
    parts: Option<(DMatrix<f64>, Vec<f64>)>,
}

/// Minus the curvature of the log posterior of u, and its factor.
pub(super) struct Bend {
    /// Minus the curvature, (K L, K L).
    whole: DMatrix<f64>,
    /// What it would be if all amounts were known, but for the prior, (K, K, L).
    complete: Vec<f64>,
    pub(super) factor: Cholesky<f64, Dyn>,
    /// By how much c rises with u where it was computed, (K L).
    rise: Vec<f64>,
    /// How much of the complete term was added for the factor: [`share_added`].
    level: i32,
}

impl Newton<'_> {
    /// The posterior around its mean, and the lengths of the steps to its mode, from spectra (K, L)
    /// on.
    ///
    /// # Errors
    ///
    /// [`Error::Interrupted`], and [`Error::Fit`] where no way leads on.
    pub(super) fn run(&self, spectra: Vec<f64>) -> Result<Found> {
        let (mode, steps) = self.climb(spectra)?;
        Ok((self.mean(self.cut(&mode.centre, &mode.bend)?)?, steps))
    }

    /// The spectra (K, L) at their mode, from others on.
    ///
    /// # Errors
    ///
    /// [`Error::Interrupted`], and [`Error::Fit`] where no way leads on.
    pub(super) fn mode(&self, spectra: Vec<f64>) -> Result<Vec<f64>> {
        let (mode, _) = self.climb(spectra)?;
        Ok(mode.centre.iter().map(|&u| softplus(u)).collect())
    }

    /// The place where steps end, and their lengths. A step that leads down is taken back, and a
    /// shorter one taken.
    fn climb(&self, spectra: Vec<f64>) -> Result<(Place, Vec<f64>)> {
        let mut centre: Vec<f64> = spectra.into_iter().map(softplus_inverse).collect();
        let prior = self.prior_centre();
        let least_gain = -DROP * self.of.count() as f64;
        let mut steps: Vec<f64> = Vec::new();
        let mut best: Option<Place> = None;
        // How far from the last curvature, in sds, and what is added to it.
        let (mut since, mut level) = (f64::INFINITY, 0);
        let mut memory = Memory::default();
        let (mut led_down, mut idle) = (false, 0);
        loop {
            // A curvature costs seven looks without one, and that of a place which leads down is
            // not used.
            let first = best.is_none();
            let mut looked = self.look(&centre, &prior, first)?;
            let gain = best.as_ref().map_or(0.0, |best| looked.density - best.density);
            let worse = gain.is_nan() || gain < least_gain;
            let last = best.as_ref().map_or(f64::INFINITY, |best| best.length);
            if worse {
                since = f64::INFINITY;
                level += if memory.clear() { 0 } else { 2 };
            } else {
                // Close by, an old curvature does.
                if since > FAR {
                    since = 0.0;
                    if !first {
                        looked = self.look(&centre, &prior, true)?;
                    }
                }
                let before = best.take();
                if let Some(Place { centre: from, slope, .. }) = &before {
                    let step = centre.iter().zip(from).map(|(to, from)| to - from);
                    let step = DVector::from_iterator(centre.len(), step);
                    memory.add(step, slope, &looked.slope);
                }
                let place = self.place(&centre, looked, before, (level - 1, &memory))?;
                level = place.bend.level;
                since += place.length;
                best = Some(place);
            }
            let Some(place) = &best else { return Err(not_finite()) };
            steps.push(place.length);
            // What the noise of the draws leaves does not become less.
            let stays = last < NOISE && place.length > 0.7 * last;
            let again = worse && !led_down;
            led_down = worse;
            let gains = gain > self.worth;
            idle = if gains { 0 } else { idle + 1 };
            let stays = stays && !again && idle > IDLE;
            let rests = !gains && (place.length < self.small || stays);
            if rests || steps.len() > MOST_STEPS {
                if rests && last < place.length {
                    steps.push(last);
                }
                return best.map(|place| (place, steps)).ok_or_else(not_finite);
            }
            let step = self.step(place, level, &memory)?;
            centre.copy_from_slice(&place.centre);
            centre.iter_mut().zip(step.iter()).for_each(|(u, s)| *u += s.clamp(-LONGEST, LONGEST));
        }
    }

    /// Where the spectra's prior has them, (K, L).
    pub(super) fn prior_centre(&self) -> Vec<f64> {
        let p = &self.guide.params;
        let row = |k: usize| self.guide.prior_centre[k * p.stride()..][..p.bands as usize].iter();
        (0..p.k()).flat_map(row).map(|&x| f64::from(x)).collect()
    }

    /// The slope of the log posterior by c from that of the log likelihood of pixels that stand for
    /// so many each.
    pub(super) fn with_prior(
        &self,
        of_pixels: Vec<f64>,
        c: &[f64],
        stand_for: f64,
    ) -> DVector<f64> {
        let precision = f64::from(self.guide.params.endmember_precision);
        let slopes = of_pixels.iter().zip(c).zip(self.prior_centre());
        let slopes = slopes.map(|((slope, c), prior)| stand_for * slope - precision * (c - prior));
        DVector::from_iterator(c.len(), slopes)
    }

    /// What was looked at, with its curvature or that of the place before, and the step from it. At
    /// least `level` is added to a new curvature.
    fn place(
        &self,
        centre: &[f64],
        looked: Looked,
        before: Option<Place>,
        (level, memory): (i32, &Memory),
    ) -> Result<Place> {
        let Looked { density, slope, parts } = looked;
        let bend = match (parts, before) {
            (Some(parts), _) => Rc::new(self.bend(parts, rises(centre), level)?),
            (None, Some(before)) => before.bend,
            (None, None) => return Err(not_finite()),
        };
        let step = memory.step(&slope, |slope| bend.factor.solve(slope));
        let length = (step.dot(&slope).max(0.0) / centre.len() as f64).sqrt();
        Ok(Place { centre: centre.to_vec(), density, slope, bend, length })
    }

    /// The step from a place, with so much added to its curvature.
    fn step(&self, from: &Place, level: i32, memory: &Memory) -> Result<DVector<f64>> {
        let Place { slope, bend, .. } = from;
        if level <= bend.level {
            return Ok(memory.step(slope, |slope| bend.factor.solve(slope)));
        }
        let damped = self.cholesky(with(&bend.whole, share_added(level), &bend.complete))?;
        Ok(damped.as_ref().unwrap_or(&bend.factor).solve(slope))
    }

    /// The posterior of c around its mode in u: it is quadratic in c, and what makes it another one
    /// in u is the density of u alone. Its mean may lie below zero, where c cannot be.
    fn cut(&self, centre: &[f64], bend: &Bend) -> Result<SpectraNormal> {
        let c: Vec<f64> = centre.iter().map(|&u| softplus(u)).collect();
        let rise = rises(centre);
        // It balances the density of u; what is left of the slope is a step that was not taken.
        let mut slope = DVector::from_fn(c.len(), |a, _| -(1.0 - rise[a]) / rise[a]);
        if self.known.brightness.is_some() {
            hold_sizes(self.known.bands, &c, &vec![1.0; c.len()], &mut slope, None);
        }
        let rise = &bend.rise;
        let mut whole = bend.whole.clone();
        for a in 0..c.len() {
            whole[(a, a)] -= 1.0 - rise[a];
            for b in 0..c.len() {
                whole[(b, a)] /= rise[a] * rise[b];
            }
        }
        let mut complete = bend.complete.clone();
        by_values(&mut complete, self.known.bands, |a, b| 1.0 / (rise[a] * rise[b]));
        part_bound(self.known.bands, &slope, &mut whole, &mut complete);
        let bend = self.bend((whole, complete), vec![1.0; c.len()], 0)?;
        let step = bend.factor.solve(&slope);
        let mean = c.iter().zip(step.iter()).map(|(c, step)| c + step).collect();
        Ok(SpectraNormal::cut(mean, bend.factor.l()))
    }

    /// A factor; none for a matrix that is not positive.
    fn cholesky(&self, matrix: DMatrix<f64>) -> Result<Option<Cholesky<f64, Dyn>>> {
        unless(self.interrupted, move |_| Ok(cholesky(matrix)))
    }

    /// The log posterior at u, with the centre of the spectra's prior: its slope and, if asked for,
    /// minus its curvature, and what that would be if all amounts were known.
    fn look(&self, u: &[f64], prior: &[f64], curved: bool) -> Result<Looked> {
        let c: Vec<f64> = u.iter().map(|&u| softplus(u)).collect();
        let rise = rises(u);
        let (cube, key) = (self.of.cube(), self.guide.params.key());
        let look = Look { draws: DRAWS, curved };
        let sums = information::sums(self.known, cube, key, &c, look, self.interrupted);
        let information::Sums { mut density, slope, curvature } = sums.ok_or(Error::Interrupted)?;
        let precision = f64::from(self.guide.params.endmember_precision);
        for ((c, prior), rise) in c.iter().zip(prior).zip(&rise) {
            density += rise.ln() - 0.5 * precision * (c - prior).powi(2);
        }
        let slope = self.with_prior(slope, &c, 1.0);
        // Equation 15, and its derivative at a mode, where the two terms in c'' cancel to 1 - rise.
        let mut slope = DVector::from_fn(u.len(), |a, _| rise[a] * slope[a] + 1.0 - rise[a]);
        let bands = self.known.bands;
        let mut parts = curvature.map(|information::Parts { mut complete, lost }| {
            let mut whole = lost;
            for a in 0..u.len() {
                for b in 0..u.len() {
                    whole[(b, a)] *= -rise[a] * rise[b];
                }
                whole[(a, a)] += rise[a] * rise[a] * precision + 1.0 - rise[a];
            }
            by_values(&mut complete, bands, |a, b| rise[a] * rise[b]);
            (with(&whole, 1.0, &complete), complete)
        });
        if self.known.brightness.is_some() {
            let whole = parts.as_mut().map(|(whole, _)| whole);
            hold_sizes(bands, &c, &rise, &mut slope, whole);
        }
        let of_matrix = parts.as_ref().map(|(whole, _)| whole.as_slice()).unwrap_or_default();
        if slope.iter().chain(of_matrix).any(|x| !x.is_finite()) {
            return Err(not_finite());
        }
        Ok(Looked { density, slope, parts })
    }

    /// The factor of a curvature. In some directions nearly all is lost of what would be known if
    /// the amounts were, and the rest is a difference of sums over draws. So that it is known to
    /// half of itself, a share of the complete term is added where it must be; at least
    /// [`LEAST_KNOWN`] of that term is then left in every direction.
    ///
    /// It is the least that suffices, from that of `level` on.
    pub(super) fn bend(
        &self,
        (whole, complete): (DMatrix<f64>, Vec<f64>),
        rise: Vec<f64>,
        level: i32,
    ) -> Result<Bend> {
        let mut level = level.max(0);
        loop {
            let added = share_added(level);
            // Far from a fit residuals are larger than the noise, and more can seem lost than
            // known.
            if added > MOST_ADDED {
                return Err(not_finite());
            }
            let less = with(&whole, added - (0.5 * added).max(LEAST_KNOWN), &complete);
            if self.cholesky(less)?.is_some() {
                break;
            }
            level += 1;
        }
        let added = with(&whole, share_added(level), &complete);
        let factor = self.cholesky(added)?.ok_or_else(not_finite)?;
        Ok(Bend { whole, complete, factor, rise, level })
    }
}

/// What is added of the complete term, as a share of it.
fn share_added(level: i32) -> f64 {
    if level <= 0 { 0.0 } else { LEAST_KNOWN * 3f64.powi(level - 1) }
}

/// Takes values that lie at zero, and would lie far below, for themselves. The others see them at
/// zero, where they are, and not at the mean of a normal that is not cut off.
pub(super) fn part_bound(
    bands: usize,
    slope: &DVector<f64>,
    whole: &mut DMatrix<f64>,
    complete: &mut [f64],
) {
    let bound: Vec<bool> =
        (0..slope.len()).map(|a| slope[a] < -BOUND * whole[(a, a)].max(0.0).sqrt()).collect();
    for a in (0..slope.len()).filter(|&a| bound[a]) {
        let own = whole[(a, a)];
        whole.row_mut(a).fill(0.0);
        whole.column_mut(a).fill(0.0);
        whole[(a, a)] = own;
    }
    let alone = |a: usize, b: usize| a != b && (bound[a] || bound[b]);
    by_values(complete, bands, |a, b| if alone(a, b) { 0.0 } else { 1.0 });
}

/// By how much each c rises with its u.
fn rises(u: &[f64]) -> Vec<f64> {
    u.iter().map(|&u| sigmoid(u)).collect()
}

/// What is known of each band, (K, K, L), times what two values, numbered as in (K, L), ask for.
fn by_values(complete: &mut [f64], bands: usize, times: impl Fn(usize, usize) -> f64) {
    let k = (complete.len() / bands.max(1)).isqrt().max(1);
    for (at, x) in complete.iter_mut().enumerate() {
        let (i, j, l) = (at / (k * bands), at / bands % k, at % bands);
        *x *= times(i * bands + l, j * bands + l);
    }
}

/// A matrix with a share of what is known of each band, (K, K, L).
pub(super) fn with(matrix: &DMatrix<f64>, share: f64, complete: &[f64]) -> DMatrix<f64> {
    // K L rows, and K K L values.
    let size = matrix.nrows();
    let k = (complete.len() / size.max(1)).max(1);
    let bands = (size / k).max(1);
    let mut sum = matrix.clone();
    for (at, x) in complete.iter().enumerate() {
        let (i, j, l) = (at / (k * bands), at / bands % k, at % bands);
        sum[(i * bands + l, j * bands + l)] += share * x;
    }
    sum
}

/// Keeps the size of each spectrum where the guide has it. With brightness the data do not tell it,
/// as twice c_k with half of u_k is the same mixture: the two terms of equation 32 cancel along it
/// but for the noise of the draws. What is reported is in relation to peaks, where sizes go out.
pub(super) fn hold_sizes(
    bands: usize,
    c: &[f64],
    rise: &[f64],
    slope: &mut DVector<f64>,
    mut curvature: Option<&mut DMatrix<f64>>,
) {
    for (k, c) in c.chunks_exact(bands).enumerate() {
        let square: f64 = c.iter().map(|c| c * c).sum();
        let rise = &rise[k * bands..];
        // Relative change of size with each latent.
        let rho: Vec<f64> = c.iter().zip(rise).map(|(c, rise)| c * rise / square).collect();
        let along: f64 =
            (0..bands).map(|l| slope[k * bands + l] * c[l] / rise[l].max(f64::MIN_POSITIVE)).sum();
        for a in 0..bands {
            slope[k * bands + a] -= rho[a] * along;
            if let Some(curvature) = &mut curvature {
                for b in 0..bands {
                    curvature[(k * bands + b, k * bands + a)] += rho[a] * rho[b] / SIZE_SD.powi(2);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_bound_at_zero_do_not_move_those_they_correlate_with() {
        // Two endmembers in one band.
        let precision = || DMatrix::from_row_slice(2, 2, &[1e4, 9e3, 9e3, 1e4]);
        let slope = |first: f64| DVector::from_vec(vec![first, 0.0]);
        let parted = |first: f64| {
            let (mut whole, mut complete) = (precision(), vec![1e4, 9e3, 9e3, 1e4]);
            part_bound(1, &slope(first), &mut whole, &mut complete);
            (whole, complete)
        };
        // A mean 10 sds below.
        let (whole, complete) = parted(-1000.0);
        assert_eq!(whole, DMatrix::from_row_slice(2, 2, &[1e4, 0.0, 0.0, 1e4]));
        assert_eq!(complete, [1e4, 0.0, 0.0, 1e4]);
        // One sd.
        assert_eq!(parted(-100.0), (precision(), vec![1e4, 9e3, 9e3, 1e4]));
    }
}
