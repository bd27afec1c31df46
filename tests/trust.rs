//! What a fit says of how far it may be from the truth, against that distance.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

use unmixel::rooms::fit::{Reason, Trust};
use unmixel::rooms::score::Reference;
use unmixel::simulate::{Maps, Mixing, Settings, Simulated, simulate};
use unmixel::{Device, Fit, PosteriorKind, Unmixing};

fn field() -> Settings {
    Settings {
        rows: 20,
        cols: 25,
        bands: 40,
        noise_sd: 0.005,
        brightness_sd: 0.1,
        seed: 2,
        ..Settings::default()
    }
}

/// A fit of a simulated scene, what it says of itself, and the error of its abundances.
fn fitted(simulated: &Simulated, with: Unmixing) -> (Fit, Trust, f64) {
    let scene = simulated.scene("field").unwrap();
    let fit = with.steps(1500).seed(5).device(Device::cpu()).fit(&scene).unwrap();
    let scores = fit.score(&Reference::new(&scene, &simulated.truth())).unwrap();
    let trust = fit.trust().unwrap();
    (fit, trust, scores.own().abundance_rmse.unwrap())
}

#[test]
fn a_scene_like_the_model_is_trusted_and_its_error_is_below_what_is_said() {
    let (fit, trust, error) = fitted(&simulate(&field()).unwrap(), Unmixing::new(3));
    assert!(trust.is_high(), "{trust}");
    assert_eq!(trust.reasons, []);
    assert!(error < trust.below, "{error}: {trust}");
    // The posterior states an error of the size that there is: half and twice are other worlds.
    assert!(error > 0.5 * trust.stated && error < 2.0 * trust.stated, "{error}: {trust}");
    assert!(trust.to_string().starts_with("trust: high: "), "{trust}");

    let again = Fit::from_bytes(&fit.to_bytes().unwrap()).unwrap();
    // A saved fit has no search.
    assert_eq!(again.trust().unwrap(), Trust { agreement: None, ..trust });
}

/// Six materials, two of them of nearly one shape, in pixels without shade: what the fit leaves is
/// noise, also where amounts must have sum 1.
#[test]
fn pixels_without_shade_that_mix_linearly_are_trusted() {
    let settings = Settings {
        rows: 40,
        cols: 40,
        endmembers: 6,
        bands: 60,
        noise_sd: 0.01,
        brightness_sd: 0.0,
        ..field()
    };
    let (fit, trust, error) = fitted(&simulate(&settings).unwrap(), Unmixing::new(6));
    assert!(fit.record().model.brightness.is_none(), "the search has found none");
    assert!(trust.is_high() && error < trust.below, "{error}: {trust}");
    // Of linear scenes of the calibration none had more than a tenth.
    assert!(trust.nonlinear.unwrap() < 0.1, "{trust:?}");
}

#[test]
fn spectra_that_do_not_mix_linearly_are_seen() {
    let settings = Settings { mixing: Mixing::Intimate, brightness_sd: 0.0, ..field() };
    let (_, trust, error) = fitted(&simulate(&settings).unwrap(), Unmixing::new(3));
    assert!(trust.reasons.contains(&Reason::Nonlinear), "{trust:?}");
    assert!(!trust.is_high());
    // And rightly so.
    assert!(error > 1.5 * trust.stated, "{error}: {trust}");
}

#[test]
fn a_mixture_that_most_pixels_share_without_pure_ones_is_seen() {
    let settings =
        Settings { maps: Maps::Dominant, pure_pixels: false, brightness_sd: 0.0, ..field() };
    let with = Unmixing::new(3).common_mixture(true);
    let (_, trust, _) = fitted(&simulate(&settings).unwrap(), with);
    assert!(trust.reasons.contains(&Reason::SharedMixture), "{trust:?}");
}

#[test]
fn the_guide_is_no_ground_for_trust_and_a_saved_reason_is_a_word() {
    let with = Unmixing::new(3).posterior(PosteriorKind::Guide);
    let (_, trust, _) = fitted(&simulate(&field()).unwrap(), with);
    assert_eq!(trust.reasons, [Reason::Guide]);
    let json = serde_json::to_value(&trust).unwrap();
    assert_eq!(json["reasons"], serde_json::json!(["guide"]));
    assert_eq!(json["high"], false);
    assert_eq!(json["sentence"], trust.to_string());
}
