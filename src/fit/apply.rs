//! Abundances of another scene under the scene posterior of a fit.

use std::sync::{Arc, Mutex};

use super::{Fit, Record};
use crate::engine::backend::{Device, DeviceInfo, device::cpu};
use crate::engine::ground::clock::Instant;
use crate::engine::ground::error::{Error, Result};
use crate::engine::model::{Held, Model};
use crate::engine::pixels::Pixels;
use crate::engine::svi::Stop;
use crate::engine::wait::block_on;
use crate::posterior::nested::{Nested, SceneNormal};
use crate::posterior::{OfScene, Posterior};
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
    /// are in the order of this fit's. The CPU computes it; [`Fit::apply_on`] has other devices.
    ///
    /// # Errors
    ///
    /// [`Error::Scene`] when the other scene lacks a band of this fit's, or holds a value that is
    /// not finite; [`Error::Setting`] for a fit with a noise covariance, whose pixels have no such
    /// draws.
    pub fn apply(&self, scene: &Scene) -> Result<Fit> {
        self.apply_on(scene, &Arc::new(Device::cpu()), &|| false)
    }

    /// [`Fit::apply`] on a device, ended when `interrupted` says so. What has no kernels there
    /// (software adapters, spectra that vary along shapes that bands share) the CPU computes; the
    /// record has the device that did.
    ///
    /// # Errors
    ///
    /// The errors of [`Fit::apply`], and [`Error::Interrupted`] where it was ended.
    pub fn apply_on(
        &self,
        scene: &Scene,
        device: &Arc<Device>,
        interrupted: &(dyn Fn() -> bool + Sync),
    ) -> Result<Fit> {
        let begin = Instant::now();
        let pass = self.pass(scene)?.on(Arc::clone(device));
        let posterior = pass.of(scene.shared_cube(), interrupted)?;
        pass.fit(scene.clone(), posterior, begin.elapsed().as_secs_f64())
    }

    /// What it takes to give pixels of another scene their posteriors, block by block: of the scene
    /// only its bands are looked at.
    ///
    /// # Errors
    ///
    /// The errors of [`Fit::apply`].
    pub fn pass(&self, scene: &Scene) -> Result<Pass<'_>> {
        let bands = bands_at(&self.scene, scene)?;
        let normal = match &self.scene_normal {
            Some(normal) => normal.clone(),
            None => SceneNormal::of_guide(&self.guide),
        };
        let none = Pixels::as_given(Cube::zeros(0, self.scene.bands().len()));
        let nested = Nested::given(&self.guide, &none, &normal)?;
        let draws = OfScene::new(&nested, self.convention());
        Ok(Pass {
            fit: self,
            bands,
            nested,
            draws,
            scene_bands: scene.bands().len(),
            device: None,
            given_up: Mutex::default(),
        })
    }
}

/// The scene's part of a fit, ready for pixels, from [`Fit::pass`].
pub struct Pass<'a> {
    fit: &'a Fit,
    /// For each band of the fit the two of the other scene that it lies between, and the share of
    /// the second.
    bands: Vec<(usize, usize, f32)>,
    nested: Nested<'a>,
    draws: OfScene,
    scene_bands: usize,
    /// Where pixels are computed; none: on the CPU.
    device: Option<Arc<Device>>,
    given_up: Mutex<Option<String>>,
}

impl Pass<'_> {
    /// Computes pixels on a device. Where it cannot, or is lost, the CPU does it
    /// ([`Pass::given_up`]).
    pub fn on(self, device: Arc<Device>) -> Self {
        Pass { device: Some(device), ..self }
    }

    /// Why the device was given up; none where it was not.
    pub fn given_up(&self) -> Option<String> {
        self.given_up.lock().ok().and_then(|reason| reason.clone())
    }

    /// The device that computes pixels, as far as is known by now, and why.
    pub fn computed_on(&self) -> DeviceInfo {
        let Some(device) = &self.device else {
            let of_fit = &self.fit.record.device;
            return if of_fit.backend == "cpu" { of_fit.clone() } else { Device::cpu().info };
        };
        let leaves = || Posterior::leaves_to_cpu(device, &self.nested).map(str::to_owned);
        match self.given_up().or_else(leaves) {
            Some(reason) => cpu(&format!("{}: {reason}", device.info.name)).info,
            None => device.info.clone(),
        }
    }

    /// Bands of the scene whose pixels it takes.
    pub fn bands(&self) -> usize {
        self.scene_bands
    }

    /// Posteriors of some pixels, in their order. Whatever they come with, each has the same.
    ///
    /// # Errors
    ///
    /// [`Error::Interrupted`].
    pub fn of(
        &self,
        cube: &Arc<Cube>,
        interrupted: &(dyn Fn() -> bool + Sync),
    ) -> Result<Posterior> {
        let same = self.bands.iter().enumerate().all(|(i, &(low, high, _))| low == i && high == i);
        let pixels = match same && cube.bands() == self.bands.len() {
            true => Pixels::as_given(Arc::clone(cube)),
            false => Pixels::as_given(self.at_bands(cube)),
        };
        let nested = self.nested.on(&pixels);
        let posterior = match &self.device {
            Some(device) if self.given_up().is_none() => {
                let on = Posterior::nested_in_on(&self.draws, &nested, device, interrupted);
                match block_on(on) {
                    Err(error @ (Error::Device(_) | Error::DeviceLost(_))) => {
                        if let Ok(mut given_up) = self.given_up.lock() {
                            *given_up = Some(error.to_string());
                        }
                        Posterior::nested_in(&self.draws, &nested, interrupted)
                    }
                    found => found?,
                }
            }
            _ => Posterior::nested_in(&self.draws, &nested, interrupted),
        };
        Ok(posterior.ok_or(Error::Interrupted)?.in_order(&self.fit.record.order))
    }

    /// The spectra of a cube at the bands of the fit.
    fn at_bands(&self, from: &Cube) -> Cube {
        let mut cube = Cube::zeros(from.pixels(), self.bands.len());
        for pixel in 0..from.pixels() {
            let spectrum = from.spectrum(pixel);
            for (to, &(low, high, share)) in cube.spectrum_mut(pixel).iter_mut().zip(&self.bands) {
                *to = spectrum[low] + share * (spectrum[high] - spectrum[low]);
            }
        }
        cube
    }

    /// The fit of a scene whose pixels have this posterior, in `seconds`; the scene's own spectra
    /// are let go.
    ///
    /// # Errors
    ///
    /// [`Error::Scene`] when sizes do not agree.
    pub fn fit(&self, scene: Scene, posterior: Posterior, seconds: f64) -> Result<Fit> {
        let fit = self.fit;
        // Spectra are given now, whatever they were to the fit.
        let model = Model { held: Held::SpectraAndVariability, ..fit.record.model.clone() };
        let record = Record {
            model,
            device: self.computed_on(),
            posterior: PosteriorKind::Exact,
            start: format!("the scene posterior of a fit of {}", fit.scene.name()),
            trace: Vec::new(),
            stop: Stop::Ceiling,
            skipped: 0,
            interrupted: false,
            nonlinear: None,
            brightness_left: None,
            outliers: None,
            seconds: vec![("apply".into(), seconds)],
            ..fit.record.clone()
        };
        let parts = scene.into_parts();
        let bands = fit.scene.bands().to_vec();
        let cube = Arc::new(Cube::zeros(0, bands.len()));
        let scene = Scene::new(crate::scene::SceneParts { bands, cube, ..parts })?;
        Ok(Fit {
            scene,
            guide: fit.guide.clone(),
            posterior,
            record,
            scene_normal: Some(self.nested.scene()),
            drawn: None,
            found: None,
        })
    }
}

/// For each band of `own` the two bands of `scene` that it lies between, and the share of the
/// second.
fn bands_at(own: &Scene, scene: &Scene) -> Result<Vec<(usize, usize, f32)>> {
    let found = |band| source_of(own, scene, band);
    if let Some(taken) = own.bands().iter().map(found).collect() {
        return Ok(taken);
    }
    let missing: Vec<String> = own
        .bands()
        .iter()
        .filter(|band| source_of(own, scene, band).is_none())
        .map(|band| match band.wavelength {
            Some(nm) => format!("{nm:.0} nm"),
            None => format!("number {}", band.index + 1),
        })
        .collect();
    Err(Error::Scene(format!(
        "{}: {} of the fit's {} bands are missing here ({}{}); give a scene that has them",
        scene.name(),
        missing.len(),
        own.bands().len(),
        missing.iter().take(5).cloned().collect::<Vec<_>>().join(", "),
        if missing.len() > 5 { ", ..." } else { "" }
    )))
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
