//! Every shader pass against its CPU twin, on whatever adapter there is, and whole runs on both.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use std::sync::Arc;

use common::{Problem, adapter, run_to, variants};
use unmixel::engine::backend::Block;
use unmixel::engine::backend::cpu::Cpu;
use unmixel::engine::backend::gpu::Gpu;
use unmixel::engine::ground::half;
use unmixel::engine::guide::Guide;
use unmixel::engine::layout::{Buf, HALF, Params, SEPARATE};
use unmixel::engine::model::Model;
use unmixel::engine::passes::buffers::Buffers;
use unmixel::engine::passes::{self, Access, Grid};
use unmixel::engine::svi::Settings;
use unmixel::engine::wait::block_on;
use unmixel::scene::Cube;

/// Where two buffers differ most, in units of what f32 on two devices may differ by: drivers' exp
/// and log are good to some 1e-6, sums over up to 10 bands and 40 pixels add a few of those, and
/// differences such as y - mu lose a digit and a half: 3e-5 of the value, and 3e-6 of the largest
/// value for what cancels to nearly nothing.
fn worst(twin: &[f32], shader: &[f32]) -> f32 {
    assert_eq!(twin.len(), shader.len());
    let largest = twin.iter().fold(0.0f32, |m, x| m.max(x.abs()));
    twin.iter()
        .zip(shader)
        .map(|(a, b)| {
            let off = (a - b).abs() / (3e-5 * a.abs() + 3e-6 * largest + 1e-30);
            if off.is_nan() { f32::INFINITY } else { off }
        })
        .fold(0.0, f32::max)
}

fn floats(words: &[u32]) -> Vec<f32> {
    words.iter().map(|&w| f32::from_bits(w)).collect()
}

#[test]
fn every_pass_agrees_with_its_twin() {
    let Some(adapter) = adapter() else { return };
    let mut compared = 0;
    for (name, problem) in variants() {
        let step = problem.step();
        let mut twin = problem.buffers::<f32>();
        for (pass, run) in passes::all::<f32>() {
            let before = twin.clone();
            run(&step, &mut twin);
            let sizes = problem.separate();
            let mut gpu = block_on(Gpu::with_passes(
                &adapter,
                &sizes,
                Arc::clone(&problem.cube),
                vec![problem.guide.clone()],
                &[pass],
            ))
            .unwrap();
            for buf in Buf::ALL {
                block_on(gpu.upload(buf, before.words(buf))).unwrap();
            }
            block_on(gpu.run(&[step], &|| false)).unwrap();
            for &(buf, access) in pass.bindings {
                let got = block_on(gpu.download(buf, sizes.len(buf))).unwrap();
                if access == Access::Read || matches!(buf, Buf::PixelOf | Buf::Status) {
                    assert_eq!(got, twin.words(buf), "{name}: {} and {buf:?}", pass.name);
                    continue;
                }
                let off = worst(&floats(twin.words(buf)), &floats(&got));
                assert!(off < 1.0, "{name}: {} writes {buf:?} off by {off} tolerances", pass.name);
                compared += 1;
            }
        }
    }
    // Sixteen models, and thirteen passes or more in each: a list that shrank would pass silently.
    assert!(compared > 16 * 13, "{compared}");
}

#[test]
fn the_comparison_sees_one_wrong_value() {
    let right: Vec<f32> = (0..200).map(|i| (i as f32 * 0.37).sin()).collect();
    assert_eq!(worst(&right, &right), 0.0);
    for wrong in [right[77] * 1.0002, f32::NAN] {
        let mut other = right.clone();
        other[77] = wrong;
        assert!(worst(&right, &other) > 1.0);
    }
}

#[test]
fn every_pass_writes_something() {
    // A comparison of zeros with zeros would prove nothing.
    let mut seen = std::collections::BTreeSet::new();
    for (_, problem) in variants().iter().filter(|(name, _)| {
        ["everything", "low rank, everything", "covariance"]
            .contains(&name.split(", full").next().unwrap())
    }) {
        let mut twin = problem.buffers::<f32>();
        for (pass, run) in passes::all::<f32>() {
            let before = twin.clone();
            run(&problem.step(), &mut twin);
            let runs = (pass.grid)(&problem.params) != Grid::Line(0);
            for &(buf, _) in pass
                .bindings
                .iter()
                .filter(|(buf, access)| *access == Access::Write && *buf != Buf::Status)
            {
                let wrote = before.words(buf) != twin.words(buf);
                assert_eq!(wrote, runs, "{} and {buf:?}", pass.name);
                if wrote {
                    seen.insert(pass.name);
                }
            }
        }
    }
    assert_eq!(seen.len(), passes::all::<f32>().len());
}

fn run_on_gpu(
    adapter: &unmixel::engine::backend::gpu::Adapter,
    problem: &Problem,
    count: u32,
) -> (Block, (Vec<f32>, Vec<f32>)) {
    let (cube, guide) = (Arc::clone(&problem.cube), problem.guide.clone());
    let mut gpu = block_on(Gpu::new(adapter, &problem.params, cube, vec![guide])).unwrap();
    let block = block_on(gpu.run(&problem.steps(count), &|| false)).unwrap().remove(0);
    (block, block_on(gpu.guide(0)).unwrap())
}

fn run_on_cpu(problem: &Problem, count: u32) -> (Block, (Vec<f32>, Vec<f32>)) {
    let mut cpu = Cpu::new(&problem.params, Arc::clone(&problem.cube), problem.guide.clone());
    let block = cpu.run(&problem.steps(count), &|| false);
    (block, cpu.guide())
}

#[test]
fn whole_runs_agree_and_repeat_to_the_bit() {
    let Some(adapter) = adapter() else { return };
    for (name, problem) in variants().into_iter().filter(|(name, _)| {
        ["plain", "covariance", "everything", "low rank"]
            .iter()
            .any(|start| name.starts_with(start))
    }) {
        let (gpu_block, gpu_guide) = run_on_gpu(&adapter, &problem, 60);
        assert_eq!(
            (gpu_block.clone(), gpu_guide.clone()),
            run_on_gpu(&adapter, &problem, 60),
            "{name}"
        );
        let (cpu_block, cpu_guide) = run_on_cpu(&problem, 60);
        assert_eq!((cpu_block.clone(), cpu_guide.clone()), run_on_cpu(&problem, 60), "{name}");
        // Rounding grows from step to step, but both draw the same numbers: after 60 steps of at
        // most 0.1 each the guides still agree far better than one step.
        for (a, b) in [(&cpu_guide.0, &gpu_guide.0), (&cpu_guide.1, &gpu_guide.1)] {
            let off = a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(off < 0.02, "{name}: {off}");
        }
        let moved = cpu_guide
            .0
            .iter()
            .zip(&problem.guide.globals)
            .map(|(a, b)| (a - b).abs())
            .fold(0.0, f32::max);
        assert!(moved > 0.2, "{name}: the run went nowhere, {moved}");
    }
}

/// A run whose spectra are floats of 16 bits has the bytes of a run with spectra that were rounded
/// to these before, in every pass that reads them; and other bytes than one with the spectra as
/// they are.
#[test]
fn spectra_of_16_bits_are_the_rounded_ones() {
    let Some(adapter) = adapter() else { return };
    for (name, problem) in variants().into_iter().filter(|(name, _)| {
        ["plain", "covariance", "everything"].iter().any(|start| name.starts_with(start))
    }) {
        let mut rounded = Cube::clone(&problem.cube);
        for n in 0..rounded.pixels() {
            rounded.spectrum_mut(n).iter_mut().for_each(|y| *y = half::rounded(*y));
        }
        let rounded = Arc::new(rounded);
        assert_ne!(rounded.padded(), problem.cube.padded());
        let fused = passes::step(&problem.params).into_iter().map(|(pass, _)| pass).collect();
        let separate = passes::all::<f32>().iter().map(|(pass, _)| *pass).collect();
        let ways: [(u32, Vec<_>); 3] = [
            (0, passes::step_on_software(&problem.params)),
            (0, fused),
            (problem.separate().flags, separate),
        ];
        for (flags, passes) in ways {
            let run = |cube: &Arc<Cube>, half: u32| {
                let flag = |p: &Params| Params { flags: p.flags | flags | half, ..*p };
                let (sizes, guide) = (flag(&problem.params), problem.guide.clone());
                let gpu =
                    Gpu::with_passes(&adapter, &sizes, Arc::clone(cube), vec![guide], &passes);
                let mut gpu = block_on(gpu).unwrap();
                let steps: Vec<Params> = problem.steps(5).iter().map(flag).collect();
                let block = block_on(gpu.run(&steps, &|| false)).unwrap().remove(0);
                (block, block_on(gpu.guide(0)).unwrap())
            };
            let found = run(&problem.cube, HALF);
            assert_eq!(found, run(&rounded, 0), "{name}, {} passes", passes.len());
            assert_ne!(found, run(&problem.cube, 0), "{name}, {} passes", passes.len());
        }
    }
}

/// Fits that go on side by side have the bytes of each alone, in every model that allows it; the
/// others are refused.
#[test]
fn fits_side_by_side_are_those_alone() {
    let Some(adapter) = adapter() else { return };
    let mut compared = 0;
    for (name, problem) in variants() {
        // Three places to begin from, the last one of which goes nowhere: none of its steps is
        // finite, and that must not stop the others.
        let mut guides = vec![problem.guide.clone(); 3];
        guides[1].globals.iter_mut().for_each(|x| *x += 0.1);
        guides[1].locals.iter_mut().for_each(|x| *x -= 0.2);
        guides[1].prior_centre.iter_mut().for_each(|x| *x *= 0.9);
        guides[2].globals[0] = f32::NAN;
        let fused = passes::step(&problem.params).into_iter().map(|(pass, _)| pass).collect();
        for passes in [passes::step_on_software(&problem.params), fused] {
            let open = |guides: &[Guide]| {
                let cube = Arc::clone(&problem.cube);
                let guides = guides.to_vec();
                block_on(Gpu::with_passes(&adapter, &problem.params, cube, guides, &passes))
            };
            if problem.params.has(SEPARATE) || problem.params.rank > 0 {
                let refused = open(&guides).err().unwrap().to_string();
                assert!(refused.contains("3 fits"), "{name}: {refused}");
                continue;
            }
            let run = |guides: &[Guide]| {
                let mut gpu = open(guides).unwrap();
                let blocks = block_on(gpu.run(&problem.steps(5), &|| false)).unwrap();
                let state = |fit| {
                    let (guide, moments) = (gpu.guide(fit), gpu.moments(fit));
                    let all = [block_on(guide).unwrap(), block_on(moments).unwrap()];
                    let bits = |values: &Vec<f32>| values.iter().map(|x| x.to_bits()).collect();
                    all.iter().flat_map(|(a, b)| [bits(a), bits(b)]).collect()
                };
                let states = (0..guides.len()).map(state).collect();
                (blocks, states)
            };
            let (blocks, states): (Vec<Block>, Vec<Vec<Vec<u32>>>) = run(&guides);
            for (fit, guide) in guides.iter().enumerate() {
                let (block, state) = run(std::slice::from_ref(guide));
                assert_eq!(blocks[fit].skipped, block[0].skipped, "{name}, fit {fit}");
                let bits = |of: &Block| of.elbo.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
                assert_eq!(bits(&blocks[fit]), bits(&block[0]), "{name}, fit {fit}");
                assert!(states[fit] == state[0], "{name}, fit {fit} of {} passes", passes.len());
                compared += 1;
            }
            assert_eq!([0, 0, 5], [0, 1, 2].map(|fit| blocks[fit].skipped), "{name}");
            assert!(states[0] != states[1], "{name}: what a fit begins from is not used");
        }
    }
    assert!(compared > 2 * 3 * 10, "{compared}");
}

#[test]
fn more_workgroups_than_a_dimension_holds() {
    let Some(adapter) = adapter() else { return };
    // 30,000 rows of 76 quads are 35,625 workgroups of 64: more than one row of the grid.
    let settings = Settings { batch_size: 30_000, ..Settings::default() };
    let problem = Problem::new(Model::new(2), settings, 30_000, 304);
    let step = problem.step();
    let mut twin = problem.buffers::<f32>();
    run_to(&step, &mut twin, "sample_pixels");
    let (pass, run) = passes::all::<f32>().into_iter().find(|(p, _)| p.name == "mix").unwrap();
    let mut gpu = block_on(Gpu::with_passes(
        &adapter,
        &step,
        Arc::clone(&problem.cube),
        vec![problem.guide.clone()],
        &[pass],
    ))
    .unwrap();
    for buf in [Buf::Theta, Buf::Draws] {
        block_on(gpu.upload(buf, twin.words(buf))).unwrap();
    }
    block_on(gpu.run(&[step], &|| false)).unwrap();
    run(&step, &mut twin);
    let got = floats(&block_on(gpu.download(Buf::Mu, step.len(Buf::Mu))).unwrap());
    assert!(worst(&twin.mu, &got) < 1.0);
    assert!(got.last().is_some_and(|&last| last > 0.0));
}

/// What a run carries from step to step.
const STATE: [Buf; 6] =
    [Buf::Globals, Buf::GlobalMoments, Buf::Locals, Buf::LocalMoments, Buf::RankSum, Buf::Trace];

/// A full minibatch, then one whose last group is not: what the first left in the places that the
/// second has no pixels for.
#[test]
fn a_step_reads_nothing_else_of_the_step_before() {
    let adapter = adapter();
    for (name, problem) in variants() {
        let second = problem.step();
        let first = problem.steps(8).into_iter().find(|p| p.batch == problem.params.batch);
        let first = Params { flags: second.flags, trace_slot: 0, ..first.unwrap() };
        for fused in [true, false] {
            let kind = Params { flags: problem.params.flags, ..second };
            let passes: Vec<_> = match fused {
                true => passes::step(&kind),
                false => passes::all::<f32>().to_vec(),
            };
            let run = |step: &Params, b: &mut Buffers<f32>| {
                passes.iter().for_each(|(_, run)| run(step, b));
            };
            let mut used = problem.buffers::<f32>();
            run(&first, &mut used);
            let mut fresh = Buffers {
                globals: used.globals.clone(),
                global_moments: used.global_moments.clone(),
                locals: used.locals.clone(),
                local_moments: used.local_moments.clone(),
                rank_sum: used.rank_sum.clone(),
                trace: used.trace.clone(),
                ..problem.buffers()
            };
            [&mut used, &mut fresh].into_iter().for_each(|b| run(&second, b));
            for buf in STATE {
                assert!(used.words(buf) == fresh.words(buf), "{name}, fused {fused}: {buf:?}");
            }
            let Some(adapter) = &adapter else { continue };
            let passes: Vec<_> = passes.iter().map(|(pass, _)| *pass).collect();
            let open = || {
                let (cube, guide) = (Arc::clone(&problem.cube), problem.guide.clone());
                block_on(Gpu::with_passes(adapter, &problem.separate(), cube, vec![guide], &passes))
                    .unwrap()
            };
            let (mut used, mut fresh) = (open(), open());
            let sizes = problem.separate();
            let of = |gpu: &Gpu, buf| block_on(gpu.download(buf, sizes.len(buf))).unwrap();
            block_on(used.run(&[first], &|| false)).unwrap();
            for buf in STATE {
                block_on(fresh.upload(buf, &of(&used, buf))).unwrap();
            }
            for gpu in [&mut used, &mut fresh] {
                block_on(gpu.run(&[second], &|| false)).unwrap();
            }
            for buf in STATE {
                assert!(
                    of(&used, buf) == of(&fresh, buf),
                    "{name}, fused {fused}: {buf:?}, shaders"
                );
            }
        }
    }
}

/// A scene with one infinite value, as the engine itself would see it (scenes are cleaned before).
fn poisoned() -> Problem {
    let (_, mut problem) = variants().swap_remove(0);
    let mut cube = Cube::clone(&problem.cube);
    cube.spectrum_mut(7)[2] = f32::INFINITY;
    problem.cube = Arc::new(cube);
    problem
}

#[test]
fn a_step_that_is_not_finite_changes_nothing_and_is_counted() {
    let problem = poisoned();
    let mut reference: Buffers<f32> = problem.buffers();
    let mut expected = 0;
    for step in problem.steps(20) {
        let before = reference.clone();
        run_to(&step, &mut reference, "update_globals");
        if reference.pixel_of[..step.batch as usize].contains(&7) {
            expected += 1;
            assert_eq!(
                (before.globals, before.locals),
                (reference.globals.clone(), reference.locals.clone())
            );
            assert_eq!(
                (before.global_moments, before.local_moments),
                (reference.global_moments.clone(), reference.local_moments.clone())
            );
        } else {
            assert_ne!(before.globals, reference.globals);
        }
    }
    assert!(expected > 0 && expected < 20, "the test needs steps of both kinds: {expected} of 20");
    let (block, (globals, locals)) = run_on_cpu(&problem, 20);
    assert_eq!(block.skipped, expected);
    assert!(globals.iter().chain(&locals).all(|x| x.is_finite()));
    if let Some(adapter) = adapter() {
        let (block, (globals, locals)) = run_on_gpu(&adapter, &problem, 20);
        assert_eq!(block.skipped, expected);
        assert!(globals.iter().chain(&locals).all(|x| x.is_finite()));
    }
}

#[test]
fn without_the_guard_the_run_dies() {
    let problem = poisoned();
    let mut buffers = problem.buffers::<f32>();
    for step in problem.steps(20) {
        for (pass, run) in passes::all() {
            run(&step, &mut buffers);
            if pass.name == "elbo" {
                buffers.status[0] = 0;
            }
        }
    }
    assert!(buffers.globals.iter().any(|x| !x.is_finite()));
}

#[test]
fn an_interrupted_block_stops_early() {
    let (_, problem) = variants().swap_remove(0);
    let asked = std::sync::atomic::AtomicU32::new(0);
    let after_three = || asked.fetch_add(1, std::sync::atomic::Ordering::Relaxed) >= 3;
    let mut cpu = Cpu::new(&problem.params, Arc::clone(&problem.cube), problem.guide.clone());
    assert_eq!(cpu.run(&problem.steps(50), &after_three).elbo.len(), 3);
}
