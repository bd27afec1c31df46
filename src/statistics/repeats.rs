//! Pixels that repeat each other: as far as their noise tells, they are one mixture. Ten thousand
//! of them say what one of them says, with less noise. A model of a scene counts each as evidence,
//! so that where most pixels are one mixture, that mixture is what a fit explains best: as a
//! material of its own, or at the cost of the few pixels that tell its materials apart.

use nalgebra::DMatrix;
use ndarray::{Array1, Array2, ArrayView1, Axis};
use rayon::prelude::*;

use crate::scene::Cube;
use crate::statistics::moments::products;
use crate::statistics::principal::Spread;

/// Pixels that directions and noise are learned from, at most.
const ENOUGH: usize = 4096;
/// Pixels that are tried as the centre of a mixture, and those that are counted around them, at
/// most: a share of a third is then known to a thirtieth.
const TRIED: usize = 256;
const COUNTED: usize = 1024;
/// Rounds in which a centre becomes the mean of the pixels around it.
const ROUNDS: usize = 4;
/// The share of the pixels from which on a mixture is one that many repeat.
const MANY: f64 = 1.0 / 3.0;
/// Of pixels that differ by noise alone so many are within the radius that 99 of 100 are in, and
/// half are within [`HALF`]'s; of a cloud that is wider fewer are, by far.
const WITHIN: f64 = 2.326;
const HALF: f64 = 0.0;
/// The least share of the inner ones, where 50 of 99 are expected: noise is known to a few
/// hundredths.
const NARROW: f64 = 0.35;
/// The fewest pixels that stand for a mixture: its spectrum is then known to a twentieth of the
/// noise of one.
const FEWEST: usize = 400;

/// The pixels of a cube of finite values that say what all of them say, ascending: of each mixture
/// of at most `k` endmembers that a third of the pixels or more repeat, as many as there are pixels
/// that repeat none, and no fewer than 400. All pixels of a scene that has no such mixture. Two
/// pixels are one mixture, whatever their brightness, where their distance is that of noise in the
/// `k` leading directions of the spectra; noise is what these leave of the typical pixel. Costs a
/// product of the cube with `k` directions, and some hundred looks at these.
pub fn without_repeats(cube: &Cube, k: usize) -> Vec<usize> {
    let all = || (0..cube.pixels()).collect::<Vec<usize>>();
    if k < 2 || cube.bands() <= k || cube.pixels() <= 2 * FEWEST {
        return all();
    }
    let Some(at) = in_units_of_noise(cube, k) else { return all() };
    let (inner, outer) = (radius(k - 1, HALF), radius(k - 1, WITHIN));
    let mut of = vec![None; cube.pixels()];
    let mut mixtures = 0;
    while let Some(members) = densest(&at, &of, (inner, outer)) {
        members.into_iter().for_each(|n| of[n] = Some(mixtures));
        mixtures += 1;
    }
    if mixtures == 0 {
        return all();
    }
    let rest = of.iter().filter(|of| of.is_none()).count().max(FEWEST);
    let mut counts = vec![0; mixtures];
    of.iter().flatten().for_each(|&mixture: &usize| counts[mixture] += 1);
    // Of each evenly many: number `i` of `count` stays where the share that stays passes a whole.
    let mut met = vec![0; mixtures];
    let stays = |&n: &usize| {
        let Some(mixture) = of[n] else { return true };
        let (i, count) = (met[mixture], counts[mixture]);
        met[mixture] += 1;
        let share = |i: usize| i * rest.min(count) / count;
        share(i + 1) > share(i)
    };
    (0..cube.pixels()).filter(stays).collect()
}

/// Coordinates of each pixel in the `k` leading directions, (N, k), in which noise has variance one
/// and no correlation. None where no noise is left to measure by.
fn in_units_of_noise(cube: &Cube, k: usize) -> Option<Array2<f64>> {
    let every = cube.pixels().div_ceil(ENOUGH).max(1);
    let part = cube.select(&(0..cube.pixels()).step_by(every).collect::<Vec<usize>>());
    let axes = Spread::about_zero(&part).leading(k).vectors;
    let along = products(&part, axes.view());
    let bands = cube.bands();
    // What k directions leave has lost k of the bands' degrees of freedom; half of the squares of
    // normals lie below 0.455 of their mean, whatever a few pixels leave that others do not.
    let lost = bands as f64 / (bands - k) as f64;
    let variance = |l: usize| {
        let square =
            |n: usize| (f64::from(part.spectrum(n)[l]) - axes.row(l).dot(&along.row(n))).powi(2);
        let mut squares: Vec<f64> = (0..part.pixels()).map(square).collect();
        let middle = squares.len() / 2;
        *squares.select_nth_unstable_by(middle, f64::total_cmp).1 * lost / 0.455
    };
    let noise: Vec<f64> = (0..bands).into_par_iter().map(variance).collect();
    let weighed = Array2::from_shape_fn((bands, k), |(l, i)| axes[[l, i]] * noise[l]);
    let covariance = axes.t().dot(&weighed);
    let dense = DMatrix::from_fn(k, k, |i, j| covariance[[i, j]]);
    let inverse = dense.cholesky()?.l().try_inverse()?;
    let whiten = Array2::from_shape_fn((k, k), |(i, j)| inverse[(j, i)]);
    let at = products(cube, axes.dot(&whiten).view());
    at.iter().all(|x| x.is_finite()).then_some(at)
}

/// The square of the radius within which a share of normals of so many directions lies, of which
/// `normal` is the quantile (Wilson and Hilferty 1931).
fn radius(directions: usize, normal: f64) -> f64 {
    let d = directions as f64;
    d * (1.0 - 2.0 / (9.0 * d) + normal * (2.0 / (9.0 * d)).sqrt()).powi(3)
}

/// Square of the distance of a pixel from the line through zero and a centre of length one.
fn off(pixel: ArrayView1<f64>, centre: &Array1<f64>) -> f64 {
    let along = pixel.dot(centre);
    if along < 0.0 { f64::INFINITY } else { pixel.dot(&pixel) - along * along }
}

fn unit(of: Array1<f64>) -> Option<Array1<f64>> {
    let length = of.dot(&of).sqrt();
    (length > 0.0).then(|| of / length)
}

/// Pixels of one mixture among those that belong to none, where many do and noise is all that they
/// differ by; the most there are.
fn densest(
    at: &Array2<f64>,
    of: &[Option<usize>],
    (inner, outer): (f64, f64),
) -> Option<Vec<usize>> {
    let free: Vec<usize> = (0..of.len()).filter(|&n| of[n].is_none()).collect();
    let spaced = |most: usize| free.iter().copied().step_by(free.len().div_ceil(most).max(1));
    let counted: Vec<usize> = spaced(COUNTED).collect();
    let around = |centre: &Array1<f64>, among: &[usize], radius: f64| -> Vec<usize> {
        among.iter().copied().filter(|&n| off(at.row(n), centre) <= radius).collect()
    };
    let tried: Vec<usize> = spaced(TRIED).collect();
    let near = |&n: &usize| {
        let centre = unit(at.row(n).to_owned())?;
        // Both have noise.
        Some((around(&centre, &counted, 2.0 * outer).len(), n))
    };
    let near: Vec<(usize, usize)> = tried.par_iter().filter_map(near).collect();
    let (_, first) = near.into_iter().max_by_key(|&(count, n)| (count, std::cmp::Reverse(n)))?;
    let mut centre = unit(at.row(first).to_owned())?;
    for _ in 0..ROUNDS {
        let members = around(&centre, &free, outer);
        centre = unit(at.select(Axis(0), &members).sum_axis(Axis(0)))?;
    }
    let members = around(&centre, &free, outer);
    let narrow = around(&centre, &members, inner).len() as f64;
    let many = members.len() as f64 >= MANY * of.len() as f64;
    (many && narrow >= NARROW * members.len() as f64).then_some(members)
}
