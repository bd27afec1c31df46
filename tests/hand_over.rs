//! A search hands its fit over with the optimiser's moments and at a rate that undoes none of it.
#![allow(missing_docs, clippy::unwrap_used)]

use unmixel::engine::backend::device;
use unmixel::engine::guide::Guide;
use unmixel::engine::model::{BRIGHTNESS_SD, Family, Model, VARIABILITY_SCALE};
use unmixel::engine::pixels::Pixels;
use unmixel::engine::svi::{self, Run};
use unmixel::engine::wait::block_on;
use unmixel::rooms::search;
use unmixel::simulate::{Settings, simulate};

/// ELBO of each block of a run from a guide, nats a pixel.
fn blocks(settings: &svi::Settings, pixels: &Pixels, guide: Guide) -> Vec<f64> {
    block_on(async {
        let mut run = Run::open(&device::cpu("a test"), settings, pixels, guide).await.unwrap();
        let mut elbos = Vec::new();
        while let Some(progress) = run.advance(&|| false).await.unwrap() {
            elbos.push(progress.elbo);
        }
        elbos
    })
}

#[test]
fn the_elbo_does_not_fall_at_the_hand_over() {
    let simulated = simulate(&Settings {
        rows: 40,
        cols: 45,
        bands: 60,
        variability_sd: 0.03,
        ..Settings::default()
    });
    let scene = simulated.unwrap().scene("field").unwrap();
    let pixels = scene.pixels();
    let model = Model {
        brightness: Some(BRIGHTNESS_SD),
        variability: Some(VARIABILITY_SCALE),
        family: Family::FullRank,
        likelihood_weight: 0.4,
        ..Model::new(3)
    };
    let settings = svi::Settings::default();
    let budget = search::Settings { starts: 3, moves: 0, seconds: None, ..Default::default() };
    let cpu = device::cpu("a test");
    let found = search::search(&cpu, &model, &settings, &budget, &pixels, &|_| (), &|| false);
    let found = block_on(found).unwrap();
    assert!(found.fitted && found.guide.momentum.is_some());
    let reached = found.solutions.iter().find_map(|one| one.elbo.filter(|_| one.chosen)).unwrap();

    let warm = svi::Settings { warm: true, ..settings.clone() };
    let kept = blocks(&warm, &pixels, found.guide.clone());
    // Medians of fifty steps of one guide differ by a few tenths; a share of 0.5 % is what the
    // stopping rule, too, takes for no change.
    let least = kept.iter().copied().fold(f64::INFINITY, f64::min);
    assert!(least > reached - 0.005 * reached.abs(), "{least} after {reached}: {kept:?}");
    assert!(kept.last().unwrap() >= &reached, "{kept:?} after {reached}");
    assert!(kept.len() < 20, "{} blocks", kept.len());

    // Without the moments and at the full rate it does fall.
    let lost = Guide { momentum: None, ..found.guide };
    let cold = blocks(&svi::Settings { warm: false, ..settings }, &pixels, lost);
    let least = cold.iter().take(6).copied().fold(f64::INFINITY, f64::min);
    assert!(least < reached - 0.005 * reached.abs(), "{least} after {reached}");
}
