//! Where the passes run: on a GPU through WGSL, or on the CPU. Both hold the state of a fit, a GPU
//! also of several side by side, and do whole blocks of steps; nothing crosses to the host inside a
//! block.

use std::sync::Arc;

use crate::engine::ground::error::{Error, Result};
use crate::engine::guide::Guide;
use crate::engine::layout::{HALF, Params};
use crate::engine::pixels::Pixels;

pub mod cpu;
mod cpu_ceiling;
pub mod device;
mod each;
#[cfg(feature = "gpu")]
pub mod gpu;
mod memory;

pub use device::{Choice, Device, DeviceInfo};
pub use each::{each, pieces};
pub(crate) use memory::{available as available_memory, needed as memory_needed};

/// The state of fits on a device.
pub enum Backend {
    /// One fit on the CPU: its async functions never wait.
    Cpu(Box<cpu::Cpu>),
    /// On a GPU: one fit, or several of one scene and one set of sizes.
    #[cfg(feature = "gpu")]
    Gpu(Box<gpu::Gpu>),
}

impl Backend {
    /// Does `steps` in order, of every fit; none but the last of a run may be left out. Asks
    /// `interrupted` now and then and stops early when it says so. At most
    /// [`crate::engine::layout::TRACE_LEN`] steps a call. Gives what the block did to each fit: as
    /// many steps to all of them.
    ///
    /// # Errors
    ///
    /// [`crate::Error::DeviceLost`] when the device fails.
    pub async fn run(
        &mut self,
        steps: &[Params],
        interrupted: &(dyn Fn() -> bool + Sync),
    ) -> Result<Vec<Block>> {
        match self {
            Backend::Cpu(cpu) => Ok(vec![cpu.run(steps, interrupted)]),
            #[cfg(feature = "gpu")]
            Backend::Gpu(gpu) => gpu.run(steps, interrupted).await,
        }
    }

    /// Does `steps` with a clock around every pass: the seconds that each took of a step on
    /// average, all fits together, in order, passes without work left out. None where the device
    /// has no clock of its own. Slower than [`Backend::run`], since passes wait for each other.
    ///
    /// # Errors
    ///
    /// [`crate::Error::DeviceLost`] when the device fails.
    pub async fn profile(&mut self, steps: &[Params]) -> Result<Option<Laps>> {
        match self {
            Backend::Cpu(cpu) => Ok(Some(cpu.profile(steps))),
            #[cfg(feature = "gpu")]
            Backend::Gpu(gpu) => gpu.profile(steps).await,
        }
    }

    /// The guide of a fit as it stands: scene latents (global_stride), pixel latents (N,
    /// local_stride).
    ///
    /// # Errors
    ///
    /// [`crate::Error::DeviceLost`] when the device fails.
    // Only GPUs have several.
    #[cfg_attr(not(feature = "gpu"), allow(unused_variables))]
    pub async fn guide(&self, fit: usize) -> Result<(Vec<f32>, Vec<f32>)> {
        match self {
            Backend::Cpu(cpu) => Ok(cpu.guide()),
            #[cfg(feature = "gpu")]
            Backend::Gpu(gpu) => gpu.guide(fit).await,
        }
    }

    /// The optimiser's two moments of every parameter of a fit's guide: (2, global_stride), and for
    /// pixels (N, 2, local_stride).
    ///
    /// # Errors
    ///
    /// [`crate::Error::DeviceLost`] when the device fails.
    // Only GPUs have several.
    #[cfg_attr(not(feature = "gpu"), allow(unused_variables))]
    pub async fn moments(&self, fit: usize) -> Result<(Vec<f32>, Vec<f32>)> {
        match self {
            Backend::Cpu(cpu) => Ok(cpu.moments()),
            #[cfg(feature = "gpu")]
            Backend::Gpu(gpu) => gpu.moments(fit).await,
        }
    }

    /// The running sum over pixels of products of loadings of the first fit, (rank, rank); empty
    /// where the guide has none.
    ///
    /// # Errors
    ///
    /// [`crate::Error::DeviceLost`] when the device fails.
    pub async fn rank_sum(&self) -> Result<Vec<f32>> {
        match self {
            Backend::Cpu(cpu) => Ok(cpu.rank_sum()),
            #[cfg(feature = "gpu")]
            Backend::Gpu(gpu) => gpu.rank_sum().await,
        }
    }
}

/// The vectors that the CPU backend uses here.
pub fn vectors() -> &'static str {
    cpu_ceiling::vectors()
}

/// Names of passes with the seconds that they take of a step.
pub type Laps = Vec<(&'static str, f64)>;

/// What a device reaches at the two things that bound every pass: moving memory and arithmetic.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Ceilings {
    /// Bytes a second, read and written together, of a plain copy; one for each size asked for.
    pub copy: Vec<f64>,
    /// Operations a second of fused multiply-adds in f32, each counted as two.
    pub fma: f64,
}

/// Measures what a device reaches, with the whole of it. `sizes` are bytes that a copy touches,
/// half of them read and half written: what fits a cache is copied faster. Takes about half a
/// second each.
pub async fn ceilings(device: &device::Device, sizes: &[usize]) -> Result<Ceilings> {
    match &device.place {
        device::Place::Cpu => Ok(cpu_ceiling::measure(sizes)),
        #[cfg(feature = "gpu")]
        device::Place::Gpu(adapter) => gpu::ceilings(adapter, sizes).await,
    }
}

/// What a block of steps did to a fit.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Block {
    /// ELBO of each step done, without the constants of [`crate::engine::guide::elbo_constant`].
    pub elbo: Vec<f32>,
    /// Steps of the fit so far that were not finite and so changed nothing.
    pub skipped: u32,
}

/// Refuses a run that the chosen device has no memory for: before any work, as far as that is known
/// without taking it.
pub fn check_memory(device: &device::Device, params: &Params) -> Result<()> {
    match &device.place {
        device::Place::Cpu => memory::check(params),
        #[cfg(feature = "gpu")]
        device::Place::Gpu(adapter) => adapter.check(params),
    }
}

/// Partial sums a particle on the CPU: enough for all threads, and few beside the spectra. Each is
/// written to memory and read again; a GPU needs many more to be busy.
const CPU_CHUNKS: u32 = 128;
/// Rows that each takes at least, there: to begin and to write one takes as long as seven rows.
const CPU_CHUNK_ROWS: u32 = 64;

/// The sizes as the chosen device takes them; the CPU has the spectra as they are.
pub fn sizes(device: &device::Device, params: Params) -> Params {
    match &device.place {
        device::Place::Cpu => {
            // The spectra are in memory already.
            let params = Params { flags: params.flags & !HALF, ..params };
            params.in_chunks(CPU_CHUNKS.min(params.batch.div_ceil(CPU_CHUNK_ROWS)))
        }
        #[cfg(feature = "gpu")]
        device::Place::Gpu(_) => params,
    }
}

/// How many fits of such sizes go on side by side on the chosen device, at least 1. On the CPU that
/// is for threads to decide, each with a fit of its own.
// Only a GPU asks for the sizes.
#[cfg_attr(not(feature = "gpu"), allow(unused_variables))]
pub fn fits_at_once(device: &device::Device, params: &Params) -> usize {
    match &device.place {
        device::Place::Cpu => 1,
        #[cfg(feature = "gpu")]
        device::Place::Gpu(adapter) => gpu::fits_at_once(adapter, params),
    }
}

/// Puts a fit of each guide on the chosen device: one, or as many as [`fits_at_once`] allows.
///
/// # Errors
///
/// [`Error::Device`] for none or more than that, or where the device has no room or cannot be
/// opened.
pub async fn open(
    device: &device::Device,
    params: &Params,
    pixels: &Pixels,
    guides: Vec<Guide>,
) -> Result<Backend> {
    let cube = pixels.cube();
    match &device.place {
        device::Place::Cpu => {
            let Ok([guide]) = <[Guide; 1]>::try_from(guides) else {
                return Err(Error::Device("a run on the CPU is of one fit".into()));
            };
            Ok(Backend::Cpu(Box::new(cpu::Cpu::new(params, Arc::clone(cube), guide))))
        }
        #[cfg(feature = "gpu")]
        device::Place::Gpu(adapter) => {
            let gpu = gpu::Gpu::new(adapter, params, Arc::clone(cube), guides).await?;
            Ok(Backend::Gpu(Box::new(gpu)))
        }
    }
}
