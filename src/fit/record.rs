//! How a result came about.

use serde::{Deserialize, Serialize};

use crate::engine::backend::DeviceInfo;
use crate::engine::model::Model;
use crate::engine::svi::{HeldCube, Settings, Stop, median_of_last};
use crate::settings::{PosteriorKind, Spectra};

/// Settings as used, and what happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The model, with the weight of its likelihood.
    pub model: Model,
    /// How it was fitted, the seed included.
    pub svi: Settings,
    /// How spectra were found.
    pub spectra: Spectra,
    /// Which posterior is reported.
    pub posterior: PosteriorKind,
    /// Bands that counted as independent evidence, 1 to L.
    pub effective_bands: f64,
    /// Where the fit began, as a phrase.
    pub start: String,
    /// The device that it ran on.
    pub device: DeviceInfo,
    /// How the device held the spectra; none where floats of 16 bits were not asked for.
    #[serde(default)]
    pub held: Option<HeldCube>,
    /// ELBO a pixel of every step, nats, all constants included.
    pub trace: Vec<f64>,
    /// Why it ended.
    pub stop: Stop,
    /// Steps that were not finite and changed nothing.
    pub skipped: u32,
    /// Whether it was stopped before it was done.
    pub interrupted: bool,
    /// ELBO a pixel of the fit that found the spectra first, nats; none where there was none.
    pub elbo_with_brightness: Option<f64>,
    /// The spectra that the fit began from, counted from 0, where more were given than endmembers;
    /// none where all were taken.
    pub library: Option<Vec<usize>>,
    /// Places `row * cols + col` in the image, ascending, of pixels unlike all others among those
    /// that the scene was learned from ([`crate::statistics::outliers`]). It was learned without
    /// them, but for more than one pixel in twenty. None where nobody looked for them.
    #[serde(default)]
    pub outliers: Option<Vec<u32>>,
    /// For each endmember, in the order that they have now, its number in the guide, counted from
    /// 0, (K).
    pub order: Vec<usize>,
    /// The share of what the fit leaves that products of two amounts explain, 0 to 1: 0 where
    /// spectra mix linearly. None where there are too few pixels, or too many endmembers, to tell.
    #[serde(default)]
    pub nonlinear: Option<f64>,
    /// How far the brightness of pixels is spread, as the sd of its log, that a fit without
    /// brightness leaves ([`crate::statistics::shade`]). None where that is no more than noise
    /// would make, and where bands err together or the model has a brightness.
    #[serde(default)]
    pub brightness_left: Option<f64>,
    /// Seconds that the stages took, in order.
    pub seconds: Vec<(String, f64)>,
}

impl Record {
    /// Median ELBO a pixel over the last steps, nats; none when no step was finite.
    pub fn elbo(&self) -> Option<f64> {
        median_of_last(&self.trace)
    }
}
