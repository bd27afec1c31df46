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
use crate::engine::layout::{Buf, HALF, MOST_CONSTANTS, Params, SEPARATE, TRACE_LEN};
use crate::engine::passes::{self, Grid, Pass};
use crate::engine::pixels::Cube;

/// Fits on a GPU, side by side.
pub struct Gpu {
    opened: Arc<Opened>,
    pipelines: Vec<Pipeline>,
    buffers: DeviceBuffers,
    params: wgpu::Buffer,
    sizes: Params,
    fits: usize,
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

/// Bytes of the buffers of all fits together, at most, and of the largest of them: what every
/// WebGPU device takes as one binding. Where a fit alone takes more, it goes alone.
const MOST_BYTES: u64 = 1 << 30;
const MOST_BINDING: u64 = 128 << 20;

/// How many fits of such sizes go on side by side, at least 1: each pass is one dispatch for all of
/// them, as a fit of few pixels leaves a GPU idle. Passes that keep their steps in memory, and
/// those of the low-rank guide, know of one fit; no search has these.
pub(super) fn fits_at_once(adapter: &Adapter, params: &Params) -> usize {
    if params.has(SEPARATE) || params.rank > 0 {
        return 1;
    }
    let parts = || Buf::ALL.into_iter().filter(|buf| !buf.is_common());
    let bytes = |buf| 4 * params.len(buf) as u64;
    let largest = parts().map(bytes).max().unwrap_or(1);
    let all: u64 = parts().map(bytes).sum();
    let most = (MOST_BINDING / largest).min(MOST_BYTES / all);
    // A software driver reads the scene's draws of all fits as one uniform.
    let constants = match adapter.is_software() {
        true => MOST_CONSTANTS / params.len(Buf::Theta),
        false => usize::MAX,
    };
    usize::try_from(most).unwrap_or(usize::MAX).min(constants).max(1)
}

impl Gpu {
    /// Compiles the passes and uploads a fit of each guide, which all have these sizes; as many as
    /// [`fits_at_once`] says, at most.
    pub async fn new(
        adapter: &Adapter,
        params: &Params,
        cube: Arc<Cube>,
        guides: Vec<Guide>,
    ) -> Result<Self> {
        let passes = match adapter.is_software() {
            true => passes::step_on_software(params),
            false => passes::step(params).into_iter().map(|(pass, _)| pass).collect(),
        };
        Gpu::with_passes(adapter, params, cube, guides, &passes).await
    }

    /// As [`Gpu::new`], with a list of passes of one's own: tests run them one at a time.
    pub async fn with_passes(
        adapter: &Adapter,
        params: &Params,
        cube: Arc<Cube>,
        guides: Vec<Guide>,
        passes: &[&'static Pass],
    ) -> Result<Self> {
        let fits = guides.len();
        if fits == 0 || fits > fits_at_once(adapter, params) {
            return Err(Error::Device(format!(
                "{}: {fits} fits of this scene cannot go on side by side",
                adapter.info().name
            )));
        }
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
        let opened = adapter.open(params, fits).await?;
        let device = &opened.device;
        let half = params.has(HALF);
        let held = opened.spectra(&cube, half);
        let is_held = held.is_some();
        let buffers = DeviceBuffers::new(device, params, fits, held);
        #[cfg(test)]
        opened.suffer(Fault::NoMemory);
        let uniform = device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("params"),
            size: (UNIFORM_STRIDE * MOST_STEPS) as u64,
            usage: wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        let pipelines = pipelines::each(passes, |pass| {
            let compiled = opened.compiled(pass, params);
            Pipeline::new(device, pass, compiled, &buffers, &uniform)
        });
        let gpu = Gpu {
            opened: Arc::clone(&opened),
            pipelines,
            buffers,
            params: uniform,
            sizes: *params,
            fits,
            steps_a_submit: FIRST_STEPS,
        };
        gpu.check()?;
        if !is_held {
            gpu.buffers.write_spectra(&opened, &cube, half).await.map_err(|e| gpu.lost(&e))?;
            gpu.check()?;
            opened.hold_spectra(&cube, half, gpu.buffers.get(Buf::Cube));
        }
        for (fit, guide) in guides.iter().enumerate() {
            gpu.put(fit, guide).await?;
        }
        Ok(gpu)
    }

    /// Writes a guide as that of a fit.
    async fn put(&self, fit: usize, guide: &Guide) -> Result<()> {
        let columns = self.sizes.local_stride as usize;
        let mut locals = vec![0.0; self.sizes.len(Buf::Locals)];
        side_by_side(&guide.locals, columns, &mut locals);
        for (buf, values) in [
            (Buf::Globals, &guide.globals),
            (Buf::Locals, &locals),
            (Buf::PriorCentre, &guide.prior_centre),
            (Buf::RankSum, &guide.rank_sum),
        ] {
            self.write((buf, fit), bytemuck::cast_slice(values)).await?;
        }
        if let Some(momentum) = &guide.momentum {
            let mut moments = vec![0.0; self.sizes.len(Buf::LocalMoments)];
            side_by_side(&momentum.locals, 2 * columns, &mut moments);
            self.write((Buf::GlobalMoments, fit), bytemuck::cast_slice(&momentum.globals)).await?;
            self.write((Buf::LocalMoments, fit), bytemuck::cast_slice(&moments)).await?;
        }
        Ok(())
    }

    /// Writes the first words of a buffer, of the first fit.
    pub async fn upload(&self, buf: Buf, words: &[u32]) -> Result<()> {
        self.write((buf, 0), words).await
    }

    /// Reads the first `len` words of a buffer, of the first fit.
    pub async fn download(&self, buf: Buf, len: usize) -> Result<Vec<u32>> {
        self.read((buf, 0), len).await
    }

    /// Writes the first words of a fit's part of a buffer.
    async fn write(&self, part: (Buf, usize), words: &[u32]) -> Result<()> {
        self.buffers.write(&self.opened, part, words).await.map_err(|e| self.lost(&e))?;
        self.check()
    }

    /// Reads the first `len` words of a fit's part of a buffer.
    async fn read(&self, part: (Buf, usize), len: usize) -> Result<Vec<u32>> {
        let words = self.buffers.read(&self.opened, part, len).await.map_err(|e| self.lost(&e))?;
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
                    compute.dispatch_workgroups(x, y, self.fits as u32);
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
    ) -> Result<Vec<Block>> {
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
        // The parts of all fits follow each other.
        let (of_trace, of_status) = (TRACE_LEN as usize, self.buffers.len(Buf::Status));
        let trace = self.download(Buf::Trace, self.fits * of_trace).await?;
        let status = self.download(Buf::Status, self.fits * of_status).await?;
        let of_fit = |(trace, status): (&[u32], &[u32])| {
            let elbo = |p: &Params| f32::from_bits(trace[p.trace_slot as usize]);
            Block { elbo: steps[..done].iter().map(elbo).collect(), skipped: status[1] }
        };
        Ok(trace.chunks(of_trace).zip(status.chunks(of_status)).map(of_fit).collect())
    }

    /// As [`super::Backend::profile`].
    pub async fn profile(&mut self, steps: &[Params]) -> Result<Option<Laps>> {
        profile::profile(self, steps).await
    }

    /// As [`super::Backend::guide`].
    pub async fn guide(&self, fit: usize) -> Result<(Vec<f32>, Vec<f32>)> {
        let columns = self.sizes.local_stride as usize;
        let globals = self.floats((Buf::Globals, fit)).await?;
        Ok((globals, self.rows((Buf::Locals, fit), columns).await?))
    }

    /// As [`super::Backend::moments`].
    pub async fn moments(&self, fit: usize) -> Result<(Vec<f32>, Vec<f32>)> {
        let columns = 2 * self.sizes.local_stride as usize;
        let mut globals = self.floats((Buf::GlobalMoments, fit)).await?;
        globals.truncate(2 * self.sizes.global_stride());
        Ok((globals, self.rows((Buf::LocalMoments, fit), columns).await?))
    }

    /// As [`super::Backend::rank_sum`].
    pub async fn rank_sum(&self) -> Result<Vec<f32>> {
        if self.sizes.rank == 0 {
            return Ok(Vec::new());
        }
        let mut sum = self.floats((Buf::RankSum, 0)).await?;
        sum.truncate((self.sizes.rank as usize).pow(2));
        Ok(sum)
    }

    async fn floats(&self, part: (Buf, usize)) -> Result<Vec<f32>> {
        let words = self.read(part, self.buffers.len(part.0)).await?;
        Ok(bytemuck::cast_vec(words))
    }

    /// A part of a buffer with so many columns for each pixel, (N, columns).
    async fn rows(&self, part: (Buf, usize), columns: usize) -> Result<Vec<f32>> {
        Ok(row_by_row(&self.floats(part).await?, columns, self.sizes.pixels as usize))
    }
}
