//! Endmember spectra to start from (`--init FILE`), brought onto the bands of a scene.

use std::path::Path;

use ndarray::Array2;

use super::arrays::Arrays;
use crate::engine::ground::error::{Error, Result};
use crate::scene::{Scaling, Scene, Stated};

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
}

/// Wavelengths closer than this are the same band.
const SAME_BAND_NM: f64 = 1.0;
/// How far beyond its ends a spectrum is continued at its last value: about one band of an imaging
/// spectrometer.
const BEYOND_NM: f64 = 10.0;
/// Magnitudes beyond this mark deleted channels (USGS writes -1.23e34).
const DELETED: f64 = 1e30;

/// Reads spectra.
///
/// - **CSV**: a row a spectrum, under a header of wavelengths, the first column naming it; or a row
///   a band, with the columns `wavelength`, then one a spectrum; or the program's own
///   `endmembers.csv`, of which the `NAME_mean` columns are taken. `#` begins a comment.
/// - **MATLAB v5**: `M` or `E`, bands x K, and `wavelength` where present. Without wavelengths the
///   longer axis is the bands.
/// - **NPZ**: `endmembers`, (K, bands), and `wavelength` where present.
/// - **ENVI spectral library**: the header or the data file.
///
/// Values are taken as reflectance, whatever units the scene is stored in; when they exceed 1.5 they
/// are scaled by the rule for scenes without a stated scale. Fails when the file is none of these,
/// is damaged, or has no value above zero.
pub fn read(path: impl AsRef<Path>) -> Result<Spectra> {
    let path = path.as_ref();
    let start = super::open::first_bytes(path)?;
    let is_table = ["csv", "txt"].iter().any(|e| super::open::has_extension(path, e));
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
        }
    } else {
        super::csv_table::read(path)?
    };
    raw.into_spectra(path)
}

impl Raw {
    fn into_spectra(mut self, path: &Path) -> Result<Spectra> {
        for v in &mut self.values {
            if !v.is_finite() || v.abs() > DELETED {
                *v = f64::NAN;
            }
        }
        // `max` passes over NaN.
        let peak = self.values.iter().copied().fold(0.0, f64::max);
        if peak <= 0.0 || self.bands == 0 {
            return Err(Error::file(path, "holds no spectrum with a value above zero."));
        }
        let stated = self.factor.map_or(Stated::No, |factor| Stated::ByFile {
            gain: 1.0 / factor,
            offset: 0.0,
            key: "reflectance scale factor".into(),
        });
        let scaling = crate::scene::choose(stated, peak, self.integer);
        let count = self.values.len() / self.bands;
        let values = Array2::from_shape_vec((count, self.bands), self.values)
            .map_err(|_| Error::file(path, "holds spectra of different lengths."))?;
        Ok(Spectra {
            names: self.names,
            wavelengths: self.wavelengths,
            values: values * scaling.gain,
            scaling,
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
        let (by_a, by_b) = (file.wavelengths(a)?.0.is_some(), file.wavelengths(b)?.0.is_some());
        let transposed = if by_a != by_b { by_b } else { b > a };
        if transposed { matrix } else { matrix.reversed_axes() }
    };
    let bands = matrix.ncols();
    Ok(Raw {
        wavelengths: file.wavelengths(bands)?.0,
        values: matrix.iter().copied().collect(),
        bands,
        integer: found.numbers.kind().is_integer(),
        ..Raw::default()
    })
}

impl Spectra {
    /// The spectra on the bands that `scene` uses, (K, L): finite reflectance.
    ///
    /// With as many bands as the scene's file, or as it uses, they are taken one by one, unless both
    /// know their wavelengths and these differ by more than 1 nm somewhere. Else, and for deleted
    /// channels, values are interpolated linearly in wavelength, and held up to 10 nm beyond the
    /// ends. Fails when the bands cannot be matched or the range does not cover the scene's.
    pub fn for_scene(&self, scene: &Scene) -> Result<Array2<f64>> {
        let bands = self.values.ncols();
        let places: Option<Vec<usize>> = if bands == scene.file_bands() {
            Some(scene.bands().iter().map(|b| b.index).collect())
        } else {
            (bands == scene.bands().len()).then(|| (0..bands).collect())
        };
        let wanted: Option<Vec<f64>> = scene.bands().iter().map(|b| b.wavelength).collect();
        let both = self.wavelengths.as_ref().zip(wanted);
        let agree = |places: &[usize]| {
            both.as_ref().is_none_or(|(own, wanted)| {
                places
                    .iter()
                    .zip(wanted)
                    .all(|(&p, w)| own.get(p).is_some_and(|o| (o - w).abs() <= SAME_BAND_NM))
            })
        };
        let places = places.filter(|p| agree(p));
        if places.is_none() && both.is_none() {
            return Err(Error::Scene(format!(
                "The spectra have {bands} bands, the scene {} of which it uses {}; to match them, \
                 both need wavelengths, and the {} has none.",
                scene.file_bands(),
                scene.bands().len(),
                if self.wavelengths.is_none() { "file of spectra" } else { "scene" }
            )));
        }
        let mut out = Array2::zeros((self.values.nrows(), scene.bands().len()));
        for (k, (spectrum, mut row)) in
            self.values.rows().into_iter().zip(out.rows_mut()).enumerate()
        {
            if let Some(places) = &places {
                let values: Vec<f64> =
                    places.iter().filter_map(|&p| spectrum.get(p).copied()).collect();
                if values.len() == row.len() && values.iter().all(|v| v.is_finite()) {
                    row.iter_mut().zip(values).for_each(|(to, v)| *to = v);
                    continue;
                }
            }
            let name = self
                .names
                .as_ref()
                .and_then(|n| n.get(k))
                .map_or_else(|| format!("number {}", k + 1), |n| format!("`{n}`"));
            let Some((own, wanted)) = &both else {
                return Err(Error::Scene(format!(
                    "The spectrum {name} has deleted channels, and without wavelengths in both the \
                     file of spectra and the scene they cannot be filled."
                )));
            };
            let mut points: Vec<(f64, f64)> = own
                .iter()
                .copied()
                .zip(spectrum.iter().copied())
                .filter(|p| p.1.is_finite())
                .collect();
            points.sort_by(|a, b| a.0.total_cmp(&b.0));
            points.dedup_by(|a, b| a.0 == b.0);
            for (to, &at) in row.iter_mut().zip(wanted) {
                *to = interpolate(&points, at).ok_or_else(|| {
                    let ends = points.first().zip(points.last());
                    let range = ends.map_or("nothing".to_owned(), |(a, b)| {
                        format!("{:.1} to {:.1} nm", a.0, b.0)
                    });
                    Error::Scene(format!(
                        "The spectrum {name} covers {range}, but the scene uses a band at {at:.1} \
                         nm; give spectra that cover the scene."
                    ))
                })?;
            }
        }
        Ok(out)
    }
}

/// The value at `at` on the line through `points`, which ascend; `None` too far beyond the ends.
fn interpolate(points: &[(f64, f64)], at: f64) -> Option<f64> {
    let next = points.partition_point(|p| p.0 < at);
    match (next.checked_sub(1).and_then(|i| points.get(i)), points.get(next)) {
        (Some(a), Some(b)) => Some(a.1 + (b.1 - a.1) * (at - a.0) / (b.0 - a.0)),
        (None, Some(end)) | (Some(end), None) => ((end.0 - at).abs() <= BEYOND_NM).then_some(end.1),
        (None, None) => None,
    }
}
