//! The nested posterior against closed forms and simulated truth.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod common;

use common::Problem;
use ndarray::{Array2, Axis};
use unmixel::engine::backend::{Choice, device};
use unmixel::engine::ground::math::softplus;
use unmixel::engine::guide::Guide;
use unmixel::engine::model::{Family, Model, Noise};
use unmixel::engine::pixels::Pixels;
use unmixel::engine::svi::{self, Settings};
use unmixel::engine::wait::block_on;
use unmixel::rooms::convention::{Convention, convert};
use unmixel::rooms::posterior::Posterior;
use unmixel::rooms::posterior::nested::Nested;
use unmixel::rooms::score::calibration::{Known, coverage, nested_places, places};
use unmixel::rooms::score::score;
use unmixel::rooms::starts::{self, Init};
use unmixel::simulate::{Maps, Settings as Scene, simulate};

fn of<'a>(problem: &'a Problem, pixels: &'a Pixels) -> unmixel::Result<Option<Nested<'a>>> {
    Nested::new(&problem.guide, pixels, &|| false)
}

/// Without brightness a single endmember is the mean of a normal.
#[test]
fn one_endmember_has_the_mean_and_sd_of_a_normal() {
    let model = Model { noise: Noise::Isotropic, noise_floor: 0.0, ..Model::new(1) };
    let mut problem = Problem::new(model, Settings::default(), 50, 6);
    let p = problem.params;
    problem.guide.globals[p.noise_at()] = 0.1f32.ln();
    let pixels = problem.pixels();
    let nested = of(&problem, &pixels).unwrap().unwrap();
    assert!(nested.settled(), "{:?}", nested.steps);
    let convention = Convention::Reflectance;
    assert!(Posterior::nested(&nested, convention, &|| true).is_none());
    let posterior = Posterior::nested(&nested, convention, &|| false).unwrap();
    let precision = 50.0 / 0.01 + f64::from(p.endmember_precision);
    for l in 0..6 {
        let sum: f64 = (0..50).map(|n| f64::from(problem.cube.spectrum(n)[l])).sum();
        let prior = f64::from(p.endmember_precision * problem.guide.prior_centre[l]);
        let mean = (sum / 0.01 + prior) / precision;
        let (found, sd) = (posterior.endmember_mean[[0, l]], posterior.endmember_sd[[0, l]]);
        let true_sd = precision.powf(-0.5);
        // 500 draws: 0.045 sds for a mean, 3 % of an sd, four times each; and steps end at 0.1 sds.
        assert!((found - mean).abs() < 0.3 * true_sd, "{found} {mean} {true_sd}");
        assert!((sd / true_sd - 1.0).abs() < 0.13, "{sd} {true_sd}");
    }
}

/// A scene drawn from the model, fitted with all bands, and the pixels' truth.
fn fitted(k: usize, seed: u64) -> (Guide, Pixels, Array2<f64>, Array2<f32>) {
    let scene = Scene {
        rows: 15,
        cols: 20,
        bands: 40,
        endmembers: k,
        maps: Maps::Dirichlet,
        variability_sd: 0.05,
        seed,
        ..Scene::default()
    };
    let simulated = simulate(&scene).unwrap();
    let scene = simulated.scene("simulated").unwrap();
    let pixels = scene.pixels();
    let model = Model {
        brightness: Some(1.0),
        variability: Some(0.02),
        family: Family::FullRank,
        ..Model::new(k)
    };
    let settings = Settings { steps: 2500, seed, ..Settings::default() };
    let start = starts::start(scene.cube(), k, &Init::Vca, true, seed).unwrap();
    let guide = starts::begin(&model, &settings, &pixels, start.endmembers).unwrap();
    let device = device::choose(&Choice::Cpu).unwrap();
    let outcome =
        block_on(svi::fit(&device, &settings, &pixels, guide, &mut |_| (), &|| false)).unwrap();
    let shares = simulated.abundances.into_shape_with_order((300, k)).unwrap();
    let (c, w) = convert(simulated.endmembers.view(), shares.view(), Convention::Peak).unwrap();
    (outcome.guide, pixels, c, w)
}

#[test]
fn intervals_of_abundances_hold_what_they_promise_where_those_of_the_guide_do_not() {
    let (mut of_guide, mut of_nested) = (Vec::new(), Vec::new());
    for (k, seed) in [(3, 1), (4, 2)] {
        let (guide, pixels, c, w) = fitted(k, seed);
        let convention = Convention::Peak;
        let posterior = Posterior::new(&guide, &pixels, convention);
        let (spectra, shares) = (posterior.endmember_mean.view(), posterior.abundance_mean.view());
        let matching = score(spectra, shares, Some(c.view()), Some(w.view())).unwrap().matching;
        let truth =
            Known { convention, endmembers: c.view(), abundances: w.view(), matching: &matching };
        let nested = Nested::new(&guide, &pixels, &|| false).unwrap().unwrap();
        of_guide.extend(places(&guide, &pixels, &truth).unwrap().abundances);
        of_nested.extend(nested_places(&nested, &truth).unwrap().abundances);

        let posterior = Posterior::nested(&nested, convention, &|| false).unwrap();
        assert!(posterior.abundance_mean.sum_axis(Axis(1)).iter().all(|s| (s - 1.0).abs() < 1e-5));
        let brightness = posterior.brightness.unwrap();
        assert!(brightness.iter().all(|b| b.is_finite() && *b > 0.0));
    }
    let (guide, nested) = (coverage(&of_guide, 0.9).unwrap(), coverage(&of_nested, 0.9).unwrap());
    // 600 pixels: one standard error is 0.012; and what all pixels of a scene share moves them
    // together.
    assert!((0.85..=0.95).contains(&nested), "{nested}");
    assert!(guide < 0.8, "{guide}");
}

#[test]
fn what_has_no_nested_posterior_is_refused() {
    let covariance = Model { noise: Noise::Covariance, ..Model::new(2) };
    let problem = Problem::new(covariance, Settings::default(), 6, 3);
    let refusal = of(&problem, &problem.pixels()).unwrap_err().to_string();
    assert!(refusal.contains("posterior exact") && refusal.contains("covariance"), "{refusal}");
}

#[test]
fn fits_gone_wrong_and_interrupts_have_defined_answers() {
    let model = Model { brightness: Some(1.0), ..Model::new(3) };
    let mut problem = Problem::new(model, Settings::default(), 40, 8);
    let (sound, pixels) = (problem.guide.clone(), problem.pixels());
    assert!(Nested::new(&sound, &pixels, &|| true).unwrap().is_none());

    problem.guide.globals[2] = f32::NAN;
    assert!(softplus(f64::from(problem.guide.globals[2])).is_nan());
    assert!(of(&problem, &pixels).unwrap_err().to_string().contains("not finite"));
}
