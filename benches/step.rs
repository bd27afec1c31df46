//! Time of one SVI step on a scene of the size of Samson, minibatch and whole scene, on the CPU and
//! on the first adapter there is. `cargo bench --bench step`; read medians and ratios of one run.
#![allow(missing_docs, clippy::unwrap_used)]

use std::sync::Arc;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use unmixel::backend::Backend;
use unmixel::backend::cpu::Cpu;
use unmixel::backend::gpu::{Gpu, adapters};
use unmixel::guide::State;
use unmixel::layout::Params;
use unmixel::model::Model;
use unmixel::simulate::{self, simulate};
use unmixel::starts::{Init, start};
use unmixel::svi::{self, Settings};

/// Steps of one measured block: enough to share out what a submit costs.
const STEPS: u32 = 20;

fn step(c: &mut Criterion) {
    let settings = simulate::Settings { rows: 95, cols: 95, bands: 156, ..Default::default() };
    let scene = simulate(&settings).unwrap().scene("bench").unwrap();
    let cube = Arc::new(scene.cube);
    let model = Model::new(3);
    let start = start(&cube, 3, &Init::Vca, false, 0).unwrap();
    let mut group = c.benchmark_group(format!("{STEPS} steps"));
    group.sample_size(20);
    for batch_size in [500, 9025] {
        let settings = Settings { batch_size, particles: 1, ..Settings::default() };
        let params = svi::params(&model, &settings, &cube).unwrap();
        let (c0, w0) = (start.endmembers.view(), start.abundances.view());
        let state = State::around(&params, &model, &cube, c0, w0, None);
        let batches = params.pixels / params.batch;
        let steps: Vec<Params> = (0..STEPS)
            .map(|t| Params {
                step: t,
                epoch: t / batches,
                batch_first: t % batches * params.batch,
                trace_slot: t,
                ..params
            })
            .collect();
        let mut cpu = Cpu::new(&params, Arc::clone(&cube), state.clone());
        group.bench_function(BenchmarkId::new("cpu", batch_size), |b| {
            b.iter(|| cpu.run(&steps, &|| false).unwrap());
        });
        if let Some(adapter) = adapters().first() {
            let mut gpu = Gpu::new(adapter, &params, Arc::clone(&cube), state).unwrap();
            group.bench_function(BenchmarkId::new(&adapter.info().name, batch_size), |b| {
                b.iter(|| gpu.run(&steps, &|| false).unwrap());
            });
        }
    }
    group.finish();
}

criterion_group!(benches, step);
criterion_main!(benches);
