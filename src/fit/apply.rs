//! Abundances of another scene under the scene posterior of a fit.

use super::{Fit, Record};
use crate::engine::ground::clock::Instant;
use crate::engine::ground::error::{Error, Result};
use crate::engine::model::{Held, Model};
use crate::engine::pixels::Pixels;
use crate::engine::svi::Stop;
use crate::posterior::Posterior;
use crate::posterior::nested::{Nested, SceneNormal};
use crate::scene::{Cube, Scene};
use crate::settings::PosteriorKind;

/// Wavelengths closer than this are one band, nanometres.
const SAME_BAND_NM: f64 = 1.0;
/// The widest gap between two bands of the other scene that a band between them is interpolated
/// over, nanometres: about three bands of an imaging spectrometer.
const WIDEST_GAP_NM: f64 = 30.0;

impl Fit {
    /// Abundances of another scene, date or tile, given what this fit says of spectra, noise,
    /// variability and mean abundance: each pixel gets its own posterior by weighted draws
    /// ([`crate::posterior::nested`]). Bands are matched by wavelength, and interpolated where the
    /// other scene's lie beside them; without wavelengths by their place in the file. Endmembers
    /// are in the order of this fit's.
    ///
    /// # Errors
    ///
    /// [`Error::Scene`] when the other scene lacks a band of this fit's, or holds a value that is
    /// not finite; [`Error::Setting`] for a fit with a noise covariance, whose pixels have no such
    /// draws.
    pub fn apply(&self, scene: &Scene) -> Result<Fit> {
        self.apply_until(scene, &|| false)
    }

    /// [`Fit::apply`], ended when `interrupted` says so.
    ///
    /// # Errors
    ///
    /// The errors of [`Fit::apply`], and [`Error::Interrupted`] where it was ended.
    pub fn apply_until(
        &self,
        scene: &Scene,
        interrupted: &(dyn Fn() -> bool + Sync),
    ) -> Result<Fit> {
        let begin = Instant::now();
        let pixels = Pixels::of(&at_bands_of(&self.scene, scene)?);
        // Spectra are given now, whatever they were to the fit.
        let model = Model { held: Held::SpectraAndVariability, ..self.record.model.clone() };
        let normal = match &self.scene_normal {
            Some(normal) => normal.clone(),
            None => SceneNormal::of_guide(&self.guide),
        };
        let nested = Nested::given(&self.guide, &pixels, &normal)?;
        let drawn = Posterior::nested(&nested, self.convention(), interrupted);
        let posterior = drawn.ok_or(Error::Interrupted)?;
        let record = Record {
            model,
            posterior: PosteriorKind::Exact,
            start: format!("the scene posterior of a fit of {}", self.scene.name()),
            trace: Vec::new(),
            stop: Stop::Ceiling,
            skipped: 0,
            interrupted: false,
            order: (0..self.k()).collect(),
            seconds: vec![("apply".into(), begin.elapsed().as_secs_f64())],
            ..self.record.clone()
        };
        let parts = scene.clone().into_parts();
        let bands = self.scene.bands().to_vec();
        let cube = std::sync::Arc::new(Cube::zeros(0, bands.len()));
        let scene = Scene::new(crate::scene::SceneParts { bands, cube, ..parts })?;
        let scene = scene.without_spectra();
        let (guide, found) = (self.guide.clone(), None);
        let scene_normal = Some(normal);
        let fit = Fit { scene, guide, posterior, record, scene_normal, drawn: None, found };
        fit.in_order(&self.record.order)
    }
}

/// The spectra of `scene` at the bands of `own`.
fn at_bands_of(own: &Scene, scene: &Scene) -> Result<Cube> {
    let taken = own.bands().iter().map(|band| source_of(own, scene, band)).collect::<Option<_>>();
    let Some(taken): Option<Vec<(usize, usize, f32)>> = taken else {
        let missing: Vec<String> = own
            .bands()
            .iter()
            .filter(|band| source_of(own, scene, band).is_none())
            .map(|band| match band.wavelength {
                Some(nm) => format!("{nm:.0} nm"),
                None => format!("number {}", band.index + 1),
            })
            .collect();
        return Err(Error::Scene(format!(
            "{}: {} of the fit's {} bands are missing here ({}{}); give a scene that has them",
            scene.name(),
            missing.len(),
            own.bands().len(),
            missing.iter().take(5).cloned().collect::<Vec<_>>().join(", "),
            if missing.len() > 5 { ", ..." } else { "" }
        )));
    };
    let from = scene.cube();
    let mut cube = Cube::zeros(from.pixels(), own.bands().len());
    for pixel in 0..from.pixels() {
        let spectrum = from.spectrum(pixel);
        for (to, &(low, high, share)) in cube.spectrum_mut(pixel).iter_mut().zip(&taken) {
            *to = spectrum[low] + share * (spectrum[high] - spectrum[low]);
        }
    }
    Ok(cube)
}

/// The two bands of `scene` that a band of `own` lies between, and the share of the second; none
/// where they are too far from it.
fn source_of(own: &Scene, scene: &Scene, band: &crate::scene::Band) -> Option<(usize, usize, f32)> {
    let known = scene.bands().iter().all(|band| band.wavelength.is_some());
    let Some(nm) = band.wavelength.filter(|_| known) else {
        // Without wavelengths files with as many bands are taken to have the same ones.
        let same = own.file_bands() == scene.file_bands();
        let at = scene.bands().iter().position(|other| other.index == band.index);
        return at.filter(|_| same).map(|at| (at, at, 0.0));
    };
    let at = |i: usize| scene.bands()[i].wavelength.unwrap_or(f64::NAN);
    let all = 0..scene.bands().len();
    let nearest = all.clone().min_by(|&a, &b| (at(a) - nm).abs().total_cmp(&(at(b) - nm).abs()))?;
    if (at(nearest) - nm).abs() <= SAME_BAND_NM {
        return Some((nearest, nearest, 0.0));
    }
    let below = all.clone().filter(|&i| at(i) < nm).max_by(|&a, &b| at(a).total_cmp(&at(b)))?;
    let above = all.filter(|&i| at(i) > nm).min_by(|&a, &b| at(a).total_cmp(&at(b)))?;
    let gap = at(above) - at(below);
    (gap <= WIDEST_GAP_NM).then(|| (below, above, ((nm - at(below)) / gap) as f32))
}
