//! Intervals of fits of scenes that are not as the model has it, against the truth.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

use ndarray::Array2;
use unmixel::rooms::convention::convert;
use unmixel::rooms::fit::Reason;
use unmixel::rooms::score::Reference;
use unmixel::simulate::{Maps, Settings, simulate};
use unmixel::{Concentration, Device, Fit, Init, Spectra, Unmixing};

/// A fit with all defaults, true abundances in its convention, (N, K), and the endmember of the fit
/// for each of theirs.
type Found = (Fit, Array2<f32>, Vec<usize>);

fn fitted(settings: &Settings) -> Found {
    fitted_with(settings, |unmixing, _| unmixing)
}

/// With what `with` makes of the defaults, which it is given with the true spectra.
fn fitted_with(settings: &Settings, with: impl Fn(Unmixing, Array2<f64>) -> Unmixing) -> Found {
    let simulated = simulate(settings).unwrap();
    let scene = simulated.scene("field").unwrap();
    let unmixing = Unmixing::new(settings.endmembers).seed(settings.seed).device(Device::cpu());
    let fit = with(unmixing, simulated.endmembers.clone()).fit(&scene).unwrap();
    let scores = fit.score(&Reference::new(&scene, &simulated.truth())).unwrap();
    let size = (settings.rows * settings.cols, settings.endmembers);
    let shares = simulated.abundances.to_shape(size).unwrap();
    let convention = fit.posterior().convention;
    let (_, truth) = convert(simulated.endmembers.view(), shares.view(), convention).unwrap();
    (fit, truth, scores.own().matching.clone())
}

/// The share of the true abundances for which `asked` holds that lie inside of the 90 % intervals,
/// and how many there are.
fn held((fit, truth, matching): &Found, asked: impl Fn(f32) -> bool) -> (f64, usize) {
    let of = fit.posterior();
    let (mut inside, mut count) = (0, 0);
    for (n, row) in truth.outer_iter().enumerate() {
        for (&w, &k) in row.iter().zip(matching).filter(|(w, _)| asked(**w)) {
            count += 1;
            inside += usize::from(of.abundance_q05[[n, k]] <= w && w <= of.abundance_q95[[n, k]]);
        }
    }
    (inside as f64 / count as f64, count)
}

/// A small scene whose abundances are sparse, and none of them above 0.8.
fn none_pure() -> Settings {
    Settings {
        rows: 20,
        cols: 25,
        bands: 64,
        maps: Maps::Dirichlet,
        pure_pixels: false,
        brightness_sd: 0.2,
        ..Settings::default()
    }
}

/// Whoever gives the true spectra gets intervals that hold, and no model of the pixels that they
/// do not need.
#[test]
fn intervals_hold_around_given_spectra() {
    let settings = Settings { endmembers: 4, variability_sd: 0.03, ..none_pure() };
    let given = |unmixing: Unmixing, spectra| unmixing.init(Init::Spectra(spectra));
    let stay = |unmixing, spectra| given(unmixing, spectra).spectra(Spectra::Given);
    let stay_few = |unmixing, spectra| stay(unmixing, spectra).steps(900);
    let found = [
        fitted_with(&settings, given),
        fitted_with(&settings, stay),
        fitted_with(&settings, stay_few),
    ];
    for of in &found {
        let (all, _) = held(of, |_| true);
        // 2,000 abundances that depend on each other in fours; with a common mixture that nobody
        // needs 0.78 where spectra stay.
        assert!((0.86..0.95).contains(&all), "{all}");
        let record = of.0.record();
        assert!(record.model.common.is_none() && record.start.contains("given spectra"));
        assert!(of.0.search().is_none(), "one start is no search");
    }
    // Nothing is shaded, and spectra that stay tell.
    let plain = Settings {
        rows: 36,
        cols: 36,
        bands: 40,
        maps: Maps::Dominant,
        brightness_sd: 0.0,
        variability_sd: 0.0,
        noise_sd: 0.005,
        ..settings
    };
    let found = fitted_with(&plain, stay);
    let (all, _) = held(&found, |_| true);
    assert!(found.0.record().model.brightness.is_none() && all > 0.85, "{all}");
}

/// Abundances without a brightness, of pixels that are nowhere pure: spectra of a fit with one
/// would have the size of their purest pixels, which is too small. Where there is shade they come
/// from such a fit, and what shade does to abundances is no uncertainty of theirs.
#[test]
fn without_brightness_spectra_come_first_where_there_is_shade() {
    let off = |unmixing: Unmixing, _| unmixing.brightness(false);
    let settings = Settings {
        rows: 30,
        cols: 30,
        endmembers: 4,
        bands: 60,
        pure_pixels: false,
        variability_sd: 0.03,
        noise_sd: 0.007,
        seed: 5,
        ..Settings::default()
    };
    let plain = fitted_with(&Settings { brightness_sd: 0.0, ..settings.clone() }, off);
    let (all, _) = held(&plain, |_| true);
    let trust = |found: &Found| found.0.trust().unwrap();
    assert_eq!(plain.0.record().spectra, Spectra::Joint);
    // 0.62 with spectra that come first.
    assert!((0.85..0.96).contains(&all), "{all}");
    assert_eq!(trust(&plain).reasons, [], "{}", trust(&plain));
    let shaded = fitted_with(&Settings { brightness_sd: 0.1, ..settings }, off);
    assert_eq!(shaded.0.record().spectra, Spectra::First);
    assert!(trust(&shaded).reasons.contains(&Reason::Shade), "{}", trust(&shaded));
}

/// Nine pixels in ten are one mixture. What is known of it is what its spectra let be known; held
/// where a fit first has it, its pixels would all be surer than that, and hold the spectra.
#[test]
fn intervals_hold_in_scenes_that_one_mixture_fills() {
    let settings = Settings {
        rows: 36,
        cols: 36,
        endmembers: 4,
        bands: 40,
        maps: Maps::Dominant,
        brightness_sd: 0.1,
        noise_sd: 0.005,
        seed: 2,
        ..Settings::default()
    };
    let found = fitted(&settings);
    let (all, _) = held(&found, |_| true);
    // With a mixture that stays 0.54.
    assert!((0.8..0.99).contains(&all), "{all}");
    // What was learned of the mixture is in the fit that is saved: a pass over the scene with it
    // has the same bits.
    let (fit, truth, matching) = found;
    let scene = simulate(&settings).unwrap().scene("field").unwrap();
    let again = Fit::from_bytes(&fit.to_bytes().unwrap()).unwrap().apply(&scene).unwrap();
    let of = |fit: &Fit| fit.posterior().abundance_q95.clone();
    assert_eq!(of(&again), of(&fit));
    assert_eq!(held(&(again, truth, matching), |_| true).0, all);
}

/// Pixels that hold a little of everything: at a concentration that expects few materials in each
/// spectra give way, abundances are off by half as much again, and intervals hold 0.66 of them.
#[test]
fn how_mixed_pixels_are_is_learned_where_evidence_asks_for_it() {
    let settings = Settings {
        rows: 36,
        cols: 36,
        bands: 40,
        brightness_sd: 0.1,
        noise_sd: 0.005,
        maps: Maps::Flat,
        seed: 5,
        ..Settings::default()
    };
    let found = fitted(&settings);
    let decided = found.0.search().unwrap().concentration;
    assert!(decided.is_some_and(|(gain, learned)| learned && gain > 0.2), "{decided:?}");
    let model = &found.0.record().model;
    assert!(model.concentration_sd.is_some() && model.common.is_none());
    // Starts of other families are fitted so, too: they had been judged by the other one.
    let learned = |of: &Found| {
        let solutions = &of.0.search().unwrap().solutions;
        solutions.iter().filter(|one| one.origin.ends_with("learned concentration")).count()
    };
    assert!(learned(&found) > 3, "{}", learned(&found));
    // A total of three is flat.
    let total = found.0.posterior().concentration;
    assert!((1.5..4.5).contains(&total), "{total}");
    let (all, _) = held(&found, |_| true);
    assert!((0.72..0.97).contains(&all), "{all}");
    let made = simulate(&settings).unwrap();
    let scene = made.scene("field").unwrap();
    let given = Unmixing::new(3).concentration(Concentration::Given(0.6)).seed(settings.seed);
    let given = given.device(Device::cpu()).fit(&scene).unwrap();
    assert_eq!(given.search().unwrap().concentration, None);
    let truth = Reference::new(&scene, &made.truth());
    let rmse = |fit: &Fit| fit.score(&truth).unwrap().peak.abundance_rmse.unwrap();
    assert!(rmse(&found.0) < 0.8 * rmse(&given), "{} {}", rmse(&found.0), rmse(&given));
    // Where most abundances are next to nothing it stays as it was.
    let sparse = fitted(&Settings { maps: Maps::Dirichlet, ..settings });
    let decided = sparse.0.search().unwrap().concentration;
    assert!(decided.is_some_and(|(_, learned)| !learned), "{decided:?}");
    assert_eq!(learned(&sparse), 1);
    assert!(sparse.0.record().model.concentration_sd.is_none());
}

/// Sparse abundances, none of them above 0.8: that no pixel is pure is no reason to expect fewer
/// traces. With a learned concentration 0.67 of them were held, and errors half as large again.
#[test]
fn sparse_abundances_without_pure_pixels_are_no_mixed_ones() {
    let settings = Settings { variability_sd: 0.05, noise_sd: 0.01, seed: 1, ..none_pure() };
    let found = fitted(&settings);
    let decided = found.0.search().unwrap().concentration;
    assert!(decided.is_some_and(|(gain, learned)| !learned && gain < -0.05), "{decided:?}");
    let (all, _) = held(&found, |_| true);
    assert!((0.8..0.97).contains(&all), "{all}");
}

/// Bands that err together, no pure pixels: all starts but those by faces lead to modes in which
/// two materials share one. By ELBO one of these won, with errors of 0.24 in its abundances.
#[test]
fn faces_challenge_where_bands_err_together() {
    let settings = Settings {
        shared_variability_sd: 0.06,
        band_correlation: 0.9,
        noise_sd: 0.005,
        seed: 2,
        ..none_pure()
    };
    let found = fitted(&settings);
    let search = found.0.search().unwrap();
    assert!(search.description.starts_with("simplex"), "{}", search.description);
    let chosen: Vec<_> = search.solutions.iter().filter(|of| of.chosen).collect();
    assert!(chosen.len() == 1 && chosen[0].origin.starts_with("simplex"), "{chosen:?}");
    let made = simulate(&settings).unwrap();
    let truth = Reference::new(&made.scene("field").unwrap(), &made.truth());
    let rmse = found.0.score(&truth).unwrap().peak.abundance_rmse.unwrap();
    assert!(rmse < 0.05, "{rmse}");
    let (all, _) = held(&found, |_| true);
    assert!((0.75..0.97).contains(&all), "{all}");
    // Where one of the other starts is near they do not take its place.
    let pure = Settings { pure_pixels: true, ..settings };
    let search = fitted(&pure).0.search().unwrap().description.clone();
    assert!(!search.starts_with("simplex"), "{search}");
}

/// Materials that are not there at all, and pixels of one alone: intervals must be able to end at
/// zero and at one.
#[test]
fn intervals_reach_abundances_of_exactly_zero_and_one() {
    let settings = Settings {
        rows: 24,
        cols: 24,
        bands: 40,
        maps: Maps::Dirichlet,
        brightness_sd: 0.2,
        noise_sd: 0.005,
        least_abundance: 0.1,
        ..Settings::default()
    };
    let found = fitted(&settings);
    for (name, (share, count)) in [
        ("none", held(&found, |w| w == 0.0)),
        ("some", held(&found, |w| w > 0.0 && w < 1.0)),
        ("whole", held(&found, |w| w == 1.0)),
    ] {
        assert!(count > 100, "{name}: {count}");
        assert!(share > 0.75, "{name}: {share}");
    }
    // Of what is mixed intervals say where it ends.
    assert!(held(&found, |w| w > 0.0 && w < 1.0).0 < 0.99);
}

/// Most abundances are exactly zero: that they are sparse is learned, saved, and not learned where
/// somebody says how sparse they are.
#[test]
fn how_sparse_abundances_are_is_learned() {
    let settings = Settings {
        rows: 32,
        cols: 32,
        bands: 40,
        maps: Maps::Dirichlet,
        brightness_sd: 0.2,
        noise_sd: 0.005,
        least_abundance: 0.1,
        shared_variability_sd: 0.03,
        dark: 0.1,
        endmembers: 4,
        seed: 1,
        ..Settings::default()
    };
    let found = fitted(&settings);
    // Fewer traces are expected than without having seen the pixels, unless somebody says so.
    let concentration = |fit: &Fit| fit.posterior().concentration;
    // Without having seen any it is 0.8.
    assert!(concentration(&found.0) < 0.64, "{}", concentration(&found.0));
    let scene = simulate(&settings).unwrap().scene("field").unwrap();
    let stated = Unmixing::new(4).concentration(Concentration::Given(0.8)).device(Device::cpu());
    let stated = stated.init(Init::Vca).steps(300).fit(&scene).unwrap();
    assert!((concentration(&stated) - 0.8).abs() < 1e-6, "{}", concentration(&stated));
    // It is in the fit that is saved, and in a pass over the scene with it.
    let again = Fit::from_bytes(&found.0.to_bytes().unwrap()).unwrap().apply(&scene).unwrap();
    assert_eq!(concentration(&again), concentration(&found.0));
    assert_eq!(again.posterior().abundance_q95, found.0.posterior().abundance_q95);
}
