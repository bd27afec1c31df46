//! An estimate against a truth, in both conventions: what `fit` and `score` share.

use crate::convention::{Convention, convert};
use crate::engine::ground::error::Result;
use crate::scene::Scene;
use crate::scene::Truth;
use crate::score::{Score, score_matched};
use ndarray::{Array2, Array3, ArrayView2, Axis};

/// The part of a truth that a scene's valid pixels and used bands can be compared with.
#[derive(Debug, Clone, PartialEq)]
pub struct Reference {
    /// Spectra, (K, L).
    pub endmembers: Option<Array2<f64>>,
    /// Abundances, (N, K).
    pub abundances: Option<Array2<f32>>,
}

/// Scores in the conventions that can be told from the estimate.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Scores {
    /// In shares of area; none for an estimate relative to peaks: these have lost the scale of the
    /// spectra.
    pub reflectance: Option<Score>,
    /// In shares of peak-normalised spectra.
    pub peak: Score,
}

impl Scores {
    /// The score in the estimate's own convention.
    pub fn own(&self) -> &Score {
        self.reflectance.as_ref().unwrap_or(&self.peak)
    }
}

impl Reference {
    /// The truth at the scene's pixels and bands.
    pub fn new(scene: &Scene, truth: &Truth) -> Self {
        let used: Vec<usize> = scene.bands().iter().map(|band| band.index).collect();
        Reference {
            endmembers: truth.endmembers.as_ref().map(|all| all.select(Axis(1), &used)),
            abundances: truth.abundances.as_ref().map(|maps| valid(scene, maps)),
        }
    }

    /// The truth in a convention. Without spectra there is no scale to convert by, and abundances
    /// stay as they are.
    pub fn in_convention(&self, convention: Convention) -> Result<Self> {
        let (endmembers, abundances) = match (&self.endmembers, &self.abundances) {
            (Some(c), Some(w)) => {
                let (c, w) = convert(c.view(), w.view(), convention)?;
                (Some(c), Some(w))
            }
            (c, w) => (c.clone(), w.clone()),
        };
        Ok(Reference { endmembers, abundances })
    }

    /// Scores an estimate, (K, L) and (N, K), that is in the convention `reported`.
    pub fn scores(
        &self,
        endmembers: ArrayView2<f64>,
        abundances: ArrayView2<f32>,
        reported: Convention,
    ) -> Result<Scores> {
        self.scores_matched(Some(endmembers), abundances, reported, None)
    }

    /// Scores an estimate that may have no spectra, and whose endmembers may be known by name:
    /// `matching` then has, for each true endmember, the index of the estimated one. Without
    /// spectra nothing can be converted, and the abundances are scored as they are against the
    /// truth in both conventions.
    pub fn scores_matched(
        &self,
        endmembers: Option<ArrayView2<f64>>,
        abundances: ArrayView2<f32>,
        reported: Convention,
        matching: Option<&[usize]>,
    ) -> Result<Scores> {
        let none = Array2::zeros((abundances.ncols(), 0));
        let one = |convention| {
            let truth = self.in_convention(convention)?;
            let true_w = truth.abundances.as_ref().map(|w| w.view());
            let Some(endmembers) = endmembers else {
                return score_matched(none.view(), abundances, None, true_w, matching);
            };
            let (c, w) = convert(endmembers, abundances, convention)?;
            let true_c = truth.endmembers.as_ref().map(|c| c.view());
            score_matched(c.view(), w.view(), true_c, true_w, matching)
        };
        let reflectance = match reported {
            Convention::Reflectance => Some(one(Convention::Reflectance)?),
            Convention::Peak => None,
        };
        Ok(Scores { reflectance, peak: one(Convention::Peak)? })
    }
}

/// The rows of a map (rows, cols, K) that belong to the scene's valid pixels, (N, K).
pub fn valid(scene: &Scene, maps: &Array3<f32>) -> Array2<f32> {
    let (_, cols, k) = maps.dim();
    Array2::from_shape_fn((scene.places().len(), k), |(n, i)| {
        let at = scene.places()[n] as usize;
        maps[[at / cols, at % cols, i]]
    })
}
