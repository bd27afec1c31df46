//! The passes on a GPU, through wgpu: Vulkan, Metal or DX12. The only place that names wgpu.

mod adapter;
mod buffers;
mod ceiling;
mod kernels;
mod opened;
mod pipelines;
mod profile;
mod waiter;

use std::collections::VecDeque;
use std::sync::Arc;

pub use adapter::{Adapter, Limit, adapters};
use buffers::{DeviceBuffers, UNIFORM_STRIDE};
pub(super) use ceiling::measure as ceilings;
pub use kernels::{Constants, Kernel, Kernels};
#[cfg(test)]
pub(crate) use opened::Fault;
use opened::Opened;
use pipelines::Pipeline;

use super::{Block, Laps};
use crate::engine::ground::clock::Instant;
use crate::engine::ground::error::{Error, Result};
use crate::engine::ground::lanes::{row_by_row, side_by_side};
use crate::engine::guide::Guide;
use crate::engine::layout::limits::{GROUPS_X, WORKGROUP};
use crate::engine::layout::{Buf, HALF, Params, TRACE_LEN};
use crate::engine::passes::{self, Grid, Pass};
use crate::engine::pixels::Cube;

/// A run on a GPU.
pub struct Gpu {
    opened: Arc<Opened>,
    pipelines: Vec<Pipeline>,
    buffers: DeviceBuffers,
    params: wgpu::Buffer,
    sizes: Params,
    /// Steps a submit, adapted so that one takes about [`SUBMIT_SECONDS`].
    steps_a_submit: usize,
}

/// Systems reset a device whose work takes 2 s (Windows TDR); a twentieth of it keeps screens
/// alive.
const SUBMIT_SECONDS: f64 = 0.1;
/// Steps of the first submit, before their time is known.
const FIRST_STEPS: usize = 4;
/// The most steps a submit: their parameters are one small upload.
const MOST_STEPS: usize = 128;

impl Gpu {
    /// Compiles the passes and uploads the run.
    pub async fn new(
        adapter: &Adapter,
        params: &Params,
        cube: Arc<Cube>,
        guide: Guide,
    ) -> Result<Self> {
        let passes = match adapter.is_software() {
            true => passes::step_on_software(params),
            false => passes::step(params).into_iter().map(|(pass, _)| pass).collect(),
        };
        Gpu::with_passes(adapter, params, cube, guide, &passes).await
    }

    /// As [`Gpu::new`], with a list of passes of one's own: tests run them one at a time.
    pub async fn with_passes(
        adapter: &Adapter,
        params: &Params,
        cube: Arc<Cube>,
        guide: Guide,
        passes: &[&'static Pass],
    ) -> Result<Self> {
        // A software driver would give wrong sums and no error.
        if adapter.is_software()
            && let Some(pass) = passes::too_long(params, passes)
        {
            return Err(Error::Device(format!(
                "{}: the loops of {} are longer than this software driver takes; use the CPU, a \
                 smaller batch size or fewer particles",
                adapter.info().name,
                pass.name
            )));
        }
        let opened = adapter.open(params).await?;
        let device = &opened.device;
        let half = params.has(HALF);
        let held = opened.spectra(&cube, half);
        let is_held = held.is_some();
        let buffers = DeviceBuffers::new(device, params, held);
        #[cfg(test)]
        opened.suffer(Fault::NoMemory);
        let uniform = device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("params"),
            size: (UNIFORM_STRIDE * MOST_STEPS) as u64,
            usage: wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        let pipelines = passes
            .iter()
            .map(|pass| {
                let compiled = opened.compiled(pass, params);
                Pipeline::new(device, pass, compiled, &buffers, &uniform)
            })
            .collect();
        let gpu = Gpu {
            opened: Arc::clone(&opened),
            pipelines,
            buffers,
            params: uniform,
            sizes: *params,
            steps_a_submit: FIRST_STEPS,
        };
        gpu.check()?;
        let columns = params.local_stride as usize;
        let mut locals = vec![0.0; params.len(Buf::Locals)];
        side_by_side(&guide.locals, columns, &mut locals);
        if !is_held {
            gpu.buffers.write_spectra(&opened, &cube, half).await.map_err(|e| gpu.lost(&e))?;
            gpu.check()?;
            opened.hold_spectra(&cube, half, gpu.buffers.get(Buf::Cube));
        }
        for (buf, values) in [
            (Buf::Globals, &guide.globals),
            (Buf::Locals, &locals),
            (Buf::PriorCentre, &guide.prior_centre),
            (Buf::RankSum, &guide.rank_sum),
        ] {
            gpu.upload(buf, bytemuck::cast_slice(values)).await?;
        }
        if let Some(momentum) = &guide.momentum {
            let mut moments = vec![0.0; params.len(Buf::LocalMoments)];
            side_by_side(&momentum.locals, 2 * columns, &mut moments);
            gpu.upload(Buf::GlobalMoments, bytemuck::cast_slice(&momentum.globals)).await?;
            gpu.upload(Buf::LocalMoments, bytemuck::cast_slice(&moments)).await?;
        }
        Ok(gpu)
    }

    /// Writes the first words of a buffer.
    pub async fn upload(&self, buf: Buf, words: &[u32]) -> Result<()> {
        self.buffers.write(&self.opened, buf, words).await.map_err(|e| self.lost(&e))?;
        self.check()
    }

    /// Reads the first `len` words of a buffer.
    pub async fn download(&self, buf: Buf, len: usize) -> Result<Vec<u32>> {
        let words = self.buffers.read(&self.opened, buf, len).await.map_err(|e| self.lost(&e))?;
        self.check()?;
        Ok(words)
    }

    /// Uploads the parameters of at most [`MOST_STEPS`] steps.
    fn set_params(&self, steps: &[Params]) {
        let uniform = buffers::uniforms(steps.iter());
        self.opened.queue.write_buffer(&self.params, 0, &uniform);
    }

    /// Queues all passes of the given steps as one submit.
    fn submit(&self, steps: &[Params]) -> wgpu::SubmissionIndex {
        #[cfg(test)]
        self.opened.suffer(Fault::Lost);
        self.set_params(steps);
        let Opened { device, queue, .. } = &*self.opened;
        let mut encoder = device.create_command_encoder(&Default::default());
        {
            let mut compute = encoder.begin_compute_pass(&Default::default());
            for (i, params) in steps.iter().enumerate() {
                for pipeline in &self.pipelines {
                    let Some((x, y)) = groups((pipeline.grid)(params)) else { continue };
                    compute.set_pipeline(&pipeline.pipeline);
                    compute.set_bind_group(0, &pipeline.bind_group, &[(i * UNIFORM_STRIDE) as u32]);
                    compute.dispatch_workgroups(x, y, 1);
                }
            }
        }
        queue.submit([encoder.finish()])
    }

    /// Ends when the submit is done.
    async fn landed(&self, submitted: wgpu::SubmissionIndex) -> Result<()> {
        let Opened { queue, waiter, .. } = &*self.opened;
        waiter.done(queue, submitted).await.map_err(|e| self.lost(&e))?;
        self.check()
    }

    fn check(&self) -> Result<()> {
        self.opened.failed.check()
    }

    fn lost(&self, what: &str) -> Error {
        self.opened.failed.error(what)
    }
}

/// Workgroups of a dispatch, folded into rows so that no dimension exceeds the limit.
fn groups(grid: Grid) -> Option<(u32, u32)> {
    let count = match grid {
        Grid::OneGroup => 1,
        Grid::Groups(groups) => groups,
        Grid::Line(invocations) => invocations.div_ceil(u64::from(WORKGROUP)),
    };
    let rows = count.div_ceil(u64::from(GROUPS_X));
    (count > 0).then(|| (count.min(u64::from(GROUPS_X)) as u32, rows as u32))
}

impl Gpu {
    /// As [`super::Backend::run`].
    pub async fn run(
        &mut self,
        steps: &[Params],
        interrupted: &(dyn Fn() -> bool + Sync),
    ) -> Result<Block> {
        let (mut done, mut queued) = (0, 0);
        // While one submit runs the next one is written down: the device has no pause.
        let mut flying = VecDeque::new();
        let mut begun = Instant::now();
        while done < steps.len() {
            while flying.len() < 2 && queued < steps.len() && !interrupted() {
                let count = self.steps_a_submit.min(steps.len() - queued);
                flying.push_back((count, self.submit(&steps[queued..queued + count])));
                queued += count;
            }
            let Some((count, submitted)) = flying.pop_front() else { break };
            self.landed(submitted).await?;
            done += count;
            let seconds = begun.elapsed().as_secs_f64();
            begun = Instant::now();
            // Only full submits tell; at most double, since the first ones pay for compilation.
            if count == self.steps_a_submit {
                let fitting = (count as f64 * SUBMIT_SECONDS / seconds.max(1e-6)) as usize;
                self.steps_a_submit = fitting.clamp(1, (2 * count).min(MOST_STEPS));
            }
        }
        let trace = self.download(Buf::Trace, TRACE_LEN as usize).await?;
        let status = self.download(Buf::Status, 2).await?;
        let elbo =
            steps[..done].iter().map(|p| f32::from_bits(trace[p.trace_slot as usize])).collect();
        Ok(Block { elbo, skipped: status[1] })
    }

    /// As [`super::Backend::profile`].
    pub async fn profile(&mut self, steps: &[Params]) -> Result<Option<Laps>> {
        profile::profile(self, steps).await
    }

    /// As [`super::Backend::guide`].
    pub async fn guide(&self) -> Result<(Vec<f32>, Vec<f32>)> {
        let columns = self.sizes.local_stride as usize;
        Ok((self.floats(Buf::Globals).await?, self.rows(Buf::Locals, columns).await?))
    }

    /// As [`super::Backend::moments`].
    pub async fn moments(&self) -> Result<(Vec<f32>, Vec<f32>)> {
        let columns = 2 * self.sizes.local_stride as usize;
        let mut globals = self.floats(Buf::GlobalMoments).await?;
        globals.truncate(2 * self.sizes.global_stride());
        Ok((globals, self.rows(Buf::LocalMoments, columns).await?))
    }

    /// As [`super::Backend::rank_sum`].
    pub async fn rank_sum(&self) -> Result<Vec<f32>> {
        let mut sum = self.floats(Buf::RankSum).await?;
        sum.truncate((self.sizes.rank as usize).pow(2));
        Ok(sum)
    }

    async fn floats(&self, buf: Buf) -> Result<Vec<f32>> {
        let words = self.download(buf, self.buffers.len(buf)).await?;
        Ok(bytemuck::cast_vec(words))
    }

    /// A buffer with so many columns for each pixel, (N, columns).
    async fn rows(&self, buf: Buf, columns: usize) -> Result<Vec<f32>> {
        Ok(row_by_row(&self.floats(buf).await?, columns, self.sizes.pixels as usize))
    }
}
