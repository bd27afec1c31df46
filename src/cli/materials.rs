//! `--library`: what the endmembers are like.

use std::path::Path;

use unmixel::io::library::{self, OnScene};
use unmixel::posterior::Posterior;
use unmixel::scene::Scene;
use unmixel::score::nearest::{Nearest, nearest};
use unmixel::{Error, Result};

/// Materials that are told of each endmember.
const TOLD: usize = 3;

/// A library's spectra at the bands that a scene uses.
pub struct Materials(OnScene);

impl Materials {
    /// Reads a library; spectra that do not cover the scene are passed over, with a note.
    pub fn read(path: &Path, scene: &Scene) -> Result<Self> {
        let found = library::read(path)?.covering(scene).map_err(|error| match error {
            Error::Scene(why) => Error::file(path, why),
            other => other,
        })?;
        for note in &found.notes {
            tell!("note: {note}");
        }
        Ok(Materials(found))
    }

    /// The nearest of each endmember, told.
    pub fn label(&self, posterior: &Posterior, endmembers: &[String]) -> Vec<Vec<Nearest>> {
        let OnScene { names, values, .. } = &self.0;
        let names = names.as_deref().unwrap_or_default();
        let found = nearest(posterior.endmember_mean.view(), values.view(), names, TOLD);
        for (name, nearest) in endmembers.iter().zip(&found) {
            let list: Vec<String> = nearest.iter().map(Nearest::text).collect();
            tell!("{name}: nearest: {}", list.join(", "));
        }
        found
    }
}
