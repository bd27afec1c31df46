//! The passes of one step, in order. Pipelines, the loop on the CPU, the checks of every shader and
//! the comparison of the two backends all take their passes from this one list.

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

/// The separate passes in the order of a step, each with its CPU twin. A pass that a model has no
/// use for has no invocations.
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

/// The passes of a run, in order: [`all`], with `spectra` in place of the four passes that it
/// stands for, unless the model needs what they write to memory.
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

/// The passes of a run on a software driver: [`step`], with `spectra_rows` and `spectra_bands` in
/// place of `spectra`, where the scene's draws fit the uniform that the two read.
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

/// Every pass there is: the separate ones, then those that stand for several of them.
pub fn every() -> Vec<&'static Pass> {
    let fused = [&spectra::PASS, &spectra_rows::PASS, &spectra_bands::PASS];
    all::<f32>().map(|(pass, _)| pass).into_iter().chain(fused).collect()
}

/// The first of some passes with more loop iterations than [`MOST_TRIPS`]; none where all are
/// short.
pub fn too_long(params: &Params, passes: &[&'static Pass]) -> Option<&'static Pass> {
    passes.iter().copied().find(|pass| (pass.trips)(params) > MOST_TRIPS)
}
