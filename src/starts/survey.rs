//! The extremes among the pixels that a model of a scene is learned from, looked for block by
//! block, so that the scene is never whole in memory. What is found does not depend on the blocks.

use std::ops::Range;

use ndarray::{Array1, Array2};
use rand::{SeedableRng, rngs::ChaCha8Rng};
use rand_distr::{Distribution, StandardNormal};
use rayon::prelude::*;

use super::sample::DIRECTIONS;
use crate::scene::Cube;
use crate::statistics::principal::Spread;

/// What is looked for in every block: pixels that a fair sample explains badly, and pixels at the
/// ends of random directions inside the sample's span ("pixel purity", Boardman 1993), brightness
/// divided out.
#[derive(Debug, Clone)]
pub struct Survey {
    /// Directions of the sample, (L, k).
    axes: Array2<f64>,
    /// Mean of the sample along the first of them.
    mean: f64,
    /// Directions inside the span, (k) each.
    directions: Vec<Array1<f64>>,
    /// How many pixels of each list are kept.
    most: (usize, usize),
}

/// A pixel darker than this share of the mean is divided by that share, so that its noise does not
/// become an extreme.
const DARK: f64 = 0.1;

/// A pixel and its score in a list.
pub type Scored = (f64, u64);

/// The pixels with the highest scores of each list, the highest first; of equals the one with the
/// smaller number.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Extremes {
    /// First the pixels that are explained badly, then both ends of each direction.
    pub lists: Vec<Vec<Scored>>,
}

impl Survey {
    /// Looks for the extremes of a scene of which `sample` is a fair sample of finite values, for a
    /// model of `k` endmembers that is learned from about `pixels` pixels.
    pub fn new(sample: &Cube, k: usize, pixels: usize, seed: u64) -> Self {
        let axes = Spread::about_zero(sample).leading(k).vectors;
        let mut survey = Survey::of_parts(axes, 0.0, pixels, seed);
        let first = |n: usize| survey.along(sample.spectrum(n)).first().copied().unwrap_or(0.0);
        let sum: f64 = (0..sample.pixels()).map(first).sum();
        survey.mean = sum / sample.pixels().max(1) as f64;
        survey
    }

    /// The survey of the directions (L, k) and the mean that [`Survey::parts`] gave, of as many
    /// pixels and the seed that it was made with: for another process.
    pub fn of_parts(axes: Array2<f64>, mean: f64, pixels: usize, seed: u64) -> Self {
        let rng = &mut ChaCha8Rng::seed_from_u64(seed);
        let directions = (0..DIRECTIONS)
            .map(|_| (0..axes.ncols()).map(|_| StandardNormal.sample(rng)).collect())
            .collect();
        let most = (pixels / 20, (pixels / (40 * DIRECTIONS)).max(1));
        Survey { axes, mean, directions, most }
    }

    /// Directions of the sample, (L, k), and its mean along the first of them.
    pub fn parts(&self) -> (&Array2<f64>, f64) {
        (&self.axes, self.mean)
    }

    /// The extremes of a block, whose pixels have these numbers in the scene.
    pub fn of(&self, block: &Cube, numbers: &[u64]) -> Extremes {
        let rows = 0..block.pixels().min(numbers.len());
        self.of_rows(block, rows, |row| numbers[row], &Extremes::default())
    }

    /// The extremes of some pixels of a block, `number` of which they have in the scene, but for
    /// those that go out when they are merged with what was found before.
    pub fn of_rows(
        &self,
        block: &Cube,
        rows: Range<usize>,
        number: impl Fn(usize) -> u64 + Sync,
        before: &Extremes,
    ) -> Extremes {
        let scores: Vec<Vec<f64>> =
            rows.clone().into_par_iter().map(|n| self.scores(block.spectrum(n))).collect();
        let list = |i: usize| {
            let full = before.lists.get(i).filter(|list| list.len() == self.most_of(i));
            let least = full.and_then(|list| list.last()).map(|&(score, _)| score);
            let stays = |score: f64| least.is_none_or(|least| score.total_cmp(&least).is_ge());
            let of = scores.iter().zip(rows.clone()).filter(|(scores, _)| stays(scores[i]));
            highest(of.map(|(scores, row)| (scores[i], number(row))).collect(), self.most_of(i))
        };
        let lists = (0..=2 * self.directions.len()).into_par_iter().map(list).collect();
        Extremes { lists }
    }

    /// The extremes of two parts of a scene together.
    pub fn merge(&self, one: Extremes, other: Extremes) -> Extremes {
        let (mut one, mut other) = (one.lists.into_iter(), other.lists.into_iter());
        let list = |i: usize| {
            let both = one.next().into_iter().chain(other.next()).flatten();
            highest(both.collect(), self.most_of(i))
        };
        Extremes { lists: (0..=2 * self.directions.len()).map(list).collect() }
    }

    fn most_of(&self, list: usize) -> usize {
        if list == 0 { self.most.0 } else { self.most.1 }
    }

    /// Coordinates of a spectrum, band after band, so that they are the same in every block.
    fn along(&self, spectrum: &[f32]) -> Vec<f64> {
        let mut along = vec![0.0; self.axes.ncols()];
        for (&y, row) in spectrum.iter().zip(self.axes.rows()) {
            along.iter_mut().zip(row).for_each(|(to, v)| *to += f64::from(y) * v);
        }
        along
    }

    fn scores(&self, spectrum: &[f32]) -> Vec<f64> {
        let mut along = self.along(spectrum);
        let square: f64 = spectrum.iter().map(|&y| f64::from(y).powi(2)).sum();
        let mut scores = vec![square - along.iter().map(|a| a * a).sum::<f64>()];
        // The sign of an eigenvector is open; both the pixel and the mean have it.
        let bright = (along.first().copied().unwrap_or(1.0) / self.mean).max(DARK);
        if bright.is_finite() {
            along.iter_mut().for_each(|a| *a /= bright);
        }
        for direction in &self.directions {
            let score: f64 = along.iter().zip(direction).map(|(a, d)| a * d).sum();
            scores.extend([score, -score]);
        }
        scores
    }
}

impl Extremes {
    /// The numbers of all pixels, ascending, each once.
    pub fn pixels(&self) -> Vec<u64> {
        let mut all: Vec<u64> = self.lists.iter().flatten().map(|(_, number)| *number).collect();
        all.sort_unstable();
        all.dedup();
        all
    }
}

/// The `most` highest, the highest first.
fn highest(mut scored: Vec<Scored>, most: usize) -> Vec<Scored> {
    let order = |a: &Scored, b: &Scored| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1));
    if most < scored.len() {
        scored.select_nth_unstable_by(most, order);
        scored.truncate(most);
    }
    scored.sort_unstable_by(order);
    scored
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two materials mixed, with one odd pixel and one that is pure.
    fn scene() -> Cube {
        let mut cube = Cube::zeros(600, 6);
        for n in 0..600 {
            let share = 0.3 + 0.4 * ((n * 7919) % 600) as f32 / 600.0;
            for (band, to) in cube.spectrum_mut(n).iter_mut().enumerate() {
                let (a, b) = (0.1 + 0.05 * band as f32, 0.5 - 0.06 * band as f32);
                *to = share * a + (1.0 - share) * b + 1e-4 * ((n * band) % 13) as f32;
            }
        }
        cube.spectrum_mut(123).copy_from_slice(&[0.1, 0.9, 0.1, 0.9, 0.1, 0.9]);
        let pure: Vec<f32> = (0..6).map(|band| 0.5 - 0.06 * band as f32).collect();
        cube.spectrum_mut(456).copy_from_slice(&pure);
        cube
    }

    #[test]
    fn blocks_find_what_the_whole_finds() {
        let cube = scene();
        let sample = cube.select(&(0..600).step_by(5).collect::<Vec<_>>());
        let survey = Survey::new(&sample, 2, 200, 7);
        let numbers: Vec<u64> = (0..600).collect();
        let whole = survey.of(&cube, &numbers);
        let pixels = whole.pixels();
        assert!(pixels.contains(&123) && pixels.contains(&456), "{pixels:?}");
        assert!(pixels.len() < 250);
        for cuts in [vec![0, 600], vec![0, 1, 599, 600], vec![0, 100, 250, 251, 600]] {
            let block = |ends: &[usize]| {
                let rows: Vec<usize> = (ends[0]..ends[1]).collect();
                survey.of(&cube.select(&rows), &numbers[ends[0]..ends[1]])
            };
            let parts: Vec<Extremes> = cuts.windows(2).map(block).collect();
            let forth = parts.iter().cloned().fold(Extremes::default(), |a, b| survey.merge(a, b));
            let back =
                parts.into_iter().rev().reduce(|a, b| survey.merge(b, a)).unwrap_or_default();
            assert_eq!(forth, whole);
            assert_eq!(back, whole);
        }
        // Another seed looks elsewhere.
        assert_ne!(Survey::new(&sample, 2, 200, 8).of(&cube, &numbers), whole);
    }
}
