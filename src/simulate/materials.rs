//! Spectra of materials as formulas: shapes that field spectrometers show, not measurements.

use crate::score::sad;
use ndarray::{Array1, Array2, Axis};
use rand::{Rng, RngExt};

/// A named spectrum: reflectance at a wavelength in nanometres.
type Material = (&'static str, fn(f64) -> f64);

/// In the order in which scenes take them: the first three are the classic trio, and then
/// neighbours in the list are unlike.
const MATERIALS: [Material; 10] = [
    ("soil", soil),
    ("vegetation", vegetation),
    ("water", water),
    ("red roof", red_roof),
    ("snow", snow),
    ("concrete", concrete),
    ("dry grass", dry_grass),
    ("blue roof", blue_roof),
    ("asphalt", asphalt),
    ("gypsum", gypsum),
];

/// Angle that random spectra keep from all others, in radians, as far as the bands allow.
const LEAST_ANGLE: f64 = 0.1;

/// Names and spectra (K, bands) of `k` materials, in 0 to 1: the named ones, then smooth random
/// ones.
pub fn spectra(k: usize, wavelengths: &[f64], rng: &mut impl Rng) -> (Vec<String>, Array2<f64>) {
    let mut names = Vec::with_capacity(k);
    let mut spectra: Array2<f64> = Array2::zeros((k, wavelengths.len()));
    for j in 0..k {
        let (name, spectrum) = match MATERIALS.get(j) {
            Some((name, reflectance)) => {
                ((*name).to_owned(), wavelengths.iter().map(|&nm| reflectance(nm)).collect())
            }
            None => {
                let others = spectra.slice_axis(Axis(0), (..j).into());
                let angle = |s: &Array1<f64>| {
                    others.rows().into_iter().map(|o| sad(s.view(), o)).fold(f64::MAX, f64::min)
                };
                (format!("material {}", j + 1), unlike(wavelengths, angle, rng))
            }
        };
        names.push(name);
        spectra.row_mut(j).assign(&spectrum);
    }
    (names, spectra)
}

/// A random spectrum whose `angle` to the others is large enough, or the largest of many.
fn unlike(
    wavelengths: &[f64],
    angle: impl Fn(&Array1<f64>) -> f64,
    rng: &mut impl Rng,
) -> Array1<f64> {
    let mut best = random(wavelengths, rng);
    let mut widest = angle(&best);
    for _ in 0..50 {
        if widest >= LEAST_ANGLE {
            break;
        }
        let next = random(wavelengths, rng);
        let here = angle(&next);
        if here > widest {
            (best, widest) = (next, here);
        }
    }
    best
}

/// A level and a few broad humps and dips.
fn random(wavelengths: &[f64], rng: &mut impl Rng) -> Array1<f64> {
    let level = rng.random_range(0.1..0.5);
    let humps: Vec<(f64, f64, f64)> = (0..5)
        .map(|_| {
            (
                rng.random_range(400.0..2500.0),
                rng.random_range(80.0..400.0),
                rng.random_range(-0.4..0.4),
            )
        })
        .collect();
    let at = |&nm: &f64| {
        let sum: f64 =
            humps.iter().map(|&(centre, width, height)| height * bump(nm, centre, width)).sum();
        (level + sum).clamp(0.01, 0.95)
    };
    wavelengths.iter().map(at).collect()
}

/// A bump: one at `centre`, falling over `width` to both sides.
fn bump(nm: f64, centre: f64, width: f64) -> f64 {
    (-0.5 * ((nm - centre) / width).powi(2)).exp()
}

/// A step: from 0 to 1 around `centre`.
fn rise(nm: f64, centre: f64, width: f64) -> f64 {
    1.0 / (1.0 + (-(nm - centre) / width).exp())
}

/// What an absorption of this `depth` leaves.
fn dip(nm: f64, centre: f64, width: f64, depth: f64) -> f64 {
    1.0 - depth * bump(nm, centre, width)
}

/// Rises into the infrared; iron at 500 and 880 nm, water at 1410 and 1915, clay at 2205.
fn soil(nm: f64) -> f64 {
    (0.05 + 0.36 * (1.0 - (-(nm - 350.0) / 550.0).exp()))
        * dip(nm, 500.0, 50.0, 0.12)
        * dip(nm, 880.0, 70.0, 0.12)
        * dip(nm, 1410.0, 25.0, 0.2)
        * dip(nm, 1915.0, 40.0, 0.35)
        * dip(nm, 2205.0, 22.0, 0.2)
}

/// Green peak, red edge, infrared plateau, leaf water at 970, 1200, 1450 and 1940 nm.
fn vegetation(nm: f64) -> f64 {
    let visible = 0.035 + 0.065 * bump(nm, 550.0, 28.0);
    let plateau = 0.46 * rise(nm, 718.0, 13.0) * (1.0 - 0.45 * rise(nm, 1400.0, 150.0));
    visible
        + plateau
            * dip(nm, 970.0, 30.0, 0.07)
            * dip(nm, 1200.0, 45.0, 0.15)
            * dip(nm, 1450.0, 60.0, 0.7)
            * dip(nm, 1940.0, 90.0, 0.85)
            * (1.0 - 0.5 * rise(nm, 2350.0, 90.0))
}

/// Low, and nothing from the near infrared on.
fn water(nm: f64) -> f64 {
    0.07 * (0.6 + 0.4 * bump(nm, 540.0, 70.0)) * rise(-nm, -640.0, 40.0) + 0.002
}

/// A step at 580 nm and iron at 870.
fn red_roof(nm: f64) -> f64 {
    (0.06 + 0.3 * rise(nm, 590.0, 22.0)) * dip(nm, 870.0, 80.0, 0.25) * dip(nm, 1930.0, 50.0, 0.12)
}

/// Bright, then dark: ice at 1030, 1260, 1500 and 2000 nm.
fn snow(nm: f64) -> f64 {
    (0.93 * rise(-nm, -1330.0, 110.0)
        + 0.1 * bump(nm, 1820.0, 80.0)
        + 0.06 * bump(nm, 2240.0, 90.0))
        * dip(nm, 1030.0, 45.0, 0.25)
        * dip(nm, 1260.0, 50.0, 0.35)
        + 0.02
}

/// Flat, falling beyond 1700 nm; carbonate at 2335.
fn concrete(nm: f64) -> f64 {
    (0.2 + 0.14 * rise(nm, 520.0, 60.0) - 0.12 * rise(nm, 1900.0, 150.0))
        * dip(nm, 1440.0, 50.0, 0.1)
        * dip(nm, 1935.0, 60.0, 0.2)
        * dip(nm, 2335.0, 35.0, 0.2)
}

/// No red edge but a rise to 1300 nm; lignin and cellulose at 1730, 2100 and 2300.
fn dry_grass(nm: f64) -> f64 {
    (0.04 + 0.46 * rise(nm, 800.0, 130.0) - 0.22 * rise(nm, 1850.0, 120.0))
        * dip(nm, 1200.0, 40.0, 0.05)
        * dip(nm, 1450.0, 50.0, 0.25)
        * dip(nm, 1730.0, 30.0, 0.08)
        * dip(nm, 1930.0, 50.0, 0.4)
        * dip(nm, 2100.0, 50.0, 0.3)
        * dip(nm, 2300.0, 40.0, 0.3)
}

/// Painted metal: blue, dark in the red, bright from 900 to 1700 nm.
fn blue_roof(nm: f64) -> f64 {
    0.05 + 0.3 * bump(nm, 460.0, 55.0)
        + 0.3 * rise(nm, 850.0, 50.0) * (1.0 - 0.75 * rise(nm, 1500.0, 120.0))
}

/// Dark, rising slowly and evenly.
fn asphalt(nm: f64) -> f64 {
    (0.05 + 0.12 * (nm - 400.0) / 2100.0) * dip(nm, 2310.0, 30.0, 0.12)
}

/// Bright, with the bands of bound water at 1000, 1200, 1450, 1750, 1940 and 2215 nm.
fn gypsum(nm: f64) -> f64 {
    (0.75 + 0.1 * rise(nm, 500.0, 60.0) - 0.35 * rise(nm, 1800.0, 200.0))
        * dip(nm, 1000.0, 30.0, 0.05)
        * dip(nm, 1200.0, 35.0, 0.15)
        * dip(nm, 1475.0, 50.0, 0.6)
        * dip(nm, 1750.0, 25.0, 0.3)
        * dip(nm, 1945.0, 45.0, 0.75)
        * dip(nm, 2215.0, 35.0, 0.3)
}
