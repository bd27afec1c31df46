//! A run that was stopped, kept as a checkpoint and continued gives the bytes of one that never
//! stopped.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::panic,
    clippy::type_complexity,
    clippy::print_stderr
)]

use std::sync::atomic::{AtomicU32, Ordering};

use rand::{RngExt, SeedableRng, rngs::ChaCha8Rng};
use unmixel::Error;
use unmixel::engine::backend::{Device, device};
use unmixel::engine::guide::Guide;
use unmixel::engine::model::{Family, Held, Model, Noise};
use unmixel::engine::pixels::{Cube, Pixels};
use unmixel::engine::svi::{self, Checkpoint, Head, Outcome, Run, Settings, Stop};
use unmixel::engine::wait::block_on;
use unmixel::rooms::starts;

/// A scene whose last group of pixels is not full, and whose bands are padded.
fn pixels(seed: u64) -> Pixels {
    let mut cube = Cube::zeros(123, 7);
    let rng = &mut ChaCha8Rng::seed_from_u64(seed);
    for n in 0..cube.pixels() {
        let (a, b) = (rng.random::<f32>(), rng.random::<f32>());
        for (l, y) in cube.spectrum_mut(n).iter_mut().enumerate() {
            let l = l as f32;
            *y =
                0.1 + 0.3 * a * (0.1 * l) + 0.3 * b * (0.6 - 0.08 * l) + 0.01 * rng.random::<f32>();
        }
    }
    Pixels::of(&cube)
}

fn models() -> Vec<(&'static str, Model)> {
    let base = || Model { variability: Some(0.02), brightness: Some(0.5), ..Model::new(3) };
    let held = Held::SpectraAndVariability;
    let low_rank = Family::LowRank { rank: 4 };
    vec![
        ("mean-field", base()),
        ("full-rank", Model { family: Family::FullRank, ..base() }),
        ("low-rank", Model { family: low_rank, ..base() }),
        ("held spectra", Model { family: Family::FullRank, held: Held::Spectra, ..base() }),
        ("low-rank, held", Model { family: low_rank, held, brightness: None, ..base() }),
        ("covariance", Model { noise: Noise::Covariance, variability: None, ..base() }),
    ]
}

fn settings() -> Settings {
    // Steps that are no multiple of a block; minibatches that leave pixels out.
    Settings { steps: 330, batch_size: 48, seed: 5, ..Settings::default() }
}

fn start(model: &Model, settings: &Settings, pixels: &Pixels) -> Guide {
    let cube = {
        let mut cube = Cube::zeros(3, 7);
        for (k, value) in [0.2f32, 0.4, 0.3].into_iter().enumerate() {
            let tilt = 0.05 * (k as f32 - 1.0);
            let spectrum = cube.spectrum_mut(k).iter_mut().enumerate();
            spectrum.for_each(|(l, y)| *y = value + tilt * l as f32);
        }
        cube
    };
    let spectra = ndarray::Array2::from_shape_fn((3, 7), |(k, l)| f64::from(cube.spectrum(k)[l]));
    starts::begin(model, settings, pixels, spectra).unwrap()
}

/// The CPU, and an adapter by `UNMIXEL_GPU`: `require`, `auto` (none is a loud skip) or `skip`.
fn devices() -> Vec<Device> {
    let mode = std::env::var("UNMIXEL_GPU").unwrap_or_else(|_| "auto".into());
    let devices = match mode.as_str() {
        "skip" => vec![device::cpu("test")],
        _ => device::all().into_iter().take(2).collect(),
    };
    if devices.len() < 2 {
        assert_ne!(mode, "require", "UNMIXEL_GPU=require, and there is no adapter");
        eprintln!("SKIPPED, NO ADAPTER: no shader ran in this test");
    }
    devices
}

/// Runs to the end; after each count of questions about interrupts the run is ended, taken down as
/// bytes, and continued.
fn run(
    device: &Device,
    pixels: &Pixels,
    settings: &Settings,
    from: Guide,
    stops: &[u32],
) -> Outcome {
    block_on(async {
        let mut run = Run::open(device, settings, pixels, from).await.unwrap();
        for &stop in stops {
            let asked = AtomicU32::new(0);
            let interrupted = || asked.fetch_add(1, Ordering::Relaxed) >= stop;
            while run.advance(&interrupted).await.unwrap().is_some() {}
            let kept = through_bytes(&run.checkpoint().await.unwrap());
            drop(run);
            run = Run::resume(device, pixels, kept).await.unwrap();
        }
        while run.advance(&|| false).await.unwrap().is_some() {}
        run.finish().await.unwrap()
    })
}

/// As a file would hold it.
fn through_bytes(checkpoint: &Checkpoint) -> Checkpoint {
    let head: Head =
        serde_json::from_str(&serde_json::to_string(&checkpoint.head).unwrap()).unwrap();
    assert_eq!(head, checkpoint.head, "the head loses something in JSON");
    let arrays = checkpoint.arrays();
    let array = |name: &str| Ok(arrays.iter().find(|(n, _)| *n == name).unwrap().1.to_vec());
    Checkpoint::from_parts(head, array).unwrap()
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|x| x.to_bits()).collect()
}

fn same(a: &Outcome, b: &Outcome) -> bool {
    bits(&a.guide.globals) == bits(&b.guide.globals)
        && bits(&a.guide.locals) == bits(&b.guide.locals)
        && bits(&a.guide.rank_sum) == bits(&b.guide.rank_sum)
        && a.trace == b.trace
        && (a.stop, a.skipped, a.guide.visits) == (b.stop, b.skipped, b.guide.visits)
}

#[test]
fn a_run_that_was_continued_gives_the_bytes_of_one_that_never_stopped() {
    let (pixels, settings) = (pixels(1), settings());
    let rng = &mut ChaCha8Rng::seed_from_u64(3);
    for device in devices() {
        for (name, model) in models() {
            let from = start(&model, &settings, &pixels);
            let whole = run(&device, &pixels, &settings, from.clone(), &[]);
            assert_eq!(whole.trace.len(), 330);
            // Before the first step, in blocks, and after more stops than steps.
            let stops = [0, rng.random_range(1..90), rng.random_range(1..90), 1, 10_000];
            let parts = run(&device, &pixels, &settings, from, &stops);
            assert!(same(&whole, &parts), "{}, {name}, stops {stops:?}", device.info.name);
        }
    }
}

#[test]
fn a_run_that_forgets_its_moments_or_its_place_gives_other_bytes() {
    let (pixels, settings) = (pixels(1), settings());
    let cpu = device::cpu("test");
    let model = Model { family: Family::LowRank { rank: 4 }, ..Model::new(3) };
    let from = start(&model, &settings, &pixels);
    let whole = run(&cpu, &pixels, &settings, from.clone(), &[]);
    let spoil: [(&str, fn(&mut Checkpoint)); 6] = [
        ("moments of the scene", |c| c.global_moments.fill(0.0)),
        ("moments of pixels", |c| c.local_moments.fill(0.0)),
        ("the running sum", |c| c.rank_sum[0] += 0.1),
        ("visits", |c| c.head.visits = 900.0),
        ("gradients", |c| c.head.gradients = 900),
        ("steps", |c| c.elbo.truncate(50)),
    ];
    for (what, spoil) in spoil {
        let parts = block_on(async {
            let mut run = Run::open(&cpu, &settings, &pixels, from.clone()).await.unwrap();
            run.advance(&|| false).await.unwrap();
            run.advance(&|| false).await.unwrap();
            let mut kept = run.checkpoint().await.unwrap();
            spoil(&mut kept);
            let mut run = Run::resume(&cpu, &pixels, kept).await.unwrap();
            while run.advance(&|| false).await.unwrap().is_some() {}
            run.finish().await.unwrap()
        });
        assert!(!same(&whole, &parts), "without {what} nothing changed");
    }
}

#[test]
fn the_stopping_rule_stands_where_it_stood() {
    let pixels = pixels(1);
    let settings = Settings { steps: 4000, learning_rate: 0.005, ..settings() };
    let model = Model::new(3);
    let from = start(&model, &settings, &pixels);
    let cpu = device::cpu("test");
    let whole = run(&cpu, &pixels, &settings, from.clone(), &[]);
    let Stop::Converged { fired_at } = whole.stop else { panic!("{:?}", whole.stop) };
    // In the middle of the windows that the rule compares, and in the descent.
    let stops = [fired_at - 275, 325, 10_000];
    assert!(same(&whole, &run(&cpu, &pixels, &settings, from, &stops)), "{fired_at}");
}

#[test]
fn a_guide_that_was_handed_over_keeps_what_a_new_one_has_not() {
    let pixels = pixels(1);
    let settings = Settings { early_stop: false, ..settings() };
    let model = Model::new(3);
    let cpu = device::cpu("test");
    block_on(async {
        let from = start(&model, &settings, &pixels);
        let mut first = Run::open(&cpu, &settings, &pixels, from).await.unwrap();
        first.advance(&|| false).await.unwrap();
        let guide = first.hand_over().await.unwrap().guide;
        let momentum = guide.momentum.clone().unwrap();
        assert_eq!((momentum.steps, guide.visits), (50, 50.0 / 2.0));
        assert!(momentum.globals.iter().any(|&m| m != 0.0));
        // The next run counts on, and so does the one after.
        let mut second = Run::open(&cpu, &settings, &pixels, guide.clone()).await.unwrap();
        second.advance(&|| false).await.unwrap();
        let kept = through_bytes(&second.checkpoint().await.unwrap());
        assert_eq!((kept.head.gradients, kept.head.visits), (50, 25.0));
        let third = Run::resume(&cpu, &pixels, kept).await.unwrap();
        let ended = third.hand_over().await.unwrap();
        assert_eq!(ended.guide.momentum.unwrap().steps, 100);
        assert_eq!((ended.stop, ended.trace.len()), (Stop::Interrupted, 50));
        let rested = second.finish().await.unwrap();
        assert_eq!(rested.guide.momentum, None);
        // Momentum is carried on: without it the second run goes elsewhere.
        let forgetful = Guide { momentum: None, ..guide };
        let mut other = Run::open(&cpu, &settings, &pixels, forgetful).await.unwrap();
        other.advance(&|| false).await.unwrap();
        assert_ne!(other.finish().await.unwrap().guide.globals, rested.guide.globals);
    });
}

/// Fits that a device does together, some with another past or model than the others, have the
/// bytes of each alone; one that fails does not end the others.
#[test]
fn fits_together_are_those_alone() {
    let (pixels, all) = (pixels(1), settings());
    let few = Settings { steps: 60, early_stop: false, ..all.clone() };
    for device in devices() {
        for (name, model) in models() {
            let from = start(&model, &all, &pixels);
            let mut moved = from.clone();
            moved.globals.iter_mut().for_each(|x| *x += 0.1);
            let mut broken = from.clone();
            broken.globals.fill(f32::NAN);
            let alone = |guide: &Guide| {
                block_on(async {
                    let mut run = Run::open(&device, &few, &pixels, guide.clone()).await.unwrap();
                    while run.advance(&|| false).await.unwrap().is_some() {}
                    run.hand_over().await
                })
            };
            let later = alone(&from).unwrap().guide;
            // As large as the others, and of another prior.
            let other = Model { concentration: 3.0 * model.concentration, ..model.clone() };
            let other = start(&other, &all, &pixels);
            let guides = vec![from.clone(), moved, later, broken, from, other];
            let mut steps = 0;
            let mut count = |fresh| steps += fresh;
            let together =
                svi::fit_all(&device, &all, 60, &pixels, guides.clone(), &mut count, &|| false);
            let together = block_on(together).unwrap();
            assert_eq!((together.len(), steps), (6, 360), "{name}");
            for (fit, (guide, found)) in guides.iter().zip(&together).enumerate() {
                let at = format!("{}, {name}, fit {fit}", device.info.name);
                match (alone(guide), found) {
                    (Ok(a), Ok(b)) => {
                        let kept = |of: &Outcome| of.guide.momentum.clone().unwrap();
                        assert!(same(&a, b) && kept(&a) == kept(b), "{at}");
                    }
                    (Err(Error::Fit(a)), Err(Error::Fit(b))) => assert_eq!(&a, b, "{at}"),
                    (a, b) => panic!("{at}: {:?}, {:?}", a.err(), b.as_ref().err()),
                }
            }
            let is_broken: Vec<bool> = together.iter().map(Result::is_err).collect();
            assert_eq!(is_broken, [false, false, false, true, false, false], "{name}");
            assert!(!same(together[0].as_ref().unwrap(), together[1].as_ref().unwrap()));
        }
    }
}

#[test]
fn what_is_damaged_or_foreign_is_refused_with_a_sentence() {
    let (own, settings, cpu) = (pixels(1), settings(), device::cpu("test"));
    let model = Model { family: Family::LowRank { rank: 2 }, ..Model::new(3) };
    let kept = block_on(async {
        let from = start(&model, &settings, &own);
        let mut run = Run::open(&cpu, &settings, &own, from).await.unwrap();
        run.advance(&|| false).await.unwrap();
        run.checkpoint().await.unwrap()
    });
    let refused = |pixels: &Pixels, checkpoint: Checkpoint| match block_on(Run::resume(
        &cpu, pixels, checkpoint,
    )) {
        Ok(_) => panic!("it was taken"),
        Err(error @ Error::Checkpoint(_)) => error.to_string(),
        Err(error) => panic!("{error:?}"),
    };
    assert!(refused(&pixels(2), kept.clone()).contains("other spectra"));
    let part = Pixels::sample(own_cube(&own).as_ref(), 60);
    assert!(refused(&part, kept.clone()).contains("123 pixels"));
    let spoil: [(&str, fn(&mut Checkpoint)); 14] = [
        ("version 9", |c| c.head.version = 9),
        ("visits", |c| c.head.visits = f64::NAN),
        ("seconds", |c| c.head.seconds = -1.0),
        ("steps", |c| c.head.settings.steps = 0),
        ("steps", |c| c.elbo = vec![0.0; 331]),
        ("endmembers", |c| c.head.model.endmembers = 0),
        ("endmembers", |c| c.head.model.endmembers = usize::MAX),
        ("rank", |c| c.head.model.family = Family::LowRank { rank: usize::MAX }),
        ("globals", |c| c.globals.truncate(3)),
        ("locals", |c| c.locals.push(0.0)),
        ("prior_centre", |c| c.prior_centre.clear()),
        ("rank_sum", |c| c.rank_sum.clear()),
        ("global_moments", |c| c.global_moments.clear()),
        ("local_moments", |c| c.local_moments.truncate(9)),
    ];
    for (what, spoil) in spoil {
        let mut spoilt = kept.clone();
        spoil(&mut spoilt);
        let text = refused(&own, spoilt);
        assert!(text.contains("checkpoint") && text.contains(what), "{what}: {text}");
    }
    // Numbers that mean nothing end in a fit that failed, not in a panic.
    let mut spoilt = kept;
    spoilt.globals.fill(f32::NAN);
    let ended = block_on(async {
        let mut run = Run::resume(&cpu, &own, spoilt).await.unwrap();
        while run.advance(&|| false).await.unwrap().is_some() {}
        run.finish().await
    });
    assert!(matches!(ended, Err(Error::Fit(_))));
}

/// Some cube of as many bands.
fn own_cube(pixels: &Pixels) -> Box<Cube> {
    Box::new(Cube::zeros(pixels.count(), pixels.bands()))
}
