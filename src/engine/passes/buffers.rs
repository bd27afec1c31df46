//! The engine's working memory on the CPU: one vector for each [`Buf`].

use std::sync::Arc;

use crate::engine::ground::math::Real;
use crate::engine::ground::pages::Pages;
use crate::engine::layout::{Buf, Params};
use crate::engine::pixels::Cube;

/// Working memory of the CPU passes. Shapes: see [`Buf`].
#[derive(Debug, Clone)]
#[allow(missing_docs)] // Each field is documented at its `Buf`.
pub struct Buffers<T: Real> {
    pub cube: Arc<Cube>,
    pub globals: Vec<T>,
    pub global_moments: Vec<T>,
    pub prior_centre: Vec<T>,
    pub global_eps: Vec<T>,
    pub theta: Pages<T>,
    pub locals: Pages<T>,
    pub local_moments: Pages<T>,
    pub pixel_of: Vec<u32>,
    pub local_eps: Vec<T>,
    pub draws: Vec<T>,
    pub mu: Vec<T>,
    pub residuals: Vec<T>,
    pub score_innovation: Vec<T>,
    pub score_mean: Vec<T>,
    pub score_variance: Vec<T>,
    pub log_density: Vec<T>,
    pub row_grads: Vec<T>,
    pub local_grads: Vec<T>,
    pub partials: Pages<T>,
    pub regression_sums: Vec<T>,
    pub row_sums: Vec<T>,
    pub totals: Vec<T>,
    pub global_grads: Vec<T>,
    pub global_terms: Vec<T>,
    pub rank_eps: Vec<T>,
    pub rank_partials: Vec<T>,
    pub rank_sum: Vec<T>,
    pub rank_inverse: Vec<T>,
    pub trace: Vec<T>,
    pub status: Vec<u32>,
}

impl<T: Real> Buffers<T> {
    /// All zero, but for the cube.
    pub fn new(params: &Params, cube: Arc<Cube>) -> Self {
        let zeros = |buf| vec![T::zero(); params.len(buf)];
        let pages = |buf| Pages::zeros(params.len(buf));
        Buffers {
            cube,
            globals: zeros(Buf::Globals),
            global_moments: zeros(Buf::GlobalMoments),
            prior_centre: zeros(Buf::PriorCentre),
            global_eps: zeros(Buf::GlobalEps),
            theta: pages(Buf::Theta),
            locals: pages(Buf::Locals),
            local_moments: pages(Buf::LocalMoments),
            pixel_of: vec![0; params.len(Buf::PixelOf)],
            local_eps: zeros(Buf::LocalEps),
            draws: zeros(Buf::Draws),
            mu: zeros(Buf::Mu),
            residuals: zeros(Buf::Residuals),
            score_innovation: zeros(Buf::ScoreInnovation),
            score_mean: zeros(Buf::ScoreMean),
            score_variance: zeros(Buf::ScoreVariance),
            log_density: zeros(Buf::LogDensity),
            row_grads: zeros(Buf::RowGrads),
            local_grads: zeros(Buf::LocalGrads),
            partials: pages(Buf::Partials),
            regression_sums: zeros(Buf::RegressionSums),
            row_sums: zeros(Buf::RowSums),
            totals: zeros(Buf::Totals),
            global_grads: zeros(Buf::GlobalGrads),
            global_terms: zeros(Buf::GlobalTerms),
            rank_eps: zeros(Buf::RankEps),
            rank_partials: zeros(Buf::RankPartials),
            rank_sum: zeros(Buf::RankSum),
            rank_inverse: zeros(Buf::RankInverse),
            trace: zeros(Buf::Trace),
            status: vec![0; params.len(Buf::Status)],
        }
    }
}

impl Buffers<f32> {
    /// The bits of a buffer, as a device holds them.
    pub fn words(&self, buf: Buf) -> &[u32] {
        let floats: &[f32] = match buf {
            Buf::PixelOf => return &self.pixel_of,
            Buf::Status => return &self.status,
            Buf::Cube => self.cube.padded(),
            Buf::Globals => &self.globals,
            Buf::GlobalMoments => &self.global_moments,
            Buf::PriorCentre => &self.prior_centre,
            Buf::GlobalEps => &self.global_eps,
            Buf::Theta => &self.theta,
            Buf::Locals => &self.locals,
            Buf::LocalMoments => &self.local_moments,
            Buf::LocalEps => &self.local_eps,
            Buf::Draws => &self.draws,
            Buf::Mu => &self.mu,
            Buf::Residuals => &self.residuals,
            Buf::ScoreInnovation => &self.score_innovation,
            Buf::ScoreMean => &self.score_mean,
            Buf::ScoreVariance => &self.score_variance,
            Buf::LogDensity => &self.log_density,
            Buf::RowGrads => &self.row_grads,
            Buf::LocalGrads => &self.local_grads,
            Buf::Partials => &self.partials,
            Buf::RegressionSums => &self.regression_sums,
            Buf::RowSums => &self.row_sums,
            Buf::Totals => &self.totals,
            Buf::GlobalGrads => &self.global_grads,
            Buf::GlobalTerms => &self.global_terms,
            Buf::RankEps => &self.rank_eps,
            Buf::RankPartials => &self.rank_partials,
            Buf::RankSum => &self.rank_sum,
            Buf::RankInverse => &self.rank_inverse,
            Buf::Trace => &self.trace,
        };
        bytemuck::cast_slice(floats)
    }
}
