//! Whether neighbouring pixels err together. What a model leaves of pixels side by side is as
//! independent as their noise, if the model holds. Where it is alike, they all leave what the model
//! does not know, and to count each of them as evidence makes too much of it.

use ndarray::Array1;
use rayon::prelude::*;

use crate::engine::ground::sample::spaced;
use crate::scene::Cube;
use crate::statistics::principal::Spread;
use crate::statistics::residuals::Residuals;

/// Pairs that are looked at: the correlation of so many is known to a hundredth.
const ENOUGH: usize = 4096;
/// Pairs below which nothing is said.
const FEWEST: usize = 50;
/// Directions beyond those of the mixtures that are left out, too. Materials vary along a few, each
/// pixel for itself; but what a pixel holds of a material is alike in its neighbours, and so is how
/// much it varies.
const BEYOND: usize = 6;

/// Correlation of what the `k` + 6 leading directions of the spectra leave of pixels side by side,
/// from -1 to 1 (fewer directions where there are not twice as many bands): the sum of the products
/// of both residuals over bands, over the product of their lengths, of up to 4,096 pairs. `places`
/// are the row times `cols`, and the column, of each pixel of the cube, ascending. None where fewer
/// than 50 pixels have a neighbour to the right or below.
pub fn residual_correlation(cube: &Cube, places: &[u32], cols: usize, k: usize) -> Option<f64> {
    let right = |n: usize| {
        let next = places.get(n + 1).is_some_and(|&next| next == places[n] + 1);
        let inside = !(places[n] as usize + 1).is_multiple_of(cols.max(1));
        (next && inside).then_some(n + 1)
    };
    let below = |n: usize| {
        let place = places[n].checked_add(u32::try_from(cols).ok()?)?;
        places.binary_search(&place).ok()
    };
    let pairs: Vec<(usize, usize)> = (0..places.len().min(cube.pixels()))
        .flat_map(|n| [right(n), below(n)].into_iter().flatten().map(move |other| (n, other)))
        .collect();
    if pairs.len() < FEWEST {
        return None;
    }
    let looked_at: Vec<usize> = spaced(cube.pixels(), ENOUGH).collect();
    let directions = (k + BEYOND).min(cube.bands() / 2).max(k);
    let axes = Spread::about_zero(&cube.select(&looked_at)).leading(directions).vectors;
    let residuals = |of: &[usize]| -> Vec<Array1<f64>> {
        let part = cube.select(of);
        let left = Residuals::new(&part, &axes);
        (0..of.len()).into_par_iter().map(|n| left.of(n)).collect()
    };
    let chosen: Vec<(usize, usize)> = spaced(pairs.len(), ENOUGH).map(|i| pairs[i]).collect();
    let (ones, others): (Vec<usize>, Vec<usize>) = chosen.into_iter().unzip();
    let (ones, others) = (residuals(&ones), residuals(&others));
    let (mut product, mut most) = (0.0, 0.0);
    for (a, b) in ones.iter().zip(&others) {
        product += a.dot(b);
        most += (a.dot(a) * b.dot(b)).sqrt();
    }
    (most > 0.0 && f64::is_finite(most)).then(|| product / most)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::ground::rng::{self, Stream};

    /// Mixtures of two spectra on an image of 20 columns, with noise that each pixel has for
    /// itself, or the pixels of two rows and four columns together; the pixels of `places` only.
    fn scene(alike: bool, places: &[u32]) -> Cube {
        let bands = 30;
        let mut cube = Cube::zeros(places.len(), bands);
        for (n, &place) in places.iter().enumerate() {
            let (row, col) = (place / 20, place % 20);
            let share = f64::from((row + col) % 7) / 6.0;
            let whose = if alike { row / 2 * 20 + col / 4 } else { place };
            for (l, y) in cube.spectrum_mut(n).iter_mut().enumerate() {
                let at = l as f64 / bands as f64;
                let key = rng::key(1);
                let noise = rng::normal_at(key, Stream::Posterior, 0, 0, whose, l as u32);
                let mix = share * (0.2 + 0.5 * at) + (1.0 - share) * (0.6 - 0.4 * at);
                *y = (mix + 0.01 * f64::from(noise)) as f32;
            }
        }
        cube
    }

    #[test]
    fn noise_that_neighbours_share_is_seen_and_their_own_is_none() {
        let all: Vec<u32> = (0..400).collect();
        let own = residual_correlation(&scene(false, &all), &all, 20, 2).unwrap_or(1.0);
        // 760 pairs of 22 numbers each that are left.
        assert!(own.abs() < 0.03, "{own}");
        // Of 380 pairs to the right 300 share it, of 380 below 200.
        let shared = residual_correlation(&scene(true, &all), &all, 20, 2).unwrap_or(0.0);
        assert!((shared - 500.0 / 760.0).abs() < 0.05, "{shared}");
    }

    #[test]
    fn pixels_without_neighbours_say_nothing() {
        // A chessboard.
        let apart: Vec<u32> = (0..400).filter(|p| (p / 20 + p % 20) % 2 == 0).collect();
        assert_eq!(residual_correlation(&scene(true, &apart), &apart, 20, 2), None);
        let few: Vec<u32> = (0..20).collect();
        assert_eq!(residual_correlation(&scene(true, &few), &few, 20, 2), None);
        // The end of a row is not beside the beginning of the next one.
        let column: Vec<u32> = (0..400).collect();
        let found = residual_correlation(&scene(false, &column), &column, 1, 2);
        assert!(found.is_some_and(|found| found.abs() < 0.05));
        assert_eq!(residual_correlation(&Cube::zeros(0, 3), &[], 5, 2), None);
        assert_eq!(residual_correlation(&Cube::zeros(100, 3), &column[..100], 10, 2), None);
    }
}
