//! The ELBO at given latents and draws against what other programs say it is.
//! `tests/golden/elbo.py` made `elbo.json` and says which programs.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod common;

use std::sync::Arc;

use common::run_to;
use serde_json::Value;
use unmixel::engine::ground::math::Real;
use unmixel::engine::guide::elbo_constant;
use unmixel::engine::layout::{Params, ROW_GROUP, SEPARATE};
use unmixel::engine::model::{Model, ScalePrior};
use unmixel::engine::passes::buffers::Buffers;
use unmixel::engine::svi::{self, Settings};
use unmixel::scene::Cube;

/// Hyperparameters reach the passes as f32, 6e-8 relative, and the normal's distribution function
/// in a prior's constant is good to 7.5e-8: of terms of the size of their sum. Found: 7e-9.
const TOLERANCE_F64: f64 = 1e-7;
/// Some hundred additions in f32, 6e-8 each. Found: 1e-6.
const TOLERANCE_F32: f64 = 1e-5;

fn golden() -> Value {
    serde_json::from_str(include_str!("golden/elbo.json")).unwrap()
}

/// All numbers of an array, whatever its axes.
fn flat(value: &Value) -> Vec<f64> {
    match value {
        Value::Array(items) => items.iter().flat_map(flat).collect(),
        number => vec![number.as_f64().unwrap()],
    }
}

/// The model that a program evaluates, and the centre of its prior of the endmembers.
fn model_of(program: &str, case: &Value, jax_floor: f64) -> (Model, Vec<f64>) {
    let start = flat(&case["start"]);
    let plain = Model {
        concentration: case["concentration"].as_f64().unwrap(),
        ..Model::new(case["start"].as_array().unwrap().len())
    };
    match program {
        "model" => (plain, start),
        "jax" => (Model { noise_floor: jax_floor, ..plain }, start),
        // HalfNormal(1) is a normal around 0 with sd 1, cut off at 0.
        "numpyro" => {
            let noise_prior = ScalePrior::log_normal(-3.0, 1.0);
            let model = Model { noise_prior, endmember_sd: 1.0, noise_floor: 0.0, ..plain };
            (model, vec![0.0; start.len()])
        }
        other => panic!("no program {other}"),
    }
}

/// Where the values of `what` stand among the scene latents of (K, L) endmembers, L noises, K - 1
/// logits.
fn places(p: &Params, what: &str) -> Vec<usize> {
    let bands = p.bands as usize;
    match what {
        "endmember" => {
            (0..p.k()).flat_map(|k| (0..bands).map(move |l| k * p.stride() + l)).collect()
        }
        "noise" => (p.noise_at()..p.noise_at() + bands).collect(),
        _ => (p.mean_at()..p.mean_at() + p.k() - 1).collect(),
    }
}

/// The ELBO of a case as the passes have it, `moved` added to the first logit of the first pixel.
fn elbo<T: Real>(model: &Model, centre: &[f64], case: &Value, moved: f64) -> f64 {
    let batch: Vec<usize> = flat(&case["minibatch"]).iter().map(|&n| n as usize).collect();
    let rows = case["cube"].as_array().unwrap();
    let (pixels, bands) = (rows.len(), flat(&rows[0]).len());
    let settings = Settings { batch_size: batch.len(), particles: 1, ..Settings::default() };
    let sizes = svi::params(model, &settings, (pixels, bands)).unwrap();
    // Fewer pixels than fill a group: passes take the first of it.
    let scale = pixels as f32 / batch.len() as f32;
    let batch_len = batch.len() as u32;
    let p = Params { step: 2, flags: sizes.flags | SEPARATE, batch: batch_len, scale, ..sizes };

    // The passes choose pixels and draw normals by their own counters. Pixels take the places that
    // the passes choose; a loc moves by scale (given - own), so that the latent is the given one.
    let mut own = Buffers::<T>::new(&p, Arc::new(Cube::zeros(pixels, bands)));
    run_to(&p, &mut own, "sample_pixels");
    let mut cube = Cube::zeros(pixels, bands);
    let mut b = own.clone();
    let g = p.globals as usize;
    let of = |key: String| flat(&case[&key]);
    for what in ["endmember", "noise", "mean"] {
        let [loc, log_scale, draw] =
            ["loc", "log_scale", "draw"].map(|part| of(format!("{what}_{part}")));
        for (i, j) in places(&p, what).into_iter().enumerate() {
            let eps = own.global_eps[j].to_f64().unwrap();
            b.globals[j] = T::of(loc[i] + log_scale[i].exp() * (draw[i] - eps));
            b.globals[g + j] = T::of(log_scale[i]);
        }
    }
    let (latents, stride) = (p.latents as usize, p.local_stride as usize);
    let [loc, log_scale, draw] =
        ["pixel_loc", "pixel_log_scale", "pixel_draw"].map(|key| of(key.into()));
    for (i, &n) in batch.iter().enumerate() {
        let place = own.pixel_of[i] as usize;
        for (y, value) in cube.spectrum_mut(place).iter_mut().zip(flat(&rows[n])) {
            *y = value as f32;
        }
        for d in 0..latents {
            let at = n * latents + d;
            let eps = own.local_eps[p.row_at(0, i, latents) + d * ROW_GROUP].to_f64().unwrap();
            let shift = if (i, d) == (0, 0) { moved } else { 0.0 };
            b.locals[p.place_at(place, stride) + d * ROW_GROUP] =
                T::of(loc[at] + log_scale[at].exp() * (draw[i * latents + d] - eps) + shift);
            b.locals[p.place_at(place, stride) + (latents + d) * ROW_GROUP] = T::of(log_scale[at]);
        }
    }
    for (i, j) in places(&p, "endmember").into_iter().enumerate() {
        b.prior_centre[j] = T::of(centre[i]);
    }
    b.cube = Arc::new(cube);
    run_to(&p, &mut b, "elbo");
    let centres: Vec<f32> = b.prior_centre.iter().map(|c| c.to_f32().unwrap()).collect();
    b.trace[p.trace_slot as usize].to_f64().unwrap() + elbo_constant(&p, model, &centres)
}

/// Relative differences from the recorded values, for each case and program.
fn differences<T: Real>(moved: f64) -> Vec<(String, f64)> {
    let golden = golden();
    let mut found = Vec::new();
    for case in golden["cases"].as_array().unwrap() {
        for program in ["model", "jax", "numpyro"] {
            let (model, centre) = model_of(program, case, golden["jax_floor"].as_f64().unwrap());
            let recorded = case["values"][program]["elbo"].as_f64().unwrap();
            let ours = elbo::<T>(&model, &centre, case, moved);
            let name = format!("{}, {program}", case["name"].as_str().unwrap());
            found.push((name, ((ours - recorded) / recorded).abs()));
        }
    }
    found
}

#[test]
fn the_elbo_is_the_one_of_other_programs() {
    for (name, off) in differences::<f64>(0.0) {
        assert!(off < TOLERANCE_F64, "{name}, f64: {off:e}");
    }
    for (name, off) in differences::<f32>(0.0) {
        assert!(off < TOLERANCE_F32, "{name}, f32: {off:e}");
    }
}

#[test]
fn the_comparison_sees_one_moved_latent() {
    // A tenth in one logit of one pixel.
    for (name, off) in differences::<f64>(0.1) {
        assert!(off > 1e-4, "{name}: {off:e}");
    }
}
