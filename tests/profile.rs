//! The clocks around single passes: which passes they tell, and that steps done under them are steps.
#![allow(clippy::unwrap_used)]

mod common;

use std::sync::Arc;

use common::Problem;
use unmixel::backend::gpu::Gpu;
use unmixel::backend::{Backend, cpu::Cpu};
use unmixel::layout::Params;
use unmixel::model::{Guide, Model};
use unmixel::passes;
use unmixel::svi::Settings;

fn problem(guide: Guide) -> Problem {
    let model = Model { guide, brightness: Some(1.0), ..Model::new(3) };
    let settings = Settings { batch_size: 40, ..Settings::default() };
    Problem::new(model, settings, 90, 20)
}

/// Passes that have work.
fn expected(params: &Params) -> Vec<&'static str> {
    let step = passes::step(params).into_iter();
    step.filter(|(pass, _)| !(pass.grid)(params).is_empty()).map(|(pass, _)| pass.name).collect()
}

/// More steps than one set of queries holds.
fn steps(problem: &Problem) -> Vec<Params> {
    (0..300).map(|step| Params { step, trace_slot: step, ..problem.step() }).collect()
}

/// Profiles on one backend and runs on the other: same names, and the same guide after both.
fn check(params: &Params, steps: &[Params], timed: &mut dyn Backend, plain: &mut dyn Backend) {
    let laps = timed.profile(steps).unwrap().unwrap();
    let names: Vec<&str> = laps.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, expected(params));
    assert!(laps.iter().all(|(_, seconds)| seconds.is_finite() && *seconds >= 0.0), "{laps:?}");
    assert!(laps.iter().map(|(_, seconds)| seconds).sum::<f64>() > 0.0, "{laps:?}");
    plain.run(steps, &|| false).unwrap();
    // The same passes on the same device in the same order: the same bits.
    assert!(timed.guide().unwrap() == plain.guide().unwrap());
}

#[test]
fn cpu_passes_are_timed() {
    for guide in [Guide::MeanField, Guide::LowRank { rank: 2 }] {
        let problem = problem(guide);
        let open = || Cpu::new(&problem.params, Arc::clone(&problem.cube), problem.state.clone());
        check(&problem.params, &steps(&problem), &mut open(), &mut open());
        assert_eq!(open().profile(&[]).unwrap().unwrap(), []);
    }
}

#[test]
fn device_passes_are_timed() {
    let Some(adapter) = common::adapter() else { return };
    let problem = problem(Guide::FullRank);
    let open = || {
        let cube = Arc::clone(&problem.cube);
        Gpu::new(&adapter, &problem.params, cube, problem.state.clone()).unwrap()
    };
    let (mut timed, mut plain) = (open(), open());
    if timed.profile(&[]).unwrap().is_none() {
        return; // It has no clock, and says so.
    }
    check(&problem.params, &steps(&problem), &mut timed, &mut plain);
}
