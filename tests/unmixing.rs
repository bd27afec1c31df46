//! The library as a program uses it: one way from a scene to a fit, driven or not, saved, applied
//! to another scene.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use ndarray::{Array3, Axis, s};
use unmixel::rooms::score::Reference;
use unmixel::simulate::{Maps, Settings, Simulated, simulate};
use unmixel::{
    Checkpoint, Concentration, Convention, Device, EffectiveBands, Error, Event, Fit, Init,
    PosteriorKind, Scene, Spectra, Unmixing,
};

/// 13 by 17 pixels, so that a transposed map shows, with holes, and noise that leaves little to
/// chance.
fn settings() -> Settings {
    Settings {
        rows: 13,
        cols: 17,
        bands: 24,
        noise_sd: 0.004,
        no_data_fraction: 0.1,
        seed: 3,
        ..Settings::default()
    }
}

fn simulated() -> Simulated {
    simulate(&settings()).unwrap()
}

/// No search, few steps.
fn quick() -> Unmixing {
    Unmixing::new(3).steps(300).batch_size(64).seed(5).device(Device::cpu())
}

#[test]
fn a_fit_is_in_the_geometry_of_its_scene() {
    let simulated = simulated();
    let scene = simulated.scene("field").unwrap();
    let fit = quick().fit(&scene).unwrap();
    let (mean, sd) = (fit.abundances().mean(), fit.abundances().sd());
    assert_eq!((mean.dim(), sd.dim()), ((13, 17, 3), (13, 17, 3)));
    let places: Vec<usize> = scene.places().iter().map(|&place| place as usize).collect();
    assert!(places.len() < 13 * 17, "holes are part of the test");
    for place in 0..13 * 17 {
        let pixel = mean.slice(s![place / 17, place % 17, ..]);
        // Shares of four roundings each.
        let sound = (pixel.sum() - 1.0).abs() < 1e-5;
        assert!(if places.contains(&place) { sound } else { pixel.iter().all(|w| w.is_nan()) });
    }
    let bright = fit.brightness().unwrap();
    assert_eq!((bright.dim(), fit.residual().dim()), ((13, 17), (13, 17)));
    // Each map is nearer to the truth's map of its material than the truth's neighbours a row down
    // are.
    let truth = Reference::new(&scene, &simulated.truth());
    let scores = fit.score(&truth).unwrap();
    let rmse = scores.peak.abundance_rmse.unwrap();
    let shifted =
        Array3::from_shape_fn((13, 17, 3), |(r, c, k)| simulated.abundances[[(r + 1) % 13, c, k]]);
    let moved = unmixel::Truth { abundances: Some(shifted), ..simulated.truth() };
    let off = fit.score(&Reference::new(&scene, &moved)).unwrap().peak.abundance_rmse.unwrap();
    assert!(rmse < 0.06 && off > 2.0 * rmse, "{rmse}, a row down {off}");
}

#[test]
fn a_driven_run_ends_where_a_fit_ends_and_a_checkpoint_goes_on_there() {
    let scene = simulated().scene("field").unwrap();
    let whole = quick().fit(&scene).unwrap();
    let path = std::env::temp_dir().join(format!("unmixel-run-{}.ckpt", std::process::id()));
    for stop_at in [0, 100, 250] {
        let mut run = quick().start(&scene).unwrap();
        while stop_at > 0 && run.advance().unwrap().is_some_and(|p| p.step < stop_at) {}
        run.checkpoint().unwrap().save(&path).unwrap();
        drop(run);
        let checkpoint = Checkpoint::load(&path).unwrap();
        let mut run = quick().resume(&scene, checkpoint).unwrap();
        let mut steps = 0;
        while let Some(progress) = run.advance().unwrap() {
            steps = progress.step;
        }
        let fit = run.finish().unwrap();
        assert_eq!(steps, 300);
        // To the bit: what has the same bytes goes on the same way.
        assert_eq!(fit.posterior().abundance_mean, whole.posterior().abundance_mean);
        assert_eq!(fit.guide().globals, whole.guide().globals);
        assert_eq!(fit.record().trace, whole.record().trace);
    }
    // A run that is left early says so, and has the steps that it did.
    let mut run = quick().start(&scene).unwrap();
    while run.advance().unwrap().is_some_and(|progress| progress.step < 150) {}
    let fit = run.finish().unwrap();
    assert_eq!((fit.record().trace.len(), fit.record().interrupted), (150, true));
    std::fs::remove_file(path).unwrap();
}

/// What a search has seen on its way to the answer goes with a checkpoint.
#[test]
fn a_checkpoint_knows_where_spectra_came_to_rest_in_a_search() {
    let settings = Settings { maps: Maps::Dirichlet, brightness_sd: 0.1, ..settings() };
    let scene = simulate(&settings).unwrap().scene("field").unwrap();
    let of = || {
        let all = quick().effective_bands(EffectiveBands::All).posterior(PosteriorKind::Exact);
        all.restarts(2)
    };
    let whole = of().fit(&scene).unwrap();
    let at_rest = whole.search().unwrap().at_rest.clone().unwrap();
    assert_eq!(at_rest.len(), 3 * 24);
    let path = std::env::temp_dir().join(format!("unmixel-rest-{}.ckpt", std::process::id()));
    of().start(&scene).unwrap().checkpoint().unwrap().save(&path).unwrap();
    let mut run = of().resume(&scene, Checkpoint::load(&path).unwrap()).unwrap();
    while run.advance().unwrap().is_some() {}
    let fit = run.finish().unwrap();
    assert_eq!(fit.posterior().abundance_mean, whole.posterior().abundance_mean);
    assert_eq!(fit.posterior().endmember_mean, whole.posterior().endmember_mean);
    std::fs::remove_file(path).unwrap();
}

/// A scene that one mixture fills but for squares, and whose pixels have one brightness.
fn dominated() -> Simulated {
    let settings = Settings {
        rows: 36,
        cols: 40,
        bands: 40,
        endmembers: 4,
        maps: Maps::Dominant,
        brightness_sd: 0.0,
        noise_sd: 0.005,
        variability_sd: 0.0,
        seed: 1,
        ..Settings::default()
    };
    simulate(&settings).unwrap()
}

#[test]
fn a_mixture_that_most_pixels_repeat_does_not_become_a_material() {
    let simulated = dominated();
    let scene = simulated.scene("squares").unwrap();
    let told = Arc::new(Mutex::new(Vec::new()));
    let listener = Arc::clone(&told);
    let of = || Unmixing::new(4).restarts(4).seed(2).device(Device::cpu());
    let fit = of()
        .on_event(move |event| listener.lock().unwrap().push(event.clone()))
        .fit(&scene)
        .unwrap();
    let told = told.lock().unwrap();
    let repeats = told.iter().find_map(|event| match event {
        Event::Repeats { kept, of } => Some((*kept, *of)),
        _ => None,
    });
    // A tenth of the pixels are in squares, and 400 of the mixture stand for all.
    let (kept, of_all) = repeats.unwrap();
    assert!(of_all == 1440 && (450..650).contains(&kept), "{kept} of {of_all}");
    let shade = told.iter().find_map(|event| match event {
        Event::Shade(shade) => Some(*shade),
        _ => None,
    });
    assert!(shade.is_some_and(|shade| !shade.kept), "{shade:?}");
    // All pixels have their abundances, and a posterior that knows of the mixture.
    assert_eq!(fit.posterior().abundance_mean.nrows(), 1440);
    let model = &fit.record().model;
    assert!(model.brightness.is_none() && model.common.is_some());
    let truth = Reference::new(&scene, &simulated.truth());
    let scores = fit.score(&truth).unwrap();
    let rmse = scores.peak.abundance_rmse.unwrap();
    // VCA and FCLS have 0.018 to 0.021 on such scenes; a mixture taken for a material 0.3.
    assert!(rmse < 0.02, "{rmse}");

    // It goes on from a checkpoint to the bit, without a search.
    let mut run = of().start(&scene).unwrap();
    while run.advance().unwrap().is_some_and(|progress| progress.step < 200) {}
    let checkpoint = run.checkpoint().unwrap();
    let mut run = of().resume(&scene, checkpoint).unwrap();
    while run.advance().unwrap().is_some() {}
    let resumed = run.finish().unwrap();
    assert_eq!(resumed.posterior().abundance_mean, fit.posterior().abundance_mean);
    assert_eq!(resumed.guide().globals, fit.guide().globals);
    // Who wants a brightness has one.
    let asked = of().brightness(true).steps(300).restarts(1).fit(&scene).unwrap();
    assert!(asked.record().model.brightness.is_some());
}

/// Shares of area, or of spectra over their peaks, which without shade mix to less than a whole:
/// both with their brightness, if any, stand for one spectrum, and so do they once saved.
#[test]
fn what_a_pixel_mixes_to_does_not_depend_on_the_convention() {
    let simulated =
        simulate(&Settings { noise_sd: 0.01, brightness_sd: 0.0, ..settings() }).unwrap();
    let scene = simulated.scene("field").unwrap();
    for posterior in [PosteriorKind::Exact, PosteriorKind::Guide] {
        let of = |convention: Convention| {
            let with = quick().brightness(false).posterior(posterior).convention(convention);
            let fit = with.init(Init::Vca).spectra(Spectra::Joint).fit(&scene).unwrap();
            Fit::from_bytes(&fit.to_bytes().unwrap()).unwrap()
        };
        let (area, peak) = (of(Convention::Reflectance), of(Convention::Peak));
        assert!(area.brightness().is_none());
        let bright = peak.brightness().unwrap();
        // Dark materials and bright ones: a brightness of one would be another spectrum.
        assert!(bright.iter().any(|&b| b < 0.8), "{bright}");
        for fit in [&area, &peak] {
            let left = fit.residual().mapv(|r| if r.is_nan() { 0.0 } else { r });
            // Noise of 0.01 in 24 bands, and what three hundred steps have not found.
            assert!(left.iter().all(|&r| r < 0.02), "{posterior:?}: {left}");
        }
        let off = |(a, b): (&f64, &f64)| (a - b).abs();
        let posteriors = (area.posterior(), peak.posterior());
        for n in 0..scene.places().len() {
            let (a, b) = (posteriors.0.fitted(n), posteriors.1.fitted(n));
            // Means of products for products of means: second order in the posterior's sds.
            assert!(a.iter().zip(&b).map(off).all(|off| off < 0.005), "{posterior:?} {n}");
        }
    }
}

#[test]
fn a_checkpoint_refuses_other_scenes_and_other_settings() {
    let scene = simulated().scene("field").unwrap();
    let checkpoint = quick().start(&scene).unwrap().checkpoint().unwrap();
    let other = simulate(&Settings { rows: 9, cols: 9, bands: 24, ..Settings::default() }).unwrap();
    let other = other.scene("other").unwrap();
    let refused = |error: Option<Error>| match error {
        Some(Error::Checkpoint(why)) => why,
        other => panic!("{other:?}"),
    };
    let why = refused(quick().resume(&other, checkpoint.clone()).err());
    assert!(why.contains("pixels"), "{why}");
    let why = refused(quick().seed(6).resume(&scene, checkpoint.clone()).err());
    assert!(why.contains("other settings"), "{why}");
    assert!(quick().resume(&scene, checkpoint).is_ok());
}

#[test]
fn a_saved_fit_is_the_fit() {
    let scene = simulated().scene("field").unwrap();
    let path = std::env::temp_dir().join(format!("unmixel-fit-{}.fit", std::process::id()));
    for posterior in [PosteriorKind::Guide, PosteriorKind::Exact] {
        let fit = quick().posterior(posterior).fit(&scene).unwrap().in_order(&[2, 0, 1]).unwrap();
        fit.save(&path).unwrap();
        let back = Fit::load(&path).unwrap();
        assert_eq!(back.record(), fit.record());
        assert_eq!(back.guide().locals, fit.guide().locals);
        assert_eq!(back.posterior().abundance_mean, fit.posterior().abundance_mean);
        assert_eq!(back.endmembers().mean(), fit.endmembers().mean());
        assert_eq!(back.scene().places(), scene.places());
        // What it says of another scene is the same, too.
        let applied = [&fit, &back].map(|fit| fit.apply(&scene).unwrap());
        let [one, two] = applied.each_ref().map(|fit| &fit.posterior().abundance_mean);
        assert_eq!(one, two);
    }
    let bytes = std::fs::read(&path).unwrap();
    for cut in [0, 7, 100, bytes.len() / 2, bytes.len() - 1] {
        std::fs::write(&path, &bytes[..cut]).unwrap();
        let text = Fit::load(&path).unwrap_err().to_string();
        assert!(text.contains("unmixel-fit-"), "{text}");
    }
    std::fs::remove_file(path).unwrap();
}

#[test]
fn a_fit_applies_to_other_scenes_by_wavelength() {
    let simulated = simulated();
    let scene = simulated.scene("field").unwrap();
    let fit = quick().posterior(PosteriorKind::Exact).fit(&scene).unwrap();
    let apart = |a: &Fit, b: &Fit| {
        let (a, b) = (&a.posterior().abundance_mean, &b.posterior().abundance_mean);
        ((a - b).mapv(|d| d * d).mean().unwrap()).sqrt()
    };
    // On its own scene it says what the fit says; the two are draws around different guides.
    let own = fit.apply(&scene).unwrap();
    assert!(apart(&own, &fit) < 0.02, "{}", apart(&own, &fit));
    assert_eq!(own.record().posterior, PosteriorKind::Exact);
    // A part of the scene, with its bands the other way round: the same pixels say the same,
    // whatever is beside them.
    let part = simulated.cube.slice(s![..7, .., ..;-1]).to_owned();
    let nm: Vec<f64> = simulated.wavelengths.iter().rev().copied().collect();
    let part = Scene::from_array("part", part, Some(nm)).unwrap();
    let applied = fit.apply(&part).unwrap();
    let rows = part.places().len();
    let above = own.posterior().abundance_mean.slice(s![..rows, ..]).to_owned();
    let off = (&applied.posterior().abundance_mean - &above).mapv(|d| d * d).mean().unwrap().sqrt();
    // Draws differ, as a pixel's number does; sds are about 0.02 and have hundreds of draws.
    assert!(off < 0.01, "{off}");
    // Without its last bands, and without wavelengths and with fewer bands, nothing can be said.
    let few = simulated.cube.slice(s![.., .., ..20]).to_owned();
    let short = Scene::from_array("short", few.clone(), Some(simulated.wavelengths[..20].to_vec()));
    let why = fit.apply(&short.unwrap()).unwrap_err().to_string();
    assert!(why.contains("4 of the fit's 24 bands"), "{why}");
    assert!(fit.apply(&Scene::from_array("bare", few, None).unwrap()).is_err());
}

#[test]
fn events_come_in_order_and_an_interrupt_gives_what_there_is() {
    let scene = simulated().scene("field").unwrap();
    let seen: Arc<Mutex<Vec<Event>>> = Arc::default();
    let to = Arc::clone(&seen);
    quick().on_event(move |event| to.lock().unwrap().push(event.clone())).fit(&scene).unwrap();
    let seen = seen.lock().unwrap();
    let at = |is: fn(&Event) -> bool| seen.iter().position(is).unwrap();
    let order = [
        at(|event| matches!(event, Event::Device(_))),
        at(|event| matches!(event, Event::EffectiveBands { .. })),
        at(|event| matches!(event, Event::Start(_))),
        at(|event| matches!(event, Event::Progress(_))),
        at(|event| matches!(event, Event::Fitted { .. })),
    ];
    assert!(order.is_sorted(), "{order:?}");
    assert!(seen.iter().all(|event| !event.to_string().trim().is_empty()));

    for asked in [0, 3, 40] {
        let count = AtomicUsize::new(0);
        let stop = move || count.fetch_add(1, Ordering::Relaxed) >= asked;
        // A start at least, however early.
        let fit = quick().steps(5000).stop_when(stop).fit(&scene).unwrap();
        assert!(fit.record().interrupted && fit.record().trace.len() < 5000);
    }
}

#[test]
fn a_fit_that_is_stopped_at_once_has_a_start_and_the_spectra_that_were_given() {
    let scene = simulated().scene("stopped").unwrap();
    let of = |unmixing: Unmixing| {
        let fit = unmixing.device(Device::cpu()).stop_when(|| true).fit(&scene).unwrap();
        let record = fit.record();
        assert!(record.interrupted && record.trace.is_empty(), "{record:?}");
        assert!(record.start.contains("in a hurry"), "{}", record.start);
        fit
    };
    of(Unmixing::new(3));
    of(Unmixing::new(3).brightness(false));
    let k = 2;
    let spectrum = |(k, l): (usize, usize)| 0.2 + 0.3 * k as f64 + 0.01 * l as f64;
    let given = ndarray::Array2::from_shape_fn((k, scene.bands().len()), spectrum);
    let fit = of(Unmixing::new(k)
        .init(Init::Spectra(given.clone()))
        .convention(Convention::Reflectance)
        .variability(false));
    let found = fit.posterior().endmember_mean.clone();
    // Means of the guide, whose spread is a few per cent of the spectra.
    assert!(found.iter().zip(&given).all(|(a, b)| (a / b - 1.0).abs() < 0.1), "{found}");
}

#[test]
fn rules_of_settings_are_sentences_without_flags() {
    let spectra = ndarray::Array2::from_elem((3, 24), 0.5);
    for (unmixing, said) in [
        (quick().spectra(Spectra::First), "spectra first: needs brightness off"),
        (quick().spectra(Spectra::Given), "spectra given: needs spectra to begin from"),
        (quick().batch_size(0), "batch size 0"),
        (quick().concentration(Concentration::Given(-1.0)), "concentration -1"),
        (Unmixing::new(0), "endmembers 0"),
    ] {
        let text = unmixing.check().unwrap_err().to_string();
        assert!(text.contains(said) && !text.contains("--"), "{text}");
    }
    quick().init(Init::Spectra(spectra)).spectra(Spectra::Given).check().unwrap();
    // More endmembers than bands is a matter of the scene.
    let scene = simulated().scene("field").unwrap();
    let text = Unmixing::new(25).device(Device::cpu()).fit(&scene).unwrap_err().to_string();
    assert!(text.contains("24 bands"), "{text}");
}

#[test]
fn spectra_come_first_without_brightness_and_a_library_gives_those_that_explain_most() {
    let simulated = simulated();
    let scene = simulated.scene("field").unwrap();
    let mut library = simulated.endmembers.clone();
    let odd = ndarray::Array2::from_shape_fn((2, 24), |(k, l)| ((k + 2) * l % 7) as f64 / 7.0);
    library.append(Axis(0), odd.view()).unwrap();
    let library = library.select(Axis(0), &[3, 0, 1, 4, 2]);
    let fit = quick().init(Init::Spectra(library)).fit(&scene).unwrap();
    let mut chosen = fit.record().library.clone().unwrap();
    chosen.sort_unstable();
    assert_eq!(chosen, [1, 2, 4]);

    let off = Unmixing::new(3).brightness(false).steps(1000).restarts(2).seed(1);
    let fit = off.clone().device(Device::cpu()).fit(&scene).unwrap();
    assert_eq!((fit.record().spectra, fit.convention()), (Spectra::First, Convention::Reflectance));
    assert!(fit.record().elbo_with_brightness.is_some() && fit.brightness().is_none());
    assert_eq!(fit.search().unwrap().agreement.1, 2);
}
