//! Loops stay short enough for lavapipe, which ends every loop, silently, once an invocation has
//! made 65,535 iterations: the bounds that passes state are enough for demanding scenes, they are
//! bounds, and a fit beyond them is refused where it would come out wrong.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use std::sync::Arc;

use common::{Problem, adapter, variants};
use unmixel::engine::backend::gpu::{Adapter, Gpu};
use unmixel::engine::layout::{Buf, Params};
use unmixel::engine::model::{Common, Family, Model, Noise};
use unmixel::engine::passes::{self, Access, Pass};
use unmixel::engine::svi::Settings;
use unmixel::engine::wait::block_on;

/// All that makes loops longer, but for the low-rank guide.
fn everything(endmembers: usize, noise: Noise) -> Model {
    Model {
        brightness: Some(0.3),
        brightness_spread: Some(1.0),
        variability: Some(0.03),
        family: Family::FullRank,
        noise,
        concentration_sd: Some(1.0),
        common: Some(Common::of(endmembers)),
        ..Model::new(endmembers)
    }
}

/// Pixels, bands, batch, particles.
type Size = (usize, usize, usize, usize);

/// The first pass that would be cut off.
fn cut_off(model: &Model, (pixels, bands, batch, particles): Size) -> Option<&'static str> {
    let params = Params::new(model, pixels, bands, batch, particles, 0).unwrap();
    passes::too_long(&params, &passes::step_on_software(&params)).map(|pass| pass.name)
}

#[test]
fn demanding_fits_stay_below_the_limit() {
    for (endmembers, noise, size) in [
        // Large scenes in minibatches.
        (32, Noise::Band, (1_000_000, 2000, 500, 16)),
        (32, Noise::Band, (2_000_000, 224, 4096, 7)),
        (20, Noise::Band, (9025, 156, 500, 64)),
        (32, Noise::Isotropic, (1_000_000, 224, 500, 7)),
        // Scenes as a whole.
        (5, Noise::Band, (9025, 156, 9025, 16)),
        (5, Noise::Isotropic, (9025, 156, 9025, 64)),
        (10, Noise::Band, (1_000_000, 224, 1_000_000, 1)),
        (5, Noise::Covariance, (9025, 300, 9025, 16)),
        (20, Noise::Covariance, (1_000_000, 300, 60_000, 1)),
    ] {
        assert_eq!(cut_off(&everything(endmembers, noise), size), None, "{endmembers} {size:?}");
        let family = Family::LowRank { rank: 10 };
        let model = Model { family, ..everything(endmembers, noise) };
        assert_eq!(cut_off(&model, size), None, "low rank, {endmembers} {size:?}");
    }
}

#[test]
fn the_highest_rank_stays_below_the_limit() {
    for (endmembers, noise, size) in [
        (32, Noise::Band, (100_000, 2000, 500, 16)),
        (5, Noise::Band, (9025, 156, 9025, 64)),
        (5, Noise::Covariance, (9025, 300, 9025, 16)),
    ] {
        let family = Family::LowRank { rank: 64 };
        let model = Model { family, ..everything(endmembers, noise) };
        assert_eq!(cut_off(&model, size), None, "{endmembers} {size:?}");
    }
}

#[test]
fn what_is_too_long_is_known() {
    for (endmembers, noise, size, pass) in [
        // The full-rank guide has K^2 / 2 off-diagonals, which a draw of a pixel reads.
        (300, Noise::Band, (9025, 156, 500, 64), "sample_pixels"),
        // One noise for the scene: a single invocation sums all bands.
        (32, Noise::Isotropic, (9025, 1100, 500, 64), "gradient_globals"),
        // A chunk's rows once for every 256 bands. Draws of so many do not fit a uniform.
        (20, Noise::Band, (1_000_000, 1100, 1_000_000, 1), "spectra"),
        // The regressions between bands sum the whole batch.
        (5, Noise::Covariance, (100_000, 200, 100_000, 1), "gradient_covariance"),
        // No more than 1024 chunks: those of a very large batch have many rows.
        (20, Noise::Band, (4_000_000, 224, 4_000_000, 1), "spectra_bands"),
    ] {
        let found = cut_off(&everything(endmembers, noise), size);
        assert_eq!(found, Some(pass), "{endmembers} {size:?}");
    }
}

#[test]
fn a_fit_that_would_be_cut_off_is_refused() {
    let Some(adapter) = adapter() else { return };
    let model = Model { family: Family::FullRank, ..Model::new(150) };
    let settings = Settings { batch_size: 4, particles: 2, ..Settings::default() };
    let problem = Problem::new(model, settings, 60, 60);
    let (cube, guide) = (Arc::clone(&problem.cube), problem.guide.clone());
    let opened = block_on(Gpu::new(&adapter, &problem.params, cube, vec![guide]));
    // Hardware has no such limit.
    if adapter.is_software() {
        let refusal = opened.err().unwrap().to_string();
        assert!(refusal.contains("use the CPU"), "{refusal}");
    } else {
        opened.unwrap();
    }
}

/// The pass with a count of its iterations, the most that any invocation makes, in the last word of
/// `Status`; none if it has no loop.
fn counting(pass: &Pass) -> Option<&'static Pass> {
    let own = &pass.shader[..pass.shader.find("struct Params").unwrap()];
    if !pass.shader.contains("for (") {
        return None;
    }
    let mut bindings = pass.bindings.to_vec();
    let mut declarations = "var<private> trips_made: u32;\n".to_owned();
    let mut text = pass.shader.to_owned();
    match bindings.iter().find(|(buf, _)| *buf == Buf::Status) {
        Some((_, Access::Write)) => {}
        Some((_, Access::Constant)) => unreachable!("no pass has the status as a uniform"),
        Some((_, Access::Read)) if !own.contains("for (") => return None,
        Some((_, Access::Read)) => {
            let read = "var<storage, read> status: array<u32>";
            let counted = "var<storage, read_write> status: array<atomic<u32>>";
            assert!(own.contains(read) && own.contains("status[0] != 0u"), "{}", pass.name);
            text = text
                .replace(read, counted)
                .replace("status[0] != 0u", "atomicLoad(&status[0]) != 0u");
            for (_, access) in bindings.iter_mut().filter(|(buf, _)| *buf == Buf::Status) {
                *access = Access::Write;
            }
        }
        None => {
            // Eight buffers are the most: the first one then makes room, and its values, on which
            // no loop depends, are zeros.
            if bindings.len() == 8 {
                let place = "@group(0) @binding(1) var<storage, read>";
                let line = text.lines().find(|line| line.starts_with(place)).unwrap().to_owned();
                let private = line.replace(place, "var<private>").replace(">;", ", 1>;");
                text = text.replace(&line, &private);
                bindings[0] = (Buf::Status, Access::Write);
            } else {
                bindings.push((Buf::Status, Access::Write));
            }
            let at = 1 + bindings.iter().position(|(buf, _)| *buf == Buf::Status).unwrap();
            declarations += &format!(
                "@group(0) @binding({at}) var<storage, read_write> status: array<atomic<u32>>;\n"
            );
        }
    }
    text = text
        .lines()
        .map(|line| match line.trim_start().starts_with("for (") {
            true => format!("{}{{ trips_made++;\n", line.strip_suffix('{').unwrap()),
            false => format!("{line}\n"),
        })
        .collect();
    // `main` becomes a function, whose early returns a new `main` outlives.
    let head = "@compute @workgroup_size(WORKGROUP)\nfn main(";
    let (before, rest) = text.split_once(head).unwrap();
    let (arguments, body) = rest.split_at(rest.find(") {").unwrap());
    let plain: Vec<&str> =
        arguments.split(", ").map(|argument| argument.split_once(") ").unwrap().1).collect();
    let names: Vec<&str> =
        plain.iter().map(|argument| argument.split_once(':').unwrap().0).collect();
    let shader = format!(
        "{declarations}{before}fn body({}{body}\n{head}{arguments}) {{ body({}); \
         atomicMax(&status[3], trips_made); }}\n",
        plain.join(", "),
        names.join(", ")
    );
    Some(Box::leak(Box::new(Pass {
        shader: shader.leak(),
        bindings: bindings.leak(),
        name: pass.name,
        grid: pass.grid,
        trips: pass.trips,
    })))
}

/// Iterations that the pass makes on the device, after the passes before it ran on the CPU.
fn count(adapter: &Adapter, problem: &Problem, pass: &'static Pass) -> u64 {
    let step = problem.step();
    let mut buffers = problem.buffers::<f32>();
    for (earlier, run) in passes::all::<f32>() {
        if earlier.name == pass.name {
            break;
        }
        run(&step, &mut buffers);
    }
    let (cube, guide) = (Arc::clone(&problem.cube), problem.guide.clone());
    let mut gpu =
        block_on(Gpu::with_passes(adapter, &problem.separate(), cube, vec![guide], &[pass]))
            .unwrap();
    for &(buf, _) in pass.bindings {
        block_on(gpu.upload(buf, buffers.words(buf))).unwrap();
    }
    block_on(gpu.run(&[step], &|| false)).unwrap();
    block_on(gpu.download(Buf::Status, 4)).unwrap()[3].into()
}

#[test]
fn no_invocation_makes_more_iterations_than_its_pass_says() {
    let Some(adapter) = adapter() else { return };
    let mut most = std::collections::BTreeMap::new();
    for (name, problem) in variants() {
        if !["plain", "isotropic", "concentration", "covariance", "everything", "low rank"]
            .iter()
            .any(|start| name.starts_with(start))
        {
            continue;
        }
        for pass in passes::every() {
            let bound = (pass.trips)(&problem.params);
            let Some(counting) = counting(pass) else {
                assert_eq!(bound, 0, "{}", pass.name);
                continue;
            };
            let made = count(&adapter, &problem, counting);
            println!("{name}: {} {made} of {bound}", pass.name);
            assert!(made <= bound, "{name}: {} makes {made}, says {bound}", pass.name);
            let most = most.entry(pass.name).or_insert(0);
            *most = made.max(*most);
        }
    }
    // All but `update_pixels`, which has no loop.
    assert_eq!(most.len(), 24);
    assert!(most.values().all(|&made| made > 0), "counts nothing: {most:?}");
}

#[test]
fn a_longer_loop_is_counted() {
    let Some(adapter) = adapter() else { return };
    let (_, problem) = variants().swap_remove(0);
    let mix = passes::all::<f32>().map(|(p, _)| p).into_iter().find(|p| p.name == "mix").unwrap();
    let once = counting(mix).unwrap();
    assert_eq!(count(&adapter, &problem, once), 3);
    let shader = mix.shader.replace("k < p.endmembers", "k < p.endmembers + 4u").leak();
    let longer =
        Pass { shader, name: "mix", bindings: mix.bindings, grid: mix.grid, trips: mix.trips };
    let made = count(&adapter, &problem, counting(&longer).unwrap());
    assert_eq!(made, 7);
    assert!(made > (mix.trips)(&problem.params));
}
