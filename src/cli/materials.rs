//! `--library`: what the endmembers are like.

use std::path::Path;

use ndarray::{Array2, Axis};
use unmixel::io::library::{self, Spectra};
use unmixel::posterior::Posterior;
use unmixel::scene::Scene;
use unmixel::score::nearest::{Nearest, nearest};
use unmixel::{Error, Result};

/// Materials that are told of each endmember.
const TOLD: usize = 3;

/// A library's spectra at the bands that a scene uses.
pub struct Materials {
    names: Vec<String>,
    /// (spectra, bands).
    values: Array2<f64>,
}

impl Materials {
    /// Reads a library; spectra that do not cover the scene are passed over, with a note.
    pub fn read(path: &Path, scene: &Scene) -> Result<Self> {
        let spectra = library::read(path)?;
        let count = spectra.values.nrows();
        let (mut names, mut rows, mut first) = (Vec::new(), Vec::new(), None);
        for i in 0..count {
            let name = spectra.names.as_ref().and_then(|names| names.get(i).cloned());
            let one = Spectra {
                names: name.clone().map(|name| vec![name]),
                values: spectra.values.select(Axis(0), &[i]),
                ..spectra.clone()
            };
            match one.for_scene(scene) {
                Ok(values) => {
                    names.push(name.unwrap_or_else(|| format!("spectrum {}", i + 1)));
                    rows.extend(values);
                }
                Err(error) => {
                    first.get_or_insert(error);
                }
            }
        }
        if let (Some(error), 0) = (&first, names.len()) {
            return Err(Error::file(path, format!("has no spectrum for this scene. {error}")));
        }
        if let Some(error) = first {
            tell!(
                "note: {} of {count} spectra of the library were passed over: {error}",
                count - names.len()
            );
        }
        let values = Array2::from_shape_vec((names.len(), scene.bands.len()), rows)
            .map_err(|error| Error::file(path, error.to_string()))?;
        Ok(Materials { names, values })
    }

    /// The nearest of each endmember, told.
    pub fn label(&self, posterior: &Posterior, endmembers: &[String]) -> Vec<Vec<Nearest>> {
        let found = nearest(posterior.endmember_mean.view(), self.values.view(), &self.names, TOLD);
        for (name, nearest) in endmembers.iter().zip(&found) {
            let list: Vec<String> = nearest.iter().map(Nearest::text).collect();
            tell!("{name}: nearest: {}", list.join(", "));
        }
        found
    }
}
