//! Spectra that stay while the rest is fitted, and spectra that come first.
#![allow(missing_docs, clippy::unwrap_used)]

use unmixel::engine::backend::{Choice, Device, device};
use unmixel::engine::ground::math::softplus;
use unmixel::engine::guide::Guide;
use unmixel::engine::layout::Params;
use unmixel::engine::model::{Family, Held, Model};
use unmixel::engine::svi;
use unmixel::engine::wait::block_on;
use unmixel::score::match_spectra;
use unmixel::search::spectra_first;
use unmixel::simulate::{self, Simulated, simulate};
use unmixel::starts::{self, Init, purest, start};

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
    let scene = shaded().scene("shaded").unwrap();
    let pixels = scene.pixels();
    let settings = svi::Settings { steps: 40, batch_size: 100, ..Default::default() };
    for held in [Held::Nothing, Held::Spectra, Held::SpectraAndVariability] {
        let model = model(true, held);
        let found = start(scene.cube(), 3, &Init::Vca, true, 0).unwrap();
        let begin = starts::begin(&model, &settings, &pixels, found.endmembers).unwrap();
        let before = begin.globals.clone();
        let fit =
            block_on(svi::fit(&cpu(), &settings, &pixels, begin, &mut |_| {}, &|| false)).unwrap();
        let after = fit.guide;
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
    let scene = simulated.scene("shaded").unwrap();
    let pixels = scene.pixels();
    let settings = svi::Settings { steps: 2500, batch_size: 300, ..Default::default() };
    let bright = model(true, Held::Nothing);
    let mut found = start(scene.cube(), 3, &Init::Clusters, true, 0).unwrap();
    // Sizes that say nothing, as brightness leaves them open.
    for (mut row, size) in found.endmembers.rows_mut().into_iter().zip([0.4, 1.0, 2.5]) {
        row *= size;
    }
    let begin = starts::begin(&bright, &settings, &pixels, found.endmembers).unwrap();
    let fit =
        block_on(svi::fit(&cpu(), &settings, &pixels, begin, &mut |_| {}, &|| false)).unwrap();
    let fitted = fit.guide;
    let spectra = |guide: &Guide| {
        ndarray::Array2::from_shape_fn((3, 32), |(k, l)| {
            softplus(f64::from(guide.globals[k * guide.params.stride() + l]))
        })
    };
    let off = model(false, Held::SpectraAndVariability);
    let after = spectra_first::begin(&off, &settings, &pixels, &fitted).unwrap();
    let shares = simulated.abundances.clone().into_shape_with_order((900, 3)).unwrap();
    // What the pixels that hold nearly one material alone have.
    let pure = purest(scene.cube(), &shares, &simulated.endmembers).unwrap();
    let sizes = |found: ndarray::Array2<f64>| -> Vec<f64> {
        let pairs = match_spectra(pure.view(), found.view()).unwrap();
        let length = |c: ndarray::ArrayView1<f64>| c.dot(&c).sqrt();
        let of = |(k, &(found_at, _)): (usize, &(usize, f64))| {
            length(found.row(found_at)) / length(pure.row(k))
        };
        pairs.iter().enumerate().map(of).collect()
    };
    let before = sizes(spectra(&fitted));
    assert!(before.iter().any(|size| (size.ln()).abs() > 0.4), "nothing to mend: {before:?}");
    // Estimated abundances take other pixels for pure in part. Brightness is smooth, sd 0.3, so
    // that these share theirs: half an sd. Before, sizes were off by 0.4 and more.
    for size in sizes(spectra(&after)) {
        assert!(size.ln().abs() < 0.15, "{size} of its pixels");
    }
    // The relative uncertainty goes along: sd of c over c, by the delta method.
    let relative = |guide: &Guide, at: usize| {
        let u = f64::from(guide.globals[at]);
        let sd = f64::from(guide.globals[guide.params.globals as usize + at]).exp();
        sd / (1.0 + (-u).exp()) / softplus(u)
    };
    for at in [0, 40, 70] {
        let (old, new) = (relative(&fitted, at), relative(&after, at));
        assert!((new / old - 1.0).abs() < 1e-3, "{old} became {new}");
    }
}

#[test]
fn what_spectra_share_with_the_scene_goes_along() {
    let scene = shaded().scene("shaded").unwrap();
    let pixels = scene.pixels();
    let settings = svi::Settings { steps: 30, batch_size: 100, ..Default::default() };
    let low = |model: Model| Model { family: Family::LowRank { rank: 4 }, ..model };
    let (on, off) =
        (low(model(true, Held::Nothing)), low(model(false, Held::SpectraAndVariability)));
    let found = start(scene.cube(), 3, &Init::Vca, true, 0).unwrap();
    let begin = starts::begin(&on, &settings, &pixels, found.endmembers).unwrap();
    let fit =
        block_on(svi::fit(&cpu(), &settings, &pixels, begin, &mut |_| {}, &|| false)).unwrap();
    let fitted = fit.guide;
    let after = spectra_first::begin(&off, &settings, &pixels, &fitted).unwrap();
    let loadings = |guide: &Guide, latent: usize| {
        guide.globals[2 * guide.params.globals as usize + 4 * latent..][..4].to_vec()
    };
    let (q, p) = (&fitted.params, &after.params);
    for (old, new) in [
        (5, 5),
        (2 * q.stride() + 31, 2 * p.stride() + 31),
        (q.variability_at() + q.stride(), p.variability_at() + p.stride()),
    ] {
        let carried = loadings(&after, new);
        assert_eq!(carried, loadings(&fitted, old));
        assert!(carried.iter().any(|&v| v != 0.0));
    }
}
