//! Where a search begins.

use std::sync::{Arc, mpsc};

use ndarray::Array2;

use crate::engine::ground::error::{Error, Result};
use crate::engine::ground::interrupt::{Interrupted, unless};
use crate::engine::model::Model;
use crate::engine::pixels::Pixels;
use crate::starts::{Init, Proposal, each_family};

/// The families whose endmembers are corners of the smallest simplex around spectra, or around
/// their shapes.
pub const FACES: [Init; 2] = [Init::Simplex, Init::SimplexNormalised];

/// Up to `count` starts of the families that a search of this model takes; when interrupted, those
/// found by then.
pub fn starts_of(
    part: &Pixels,
    model: &Model,
    count: usize,
    seed: u64,
    interrupted: Interrupted,
) -> Result<Vec<Proposal>> {
    of_families(part, model, &families_of(model, part.bands()), (count, seed), interrupted)
}

/// Up to `count` starts of these families; when interrupted, those found by then.
pub fn of_families(
    part: &Pixels,
    model: &Model,
    families: &[Init],
    (count, seed): (usize, u64),
    interrupted: Interrupted,
) -> Result<Vec<Proposal>> {
    let (k, brightness) = (model.endmembers, model.brightness.is_some());
    let (tell, told) = mpsc::channel();
    let (cube, families) = (Arc::clone(part.cube()), families.to_vec());
    let finding = unless(interrupted, move |stop| {
        let mut tell = |proposal| tell.send(proposal).is_ok() && !stop();
        each_family(&cube, k, &families, count, brightness, seed, &mut tell)
    });
    let found: Vec<Proposal> = told.try_iter().collect();
    match finding {
        Err(Error::Interrupted) if !found.is_empty() => Ok(found),
        result => result.map(|()| found),
    }
}

/// The families of starts that a search of this model on so many bands takes. Faces of the cloud
/// tell the endmembers where what lies outside of them is noise. Where it is how materials vary,
/// they do not take part.
fn families_of(model: &Model, bands: usize) -> Vec<Init> {
    let independent = model.has_independent_bands(bands);
    Init::FAMILIES.into_iter().filter(|init| independent || !FACES.contains(init)).collect()
}

/// A start as it is told, and its spectra.
pub fn told(of: Proposal) -> (String, Array2<f64>) {
    (format!("{}, seed {}", of.family, of.seed), of.endmembers)
}
