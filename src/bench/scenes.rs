//! The standard scenes: mixtures of smooth spectra with brightness and noise. `simulate` makes
//! better likenesses of land, at ten times the cost; the passes take the same time for both.

use ndarray::{Array1, Array2};

use crate::engine::ground::rng::{self, Stream};
use crate::engine::guide::Guide;
use crate::engine::layout::Params;
use crate::engine::model::Model;
use crate::engine::pixels::{Cube, Pixels};

/// A scene to measure with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standard {
    /// Its name.
    pub name: &'static str,
    /// N, pixels.
    pub pixels: usize,
    /// L, bands.
    pub bands: usize,
    /// K, endmembers.
    pub endmembers: usize,
    /// B, the minibatch.
    pub batch: usize,
}

/// The standard scenes. `small` and `full` are as large as Samson, `medium` and `large` differ in
/// the number of pixels alone.
pub const SCENES: [Standard; 4] = [
    Standard { name: "small", pixels: 95 * 95, bands: 156, endmembers: 3, batch: 512 },
    Standard { name: "full", pixels: 95 * 95, bands: 156, endmembers: 3, batch: 95 * 95 },
    Standard { name: "medium", pixels: 10_000, bands: 200, endmembers: 6, batch: 10_000 },
    Standard { name: "large", pixels: 1_000_000, bands: 200, endmembers: 6, batch: 10_000 },
];

/// Noise of a value, reflectance.
const NOISE: f32 = 0.01;
/// Sd of log brightness.
const BRIGHTNESS: f32 = 0.2;
/// Sd of the logits of abundances.
const LOGITS: f32 = 2.0;
/// Normals to draw from; a pixel's noise is a run of them from a random place.
const TABLE: usize = 1 << 16;
/// Pixels between two looks at whether to go on.
const LOOK: usize = 1 << 14;

/// Where a fit of a standard scene begins: at its truth, as after a good start.
pub struct Start {
    endmembers: Array2<f64>,
    abundances: Array2<f32>,
    log_brightness: Array1<f32>,
}

impl Start {
    /// The guide around it.
    pub fn guide(&self, sizes: &Params, model: &Model, pixels: &Pixels) -> Guide {
        let brightness = model.brightness.map(|_| self.log_brightness.view());
        let (c, w) = (self.endmembers.view(), self.abundances.view());
        Guide::around(sizes, model, pixels.cube(), c, w, brightness)
    }
}

impl Standard {
    /// Bytes of its spectra with their padding.
    pub fn bytes(&self) -> usize {
        4 * self.pixels * self.bands.next_multiple_of(crate::engine::layout::BAND_GROUP)
    }

    /// Its size as a text.
    pub fn size(&self) -> String {
        format!(
            "{} pixels x {} bands, K = {}, batch {}",
            self.pixels, self.bands, self.endmembers, self.batch
        )
    }

    /// Whether another scene has the same spectra.
    pub fn same_pixels(&self, other: &Standard) -> bool {
        (self.pixels, self.bands, self.endmembers) == (other.pixels, other.bands, other.endmembers)
    }

    /// The scene and where a fit of it begins; none when interrupted. The same on every machine but
    /// for the last digits.
    pub fn make(&self, interrupted: &dyn Fn() -> bool) -> Option<(Cube, Start)> {
        let (k, bands, key) = (self.endmembers, self.bands, rng::key(0));
        let endmembers = Array2::from_shape_fn((k, bands), |(i, l)| {
            0.45 + 0.3 * ((i + 1) as f64 * (3.0 * l as f64 / bands as f64 + 0.7)).sin()
        });
        let rows: Vec<Vec<f32>> =
            endmembers.rows().into_iter().map(|c| c.iter().map(|&v| v as f32).collect()).collect();
        let normals: Vec<f32> = (0..TABLE.max(2 * bands).div_ceil(4) as u32)
            .flat_map(|i| rng::normals(key, Stream::Start, 0, 0, i, 0))
            .collect();
        let mut cube = Cube::zeros(self.pixels, bands);
        let mut abundances = Array2::zeros((self.pixels, k));
        let mut log_brightness = Array1::zeros(self.pixels);
        for n in 0..self.pixels {
            if n % LOOK == 0 && interrupted() {
                return None;
            }
            let words = rng::philox([n as u32, 1, 0, Stream::Start as u32], key);
            let run = |word: u32, len: usize| {
                &normals[word as usize % (normals.len() - len + 1)..][..len]
            };
            let mut w = abundances.row_mut(n);
            for (w, z) in w.iter_mut().zip(run(words[0], k)) {
                *w = (LOGITS * z).exp();
            }
            let sum = w.sum();
            w /= sum;
            let log = BRIGHTNESS * run(words[1], 1)[0];
            log_brightness[n] = log;
            let spectrum = cube.spectrum_mut(n);
            for (y, noise) in spectrum.iter_mut().zip(run(words[2], bands)) {
                *y = NOISE * noise;
            }
            for (w, c) in w.iter().zip(&rows) {
                let amount = w * log.exp();
                for (y, c) in spectrum.iter_mut().zip(c) {
                    *y += amount * c;
                }
            }
        }
        Some((cube, Start { endmembers, abundances, log_brightness }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scene_is_a_mixture_with_its_noise() {
        let scene = Standard { name: "", pixels: 300, bands: 20, endmembers: 4, batch: 1 };
        let (cube, start) = scene.make(&|| false).unwrap();
        let mut square = 0.0;
        for n in 0..300 {
            let w = start.abundances.row(n);
            // Four roundings of numbers below 1.
            assert!((w.sum() - 1.0).abs() < 1e-6 && w.iter().all(|w| *w >= 0.0));
            let brightness = f64::from(start.log_brightness[n]).exp();
            for (l, &y) in cube.spectrum(n).iter().enumerate() {
                let mixed: f64 = (0..4).map(|i| f64::from(w[i]) * start.endmembers[[i, l]]).sum();
                square += (f64::from(y) - brightness * mixed).powi(2);
            }
        }
        // 6,000 values, which share noise where runs overlap: within a tenth.
        let sd = (square / 6000.0).sqrt();
        assert!((sd / 0.01 - 1.0).abs() < 0.1, "{sd}");
    }

    #[test]
    fn an_interrupted_scene_is_none() {
        assert!(SCENES[0].make(&|| true).is_none());
    }

    #[test]
    fn names_differ_and_the_large_scene_is_below_a_gigabyte() {
        let names: std::collections::HashSet<_> = SCENES.iter().map(|s| s.name).collect();
        assert_eq!(names.len(), SCENES.len());
        assert!(SCENES.iter().all(|s| s.bytes() < 1 << 30 && s.batch <= s.pixels));
    }
}
