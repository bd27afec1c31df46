//! The passes of one step, in order: the one list that pipelines, the loop on the CPU, the checks of every
//! shader and the comparison of the two backends come from.

use super::pass::{Pass, Twin};
use super::{
    change_rank, elbo, factor_rank, gradient_abundances, gradient_bands, gradient_covariance,
    gradient_globals, gradient_mean, gradient_pixels, gradient_rank_globals, gradient_rank_pixels,
    likelihood, likelihood_covariance, mix, residuals, sample_globals, sample_pixels, sample_rank,
    spectra, spectra_bands, spectra_rows, sum_chunks, sum_pixels, sum_rank, update_globals,
    update_pixels, update_rank,
};
use crate::engine::ground::math::Real;
use crate::engine::layout::limits::{MOST_CONSTANTS, MOST_TRIPS};
use crate::engine::layout::{Buf, Params, SEPARATE};

/// The passes in the order of a step, each with its CPU twin. Those that a model has no use for have
/// no invocations.
pub fn all<T: Real>() -> [Twin<T>; 24] {
    [
        (&sample_rank::PASS, sample_rank::run),
        (&sample_globals::PASS, sample_globals::run),
        (&sample_pixels::PASS, sample_pixels::run),
        (&sum_rank::PASS, sum_rank::run),
        (&factor_rank::PASS, factor_rank::run),
        (&mix::PASS, mix::run),
        (&likelihood::PASS, likelihood::run),
        (&residuals::PASS, residuals::run),
        (&likelihood_covariance::PASS, likelihood_covariance::run),
        (&gradient_mean::PASS, gradient_mean::run),
        (&gradient_covariance::PASS, gradient_covariance::run),
        (&gradient_abundances::PASS, gradient_abundances::run),
        (&gradient_pixels::PASS, gradient_pixels::run),
        (&gradient_rank_pixels::PASS, gradient_rank_pixels::run),
        (&gradient_bands::PASS, gradient_bands::run),
        (&sum_pixels::PASS, sum_pixels::run),
        (&sum_chunks::PASS, sum_chunks::run),
        (&gradient_globals::PASS, gradient_globals::run),
        (&gradient_rank_globals::PASS, gradient_rank_globals::run),
        (&elbo::PASS, elbo::run),
        (&update_pixels::PASS, update_pixels::run),
        (&update_globals::PASS, update_globals::run),
        (&change_rank::PASS, change_rank::run),
        (&update_rank::PASS, update_rank::run),
    ]
}

/// The passes of a run, in order: one read of the spectra where nothing else needs what lies
/// between, all of [`all`] otherwise.
pub fn step(params: &Params) -> Vec<Twin<f32>> {
    let mut passes = all().to_vec();
    if !params.has(SEPARATE) {
        let replaced = ["likelihood", "gradient_abundances", "gradient_bands"];
        passes.retain(|(pass, _)| !replaced.contains(&pass.name));
        for twin in &mut passes {
            if twin.0.name == "mix" {
                *twin = (&spectra::PASS, spectra::run);
            }
        }
    }
    passes
}

/// The passes of a run on a software driver: those of [`step`], with two for `spectra`, where the
/// scene's draws fit the uniform that these read.
pub fn step_on_software(params: &Params) -> Vec<&'static Pass> {
    let two: [&'static Pass; 2] = [&spectra_rows::PASS, &spectra_bands::PASS];
    let fit = params.len(Buf::Theta) <= MOST_CONSTANTS;
    let passes = step(params).into_iter().map(|(pass, _)| pass);
    passes
        .flat_map(|pass| match pass.name == spectra::PASS.name && fit {
            true => two.to_vec(),
            false => vec![pass],
        })
        .collect()
}

/// Every pass there is.
pub fn every() -> Vec<&'static Pass> {
    let fused = [&spectra::PASS, &spectra_rows::PASS, &spectra_bands::PASS];
    all::<f32>().map(|(pass, _)| pass).into_iter().chain(fused).collect()
}

/// The first pass with more loop iterations than [`MOST_TRIPS`].
pub fn too_long(params: &Params, passes: &[&'static Pass]) -> Option<&'static Pass> {
    passes.iter().copied().find(|pass| (pass.trips)(params) > MOST_TRIPS)
}
