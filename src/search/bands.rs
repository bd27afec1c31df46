//! A search on merged bands. Bands far beyond what tells materials apart make each of its ten
//! thousand steps dearer and no choice better. So runs of neighbouring bands count as one there, by
//! their mean: the mean of a mixture is the mixture of the means. What was found has all bands
//! again.

use std::sync::Arc;

use nalgebra::DMatrix;
use ndarray::{Array2, Axis, Zip};

use super::judge::Fitted;
use crate::engine::model::Model;
use crate::engine::pixels::{Cube, Pixels};
use crate::statistics::moments::pixels_times;

/// Bands of a search, at most: imaging spectrometers have some 430, so that their scenes are
/// searched as they are.
pub const MOST_BANDS: usize = 512;

/// Bands of a search where more than [`MOST_BANDS`] are merged, at most: spectra so fine are
/// smooth, and the search's steps are most of the time that a small scene of theirs takes.
const MERGED_BANDS: usize = 256;

/// How much spectra with merged bands count beside the pixels, when spectra with all bands are
/// fitted: enough for an endmember that no pixel has, and too little to be seen otherwise.
const TRUST: f64 = 1e-6;

/// What the search looks at.
pub(super) struct Seen {
    /// All bands.
    whole: Pixels,
    /// The same pixels with merged bands.
    pub pixels: Pixels,
    /// Bands that make one.
    every: usize,
}

impl Seen {
    /// The pixels as they are, or with bands merged where there are more than [`MOST_BANDS`]; for
    /// `k` endmembers at least 2 k bands are left.
    pub fn new(whole: Pixels, k: usize) -> Self {
        let many = whole.bands() > MOST_BANDS.max(2 * k);
        let every = if many { whole.bands().div_ceil(MERGED_BANDS.max(2 * k)) } else { 1 };
        let merged = (every > 1).then(|| whole.with_cube(merged(whole.cube(), every)));
        Seen { pixels: merged.unwrap_or_else(|| whole.clone()), whole, every }
    }

    /// Whether these are all pixels of the scene.
    pub fn is_all_of(&self, pixels: &Pixels) -> bool {
        self.whole.same(pixels)
    }

    /// Whether bands were merged.
    pub fn is_merged(&self) -> bool {
        self.every > 1
    }

    /// A model of these pixels as one of merged bands: as much evidence, in fewer bands.
    pub fn model(&self, model: &Model) -> Model {
        let more = self.whole.bands() as f64 / self.pixels.bands() as f64;
        let likelihood_weight = (model.likelihood_weight * more).min(1.0);
        Model { likelihood_weight, ..model.clone() }
    }

    /// Spectra in all bands, (K, L), in those that the search looks at.
    pub fn of_merged_bands(&self, spectra: &Array2<f64>) -> Array2<f64> {
        let bands = spectra.axis_chunks_iter(Axis(1), self.every);
        let mut merged = Array2::zeros((spectra.nrows(), bands.len()));
        for (run, mut to) in bands.zip(merged.columns_mut()) {
            to.assign(&(run.sum_axis(Axis(1)) / run.ncols() as f64));
        }
        merged
    }

    /// Spectra of a solution in all bands, (K, L): those that explain the pixels best together with
    /// its abundances.
    pub fn in_all_bands(&self, fitted: &Fitted) -> Array2<f64> {
        if !self.is_merged() {
            return fitted.endmembers.clone();
        }
        let (k, bands) = (fitted.endmembers.nrows(), self.whole.bands());
        let rough =
            Array2::from_shape_fn((k, bands), |(k, l)| fitted.endmembers[[k, l / self.every]]);
        let in_order = Pixels::as_given(Arc::clone(self.pixels.cube()));
        let Some(means) = fitted.means(&in_order) else { return rough };
        let mut amounts = means.abundances.mapv(f64::from);
        if let Some(brightness) = &means.brightness {
            let bright = brightness.iter();
            amounts.rows_mut().into_iter().zip(bright).for_each(|(mut a, &b)| a *= f64::from(b));
        }
        let gram = amounts.t().dot(&amounts);
        let open = pixels_times(self.whole.cube(), amounts.view()).reversed_axes();
        let open = open - gram.dot(&rough);
        let trust = TRUST * gram.diag().sum() / k as f64;
        let system = DMatrix::from_fn(k, k, |i, j| gram[[i, j]] + if i == j { trust } else { 0.0 });
        let Some(factor) = system.cholesky() else { return rough };
        let change = factor.solve(&DMatrix::from_fn(k, bands, |i, l| open[[i, l]]));
        let mut better = rough;
        Zip::indexed(&mut better).for_each(|(i, l), c| *c = (*c + change[(i, l)]).max(0.0));
        better
    }
}

/// The cube with the mean of each run of `every` bands as a band.
fn merged(from: &Cube, every: usize) -> Cube {
    let mut cube = Cube::zeros(from.pixels(), from.bands().div_ceil(every));
    for n in 0..from.pixels() {
        let runs = from.spectrum(n).chunks(every);
        cube.spectrum_mut(n).iter_mut().zip(runs).for_each(|(to, run)| {
            let sum: f64 = run.iter().map(|&y| f64::from(y)).sum();
            *to = (sum / run.len() as f64) as f32;
        });
    }
    cube
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Smooth but for what changes from band to band.
    fn spectrum(k: usize, l: usize) -> f64 {
        let fine = if l.is_multiple_of(2) { 0.05 } else { -0.05 };
        0.3 + 0.2 * ((k + 1) as f64 * l as f64 * 0.003).sin() + (0.2 + k as f64) * fine
    }

    /// Pixels between two endmembers, from one to the other.
    fn mixed(count: usize, bands: usize) -> Cube {
        let mut cube = Cube::zeros(count, bands);
        for n in 0..count {
            let share = n as f64 / (count - 1) as f64;
            for (l, y) in cube.spectrum_mut(n).iter_mut().enumerate() {
                *y = (share * spectrum(0, l) + (1.0 - share) * spectrum(1, l)) as f32;
            }
        }
        cube
    }

    #[test]
    fn scenes_of_sensors_stay_as_they_are_and_others_have_their_means() {
        let whole = Pixels::of(&mixed(4, MOST_BANDS));
        let seen = Seen::new(whole.clone(), 2);
        assert!(!seen.is_merged() && seen.pixels.same(&whole));
        assert_eq!(seen.model(&Model::new(2)), Model::new(2));

        // 1,098 bands in runs of five; the last run has three.
        let seen = Seen::new(Pixels::as_given(mixed(4, 1098)), 2);
        assert_eq!(seen.pixels.bands(), 220);
        let (from, to) = (seen.whole.cube().spectrum(1), seen.pixels.cube().spectrum(1));
        let mean = |of: &[f32]| of.iter().sum::<f32>() / of.len() as f32;
        assert!((to[2] - mean(&from[10..15])).abs() < 1e-6);
        assert!((to[219] - mean(&from[1095..])).abs() < 1e-6);
        // 21.96 of 1,098 bands count, then as many of 220; never more than there are.
        let model = Model { likelihood_weight: 0.02, ..Model::new(2) };
        assert!((seen.model(&model).likelihood_weight * 220.0 - 21.96).abs() < 1e-9);
        assert_eq!(seen.model(&Model::new(2)).likelihood_weight, 1.0);
    }

    #[test]
    fn what_was_found_has_all_bands_again() {
        let seen = Seen::new(Pixels::as_given(mixed(40, 1100)), 2);
        let bands = seen.pixels.bands();
        // Spectra of merged bands, with the guide around them: its abundances are right.
        let ends = Array2::from_shape_fn((2, bands), |(k, l)| {
            f64::from(seen.pixels.cube().spectrum(if k == 0 { 39 } else { 0 })[l])
        });
        let model = Model { variability: None, ..seen.model(&Model::new(2)) };
        let fit = crate::engine::svi::Settings::default();
        let guide = crate::starts::begin(&model, &fit, &seen.pixels, ends.clone()).unwrap();
        let farthest = |spectra: &Array2<f64>| {
            let off = spectra.indexed_iter().map(|((k, l), c)| (c - spectrum(k, l)).abs());
            off.fold(0.0, f64::max)
        };
        let seen_ends = ends.clone();
        let rough = seen.in_all_bands(&Fitted::of(ends.clone(), seen.pixels.clone(), None));
        assert_eq!(rough.dim(), (2, 1100));
        // Runs of spectra that are alike within a run have their value again.
        let again = seen.of_merged_bands(&rough);
        assert!(again.iter().zip(&seen_ends).all(|(a, b)| (a - b).abs() < 1e-12));
        let better = seen.in_all_bands(&Fitted::of(ends, seen.pixels.clone(), Some(guide)));
        // Means of five bands do not have what changes from band to band; means of a guide's
        // abundances are some thousandths off the corners.
        let (before, after) = (farthest(&rough), farthest(&better));
        assert!(before > 0.04 && after < 0.005, "{before} {after}");
    }
}
