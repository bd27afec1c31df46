//! The time of each pass, by the device's own clock. Every pass is a compute pass of its own here,
//! with a time stamp before and after it; in a fit all passes of many steps are one.

use super::{Gpu, MOST_STEPS, UNIFORM_STRIDE, groups};
use crate::engine::backend::Laps;
use crate::engine::ground::error::Result;
use crate::engine::layout::Params;

/// What WebGPU allows in one set of queries.
const MOST_STAMPS: usize = wgpu::QUERY_SET_MAX_QUERIES as usize;

/// Seconds a step of each pass that has work; none where the device has no clock.
pub async fn profile(gpu: &Gpu, steps: &[Params]) -> Result<Option<Laps>> {
    if !gpu.opened.device.features().contains(wgpu::Features::TIMESTAMP_QUERY) {
        return Ok(None);
    }
    let together = (MOST_STAMPS / (2 * gpu.pipelines.len()).max(1)).clamp(1, MOST_STEPS);
    let mut laps: Laps = Vec::new();
    for steps_now in steps.chunks(together) {
        for (name, seconds) in block(gpu, steps_now).await? {
            let seconds = seconds / steps.len() as f64;
            match laps.iter_mut().find(|(known, _)| *known == name) {
                Some((_, sum)) => *sum += seconds,
                None => laps.push((name, seconds)),
            }
        }
    }
    Ok(Some(laps))
}

/// Each pass of each step with its seconds, one submit.
async fn block(gpu: &Gpu, steps: &[Params]) -> Result<Laps> {
    let work: Vec<_> = (0..)
        .zip(steps)
        .flat_map(|(i, params)| gpu.pipelines.iter().map(move |pipeline| (i, params, pipeline)))
        .filter_map(|(i, params, pipeline)| Some((i, pipeline, groups((pipeline.grid)(params))?)))
        .collect();
    let count = 2 * work.len() as u32;
    if count == 0 {
        return Ok(Vec::new());
    }
    let stamps = gpu.opened.device.create_query_set(&wgpu::QuerySetDescriptor {
        label: Some("time stamps"),
        ty: wgpu::QueryType::Timestamp,
        count,
    });
    let buffer = |label, usage| {
        gpu.opened.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some(label),
            size: 8 * u64::from(count),
            usage,
            mapped_at_creation: false,
        })
    };
    let resolved =
        buffer("stamps", wgpu::BufferUsages::QUERY_RESOLVE | wgpu::BufferUsages::COPY_SRC);
    let staging =
        buffer("stamps on the host", wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST);

    gpu.set_params(steps);
    let mut encoder = gpu.opened.device.create_command_encoder(&Default::default());
    for (at, (i, pipeline, (x, y))) in (0..).zip(&work) {
        let mut compute = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor {
            label: Some(pipeline.name),
            timestamp_writes: Some(wgpu::ComputePassTimestampWrites {
                query_set: &stamps,
                beginning_of_pass_write_index: Some(2 * at),
                end_of_pass_write_index: Some(2 * at + 1),
            }),
        });
        compute.set_pipeline(&pipeline.pipeline);
        compute.set_bind_group(0, &pipeline.bind_group, &[(i * UNIFORM_STRIDE) as u32]);
        compute.dispatch_workgroups(*x, *y, gpu.fits as u32);
    }
    encoder.resolve_query_set(&stamps, 0..count, &resolved, 0);
    encoder.copy_buffer_to_buffer(&resolved, 0, &staging, 0, Some(8 * u64::from(count)));
    let index = gpu.opened.queue.submit([encoder.finish()]);
    let bytes = 8 * u64::from(count);
    let reading = gpu.opened.waiter.read(&gpu.opened.queue, index, &staging, bytes).await;
    let mapped = reading.map_err(|e| gpu.lost(&e))?;
    gpu.check()?;
    let ticks = bytemuck::pod_collect_to_vec::<u8, u64>(&mapped);
    let second = 1e-9 * f64::from(gpu.opened.queue.get_timestamp_period());
    let lap = |(stamps, (_, pipeline, _)): (&[u64], &(usize, &super::Pipeline, _))| {
        // A clock may jump back when the device sleeps.
        (pipeline.name, stamps[1].saturating_sub(stamps[0]) as f64 * second)
    };
    Ok(ticks.chunks_exact(2).zip(&work).map(lap).collect())
}
