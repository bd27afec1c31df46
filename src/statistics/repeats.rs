//! Pixels that repeat each other: as far as their noise tells, they are one mixture. Ten thousand
//! of them say what one of them says, with less noise. A model of a scene counts each as evidence,
//! so that where most pixels are one mixture, that mixture is what a fit explains best: as a
//! material of its own, or at the cost of the few pixels that tell its materials apart.

use nalgebra::DMatrix;
use ndarray::{Array1, Array2, ArrayView1, Axis};
use rayon::prelude::*;

use crate::engine::ground::math::{chi_squared, median};
use crate::engine::ground::sample::spaced;
use crate::scene::Cube;
use crate::statistics::moments::products;
use crate::statistics::principal::Spread;
use crate::statistics::residuals::Residuals;

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
/// The least noise sd of a band, reflectance: pixels without noise repeat each other exactly.
const LEAST_NOISE: f64 = 1e-4;
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
    let (inner, outer) = (chi_squared(k - 1, HALF), chi_squared(k - 1, WITHIN));
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
/// and no correlation. None where there is none that is finite.
fn in_units_of_noise(cube: &Cube, k: usize) -> Option<Array2<f64>> {
    let part = cube.select(&spaced(cube.pixels(), ENOUGH).collect::<Vec<usize>>());
    let axes = Spread::about_zero(&part).leading(k).vectors;
    let left = Residuals::new(&part, &axes);
    let bands = cube.bands();
    // What k directions leave has lost k of the bands' degrees of freedom; half of the squares of
    // normals lie below 0.455 of their mean, whatever a few pixels leave that others do not.
    let lost = bands as f64 / (bands - k) as f64;
    let variance = |l: usize| {
        let square = |n: usize| left.in_band(n, l).powi(2);
        let typical = median((0..part.pixels()).map(square).collect())?;
        Some(typical * lost / 0.455 + LEAST_NOISE.powi(2))
    };
    let noise: Vec<f64> = (0..bands).into_par_iter().map(variance).collect::<Option<_>>()?;
    let weighed = Array2::from_shape_fn((bands, k), |(l, i)| axes[[l, i]] * noise[l]);
    let covariance = axes.t().dot(&weighed);
    let dense = DMatrix::from_fn(k, k, |i, j| covariance[[i, j]]);
    let inverse = dense.cholesky()?.l().try_inverse()?;
    let whiten = Array2::from_shape_fn((k, k), |(i, j)| inverse[(j, i)]);
    let at = products(cube, axes.dot(&whiten).view());
    at.iter().all(|x| x.is_finite()).then_some(at)
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
    let some = |most: usize| spaced(free.len(), most).map(|i| free[i]);
    let counted: Vec<usize> = some(COUNTED).collect();
    let around = |centre: &Array1<f64>, among: &[usize], radius: f64| -> Vec<usize> {
        among.iter().copied().filter(|&n| off(at.row(n), centre) <= radius).collect()
    };
    let tried: Vec<usize> = some(TRIED).collect();
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::ground::rng::{self, Stream};

    const BANDS: usize = 30;

    fn normal(n: usize, i: usize) -> f64 {
        rng::normal_at(rng::key(3), Stream::Posterior, 0, 0, n as u32, i as u32).into()
    }

    /// Three materials mixed by `shares`, as bright as `bright`, with noise of one sd.
    fn cube(
        pixels: usize,
        noise: f64,
        shares: impl Fn(usize) -> [f64; 3],
        bright: impl Fn(usize) -> f64,
    ) -> Cube {
        let mut cube = Cube::zeros(pixels, BANDS);
        for n in 0..pixels {
            let (w, by) = (shares(n), bright(n));
            for (l, y) in cube.spectrum_mut(n).iter_mut().enumerate() {
                let x = l as f64 / BANDS as f64;
                let c = [0.2 + 0.5 * x, 0.6 - 0.4 * x, 0.4 + 0.2 * (7.0 * x).sin()];
                let mix: f64 = w.iter().zip(c).map(|(w, c)| w * c).sum();
                *y = (by * mix + noise * normal(n, l)) as f32;
            }
        }
        cube
    }

    /// Shares all over the simplex: squares of normals over their sum.
    fn anywhere(n: usize) -> [f64; 3] {
        let e = [0, 1, 2].map(|i| normal(n, 100 + i).powi(2));
        e.map(|x| x / e.iter().sum::<f64>())
    }

    const SHARED: [f64; 3] = [0.3, 0.3, 0.4];

    #[test]
    fn a_mixture_that_most_pixels_repeat_is_kept_as_often_as_there_are_others() {
        let own = |n: usize| n.is_multiple_of(5);
        for (noise, bright) in [(0.01, 0.0), (0.01, 0.2), (0.0, 0.0)] {
            let of = |n: usize| if own(n) { anywhere(n) } else { SHARED };
            let cube = cube(4000, noise, of, |n| (bright * normal(n, 200)).exp());
            let kept = without_repeats(&cube, 3);
            assert!(kept.windows(2).all(|pair| pair[0] < pair[1]));
            let (others, repeats): (Vec<usize>, Vec<usize>) = kept.iter().partition(|&&n| own(n));
            // Of 800 some lie where the shared mixture is, of 3,200 one in a hundred outside.
            assert!((740..=800).contains(&others.len()), "{noise} {bright}: {}", others.len());
            assert!((740..=920).contains(&repeats.len()), "{noise} {bright}: {}", repeats.len());
            // From everywhere in the scene.
            assert!(repeats.windows(2).all(|pair| pair[1] - pair[0] < 60));
        }
    }

    #[test]
    fn two_mixtures_are_each_kept_as_often_as_there_are_others() {
        let of = |n: usize| match n % 10 {
            0 | 1 => anywhere(n),
            2..=5 => SHARED,
            _ => [0.7, 0.2, 0.1],
        };
        let kept = without_repeats(&cube(4000, 0.01, of, |_| 1.0), 3);
        let count = |digits: std::ops::Range<usize>| {
            kept.iter().filter(|&&n| digits.contains(&(n % 10))).count()
        };
        assert!((700..=800).contains(&count(0..2)), "{}", count(0..2));
        for digits in [2..6, 6..10] {
            let found = count(digits.clone());
            assert!((700..=880).contains(&found), "{digits:?}: {found}");
        }
    }

    #[test]
    fn scenes_in_which_nothing_is_repeated_keep_all_pixels() {
        let all = (0..4000).collect::<Vec<usize>>();
        assert_eq!(without_repeats(&cube(4000, 0.01, anywhere, |_| 1.0), 3), all);
        // A cloud about one mixture that is as wide as its noise is no repetition.
        let near = |n: usize| {
            let off = [0, 1].map(|i| 0.03 * normal(n, 100 + i));
            [SHARED[0] + off[0], SHARED[1] + off[1], SHARED[2] - off[0] - off[1]]
        };
        assert_eq!(without_repeats(&cube(4000, 0.01, near, |_| 1.0), 3), all);
        // One in four pixels are no dominant mixture.
        let of = |n: usize| if n.is_multiple_of(4) { SHARED } else { anywhere(n) };
        assert_eq!(without_repeats(&cube(4000, 0.01, of, |_| 1.0), 3), all);
    }

    #[test]
    fn odd_scenes_have_an_outcome() {
        assert!(without_repeats(&Cube::zeros(0, 3), 2).is_empty());
        // Nothing but one mixture: enough of it to know its noise.
        let one = without_repeats(&cube(3000, 0.01, |_| SHARED, |_| 1.0), 3);
        assert!((FEWEST..2 * FEWEST).contains(&one.len()), "{}", one.len());
        // No light at all, one endmember, more of them than bands, and few pixels.
        assert_eq!(without_repeats(&Cube::zeros(3000, 5), 2).len(), 3000);
        let repeated = |pixels: usize| cube(pixels, 0.01, |_| SHARED, |_| 1.0);
        assert_eq!(without_repeats(&repeated(3000), 1).len(), 3000);
        assert_eq!(without_repeats(&repeated(3000), BANDS).len(), 3000);
        assert_eq!(without_repeats(&repeated(2 * FEWEST), 3).len(), 2 * FEWEST);
    }
}
