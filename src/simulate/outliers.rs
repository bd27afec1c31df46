//! Pixels unlike all others: what lies in each is no material of the scene, and another thing in
//! each.

use std::collections::HashMap;
use std::f64::consts::TAU;

use rand::{Rng, RngExt, seq::index};

/// The least share of such a pixel that the thing fills.
const LEAST: f64 = 0.3;
/// Waves that a spectrum is the sum of, and how often the quickest goes up and down at most.
const WAVES: usize = 6;
const QUICKEST: f64 = 9.0;

/// What lies in a pixel.
pub struct Odd {
    /// The share of the pixel that it fills, 0 to 1.
    pub share: f64,
    level: f64,
    /// Height, cycles over all bands, and phase.
    waves: [(f64, f64, f64); WAVES],
}

impl Odd {
    fn draw(rng: &mut impl Rng) -> Self {
        let mut wave = |_| {
            let phase = rng.random_range(0.0..TAU);
            (rng.random_range(0.02..0.15), rng.random_range(0.5..QUICKEST), phase)
        };
        let waves = std::array::from_fn(&mut wave);
        Odd { share: rng.random_range(LEAST..1.0), level: rng.random_range(0.1..0.8), waves }
    }

    /// Its reflectance, 0 or more, where `at` goes from 0 at the first band to 1 at the last.
    pub fn reflectance(&self, at: f64) -> f64 {
        let wave =
            |&(height, cycles, phase): &(f64, f64, f64)| height * (TAU * cycles * at + phase).sin();
        (self.level + self.waves.iter().map(wave).sum::<f64>()).max(0.0)
    }
}

/// What lies in the `share` of so many pixels, rounded and at least one, by pixel; nothing where
/// `share` is zero.
pub fn outliers(pixels: usize, share: f64, rng: &mut impl Rng) -> HashMap<usize, Odd> {
    if share == 0.0 {
        return HashMap::new();
    }
    let count = ((share * pixels as f64).round() as usize).clamp(1, pixels);
    let chosen = index::sample(rng, pixels, count);
    chosen.into_iter().map(|pixel| (pixel, Odd::draw(rng))).collect()
}
