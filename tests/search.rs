//! The search for the right mode: on scenes where single starts fail, and at its edges.
#![allow(missing_docs, clippy::unwrap_used)]

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use ndarray::ArrayView1;
use unmixel::engine::backend::{Choice, Device, device};
use unmixel::engine::model::{Common, Family, Model};
use unmixel::engine::pixels::{Cube, Pixels};
use unmixel::engine::svi;
use unmixel::engine::wait::block_on;
use unmixel::rooms::score::{Reference, match_spectra};
use unmixel::rooms::search::{self, Event, Found, Settings, Solution};
use unmixel::simulate::{self, Simulated, simulate};
use unmixel::{Error, Unmixing};

fn cpu() -> Device {
    device::choose(&Choice::Cpu).unwrap()
}

/// A material pure in 1 % of the pixels, 0.12 rad from another one.
fn hard() -> Simulated {
    simulate(&simulate::Settings {
        rows: 40,
        cols: 40,
        bands: 32,
        endmembers: 4,
        brightness_sd: 0.3,
        rare_share: 0.01,
        close_angle: 0.12,
        seed: 3,
        ..Default::default()
    })
    .unwrap()
}

fn model(k: usize) -> Model {
    Model {
        brightness: Some(1.0),
        variability: Some(0.02),
        likelihood_weight: 0.5,
        family: Family::FullRank,
        ..Model::new(k)
    }
}

fn run(pixels: &Pixels, k: usize, settings: &Settings, observe: &(dyn Fn(&Event) + Sync)) -> Found {
    run_with(&model(k), pixels, settings, observe)
}

fn run_with(
    model: &Model,
    pixels: &Pixels,
    settings: &Settings,
    observe: &(dyn Fn(&Event) + Sync),
) -> Found {
    let fit = svi::Settings { batch_size: 400, ..Default::default() };
    block_on(search::search(&cpu(), model, &fit, settings, pixels, observe, &|| false)).unwrap()
}

/// Of a search's steps no more are done than it said.
fn keeps_its_word(event: &Event) {
    if let Event::Steps(so_far, total) = event {
        assert!(so_far <= total, "{so_far} of {total}");
    }
}

fn correlation(a: ArrayView1<f32>, b: ArrayView1<f32>) -> f64 {
    let centred = |x: ArrayView1<f32>| {
        let x = x.mapv(f64::from);
        &x - x.mean().unwrap()
    };
    let (a, b) = (centred(a), centred(b));
    a.dot(&b) / (a.dot(&a) * b.dot(&b)).sqrt()
}

#[test]
fn many_bands_are_searched_as_fewer_and_what_is_found_has_all() {
    let settings =
        simulate::Settings { rows: 12, cols: 13, bands: 1100, seed: 2, ..Default::default() };
    let simulation = simulate(&settings).unwrap();
    let scene = simulation.scene("wide").unwrap();
    let steps = AtomicU64::new(0);
    let found = run(
        &scene.pixels(),
        3,
        &Settings { starts: 3, moves: 1, seconds: None, ..Settings::default() },
        &|event| {
            if let Event::Steps(so_far, total) = event {
                assert!(so_far <= total, "{so_far} of {total}");
                steps.fetch_max(*so_far, Ordering::Relaxed);
            }
        },
    );
    // Runs of five bands, and then 1,000 steps with all of them.
    assert_eq!((found.bands, found.pixels), (220, 12 * 13));
    assert!(found.fitted && found.guide.params.bands == 1100, "{:?}", found.guide.params);
    assert!(steps.into_inner() > 2 * u64::from(search::POLISH_STEPS));
    let spectra = &found.modes[0].endmembers;
    assert_eq!(spectra.dim(), (3, 1100));
    let pairs = match_spectra(simulation.endmembers.view(), spectra.view()).unwrap();
    let worst = pairs.iter().map(|&(_, angle)| angle).fold(0.0, f64::max);
    // A search of all bands leaves 0.12 on such scenes (docs/reliability.md), and spectra of other
    // materials are 0.2 apart and more.
    assert!(worst < 0.12, "{pairs:?}");
    // As many bands as a sensor has are searched as they are.
    let narrow = Pixels::of(&Cube::zeros(1, search::MOST_BANDS));
    assert_eq!(narrow.bands(), 512);
}

#[test]
fn it_finds_what_single_starts_miss_and_keeps_its_word_on_cost() {
    let simulation = hard();
    let scene = simulation.scene("hard").unwrap();
    let settings = Settings { starts: 5, moves: 2, seconds: None, ..Settings::default() };
    let (done, judged) = (AtomicU64::new(0), AtomicUsize::new(0));
    let found = run(&scene.pixels(), 4, &settings, &|event| match event {
        Event::Steps(so_far, total) => {
            assert!(so_far <= total, "{so_far} of {total}");
            done.fetch_max(*so_far, Ordering::Relaxed);
        }
        Event::Judged(_) => {
            judged.fetch_add(1, Ordering::Relaxed);
        }
    });
    assert!(done.into_inner() > 5 * u64::from(search::PROBE_STEPS));
    assert!(judged.into_inner() > found.solutions.len(), "those that went on are told twice");
    let worst = |endmembers: &ndarray::Array2<f64>| {
        let pairs = match_spectra(simulation.endmembers.view(), endmembers.view()).unwrap();
        pairs.iter().map(|&(_, angle)| angle).fold(0.0, f64::max)
    };
    // Half of what separates the rare material from its neighbour.
    let chosen = worst(&found.modes[0].endmembers);
    assert!(chosen < 0.06, "{chosen}: {:#?}", found.solutions);
    let start =
        unmixel::rooms::starts::start(scene.cube(), 4, &unmixel::rooms::starts::Init::Vca, true, 0)
            .unwrap();
    assert!(worst(&start.endmembers) > 0.06, "too easy: VCA alone finds it");

    let rows = &found.solutions;
    assert_eq!(rows.iter().filter(|row| row.chosen).count(), 1);
    let best = rows.iter().find(|row| row.chosen).unwrap();
    for row in rows.iter().filter(|row| row.elbo.is_some()) {
        // A move must gain a fifth of a percent to count.
        assert!(best.elbo.unwrap() > row.elbo.unwrap() - 0.003 * row.elbo.unwrap().abs());
    }
    assert!(found.agreement.0 >= 1 && found.agreement.1 == 5);
    let abundances = found.modes[0].abundances.as_ref().unwrap();
    assert_eq!(abundances.dim(), (scene.places().len(), 4));
    // Maps follow the scene, not the search's order of its pixels, in which they would say nothing.
    let truth = simulation.abundances.to_shape((1600, 4)).unwrap();
    let pairs =
        match_spectra(simulation.endmembers.view(), found.modes[0].endmembers.view()).unwrap();
    for (k, &(at, _)) in pairs.iter().enumerate() {
        let found = correlation(truth.column(k), abundances.column(at));
        assert!(found > 0.8, "endmember {k}: {found}");
    }
    assert!(found.fitted, "the guide goes on as it stands");
}

/// A dark material that is hardly there, beside two that vary: the ELBO of a model in which bands
/// vary for themselves prefers an endmember that stands for how one of the two varies.
#[test]
fn the_evidence_overrules_an_elbo_that_prefers_variability_to_a_material() {
    let simulated = simulate(&simulate::Settings {
        rows: 40,
        cols: 40,
        bands: 60,
        maps: simulate::Maps::Dirichlet,
        noise_sd: 0.005,
        least_abundance: 0.1,
        dark: 0.1,
        shared_variability_sd: 0.03,
        ..Default::default()
    })
    .unwrap();
    let scene = simulated.scene("dark").unwrap();
    let fit = Unmixing::new(3).device(unmixel::Device::cpu()).fit(&scene).unwrap();
    let solutions = &fit.search().unwrap().solutions;
    let judged: Vec<_> = solutions.iter().filter(|one| one.evidence.is_some()).collect();
    assert!(judged.len() > 1, "{solutions:?}");
    let (chosen, others): (Vec<_>, Vec<_>) = judged.into_iter().partition(|one| one.chosen);
    let [chosen] = chosen[..] else { panic!("{solutions:?}") };
    // Classics were among them, and the answer is of higher evidence than any.
    let families = ["vca,", "nfindr,"];
    let classic = |origin: &str| families.iter().any(|family| origin.starts_with(family));
    assert!(solutions.iter().any(|one| one.evidence.is_some() && classic(&one.origin)));
    assert!(others.iter().all(|other| other.evidence <= chosen.evidence), "{solutions:?}");
    assert!(others.iter().any(|other| other.elbo > chosen.elbo), "{solutions:?}");
    let scores = fit.score(&Reference::new(&scene, &simulated.truth())).unwrap();
    let rmse = scores.peak.abundance_rmse.unwrap();
    // 0.34 for the mode of the highest ELBO, 0.03 for this one.
    assert!(rmse < 0.06, "{rmse}");
}

#[test]
fn a_common_mixture_that_evidence_does_not_ask_for_is_left_out_by_the_search() {
    let each = simulate::Settings {
        rows: 30,
        cols: 30,
        bands: 30,
        maps: simulate::Maps::Dirichlet,
        pure_pixels: false,
        variability_sd: 0.03,
        ..Default::default()
    };
    let shared = simulate::Settings {
        maps: simulate::Maps::Dominant,
        noise_sd: 0.005,
        pure_pixels: true,
        variability_sd: 0.0,
        ..each.clone()
    };
    for (settings, stays) in [(each, false), (shared, true)] {
        let pixels = simulate(&settings).unwrap().scene("mixture").unwrap().pixels();
        let mixture = Some(Common { concentration: 12.0, sd: 1.5 });
        let model = Model { likelihood_weight: 1.0, common: mixture, ..model(3) };
        let open = Settings { starts: 3, moves: 1, common_is_open: true, ..Settings::default() };
        let closed = Settings { common_is_open: false, ..open.clone() };
        let asked = run_with(&model, &pixels, &closed, &|_| ());
        let found = run_with(&model, &pixels, &open, &keeps_its_word);
        let (gain, kept) = found.common.unwrap();
        assert_eq!((kept, gain > 1.0), (stays, stays), "{gain}");
        assert_eq!(found.guide.model.common.is_some(), stays);
        assert!(found.fitted);
        let chosen = found.solutions.iter().find(|one| one.chosen).unwrap();
        assert_eq!(chosen.origin.ends_with("no common mixture"), !stays, "{chosen:?}");
        // All that went on was fitted without one, too; one of them, where that tells enough.
        let without = found.solutions.iter().filter(|one| one.origin.contains("no common"));
        assert!(if stays { without.count() == 1 } else { without.count() >= 1 });
        // Who does not leave it open keeps it.
        assert!(asked.common.is_none() && asked.guide.model.common.is_some());
    }
}

#[test]
fn pixels_of_one_brightness_are_found_to_have_one_and_others_are_not() {
    let flat = simulate::Settings {
        rows: 30,
        cols: 30,
        bands: 40,
        maps: simulate::Maps::Dirichlet,
        brightness_sd: 0.0,
        noise_sd: 0.005,
        ..Default::default()
    };
    let shaded = simulate::Settings { brightness_sd: 0.2, ..flat.clone() };
    let slightly = simulate::Settings { brightness_sd: 0.04, ..flat.clone() };
    for (settings, differ, compared) in
        [(flat, false, true), (shaded, true, false), (slightly, true, true)]
    {
        let simulated = simulate(&settings).unwrap();
        let pixels = simulated.scene("shade").unwrap().pixels();
        let model = Model { likelihood_weight: 1.0, brightness_spread: Some(1.5), ..model(3) };
        let open = Settings { starts: 5, moves: 1, shade_is_open: true, ..Settings::default() };
        let closed = Settings { shade_is_open: false, ..open.clone() };
        let asked = run_with(&model, &pixels, &closed, &|_| ());
        let found = run_with(&model, &pixels, &open, &keeps_its_word);
        let shade = found.shade.unwrap();
        assert_eq!((shade.kept, shade.gain.is_some()), (differ, compared), "{shade:?}");
        assert_eq!(found.guide.model.brightness.is_some(), differ);
        assert!(found.fitted && found.solutions.iter().filter(|one| one.chosen).count() == 1);
        // Who does not leave it open keeps it.
        assert!(asked.shade.is_none() && asked.guide.model.brightness.is_some());
    }
}

#[test]
fn moves_replace_split_and_merge_and_go_on_while_there_is_time() {
    let pixels = hard().scene("hard").unwrap().pixels();
    let fit = svi::Settings { batch_size: 100, ..Default::default() };
    // Time without end: only the interruption ends it, in the fourth round at the earliest.
    let settings = Settings { starts: 1, moves: 30, seconds: Some(1e9), ..Settings::default() };
    let third = AtomicUsize::new(0);
    let observe = |event: &Event| {
        if let Event::Judged(one) = event
            && one.origin.ends_with("round 3")
        {
            third.fetch_add(1, Ordering::Relaxed);
        }
    };
    let stop = || third.load(Ordering::Relaxed) > 0;
    let found =
        block_on(search::search(&cpu(), &model(3), &fit, &settings, &pixels, &observe, &stop))
            .unwrap();
    let tried = |what: &str| found.solutions.iter().any(|one| one.origin.contains(what));
    for what in ["explained worst", "cluster's centre", " in two, one for ", " in one, "] {
        assert!(tried(what), "{what}: {:#?}", found.solutions);
    }
    assert!(search::ROUNDS < 3 && tried("round 3"), "without a time there are fewer rounds");
}

/// What leads from a mode to others was tried; an answer that is better of the same mode is taken,
/// and is the last.
#[test]
fn moves_go_on_from_another_mode_only() {
    let pixels = hard().scene("hard").unwrap().pixels();
    let settings = Settings { starts: 1, moves: 4, ..Settings::default() };
    let mut seen = [0; 2];
    for (k, seed) in [(3, 1), (3, 2), (4, 0), (4, 1), (4, 2), (4, 3)] {
        let fit = svi::Settings { batch_size: 100, seed, ..Default::default() };
        let (cpu, model) = (cpu(), model(k));
        let found =
            search::search(&cpu, &model, &fit, &settings, &pixels, &|_: &Event| (), &|| false);
        let solutions = block_on(found).unwrap().solutions;
        let of_round = |round: &'static str| {
            solutions.iter().filter(move |one| one.origin.ends_with(round) && one.elbo.is_some())
        };
        let (first, best) = (&solutions[0], |a: &&Solution, b: &&Solution| {
            a.elbo.unwrap().total_cmp(&b.elbo.unwrap())
        });
        let Some(new) = of_round("round 1").max_by(best) else { continue };
        // The share that a move must gain.
        let gains = new.elbo.unwrap() > 1.002 * first.elbo.unwrap();
        let elsewhere = new.mode != first.mode;
        let again = solutions.iter().any(|one| one.origin.ends_with("round 2"));
        assert_eq!(again, gains && elsewhere, "{k} {seed}: {solutions:#?}");
        if gains {
            seen[usize::from(elsewhere)] += 1;
            let chosen = solutions.iter().find(|one| one.chosen).unwrap();
            assert!(again || chosen == new, "{k} {seed}: {solutions:#?}");
        }
    }
    assert!(seen[0] > 0 && seen[1] > 0, "{seen:?}");
}

#[test]
fn a_time_that_is_over_leaves_the_starts_and_no_time_is_refused() {
    let pixels = hard().scene("hard").unwrap().pixels();
    let settings = Settings { starts: 2, moves: 4, seconds: Some(1e-9), ..Settings::default() };
    let found = run(&pixels, 3, &settings, &|_| ());
    // Bands err together here: starts by faces challenge what was found, whatever the time.
    let faces = |of: &&Solution| of.origin.starts_with("simplex");
    let starts = found.solutions.iter().filter(|of| !faces(of));
    assert_eq!((starts.count(), found.solutions.iter().filter(faces).count()), (2, 2));
    assert!(found.solutions.iter().any(|one| one.elbo.is_some()), "they had all their steps");
    for seconds in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let none = Settings { seconds: Some(seconds), ..settings.clone() };
        let fit = svi::Settings::default();
        let refused =
            block_on(search::search(&cpu(), &model(2), &fit, &none, &pixels, &|_| (), &|| false));
        assert!(matches!(refused, Err(Error::Setting { .. })), "{seconds}");
    }
}

#[test]
fn the_same_seed_finds_the_same() {
    let pixels = hard().scene("hard").unwrap().pixels();
    let settings = Settings { starts: 2, moves: 0, seconds: None, ..Settings::default() };
    let (a, b) = (run(&pixels, 3, &settings, &|_| ()), run(&pixels, 3, &settings, &|_| ()));
    assert_eq!((a.solutions, a.guide), (b.solutions, b.guide));
}

#[test]
fn an_interrupted_search_has_a_result() {
    let pixels = hard().scene("hard").unwrap().pixels();
    let fit = svi::Settings::default();
    let asked = AtomicUsize::new(0);
    let soon = || asked.fetch_add(1, Ordering::Relaxed) > 700;
    let settings = Settings { starts: 3, moves: 2, seconds: None, ..Settings::default() };
    let found =
        block_on(search::search(&cpu(), &model(3), &fit, &settings, &pixels, &|_| (), &soon))
            .unwrap();
    assert!(!found.guide.globals.is_empty());
    assert!(found.solutions.len() == 3, "no moves after the interruption");
}

#[test]
fn an_interrupt_at_any_time_gives_the_best_so_far_or_says_that_there_is_nothing() {
    let pixels = hard().scene("hard").unwrap().pixels();
    let fit = svi::Settings::default();
    let settings = Settings { starts: 3, moves: 2, seconds: None, ..Settings::default() };
    let searched = |questions: usize| {
        let asked = AtomicUsize::new(0);
        let soon = || asked.fetch_add(1, Ordering::Relaxed) >= questions;
        block_on(search::search(&cpu(), &model(3), &fit, &settings, &pixels, &|_| (), &soon))
    };
    assert!(matches!(searched(0), Err(Error::Interrupted)));
    let mut unfitted = 0;
    for questions in [1, 2, 3, 5, 8, 20, 60, 320, 1000] {
        // Before the first start there is nothing; after it there is always a guide.
        let found = match searched(questions) {
            // Questions come every 20 ms: on a busy machine a start takes some dozens of them.
            Err(Error::Interrupted) if questions < 60 => {
                unfitted += 1;
                continue;
            }
            found => found.unwrap(),
        };
        assert!(found.interrupted && !found.guide.globals.is_empty(), "{questions}");
        assert_eq!(found.solutions.iter().filter(|one| one.chosen).count(), 1);
        let steps = found.guide.momentum.as_ref().map_or(0, |momentum| momentum.steps);
        unfitted += usize::from(steps == 0);
        assert_eq!(steps == 0, found.guide.visits == 0.0, "{questions}");
    }
    assert!(unfitted > 0, "every interrupt came after the first steps");
    let whole = Settings { starts: 1, moves: 0, seconds: None, ..Settings::default() };
    assert!(!run(&pixels, 2, &whole, &|_| ()).interrupted);
}

#[test]
fn a_fit_that_the_search_hands_over_has_its_momentum() {
    let pixels = hard().scene("hard").unwrap().pixels();
    let found = run(
        &pixels,
        3,
        &Settings { starts: 1, moves: 0, seconds: None, ..Settings::default() },
        &|_| (),
    );
    // Each part of the search begins anew.
    assert_eq!(found.guide.momentum.unwrap().steps, search::POLISH_STEPS);
}

#[test]
fn small_and_odd_scenes_have_an_outcome() {
    let settings = Settings { starts: 3, moves: 2, seconds: None, ..Settings::default() };
    for (pixels, bands, k) in [(1, 1, 1), (5, 3, 1), (9, 4, 2)] {
        let mut cube = Cube::zeros(pixels, bands);
        for n in 0..pixels {
            for (l, y) in cube.spectrum_mut(n).iter_mut().enumerate() {
                *y = 0.1 + 0.05 * ((n * 7 + l * 3) % 5) as f32;
            }
        }
        let found = run(&Pixels::of(&cube), k, &settings, &|_| ());
        assert!(found.agreement.0 >= 1, "{pixels} x {bands}");
    }
    let pixels = Pixels::of(&Cube::zeros(4, 2));
    let fit = svi::Settings::default();
    let none = Settings { starts: 0, moves: 0, seconds: None, ..Settings::default() };
    let refused =
        block_on(search::search(&cpu(), &model(2), &fit, &none, &pixels, &|_| (), &|| false));
    assert!(matches!(refused, Err(Error::Setting { .. })), "{refused:?}");
}

#[test]
fn a_large_scene_is_searched_in_part_and_fitted_whole() {
    let settings = simulate::Settings { rows: 250, cols: 250, bands: 5, ..Default::default() };
    let pixels = simulate(&settings).unwrap().scene("large").unwrap().pixels();
    let found = run(
        &pixels,
        3,
        &Settings { starts: 1, moves: 0, seconds: None, ..Settings::default() },
        &|_| (),
    );
    assert!(found.pixels <= search::MOST_PIXELS && found.pixels > search::MOST_PIXELS / 2);
    assert!(found.modes[0].abundances.is_none() && !found.fitted);
    let latents = 3 * 2 + 3;
    assert_eq!(found.guide.locals.len(), pixels.count() * latents);
}
