//! The nested posterior against closed forms and simulated truth.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod common;
#[path = "common/gibbs.rs"]
mod gibbs;

use common::Problem;
use ndarray::{Array2, Axis};
use unmixel::engine::backend::{Choice, device};
use unmixel::engine::ground::math::{softplus, softplus_inverse};
use unmixel::engine::guide::Guide;
use unmixel::engine::model::{Family, Model, Noise};
use unmixel::engine::pixels::Pixels;
use unmixel::engine::svi::{self, Settings};
use unmixel::engine::wait::block_on;
use unmixel::rooms::convention::{Convention, convert};
use unmixel::rooms::posterior::Posterior;
use unmixel::rooms::posterior::nested::{AtRest, Nested, evidence, evidence_at_rest};
use unmixel::rooms::score::calibration::{Known, coverage, nested_places, places};
use unmixel::rooms::score::score;
use unmixel::rooms::starts::{self, Init};
use unmixel::simulate::{Maps, Settings as Scene, simulate};

fn of<'a>(problem: &'a Problem, pixels: &'a Pixels) -> unmixel::Result<Option<Nested<'a>>> {
    Nested::new(&problem.guide, pixels, None, &|| false)
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

/// The guide after so many steps from spectra (K, L).
fn run(model: &Model, (steps, seed): (u32, u64), pixels: &Pixels, spectra: Array2<f64>) -> Guide {
    let settings = Settings { steps, seed, ..Settings::default() };
    let guide = starts::begin(model, &settings, pixels, spectra).unwrap();
    let device = device::choose(&Choice::Cpu).unwrap();
    let mut observe = |_: &_| ();
    let fit = svi::fit(&device, &settings, pixels, guide, &mut observe, &|| false);
    block_on(fit).unwrap().guide
}

/// A scene drawn from the model, with pure pixels and fitted from VCA, or without and fitted from
/// the truth, with all bands, and the pixels' truth.
fn fitted(k: usize, seed: u64, pure_pixels: bool) -> (Guide, Pixels, Array2<f64>, Array2<f32>) {
    let scene = Scene {
        rows: 15,
        cols: 20,
        bands: 40,
        endmembers: k,
        maps: Maps::Dirichlet,
        variability_sd: 0.05,
        pure_pixels,
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
    let start = match pure_pixels {
        true => starts::start(scene.cube(), k, &Init::Vca, true, seed).unwrap().endmembers,
        false => simulated.endmembers.clone(),
    };
    let guide = run(&model, (2500, seed), &pixels, start);
    let shares = simulated.abundances.into_shape_with_order((300, k)).unwrap();
    let (c, w) = convert(simulated.endmembers.view(), shares.view(), Convention::Peak).unwrap();
    (guide, pixels, c, w)
}

#[test]
fn intervals_of_abundances_hold_what_they_promise_where_those_of_the_guide_do_not() {
    let (mut of_guide, mut of_nested) = (Vec::new(), Vec::new());
    for (k, seed) in [(3, 1), (4, 2)] {
        let (guide, pixels, c, w) = fitted(k, seed, true);
        let convention = Convention::Peak;
        let posterior = Posterior::new(&guide, &pixels, convention);
        let (spectra, shares) = (posterior.endmember_mean.view(), posterior.abundance_mean.view());
        let matching = score(spectra, shares, Some(c.view()), Some(w.view())).unwrap().matching;
        let truth =
            Known { convention, endmembers: c.view(), abundances: w.view(), matching: &matching };
        let nested = Nested::new(&guide, &pixels, None, &|| false).unwrap().unwrap();
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

/// The last of three materials is dark. Its values together have a mode far above most of what is
/// probable: around it a normal holds an eighth of them.
#[test]
fn values_of_a_dark_material_that_no_pixel_has_alone_lie_in_their_intervals() {
    let (mut of_dark, mut all) = (Vec::new(), Vec::new());
    for seed in 0..4 {
        let (guide, pixels, c, w) = fitted(3, seed, false);
        let convention = Convention::Peak;
        let nested = Nested::new(&guide, &pixels, None, &|| false).unwrap().unwrap();
        let matching = [0, 1, 2];
        let truth =
            Known { convention, endmembers: c.view(), abundances: w.view(), matching: &matching };
        let places = nested_places(&nested, &truth).unwrap().endmembers;
        let bands = c.ncols();
        all.extend_from_slice(&places);
        of_dark.extend_from_slice(&places[2 * bands..]);
    }
    let (dark, all) = (coverage(&of_dark, 0.9).unwrap(), coverage(&all, 0.9).unwrap());
    // Values of one spectrum err together: of one scene all may lie outside.
    assert!(dark > 0.6, "{dark}");
    assert!((0.75..=0.95).contains(&all), "{all}");
}

/// A scene of 36 pixels and 12 bands drawn from the model without brightness, fitted from the
/// truth, so that there is one mode to compare; and what Gibbs' sampler needs of it.
fn tiny(seed: u64) -> (Guide, Pixels, gibbs::Given) {
    let (k, bands) = (3, 12);
    let simulated = simulate(&Scene {
        rows: 6,
        cols: 6,
        bands,
        endmembers: k,
        maps: Maps::Dirichlet,
        noise_sd: 0.02,
        brightness_sd: 0.0,
        seed,
        ..Scene::default()
    })
    .unwrap();
    let scene = simulated.scene("simulated").unwrap();
    let pixels = scene.pixels();
    let model = Model { noise: Noise::Isotropic, family: Family::FullRank, ..Model::new(k) };
    let guide = run(&model, (3000, seed), &pixels, simulated.endmembers);
    let p = guide.params;
    let at = |j: usize| f64::from(guide.globals[j]);
    let mut mean: Vec<f64> = (0..k - 1).map(|i| at(p.mean_at() + i).exp()).collect();
    mean.push(1.0);
    let total: f64 = mean.iter().sum();
    let cube = scene.cube();
    let given = gibbs::Given {
        y: Array2::from_shape_fn((36, bands), |(n, l)| f64::from(cube.spectrum(n)[l])),
        noise: vec![f64::from(p.noise_floor) + (2.0 * at(p.noise_at())).exp(); bands],
        dirichlet: mean.iter().map(|m| f64::from(p.concentration) * m / total).collect(),
        centre: Array2::from_shape_fn((k, bands), |(i, l)| {
            f64::from(guide.prior_centre[i * p.stride() + l])
        }),
        precision: f64::from(p.endmember_precision),
    };
    (guide, pixels, given)
}

/// Sds over exact ones, root mean square over all values, and means less exact ones in exact sds.
fn against(exact: &[Array2<f64>; 2], mean: &Array2<f64>, sd: &Array2<f64>) -> (f64, f64) {
    let square = |x: f64| x * x;
    let ratio = sd.mapv(square).sum() / exact[1].mapv(square).sum();
    let off = ((mean - &exact[0]) / &exact[1]).mapv(square).mean().unwrap();
    (ratio.sqrt(), off.sqrt())
}

#[test]
fn the_posterior_of_a_tiny_scene_with_pure_pixels_is_that_of_an_exact_sampler() {
    for seed in [1, 2] {
        let (guide, pixels, given) = tiny(seed);
        let nested = Nested::new(&guide, &pixels, None, &|| false).unwrap().unwrap();
        assert!(nested.settled(), "{:?}", nested.steps);
        let convention = Convention::Reflectance;
        let found = Posterior::nested(&nested, convention, &|| false).unwrap();
        let wide = |of: &Array2<f32>| of.mapv(f64::from);
        let abundances = wide(&found.abundance_mean).mapv(|w| w.max(1e-6));
        let begin = (found.endmember_mean.clone(), abundances);
        let exact = gibbs::sample(&given, begin, 10_000, seed);
        // Means of the sampler are good to 0.02 of an sd, and sds to 2 %: twice the difference of
        // two chains of 40,000 sweeps.
        let (mean, sd) = (wide(&found.abundance_mean), wide(&found.abundance_sd));
        let (ratio, off) = against(&exact.abundances, &mean, &sd);
        assert!((ratio - 1.0).abs() < 0.1 && off < 0.3, "abundances: {ratio} {off}");
        let (mean, sd) = (&found.endmember_mean, &found.endmember_sd);
        let (ratio, off) = against(&exact.spectra, mean, sd);
        assert!((ratio - 1.0).abs() < 0.15 && off < 0.4, "spectra: {ratio} {off}");
        // The guide's abundances are too sure of themselves: seen.
        let found = Posterior::new(&guide, &pixels, convention);
        let (mean, sd) = (wide(&found.abundance_mean), wide(&found.abundance_sd));
        let (ratio, _) = against(&exact.abundances, &mean, &sd);
        assert!(ratio < 0.9, "guide: {ratio}");
    }
}

/// Without data the exact sampler gives the prior, whose moments are known.
#[test]
fn the_exact_sampler_gives_the_prior_where_there_are_no_data() {
    let given = gibbs::Given {
        y: Array2::zeros((4, 2)),
        noise: vec![1e12; 2],
        dirichlet: vec![0.2, 0.5, 1.3],
        centre: Array2::from_shape_fn((3, 2), |(_, l)| if l == 0 { 0.4 } else { -0.4 }),
        precision: 25.0,
    };
    let begin = (Array2::from_elem((3, 2), 0.3), Array2::from_elem((4, 3), 1.0 / 3.0));
    let found = gibbs::sample(&given, begin, 20_000, 1);
    let [mean, sd] = &found.abundances;
    for (i, a) in given.dirichlet.iter().enumerate() {
        let (share, all) = (a / 2.0, 2.0);
        let true_sd = (share * (1.0 - share) / (all + 1.0f64)).sqrt();
        for n in 0..4 {
            // 18,000 draws that hang together over some ten sweeps: 0.025 sds, four times that.
            assert!((mean[[n, i]] - share).abs() < 0.1 * true_sd, "{i} {n}: {}", mean[[n, i]]);
            assert!((sd[[n, i]] / true_sd - 1.0).abs() < 0.1, "{i} {n}: {}", sd[[n, i]]);
        }
    }
    // Normals cut off at two sds below and above their mean, by phi(2) / Phi(2) sds.
    let [mean, _] = &found.spectra;
    let truth = [0.4 + 0.2 * 0.0552, -0.4 + 0.2 * 2.3732];
    let near = |((_, l), c): ((usize, usize), &f64)| (c - truth[l]).abs() < 0.01;
    assert!(mean.indexed_iter().all(near), "{mean}");
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
    assert!(Nested::new(&sound, &pixels, None, &|| true).unwrap().is_none());

    problem.guide.globals[2] = f32::NAN;
    assert!(softplus(f64::from(problem.guide.globals[2])).is_nan());
    assert!(of(&problem, &pixels).unwrap_err().to_string().contains("not finite"));
}

/// A guide with other spectra, (K, L).
fn around(guide: &Guide, spectra: &Array2<f64>) -> Guide {
    let mut guide = guide.clone();
    for ((k, l), &c) in spectra.indexed_iter() {
        guide.globals[k * guide.params.stride() + l] = softplus_inverse(c) as f32;
    }
    guide
}

/// A guide two of whose endmembers are one material.
fn of_another_mode(guide: &Guide) -> Guide {
    let mut twice = guide.medians();
    let other = &twice.row(1) * 1.1;
    twice.row_mut(0).assign(&other);
    around(guide, &twice)
}

/// Spectra that are known from a search shorten the way, or show it; what is worse than the guide,
/// or of another size, changes nothing.
#[test]
fn the_way_begins_at_spectra_at_rest_where_pixels_are_more_probable_there() {
    let (ended, pixels, ..) = fitted(3, 4, true);
    let wrong = of_another_mode(&ended);
    let at_rest =
        |guide: &Guide| evidence_at_rest(guide, &pixels, None, &|| false).unwrap().unwrap();
    // Two draws, each the mirror image of the other.
    let spectra = |guide: &Guide, from: Option<&[f64]>| -> Vec<f64> {
        let nested = Nested::new(guide, &pixels, from, &|| false).unwrap().unwrap();
        nested.spectra(2).into_iter().flatten().flatten().collect()
    };
    let right = spectra(&ended, None);
    // Of reflectances up to one; spectra of the two modes differ by tenths.
    let off =
        |found: &[f64]| found.iter().zip(&right).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    let own = at_rest(&ended).spectra;
    let (led, lost) = (off(&spectra(&wrong, Some(&own))), off(&spectra(&wrong, None)));
    assert!(led < 0.02 && lost > 0.1, "{led} {lost}");
    let worse = at_rest(&wrong).spectra;
    for from in [&worse[..], &own[1..], &[], &vec![f64::NAN; own.len()]] {
        assert_eq!(spectra(&ended, Some(from)), right);
    }
}

/// Spectra that were not learned yet, or of a mode that is another, beside those of a fit that has
/// ended.
#[test]
fn at_rest_solutions_compare_by_their_mode_and_not_by_how_far_they_have_come() {
    let (ended, pixels, ..) = fitted(3, 4, true);
    let mut off = ended.medians();
    off.indexed_iter_mut().for_each(|((_, l), c)| *c *= if l < 20 { 0.97 } else { 1.02 });
    let begun = around(&ended, &off);
    let wrong = of_another_mode(&ended);
    let briefly = |guide: &Guide| evidence(guide, &pixels, &|| false).unwrap().unwrap();
    let at_rest = |guide: &Guide| {
        let found = evidence_at_rest(guide, &pixels, None, &|| false).unwrap().unwrap();
        let AtRest { densities, bounded, .. } = found;
        assert_eq!((densities.len(), bounded.len()), (pixels.count(), pixels.count()));
        // Bounds on how pure pixels are make them more probable, or there is none.
        assert!(bounded.iter().sum::<f64>() >= densities.iter().sum::<f64>());
        densities.iter().sum::<f64>() / densities.len() as f64
    };
    let (before, after) = (briefly(&ended) - briefly(&begun), at_rest(&ended) - at_rest(&begun));
    // How spectra vary takes up a part of what is off, and is left with some of it; a solution must
    // be ahead by 0.1 to win.
    assert!(before > 0.2 && after.abs() < 0.1, "{before} {after}");
    assert!(at_rest(&ended) - at_rest(&wrong) > 1.0, "{}", at_rest(&ended) - at_rest(&wrong));
    assert!(evidence_at_rest(&ended, &pixels, None, &|| true).unwrap().is_none());
    // One pixel has an answer, too.
    let one = pixels.chosen(&[0]);
    assert_eq!(evidence_at_rest(&ended, &one, None, &|| false).unwrap().unwrap().bounded.len(), 1);
}
