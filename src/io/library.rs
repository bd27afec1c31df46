//! Endmember spectra to start from (`--init FILE`), brought onto the bands of a scene.

mod columns;
mod dialect;
mod instrument;
mod on_scene;
mod table;

use std::path::Path;

use ndarray::Array2;

use super::arrays::Arrays;
use crate::engine::ground::error::{Error, Result};
use crate::scene::{Peak, Scaling, Stated};

pub use on_scene::OnScene;

/// Reference spectra in reflectance.
#[derive(Debug, Clone, PartialEq)]
pub struct Spectra {
    /// One name a spectrum, where the file gives them.
    pub names: Option<Vec<String>>,
    /// Centre wavelengths in nanometres, one a band, in the order of the file.
    pub wavelengths: Option<Vec<f64>>,
    /// Reflectance, (K, bands). NaN where the file marks a channel as deleted.
    pub values: Array2<f64>,
    /// How stored values became reflectance.
    pub scaling: Scaling,
    /// What was assumed while the file was read, one sentence each.
    pub notes: Vec<String>,
}

/// Spectra before it is known what their values mean.
#[derive(Debug, Clone, Default)]
pub(crate) struct Raw {
    pub(crate) names: Option<Vec<String>>,
    pub(crate) wavelengths: Option<Vec<f64>>,
    /// One spectrum after the other.
    pub(crate) values: Vec<f64>,
    pub(crate) bands: usize,
    pub(crate) factor: Option<f64>,
    pub(crate) integer: bool,
    pub(crate) notes: Vec<String>,
}

/// Magnitudes beyond this mark deleted channels (USGS writes -1.23e34).
const DELETED: f64 = 1e30;

/// Reads spectra.
///
/// - **Tables of text** (CSV) with commas, semicolons, tabs or blanks between fields, decimal
///   points or commas, in UTF-8, UTF-16 or Latin-1: a row a spectrum, under a header of
///   wavelengths, beside columns of text of which one names it; or a row a band, with wavelengths
///   in a column of any usual name, or in the first that rises as wavelengths do; or the program's
///   own `endmembers.csv`, of which the `NAME_mean` columns are taken. `#` begins a comment.
/// - **Text of instruments and public libraries**: lines of description above columns of numbers,
///   as ASD's and SVC's (`.sig`) programs, USGS and ECOSTRESS write them.
/// - **MATLAB v4 and v5**: `M` or `E`, bands x K, and wavelengths where present. Without
///   wavelengths the longer axis is the bands.
/// - **NPZ**: `endmembers`, (K, bands), and wavelengths where present.
/// - **ENVI spectral library**: the header or the data file.
///
/// Values are taken as reflectance, whatever units the scene is stored in; where they are not, they
/// are scaled by the rule for scenes. Fails when the file is none of these, is damaged, or has no
/// value above zero.
pub fn read(path: impl AsRef<Path>) -> Result<Spectra> {
    let path = path.as_ref();
    let start = super::open::first_bytes(path)?;
    let is_table = ["csv", "txt", "tsv"].iter().any(|e| super::open::has_extension(path, e));
    let raw = if super::open::is_array_file(path, &start) {
        read_arrays(path)?
    } else if !is_table && let Some(library) = super::envi::read_library(path, &start)? {
        let ignored = library.ignore_value.map(|v| v as f32);
        let clean = |v: f32| if ignored == Some(v) { f64::NAN } else { f64::from(v) };
        Raw {
            names: library.names,
            wavelengths: library.wavelengths,
            values: library.values.into_iter().map(clean).collect(),
            bands: library.bands,
            factor: library.factor,
            integer: library.integer,
            notes: library.notes,
        }
    } else {
        if let Some(what) = super::open::known_content(&start) {
            return Err(Error::file(path, what));
        }
        let text = dialect::read_text(path)?;
        match instrument::read(path, &text)? {
            Some(raw) => raw,
            None => table::read(path, &text)?,
        }
    };
    raw.into_spectra(path)
}

impl Raw {
    fn into_spectra(mut self, path: &Path) -> Result<Spectra> {
        for v in &mut self.values {
            // -9999 and its like are no reflectance in any unit.
            if !v.is_finite() || v.abs() > DELETED || *v <= -999.0 {
                *v = f64::NAN;
            }
        }
        // The ninth decile of each spectrum, so that single odd channels do not count.
        let gain = self.factor.map_or(1.0, |factor| 1.0 / factor);
        let mut brightness: Vec<f32> = self
            .values
            .chunks(self.bands.max(1))
            .filter_map(|spectrum| {
                let mut known: Vec<f64> =
                    spectrum.iter().copied().filter(|v| !v.is_nan()).collect();
                known.sort_by(f64::total_cmp);
                let last = known.len().checked_sub(1)?;
                known.get(last * 9 / 10).map(|v| (v * gain) as f32)
            })
            .collect();
        let peak = crate::scene::peak(&mut brightness);
        let Some(value) = peak.filter(|_| self.bands > 0) else {
            return Err(Error::file(path, "holds no spectrum with a value above zero."));
        };
        let stated = self.factor.map_or(Stated::No, |factor| Stated::ByFile {
            gain: 1.0 / factor,
            offset: 0.0,
            key: "reflectance scale factor".into(),
        });
        let whole_up_to = self.integer.then_some(f64::INFINITY);
        let scaling = crate::scene::choose(stated, Peak { value, whole_up_to });
        if scaling.gain != 1.0 {
            self.notes.push(scaling.rule.clone());
        }
        let count = self.values.len() / self.bands;
        let values = Array2::from_shape_vec((count, self.bands), self.values)
            .map_err(|_| Error::file(path, "holds spectra of different lengths."))?;
        Ok(Spectra {
            names: self.names,
            wavelengths: self.wavelengths,
            values: values * scaling.gain,
            scaling,
            notes: self.notes,
        })
    }
}

fn read_arrays(path: &Path) -> Result<Raw> {
    let file = Arrays::read(path)?;
    let found = file.get(&["endmembers", "M", "E"]).ok_or_else(|| {
        file.error(format!(
            "holds {}; spectra are read from `endmembers` (NPZ) or `M` (MATLAB).",
            file.inventory()
        ))
    })?;
    let matrix = found.array2()?.ok_or_else(|| {
        file.error(format!("`{}` is {}; spectra have two axes.", found.name, found.size()))
    })?;
    let matrix = if found.name == "endmembers" {
        matrix
    } else {
        // (bands, K) by custom; the transpose where wavelengths, or else the lengths, say so.
        let (a, b) = matrix.dim();
        let known = |bands| file.wavelengths(bands).0.is_some();
        let transposed = if known(a) != known(b) { known(b) } else { b > a };
        if transposed { matrix } else { matrix.reversed_axes() }
    };
    let bands = matrix.ncols();
    Ok(Raw {
        wavelengths: file.wavelengths(bands).0,
        values: matrix.iter().copied().collect(),
        bands,
        integer: found.numbers.kind().is_integer(),
        ..Raw::default()
    })
}
