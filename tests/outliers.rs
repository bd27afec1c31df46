//! Pixels unlike all others, end to end: they are found and told, the scene is learned without
//! them, and they have a place in every result.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

use std::sync::{Arc, Mutex};

use ndarray::Axis;
use unmixel::rooms::score::Reference;
use unmixel::simulate::{Maps, Settings, Simulated, simulate};
use unmixel::{Checkpoint, Device, Event, Fit, Init, PosteriorKind, Unmixing};

fn settings() -> Settings {
    Settings {
        rows: 30,
        cols: 40,
        bands: 40,
        maps: Maps::Dirichlet,
        noise_sd: 0.004,
        variability_sd: 0.03,
        no_data_fraction: 0.05,
        outlier_share: 0.005,
        seed: 2,
        ..Settings::default()
    }
}

/// A scene, and the places of its outliers that have data: where it differs from the scene that has
/// none.
fn scene() -> (Simulated, Vec<u32>) {
    let made = simulate(&settings()).unwrap();
    let plain = simulate(&Settings { outlier_share: 0.0, ..settings() }).unwrap();
    let pairs = made.cube.lanes(Axis(2)).into_iter().zip(plain.cube.lanes(Axis(2)));
    let odd: Vec<u32> = (0..)
        .zip(pairs)
        .filter(|(_, (a, b))| !a[0].is_nan() && a != b)
        .map(|(place, _)| place)
        .collect();
    assert!((4..=6).contains(&odd.len()), "{odd:?}");
    (made, odd)
}

fn quick() -> Unmixing {
    Unmixing::new(3).steps(900).seed(5).device(Device::cpu())
}

fn mean_sad(fit: &Fit, made: &Simulated) -> f64 {
    let truth = Reference::new(&made.scene("field").unwrap(), &made.truth());
    fit.score(&truth).unwrap().peak.mean_sad.unwrap()
}

#[test]
fn they_are_told_and_the_scene_is_learned_without_them() {
    let (made, odd) = scene();
    let scene = made.scene("field").unwrap();
    let told = Arc::new(Mutex::new(Vec::new()));
    let said = Arc::clone(&told);
    let fit = quick()
        .on_event(move |event| {
            if let Event::Outliers { count, of, aside } = event {
                said.lock().unwrap().push((*count, *of, *aside));
            }
        })
        .fit(&scene)
        .unwrap();
    assert_eq!(*told.lock().unwrap(), [(odd.len(), scene.places().len(), true)]);
    assert_eq!(fit.record().outliers.as_ref(), Some(&odd));
    let kept = quick().outliers_aside(false).fit(&scene).unwrap();
    assert_eq!(kept.record().outliers, None);
    let plain = simulate(&Settings { outlier_share: 0.0, ..settings() }).unwrap();
    let clean = quick().fit(&plain.scene("field").unwrap()).unwrap();
    assert_eq!(clean.record().outliers, Some(Vec::new()));
    let sads = [mean_sad(&fit, &made), mean_sad(&kept, &made), mean_sad(&clean, &plain)];
    // What the others say is what a scene without outliers says; with them it is not.
    assert!(sads[0] < 1.3 * sads[2] + 0.001 && sads[1] > 2.0 * sads[0], "{sads:?}");
    // They have abundances as all pixels, a residual that shows them, and make trust less.
    let (rows, cols) = (settings().rows as u32, settings().cols as u32);
    let (mean, residual) = (fit.abundances().mean(), fit.residual());
    assert_eq!(residual.dim(), (rows as usize, cols as usize));
    let mut others: Vec<f32> = residual.iter().copied().filter(|x| !x.is_nan()).collect();
    others.sort_by(f32::total_cmp);
    for place in &odd {
        let at = [(place / cols) as usize, (place % cols) as usize];
        let sum: f32 = mean.index_axis(Axis(0), at[0]).row(at[1]).sum();
        assert!((sum - 1.0).abs() < 1e-5);
        assert!(residual[at] > 2.0 * others[others.len() / 2], "{place}");
    }
    let (fit, clean) = (fit.trust().unwrap(), clean.trust().unwrap());
    assert!(fit.below > 1.5 * clean.below && fit.stated < 1.5 * clean.stated, "{fit:?} {clean:?}");
}

#[test]
fn the_guides_posterior_has_a_row_for_them_too() {
    let (made, odd) = scene();
    let scene = made.scene("field").unwrap();
    let unmixing = || quick().steps(200).init(Init::Vca).posterior(PosteriorKind::Guide).draws(3);
    let fit = unmixing().fit(&scene).unwrap();
    let pixels = scene.places().len();
    assert_eq!(fit.record().outliers.as_ref(), Some(&odd));
    assert_eq!(fit.posterior().abundance_mean.nrows(), pixels);
    assert!(fit.posterior().abundance_mean.iter().all(|w| w.is_finite()));
    assert_eq!(fit.guide().params.pixels as usize, pixels);
    assert_eq!(fit.draws().unwrap().abundances.len_of(Axis(1)), pixels);
    // What is said of the other pixels is what their own guide says: the two fits differ in these
    // few pixels' abundances alone.
    let again = Fit::from_bytes(&fit.to_bytes().unwrap()).unwrap();
    assert_eq!(again.record(), fit.record());
    assert_eq!(again.posterior().abundance_mean, fit.posterior().abundance_mean);
    // A run that was stopped goes on to the same bytes.
    let mut run = unmixing().start(&scene).unwrap();
    run.advance().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.unmixel");
    run.checkpoint().unwrap().save(&path).unwrap();
    let mut resumed = unmixing().resume(&scene, Checkpoint::load(&path).unwrap()).unwrap();
    while resumed.advance().unwrap().is_some() {}
    let resumed = resumed.finish().unwrap();
    assert_eq!(resumed.posterior().abundance_mean, fit.posterior().abundance_mean);
    assert_eq!(resumed.record().outliers, fit.record().outliers);
}

#[test]
fn more_than_one_pixel_in_twenty_is_no_outlier() {
    let many = Settings { outlier_share: 0.1, ..settings() };
    let scene = simulate(&many).unwrap().scene("field").unwrap();
    let told = Arc::new(Mutex::new(Vec::new()));
    let said = Arc::clone(&told);
    let fit = quick().steps(100).on_event(move |event| {
        if let Event::Outliers { count, aside, .. } = event {
            said.lock().unwrap().push((*count, *aside));
        }
    });
    let fit = fit.fit(&scene).unwrap();
    let found = fit.record().outliers.as_ref().map(Vec::len);
    assert!(found.is_some_and(|found| found > 60), "{found:?}");
    assert_eq!(*told.lock().unwrap(), [(found.unwrap(), false)]);
    assert_eq!(fit.guide().params.pixels as usize, scene.places().len());
}
