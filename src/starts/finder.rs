//! The families of starts on one scene, with what they share computed once.

use std::sync::OnceLock;

use ndarray::{Array2, Axis, concatenate};
use rayon::prelude::*;

use super::clusters::{self, Clusters};
use super::sample::Sample;
use super::vca::Projections;
use super::{
    Init, Start, check_count, check_finite, fcls, nfindr, nnls, purest, random,
    residual_candidates, simplex, spectra_of,
};
use crate::engine::ground::error::{Error, Result};
use crate::scene::Cube;

/// Floors of brightness, as shares of the mean: when brightness is divided out, a darker pixel is
/// brightened no more than one at the floor, as its shape is noise. Which floor is right differs
/// between scenes and cannot be told from how well a start fits, so starts take these in turn.
const FLOORS: [f64; 3] = [0.6, 1.0, 0.3];
/// Pixels, at most, that tell how well a start fits.
const JUDGES: usize = 4000;

pub(super) struct Finder<'a> {
    k: usize,
    brightness: bool,
    sample: Sample<'a>,
    /// Evenly spaced pixels of the sample, and their weights.
    judges: (Cube, Vec<f64>),
    projections: OnceLock<Projections>,
    shapes: [OnceLock<Shapes>; FLOORS.len()],
    directions: OnceLock<Array2<f64>>,
}

/// The cube with every spectrum divided by its sum over bands, at the mean sum.
struct Shapes {
    cube: Cube,
    projections: Projections,
}

impl<'a> Finder<'a> {
    /// A finder of starts of `k` endmembers. The seed chooses the sample of a large scene.
    pub(super) fn new(cube: &'a Cube, k: usize, brightness: bool, seed: u64) -> Result<Self> {
        check_count(cube, k)?;
        check_finite(cube)?;
        let sample = Sample::new(cube, k, seed);
        let step = sample.weights.len().div_ceil(JUDGES).max(1);
        let judges: Vec<usize> = (0..sample.weights.len()).step_by(step).collect();
        let weights = judges.iter().map(|&pixel| sample.weights[pixel]).collect();
        Ok(Finder {
            k,
            brightness,
            judges: (sample.cube.select(&judges), weights),
            sample,
            projections: OnceLock::new(),
            shapes: Default::default(),
            directions: OnceLock::new(),
        })
    }

    /// Spectra (K, L) of some families, and how badly they fit, side by side.
    pub(super) fn each(
        &self,
        inits: &[&Init],
        seed: u64,
        round: usize,
    ) -> Vec<Result<(Array2<f64>, f64)>> {
        self.prepare(inits, round);
        let one = |init: &&Init| {
            let spectra = self.spectra(init, seed, round)?;
            let misfit = self.misfit(&spectra)?;
            Ok((spectra, misfit))
        };
        inits.par_iter().with_max_len(1).map(one).collect()
    }

    /// Computes what several of the families need. It must be there before they go side by side: a
    /// thread that computes it takes up other work while it waits for its own, perhaps a family
    /// that waits for the result.
    fn prepare(&self, inits: &[&Init], round: usize) {
        let (mut plain, mut shapes, mut clusters) = (false, false, false);
        for init in inits {
            match init {
                Init::Vca | Init::NFindr | Init::Simplex => plain = true,
                Init::VcaNormalised | Init::NFindrNormalised | Init::SimplexNormalised => {
                    shapes = true;
                }
                Init::Clusters => clusters = true,
                Init::Random | Init::Spectra(_) => {}
            }
        }
        let others = || {
            rayon::join(
                || shapes.then(|| self.shapes(round)),
                || clusters.then(|| self.directions()),
            )
        };
        rayon::join(|| plain.then(|| self.projections()), others);
    }

    /// Spectra (K, L) of one family. Of the rounds of a search, each treats dark pixels
    /// differently.
    pub(super) fn spectra(&self, init: &Init, seed: u64, round: usize) -> Result<Array2<f64>> {
        let cube = &*self.sample.cube;
        match init {
            Init::Spectra(spectra) => {
                super::check_spectra(cube, self.k, spectra)?;
                Ok(spectra.clone())
            }
            Init::Clusters => self.mixed_least(seed, round),
            Init::Random => self.robust(cube, &random(cube, self.k, seed)?),
            Init::Vca => self.best(cube, self.projections().corners(cube, seed)),
            Init::VcaNormalised => {
                let shapes = self.shapes(round);
                self.best(&shapes.cube, shapes.projections.corners(&shapes.cube, seed))
            }
            Init::NFindr => self.robust(cube, &nfindr::largest(cube, self.projections(), seed)),
            Init::Simplex => self.around(cube, self.projections(), (seed, round)),
            Init::SimplexNormalised => {
                let Shapes { cube, projections } = self.shapes(round);
                self.around(cube, projections, (seed, round))
            }
            Init::NFindrNormalised => {
                let Shapes { cube, projections } = self.shapes(round);
                self.robust(cube, &nfindr::largest(cube, projections, seed))
            }
        }
    }

    /// Root of the mean square that mixtures of these spectra leave, reflectance, over some of the
    /// pixels.
    pub(super) fn misfit(&self, endmembers: &Array2<f64>) -> Result<f64> {
        let (cube, weights) = &self.judges;
        let start = Start::around(cube, endmembers.clone(), self.brightness, "")?;
        let squares: f64 = start.misfits(cube).iter().zip(weights).map(|(s, w)| s * w).sum();
        Ok((squares / (weights.iter().sum::<f64>() * cube.bands() as f64)).sqrt())
    }

    fn projections(&self) -> &Projections {
        self.projections.get_or_init(|| Projections::new(&self.sample.cube, self.k))
    }

    fn shapes(&self, round: usize) -> &Shapes {
        let which = round % FLOORS.len();
        self.shapes[which].get_or_init(|| Shapes::new(&self.sample.cube, self.k, FLOORS[which]))
    }

    fn directions(&self) -> &Array2<f64> {
        self.directions.get_or_init(|| clusters::directions(&self.sample.cube, self.k))
    }

    /// Clusters of spectral shape.
    pub(super) fn clusters(&self, seed: u64, round: usize) -> Clusters {
        Clusters::new(&self.sample, self.directions(), self.k, FLOORS[round % FLOORS.len()], seed)
    }

    /// Robust spectra for the pixels that leave least.
    fn best(&self, base: &Cube, candidates: Vec<Vec<usize>>) -> Result<Array2<f64>> {
        let found: Vec<Array2<f64>> =
            candidates.iter().map(|pixels| self.robust(base, pixels)).collect::<Result<_>>()?;
        let mut best: Option<(f64, &Array2<f64>)> = None;
        for spectra in &found {
            // Nothing to choose from costs no misfit.
            let misfit = if found.len() > 1 { self.misfit(spectra)? } else { 0.0 };
            if best.is_none_or(|(least, _)| misfit < least) {
                best = Some((misfit, spectra));
            }
        }
        best.map(|(_, spectra)| spectra.clone())
            .ok_or_else(|| Error::Fit("No start was found.".into()))
    }

    /// The smallest simplex around `base`, the cube or its shapes; its corners where that has none.
    fn around(
        &self,
        base: &Cube,
        projections: &Projections,
        (seed, round): (u64, usize),
    ) -> Result<Array2<f64>> {
        let corners = nfindr::largest(base, projections, seed);
        let penalty = simplex::PENALTIES[round % simplex::PENALTIES.len()];
        let shares =
            projections.affine().and_then(|points| simplex::smallest(points, &corners, penalty));
        let found = shares.and_then(|shares| simplex::spectra(&self.sample.cube, base, &shares));
        match found {
            Some(found) => Ok(found),
            None => self.robust(base, &corners),
        }
    }

    /// Means of the purest pixels where `pixels` of `base`, the cube or its shapes, are endmembers.
    fn robust(&self, base: &Cube, pixels: &[usize]) -> Result<Array2<f64>> {
        let cube = &*self.sample.cube;
        let extremes = spectra_of(base, pixels);
        let means = purest(base, &fcls(base, &extremes)?, &extremes)?;
        if std::ptr::eq(base, cube) {
            return Ok(means);
        }
        purest(cube, &fcls(base, &means)?, &spectra_of(cube, pixels))
    }

    /// Corners among the clusters; random pixels for what is missing where pixels coincide.
    fn mixed_least(&self, seed: u64, round: usize) -> Result<Array2<f64>> {
        let mut clusters = self.clusters(seed, round);
        let first = clusters.corners(self.k, seed);
        // A material that fills few pixels may have no cluster: it shows in what these leave.
        let cube = &*self.sample.cube;
        let amounts = nnls(cube, &first)?.mapv(f64::from);
        let fitted = |pixel: usize| amounts.row(pixel).dot(&first);
        clusters.add(residual_candidates(cube, fitted, self.k, seed)?);
        let found = clusters.corners(self.k, seed);
        let missing = self.k - found.nrows();
        if missing == 0 {
            return Ok(found);
        }
        let cube = &*self.sample.cube;
        let others = spectra_of(cube, &random(cube, missing, seed)?);
        concatenate(Axis(0), &[found.view(), others.view()])
            .map_err(|error| Error::Fit(format!("starts of unlike sizes: {error}")))
    }
}

impl Shapes {
    fn new(cube: &Cube, k: usize, floor: f64) -> Self {
        let sums: Vec<f64> = (0..cube.pixels())
            .into_par_iter()
            .map(|n| cube.spectrum(n).iter().map(|&y| f64::from(y)).sum::<f64>())
            .collect();
        let mean = sums.iter().sum::<f64>() / sums.len().max(1) as f64;
        let least = (floor * mean).max(f64::MIN_POSITIVE);
        let mut shapes = cube.clone();
        for (n, sum) in sums.iter().enumerate() {
            let factor = (mean / sum.max(least)) as f32;
            shapes.spectrum_mut(n).iter_mut().for_each(|y| *y *= factor);
        }
        let projections = Projections::new(&shapes, k);
        Shapes { cube: shapes, projections }
    }
}
