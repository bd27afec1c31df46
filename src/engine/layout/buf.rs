//! The engine's buffers.

/// The engine's buffers: f32, but [`Buf::PixelOf`] and [`Buf::Status`], which are u32.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Buf {
    /// Reflectance, (N, stride); with [`HALF`](super::HALF) two floats of 16 bits to a word.
    Cube,
    /// Guide of the scene latents, (global_stride): G locs, G log scales, loadings (G, rank).
    Globals,
    /// Adam's moments of the scene latents' guide: first, second, (2, global_stride).
    GlobalMoments,
    /// Centre of the endmembers' prior, (K, stride).
    PriorCentre,
    /// The standard normals of the scene draws, with the loadings' share of equation 26, (S, G).
    GlobalEps,
    /// The scene draws as the model takes them: endmembers, variances and so on, (S, theta_stride).
    Theta,
    /// Guide of the pixel latents, (groups of the scene, local_stride, ROW_GROUP).
    Locals,
    /// Adam's moments of the pixel latents' guide: first, second, (groups of the scene, 2,
    /// local_stride, ROW_GROUP).
    LocalMoments,
    /// The pixel at each place of the minibatch, (B), u32.
    PixelOf,
    /// The standard normals of the pixel draws, with the loadings' share of equation 26, (groups,
    /// S, P, [`ROW_GROUP`](super::ROW_GROUP)).
    LocalEps,
    /// The pixel draws as the model takes them: abundances, brightness and so on, (groups, S,
    /// draw_stride, ROW_GROUP).
    Draws,
    /// Mixed spectra, (R, stride).
    Mu,
    /// With covariance: observed less mixed spectra, (R, stride).
    Residuals,
    /// With covariance: derivative of the log density by the innovation's mean, (R, stride).
    ScoreInnovation,
    /// A: derivative of the log density by the mean, (R, stride).
    ScoreMean,
    /// B: derivative of the log density by the variance, (R, stride).
    ScoreVariance,
    /// Log density, summed over each four bands, (R, quads).
    LogDensity,
    /// Sums over bands, (groups, S, row_grad_stride, ROW_GROUP).
    RowGrads,
    /// Gradient of the guide of the minibatch's pixels, (groups, local_stride, ROW_GROUP), then of
    /// the log density by each latent in units of its scale, (groups, S, P, ROW_GROUP).
    LocalGrads,
    /// Partial sums over pixels of each band's gradient by the scene latents, (chunks, S, columns,
    /// stride).
    Partials,
    /// With covariance: sums over pixels of the gradient by the regression of each band on each
    /// other, (S, stride, stride).
    RegressionSums,
    /// Partial sums over pixels of log abundances and so on, and the local ELBO, (S, chunks,
    /// scalars).
    RowSums,
    /// [`Buf::Partials`] and [`Buf::RowSums`] summed over chunks, (S, totals_stride).
    Totals,
    /// Gradient of the guide of the scene latents, (global_stride).
    GlobalGrads,
    /// The share of each scene latent in the ELBO, (G); with the low-rank guide then the gradient
    /// of the log joint density by each latent in units of its scale, (G, S).
    GlobalTerms,
    /// Low-rank guide: standard normals that all latents share, (S, rank).
    RankEps,
    /// Low-rank guide: partial sums of loadings' products, lower triangles, (scene_chunks + chunks,
    /// rank, rank): scene latents, then the minibatch's.
    RankPartials,
    /// Low-rank guide: sum over all pixels of their loadings' products, a lower triangle, (rank,
    /// rank).
    RankSum,
    /// Low-rank guide: inverse of M (rank, rank), then half its log determinant (equation 28).
    RankInverse,
    /// ELBO of each step, (TRACE_LEN).
    Trace,
    /// Not-finite flag of the step, steps skipped so far, (4), u32.
    Status,
}

impl Buf {
    /// Whether fits that run side by side have it in common: the spectra, and the minibatch, which
    /// is drawn by seed and step. Every fit has a part of its own of all others.
    pub fn is_common(self) -> bool {
        matches!(self, Buf::Cube | Buf::PixelOf)
    }

    /// Every buffer.
    pub const ALL: [Buf; 31] = [
        Buf::Cube,
        Buf::Globals,
        Buf::GlobalMoments,
        Buf::PriorCentre,
        Buf::GlobalEps,
        Buf::Theta,
        Buf::Locals,
        Buf::LocalMoments,
        Buf::PixelOf,
        Buf::LocalEps,
        Buf::Draws,
        Buf::Mu,
        Buf::Residuals,
        Buf::ScoreInnovation,
        Buf::ScoreMean,
        Buf::ScoreVariance,
        Buf::LogDensity,
        Buf::RowGrads,
        Buf::LocalGrads,
        Buf::Partials,
        Buf::RegressionSums,
        Buf::RowSums,
        Buf::Totals,
        Buf::GlobalGrads,
        Buf::GlobalTerms,
        Buf::RankEps,
        Buf::RankPartials,
        Buf::RankSum,
        Buf::RankInverse,
        Buf::Trace,
        Buf::Status,
    ];
}
