//! The clocks around single passes: which passes they tell, and that steps done under them are
//! steps.
#![allow(clippy::unwrap_used)]

mod common;

use std::sync::Arc;

use common::Problem;
use unmixel::engine::backend::gpu::Gpu;
use unmixel::engine::backend::{Backend, cpu::Cpu};
use unmixel::engine::layout::Params;
use unmixel::engine::model::{Family, Model};
use unmixel::engine::passes;
use unmixel::engine::svi::Settings;
use unmixel::engine::wait::block_on;

fn problem(family: Family) -> Problem {
    let model = Model { family, brightness: Some(1.0), ..Model::new(3) };
    let settings = Settings { batch_size: 40, ..Settings::default() };
    Problem::new(model, settings, 90, 20)
}

/// Passes that have work, on a software driver or not.
fn expected(params: &Params, software: bool) -> Vec<&'static str> {
    let passes = match software {
        true => passes::step_on_software(params),
        false => passes::step(params).into_iter().map(|(pass, _)| pass).collect(),
    };
    let busy = passes.iter().filter(|pass| !(pass.grid)(params).is_empty());
    busy.map(|pass| pass.name).collect()
}

/// More steps than one set of queries holds.
fn steps(problem: &Problem) -> Vec<Params> {
    (0..300).map(|step| Params { step, trace_slot: step, ..problem.step() }).collect()
}

/// Profiles on one backend and runs on the other: same names, and the same guide after both.
fn check(expected: &[&str], steps: &[Params], mut timed: Backend, mut plain: Backend) {
    let laps = block_on(timed.profile(steps)).unwrap().unwrap();
    let names: Vec<&str> = laps.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, expected);
    assert!(laps.iter().all(|(_, seconds)| seconds.is_finite() && *seconds >= 0.0), "{laps:?}");
    assert!(laps.iter().map(|(_, seconds)| seconds).sum::<f64>() > 0.0, "{laps:?}");
    block_on(plain.run(steps, &|| false)).unwrap();
    // The same passes on the same device in the same order: the same bits.
    assert!(block_on(timed.guide(0)).unwrap() == block_on(plain.guide(0)).unwrap());
}

#[test]
fn cpu_passes_are_timed() {
    for family in [Family::MeanField, Family::LowRank { rank: 2 }] {
        let problem = problem(family);
        let open = || {
            let cube = Arc::clone(&problem.cube);
            Backend::Cpu(Box::new(Cpu::new(&problem.params, cube, problem.guide.clone())))
        };
        let expected = expected(&problem.params, false);
        check(&expected, &steps(&problem), open(), open());
        assert_eq!(block_on(open().profile(&[])).unwrap().unwrap(), []);
    }
}

#[test]
fn device_passes_are_timed() {
    let Some(adapter) = common::adapter() else { return };
    let problem = problem(Family::FullRank);
    let open = || {
        let cube = Arc::clone(&problem.cube);
        let gpu = Gpu::new(&adapter, &problem.params, cube, vec![problem.guide.clone()]);
        Backend::Gpu(Box::new(block_on(gpu).unwrap()))
    };
    let (mut timed, plain) = (open(), open());
    if block_on(timed.profile(&[])).unwrap().is_none() {
        return; // It has no clock, and says so.
    }
    let expected = expected(&problem.params, adapter.is_software());
    check(&expected, &steps(&problem), timed, plain);
}
