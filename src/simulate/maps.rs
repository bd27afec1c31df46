//! Maps that look like land: smooth random fields, and abundances and holes made of them.

use ndarray::{Array2, Array3, Axis};
use rand::{Rng, RngExt};
use rayon::prelude::*;
use std::f64::consts::{SQRT_2, TAU};

/// Cosines in a field: enough for the sum to be near normal.
const WAVES: usize = 32;
/// Logits are fields of unit variance times this: most pixels hold one or two materials.
const SHARPNESS: f64 = 6.0;
/// Largest abundance in a scene without pure pixels.
pub const MOST_WITHOUT_PURE: f64 = 0.8;

/// A smooth random field of mean 0 and variance 1 on a grid: a sum of cosines of random direction
/// and phase, with wavelengths from a sixth of the longer side to twice it.
pub struct Field {
    size: (usize, usize),
    waves: Vec<Wave>,
}

/// `cos(down row + across col + phase)`, frequencies in radians a pixel.
struct Wave {
    down: f64,
    across: f64,
    phase: f64,
}

impl Field {
    pub fn draw(size: (usize, usize), rng: &mut impl Rng) -> Self {
        let longer = size.0.max(size.1) as f64;
        let waves = (0..WAVES)
            .map(|_| {
                // Even in the logarithm of the wavelength: as much coarse structure as fine.
                let wavelength = longer * 2.0 * (1.0_f64 / 12.0).powf(rng.random::<f64>());
                let angle = TAU * rng.random::<f64>();
                let frequency = TAU / wavelength;
                Wave {
                    down: frequency * angle.sin(),
                    across: frequency * angle.cos(),
                    phase: TAU * rng.random::<f64>(),
                }
            })
            .collect();
        Field { size, waves }
    }

    /// The values, (rows, cols).
    pub fn values(&self) -> Array2<f64> {
        // cos(a + b) = cos a cos b - sin a sin b: trigonometry a row and a column, not a pixel.
        let table = |length: usize, angle: &dyn Fn(&Wave, f64) -> f64| -> Vec<(f64, f64)> {
            let waves = &self.waves;
            (0..length)
                .flat_map(|at| waves.iter().map(move |wave| angle(wave, at as f64).sin_cos()))
                .collect()
        };
        let rows = table(self.size.0, &|wave, row| wave.down * row + wave.phase);
        let cols = table(self.size.1, &|wave, col| wave.across * col);
        let scale = SQRT_2 / (self.waves.len() as f64).sqrt();
        let mut values = Array2::zeros(self.size);
        values.axis_iter_mut(Axis(0)).into_par_iter().zip(rows.par_chunks(WAVES)).for_each(
            |(mut line, row)| {
                for (value, col) in line.iter_mut().zip(cols.chunks(WAVES)) {
                    let sum: f64 =
                        row.iter().zip(col).map(|((sr, cr), (sc, cc))| cr * cc - sr * sc).sum();
                    *value = scale * sum;
                }
            },
        );
        values
    }

    /// The values with mean exactly 0 and variance exactly 1 over the grid, where it has more than
    /// one value.
    pub fn standardised(&self) -> Array2<f64> {
        let mut values = self.values();
        standardise(&mut values);
        values
    }
}

/// Shifts and scales to mean 0 and variance 1; leaves what does not vary.
pub fn standardise(values: &mut Array2<f64>) {
    let count = values.len() as f64;
    let mean = values.sum() / count;
    let sd = (values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / count).sqrt();
    if sd > 1e-12 {
        values.mapv_inplace(|v| (v - mean) / sd);
    }
}

/// Abundances (rows, cols, K), each pixel on the simplex, and for each endmember the pixel
/// `row * cols + col` that is its core. With `pure` each core holds its endmember alone (as long as
/// there is a pixel for each); without, no abundance exceeds 0.8 or 1 / K.
pub fn abundances(
    size: (usize, usize),
    k: usize,
    pure: bool,
    rng: &mut impl Rng,
) -> (Array3<f64>, Vec<usize>) {
    let fields: Vec<Array2<f64>> = (0..k).map(|_| Field::draw(size, rng).standardised()).collect();
    let cores = spread(size, k, rng);
    let radius = core_radius(size, &cores);
    let most = MOST_WITHOUT_PURE.max(1.0 / k as f64);

    let mut shares = Array3::zeros((size.0, size.1, k));
    shares.axis_iter_mut(Axis(0)).into_par_iter().enumerate().for_each(|(row, mut line)| {
        for (col, mut pixel) in line.outer_iter_mut().enumerate() {
            for (w, field) in pixel.iter_mut().zip(&fields) {
                *w = SHARPNESS * field[[row, col]];
            }
            let top = pixel.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            pixel.mapv_inplace(|logit| (logit - top).exp());
            let total = pixel.sum();
            pixel /= total;
            for (j, &core) in cores.iter().enumerate() {
                let fill = core_share(distance(size, core, (row, col)), radius);
                if fill > 0.0 {
                    pixel *= 1.0 - fill;
                    pixel[j] += fill;
                }
            }
            if !pure {
                limit(pixel.as_slice_mut().unwrap_or(&mut []), most);
            }
        }
    });
    (shares, cores)
}

/// Gives what one abundance has above `most` to the others, in proportion: what is absent stays
/// nearly absent, so that the mixtures keep to the faces of the simplex.
fn limit(shares: &mut [f64], most: f64) {
    let Some(top) = (0..shares.len()).max_by(|&a, &b| shares[a].total_cmp(&shares[b])) else {
        return;
    };
    if shares[top] <= most || shares.len() == 1 {
        return;
    }
    let others = shares.len() as f64 - 1.0;
    let rest: f64 = shares.iter().enumerate().filter(|&(j, _)| j != top).map(|(_, w)| w).sum();
    for (j, w) in shares.iter_mut().enumerate() {
        *w = match j == top {
            true => most,
            false if rest > 1e-12 => *w * (1.0 - most) / rest,
            false => (1.0 - most) / others,
        };
    }
}

/// K pixels far from each other: each the best of some random candidates (Mitchell 1991,
/// "Spectrally optimal sampling for distribution ray tracing"). They repeat only when
/// there are fewer than K pixels.
fn spread(size: (usize, usize), k: usize, rng: &mut impl Rng) -> Vec<usize> {
    let pixels = size.0 * size.1;
    let mut cores: Vec<usize> = Vec::with_capacity(k);
    for _ in 0..k {
        let nearest = |pixel: usize| {
            let at = (pixel / size.1, pixel % size.1);
            cores.iter().map(|&core| distance(size, core, at)).fold(f64::INFINITY, f64::min)
        };
        // A small image is searched whole, as chance could miss the last free pixel.
        let candidates: Vec<usize> = match pixels <= 64 * k {
            true => {
                let turn = rng.random_range(0..pixels);
                (0..pixels).map(|pixel| (pixel + turn) % pixels).collect()
            }
            false => (0..64).map(|_| rng.random_range(0..pixels)).collect(),
        };
        let best = candidates.into_iter().max_by(|&a, &b| nearest(a).total_cmp(&nearest(b)));
        cores.push(best.unwrap_or(0));
    }
    cores
}

/// Radius of the cores in pixels: a sixteenth of the shorter side, and never so much that two meet.
fn core_radius(size: (usize, usize), cores: &[usize]) -> f64 {
    let mut radius = size.0.min(size.1) as f64 / 16.0;
    for (j, &core) in cores.iter().enumerate() {
        for &other in &cores[..j] {
            radius = radius.min(0.5 * distance(size, core, (other / size.1, other % size.1)));
        }
    }
    radius
}

/// How much of a pixel a core takes, `away` from its centre: all of it in the inner half of the
/// radius, then less, and nothing from the radius on; the centre itself always.
fn core_share(away: f64, radius: f64) -> f64 {
    if away == 0.0 {
        return 1.0;
    }
    if away >= radius {
        return 0.0;
    }
    let t = (2.0 * (1.0 - away / radius)).min(1.0);
    t * t * (3.0 - 2.0 * t)
}

fn distance(size: (usize, usize), pixel: usize, (row, col): (usize, usize)) -> f64 {
    let down = (pixel / size.1) as f64 - row as f64;
    let across = (pixel % size.1) as f64 - col as f64;
    down.hypot(across)
}

/// Which pixels have no data: the `fraction` of them, rounded, where `field` is highest, so that
/// they lie together. The `kept` pixels have data, and one pixel always has.
pub fn holes(field: &Field, fraction: f64, kept: &[usize]) -> Vec<bool> {
    let pixels = field.size.0 * field.size.1;
    let mut missing = vec![false; pixels];
    if fraction == 0.0 {
        return missing;
    }
    let values = field.values();
    let mut candidates: Vec<(f64, usize)> =
        values.iter().copied().zip(0..).filter(|(_, pixel)| !kept.contains(pixel)).collect();
    let most = candidates.len().min(pixels - 1);
    let count = ((fraction * pixels as f64).round() as usize).min(most);
    candidates.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    candidates[..count].iter().for_each(|&(_, pixel)| missing[pixel] = true);
    missing
}
