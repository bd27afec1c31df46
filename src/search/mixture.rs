//! Whether many pixels share one mixture: decided by evidence, once a fit has ended that no search
//! has begun.
//!
//! Two Dirichlets describe abundances of any kind better than one, if only by a little, and what
//! they take up is no longer left open by the spectra: where nothing is shared, intervals with a
//! common mixture are too narrow (docs/evidence.md). So it has to be ahead by more than that.

use crate::engine::backend::Device;
use crate::engine::ground::error::{Error, Result};
use crate::engine::guide::Guide;
use crate::engine::model::Model;
use crate::engine::pixels::Pixels;
use crate::engine::svi;
use crate::posterior::nested;
use crate::starts;

/// What a common mixture must gain in evidence, nats a pixel: 4 to 9 in simulated scenes that have
/// one, 0 to 0.8 in others (docs/evidence.md).
pub const GAIN: f64 = 1.0;
/// Steps of the fit without one, from the spectra of the fit with it, and no more than that had.
const STEPS: u32 = 1000;

/// What was decided.
pub struct Decided {
    /// By how much the fit with a common mixture is ahead in evidence, nats a pixel.
    pub gain: f64,
    /// The guide of the fit without one, where that is too little.
    pub without: Option<Guide>,
}

/// Compares a fit that has a common mixture with one that has none. None where there is nothing to
/// compare, or when interrupted.
///
/// # Errors
///
/// What ends all fits, as a device that is lost.
pub async fn decide(
    guide: &Guide,
    learned: &Pixels,
    device: &Device,
    settings: &svi::Settings,
    interrupted: &(dyn Fn() -> bool + Sync),
) -> Result<Option<Decided>> {
    if guide.model.common.is_none() || interrupted() {
        return Ok(None);
    }
    let model = Model { common: None, ..guide.model.clone() };
    let steps = STEPS.min(settings.steps);
    let settings = svi::Settings { steps, early_stop: false, warm: false, ..settings.clone() };
    let plain = starts::begin(&model, &settings, learned, guide.medians())?;
    let fitted = svi::fit(device, &settings, learned, plain, &mut |_| (), interrupted).await;
    let plain = match fitted {
        // Without one there is no fit.
        Err(Error::Fit(_)) => return Ok(None),
        fitted => fitted?.guide,
    };
    let evidence = |of: &Guide| nested::evidence(of, learned, interrupted);
    let (Some(with), Some(without)) = (evidence(guide)?, evidence(&plain)?) else {
        return Ok(None);
    };
    let gain = with - without;
    Ok(Some(Decided { gain, without: (gain <= GAIN).then_some(plain) }))
}
