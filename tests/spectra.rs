//! The pass that reads a spectrum once, and the two that software drivers run instead, against the
//! separate passes that they stand for, on the CPU and on whatever adapter there is.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use std::sync::Arc;

use common::{Problem, adapter};
use unmixel::engine::backend::gpu::{Adapter, Gpu};
use unmixel::engine::layout::{Buf, Params};
use unmixel::engine::model::{Model, Noise};
use unmixel::engine::passes::buffers::Buffers;
use unmixel::engine::passes::{self, Pass, spectra, spectra_bands, spectra_rows};
use unmixel::engine::svi::Settings;
use unmixel::engine::wait::block_on;

const SUMS: [Buf; 2] = [Buf::RowGrads, Buf::Partials];

/// The same draws, before any spectrum is read.
fn drawn(problem: &Problem) -> (Params, Buffers<f32>) {
    let step = problem.step();
    let mut buffers = problem.buffers::<f32>();
    common::run_to(&step, &mut buffers, "sample_pixels");
    (step, buffers)
}

fn floats(words: &[u32]) -> Vec<f32> {
    words.iter().map(|&w| f32::from_bits(w)).collect()
}

/// Where two buffers differ most, in units of what two orders of adding up to 310 f32 may differ
/// by: 310 roundings of 6e-8 of the largest term, and residuals y - mu that lose a digit and a
/// half.
fn worst(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    let largest = a.iter().fold(0.0f32, |m, x| m.max(x.abs()));
    let off = a.iter().zip(b).map(|(a, b)| (a - b).abs() / (1e-4 * a.abs() + 2e-5 * largest));
    off.fold(0.0, |worst, off| if off.is_nan() { f32::INFINITY } else { worst.max(off) })
}

/// What a GPU runs, and what a software driver runs.
const SHADERS: [&[&Pass]; 2] = [&[&spectra::PASS], &[&spectra_rows::PASS, &spectra_bands::PASS]];

fn on_gpu(
    adapter: &Adapter,
    passes: &[&'static Pass],
    problem: &Problem,
    step: &Params,
    b: &Buffers<f32>,
) -> [Vec<f32>; 2] {
    let (cube, guide) = (Arc::clone(&problem.cube), problem.guide.clone());
    let mut gpu = block_on(Gpu::with_passes(adapter, step, cube, vec![guide], passes)).unwrap();
    for buf in [Buf::Theta, Buf::PixelOf, Buf::Draws] {
        block_on(gpu.upload(buf, b.words(buf))).unwrap();
    }
    block_on(gpu.run(&[*step], &|| false)).unwrap();
    SUMS.map(|buf| floats(&block_on(gpu.download(buf, step.len(buf))).unwrap()))
}

/// Endmembers, bands, draws, variability, noise.
type Kind = (usize, usize, usize, bool, Noise);

/// Loops unrolled and not, one and several vectors, more bands than a workgroup has lanes, chunks
/// that are not full, an odd pixel at their end, and padding beside a noise that is the same for
/// all bands.
const KINDS: [Kind; 10] = [
    (1, 1, 1, false, Noise::Band),
    (1, 40, 2, true, Noise::Band),
    (2, 7, 1, true, Noise::Band),
    (3, 156, 2, true, Noise::Band),
    (3, 156, 1, false, Noise::Band),
    (3, 150, 2, false, Noise::Isotropic),
    (6, 310, 3, true, Noise::Band),
    (8, 33, 2, false, Noise::Band),
    (9, 50, 2, true, Noise::Isotropic),
    (31, 64, 1, true, Noise::Band),
];

fn problem((k, bands, particles, varies, noise): Kind) -> Problem {
    let model = Model {
        noise,
        variability: varies.then_some(0.05),
        brightness: Some(0.4),
        likelihood_weight: 0.3,
        ..Model::new(k)
    };
    let settings = Settings { batch_size: 37, particles, seed: 5, ..Settings::default() };
    Problem::new(model, settings, 80, bands)
}

#[test]
fn one_read_of_the_spectra_gives_what_the_separate_passes_give() {
    let adapter = adapter();
    for kind in KINDS {
        let problem = problem(kind);
        let (step, before) = drawn(&problem);
        let mut separate = before.clone();
        for (pass, run) in passes::all() {
            if ["mix", "likelihood", "gradient_abundances", "gradient_bands"].contains(&pass.name) {
                run(&step, &mut separate);
            }
        }
        let mut fused = before.clone();
        spectra::run(&step, &mut fused);
        let expected = [&separate.row_grads[..], &separate.partials[..]];
        for (expected, got) in expected.iter().zip([&fused.row_grads[..], &fused.partials[..]]) {
            assert!(expected.iter().any(|&x| x != 0.0));
            let off = worst(expected, got);
            assert!(off < 1.0, "{kind:?}: CPU off by {off} tolerances");
        }
        let Some(adapter) = &adapter else { continue };
        for passes in SHADERS {
            let got = on_gpu(adapter, passes, &problem, &step, &before);
            for (expected, got) in expected.iter().zip(got) {
                let off = worst(expected, &got);
                assert!(off < 1.0, "{kind:?}: {} off by {off} tolerances", passes[0].name);
            }
        }
    }
}

#[test]
#[cfg(target_arch = "x86_64")]
fn narrower_vectors_give_the_same() {
    use pulp::Arch;
    let narrower = pulp::x86::V3::try_new().map(Arch::V3);
    for kind in KINDS {
        let (step, before) = drawn(&problem(kind));
        let mut widest = before.clone();
        spectra::run(&step, &mut widest);
        for arch in narrower.into_iter().chain([Arch::Scalar]) {
            let mut b = before.clone();
            spectra::run_in(arch, &step, &mut b);
            let off = worst(&widest.row_grads, &b.row_grads);
            assert!(off.max(worst(&widest.partials, &b.partials)) < 1.0, "{kind:?}, {arch:?}");
        }
    }
}

#[test]
fn the_comparison_sees_a_lost_row_and_not_a_number() {
    let problem = problem(KINDS[3]);
    let (step, mut b) = drawn(&problem);
    spectra::run(&step, &mut b);
    assert_eq!(worst(&b.partials, &b.partials), 0.0);
    let right = b.partials.clone();
    // A pixel less in the last chunk.
    let mut fewer = b.clone();
    let short = Params { batch: step.batch - 1, ..step };
    spectra::run(&short, &mut fewer);
    assert!(worst(&right, &fewer.partials) > 1.0);
    fewer.partials.copy_from_slice(&right);
    fewer.partials[7] = f32::NAN;
    assert!(worst(&right, &fewer.partials) > 1.0);
}

#[test]
fn a_run_takes_the_separate_passes_where_it_must() {
    let names = |model: Model| {
        let problem = Problem::new(model, Settings::default(), 60, 33);
        let names: Vec<_> =
            passes::step(&problem.params).iter().map(|(pass, _)| pass.name).collect();
        names
    };
    let fused = names(Model::new(31));
    assert!(fused.contains(&"spectra") && !fused.contains(&"mix"), "{fused:?}");
    let many = names(Model::new(32));
    assert!(!many.contains(&"spectra") && many.contains(&"gradient_bands"), "{many:?}");
}

#[test]
fn a_software_driver_takes_two_passes_where_its_uniform_holds_the_draws() {
    let names = |bands: usize, particles: usize| {
        let settings = Settings { particles, ..Settings::default() };
        let problem = Problem::new(Model::new(20), settings, 60, bands);
        let passes = passes::step_on_software(&problem.params);
        passes.iter().map(|pass| pass.name).collect::<Vec<_>>()
    };
    // A draw of 41 rows of 224 bands and 32 more is 9,216 words of 16,384.
    let two = names(224, 1);
    assert!(two.contains(&"spectra_rows") && two.contains(&"spectra_bands"), "{two:?}");
    assert!(!two.contains(&"spectra"), "{two:?}");
    let large = names(224, 2);
    assert!(large.contains(&"spectra") && !large.contains(&"spectra_rows"), "{large:?}");
}
