//! The leading principal directions of the spectra in a cube, without more work than its smaller
//! side asks for.
//!
//! A matrix of bands x bands takes time that grows with the cube of the bands: half a minute for
//! 1,200 of them. Where pixels are few, the matrix of pixels x pixels has the same eigenvalues;
//! where both are many, a block of vectors is multiplied by the cube until it spans the leading
//! directions (subspace iteration: Halko, Martinsson and Tropp 2011, "Finding structure with
//! randomness", SIAM Review 53).

use nalgebra::DMatrix;
use ndarray::{Array1, Array2, ArrayView2, Axis, s};
use rand::{SeedableRng, rngs::ChaCha8Rng};
use rand_distr::{Distribution, StandardNormal};

use super::moments::{eigen, pixels_times, products, second_moment};
use crate::scene::Cube;

/// Matrices up to this size are decomposed as a whole: that takes some 50 ms.
const DENSE: usize = 320;
/// Directions beside the wanted ones, which let these converge faster.
const SPARE: usize = 10;
/// Rounds, at most. The part of a direction that is not found shrinks with the ratio of two
/// eigenvalues, squared, a round: what is not found after so many is as good as its neighbour.
const ROUNDS: usize = 60;
/// Rounds end when they add less than this share to the squares that the directions hold.
const SETTLED: f64 = 1e-11;

/// How spectra lie about a centre: what `E (y - centre)(y - centre)'`, (L, L), says, which is kept
/// only where it is small.
pub(crate) struct Spread<'a> {
    cube: &'a Cube,
    centre: Array1<f64>,
    dense: Option<Array2<f64>>,
}

/// Eigenvalues, the largest first, and their unit eigenvectors as columns (L, k).
pub(crate) struct Leading {
    pub(crate) values: Vec<f64>,
    pub(crate) vectors: Array2<f64>,
}

impl<'a> Spread<'a> {
    /// About `centre`, (L).
    pub(crate) fn new(cube: &'a Cube, centre: Array1<f64>) -> Self {
        let dense = (cube.bands() <= DENSE).then(|| second_moment(cube, &centre));
        Spread { cube, centre, dense }
    }

    /// About zero.
    pub(crate) fn about_zero(cube: &'a Cube) -> Self {
        Spread::new(cube, Array1::zeros(cube.bands()))
    }

    /// About zero, from that about the mean.
    pub(crate) fn moved_to_zero(self) -> Self {
        let Spread { cube, centre: mean, dense } = self;
        let dense = dense.map(|mut matrix| {
            for (i, mut row) in matrix.rows_mut().into_iter().enumerate() {
                row.scaled_add(mean[i], &mean);
            }
            matrix
        });
        Spread { cube, centre: Array1::zeros(mean.len()), dense }
    }

    /// Sum of all eigenvalues: the mean square distance from the centre.
    pub(crate) fn total(&self) -> f64 {
        if let Some(matrix) = &self.dense {
            return matrix.diag().sum();
        }
        let squares = (0..self.cube.pixels()).map(|n| {
            let pairs = self.cube.spectrum(n).iter().zip(&self.centre);
            pairs.map(|(&y, c)| (f64::from(y) - c).powi(2)).sum::<f64>()
        });
        squares.sum::<f64>() / self.cube.pixels().max(1) as f64
    }

    /// The `k` leading directions, at most as many as there are bands.
    pub(crate) fn leading(&self, k: usize) -> Leading {
        let k = k.min(self.cube.bands());
        if let Some(matrix) = &self.dense {
            let (values, vectors) = eigen(matrix);
            return Leading {
                values: values[..k].to_vec(),
                vectors: vectors.slice_move(s![.., ..k]),
            };
        }
        let small = self.cube.pixels() <= DENSE.max(k);
        let Leading { mut values, mut vectors } =
            if small { self.by_pixels(k) } else { self.by_iteration(k) };
        complete(&mut vectors, &values);
        values.iter_mut().for_each(|value| *value = value.max(0.0));
        Leading { values, vectors }
    }

    /// From the matrix of pixels x pixels. Directions without a value come out as zero.
    fn by_pixels(&self, k: usize) -> Leading {
        let (n, bands) = (self.cube.pixels(), self.cube.bands());
        let centred = Array2::from_shape_fn((n, bands), |(pixel, band)| {
            f64::from(self.cube.spectrum(pixel)[band]) - self.centre[band]
        });
        let (values, left) = eigen(&(centred.dot(&centred.t()) / n.max(1) as f64));
        let found = k.min(n);
        let mut vectors = Array2::zeros((bands, k));
        vectors.slice_mut(s![.., ..found]).assign(&centred.t().dot(&left.slice(s![.., ..found])));
        let mut values = values[..found].to_vec();
        values.resize(k, 0.0);
        for mut column in vectors.columns_mut() {
            let length = column.dot(&column).sqrt();
            if length > 0.0 {
                column /= length;
            }
        }
        Leading { values, vectors }
    }

    /// By subspace iteration.
    fn by_iteration(&self, k: usize) -> Leading {
        let bands = self.cube.bands();
        let width = (k + SPARE).min(bands);
        // The same block every time: the same scene has the same directions.
        let rng = &mut ChaCha8Rng::seed_from_u64(0);
        let mut block = Array2::from_shape_fn((bands, width), |_| StandardNormal.sample(rng));
        orthonormalise(&mut block);
        let mut before = 0.0;
        for _ in 0..ROUNDS {
            let mut image = self.times(block.view());
            // Ritz values of the block, whose sum grows towards that of the eigenvalues.
            let (values, turn) = eigen(&symmetric(&block.t().dot(&image)));
            let held: f64 = values.iter().take(k).sum();
            if held - before <= SETTLED * held.abs() {
                return Leading {
                    values: values[..k].to_vec(),
                    vectors: block.dot(&turn.slice(s![.., ..k])),
                };
            }
            before = held;
            image = image.dot(&turn);
            orthonormalise(&mut image);
            block = image;
        }
        let (values, turn) = eigen(&symmetric(&block.t().dot(&self.times(block.view()))));
        Leading { values: values[..k].to_vec(), vectors: block.dot(&turn.slice(s![.., ..k])) }
    }

    /// The matrix times `block`, (L, J).
    fn times(&self, block: ArrayView2<f64>) -> Array2<f64> {
        let n = self.cube.pixels().max(1) as f64;
        let mut along = products(self.cube, block);
        along -= &self.centre.dot(&block);
        let sums = along.sum_axis(Axis(0));
        let mut image = pixels_times(self.cube, along.view());
        for (mut row, centre) in image.rows_mut().into_iter().zip(&self.centre) {
            row.scaled_add(-centre, &sums);
        }
        image / n
    }
}

fn symmetric(matrix: &Array2<f64>) -> Array2<f64> {
    (matrix + &matrix.t()) / 2.0
}

/// Makes columns orthonormal. A column inside the span of those before becomes some other
/// direction.
fn orthonormalise(block: &mut Array2<f64>) {
    let (rows, columns) = block.dim();
    let dense = DMatrix::from_fn(rows, columns, |i, j| block[[i, j]]);
    let q = dense.qr().q();
    block.indexed_iter_mut().for_each(|((i, j), value)| *value = q[(i, j)]);
}

/// Replaces columns that belong to no value with unit vectors orthogonal to all others.
fn complete(vectors: &mut Array2<f64>, values: &[f64]) {
    let (bands, k) = vectors.dim();
    let least = values.first().copied().unwrap_or(0.0).max(0.0) * f64::EPSILON * bands as f64;
    let mut axis = 0;
    for column in 0..k {
        if values[column] > least {
            continue;
        }
        while axis < bands {
            let mut unit = Array1::zeros(bands);
            unit[axis] = 1.0;
            axis += 1;
            // Twice is enough (Parlett 1980, section 6.9).
            for _ in 0..2 {
                for other in (0..k).filter(|&other| other < column || values[other] > least) {
                    let member = vectors.column(other);
                    let share = unit.dot(&member);
                    unit.scaled_add(-share, &member);
                }
            }
            let length = unit.dot(&unit).sqrt();
            if length > 1e-6 {
                vectors.column_mut(column).assign(&(unit / length));
                break;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::ground::rng::{self, Stream};
    use crate::statistics::moments::mean_spectrum;

    /// Mixtures of three spectra with noise.
    fn cube(pixels: usize, bands: usize) -> Cube {
        let mut cube = Cube::zeros(pixels, bands);
        for n in 0..pixels {
            let normal = |l: u32| rng::normal_at(rng::key(5), Stream::Posterior, 0, 0, n as u32, l);
            let (a, b) = (0.3 + 0.1 * normal(9000), 0.5 + 0.05 * normal(9001));
            for l in 0..bands {
                let at = l as f32 / bands as f32;
                let mix = a * (1.0 + at) + b * (6.0 * at).sin() + 0.02 * normal(9002) * at * at;
                cube.spectrum_mut(n)[l] = mix + 0.001 * normal(l as u32);
            }
        }
        cube
    }

    /// Sine of the largest angle between the spans of two sets of orthonormal columns.
    fn apart(a: &Array2<f64>, b: &Array2<f64>) -> f64 {
        let left = b - &a.dot(&a.t().dot(b));
        left.columns().into_iter().map(|c| c.dot(&c).sqrt()).fold(0.0, f64::max)
    }

    fn assert_orthonormal(vectors: &Array2<f64>) {
        let gram = vectors.t().dot(vectors);
        for ((i, j), value) in gram.indexed_iter() {
            let wanted = f64::from(u8::from(i == j));
            // Some roundings of sums over hundreds of bands.
            assert!((value - wanted).abs() < 1e-9, "({i}, {j}): {value}");
        }
    }

    #[test]
    fn every_way_finds_the_same_directions() {
        for (pixels, about_mean) in [(40, true), (40, false), (900, true), (900, false)] {
            let cube = cube(pixels, DENSE + 30);
            let centre = match about_mean {
                true => mean_spectrum(&cube),
                false => Array1::zeros(cube.bands()),
            };
            let whole = second_moment(&cube, &centre);
            let (values, vectors) = eigen(&whole);
            let spread = Spread::new(&cube, centre);
            assert!(spread.dense.is_none());
            let found = spread.leading(3);
            assert!((spread.total() - whole.diag().sum()).abs() < 1e-10 * whole.diag().sum());
            assert_orthonormal(&found.vectors);
            for (found, exact) in found.values.iter().zip(&values) {
                // The rounds end at 1e-11 of their sum.
                assert!((found - exact).abs() < 1e-9 * values[0], "{found} for {exact}");
            }
            let exact = vectors.slice(s![.., ..3]).to_owned();
            let angle = apart(&exact, &found.vectors);
            assert!(angle < 1e-4, "{pixels}: {angle}");
            // The comparison sees directions that are not these.
            assert!(apart(&exact, &vectors.slice(s![.., 3..6]).to_owned()) > 0.9);
        }
    }

    #[test]
    fn from_the_mean_to_zero_is_as_from_zero() {
        for bands in [20, DENSE + 5] {
            let cube = cube(50, bands);
            let moved = Spread::new(&cube, mean_spectrum(&cube)).moved_to_zero().leading(2);
            let straight = Spread::about_zero(&cube).leading(2);
            assert!(apart(&straight.vectors, &moved.vectors) < 1e-6);
        }
    }

    #[test]
    fn scenes_without_enough_directions_still_give_a_basis() {
        for (pixels, bands, k) in [(3, DENSE + 9, 3), (1, DENSE + 9, 4), (400, DENSE + 9, 5)] {
            let flat = Spread::about_zero(&Cube::zeros(pixels, bands)).leading(k).vectors;
            assert_orthonormal(&flat);
            let mut one = Cube::zeros(pixels, bands);
            one.spectrum_mut(0).iter_mut().enumerate().for_each(|(l, y)| *y = 1.0 + l as f32);
            let found = Spread::about_zero(&one).leading(k);
            assert_orthonormal(&found.vectors);
            assert!(found.values[0] > 0.0 && found.values[1] < 1e-9 * found.values[0]);
        }
    }
}
