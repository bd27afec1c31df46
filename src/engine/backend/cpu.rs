//! The passes on the CPU, all cores.

use std::sync::Arc;
use std::time::Instant;

use super::{Backend, Block, Laps};
use crate::engine::ground::error::Result;
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
        Cpu { buffers, passes: passes::step(params), sizes: *params }
    }
}

/// Buffers are never empty, state may be.
fn put(buffer: &mut [f32], values: &[f32]) {
    buffer[..values.len()].copy_from_slice(values);
}

impl Backend for Cpu {
    fn run(&mut self, steps: &[Params], interrupted: &(dyn Fn() -> bool + Sync)) -> Result<Block> {
        // Within the pool, so that passes are not handed over to it one by one: each time the calling
        // thread would sleep and be woken again.
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
        Ok(Block { elbo, skipped: self.buffers.status[1] })
    }

    fn profile(&mut self, steps: &[Params]) -> Result<Option<Laps>> {
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
        Ok(Some(laps))
    }

    fn guide(&mut self) -> Result<(Vec<f32>, Vec<f32>)> {
        let (columns, pixels) = (self.sizes.local_stride as usize, self.sizes.pixels as usize);
        Ok((self.buffers.globals.clone(), row_by_row(&self.buffers.locals, columns, pixels)))
    }
}
