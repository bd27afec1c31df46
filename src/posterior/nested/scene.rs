//! The posterior of a scene's spectra on its own.

use nalgebra::{DMatrix, DVector};
use rayon::prelude::*;

use super::cut;
use super::shared::Shared;
use crate::engine::ground::math::softplus;
use crate::engine::ground::rng::{self, Stream};
use crate::engine::guide::Guide;

/// The posterior of a scene's spectra, and of how they vary.
#[derive(Debug, Clone, PartialEq)]
pub struct SceneNormal {
    pub(crate) spectra: SpectraNormal,
    /// How spectra vary between pixels, where bands share that; none where each has its own.
    pub(crate) shared: Option<Shared>,
    /// Mean spectrum of the pixels that have the common mixture, reflectance, (L); none where
    /// nobody looked, and it is that of the guide.
    pub(crate) mixture: Option<Vec<f64>>,
}

/// The posterior of the values of K spectra of L bands, one spectrum after the other.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum SpectraNormal {
    /// Values that are independent of each other, normal in u = softplus^-1(c).
    Independent {
        /// Mean of u, (K L).
        centre: Vec<f64>,
        /// Inverse sd of u, (K L).
        roots: Vec<f64>,
    },
    /// Values that are normal together, each cut off at zero.
    Cut {
        /// Mean of the normal, (K L); below zero where the pixels would have a value there.
        mean: Vec<f64>,
        /// Lower Cholesky factor of the inverse covariance, (K L, K L).
        factor: DMatrix<f64>,
        /// Sd of each value, (K L): roots of the diagonal of the covariance.
        sds: Vec<f64>,
    },
}

impl SceneNormal {
    /// The spectra's posterior as a guide has it: values that are independent of each other.
    pub fn of_guide(guide: &Guide) -> Self {
        let p = &guide.params;
        let at = |a: usize| (a / p.bands as usize) * p.stride() + a % p.bands as usize;
        let (centre, roots): (Vec<f64>, Vec<f64>) = (0..p.k() * p.bands as usize)
            .map(|a| guide.marginal(at(a)))
            .map(|(loc, scale)| (loc, 1.0 / scale.max(f64::MIN_POSITIVE)))
            .unzip();
        let spectra = SpectraNormal::Independent { centre, roots };
        SceneNormal { spectra, shared: None, mixture: None }
    }

    /// This, with spectra that vary between pixels as `shared` says.
    pub fn varying(self, shared: Shared) -> Self {
        SceneNormal { shared: Some(shared), ..self }
    }
}

impl SpectraNormal {
    /// The normal of a mean and the lower Cholesky factor of an inverse covariance, cut off at
    /// zero.
    pub(super) fn cut(mean: Vec<f64>, factor: DMatrix<f64>) -> Self {
        let sds = sds(&factor);
        SpectraNormal::Cut { mean, factor, sds }
    }

    /// This, if it is of so many values and all of its numbers are what such a posterior has.
    pub(crate) fn checked(self, size: usize) -> Option<Self> {
        let finite = |values: &[f64]| values.iter().all(|x| x.is_finite());
        let positive = |values: &[f64]| values.iter().all(|x| *x > 0.0 && x.is_finite());
        let sound = match &self {
            SpectraNormal::Independent { centre, roots } => finite(centre) && positive(roots),
            SpectraNormal::Cut { mean, factor, sds } => {
                finite(mean)
                    && positive(sds)
                    && finite(factor.as_slice())
                    && factor.diagonal().iter().all(|x| *x > 0.0)
            }
        };
        (sound && self.size() == Some(size)).then_some(self)
    }

    /// Number of values, K L; none where the parts do not agree.
    pub(crate) fn size(&self) -> Option<usize> {
        match self {
            SpectraNormal::Independent { centre, roots } => {
                (centre.len() == roots.len()).then_some(centre.len())
            }
            SpectraNormal::Cut { mean, factor, sds } => {
                let n = mean.len();
                (factor.shape() == (n, n) && sds.len() == n).then_some(n)
            }
        }
    }

    /// Spectra that stand for all, (K L): medians, or means of values that are cut off.
    pub(super) fn centre(&self) -> Vec<f64> {
        match self {
            SpectraNormal::Independent { centre, .. } => {
                centre.iter().map(|&u| softplus(u)).collect()
            }
            SpectraNormal::Cut { mean, sds, .. } => {
                mean.iter().zip(sds).map(|(&mean, &sd)| cut::mean(mean, sd)).collect()
            }
        }
    }

    /// Draw number `pair` of the spectra with a key, (K L), and its mirror image.
    pub(super) fn pair(&self, key: [u32; 2], pair: u32) -> [Vec<f64>; 2] {
        let normal = |a: usize| {
            let (block, at) = ((a / 4) as u32, a % 4);
            f64::from(rng::normals(key, Stream::Posterior, 0, pair, block, 0)[at])
        };
        self.pair_of((0..self.size().unwrap_or(0)).map(normal).collect())
    }

    /// The spectra that standard normals become, (K L), and those of their mirror image.
    fn pair_of(&self, normals: Vec<f64>) -> [Vec<f64>; 2] {
        match self {
            SpectraNormal::Independent { centre, roots } => [1.0, -1.0].map(|sign| {
                let off = normals.iter().zip(roots).map(|(x, root)| sign * x / root);
                centre.iter().zip(off).map(|(u, off)| softplus(u + off)).collect()
            }),
            SpectraNormal::Cut { mean, factor, sds } => {
                let mut off = DVector::from_vec(normals);
                // A factor of a positive matrix has no zero on its diagonal.
                factor.tr_solve_lower_triangular_mut(&mut off);
                [1.0, -1.0].map(|sign| {
                    let each = mean.iter().zip(sds).zip(off.iter());
                    each.map(|((&mean, &sd), off)| cut::cut(mean, sd, sign * off)).collect()
                })
            }
        }
    }
}

/// Sds of values whose inverse covariance has this lower factor: a column of its inverse at a time,
/// n^3 / 6 multiplications in all.
fn sds(factor: &DMatrix<f64>) -> Vec<f64> {
    let n = factor.nrows();
    let of = |a: usize| {
        let mut column = vec![0.0; n - a];
        column[0] = 1.0;
        for j in a..n {
            let x = column[j - a] / factor[(j, j)];
            column[j - a] = x;
            let below = &factor.as_slice()[j * n + j + 1..(j + 1) * n];
            column[j - a + 1..].iter_mut().zip(below).for_each(|(to, f)| *to -= x * f);
        }
        // The covariance is the product of the factor's inverse, transposed, with itself.
        column.iter().map(|x| x * x).sum::<f64>().sqrt()
    };
    (0..n).into_par_iter().map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sds_are_roots_of_the_diagonal_of_the_covariance() {
        let any = DMatrix::from_fn(7, 9, |i, j| ((i * 37 + j * 101 + i * j) % 89) as f64 / 89.0);
        let precision = &any * any.transpose() + DMatrix::identity(7, 7);
        let lower = precision.clone().cholesky().unwrap().l();
        let covariance = precision.try_inverse().unwrap();
        for (a, sd) in sds(&lower).into_iter().enumerate() {
            assert!((sd - covariance[(a, a)].sqrt()).abs() < 1e-12, "{a}");
        }
    }

    #[test]
    fn draws_of_values_at_zero_are_not_negative_and_keep_their_order() {
        let normal = SpectraNormal::cut(vec![0.0, 0.5], DMatrix::identity(2, 2) * 100.0);
        let [up, down] = normal.pair_of(vec![0.5, 0.5]);
        assert!(down[0] > 0.0 && up[0] > down[0] && up[1] > down[1], "{up:?} {down:?}");
        // The mean of a normal of sd 0.01 that is cut off at its mean.
        let centre = normal.centre();
        assert!((centre[0] - 0.01 * (2.0 / std::f64::consts::PI).sqrt()).abs() < 1e-9);
        assert_eq!(centre[1], 0.5);
        assert!(normal.clone().checked(2).is_some() && normal.checked(3).is_none());
        let broken = SpectraNormal::cut(vec![f64::NAN, 0.5], DMatrix::identity(2, 2));
        assert!(broken.checked(2).is_none());
    }
}
