//! Noise that bands share: a planted covariance is found, what is read from a guide is its mean,
//! and what cannot be fitted is refused.
#![allow(missing_docs, clippy::unwrap_used, clippy::needless_range_loop)]

mod common;

use std::sync::Arc;

use common::normal;
use ndarray::Array2;
use unmixel::engine::backend::device;
use unmixel::engine::guide::Guide;
use unmixel::engine::model::{Model, Noise};
use unmixel::engine::pixels::{Cube, Pixels};
use unmixel::engine::svi::{self, Outcome, Settings};
use unmixel::engine::wait::block_on;
use unmixel::posterior::covariance::NoiseCovariance;

const PIXELS: usize = 4000;
const BANDS: usize = 12;

/// Noise sd of a band, reflectance.
fn planted_sd(l: usize) -> f64 {
    0.01 + 0.001 * l as f64
}

/// Neighbours err together (AR(1)), and the first five bands have something more in common.
fn planted_correlation(l: usize, m: usize) -> f64 {
    let shared = if l < 5 && m < 5 { 1.0 } else { f64::from(u8::from(l == m)) };
    0.75 * 0.9f64.powi(l.abs_diff(m) as i32) + 0.25 * shared
}

/// Lower Cholesky factor of the planted covariance.
fn planted_factor() -> Vec<Vec<f64>> {
    let mut factor = vec![vec![0.0; BANDS]; BANDS];
    for l in 0..BANDS {
        for m in 0..=l {
            let known: f64 = (0..m).map(|i| factor[l][i] * factor[m][i]).sum();
            let rest = planted_correlation(l, m) * planted_sd(l) * planted_sd(m) - known;
            factor[l][m] = if l == m { rest.sqrt() } else { rest / factor[m][m] };
        }
    }
    factor
}

/// One endmember, with planted noise. With more of them the covariance can take over what mixing
/// does (see "What covariance costs" in docs/model.md), which is not what is asked here.
fn scene() -> (Arc<Cube>, Array2<f64>) {
    let endmember =
        Array2::from_shape_fn((1, BANDS), |(_, l)| 0.4 + 0.25 * (0.4 + 0.35 * l as f64).sin());
    let factor = planted_factor();
    let mut cube = Cube::zeros(PIXELS, BANDS);
    for n in 0..PIXELS {
        for l in 0..BANDS {
            let noise: f64 =
                (0..=l).map(|m| factor[l][m] * normal(22, (n * BANDS + m) as u32)).sum();
            cube.spectrum_mut(n)[l] = (endmember[[0, l]] + noise) as f32;
        }
    }
    (Arc::new(cube), endmember)
}

fn fit(noise: Noise) -> Outcome {
    let (cube, endmember) = scene();
    let model = Model { noise, ..Model::new(1) };
    let settings = Settings::default();
    let params = svi::params(&model, &settings, (PIXELS, BANDS)).unwrap();
    let ones = Array2::ones((PIXELS, 1));
    let guide = Guide::around(&params, &model, &cube, endmember.view(), ones.view(), None);
    let device = device::cpu("a test");
    block_on(svi::fit(&device, &settings, &Pixels::as_given(cube), guide, &mut |_| (), &|| false))
        .unwrap()
}

/// Largest errors: of a correlation, and of an sd relative to itself.
fn errors(found: &NoiseCovariance) -> (f64, f64) {
    let correlation = found
        .correlation
        .indexed_iter()
        .map(|((l, m), c)| (c - planted_correlation(l, m)).abs())
        .fold(0.0, f64::max);
    let sd = (0..BANDS).map(|l| (found.sd[l] / planted_sd(l) - 1.0).abs()).fold(0.0, f64::max);
    (correlation, sd)
}

#[test]
fn a_planted_covariance_is_recovered() {
    let shared = fit(Noise::Covariance);
    let (correlation, sd) = errors(&NoiseCovariance::new(&shared.guide));
    let apart = fit(Noise::Band);
    let (without, _) = errors(&NoiseCovariance::new(&apart.guide));
    println!(
        "correlations off by at most {correlation:.3}, sds by {sd:.3} of themselves; ELBO a pixel \
         {:?}, with a noise for each band {:?}",
        shared.elbo(),
        apart.elbo()
    );
    // 4000 pixels leave 1 / sqrt(4000) = 0.016 of a correlation open, and 0.011 of an sd: three of
    // these, as the largest of 66 and 12 may be.
    assert!(correlation < 0.05 && sd < 0.04, "{correlation} {sd}");
    assert!(without > 0.8, "the comparison sees nothing: {without}");
    // Half the log determinant of the planted correlation is 6.3 nats a pixel.
    let gain = shared.elbo().unwrap() - apart.elbo().unwrap();
    assert!((gain - 6.3).abs() < 0.5, "{gain}");
}

/// A guide of five pixels whose latents are all zero.
fn flat(model: &Model, bands: usize) -> Guide {
    let params = svi::params(model, &Settings::default(), (5, bands)).unwrap();
    Guide {
        model: model.clone(),
        params,
        globals: vec![0.0; 2 * params.globals as usize],
        locals: vec![0.0; 5 * params.local_stride as usize],
        prior_centre: vec![0.0; params.k() * params.stride()],
        rank_sum: Vec::new(),
        visits: 0.0,
        momentum: None,
    }
}

/// A guide with wide regressions: the mean covariance against the mean over draws of the guide.
#[test]
fn the_covariance_of_a_guide_is_its_mean() {
    let (bands, draws) = (4, 40_000);
    let model = Model { noise: Noise::Covariance, ..Model::new(1) };
    let mut guide = flat(&model, bands);
    let params = guide.params;
    let g = params.globals as usize;
    let globals = &mut guide.globals;
    for (j, x) in globals.iter_mut().enumerate() {
        let wave = (1.0 + j as f32 * 0.7).sin();
        *x = if j < g { 0.5 * wave } else { -1.2 + 0.3 * wave };
    }
    let found = NoiseCovariance::new(&guide);
    let globals = &guide.globals;
    let mut index = 0;
    let mut mean = Array2::<f64>::zeros((bands, bands));
    for _ in 0..draws {
        let mut x = |j: usize| {
            index += 1;
            f64::from(globals[j]) + f64::from(globals[g + j]).exp() * normal(31, index)
        };
        // Column i: what the innovation of band i does to all bands.
        let mut effect = vec![vec![0.0; bands]; bands];
        for l in 0..bands {
            effect[l][l] =
                (f64::from(params.noise_floor) + (2.0 * x(params.noise_at() + l)).exp()).sqrt();
            for m in 0..l {
                let phi = x(params.regression_at() + l * params.stride() + m);
                for i in 0..=m {
                    effect[l][i] += phi * effect[m][i];
                }
            }
        }
        for ((l, m), sum) in mean.indexed_iter_mut() {
            *sum += (0..bands).map(|i| effect[l][i] * effect[m][i]).sum::<f64>() / draws as f64;
        }
    }
    for ((l, m), mean) in mean.indexed_iter() {
        let off = found.correlation[[l, m]] * found.sd[l] * found.sd[m] - mean;
        // Variances have a spread of about their size between draws: 0.5 % after 40,000.
        assert!(off.abs() < 0.03 * found.sd[l] * found.sd[m], "{l} {m}: {off} of {mean}");
    }
}

#[test]
fn bands_on_their_own_do_not_correlate() {
    let model = Model { noise: Noise::Isotropic, ..Model::new(1) };
    let mut guide = flat(&model, 3);
    let params = guide.params;
    guide.globals[params.noise_at()] = 0.02f32.ln();
    guide.globals[params.globals as usize + params.noise_at()] = -9.0;
    let found = NoiseCovariance::new(&guide);
    assert_eq!(found.correlation, Array2::<f64>::eye(3));
    assert!(found.sd.iter().all(|sd| (sd / 0.02 - 1.0).abs() < 1e-4), "{:?}", found.sd);
}

#[test]
fn what_has_no_covariance_is_refused() {
    let refusal = |model: &Model, bands: usize| {
        svi::params(model, &Settings::default(), (10, bands)).map_err(|e| e.to_string())
    };
    let covariance = Model { noise: Noise::Covariance, ..Model::new(2) };
    refusal(&Model { brightness: Some(0.3), ..covariance.clone() }, 300).unwrap();
    let text = refusal(&covariance, 301).unwrap_err();
    assert!(text.starts_with("noise covariance: ") && text.contains("301 bands"), "{text}");
    let text = refusal(&Model { variability: Some(0.03), ..covariance.clone() }, 8).unwrap_err();
    assert!(text.starts_with("noise covariance: ") && text.contains("variability"), "{text}");
    let text = refusal(&Model { regression_sd: 0.0, ..covariance }, 8).unwrap_err();
    assert!(text.starts_with("noise covariance: "), "{text}");
}
