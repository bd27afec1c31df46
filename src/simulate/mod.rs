//! Scenes whose truth is known: for tests, for calibration and for a first try without data.
//!
//! The program makes everything itself: `materials` draws spectra, `maps` draws smooth fields,
//! and [`simulate`] mixes them by the model that is fitted.

mod dirichlet;
mod maps;
mod materials;
mod rare;

use crate::engine::ground::error::{Error, Result};
use crate::engine::ground::setting;
use crate::engine::model::Model;
use crate::scene::Truth;
use crate::scene::{self, LoadOptions, Memory, Scene};
use maps::{Field, holes};
use ndarray::{Array2, Array3, Axis};
use rand::{SeedableRng, rngs::ChaCha8Rng};
use rand_distr::{Distribution, StandardNormal};
use rayon::prelude::*;

/// Greatest number of values in a cube: 8 GiB of them.
const MOST_VALUES: usize = 1 << 31;

/// How abundances lie in the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Maps {
    /// Smooth fields with cores of pure pixels, as land looks.
    Smooth,
    /// Each pixel for itself from Dirichlet(0.2, ..., 0.2), as the model has it by default.
    Dirichlet,
}

/// What to simulate.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Settings {
    /// Height of the image in pixels, 1 or more.
    pub rows: usize,
    /// Width of the image in pixels, 1 or more.
    pub cols: usize,
    /// Number of bands, evenly from 400 to 2500 nm, 1 or more.
    pub bands: usize,
    /// Number of endmembers K, 1 to `bands`.
    pub endmembers: usize,
    /// Standard deviation of the noise, reflectance, 0 to 1.
    pub noise_sd: f64,
    /// How abundances lie in the image.
    pub maps: Maps,
    /// True: each endmember fills at least one valid pixel, as far as there are pixels; with
    /// [`Maps::Dirichlet`] some pixels are all but pure. False: no abundance exceeds 0.8 (or 1 / K,
    /// where that is more).
    pub pure_pixels: bool,
    /// Standard deviation of log brightness over the image, 0 (all pixels equally bright) to 2.
    pub brightness_sd: f64,
    /// Standard deviation of an endmember between pixels, as a share of its value in each band
    /// (the model's `v_kl = variability_sd c_kl`), 0 (the same everywhere) to 1.
    pub variability_sd: f64,
    /// Correlation of the deviations of adjacent bands, noise and variability alike, 0 (each band
    /// for itself) to below 1: `rho^d` for bands `d` apart.
    pub band_correlation: f64,
    /// Share of the pixels without data, in blobs, 0 to below 1; one pixel always stays.
    pub no_data_fraction: f64,
    /// Share of the pixels that the last endmember fills alone, 0 (no such rule) to 0.2; it is
    /// mixed in twice as many around them and absent elsewhere. Needs two endmembers and pure
    /// pixels.
    pub rare_share: f64,
    /// Spectral angle in radians to which the last endmember is brought to the first, 0 (left as it
    /// is) to below their own angle. Needs two endmembers.
    pub close_angle: f64,
    /// Seed of all random numbers: one seed gives one scene, with any number of threads.
    pub seed: u64,
}

impl Default for Settings {
    /// 100 by 100 pixels, 156 bands, soil, vegetation and water, with noise and shade.
    fn default() -> Self {
        Settings {
            rows: 100,
            cols: 100,
            bands: 156,
            endmembers: 3,
            noise_sd: 0.01,
            maps: Maps::Smooth,
            pure_pixels: true,
            brightness_sd: 0.2,
            variability_sd: 0.0,
            band_correlation: 0.0,
            no_data_fraction: 0.0,
            rare_share: 0.0,
            close_angle: 0.0,
            seed: 0,
        }
    }
}

/// A scene and its truth. The truth is known in the holes, too.
#[derive(Debug, Clone, PartialEq)]
pub struct Simulated {
    /// Reflectance, (rows, cols, bands), NaN in every band of pixels without data.
    pub cube: Array3<f32>,
    /// Centre wavelengths in nanometres, (bands).
    pub wavelengths: Vec<f64>,
    /// Names of the endmembers, (K).
    pub names: Vec<String>,
    /// Endmember spectra, reflectance in 0 to 1, (K, bands).
    pub endmembers: Array2<f64>,
    /// Abundances, (rows, cols, K), each pixel on the simplex.
    pub abundances: Array3<f32>,
    /// Factor on each pixel's mixture, (rows, cols).
    pub brightness: Array2<f32>,
}

impl Simulated {
    /// The scene as a fit takes it.
    ///
    /// # Errors
    ///
    /// [`Error::Scene`] when nothing can be unmixed, as in a scene without contrast.
    pub fn scene(&self, name: &str) -> Result<Scene> {
        let mut source = Memory::new(self.cube.clone(), Some(self.wavelengths.clone()));
        // The values are reflectance already: nothing to guess.
        // Whatever a simulation holds, it is meant.
        let options =
            LoadOptions { scale: Some(1.0), keep_water_bands: true, ..LoadOptions::default() };
        scene::load(&mut source, name, &options)
    }

    /// Everything that is known of the scene.
    pub fn truth(&self) -> Truth {
        Truth {
            names: Some(self.names.clone()),
            endmembers: Some(self.endmembers.clone()),
            abundances: Some(self.abundances.clone()),
        }
    }
}

/// Streams of the generator, so that one setting does not shift the draws of another. Rows of
/// noise follow the last.
#[derive(Clone, Copy)]
#[repr(u64)]
enum Stream {
    Materials,
    Abundances,
    Brightness,
    Holes,
    Rows,
    Rare = u64::MAX,
}

fn generator(seed: u64, stream: Stream, offset: usize) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(stream as u64 + offset as u64);
    rng
}

/// Draws a scene from the model:
/// `y_l ~ Normal(g sum_k W_k c_kl, s^2 + sum_k W_k^2 v_kl^2)` with brightness g, abundances W,
/// endmembers c, noise sd s and variability v; see [`Settings`] for the parts.
///
/// # Errors
///
/// [`Error::Setting`] for the first setting outside its range.
pub fn simulate(settings: &Settings) -> Result<Simulated> {
    settings.check()?;
    let &Settings { rows, cols, bands, endmembers: k, seed, .. } = settings;
    let wavelengths = wavelengths(bands);
    let (names, mut endmembers) =
        materials::spectra(k, &wavelengths, &mut generator(seed, Stream::Materials, 0));
    if settings.close_angle > 0.0 {
        rare::close(&mut endmembers, settings.close_angle)?;
    }
    let (size, pure) = ((rows, cols), settings.pure_pixels);
    let rng = &mut generator(seed, Stream::Abundances, 0);
    let (mut abundances, mut cores) = match settings.maps {
        Maps::Smooth => maps::abundances(size, k, pure, rng),
        Maps::Dirichlet => {
            (dirichlet::abundances(size, k, Model::new(k).concentration, pure, rng), Vec::new())
        }
    };
    if settings.rare_share > 0.0 {
        let rng = &mut generator(seed, Stream::Rare, 0);
        rare::rare(&mut abundances, &mut cores, settings.rare_share, rng);
    }
    let brightness = brightness(settings);
    let missing = holes(
        &Field::draw((rows, cols), &mut generator(seed, Stream::Holes, 0)),
        settings.no_data_fraction,
        if settings.pure_pixels { &cores } else { &[] },
    );

    let mut cube = Array3::zeros((rows, cols, bands));
    cube.axis_iter_mut(Axis(0)).into_par_iter().enumerate().for_each(|(row, mut line)| {
        let mut rng = generator(seed, Stream::Rows, row);
        let noise = Deviation::new(settings);
        for (col, mut spectrum) in line.outer_iter_mut().enumerate() {
            let shares = abundances.slice(ndarray::s![row, col, ..]);
            let mut previous = 0.0;
            for (band, value) in spectrum.iter_mut().enumerate() {
                let (mut mean, mut variance) = (0.0, noise.variance);
                for (&w, &c) in shares.iter().zip(endmembers.column(band)) {
                    let part = w * c;
                    mean += part;
                    variance += noise.variability * part * part;
                }
                previous = noise.next(band, previous, &mut rng);
                let bright = f64::from(brightness[[row, col]]);
                *value = (bright * mean + variance.sqrt() * previous) as f32;
            }
            if missing[row * cols + col] {
                spectrum.fill(f32::NAN);
            }
        }
    });
    let abundances = abundances.mapv(|w| w as f32);
    Ok(Simulated { cube, wavelengths, names, endmembers, abundances, brightness })
}

/// Evenly from 400 to 2500 nm; the middle for a single band.
fn wavelengths(bands: usize) -> Vec<f64> {
    match bands {
        1 => vec![1450.0],
        _ => (0..bands).map(|l| 400.0 + 2100.0 * l as f64 / (bands - 1) as f64).collect(),
    }
}

/// Shade that is smooth but for a tenth of its variance, with the sd of its logarithm over the
/// image as asked for (as drawn, for a single pixel).
fn brightness(settings: &Settings) -> Array2<f32> {
    let size = (settings.rows, settings.cols);
    let rng = &mut generator(settings.seed, Stream::Brightness, 0);
    let smooth = Field::draw(size, rng).standardised();
    let rough: f64 = 0.1;
    let mut log = Array2::from_shape_fn(size, |(row, col)| {
        let white: f64 = StandardNormal.sample(rng);
        (1.0 - rough).sqrt() * smooth[[row, col]] + rough.sqrt() * white
    });
    maps::standardise(&mut log);
    log.mapv(|g| (settings.brightness_sd * g).exp() as f32)
}

/// The deviation of a pixel from its mean, band after band: an AR(1) chain of unit variance.
struct Deviation {
    variance: f64,
    variability: f64,
    correlation: f64,
    fresh: f64,
}

impl Deviation {
    fn new(settings: &Settings) -> Self {
        let rho = settings.band_correlation;
        Deviation {
            variance: settings.noise_sd.powi(2),
            variability: settings.variability_sd.powi(2),
            correlation: rho,
            fresh: (1.0 - rho * rho).sqrt(),
        }
    }

    fn next(&self, band: usize, previous: f64, rng: &mut ChaCha8Rng) -> f64 {
        let normal: f64 = StandardNormal.sample(rng);
        // The first band starts the chain at its stationary variance.
        if band == 0 { normal } else { self.correlation * previous + self.fresh * normal }
    }
}

impl Settings {
    /// Refuses the first setting outside its range.
    fn check(&self) -> Result<()> {
        for (name, value) in [
            (setting::ROWS, self.rows),
            (setting::COLS, self.cols),
            (setting::BANDS, self.bands),
            (setting::ENDMEMBERS, self.endmembers),
        ] {
            if value == 0 {
                return Err(Error::setting(name, 0, "give 1 or more."));
            }
        }
        if self.endmembers > self.bands {
            return Err(Error::setting(
                setting::ENDMEMBERS,
                self.endmembers,
                format!(
                    "no more endmembers than bands can be told apart; give 1 to {}, or more bands.",
                    self.bands
                ),
            ));
        }
        let values = self.rows.checked_mul(self.cols).and_then(|n| n.checked_mul(self.bands));
        if values.is_none_or(|values| values > MOST_VALUES) {
            return Err(Error::setting(
                setting::SIZE,
                format!("{} rows, {} cols, {} bands", self.rows, self.cols, self.bands),
                format!("a scene may have at most {MOST_VALUES} values; give fewer of one."),
            ));
        }
        for (name, value, most) in [
            (setting::NOISE, self.noise_sd, 1.0),
            (setting::BRIGHTNESS, self.brightness_sd, 2.0),
            (setting::VARIABILITY, self.variability_sd, 1.0),
        ] {
            if !(0.0..=most).contains(&value) {
                return Err(Error::setting(
                    name,
                    value,
                    format!("a standard deviation from 0 to {most} is needed."),
                ));
            }
        }
        for (name, value) in [
            (setting::BAND_CORRELATION, self.band_correlation),
            (setting::NO_DATA, self.no_data_fraction),
        ] {
            if !(0.0..1.0).contains(&value) {
                return Err(Error::setting(name, value, "a number from 0 to below 1 is needed."));
            }
        }
        self.check_rare()
    }

    fn check_rare(&self) -> Result<()> {
        let (rare, close) = (self.rare_share, self.close_angle);
        if !(0.0..=0.2).contains(&rare) {
            return Err(Error::setting(
                setting::RARE,
                rare,
                "a share of the pixels from 0 to 0.2 is needed.",
            ));
        }
        if !(0.0..std::f64::consts::FRAC_PI_2).contains(&close) {
            return Err(Error::setting(
                setting::CLOSE,
                close,
                "an angle in radians from 0 to below 1.57 is needed.",
            ));
        }
        for (name, value) in [(setting::RARE, rare), (setting::CLOSE, close)] {
            if value > 0.0 && self.endmembers < 2 {
                return Err(Error::setting(
                    name,
                    value,
                    "needs another endmember to be told from; give 2 endmembers or more.",
                ));
            }
        }
        if rare > 0.0 && !self.pure_pixels {
            return Err(Error::setting(
                setting::RARE,
                rare,
                "is a share of pure pixels; allow pure pixels, too.",
            ));
        }
        Ok(())
    }
}
