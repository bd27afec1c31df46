//! The engine's buffers on the device, and moving words there and back.

use std::collections::BTreeMap;

use super::opened::Opened;
use crate::engine::ground::half::packed;
use crate::engine::layout::{Buf, MOST_CONSTANTS, Params};
use crate::engine::pixels::Cube;

/// One storage buffer for each [`Buf`], with the parts of all fits one after the other.
pub struct DeviceBuffers {
    buffers: BTreeMap<Buf, (wgpu::Buffer, usize)>,
}

/// Words a single transfer moves: bounds the staging memory beside a large cube.
const TRANSFER_WORDS: usize = 1 << 22;

impl DeviceBuffers {
    /// Buffers of so many fits, all zero but for the spectra where a buffer holds them already.
    pub fn new(
        device: &wgpu::Device,
        params: &Params,
        fits: usize,
        spectra: Option<wgpu::Buffer>,
    ) -> Self {
        let create = |buf: Buf| {
            if let (Buf::Cube, Some(held)) = (buf, &spectra) {
                return (buf, (held.clone(), params.len(buf)));
            }
            let mut len = words(params, buf, fits).next_multiple_of(4);
            let mut usage = wgpu::BufferUsages::STORAGE
                | wgpu::BufferUsages::COPY_DST
                | wgpu::BufferUsages::COPY_SRC;
            // Some passes read it as a uniform, whose size a shader states.
            if buf == Buf::Theta {
                len = len.max(MOST_CONSTANTS);
                usage |= wgpu::BufferUsages::UNIFORM;
            }
            let buffer = device.create_buffer(&wgpu::BufferDescriptor {
                label: Some(&format!("{buf:?}")),
                size: 4 * len as u64,
                usage,
                mapped_at_creation: false,
            });
            (buf, (buffer, params.len(buf)))
        };
        DeviceBuffers { buffers: Buf::ALL.into_iter().map(create).collect() }
    }

    /// The buffer itself.
    pub fn get(&self, buf: Buf) -> &wgpu::Buffer {
        &self.buffers[&buf].0
    }

    /// Words of a fit in it.
    pub fn len(&self, buf: Buf) -> usize {
        self.buffers[&buf].1
    }

    /// Writes the first words of a fit's part, piece by piece.
    pub async fn write(
        &self,
        opened: &Opened,
        (buf, fit): (Buf, usize),
        words: &[u32],
    ) -> Result<(), String> {
        write(opened, self.get(buf), self.begin(buf, fit), words).await
    }

    /// Where the part of a fit begins.
    fn begin(&self, buf: Buf, fit: usize) -> usize {
        if buf.is_common() { 0 } else { fit * self.len(buf) }
    }

    /// Writes the spectra, piece by piece, as floats of 16 bits or as they are.
    pub async fn write_spectra(
        &self,
        opened: &Opened,
        cube: &Cube,
        half: bool,
    ) -> Result<(), String> {
        if !half {
            return self.write(opened, (Buf::Cube, 0), bytemuck::cast_slice(cube.padded())).await;
        }
        let pieces = cube.padded().chunks(2 * TRANSFER_WORDS).map(packed);
        write_pieces(opened, self.get(Buf::Cube), 0, pieces).await
    }

    /// Reads the first words of a fit's part, piece by piece.
    pub async fn read(
        &self,
        opened: &Opened,
        (buf, fit): (Buf, usize),
        len: usize,
    ) -> Result<Vec<u32>, String> {
        read(opened, self.get(buf), self.begin(buf, fit), len).await
    }
}

/// Words of a buffer for so many fits.
pub fn words(params: &Params, buf: Buf, fits: usize) -> usize {
    let fits = if buf.is_common() { 1 } else { fits };
    params.len(buf).saturating_mul(fits)
}

/// Bytes from the uniform of one dispatch to that of the next: WebGPU's alignment of dynamic
/// offsets.
pub const UNIFORM_STRIDE: usize = 256;

/// The uniforms of dispatches, one after the other.
pub fn uniforms<'a, U: bytemuck::Pod>(of: impl ExactSizeIterator<Item = &'a U>) -> Vec<u8> {
    let mut all = vec![0; of.len() * UNIFORM_STRIDE];
    for (to, told) in all.chunks_exact_mut(UNIFORM_STRIDE).zip(of) {
        to[..size_of::<U>()].copy_from_slice(bytemuck::bytes_of(told));
    }
    all
}

/// Writes words of a buffer from number `first` on, piece by piece, each when the one before has
/// arrived. The last one arrives before what is submitted next.
pub async fn write(
    opened: &Opened,
    buffer: &wgpu::Buffer,
    first: usize,
    words: &[u32],
) -> Result<(), String> {
    write_pieces(opened, buffer, first, words.chunks(TRANSFER_WORDS)).await
}

/// Writes pieces of [`TRANSFER_WORDS`] from word number `first` on.
async fn write_pieces(
    opened: &Opened,
    buffer: &wgpu::Buffer,
    first: usize,
    pieces: impl Iterator<Item: AsRef<[u32]>>,
) -> Result<(), String> {
    let Opened { queue, waiter, .. } = opened;
    for (i, piece) in pieces.enumerate() {
        if i > 0 {
            waiter.done(queue, queue.submit([])).await?;
        }
        let at = 4 * (first + i * TRANSFER_WORDS) as u64;
        queue.write_buffer(buffer, at, bytemuck::cast_slice(piece.as_ref()));
    }
    Ok(())
}

/// Reads `len` words of a buffer from number `first` on, piece by piece.
pub async fn read(
    opened: &Opened,
    buffer: &wgpu::Buffer,
    first: usize,
    len: usize,
) -> Result<Vec<u32>, String> {
    let Opened { device, queue, waiter, .. } = opened;
    let mut words = Vec::with_capacity(len);
    let staging = device.create_buffer(&wgpu::BufferDescriptor {
        label: Some("staging"),
        size: 4 * len.clamp(1, TRANSFER_WORDS) as u64,
        usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
        mapped_at_creation: false,
    });
    while words.len() < len {
        let size = 4 * (len - words.len()).min(TRANSFER_WORDS) as u64;
        let mut encoder = device.create_command_encoder(&Default::default());
        let at = 4 * (first + words.len()) as u64;
        encoder.copy_buffer_to_buffer(buffer, at, &staging, 0, Some(size));
        let index = queue.submit([encoder.finish()]);
        let mapped = waiter.read(queue, index, &staging, size).await?;
        words.extend(bytemuck::pod_collect_to_vec::<u8, u32>(&mapped));
        drop(mapped);
        staging.unmap();
    }
    Ok(words)
}
