//! The pixels that a model of a scene is learned from: all of a small scene, a sample of a large
//! one.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BinaryHeap};
use std::ops::Range;

use ndarray::Array1;
use rand::{SeedableRng, rngs::ChaCha8Rng};
use rand_distr::{Distribution, StandardNormal};
use rayon::prelude::*;

use crate::engine::ground::error::Result;
use crate::engine::ground::interrupt::{Interrupted, heed};
use crate::scene::{Cube, Lottery, Scene, Windows};
use crate::statistics::principal::Spread;

/// Directions in which extremes are taken.
const DIRECTIONS: usize = 64;
/// A pixel darker than this share of the mean is divided by that share, so that its noise does not
/// become an extreme.
const DARK: f64 = 0.1;
/// Pixels whose scores are held at a time.
const TOGETHER: usize = 1 << 14;

/// Of `most` pixels that a scene is learned from, those that are drawn by lot: nine tenths.
pub fn by_lot(most: usize) -> usize {
    most - most / 10
}

/// About `most` pixels of a cube of finite values that a model of the scene is learned from, in
/// ascending order: a fair sample, and a tenth of extremes, so that no rare material is lost and
/// none weighs much more than it has pixels. All of a cube that has no more.
pub fn learned_from(cube: &Cube, k: usize, most: usize, seed: u64) -> Vec<usize> {
    if cube.pixels() <= most {
        return (0..cube.pixels()).collect();
    }
    let mut lottery = Lottery::new(by_lot(most), seed);
    (0..cube.pixels()).for_each(|number| {
        lottery.draw(number);
    });
    let mut chosen: Vec<usize> = lottery.slots().into_iter().map(|(number, _)| number).collect();
    let mut extremes = Extremes::new(&cube.select(&chosen), k, most, seed);
    for first in (0..cube.pixels()).step_by(TOGETHER) {
        extremes.add(first, cube, first..cube.pixels().min(first + TOGETHER));
    }
    chosen.extend(extremes.numbers());
    chosen.sort_unstable();
    chosen.dedup();
    chosen
}

/// As [`learned_from`] of a scene whose spectra stay in their file, `rows` rows of which are held
/// at a time; it was opened with [`by_lot`] of `most` and the same seed. The same pixels with the
/// same spectra as a part of the scene.
///
/// # Errors
///
/// [`crate::Error::Interrupted`], and what reading refuses.
pub fn learned_from_windows(
    windows: &mut Windows,
    (k, most, seed): (usize, usize, u64),
    rows: usize,
    interrupted: Interrupted,
) -> Result<Scene> {
    let whole = windows.valid() <= most;
    let mut extremes = Extremes::new(&windows.drawn().cube, k, most, seed);
    // By number: place in the image and spectrum.
    let mut held: BTreeMap<usize, (u32, Vec<f32>)> = BTreeMap::new();
    let (mut number, all) = (0, windows.geometry().rows());
    for first in (0..all).step_by(rows.max(1)) {
        heed(interrupted)?;
        let (cube, places) = windows.rows(first..all.min(first + rows.max(1)))?;
        for begin in (0..cube.pixels()).step_by(TOGETHER) {
            let part = begin..cube.pixels().min(begin + TOGETHER);
            if !whole {
                extremes.add(number + begin, &cube, part.clone());
            }
        }
        let wanted: Vec<usize> = match whole {
            true => (number..number + cube.pixels()).collect(),
            false => extremes.numbers(),
        };
        if !whole {
            held.retain(|number, _| wanted.binary_search(number).is_ok());
        }
        for n in wanted.into_iter().filter(|n| *n >= number) {
            held.insert(n, (places[n - number], cube.spectrum(n - number).to_vec()));
        }
        number += cube.pixels();
    }
    if !whole {
        let drawn = windows.drawn();
        for (pixel, number) in drawn.numbers.iter().enumerate() {
            held.insert(*number, (drawn.places[pixel], drawn.cube.spectrum(pixel).to_vec()));
        }
    }
    let mut cube = Cube::zeros(held.len(), windows.geometry().bands().len());
    let mut places = Vec::with_capacity(held.len());
    for (pixel, (place, spectrum)) in held.into_values().enumerate() {
        cube.spectrum_mut(pixel).copy_from_slice(&spectrum);
        places.push(place);
    }
    windows.part(cube, places)
}

/// The pixels that the bulk of a scene explains worst, and those at the ends of random directions
/// ("pixel purity", Boardman 1993), brightness divided out. Each pixel is looked at once, in any
/// blocks.
struct Extremes {
    /// Leading directions of the bulk, unit vectors of L.
    axes: Vec<Vec<f64>>,
    /// Mean of the bulk along the first of them.
    level: f64,
    directions: Vec<Array1<f64>>,
    unexplained: Best,
    /// Both ends of each direction.
    ends: Vec<[Best; 2]>,
}

impl Extremes {
    fn new(bulk: &Cube, k: usize, most: usize, seed: u64) -> Self {
        let leading = Spread::about_zero(bulk).leading(k).vectors;
        let axes: Vec<Vec<f64>> = leading.columns().into_iter().map(|c| c.to_vec()).collect();
        let along = |n: usize| axes.first().map_or(0.0, |axis| product(axis, bulk.spectrum(n)));
        let sum: f64 = (0..bulk.pixels()).map(along).sum();
        let rng = &mut ChaCha8Rng::seed_from_u64(seed);
        let direction =
            |_| (0..axes.len()).map(|_| StandardNormal.sample(&mut *rng)).collect::<Array1<f64>>();
        let directions: Vec<Array1<f64>> = (0..DIRECTIONS).map(direction).collect();
        let each = (most / (40 * DIRECTIONS)).max(1);
        Extremes {
            level: sum / bulk.pixels().max(1) as f64,
            directions,
            unexplained: Best::new(most / 20),
            ends: (0..DIRECTIONS).map(|_| [Best::new(each), Best::new(each)]).collect(),
            axes,
        }
    }

    /// Takes in some pixels of a cube; the first of them has the number `first` in the scene.
    fn add(&mut self, first: usize, cube: &Cube, pixels: Range<usize>) {
        let (axes, level) = (&self.axes, self.level);
        let scores: Vec<(f64, Array1<f64>)> = pixels
            .into_par_iter()
            .map(|n| {
                let spectrum = cube.spectrum(n);
                let mut along: Array1<f64> = axes.iter().map(|a| product(a, spectrum)).collect();
                let square: f64 = spectrum.iter().map(|&y| f64::from(y).powi(2)).sum();
                let left = square - along.dot(&along);
                // The sign of an eigenvector is open; both the pixel and the level have it.
                let bright = (along.first().copied().unwrap_or(0.0) / level).max(DARK);
                if bright.is_finite() {
                    along /= bright;
                }
                (left, along)
            })
            .collect();
        for (number, (left, _)) in (first..).zip(&scores) {
            self.unexplained.add(*left, number);
        }
        self.ends.par_iter_mut().zip(&self.directions).for_each(|([high, low], direction)| {
            for (number, (_, along)) in (first..).zip(&scores) {
                let score = along.dot(direction);
                high.add(score, number);
                low.add(-score, number);
            }
        });
    }

    /// Numbers of the extremes so far, ascending.
    fn numbers(&self) -> Vec<usize> {
        let all = self.ends.iter().flatten().chain([&self.unexplained]);
        let mut numbers: Vec<usize> =
            all.flat_map(|best| best.held.iter().map(|entry| entry.number)).collect();
        numbers.sort_unstable();
        numbers.dedup();
        numbers
    }
}

fn product(axis: &[f64], spectrum: &[f32]) -> f64 {
    axis.iter().zip(spectrum).map(|(a, &y)| a * f64::from(y)).sum()
}

/// The pixels with the highest scores; of equals, the first.
struct Best {
    most: usize,
    /// The worst on top.
    held: BinaryHeap<Entry>,
}

impl Best {
    fn new(most: usize) -> Self {
        Best { most, held: BinaryHeap::new() }
    }

    fn add(&mut self, score: f64, number: usize) {
        let entry = Entry { score, number };
        if self.held.len() < self.most {
            self.held.push(entry);
        } else if let Some(mut worst) = self.held.peek_mut()
            && entry < *worst
        {
            *worst = entry;
        }
    }
}

/// A pixel and its score; the better, the less.
#[derive(Debug, Clone, Copy)]
struct Entry {
    score: f64,
    number: usize,
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> Ordering {
        other.score.total_cmp(&self.score).then(self.number.cmp(&other.number))
    }
}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Entry {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_are_those_of_a_sort_whatever_comes_first() {
        let scores = [3.0, -1.0, 7.0, 7.0, 0.5, 7.0, -9.0, 3.0];
        let numbers = |order: &[usize]| {
            let mut best = Best::new(4);
            order.iter().for_each(|&i| best.add(scores[i], i));
            let mut numbers: Vec<usize> = best.held.iter().map(|entry| entry.number).collect();
            numbers.sort_unstable();
            numbers
        };
        assert_eq!(numbers(&[0, 1, 2, 3, 4, 5, 6, 7]), [0, 2, 3, 5]);
        assert_eq!(numbers(&[7, 6, 5, 4, 3, 2, 1, 0]), [0, 2, 3, 5]);
    }

    #[test]
    fn a_rare_material_is_among_the_pixels_and_all_of_a_small_cube_are() {
        let mut cube = Cube::zeros(5000, 4);
        for n in 0..5000 {
            let share = (n % 97) as f32 / 97.0;
            let pixel = [0.2 + 0.3 * share, 0.4 - 0.2 * share, 0.3, 0.1];
            cube.spectrum_mut(n).copy_from_slice(&pixel);
        }
        // Three pixels of five thousand hold what no other does.
        for n in [7, 2900, 4999] {
            cube.spectrum_mut(n)[3] = 0.9;
        }
        let chosen = learned_from(&cube, 2, 300, 1);
        assert!([7, 2900, 4999].iter().all(|n| chosen.contains(n)));
        assert!((280..=420).contains(&chosen.len()), "{}", chosen.len());
        assert!(chosen.windows(2).all(|pair| pair[0] < pair[1]));
        assert_eq!(learned_from(&cube, 2, 5000, 1).len(), 5000);
    }
}
