//! Where a fit begins without a search: spectra that were given, or found by geometry.

use std::sync::Arc;

use super::{Unmixing, chosen};
use crate::engine::ground::error::Result;
use crate::engine::ground::interrupt::{Interrupted, unless};
use crate::engine::model::Model;
use crate::engine::pixels::Pixels;
use crate::scene::Scene;
use crate::starts::{self, Init, Start};

/// Pixels that are looked at, about, for a start when there is no time for one.
const GLANCE: usize = 500;

/// The start that was asked for, and which spectra it took where more were given.
pub(super) fn given(
    of: &Unmixing,
    init: Init,
    scene: &Scene,
    pixels: &Pixels,
    model: &Model,
) -> Result<(Start, Option<Vec<usize>>)> {
    let stop = || of.is_interrupted();
    let (k, bright, seed) = (model.endmembers, model.brightness.is_some(), of.svi.seed);
    let shared = scene.clone();
    let (init, taken) = unless(&stop, move |_| chosen(init, shared.cube(), k, seed))?;
    let taken = of.tell_taken(taken);
    let cube = Arc::clone(pixels.cube());
    let start = move |_: Interrupted| starts::start(&cube, k, &init, bright, seed);
    Ok((unless(&stop, start)?, taken))
}

/// As [`given`] for a fit that is stopped before it has its start: from a few pixels, within
/// milliseconds, whatever the scene. Spectra that were given stay what they are.
pub(super) fn hurried(
    of: &Unmixing,
    init: Init,
    pixels: &Pixels,
    model: &Model,
) -> Result<(Start, Option<Vec<usize>>)> {
    let (k, bright, seed) = (model.endmembers, model.brightness.is_some(), of.svi.seed);
    // A part may have half as many as it is asked for.
    let few = pixels.part(GLANCE.max(2 * k));
    let (init, taken) = match init {
        Init::Spectra(_) => chosen(init, few.cube(), k, seed)?,
        _ => (Init::Vca, None),
    };
    let start = starts::start(few.cube(), k, &init, bright, seed)?;
    let seen = few.count();
    let description = format!("in a hurry, from {seen} pixels: {}", start.description);
    Ok((Start { description, ..start }, of.tell_taken(taken)))
}
