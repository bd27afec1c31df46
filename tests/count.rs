//! The number of endmembers, on scenes where it is known.
#![allow(clippy::unwrap_used, clippy::panic)]

use unmixel::Unmixing;
use unmixel::engine::backend::{Choice, device};
use unmixel::engine::wait::block_on;
use unmixel::rooms::count::{Count, Evidence, MOST_PIXELS, count, evidence};
use unmixel::scene::{Band, Cube, Scaling, Scene, SceneParts};
use unmixel::simulate::{Settings, simulate};

fn of(settings: &Settings) -> Count {
    count(&simulate(settings).unwrap().scene("count").unwrap()).unwrap()
}

/// One row of the image, of these spectra.
fn row(cube: Cube) -> Scene {
    let (pixels, bands) = (cube.pixels(), cube.bands());
    let parts = SceneParts {
        name: "row".into(),
        rows: 1,
        cols: pixels,
        bands: (0..bands).map(|index| Band { index, wavelength: None, fwhm: None }).collect(),
        file_bands: bands,
        cube: cube.into(),
        places: (0..pixels as u32).collect(),
        georeference: None,
        scaling: Scaling { gain: 1.0, offset: 0.0, rule: String::new() },
        notes: Vec::new(),
    };
    Scene::new(parts).unwrap()
}

fn settings(k: usize, seed: u64) -> Settings {
    Settings {
        rows: 50,
        cols: 60,
        bands: 60,
        endmembers: k,
        noise_sd: 0.004,
        seed,
        ..Settings::default()
    }
}

/// What a method of this name says.
fn said(count: &Count, name: &str) -> usize {
    count.estimates.iter().find(|e| e.method.contains(name)).unwrap().endmembers
}

#[test]
fn independent_noise_gives_the_number_by_both_hysime() {
    for k in 3..=8 {
        let found = of(&settings(k, k as u64));
        assert_eq!(said(&found, "regression"), k, "{:?}", found.estimates);
        assert_eq!(found.recommended, k, "{:?}", found.estimates);
        // Virtual dimension sees a signal by its part in the mean, and misses weak ones; it has no
        // reason to see more than there are, but for its false alarms.
        assert!(said(&found, "1e-5") <= k, "{:?}", found.estimates);
        assert!(found.estimates.windows(2).take(4).all(|w| w[0].endmembers >= w[1].endmembers));
    }
}

#[test]
fn noise_that_bands_share_misleads_regression_and_not_neighbours() {
    for k in [3, 5, 8] {
        let shared = Settings {
            band_correlation: 0.7,
            variability_sd: 0.03,
            brightness_sd: 0.3,
            ..settings(k, 1)
        };
        let found = of(&shared);
        assert!(said(&found, "regression") > k + 3, "{:?}", found.estimates);
        // The slopes of the scene count as noise: of eight, the weakest may be lost.
        assert!(k - found.recommended.min(k) <= k / 8, "{:?}", found.estimates);
        assert!(found.recommended <= k, "{:?}", found.estimates);
    }
}

#[test]
fn the_noise_is_estimated() {
    let found = of(&Settings { bands: 40, ..settings(3, 0) });
    for sd in &found.noise_sd {
        // 3,000 pixels leave 1.3 % of error each, of which 4 sd are 5 %. The bands that a band is
        // regressed on are noisy too: the variance comes out at 1 + sum of squared coefficients,
        // for three signals in 40 bands up to about 1.3.
        assert!((0.95..1.2).contains(&(sd / 0.004)), "{sd}");
    }
    // Beyond the signal the whitened eigenvalues are around 1: with 40 bands in 3,000 pixels within
    // (1 +- sqrt(40 / 3000))^2 (Marchenko and Pastur 1967), over variances that are up to 1.4 too
    // large.
    assert!(found.eigenvalues[2] > 2.0);
    assert!(
        found.eigenvalues[3..].iter().all(|v| (0.5..1.35).contains(v)),
        "{:?}",
        found.eigenvalues
    );
    assert_eq!(found.hysime_error.len(), 40);
}

#[test]
fn odd_scenes_have_a_defined_answer() {
    // Without noise the f32 of the cube is all there is.
    let found = of(&Settings { noise_sd: 0.0, brightness_sd: 0.0, ..settings(4, 0) });
    assert_eq!(found.recommended, 4, "{:?}", found.estimates);

    let mut one_band = Cube::zeros(50, 1);
    (0..50).for_each(|n| one_band.spectrum_mut(n)[0] = 0.1 + 0.01 * n as f32);
    assert_eq!(count(&row(one_band)).unwrap().recommended, 1);
    for constant in [0.0, 0.3] {
        let mut cube = Cube::zeros(30, 5);
        (0..30).for_each(|n| cube.spectrum_mut(n).fill(constant));
        let found = count(&row(cube)).unwrap();
        assert_eq!(found.recommended, 1, "{found:?}");
        assert!(found.noise_sd.iter().all(|v| v.is_finite()));
    }
    let few = count(&row(Cube::zeros(6, 5))).unwrap_err().to_string();
    assert!(few.contains("6 valid pixels and 5 bands") && few.contains("7 pixels"), "{few}");
    assert!(count(&row(Cube::zeros(0, 0))).is_err());
    let mut holed = Cube::zeros(30, 5);
    holed.spectrum_mut(3)[2] = f32::NAN;
    assert!(count(&row(holed)).is_err());
}

fn fits(cube: &Cube, interrupted: &(dyn Fn() -> bool + Sync)) -> Vec<Evidence> {
    let cpu = device::choose(&Choice::Cpu).unwrap();
    let model = |k| Unmixing::auto().model(k).map(|(model, _)| model);
    block_on(evidence(&cpu, &model, (cube, true), 0, &|_| (), interrupted)).unwrap()
}

#[test]
fn short_fits_find_the_number_in_shade_variability_and_noise_that_bands_share() {
    for (k, band_correlation, seed) in [(2, 0.7, 3), (4, 0.0, 4)] {
        let settings = Settings {
            rows: 30,
            cols: 30,
            band_correlation,
            variability_sd: 0.03,
            brightness_sd: 0.3,
            noise_sd: 0.01,
            ..settings(k, seed)
        };
        let scene = simulate(&settings).unwrap().scene("count").unwrap();
        let moments = count(&scene).unwrap();
        let found = moments.clone().with_evidence(fits(scene.cube(), &|| false));
        assert_eq!(found.recommended, k, "{:?}", found.evidence);
        // Three in a row without a gain, after the best, and no more than the pair they came in.
        assert!((k + 3..=k + 4).contains(&found.evidence.len()), "{:?}", found.evidence);
        assert!(found.reason.contains(&format!("with {}", k + 1)), "{}", found.reason);
        assert_eq!((&found.estimates, moments.evidence.len()), (&moments.estimates, 0));
    }
}

#[test]
fn odd_scenes_have_evidence_or_none() {
    // One band, one pixel, and so many pixels that only some are looked at.
    for (pixels, bands) in [(9, 1), (1, 4), (2 * MOST_PIXELS + 1, 2)] {
        let mut cube = Cube::zeros(pixels, bands);
        for n in 0..pixels {
            cube.spectrum_mut(n).iter_mut().for_each(|y| *y = 0.1 + 0.05 * (n % 7) as f32);
        }
        let found = fits(&cube, &|| false);
        let numbers: Vec<usize> = found.iter().map(|one| one.endmembers).collect();
        assert_eq!(numbers, (1..=bands.min(pixels)).collect::<Vec<_>>());
        assert!(found.iter().all(|one| one.elbo.is_some()), "{found:?}");
    }
    let scene = simulate(&settings(3, 0)).unwrap().scene("count").unwrap();
    assert_eq!(fits(scene.cube(), &|| true), []);
    let moments = count(&scene).unwrap();
    assert_eq!(moments.clone().with_evidence(Vec::new()), moments, "no fits change nothing");
}
