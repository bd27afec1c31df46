//! Pixels unlike all others: a car, a glint, a pixel that a sensor lost. No mixture of a scene's
//! materials explains them, and one of them pulls a Gaussian model farther than a thousand others
//! hold it: an endmember goes there, or noise and variability grow until they account for it.

use ndarray::{Array1, Array2, Axis};
use rayon::prelude::*;

use crate::engine::ground::math::median;
use crate::engine::ground::sample::spaced;
use crate::scene::Cube;
use crate::statistics::moments::products;
use crate::statistics::principal::Spread;
use crate::statistics::residuals::Residuals;

/// Pixels that directions and sizes of residuals are learned from, at most.
const ENOUGH: usize = 4096;
/// A pixel is unlike the others from this many times the residual of the typical pixel on. In
/// scenes without outliers the largest is 1.8 times, or 3.3 times where bands err together
/// (docs/evidence.md).
const UNLIKE: f64 = 4.0;
/// A direction that effectively fewer pixels than these share, or less than this share of them, is
/// theirs and not the scene's.
const SHARED_BY: f64 = 6.0;
const SHARE: f64 = 1.0 / 200.0;
/// So many pixels that are unlike the others, but alike, are a material.
const ALIKE: usize = 6;
/// Two of them are alike where nothing of the weaker's residual lies beside that of the stronger
/// but this many times that of the typical pixel: noise of both.
const NOISE_OF_BOTH: f64 = 2.0;
/// A spectrum counts for directions with at most this many times the length of the typical one.
const LONGEST: f64 = 1.5;
/// Pixels that each is compared with, at most.
const COMPARED: usize = 1024;
/// Rounds, at most: what is found is left out of the directions, which may hide others.
const ROUNDS: usize = 8;
/// The least residual of a band, reflectance: without noise rounding is all that is left.
const LEAST: f64 = 1e-5;

/// The share of the pixels that may be outliers: more of them are a part of the scene that so few
/// directions do not explain.
const FEW: f64 = 0.05;

/// Whether so many of `pixels` are few enough to be outliers.
pub fn are_few(count: usize, pixels: usize) -> bool {
    count as f64 <= FEW * pixels as f64
}

/// The pixels of a cube of finite values that are unlike all others, ascending: those whose
/// residual, beyond the `2 k + 2` leading directions that at least six pixels share, and one pixel
/// in 200, is more than four times that of the typical pixel, both as it is and as a share of the
/// pixel's spectrum. Six or more of them that are alike, but for how much of it they have, are a
/// rare material and none of these. None where pixels or bands are too few to tell. Costs one or
/// two products of the cube with these directions.
pub fn outliers(cube: &Cube, k: usize) -> Vec<usize> {
    let (pixels, bands) = (cube.pixels(), cube.bands());
    let most = (2 * k + 2).min(bands / 3).min(pixels / 8);
    if k == 0 || most <= k {
        return Vec::new();
    }
    let mut found = vec![false; pixels];
    let mut numbers = Vec::new();
    for round in 1.. {
        let kept: Vec<usize> = spaced(pixels, ENOUGH).filter(|&n| !found[n]).collect();
        let part = cube.select(&kept);
        let axes = shared_directions(&part, most);
        let typical = Typical::of(&part, &axes);
        let unlike = typical.unlike(cube, &axes);
        found.iter_mut().zip(unlike).for_each(|(found, unlike)| *found |= unlike);
        let before = numbers.len();
        numbers = (0..pixels).filter(|&n| found[n]).collect();
        if numbers.len() == before || round == ROUNDS || 2 * numbers.len() >= pixels {
            return without_alike(cube, numbers, &axes, &typical);
        }
    }
    numbers
}

/// Of pixels that are unlike the rest of a scene those that are unlike each other, too.
fn without_alike(
    cube: &Cube,
    numbers: Vec<usize>,
    axes: &Array2<f64>,
    typical: &Typical,
) -> Vec<usize> {
    let part = cube.select(&numbers);
    let left = Residuals::new(&part, axes);
    let scaled = |n: usize| left.of(n) * &typical.scale;
    let left: Vec<Array1<f64>> = (0..part.pixels()).into_par_iter().map(scaled).collect();
    let squares: Vec<f64> = left.iter().map(|left| left.dot(left)).collect();
    let noise = (NOISE_OF_BOTH * typical.size).powi(2) * cube.bands() as f64;
    let alike = |n: usize, other: usize| {
        let (weaker, stronger) = (squares[n].min(squares[other]), squares[n].max(squares[other]));
        weaker - left[n].dot(&left[other]).powi(2) / stronger <= noise
    };
    let compared: Vec<usize> = spaced(left.len(), COMPARED).collect();
    let is_odd = |n: &usize| {
        let others = compared.iter().filter(|&&other| alike(*n, other)).count();
        others * left.len() < ALIKE * compared.len()
    };
    let odd: Vec<usize> = (0..left.len()).into_par_iter().filter(is_odd).collect();
    odd.into_iter().map(|n| numbers[n]).collect()
}

/// Of the `most` leading directions of the spectra those that enough pixels share, by the
/// participation ratio of their squares, (L, at most `most`).
fn shared_directions(cube: &Cube, most: usize) -> Array2<f64> {
    let short = shortened(cube);
    let axes = Spread::about_zero(&short).leading(most).vectors;
    let along = products(&short, axes.view());
    let enough = SHARED_BY.max(SHARE * cube.pixels() as f64);
    let shared = |j: &usize| {
        let squares = along.column(*j).mapv(|x| x * x);
        squares.sum().powi(2) >= enough * squares.mapv(|x| x * x).sum()
    };
    axes.select(Axis(1), &(0..axes.ncols()).filter(shared).collect::<Vec<usize>>())
}

/// The spectra, those that are long as short as [`LONGEST`] allows: a pixel that is a hundred times
/// as bright as the others would be all that directions tell of.
fn shortened(cube: &Cube) -> Cube {
    let length = |n: usize| cube.spectrum(n).iter().map(|&y| f64::from(y).powi(2)).sum::<f64>();
    let lengths: Vec<f64> = (0..cube.pixels()).map(|n| length(n).sqrt()).collect();
    let most = LONGEST * middle(lengths.clone());
    let mut short = cube.clone();
    for (n, &length) in lengths.iter().enumerate().filter(|(_, length)| **length > most) {
        let by = (most / length) as f32;
        short.spectrum_mut(n).iter_mut().for_each(|y| *y *= by);
    }
    short
}

/// How large residuals are.
struct Typical {
    /// One over the residual of the typical pixel in each band, (L), 1 / reflectance.
    scale: Array1<f64>,
    /// Root mean square over bands of the scaled residual, of the typical pixel.
    size: f64,
    /// That size over the root mean square of the pixel's spectrum.
    share: f64,
}

impl Typical {
    /// Of what directions leave of some pixels.
    fn of(part: &Cube, axes: &Array2<f64>) -> Self {
        let left = Residuals::new(part, axes);
        // Half of a normal's values are within 0.6745 sds.
        let one = |l: usize| {
            middle((0..part.pixels()).map(|n| left.in_band(n, l).abs()).collect()) / 0.6745
        };
        let sds: Vec<f64> = (0..part.bands()).into_par_iter().map(one).collect();
        // A band that is nearly without noise does not decide alone.
        let least = LEAST.max(0.1 * middle(sds.clone()));
        let scale = sds.iter().map(|sd| 1.0 / sd.max(least)).collect();
        let typical = Typical { scale, size: 1.0, share: 0.0 };
        let (sizes, shares): (Vec<f64>, Vec<f64>) = typical.sizes(part, &left).into_iter().unzip();
        // Where there is no noise sizes are those of rounding.
        Typical { size: middle(sizes).max(1.0), share: middle(shares), ..typical }
    }

    /// Of each pixel the size of what directions leave, and its share of the spectrum.
    fn sizes(&self, cube: &Cube, left: &Residuals<'_>) -> Vec<(f64, f64)> {
        let one = |n: usize| {
            let left = left.of(n) * &self.scale;
            let size = (left.dot(&left) / cube.bands() as f64).sqrt();
            let all: f64 = cube.spectrum(n).iter().map(|&y| f64::from(y).powi(2)).sum();
            (size, size / all.sqrt().max(f64::MIN_POSITIVE))
        };
        (0..cube.pixels()).into_par_iter().map(one).collect()
    }

    fn unlike(&self, cube: &Cube, axes: &Array2<f64>) -> Vec<bool> {
        let unlike = |(size, share)| size > UNLIKE * self.size && share > UNLIKE * self.share;
        self.sizes(cube, &Residuals::new(cube, axes)).into_iter().map(unlike).collect()
    }
}

/// Of no values zero.
fn middle(values: Vec<f64>) -> f64 {
    median(values).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::ground::rng::{self, Stream};

    const BANDS: usize = 40;

    fn normal(n: usize, i: usize) -> f64 {
        rng::normal_at(rng::key(5), Stream::Posterior, 0, 0, n as u32, i as u32).into()
    }

    /// Three materials in all shares and brightnesses with noise of one sd; `odd` adds to a pixel's
    /// value in a band.
    fn cube(pixels: usize, noise: f64, odd: impl Fn(usize, f64, usize) -> f64) -> Cube {
        let mut cube = Cube::zeros(pixels, BANDS);
        for n in 0..pixels {
            let e = [0, 1, 2].map(|i| normal(n, 100 + i).powi(2));
            let bright = (0.2 * normal(n, 200)).exp() / e.iter().sum::<f64>();
            for (l, y) in cube.spectrum_mut(n).iter_mut().enumerate() {
                let x = l as f64 / BANDS as f64;
                let c = [0.2 + 0.5 * x, 0.6 - 0.4 * x, 0.4 + 0.2 * (7.0 * x).sin()];
                let mix: f64 = e.iter().zip(c).map(|(e, c)| e * c).sum();
                *y = (bright * mix + noise * normal(n, l) + odd(n, x, l)) as f32;
            }
        }
        cube
    }

    #[test]
    fn pixels_unlike_all_others_are_found_and_no_others() {
        assert!(outliers(&cube(2000, 0.01, |_, _, _| 0.0), 3).is_empty());
        // Each of them another shape, of another size.
        let odd = |n: usize| n % 250 == 7;
        let expected: Vec<usize> = (0..2000).filter(|&n| odd(n)).collect();
        for by in [0.2, 1.0, 30.0, 1e4] {
            let add = |n: usize, x: f64, _: usize| match odd(n) {
                true => by * ((9 + n / 125) as f64 * x + n as f64).sin(),
                false => 0.0,
            };
            assert_eq!(outliers(&cube(2000, 0.01, add), 3), expected, "{by}");
        }
        // One alone, in a cube of which a part is enough.
        let one =
            |n: usize, _: f64, l: usize| if n == 9001 { 0.3 * normal(n, 300 + l) } else { 0.0 };
        assert_eq!(outliers(&cube(10_000, 0.01, one), 3), [9001]);
    }

    /// A material that a few pixels have is a material, in a whole cube and where only every third
    /// pixel is looked at for directions.
    #[test]
    fn pixels_of_a_rare_material_are_alike_and_stay() {
        for (pixels, rare) in [(2000, 12), (12_000, 30)] {
            let step = pixels / rare;
            let add = |n: usize, x: f64, _: usize| match n % step {
                3 => (0.4 + 0.05 * (n / step % 5) as f64) * (11.0 * x).sin(),
                _ => 0.0,
            };
            assert!(outliers(&cube(pixels, 0.01, add), 3).is_empty(), "{pixels}");
        }
        // Two pixels are too few to be one.
        let two = |n: usize, x: f64, _: usize| if n < 2 { 0.4 * (11.0 * x).sin() } else { 0.0 };
        assert_eq!(outliers(&cube(2000, 0.01, two), 3), [0, 1]);
    }

    /// In a scene without noise all that is left is rounding, which has no outliers.
    #[test]
    fn odd_scenes_have_an_outcome() {
        assert!(outliers(&cube(2000, 0.0, |_, _, _| 0.0), 3).is_empty());
        let one = |n: usize, x: f64, _: usize| if n == 5 { 0.2 * (11.0 * x).sin() } else { 0.0 };
        assert_eq!(outliers(&cube(2000, 0.0, one), 3), [5]);
        for (pixels, bands, k) in [(0, 3, 1), (9, 40, 3), (3000, 4, 3), (2000, 1, 1), (50, 50, 0)] {
            assert!(outliers(&Cube::zeros(pixels, bands), k).is_empty(), "{pixels} {bands} {k}");
        }
        assert!(outliers(&Cube::zeros(3000, 40), 3).is_empty());
        // Pixels without light are unlike others in their share of noise alone.
        let mut dim = cube(2000, 0.01, |_, _, _| 0.0);
        for n in 0..5 {
            dim.spectrum_mut(n).iter_mut().enumerate().for_each(|(l, y)| {
                *y = (0.01 * normal(n, l)) as f32;
            });
        }
        assert!(outliers(&dim, 3).is_empty());
    }
}
