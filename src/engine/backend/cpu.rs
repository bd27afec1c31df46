//! The passes on the CPU, all cores.

use std::sync::Arc;

use super::{Block, Laps};
use crate::engine::ground::clock::Instant;
use crate::engine::ground::lanes::{row_by_row, side_by_side};
use crate::engine::guide::Guide;
use crate::engine::layout::Params;
use crate::engine::passes::buffers::Buffers;
use crate::engine::passes::{self, Twin};
use crate::engine::pixels::Cube;

/// A run on the CPU.
pub struct Cpu {
    buffers: Buffers<f32>,
    passes: Vec<Twin<f32>>,
    sizes: Params,
}

impl Cpu {
    /// Takes a run's state; the cube is shared, not copied.
    pub fn new(params: &Params, cube: Arc<Cube>, guide: Guide) -> Self {
        let mut buffers = Buffers::new(params, cube);
        put(&mut buffers.globals, &guide.globals);
        side_by_side(&guide.locals, params.local_stride as usize, &mut buffers.locals);
        put(&mut buffers.prior_centre, &guide.prior_centre);
        put(&mut buffers.rank_sum, &guide.rank_sum);
        if let Some(momentum) = &guide.momentum {
            let columns = 2 * params.local_stride as usize;
            put(&mut buffers.global_moments, &momentum.globals);
            side_by_side(&momentum.locals, columns, &mut buffers.local_moments);
        }
        Cpu { buffers, passes: passes::step(params), sizes: *params }
    }
}

/// Buffers are never empty, state may be.
fn put(buffer: &mut [f32], values: &[f32]) {
    buffer[..values.len()].copy_from_slice(values);
}

impl Cpu {
    /// As [`super::Backend::run`].
    pub fn run(&mut self, steps: &[Params], interrupted: &(dyn Fn() -> bool + Sync)) -> Block {
        // Within the pool, so that passes are not handed over to it one by one: each time the
        // calling thread would sleep and be woken again.
        let done = rayon::scope(|_| {
            let mut done = 0;
            for params in steps {
                if interrupted() {
                    break;
                }
                for (_, run) in &self.passes {
                    run(params, &mut self.buffers);
                }
                done += 1;
            }
            done
        });
        let elbo =
            steps[..done].iter().map(|p| self.buffers.trace[p.trace_slot as usize]).collect();
        Block { elbo, skipped: self.buffers.status[1] }
    }

    /// As [`super::Backend::profile`].
    pub fn profile(&mut self, steps: &[Params]) -> Laps {
        let mut laps: Laps = self.passes.iter().map(|(pass, _)| (pass.name, 0.0)).collect();
        rayon::scope(|_| {
            for params in steps {
                let mut before = Instant::now();
                for ((_, run), (_, seconds)) in self.passes.iter().zip(&mut laps) {
                    run(params, &mut self.buffers);
                    let now = Instant::now();
                    *seconds += (now - before).as_secs_f64() / steps.len() as f64;
                    before = now;
                }
            }
        });
        let idle = |name| {
            let pass = self.passes.iter().find(|(pass, _)| pass.name == name);
            steps.iter().all(|p| pass.is_none_or(|(pass, _)| (pass.grid)(p).is_empty()))
        };
        laps.retain(|(name, _)| !idle(*name));
        laps
    }

    /// As [`super::Backend::guide`].
    pub fn guide(&self) -> (Vec<f32>, Vec<f32>) {
        let (columns, pixels) = (self.sizes.local_stride as usize, self.sizes.pixels as usize);
        (self.buffers.globals.clone(), row_by_row(&self.buffers.locals, columns, pixels))
    }

    /// As [`super::Backend::moments`].
    pub fn moments(&self) -> (Vec<f32>, Vec<f32>) {
        let (columns, pixels) = (2 * self.sizes.local_stride as usize, self.sizes.pixels as usize);
        let globals = self.buffers.global_moments[..2 * self.sizes.global_stride()].to_vec();
        (globals, row_by_row(&self.buffers.local_moments, columns, pixels))
    }

    /// As [`super::Backend::rank_sum`].
    pub fn rank_sum(&self) -> Vec<f32> {
        self.buffers.rank_sum[..(self.sizes.rank as usize).pow(2)].to_vec()
    }
}
