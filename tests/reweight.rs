//! Weighted draws of a pixel against its posterior by integration.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod common;

use std::sync::Arc;

use common::{Problem, normal};
use unmixel::buffers::Buffers;
use unmixel::math::softplus;
use unmixel::model::{Guide, Model, Noise};
use unmixel::posterior::Posterior;
use unmixel::reweight::{DRAWS, Reweighting};
use unmixel::score::Convention;
use unmixel::svi::Settings;

const SD: f64 = 0.05;

/// Two endmembers, with pixels that hold little of the first; guides that are off and too narrow.
fn problem() -> Problem {
    let model = Model {
        concentration: 0.5,
        noise: Noise::Isotropic,
        guide: Guide::FullRank,
        noise_floor: 0.0,
        ..Model::new(2)
    };
    let mut problem = Problem::new(model, Settings::default(), 40, 12);
    let p = problem.params;
    let endmember =
        |k: usize, l: usize, globals: &[f32]| softplus(f64::from(globals[k * p.stride() + l]));
    let mut cube = unmixel::scene::Cube::zeros(40, 12);
    for n in 0..40 {
        let w = 0.15 * n as f64 / 40.0;
        for l in 0..12 {
            let c = |k| endmember(k, l, &problem.state.globals);
            let y = w * c(0) + (1.0 - w) * c(1) + SD * normal(31, (12 * n + l) as u32);
            cube.spectrum_mut(n)[l] = y as f32;
        }
        let guide = &mut problem.state.locals[2 * n..][..2];
        guide.copy_from_slice(&[-2.5, -1.0]);
    }
    problem.state.globals[p.noise_at()] = SD.ln() as f32;
    problem.cube = Arc::new(cube);
    problem
}

/// Mean and distribution at `at` of the first abundance of a pixel, on a fine grid of its logit.
fn integrated(problem: &Problem, pixel: usize, at: f64) -> (f64, f64) {
    let p = problem.params;
    let b: Buffers<f64> = problem.buffers();
    let c = |k: usize, l: usize| softplus(b.globals[k * p.stride() + l]);
    let pi = 1.0 / (1.0 + (-b.globals[p.mean_at()]).exp());
    let (mut total, mut mean, mut below) = (0.0, 0.0, 0.0);
    for i in -12_000..2_000 {
        let z = f64::from(i) * 5e-3;
        let w = 1.0 / (1.0 + (-z).exp());
        let square: f64 = (0..12)
            .map(|l| {
                let mu = w * c(0, l) + (1.0 - w) * c(1, l);
                (f64::from(problem.cube.spectrum(pixel)[l]) - mu).powi(2)
            })
            .sum();
        // The Dirichlet with the Jacobian of the logit.
        let prior = 0.5 * (pi * w.ln() + (1.0 - pi) * (1.0 - w).ln());
        let density = (prior - 0.5 * square / (SD * SD)).exp();
        total += density;
        mean += density * w;
        below += if w < at { density } else { 0.0 };
    }
    (mean / total, below / total)
}

/// Root mean square errors over pixels of means and of shares below 0.02.
fn errors(problem: &Problem, weighted: bool) -> (f64, f64) {
    let (p, state) = (&problem.params, &problem.state);
    let reweighting = Reweighting::new(p, &problem.cube, &state.globals, &state.locals).unwrap();
    let (mut of_mean, mut of_share) = (0.0, 0.0);
    for n in 0..40 {
        let (mean, below) = integrated(problem, n, 0.02);
        let (draws, weights): (Vec<f64>, Vec<f64>) = if weighted {
            let found = reweighting.pixel(n);
            assert_eq!(
                (found.latents.len(), found.weights.len()),
                (DRAWS as usize, DRAWS as usize)
            );
            assert!((found.weights.iter().sum::<f64>() - 1.0).abs() < 1e-12);
            (found.latents.iter().map(|z| z[0]).collect(), found.weights)
        } else {
            let guide = &state.locals[2 * n..][..2];
            let z = |i| f64::from(guide[0]) + f64::from(guide[1]).exp() * normal(32, i);
            ((0..DRAWS).map(z).collect(), vec![1.0 / f64::from(DRAWS); DRAWS as usize])
        };
        let w = draws.iter().map(|z| 1.0 / (1.0 + (-z).exp()));
        let (mut m, mut s) = (0.0, 0.0);
        for (w, weight) in w.zip(weights) {
            m += weight * w;
            s += if w < 0.02 { weight } else { 0.0 };
        }
        of_mean += (m - mean).powi(2) / 40.0;
        of_share += (s - below).powi(2) / 40.0;
    }
    (of_mean.sqrt(), of_share.sqrt())
}

#[test]
fn weighted_draws_have_the_posterior_that_integration_gives_and_the_guide_has_not() {
    let problem = problem();
    let (mean, share) = errors(&problem, true);
    // Posterior sds are near 0.05 and some 60 draws count fully: 0.05 / sqrt(60) = 0.0065, and
    // 0.5 / sqrt(60) = 0.065 at most for a share; half as much again.
    assert!(mean < 0.010, "{mean}");
    assert!(share < 0.09, "{share}");
    let (guide_mean, guide_share) = errors(&problem, false);
    assert!(guide_mean > 0.015 && guide_share > 0.18, "{guide_mean} {guide_share}");
}

#[test]
fn a_posterior_takes_the_weighted_draws() {
    let problem = problem();
    let (p, state) = (&problem.params, &problem.state);
    let posterior = Posterior::reweighted(
        p,
        &problem.cube,
        &state.globals,
        &state.locals,
        Convention::Reflectance,
    );
    let square = |n: usize| {
        let (mean, _) = integrated(&problem, n, 0.02);
        assert!((posterior.abundance_mean.row(n).sum() - 1.0).abs() < 1e-5);
        (f64::from(posterior.abundance_mean[[n, 0]]) - mean).powi(2)
    };
    let off = ((0..40).map(square).sum::<f64>() / 40.0).sqrt();
    // The bound above.
    assert!(off < 0.010, "{off}");
}

#[test]
fn scenes_without_pixel_latents_and_guides_gone_wrong_have_defined_answers() {
    let one = Problem::new(Model::new(1), Settings::default(), 6, 3);
    let found = Reweighting::new(&one.params, &one.cube, &one.state.globals, &one.state.locals)
        .unwrap()
        .pixel(3);
    assert!(found.latents.iter().all(Vec::is_empty));
    assert!((found.weights.iter().sum::<f64>() - 1.0).abs() < 1e-12);

    let mut problem = problem();
    problem.state.locals[0] = f32::NAN;
    let state = &problem.state;
    let found = Reweighting::new(&problem.params, &problem.cube, &state.globals, &state.locals)
        .unwrap()
        .pixel(0);
    assert!((found.weights.iter().sum::<f64>() - 1.0).abs() < 1e-12);

    let covariance = Model { noise: Noise::Covariance, ..Model::new(2) };
    let problem = Problem::new(covariance, Settings::default(), 6, 3);
    let state = &problem.state;
    let none = Reweighting::new(&problem.params, &problem.cube, &state.globals, &state.locals);
    assert!(none.is_none());
}
