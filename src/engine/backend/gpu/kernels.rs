//! Shaders beside the passes of a fit, with buffers of their own: what else is computed on the
//! device that a fit is on.

use std::sync::Arc;

use super::adapter::Adapter;
use super::buffers::{self, UNIFORM_STRIDE};
use super::groups;
use super::opened::Opened;
use super::pipelines::{self, Compiled, Source};
use crate::engine::ground::error::Result;
use crate::engine::passes::{Access, Grid};

/// A shader with what it is bound to.
#[derive(Debug)]
pub struct Kernel {
    /// Name of the shader, and of its files.
    pub name: &'static str,
    /// The whole WGSL text.
    pub shader: &'static str,
    /// Buffers at bindings 1, 2, ... by their number, and whether the shader writes them. Binding 0
    /// is the uniform.
    pub bindings: &'static [(usize, Access)],
}

/// The most dispatches of one submission.
const MOST_DISPATCHES: usize = 16;

/// What the pipelines of some kernels are made for.
#[derive(Debug, Clone, Copy)]
pub struct Constants<'a> {
    /// Values of what the texts override.
    pub overrides: &'a [(&'a str, f64)],
    /// Values of constants that are lengths of arrays.
    pub lengths: &'a [(&'static str, u32)],
}

/// Kernels on a device, bound to buffers that they share.
#[derive(Debug)]
pub struct Kernels {
    opened: Arc<Opened>,
    pipelines: Vec<(wgpu::ComputePipeline, wgpu::BindGroup)>,
    buffers: Vec<wgpu::Buffer>,
    uniform: wgpu::Buffer,
}

impl Kernels {
    /// Compiles some kernels and makes buffers of so many words each, all zero.
    ///
    /// # Errors
    ///
    /// [`Error::Device`](crate::Error::Device) where the device has no room,
    /// [`Error::DeviceLost`](crate::Error::DeviceLost) where it fails.
    pub async fn new(
        adapter: &Adapter,
        kernels: &[&'static Kernel],
        words: &[usize],
        uniform_bytes: usize,
        constants: Constants<'_>,
    ) -> Result<Self> {
        let largest = words.iter().map(|&words| 4 * words as u64).max().unwrap_or(4);
        let opened = adapter.open_with(largest).await?;
        let device = &opened.device;
        let buffer = |label: &str, bytes: usize, usage| {
            device.create_buffer(&wgpu::BufferDescriptor {
                label: Some(label),
                size: bytes.next_multiple_of(16).max(16) as u64,
                usage: usage | wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::COPY_SRC,
                mapped_at_creation: false,
            })
        };
        let storage = wgpu::BufferUsages::STORAGE;
        let buffers: Vec<wgpu::Buffer> =
            words.iter().map(|&words| buffer("kernel", 4 * words, storage)).collect();
        let uniforms = MOST_DISPATCHES * UNIFORM_STRIDE;
        let uniform = buffer("sizes", uniforms, wgpu::BufferUsages::UNIFORM);
        let pipeline = |kernel: &&'static Kernel| {
            let bindings: Vec<Access> = kernel.bindings.iter().map(|&(_, access)| access).collect();
            let source = Source {
                name: kernel.name,
                text: kernel.shader,
                bindings: &bindings,
                uniform: (uniform_bytes, true),
                constants: constants.overrides,
                lengths: constants.lengths,
            };
            let key = (kernel.shader, format!("{constants:?}"));
            let compiled = opened.once(key, || Compiled::of(device, &source));
            let bound = kernel.bindings.iter().map(|&(number, _)| &buffers[number]);
            let size = wgpu::BufferSize::new(uniform_bytes as u64);
            let first = wgpu::BufferBinding { buffer: &uniform, offset: 0, size };
            let first = wgpu::BindingResource::Buffer(first);
            let bound = bound.map(wgpu::Buffer::as_entire_binding);
            let entries: Vec<wgpu::BindGroupEntry> = (0..)
                .zip(std::iter::once(first).chain(bound))
                .map(|(binding, resource)| wgpu::BindGroupEntry { binding, resource })
                .collect();
            let bind_group = device.create_bind_group(&wgpu::BindGroupDescriptor {
                label: Some(kernel.name),
                layout: &compiled.layout,
                entries: &entries,
            });
            (compiled.pipeline, bind_group)
        };
        let pipelines = pipelines::each(kernels, pipeline);
        let kernels = Kernels { opened: Arc::clone(&opened), pipelines, buffers, uniform };
        opened.failed.check()?;
        Ok(kernels)
    }

    /// Writes the first words of a buffer.
    ///
    /// # Errors
    ///
    /// [`Error::DeviceLost`](crate::Error::DeviceLost) where the device fails.
    pub async fn write(&self, buffer: usize, words: &[u32]) -> Result<()> {
        let written = buffers::write(&self.opened, &self.buffers[buffer], 0, words).await;
        self.sound(written)
    }

    /// Reads the first words of a buffer.
    ///
    /// # Errors
    ///
    /// [`Error::DeviceLost`](crate::Error::DeviceLost) where the device fails.
    pub async fn read(&self, buffer: usize, words: usize) -> Result<Vec<u32>> {
        let read = buffers::read(&self.opened, &self.buffers[buffer], 0, words).await;
        self.sound(read)
    }

    /// Runs kernels by their number, one after the other, each with what it is told, and ends when
    /// they have ended.
    ///
    /// # Errors
    ///
    /// [`Error::DeviceLost`](crate::Error::DeviceLost) where the device fails.
    pub async fn run<U: bytemuck::Pod>(&self, work: &[(usize, Grid, U)]) -> Result<()> {
        for work in work.chunks(MOST_DISPATCHES) {
            self.submit(work).await?;
        }
        Ok(())
    }

    /// Does so with as many as one submission takes.
    async fn submit<U: bytemuck::Pod>(&self, work: &[(usize, Grid, U)]) -> Result<()> {
        let Opened { device, queue, waiter, .. } = &*self.opened;
        let uniforms = buffers::uniforms(work.iter().map(|(_, _, told)| told));
        queue.write_buffer(&self.uniform, 0, &uniforms);
        let mut encoder = device.create_command_encoder(&Default::default());
        {
            let mut compute = encoder.begin_compute_pass(&Default::default());
            for (i, (number, grid, _)) in work.iter().enumerate() {
                let Some((x, y)) = groups(*grid) else { continue };
                let (pipeline, bind_group) = &self.pipelines[*number];
                compute.set_pipeline(pipeline);
                compute.set_bind_group(0, bind_group, &[(i * UNIFORM_STRIDE) as u32]);
                compute.dispatch_workgroups(x, y, 1);
            }
        }
        let done = waiter.done(queue, queue.submit([encoder.finish()])).await;
        self.sound(done)
    }

    fn sound<T>(&self, result: std::result::Result<T, String>) -> Result<T> {
        let value = result.map_err(|e| self.opened.failed.error(&e))?;
        self.opened.failed.check()?;
        Ok(value)
    }
}
