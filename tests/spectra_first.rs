//! Spectra that stay while the rest is fitted, and spectra that come first.
#![allow(missing_docs, clippy::unwrap_used)]

use std::sync::Arc;

use unmixel::engine::backend::{Choice, Device, device};
use unmixel::engine::ground::math::softplus;
use unmixel::engine::layout::Params;
use unmixel::engine::model::{Family, Held, Model};
use unmixel::engine::svi;
use unmixel::score::match_spectra;
use unmixel::search::spectra_first;
use unmixel::simulate::{self, Simulated, simulate};
use unmixel::starts::{Init, purest, start};

fn cpu() -> Device {
    device::choose(&Choice::Cpu).unwrap()
}

fn shaded() -> Simulated {
    let settings = simulate::Settings {
        rows: 30,
        cols: 30,
        bands: 32,
        endmembers: 3,
        brightness_sd: 0.3,
        seed: 2,
        ..Default::default()
    };
    simulate(&settings).unwrap()
}

fn model(brightness: bool, held: Held) -> Model {
    Model {
        brightness: brightness.then_some(1.0),
        variability: Some(0.02),
        family: Family::FullRank,
        held,
        ..Model::new(3)
    }
}

/// Guide parameters of so many latents from `first` on: locs and log scales.
fn guide_of(p: &Params, globals: &[f32], first: usize, count: usize) -> (Vec<f32>, Vec<f32>) {
    let at = |from: usize| globals[from..from + count].to_vec();
    (at(first), at(p.globals as usize + first))
}

#[test]
fn what_is_held_keeps_its_bytes_and_all_else_moves() {
    let cube = Arc::new(shaded().scene("shaded").unwrap().cube);
    let settings = svi::Settings { steps: 40, batch_size: 100, ..Default::default() };
    for held in [Held::Nothing, Held::Spectra, Held::SpectraAndVariability] {
        let model = model(true, held);
        let begin = start(&cube, 3, &Init::Vca, true, 0).unwrap();
        let state = svi::begin(&model, &settings, &cube, &begin).unwrap();
        let before = state.globals.clone();
        let after =
            svi::fit(&cpu(), &model, &settings, &cube, state, &mut |_| {}, &|| false).unwrap();
        let p = after.params;
        let moved = |first: usize, count: usize| {
            guide_of(&p, &before, first, count) != guide_of(&p, &after.globals, first, count)
        };
        assert_eq!(moved(0, p.noise_at()), held == Held::Nothing);
        let varieties = p.variability_at()..p.regression_at();
        let stay = held == Held::SpectraAndVariability;
        assert_eq!(moved(varieties.start, varieties.len()), !stay, "{held:?}");
        assert!(moved(p.noise_at(), p.noises as usize), "the noise is fitted in all of them");
        // 100 pixels are seven groups, of which the scene has 57: an epoch has eight steps.
        assert!((after.visits - 40.0 / 8.0).abs() < 1e-9);
    }
}

#[test]
fn spectra_that_come_first_have_the_size_of_their_pixels() {
    let simulated = shaded();
    let cube = Arc::new(simulated.scene("shaded").unwrap().cube);
    let settings = svi::Settings { steps: 2500, batch_size: 300, ..Default::default() };
    let bright = model(true, Held::Nothing);
    let mut begin = start(&cube, 3, &Init::Clusters, true, 0).unwrap();
    // Sizes that say nothing, as brightness leaves them open.
    for (mut row, size) in begin.endmembers.rows_mut().into_iter().zip([0.4, 1.0, 2.5]) {
        row *= size;
    }
    let begin = unmixel::starts::Start::around(&cube, begin.endmembers, true, "").unwrap();
    let state = svi::begin(&bright, &settings, &cube, &begin).unwrap();
    let fitted =
        svi::fit(&cpu(), &bright, &settings, &cube, state, &mut |_| {}, &|| false).unwrap();
    let spectra = |p: &Params, globals: &[f32]| {
        ndarray::Array2::from_shape_fn((3, 32), |(k, l)| {
            softplus(f64::from(globals[k * p.stride() + l]))
        })
    };
    let off = model(false, Held::SpectraAndVariability);
    let state = spectra_first::begin(&off, &settings, &cube, &fitted).unwrap();
    let shares = simulated.abundances.clone().into_shape_with_order((900, 3)).unwrap();
    // What the pixels that hold nearly one material alone have.
    let pure = purest(&cube, &shares, &simulated.endmembers).unwrap();
    let sizes = |found: ndarray::Array2<f64>| -> Vec<f64> {
        let pairs = match_spectra(pure.view(), found.view()).unwrap();
        let length = |c: ndarray::ArrayView1<f64>| c.dot(&c).sqrt();
        let of = |(k, &(found_at, _)): (usize, &(usize, f64))| {
            length(found.row(found_at)) / length(pure.row(k))
        };
        pairs.iter().enumerate().map(of).collect()
    };
    let before = sizes(spectra(&fitted.params, &fitted.globals));
    assert!(before.iter().any(|size| (size.ln()).abs() > 0.4), "nothing to mend: {before:?}");
    let p = svi::params(&off, &settings, &cube).unwrap();
    // Estimated abundances take other pixels for pure in part. Brightness is smooth, sd 0.3, so that these
    // share theirs: half an sd. Before, sizes were off by 0.4 and more.
    for size in sizes(spectra(&p, &state.globals)) {
        assert!(size.ln().abs() < 0.15, "{size} of its pixels");
    }
    // The relative uncertainty goes along: sd of c over c, by the delta method.
    let relative = |p: &Params, globals: &[f32], at: usize| {
        let u = f64::from(globals[at]);
        let sd = f64::from(globals[p.globals as usize + at]).exp();
        sd / (1.0 + (-u).exp()) / softplus(u)
    };
    for at in [0, 40, 70] {
        let (old, new) =
            (relative(&fitted.params, &fitted.globals, at), relative(&p, &state.globals, at));
        assert!((new / old - 1.0).abs() < 1e-3, "{old} became {new}");
    }
}

#[test]
fn what_spectra_share_with_the_scene_goes_along() {
    let cube = Arc::new(shaded().scene("shaded").unwrap().cube);
    let settings = svi::Settings { steps: 30, batch_size: 100, ..Default::default() };
    let low = |model: Model| Model { family: Family::LowRank { rank: 4 }, ..model };
    let (on, off) =
        (low(model(true, Held::Nothing)), low(model(false, Held::SpectraAndVariability)));
    let begin = start(&cube, 3, &Init::Vca, true, 0).unwrap();
    let state = svi::begin(&on, &settings, &cube, &begin).unwrap();
    let fitted = svi::fit(&cpu(), &on, &settings, &cube, state, &mut |_| {}, &|| false).unwrap();
    let state = spectra_first::begin(&off, &settings, &cube, &fitted).unwrap();
    let p = svi::params(&off, &settings, &cube).unwrap();
    let loadings = |p: &Params, globals: &[f32], latent: usize| {
        globals[2 * p.globals as usize + 4 * latent..][..4].to_vec()
    };
    let (q, before) = (&fitted.params, &fitted.globals);
    for (old, new) in [
        (5, 5),
        (2 * q.stride() + 31, 2 * p.stride() + 31),
        (q.variability_at() + q.stride(), p.variability_at() + p.stride()),
    ] {
        let carried = loadings(&p, &state.globals, new);
        assert_eq!(carried, loadings(q, before, old));
        assert!(carried.iter().any(|&v| v != 0.0));
    }
}
