//! What a GPU reaches: a copy kernel and one of fused multiply-adds, by the host's clock over
//! submits that are long beside the way there and back.

use super::opened::Opened;
use super::{Adapter, GROUPS_X};
use crate::engine::backend::Ceilings;
use crate::engine::ground::clock::Instant;
use crate::engine::ground::error::{Error, Result};

const COPY: &str = include_str!("copy.wgsl");
const FMA: &str = include_str!("fma.wgsl");

/// Time of one submit; systems reset a device at 2 s.
const SECONDS: f64 = 0.05;
/// Measurements of which the median counts.
const REPEATS: usize = 5;
/// Dispatches a submit at most.
const MOST_DISPATCHES: u32 = 4096;
/// Invocations of the arithmetic kernel: several times what the largest devices hold at once.
const FMA_INVOCATIONS: u32 = 1 << 20;
/// Rounds of an invocation, each of [`FMA_OPERATIONS`]: few for a software driver, whose submit
/// must stay short, up to as many as hide what a dispatch costs the largest device.
const FMA_ROUNDS: (u32, u32) = (4, 8192);
const FMA_OPERATIONS: u32 = 64;
const WORKGROUP: u32 = 64;

/// Opens the device for itself and measures. `sizes` are the bytes that a copy reads and writes,
/// cut to what the device allows a buffer.
pub async fn measure(adapter: &Adapter, sizes: &[usize]) -> Result<Ceilings> {
    let allowed = adapter.largest_buffer();
    // Whole vec4s, at least those that the arithmetic kernel reads.
    let half = |bytes: usize| (bytes as u64 / 2).clamp(1 << 12, allowed) / 16 * 16;
    let fma_bytes = 16 * u64::from(FMA_INVOCATIONS).min(allowed / 16);
    let largest = sizes.iter().map(|&bytes| half(bytes)).fold(fma_bytes, u64::max);
    let kernels = Kernels::new(adapter.open_for(largest).await?, largest);
    let failed = &kernels.opened.failed;
    let mut ceilings = Ceilings::default();
    for &bytes in sizes {
        let vectors = (half(bytes) / 16) as u32;
        let rate = kernels.rate(&kernels.copy, [vectors, 0], vectors).await?;
        ceilings.copy.push(32.0 * f64::from(vectors) * rate);
    }
    let vectors = (fma_bytes / 16) as u32;
    let mut rounds = FMA_ROUNDS.0;
    kernels.seconds(&kernels.fma, [vectors, rounds], FMA_INVOCATIONS, 1).await?;
    while rounds < FMA_ROUNDS.1
        && kernels.seconds(&kernels.fma, [vectors, rounds], FMA_INVOCATIONS, 1).await? < SECONDS
    {
        rounds *= 2;
    }
    let rate = kernels.rate(&kernels.fma, [vectors, rounds], FMA_INVOCATIONS).await?;
    ceilings.fma =
        f64::from(FMA_INVOCATIONS) * f64::from(rounds) * f64::from(FMA_OPERATIONS) * rate;
    if failed.happened.load(std::sync::atomic::Ordering::Acquire) {
        let said = failed.message.lock().map(|m| m.clone()).unwrap_or_default();
        return Err(Error::DeviceLost(format!("{}: {said}", adapter.info().name)));
    }
    Ok(ceilings)
}

/// A kernel with what it is bound to.
type Kernel = (wgpu::ComputePipeline, wgpu::BindGroup);

struct Kernels {
    opened: Opened,
    size: wgpu::Buffer,
    copy: Kernel,
    fma: Kernel,
}

impl Kernels {
    fn new(opened: Opened, largest: u64) -> Self {
        let Opened { device, queue, .. } = &opened;
        let buffer = |label, size, usage| {
            device.create_buffer(&wgpu::BufferDescriptor {
                label: Some(label),
                size,
                usage: usage | wgpu::BufferUsages::COPY_DST,
                mapped_at_creation: false,
            })
        };
        let size = buffer("size", 16, wgpu::BufferUsages::UNIFORM);
        let source = buffer("source", largest, wgpu::BufferUsages::STORAGE);
        let target = buffer("target", largest, wgpu::BufferUsages::STORAGE);
        queue.write_buffer(&source, 0, bytemuck::cast_slice(&[0.5f32; 40]));
        let kernel = |label, source_text: &str| {
            let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
                label: Some(label),
                source: wgpu::ShaderSource::Wgsl(source_text.into()),
            });
            let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
                label: Some(label),
                layout: None,
                module: &module,
                entry_point: Some("main"),
                compilation_options: Default::default(),
                cache: None,
            });
            let bind_group = device.create_bind_group(&wgpu::BindGroupDescriptor {
                label: Some(label),
                layout: &pipeline.get_bind_group_layout(0),
                entries: &[(0, &size), (1, &source), (2, &target)].map(|(binding, buffer)| {
                    wgpu::BindGroupEntry { binding, resource: buffer.as_entire_binding() }
                }),
            });
            (pipeline, bind_group)
        };
        let (copy, fma) = (kernel("copy", COPY), kernel("fma", FMA));
        Kernels { opened, copy, fma, size }
    }

    /// Seconds of so many dispatches, each of so many invocations.
    async fn seconds(
        &self,
        kernel: &Kernel,
        size: [u32; 2],
        invocations: u32,
        dispatches: u32,
    ) -> Result<f64> {
        let Opened { device, queue, waiter, .. } = &self.opened;
        let words = [size[0], size[1], 0, 0];
        queue.write_buffer(&self.size, 0, bytemuck::cast_slice(&words));
        let groups = invocations.div_ceil(WORKGROUP);
        let (x, y) = (groups.min(GROUPS_X), groups.div_ceil(GROUPS_X));
        let mut encoder = device.create_command_encoder(&Default::default());
        {
            let mut pass = encoder.begin_compute_pass(&Default::default());
            pass.set_pipeline(&kernel.0);
            pass.set_bind_group(0, &kernel.1, &[]);
            for _ in 0..dispatches {
                pass.dispatch_workgroups(x, y, 1);
            }
        }
        let begin = Instant::now();
        waiter.done(queue, queue.submit([encoder.finish()])).await.map_err(Error::DeviceLost)?;
        Ok(begin.elapsed().as_secs_f64().max(1e-9))
    }

    /// Dispatches a second, the median.
    async fn rate(&self, kernel: &Kernel, size: [u32; 2], invocations: u32) -> Result<f64> {
        let timed = |dispatches: u32| self.seconds(kernel, size, invocations, dispatches);
        // The first one pays for what drivers do late.
        timed(1).await?;
        let mut dispatches = 1;
        while timed(dispatches).await? < SECONDS && dispatches < MOST_DISPATCHES {
            dispatches *= 2;
        }
        let mut rates = Vec::new();
        for _ in 0..REPEATS {
            rates.push(f64::from(dispatches) / timed(dispatches).await?);
        }
        rates.sort_unstable_by(f64::total_cmp);
        Ok(rates[REPEATS / 2])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::wait::block_on;

    #[test]
    fn both_kernels_are_valid() {
        let (device, queue) = wgpu::Device::noop(&wgpu::DeviceDescriptor::default());
        let scope = device.push_error_scope(wgpu::ErrorFilter::Validation);
        Kernels::new(Opened::new(device.clone(), queue, 4096).unwrap(), 4096);
        assert_eq!(block_on(scope.pop()).map(|error| error.to_string()), None);
    }
}
