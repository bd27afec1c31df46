//! Where the passes run: on a GPU through WGSL, or on the CPU. Both hold the state of one run and
//! do whole blocks of steps; nothing crosses to the host inside a block.

use std::sync::Arc;

use crate::engine::ground::error::Result;
use crate::engine::guide::State;
use crate::engine::layout::Params;
use crate::engine::pixels::Cube;

pub mod cpu;
mod cpu_ceiling;
pub mod device;
mod fallback;
#[cfg(feature = "gpu")]
pub mod gpu;
mod memory;

pub use device::{Choice, Device, DeviceInfo};
pub use fallback::on_device;
pub(crate) use memory::available as available_memory;

/// A run's state on a device.
pub trait Backend: Send {
    /// Does `steps` in order; none but the last of a run may be left out. Asks `interrupted` now and
    /// then and stops early when it says so. At most [`crate::engine::layout::TRACE_LEN`] steps a call.
    fn run(&mut self, steps: &[Params], interrupted: &(dyn Fn() -> bool + Sync)) -> Result<Block>;

    /// Does `steps` with a clock around every pass: the seconds that each took of a step on average,
    /// in order, passes without work left out. None where the device has no clock of its own. Slower
    /// than [`Backend::run`], since passes wait for each other.
    fn profile(&mut self, steps: &[Params]) -> Result<Option<Laps>>;

    /// The guide as it stands: scene latents, pixel latents.
    fn guide(&mut self) -> Result<(Vec<f32>, Vec<f32>)>;
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

/// Measures what a device reaches, with the whole of it. `sizes` are bytes that a copy touches, half
/// of them read and half written: what fits a cache is copied faster. Takes about half a second each.
pub fn ceilings(device: &device::Device, sizes: &[usize]) -> Result<Ceilings> {
    match &device.place {
        device::Place::Cpu => Ok(cpu_ceiling::measure(sizes)),
        #[cfg(feature = "gpu")]
        device::Place::Gpu(adapter) => gpu::ceilings(adapter, sizes),
    }
}

/// What a block of steps did.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Block {
    /// ELBO of each step done, without the constants of [`crate::engine::guide::elbo_constant`].
    pub elbo: Vec<f32>,
    /// Steps of the run so far that were not finite and so changed nothing.
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

/// Partial sums a particle on the CPU: enough for all threads, and few beside the spectra. Each is written
/// to memory and read again; a GPU needs many more to be busy.
const CPU_CHUNKS: u32 = 128;
/// Rows that each takes at least, there: to begin and to write one takes as long as seven rows.
const CPU_CHUNK_ROWS: u32 = 64;

/// The sizes as the chosen device takes them.
pub fn sizes(device: &device::Device, params: Params) -> Params {
    match &device.place {
        device::Place::Cpu => {
            params.in_chunks(CPU_CHUNKS.min(params.batch.div_ceil(CPU_CHUNK_ROWS)))
        }
        #[cfg(feature = "gpu")]
        device::Place::Gpu(_) => params,
    }
}

/// Puts a run on the chosen device.
pub fn open(
    device: &device::Device,
    params: &Params,
    cube: Arc<Cube>,
    state: State,
) -> Result<Box<dyn Backend>> {
    match &device.place {
        device::Place::Cpu => Ok(Box::new(cpu::Cpu::new(params, cube, state))),
        #[cfg(feature = "gpu")]
        device::Place::Gpu(adapter) => Ok(Box::new(gpu::Gpu::new(adapter, params, cube, state)?)),
    }
}
