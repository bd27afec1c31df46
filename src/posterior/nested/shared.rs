//! Variability that bands share, equation 38: each endmember varies between pixels along a few
//! smooth shapes, and what a pixel has of them is integrated out.

use pulp::{Simd, WithSimd};

use super::products::{Table, products};
use super::vector::V;
use crate::engine::ground::lanes::LANES;

/// Shapes of each endmember: a level, a tilt and two waves along the bands.
pub const SHAPES: usize = 4;
/// A shape of less than this is none: relative sd between pixels.
const LEAST_SD: f64 = 1e-3;
/// Shapes of noise that bands share, whatever a pixel holds: half waves along the bands, from none.
pub const NOISE_SHAPES: usize = 6;
/// Noise of less than this along a shape is none: sd, reflectance.
const LEAST_NOISE: f64 = 1e-4;

/// How spectra and abundances vary between pixels, as learned from a scene.
#[derive(Debug, Clone, PartialEq)]
pub struct Shared {
    /// Sd of each shape, as a share of the spectrum, (K, [`SHAPES`]).
    pub sds: Vec<f64>,
    /// Sd of noise along each of [`NOISE_SHAPES`] shapes, reflectance.
    pub noise_sds: Vec<f64>,
    /// Noise variance of each band, (L).
    pub noise: Vec<f64>,
    /// Variance of each endmember between pixels that each band has for itself, (K, L).
    pub variability: Vec<f64>,
    /// Parameters of the abundances' Dirichlet, (K); none: those of the guide.
    pub dirichlet: Option<Vec<f64>>,
}

impl Shared {
    /// Whether bands share anything.
    pub(super) fn is_any(&self) -> bool {
        self.sds.iter().chain(&self.noise_sds).any(|&sd| sd > 0.0)
    }

    /// These values, if there are as many as K endmembers in so many bands have, and all of them
    /// are numbers that variances and sds can be.
    pub(crate) fn checked(self, k: usize, bands: usize) -> Option<Self> {
        let sizes = self.sds.len() == k * SHAPES
            && self.noise_sds.len() == NOISE_SHAPES
            && self.noise.len() == bands
            && self.variability.len() == k * bands;
        let all = [&self.sds, &self.noise_sds, &self.noise, &self.variability];
        let sound = all.into_iter().flatten().all(|x| x.is_finite() && *x >= 0.0);
        let is_one = |a: &Vec<f64>| a.len() == k && a.iter().all(|a| a.is_finite() && *a > 0.0);
        (sizes && sound && self.dirichlet.as_ref().is_none_or(is_one)).then_some(self)
    }
}

/// The values of a shape along the bands, of mean square one: cosines of no, one half, one ...
/// waves.
pub(super) fn shape(number: usize, band: usize, bands: usize) -> f64 {
    let at = (band as f64 + 0.5) / bands as f64;
    let size = if number == 0 { 1.0 } else { std::f64::consts::SQRT_2 };
    size * (std::f64::consts::PI * number as f64 * at).cos()
}

/// The shapes that count, as spectra.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Shapes {
    /// D: what one sd of each adds to its endmember, reflectance, (L, count).
    pub(super) columns: Vec<f32>,
    /// The endmember of each, (count); K for noise.
    pub(super) of: Vec<usize>,
    /// Its number among the shapes of that endmember, (count).
    pub(super) number: Vec<usize>,
}

impl Shapes {
    /// The shapes of `shared` of endmembers with spectra (K, L), but for those too small to matter.
    pub(super) fn of(shared: &Shared, spectra: &[f64], k: usize, bands: usize) -> Self {
        let of_endmembers = (0..k).flat_map(|i| (0..SHAPES).map(move |j| (i, j)));
        let of_endmembers = of_endmembers.filter(|&(i, j)| shared.sds[i * SHAPES + j] >= LEAST_SD);
        let of_noise = (0..shared.noise_sds.len()).filter(|&j| shared.noise_sds[j] >= LEAST_NOISE);
        let (of, number): (Vec<usize>, Vec<usize>) =
            of_endmembers.chain(of_noise.map(|j| (k, j))).unzip();
        let value = |l: usize, a: usize| {
            let (i, j) = (of[a], number[a]);
            let size = match i < k {
                true => shared.sds[i * SHAPES + j] * spectra[i * bands + l],
                false => shared.noise_sds[j],
            };
            size * shape(j, l, bands)
        };
        let count = of.len();
        let columns = (0..bands * count).map(|at| value(at / count, at % count) as f32).collect();
        Shapes { columns, of, number }
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.of.len()
    }
}

/// What takes the shared part out of quadratic forms. With precisions P of the bands and D u, the
/// shapes times the amounts of their endmembers, the covariance 1/P + D u u D' has the inverse P -
/// F F', where F = P D T', T = R^-1 u and R R' = 1 + u D'P D u (Woodbury).
#[derive(Default, Clone, Copy)]
pub(super) struct Projection<'a> {
    /// Number of shapes.
    pub(super) count: usize,
    /// D, (L, count).
    pub(super) columns: &'a [f32],
    /// T, lower triangular, (count, count, LANES).
    pub(super) taken: &'a [f32],
}

impl Projection<'_> {
    /// Values a lane that the forms of K endmembers need room for.
    pub(super) fn room(k: usize, count: usize) -> usize {
        (k + 1) * count
    }
}

/// Multiplies `rows` vectors of D'x, (rows, count, LANES), by T, in place: then they are F'x.
#[inline(always)]
pub(super) fn take<S: Simd>(
    simd: S,
    part: usize,
    (by, rows): (&Projection, usize),
    projected: &mut [f32],
) {
    let mut first = 0;
    while first < rows {
        first += match rows - first {
            1 => take_some::<S, 1>(simd, part, by, first, projected),
            2 => take_some::<S, 2>(simd, part, by, first, projected),
            3 => take_some::<S, 3>(simd, part, by, first, projected),
            _ => take_some::<S, 4>(simd, part, by, first, projected),
        };
    }
}

/// Does so to ROWS of them from `first` on, and gives ROWS.
#[inline(always)]
fn take_some<S: Simd, const ROWS: usize>(
    simd: S,
    part: usize,
    by: &Projection,
    first: usize,
    projected: &mut [f32],
) -> usize {
    let count = by.count;
    // From the last: T is lower triangular, so those before are still what they were.
    for a in (0..count).rev() {
        let mut sums = [V::splat(simd, 0.0); ROWS];
        for b in 0..=a {
            let taken = V::load(simd, by.taken, (a * count + b) * LANES + part);
            for (i, sum) in sums.iter_mut().enumerate() {
                let at = ((first + i) * count + b) * LANES + part;
                *sum = taken.mul_add(V::load(simd, projected, at), *sum);
            }
        }
        for (i, sum) in sums.into_iter().enumerate() {
            sum.store(projected, ((first + i) * count + a) * LANES + part);
        }
    }
    ROWS
}

/// Computes T at the amounts of sixteen pixels.
pub(super) struct Share<'a> {
    pub(super) shapes: &'a Shapes,
    /// P, (L, LANES).
    pub(super) precision: &'a [f32],
    /// Amounts, (K, LANES).
    pub(super) around: &'a [f32],
    /// T, (count, count, LANES).
    pub(super) taken: &'a mut [f32],
}

impl WithSimd for Share<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Share { shapes, precision, around, taken } = self;
        let count = shapes.count();
        for part in (0..LANES).step_by(S::F32_LANES) {
            let at = |a: usize, b: usize| (a * count + b) * LANES + part;
            let amount = |a: usize| match shapes.of[a] * LANES < around.len() {
                true => V::load(simd, around, shapes.of[a] * LANES + part),
                false => V::splat(simd, 1.0),
            };
            // 1 + u D'P D u, its lower half.
            let columns = Table { values: &shapes.columns, columns: count };
            products(simd, part, precision, (columns, columns), true, taken);
            for a in 0..count {
                for b in 0..=a {
                    let one = V::splat(simd, if a == b { 1.0 } else { 0.0 });
                    let sum = V::load(simd, taken, at(a, b));
                    (sum * amount(a)).mul_add(amount(b), one).store(taken, at(a, b));
                }
            }
            invert(simd, count, at, taken);
            for a in 0..count {
                for b in 0..count {
                    let value = match b <= a {
                        true => V::load(simd, taken, at(a, b)) * amount(b),
                        false => V::splat(simd, 0.0),
                    };
                    value.store(taken, at(a, b));
                }
            }
        }
    }
}

/// Turns the lower half of a symmetric matrix with no eigenvalue below 1 into the inverse of its
/// lower Cholesky factor, in place; `at` is where an element lies.
#[inline(always)]
fn invert<S: Simd>(simd: S, count: usize, at: impl Fn(usize, usize) -> usize, m: &mut [f32]) {
    for a in 0..count {
        for b in 0..=a {
            let mut rest = V::load(simd, m, at(a, b));
            for c in 0..b {
                let other = V::load(simd, m, at(b, c));
                rest = V::load(simd, m, at(a, c)).neg_mul_add(other, rest);
            }
            if a == b {
                // Rounding, and values that are no numbers.
                rest.max(V::splat(simd, 1.0)).sqrt().store(m, at(a, a));
            } else {
                (rest / V::load(simd, m, at(b, b))).store(m, at(a, b));
            }
        }
    }
    // Row by row from the top: those above are inverted.
    for a in 0..count {
        let own = V::splat(simd, 1.0) / V::load(simd, m, at(a, a));
        for b in 0..a {
            let mut sum = V::splat(simd, 0.0);
            for c in b..a {
                sum = V::load(simd, m, at(a, c)).mul_add(V::load(simd, m, at(c, b)), sum);
            }
            // Elements of this row further left were taken before they were written.
            (V::splat(simd, 0.0) - sum * own).store(m, at(a, b));
        }
        own.store(m, at(a, a));
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::posterior::nested::forms::Forms;
    use nalgebra::{DMatrix, DVector};

    const BANDS: usize = 9;
    const K: usize = 3;

    fn value(seed: usize, at: usize) -> f32 {
        ((at * 37 + seed * 101) % 89) as f32 / 89.0 + 0.05
    }

    fn many(seed: usize, count: usize) -> Vec<f32> {
        (0..count).map(|at| value(seed, at)).collect()
    }

    /// What `sds` of all shapes of all endmembers, and of noise, are learned as.
    fn shared(sd: f64, noise: f64) -> Shared {
        Shared {
            sds: (0..K * SHAPES).map(|at| sd * (1.0 + at as f64 / 10.0)).collect(),
            noise_sds: (0..NOISE_SHAPES).map(|at| noise * (1.0 + at as f64 / 5.0)).collect(),
            noise: vec![0.01; BANDS],
            variability: vec![0.0; K * BANDS],
            dirichlet: None,
        }
    }

    /// Slopes and curvatures of the pixels' forms, and the same with the covariance written out;
    /// `scale` is what the true shapes are multiplied by.
    fn compare(sd: f64, noise: f64, scale: f64) -> Vec<(f64, f64)> {
        let spectra: Vec<f64> = many(1, K * BANDS).into_iter().map(f64::from).collect();
        let shapes = Shapes::of(&shared(sd, noise), &spectra, K, BANDS);
        let by_bands: Vec<f32> =
            (0..BANDS * K).map(|at| spectra[at % K * BANDS + at / K] as f32).collect();
        let (y, around) = (many(2, BANDS * LANES), many(4, K * LANES));
        let precision: Vec<f32> = many(3, BANDS * LANES).iter().map(|x| 100.0 * x).collect();
        let count = shapes.count();
        let mut taken = vec![0.0; count * count * LANES];
        let share =
            Share { shapes: &shapes, precision: &precision, around: &around, taken: &mut taken };
        pulp::Arch::new().dispatch(share);
        let (mut linear, mut square) = (vec![0.0; K * LANES], vec![0.0; K * K * LANES]);
        pulp::Arch::new().dispatch(Forms {
            k: K,
            spectra: &by_bands,
            y: &y,
            precision: &precision,
            around: &around,
            shared: Projection { count, columns: &shapes.columns, taken: &taken },
            room: &mut vec![0.0; Projection::room(K, count) * LANES],
            weighted: &mut vec![0.0; BANDS * LANES],
            linear: &mut linear,
            square: Some(&mut square),
        });
        let mut pairs = Vec::new();
        for lane in 0..LANES {
            let at = |from: &[f32], column: usize| f64::from(from[column * LANES + lane]);
            let covariance = DMatrix::from_fn(BANDS, BANDS, |l, m| {
                let of = |a: usize| {
                    let u = if shapes.of[a] < K { at(&around, shapes.of[a]) } else { 1.0 };
                    let d = |l: usize| f64::from(shapes.columns[l * count + a]);
                    scale * u * u * d(l) * d(m)
                };
                let own = if l == m { 1.0 / at(&precision, l) } else { 0.0 };
                own + (0..count).map(of).sum::<f64>()
            });
            let inverse = covariance.try_inverse().unwrap();
            let c = DMatrix::from_fn(BANDS, K, |l, i| spectra[i * BANDS + l]);
            let u = DVector::from_fn(K, |i, _| at(&around, i));
            let rest = DVector::from_fn(BANDS, |l, _| at(&y, l)) - &c * u;
            let slope = c.transpose() * &inverse * rest;
            let bend = c.transpose() * inverse * &c;
            for i in 0..K {
                pairs.push((at(&linear, i), slope[i]));
                pairs.extend((0..K).map(|j| (at(&square, i * K + j), bend[(i, j)])));
            }
        }
        pairs
    }

    fn off(pairs: &[(f64, f64)]) -> f64 {
        let largest = pairs.iter().map(|p| p.1.abs()).fold(0.0, f64::max);
        pairs.iter().map(|p| (p.0 - p.1).abs()).fold(0.0, f64::max) / largest
    }

    #[test]
    fn forms_are_those_of_the_covariance_written_out() {
        for (sd, noise) in [(0.3, 0.0), (0.0, 0.2), (0.1, 0.05), (2.0, 1.0)] {
            // Sums in f32 of which nearly all is taken out again.
            let pairs = compare(sd, noise, 1.0);
            assert!(off(&pairs) < 1e-3, "{sd} {noise}: {}", off(&pairs));
            // Other shapes: seen.
            assert!(off(&compare(sd, noise, 1.5)) > 1e-2);
        }
    }

    #[test]
    fn shapes_too_small_to_matter_are_none() {
        let spectra = vec![0.3; K * BANDS];
        assert_eq!(Shapes::of(&shared(1e-4, 1e-6), &spectra, K, BANDS).count(), 0);
        let shapes = Shapes::of(&shared(0.02, 0.01), &spectra, K, BANDS);
        assert_eq!(shapes.count(), K * SHAPES + NOISE_SHAPES);
    }

    #[test]
    fn values_from_a_file_are_checked() {
        assert!(shared(0.1, 0.1).checked(K, BANDS).is_some());
        assert!(shared(0.1, 0.1).checked(K, BANDS + 1).is_none());
        assert!(shared(f64::NAN, 0.1).checked(K, BANDS).is_none());
        assert!(shared(-0.1, 0.1).checked(K, BANDS).is_none());
    }
}
