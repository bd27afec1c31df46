//! Scenes whose truth is known: for tests, for calibration and for a first try without data.
//!
//! The program makes everything itself: `materials` draws spectra, `maps` draws smooth fields,
//! and [`simulate`] mixes them by the model that is fitted.

mod dirichlet;
mod dominant;
mod maps;
mod materials;
mod mixing;
mod outliers;
mod rare;
mod settings;
mod shapes;

use crate::engine::ground::error::Result;
use crate::engine::model::Model;
use crate::scene::Truth;
use crate::scene::{self, LoadOptions, Memory, Scene};
use maps::{Field, holes};
pub use mixing::Mixing;
use ndarray::{Array2, Array3, Axis};
use rand::{SeedableRng, rngs::ChaCha8Rng};
use rand_distr::{Distribution, StandardNormal};
use rayon::prelude::*;
pub use settings::{Maps, Settings};
use shapes::Shapes;

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
    Outliers = u64::MAX - 2,
    Shapes = u64::MAX - 1,
    Rare = u64::MAX,
}

fn generator(seed: u64, stream: Stream, offset: usize) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(stream as u64 + offset as u64);
    rng
}

/// Draws a scene from the model:
/// `y_l ~ Normal(g sum_k W_k c_kl, s^2 + sum_k W_k^2 v_kl^2)` with brightness g, abundances W,
/// endmembers c, noise sd s and variability v; or, where [`Settings`] say so, from worlds that are
/// not the model's.
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
    endmembers.row_mut(k - 1).mapv_inplace(|c| c * settings.dark);
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
        Maps::Flat => (dirichlet::abundances(size, k, k as f64, pure, rng), Vec::new()),
        Maps::Dominant => dominant::abundances(size, k, pure, rng),
    };
    if settings.rare_share > 0.0 {
        let rng = &mut generator(seed, Stream::Rare, 0);
        rare::rare(&mut abundances, &mut cores, settings.rare_share, rng);
    }
    settings::without_less(&mut abundances, settings.least_abundance);
    let brightness = brightness(settings);
    let shapes = Shapes::draw(settings, &mut generator(seed, Stream::Shapes, 0));
    let missing = holes(
        &Field::draw((rows, cols), &mut generator(seed, Stream::Holes, 0)),
        settings.no_data_fraction,
        if settings.pure_pixels { &cores } else { &[] },
    );

    let odd = outliers::outliers(
        rows * cols,
        settings.outlier_share,
        &mut generator(seed, Stream::Outliers, 0),
    );

    let mut cube = Array3::zeros((rows, cols, bands));
    cube.axis_iter_mut(Axis(0)).into_par_iter().enumerate().for_each(|(row, mut line)| {
        let mut rng = generator(seed, Stream::Rows, row);
        let noise = Deviation::new(settings);
        for (col, mut spectrum) in line.outer_iter_mut().enumerate() {
            let shares = abundances.slice(ndarray::s![row, col, ..]);
            let mut previous = 0.0;
            let own = shapes.of_pixel(row * cols + col);
            let odd = odd.get(&(row * cols + col));
            for (band, value) in spectrum.iter_mut().enumerate() {
                let mut variance = noise.variance;
                let varied = |i: usize| endmembers[[i, band]] * shapes.factor(&own, i, band);
                let mean = settings.mixing.mix(shares.iter().copied().zip((0..k).map(varied)));
                for (&w, &c) in shares.iter().zip(endmembers.column(band)) {
                    let part = w * c;
                    variance += noise.variability * part * part;
                }
                previous = noise.next(band, previous, &mut rng);
                let mut signal = f64::from(brightness[[row, col]]) * mean;
                if let Some(odd) = odd {
                    let at = band as f64 / bands as f64;
                    signal += odd.share * (odd.reflectance(at) - signal);
                }
                variance += (settings.signal_noise * signal).powi(2);
                *value = (signal + variance.sqrt() * previous) as f32;
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
