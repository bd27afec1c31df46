//! Where a search begins.

use std::sync::{Arc, mpsc};

use ndarray::Array2;

use crate::engine::ground::error::{Error, Result};
use crate::engine::ground::interrupt::{Interrupted, unless};
use crate::engine::model::Model;
use crate::engine::pixels::Pixels;
use crate::starts::{Families, Init, Proposal};

/// The families whose endmembers are corners of the smallest simplex around spectra, or around
/// their shapes.
pub const FACES: [Init; 2] = [Init::Simplex, Init::SimplexNormalised];

/// A start as it is told, and its spectra.
pub type Begin = (String, Array2<f64>);

/// The start that was given; else up to `count` of the families that a search of this model takes,
/// and, where their answer will be `challenged`, one of each of [`FACES`] if they can be found;
/// when interrupted, those found by then.
pub fn starts_of(
    part: &Pixels,
    model: &Model,
    (count, seed, given): (usize, u64, Option<&Begin>),
    challenged: bool,
    interrupted: Interrupted,
) -> Result<(Vec<Begin>, Vec<Begin>)> {
    if let Some(start) = given {
        return Ok((vec![start.clone()], Vec::new()));
    }
    let (k, brightness) = (model.endmembers, model.brightness.is_some());
    let (tell, told) = mpsc::channel();
    let (cube, families) = (Arc::clone(part.cube()), families_of(model, part.bands()));
    let finding = unless(interrupted, move |stop| {
        let of = Families::new(&cube, k, brightness, seed)?;
        let find = |families: &[Init], count: usize, is_face: bool| {
            let mut tell = |proposal| tell.send((is_face, proposal)).is_ok() && !stop();
            of.each(families, count, &mut tell)
        };
        find(&families, count, false)?;
        if challenged && !stop() {
            // Where they are not found there is no challenge.
            let _ = find(&FACES, FACES.len(), true);
        }
        Ok(())
    });
    let (faces, found): (Vec<_>, Vec<_>) = told.try_iter().partition(|(is_face, _)| *is_face);
    let begin = |of: Vec<(bool, Proposal)>| of.into_iter().map(|(_, of)| begin(of)).collect();
    match finding {
        Err(Error::Interrupted) if !found.is_empty() => {}
        result => result?,
    }
    Ok((begin(found), begin(faces)))
}

/// The families of starts that a search of this model on so many bands takes. Faces of the cloud
/// tell the endmembers where what lies outside of them is noise. Where it is how materials vary,
/// they do not take part.
fn families_of(model: &Model, bands: usize) -> Vec<Init> {
    let independent = model.has_independent_bands(bands);
    Init::FAMILIES.into_iter().filter(|init| independent || !FACES.contains(init)).collect()
}

fn begin(of: Proposal) -> Begin {
    (format!("{}, seed {}", of.family, of.seed), of.endmembers)
}
