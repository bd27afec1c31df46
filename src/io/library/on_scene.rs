//! Spectra of a library on the bands of a scene.

use ndarray::{Array2, ArrayView1};

use super::Spectra;
use crate::engine::ground::error::{Error, Result};
use crate::scene::Scene;

/// Wavelengths closer than this are the same band.
const SAME_BAND_NM: f64 = 1.0;
/// How far beyond its ends a spectrum is continued at its last value: about one band of an imaging
/// spectrometer.
const BEYOND_NM: f64 = 10.0;

/// Spectra on the bands that a scene uses.
#[derive(Debug, Clone, PartialEq)]
pub struct OnScene {
    /// One name a spectrum, where the library gives them.
    pub names: Option<Vec<String>>,
    /// Reflectance, (K, L): finite.
    pub values: Array2<f64>,
    /// Which spectra were left out, and why, one sentence each.
    pub notes: Vec<String>,
}

impl Spectra {
    /// The spectra on the bands that `scene` uses, (K, L): finite reflectance.
    ///
    /// With as many bands as the scene's file, or as it uses, they are taken one by one, unless
    /// both know their wavelengths and these differ by more than 1 nm somewhere. Else, and for
    /// deleted channels, they are resampled in wavelength: as the mean under a band's response (a
    /// Gaussian) where the scene tells the widths of its bands and the spectrum has at least three
    /// channels within one, else linearly; and held up to 10 nm beyond the ends. Fails when the
    /// bands cannot be matched or the range of any spectrum does not cover the scene's.
    pub fn for_scene(&self, scene: &Scene) -> Result<Array2<f64>> {
        let (found, mut refused) = self.resampled(scene)?;
        match refused.is_empty() {
            true => Ok(found.values),
            false => Err(Error::Scene(refused.swap_remove(0))),
        }
    }

    /// As [`Spectra::for_scene`], but spectra that do not cover the scene are left out and noted.
    ///
    /// # Errors
    /// When the bands cannot be matched, or no spectrum is left.
    pub fn covering(&self, scene: &Scene) -> Result<OnScene> {
        let (mut found, mut refused) = self.resampled(scene)?;
        if found.values.nrows() == 0 && !refused.is_empty() {
            return Err(Error::Scene(refused.swap_remove(0)));
        }
        let out = refused.len();
        if let Some(first) = refused.into_iter().next() {
            let others =
                if out > 1 { format!(" So were {} others.", out - 1) } else { String::new() };
            found.notes.push(format!("Left out of the spectra given: {first}{others}"));
        }
        Ok(found)
    }

    /// The spectra that cover the scene, and a sentence for each that does not.
    fn resampled(&self, scene: &Scene) -> Result<(OnScene, Vec<String>)> {
        let bands = self.values.ncols();
        let places: Option<Vec<usize>> = if bands == scene.file_bands() {
            Some(scene.bands().iter().map(|b| b.index).collect())
        } else {
            (bands == scene.bands().len()).then(|| (0..bands).collect())
        };
        let wanted: Option<Vec<f64>> = scene.bands().iter().map(|b| b.wavelength).collect();
        let both = self.wavelengths.as_ref().zip(wanted);
        let agree = |places: &[usize]| {
            both.as_ref().is_none_or(|(own, wanted)| {
                places
                    .iter()
                    .zip(wanted)
                    .all(|(&p, w)| own.get(p).is_some_and(|o| (o - w).abs() <= SAME_BAND_NM))
            })
        };
        let places = places.filter(|p| agree(p));
        if places.is_none() && both.is_none() {
            return Err(Error::Scene(format!(
                "The spectra have {bands} bands, the scene {} of which it uses {}; to match them, \
                 both need wavelengths, and the {} has none.",
                scene.file_bands(),
                scene.bands().len(),
                if self.wavelengths.is_none() { "file of spectra" } else { "scene" }
            )));
        }
        let (mut kept, mut names, mut refused) = (Vec::new(), Vec::new(), Vec::new());
        for (k, spectrum) in self.values.rows().into_iter().enumerate() {
            let direct = places.as_ref().and_then(|places| at_places(spectrum, places));
            let resampled = || match &both {
                Some((own, wanted)) => resample(own, spectrum, wanted, scene),
                None => Err("has deleted channels, and without wavelengths in both the file of \
                             spectra and the scene they cannot be filled."
                    .to_owned()),
            };
            match direct.map_or_else(resampled, Ok) {
                Ok(row) => {
                    kept.extend(row);
                    names.push(self.names.as_ref().and_then(|n| n.get(k).cloned()));
                }
                Err(why) => refused.push(format!("The spectrum {} {why}", self.called(k))),
            }
        }
        let size = (names.len(), scene.bands().len());
        let values = Array2::from_shape_vec(size, kept)
            .map_err(|error| Error::Scene(format!("The spectra have no shape: {error}.")))?;
        Ok((OnScene { names: names.into_iter().collect(), values, notes: Vec::new() }, refused))
    }

    fn called(&self, k: usize) -> String {
        let name = self.names.as_ref().and_then(|n| n.get(k));
        name.map_or_else(|| format!("number {}", k + 1), |n| format!("`{n}`"))
    }
}

fn at_places(spectrum: ArrayView1<'_, f64>, places: &[usize]) -> Option<Vec<f64>> {
    let value = |&p: &usize| spectrum.get(p).copied().filter(|v| v.is_finite());
    places.iter().map(value).collect()
}

/// A spectrum at the wanted wavelengths, or the end of a sentence that says why not.
fn resample(
    own: &[f64],
    spectrum: ArrayView1<'_, f64>,
    wanted: &[f64],
    scene: &Scene,
) -> Result<Vec<f64>, String> {
    let mut points: Vec<(f64, f64)> =
        own.iter().copied().zip(spectrum.iter().copied()).filter(|p| p.1.is_finite()).collect();
    points.sort_by(|a, b| a.0.total_cmp(&b.0));
    points.dedup_by(|a, b| a.0 == b.0);
    let widths = scene.bands().iter().map(|b| b.fwhm);
    wanted
        .iter()
        .zip(widths)
        .map(|(&at, width)| {
            let mean = width.and_then(|width| under_response(&points, at, width));
            mean.or_else(|| interpolate(&points, at)).ok_or_else(|| {
                let range = points.first().zip(points.last());
                let range = range
                    .map_or("nothing".to_owned(), |(a, b)| format!("{:.1} to {:.1} nm", a.0, b.0));
                format!(
                    "covers {range}, but the scene uses a band at {at:.1} nm; give spectra that \
                     cover the scene, or drop the bands that they do not cover."
                )
            })
        })
        .collect()
}

/// The mean of the spectrum under a Gaussian response of this width at half of its maximum; `None`
/// where fewer than three channels lie within the width, or the spectrum ends within it.
fn under_response(points: &[(f64, f64)], at: f64, width: f64) -> Option<f64> {
    if !(width.is_finite() && width > 0.0) {
        return None;
    }
    let from = points.partition_point(|p| p.0 < at - 1.5 * width);
    let to = points.partition_point(|p| p.0 <= at + 1.5 * width);
    let near = points.get(from..to)?;
    let within = near.iter().filter(|p| (p.0 - at).abs() <= 0.5 * width).count();
    let (first, last) = (near.first()?, near.last()?);
    if within < 3 || first.0 > at - 0.5 * width || last.0 < at + 0.5 * width {
        return None;
    }
    let (mut sum, mut weights) = (0.0, 0.0);
    for (i, &(w, v)) in near.iter().enumerate() {
        // Each channel stands for the way to half of either neighbour.
        let before = i.checked_sub(1).and_then(|i| near.get(i)).map_or(w, |p| p.0);
        let after = near.get(i + 1).map_or(w, |p| p.0);
        let far = (w - at) / width;
        let weight = (-4.0 * std::f64::consts::LN_2 * far * far).exp() * (after - before);
        sum += weight * v;
        weights += weight;
    }
    (weights > 0.0).then(|| sum / weights)
}

/// The value at `at` on the line through `points`, which ascend; `None` too far beyond the ends.
fn interpolate(points: &[(f64, f64)], at: f64) -> Option<f64> {
    let next = points.partition_point(|p| p.0 < at);
    match (next.checked_sub(1).and_then(|i| points.get(i)), points.get(next)) {
        (Some(a), Some(b)) => Some(a.1 + (b.1 - a.1) * (at - a.0) / (b.0 - a.0)),
        (None, Some(end)) | (Some(end), None) => ((end.0 - at).abs() <= BEYOND_NM).then_some(end.1),
        (None, None) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_averages_what_a_line_would_miss() {
        // A narrow dip of 2 nm in channels of 1 nm, seen by a band of 10 nm.
        let points: Vec<(f64, f64)> = (0..200)
            .map(|i| 400.0 + f64::from(i))
            .map(|w| (w, if (w - 500.0).abs() <= 1.0 { 0.0 } else { 0.5 }))
            .collect();
        let seen = under_response(&points, 500.0, 10.0).unwrap();
        // Three channels of a Gaussian whose integral is 10.64 channels: 28 % of it.
        assert!((seen - 0.5 * (1.0 - 0.277)).abs() < 0.01, "{seen}");
        assert_eq!(interpolate(&points, 500.0), Some(0.0));
        // A straight line stays one.
        let line: Vec<(f64, f64)> =
            (0..200).map(|i| (400.0 + f64::from(i), f64::from(i))).collect();
        assert!((under_response(&line, 500.0, 10.0).unwrap() - 100.0).abs() < 1e-9);
        assert_eq!(under_response(&points, 500.0, 1.0), None);
        assert_eq!(under_response(&points, 401.0, 10.0), None);
    }
}
