//! How endmembers of a simulated scene vary along smooth shapes that all bands share.

use ndarray::Array2;
use rand::{Rng, RngExt};
use rand_distr::{Distribution, StandardNormal};
use std::f64::consts::{SQRT_2, TAU};

use super::maps::{Field, standardise};
use super::settings::Settings;

/// A level, a tilt and a wave.
const SHAPES: usize = 3;
/// Least of a spectrum that is left of it.
const LEAST: f64 = 0.05;

/// The shapes, and how much of each every pixel has of every endmember.
pub struct Shapes {
    endmembers: usize,
    /// Values along the bands of mean square one, (SHAPES, L).
    shapes: Array2<f64>,
    /// Amounts of each endmember and shape, an image each; none without such variability.
    amounts: Vec<Array2<f64>>,
    sd: f64,
}

impl Shapes {
    pub fn draw(settings: &Settings, rng: &mut impl Rng) -> Self {
        let &Settings { rows, cols, bands, endmembers, .. } = settings;
        let sd = settings.shared_variability_sd / (SHAPES as f64).sqrt();
        if sd == 0.0 {
            let shapes = Array2::zeros((0, 0));
            return Shapes { endmembers, shapes, amounts: Vec::new(), sd };
        }
        let (waves, phase) = (rng.random_range(0.6..1.4), TAU * rng.random::<f64>());
        let shapes = Array2::from_shape_fn((SHAPES, bands), |(shape, l)| {
            let x = (l as f64 + 0.5) / bands as f64;
            match shape {
                0 => 1.0,
                1 => 12f64.sqrt() * (x - 0.5),
                _ => SQRT_2 * (TAU * waves * x + phase).cos(),
            }
        });
        let mut amount = || {
            let smooth = Field::draw((rows, cols), rng).standardised();
            let mut amount = smooth.mapv(|x| {
                let white: f64 = StandardNormal.sample(rng);
                x + white
            });
            standardise(&mut amount);
            amount
        };
        let amounts = (0..endmembers * SHAPES).map(|_| amount()).collect();
        Shapes { endmembers, shapes, amounts, sd }
    }

    /// What the pixel has of each endmember's shapes, (K, SHAPES).
    pub fn of_pixel(&self, pixel: usize) -> Vec<f64> {
        let at = |amount: &Array2<f64>| {
            let cols = amount.ncols().max(1);
            amount[[pixel / cols, pixel % cols]]
        };
        self.amounts.iter().map(at).collect()
    }

    /// What endmember `of` is multiplied by in a band of a pixel.
    pub fn factor(&self, own: &[f64], of: usize, band: usize) -> f64 {
        debug_assert!(of < self.endmembers);
        let own = own.get(of * SHAPES..(of + 1) * SHAPES).unwrap_or(&[]);
        let parts = own.iter().enumerate().map(|(shape, a)| a * self.shapes[[shape, band]]);
        (1.0 + self.sd * parts.sum::<f64>()).max(LEAST)
    }
}
