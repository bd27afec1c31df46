//! The exact posterior of pixels as a user meets it: of any part of a scene, of large scenes, with
//! quantiles and draws.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use ndarray::{Array2, Axis, s};
use unmixel::rooms::score::Reference;
use unmixel::simulate::{Settings, Simulated, simulate};
use unmixel::{Device, Event, Fit, Init, PosteriorKind, Scene, Unmixing};

fn small() -> Simulated {
    let settings = Settings {
        rows: 14,
        cols: 19,
        bands: 24,
        noise_sd: 0.01,
        brightness_sd: 0.2,
        no_data_fraction: 0.1,
        seed: 3,
        ..Settings::default()
    };
    simulate(&settings).unwrap()
}

fn quick() -> Unmixing {
    Unmixing::new(3).steps(400).batch_size(64).seed(5).device(Device::cpu())
}

#[test]
fn parts_of_a_scene_have_the_posterior_of_the_whole_to_the_bit() {
    let simulated = small();
    let scene = simulated.scene("field").unwrap();
    let fit = quick().fit(&scene).unwrap();
    assert_eq!(fit.record().posterior, PosteriorKind::Exact);
    // Its own scene: the fit's own posterior.
    let whole = fit.apply(&scene).unwrap();
    assert_eq!(whole.posterior().abundance_mean, fit.posterior().abundance_mean);
    assert_eq!(whole.posterior().abundance_q95, fit.posterior().abundance_q95);
    let maps = whole.abundances();
    for (rows, cols) in [(0..5, 0..19), (5..14, 0..7), (3..4, 11..12)] {
        let part = simulated.cube.slice(s![rows.clone(), cols.clone(), ..]).to_owned();
        let nm = simulated.wavelengths.clone();
        let part = Scene::from_array("part", part, Some(nm)).unwrap();
        let applied = fit.apply(&part).unwrap();
        let bits = |fit: &ndarray::Array3<f32>, all: bool| -> Vec<u32> {
            let view = match all {
                true => fit.slice(s![.., .., ..]),
                false => fit.slice(s![rows.clone(), cols.clone(), ..]),
            };
            view.iter().map(|x| if x.is_nan() { 0 } else { x.to_bits() }).collect()
        };
        let own = applied.abundances();
        assert_eq!(bits(&own.mean(), true), bits(&maps.mean(), false));
        assert_eq!(bits(&own.sd(), true), bits(&maps.sd(), false));
        assert_eq!(bits(&own.interval().0, true), bits(&maps.interval().0, false));
    }
}

#[test]
fn quantiles_and_draws_are_those_of_the_mean_and_sd() {
    let scene = small().scene("field").unwrap();
    for posterior in [PosteriorKind::Exact, PosteriorKind::Guide] {
        let fit = quick().posterior(posterior).draws(200).fit(&scene).unwrap();
        let p = fit.posterior();
        for ((low, middle), high) in
            p.abundance_q05.iter().zip(&p.abundance_q50).zip(&p.abundance_q95)
        {
            assert!(0.0 <= *low && low <= middle && middle <= high && *high <= 1.0);
        }
        let drawn = fit.draws().unwrap();
        let (n, k) = p.abundance_mean.dim();
        assert_eq!(drawn.abundances.dim(), (200, n, k));
        assert_eq!(drawn.endmembers.dim(), (200, k, 24));
        let mean = drawn.abundances.mean_axis(Axis(0)).unwrap();
        let sd = drawn.abundances.std_axis(Axis(0), 0.0);
        // 200 draws of sd s: means are off by 0.07 s, root mean square; three times that, since the
        // draws of the scene, 32 in the moments, are shared by all pixels.
        let off =
            |a: &Array2<f32>, b: &Array2<f32>| ((a - b).mapv(|d| d * d).mean().unwrap()).sqrt();
        let typical = p.abundance_sd.mapv(|s| s * s).mean().unwrap().sqrt();
        assert!(off(&mean, &p.abundance_mean) < 0.21 * typical, "{typical}");
        // Of 32 draws of the scene an sd is off by an eighth.
        let (apart, most) = (off(&sd, &p.abundance_sd), 0.3 * typical);
        assert!(apart < most, "{apart} {most}");
        // A share of draws below each quantile: 90 % are between, within the noise of 200 draws
        // and the shelf that is reported as zero.
        let inside = drawn.abundances.indexed_iter().filter(|&((_, n, k), w)| {
            p.abundance_q05[[n, k]] <= *w && *w <= p.abundance_q95[[n, k]]
        });
        let share = inside.count() as f64 / drawn.abundances.len() as f64;
        assert!((0.87..0.96).contains(&share), "{share}");
        // Another order of the endmembers takes everything along.
        let other = fit.clone().in_order(&[2, 0, 1]).unwrap();
        assert_eq!(other.posterior().abundance_q95.column(0), p.abundance_q95.column(2));
        let draws = other.draws().unwrap();
        assert_eq!(draws.abundances[[7, 11, 0]], drawn.abundances[[7, 11, 2]]);
        assert_eq!(draws.endmembers[[7, 0, 3]], drawn.endmembers[[7, 2, 3]]);
    }
    assert!(quick().draws(1001).check().is_err());
}

/// A number and a decision.
type Decision = (f64, bool);

/// A fit, and the last decision that its events told.
fn heard(
    of: Unmixing,
    scene: &Scene,
    pick: impl Fn(&Event) -> Option<Decision> + Send + Sync + 'static,
) -> (Fit, Option<Decision>) {
    let told = Arc::new(Mutex::new(None));
    let tell = Arc::clone(&told);
    let of = of.on_event(move |event| {
        if let Some(decision) = pick(event) {
            *tell.lock().unwrap() = Some(decision);
        }
    });
    let fit = of.fit(scene).unwrap();
    let told = *told.lock().unwrap();
    (fit, told)
}

/// What a fit says of a common mixture, and whether its model has one.
fn mixture(settings: &Settings, of: Unmixing) -> (Option<Decision>, bool) {
    let scene = simulate(settings).unwrap().scene("mixture").unwrap();
    let (fit, told) = heard(of, &scene, |event| match event {
        Event::CommonMixture { gain, kept } => Some((*gain, *kept)),
        _ => None,
    });
    assert_eq!(fit.record().model.common, fit.guide().model.common);
    (told, fit.guide().model.common.is_some())
}

#[test]
fn a_common_mixture_stays_where_the_evidence_asks_for_it() {
    let each = Settings {
        rows: 30,
        cols: 30,
        bands: 30,
        maps: unmixel::simulate::Maps::Dirichlet,
        pure_pixels: false,
        variability_sd: 0.03,
        ..Settings::default()
    };
    let (told, kept) = mixture(&each, quick());
    assert!(told.is_some_and(|(gain, kept)| gain < 1.0 && !kept) && !kept, "{told:?}");
    let shared = Settings {
        maps: unmixel::simulate::Maps::Dominant,
        noise_sd: 0.005,
        pure_pixels: true,
        variability_sd: 0.0,
        ..each.clone()
    };
    // What most pixels repeat is one: nothing is left to decide.
    assert_eq!(mixture(&shared, quick()), (None, true));
    // Of a small scene nothing is left out, and evidence says it.
    let small = Settings { rows: 28, cols: 28, ..shared.clone() };
    let (told, kept) = mixture(&small, quick());
    assert!(told.is_some_and(|(gain, kept)| gain > 1.0 && kept) && kept, "{told:?}");
    // Who asks for it, or not, is not asked again.
    assert_eq!(mixture(&each, quick().common_mixture(true)), (None, true));
    assert_eq!(mixture(&shared, quick().common_mixture(false)), (None, false));
}

/// What an event says of neighbours, and the posterior of the fit.
fn decided(scene: &Scene) -> (Option<Decision>, PosteriorKind) {
    let (fit, told) = heard(quick(), scene, |event| match event {
        Event::Neighbours { correlation, exact } => Some((*correlation, *exact)),
        _ => None,
    });
    (told, fit.record().posterior)
}

#[test]
fn where_bands_err_together_the_posterior_is_exact_unless_pixels_do_too() {
    let settings = Settings {
        rows: 24,
        cols: 24,
        bands: 40,
        noise_sd: 0.01,
        band_correlation: 0.95,
        shared_variability_sd: 0.06,
        seed: 3,
        ..Settings::default()
    };
    let mut simulated = simulate(&settings).unwrap();
    let (told, posterior) = decided(&simulated.scene("own").unwrap());
    let (correlation, exact) = told.unwrap();
    assert!(exact && correlation < 0.15, "{correlation}");
    assert_eq!(posterior, PosteriorKind::Exact);
    // Something that the model does not know, and four by four pixels share.
    for ((row, col, l), y) in simulated.cube.indexed_iter_mut() {
        let block = (row / 4 * 6 + col / 4) as f32;
        let wave = |j: f32| (0.7 * j * block + 0.3 * j * j).sin() * (0.12 * j * l as f32).cos();
        *y += 0.01 * (1..12).map(|j| wave(j as f32)).sum::<f32>();
    }
    let (told, posterior) = decided(&simulated.scene("shared").unwrap());
    let (correlation, exact) = told.unwrap();
    assert!(!exact && correlation > 0.3, "{correlation}");
    assert_eq!(posterior, PosteriorKind::Guide);
    // Bands that err each for itself need no look at the pixels.
    assert_eq!(decided(&small().scene("field").unwrap()), (None, PosteriorKind::Exact));
}

fn large() -> Simulated {
    let settings = Settings {
        rows: 200,
        cols: 180,
        bands: 16,
        noise_sd: 0.01,
        seed: 4,
        ..Settings::default()
    };
    simulate(&settings).unwrap()
}

#[test]
fn a_large_scene_is_learned_from_a_sample_and_every_pixel_has_its_posterior() {
    let simulated = large();
    let scene = simulated.scene("large").unwrap();
    let told = Arc::new(AtomicBool::new(false));
    let heard = told.clone();
    let fit = quick()
        .batch_size(512)
        .init(Init::Vca)
        .on_event(move |event| {
            if matches!(event, Event::LearnedFrom { of: 36_000, .. }) {
                heard.store(true, Ordering::Relaxed);
            }
        })
        .fit(&scene)
        .unwrap();
    assert!(told.load(Ordering::Relaxed));
    assert!(fit.guide().params.pixels <= 31_000);
    let p = fit.posterior();
    assert_eq!(p.abundance_mean.dim(), (36_000, 3));
    assert!(p.abundance_mean.sum_axis(Axis(1)).iter().all(|sum| (sum - 1.0).abs() < 1e-5));
    let worth = p.draws_worth.as_ref().unwrap();
    let few = worth.iter().filter(|&&worth| worth < 100.0).count();
    assert!(few <= 360, "{few} pixels with few effective draws");
    let score = fit.score(&Reference::new(&scene, &simulated.truth())).unwrap();
    let rmse = score.peak.abundance_rmse.unwrap();
    assert!(rmse < 0.05, "{rmse}");
    // It can be kept and applied like any other.
    let back = Fit::from_bytes(&fit.to_bytes().unwrap()).unwrap();
    let applied = back.apply(&scene).unwrap();
    assert_eq!(applied.posterior().abundance_mean, p.abundance_mean);
}

#[test]
fn an_interrupted_fit_of_a_large_scene_has_all_of_its_pixels() {
    let simulated = large();
    let scene = simulated.scene("large").unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let (set, asked) = (stop.clone(), stop.clone());
    let fit = quick()
        .batch_size(512)
        .init(Init::Vca)
        // When the posterior begins: nothing of it is there.
        .on_event(move |event| {
            if matches!(event, Event::Nesting) {
                set.store(true, Ordering::Relaxed);
            }
        })
        .stop_when(move || asked.load(Ordering::Relaxed))
        .fit(&scene)
        .unwrap();
    assert!(fit.record().interrupted);
    let p = fit.posterior();
    assert_eq!(p.abundance_mean.dim(), (36_000, 3));
    assert!(p.abundance_mean.iter().all(|w| w.is_finite()));
    assert!(p.abundance_sd.iter().all(|sd| sd.is_nan()));
    let score = fit.score(&Reference::new(&scene, &simulated.truth())).unwrap();
    assert!(score.peak.abundance_rmse.unwrap() < 0.08);
}
