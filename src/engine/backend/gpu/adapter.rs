//! Adapters: what there is, and opening one.

use std::sync::{Arc, Mutex, OnceLock};

use super::buffers::words;
use super::opened::Opened;
use crate::engine::backend::DeviceInfo;
use crate::engine::ground::error::{Error, Result};
use crate::engine::layout::{Buf, Params};

/// A GPU, or a software driver that acts as one.
#[derive(Debug)]
pub struct Adapter {
    adapter: wgpu::Adapter,
    info: DeviceInfo,
    /// The device that the last run was on.
    opened: Mutex<Option<Arc<Opened>>>,
    /// What is to go wrong on it.
    #[cfg(test)]
    pub(crate) fault: Option<super::opened::Fault>,
}

/// What [`DeviceInfo::kind`] says of a driver that runs shaders on the processor.
const SOFTWARE: &str = "software";

/// One limit of an adapter, as it is listed.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Limit {
    /// What is limited, with its unit.
    pub name: &'static str,
    /// The most that the adapter takes.
    pub value: u64,
}

/// The one instance of the program, for as long as it runs. With the last one drivers are unloaded,
/// and a thread that had called NVIDIA's then ends in a function that is gone; browsers forget a
/// device whose instance has gone.
fn instance() -> &'static wgpu::Instance {
    static INSTANCE: OnceLock<wgpu::Instance> = OnceLock::new();
    INSTANCE.get_or_init(|| {
        wgpu::Instance::new(wgpu::InstanceDescriptor {
            backends: wgpu::Backends::PRIMARY.with_env(),
            flags: wgpu::InstanceFlags::empty().with_env(),
            ..wgpu::InstanceDescriptor::new_without_display_handle()
        })
    })
}

/// All adapters of all interfaces compiled in: hardware first, discrete before integrated.
pub async fn adapters() -> Vec<Adapter> {
    let found = instance().enumerate_adapters(wgpu::Backends::all()).await;
    let mut found: Vec<Adapter> = found.into_iter().map(Adapter::new).collect();
    let rank = |adapter: &Adapter| match adapter.adapter.get_info().device_type {
        wgpu::DeviceType::DiscreteGpu => 0,
        wgpu::DeviceType::IntegratedGpu => 1,
        wgpu::DeviceType::VirtualGpu => 2,
        wgpu::DeviceType::Other => 3,
        wgpu::DeviceType::Cpu => 4,
    };
    found.sort_by_key(rank);
    found
}

impl Adapter {
    fn new(adapter: wgpu::Adapter) -> Self {
        let info = adapter.get_info();
        let software = info.device_type == wgpu::DeviceType::Cpu;
        let driver = [info.driver.as_str(), info.driver_info.as_str()].join(" ").trim().to_owned();
        let info = DeviceInfo {
            name: info.name,
            backend: info.backend.to_string(),
            kind: if software { SOFTWARE } else { "hardware" }.to_owned(),
            driver,
            reason: String::new(),
        };
        Adapter {
            adapter,
            info,
            opened: Mutex::default(),
            #[cfg(test)]
            fault: None,
        }
    }

    /// What it is.
    pub fn info(&self) -> &DeviceInfo {
        &self.info
    }

    /// Whether it runs shaders on the processor.
    pub fn is_software(&self) -> bool {
        self.info.kind == SOFTWARE
    }

    /// The limits that bear on what fits: a fit of N pixels and L bands needs a binding of
    /// 4 N L bytes.
    pub fn limits(&self) -> Vec<Limit> {
        let limits = self.adapter.limits();
        vec![
            Limit {
                name: "largest binding (bytes)",
                value: limits.max_storage_buffer_binding_size,
            },
            Limit { name: "largest buffer (bytes)", value: limits.max_buffer_size },
            Limit {
                name: "workgroup memory (bytes)",
                value: limits.max_compute_workgroup_storage_size.into(),
            },
            Limit {
                name: "invocations a workgroup",
                value: limits.max_compute_invocations_per_workgroup.into(),
            },
            Limit {
                name: "workgroups a dimension",
                value: limits.max_compute_workgroups_per_dimension.into(),
            },
        ]
    }

    /// Refuses a fit with a buffer that is larger than the device allows.
    pub(crate) fn check(&self, params: &Params) -> Result<()> {
        self.check_bytes(largest(params, 1))
    }

    fn check_bytes(&self, largest: u64) -> Result<()> {
        let allowed = self.largest_buffer();
        if largest <= allowed {
            return Ok(());
        }
        Err(Error::Device(format!(
            "{}: the largest buffer of this fit takes {} MiB and the device allows {} MiB; use \
             the CPU, a smaller batch size or a part of the scene",
            self.info.name,
            largest.div_ceil(1 << 20),
            allowed >> 20
        )))
    }

    pub(super) fn largest_buffer(&self) -> u64 {
        let offered = self.adapter.limits();
        offered.max_storage_buffer_binding_size.min(offered.max_buffer_size)
    }

    /// The device for so many fits: that of the run before, where it serves.
    pub(super) async fn open(&self, params: &Params, fits: usize) -> Result<Arc<Opened>> {
        self.open_with(largest(params, fits)).await
    }

    /// A device with buffers of so many bytes: that of the run before, where it serves. Refuses
    /// what is larger than the device allows.
    pub(super) async fn open_with(&self, largest: u64) -> Result<Arc<Opened>> {
        self.check_bytes(largest)?;
        // Poisoned by a panic elsewhere: what it holds is whole.
        let last = || self.opened.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if let Some(opened) = last().as_ref().filter(|opened| opened.serves(largest)) {
            return Ok(Arc::clone(opened));
        }
        // Two runs that begin at once may each open a device: both serve.
        let opened = Arc::new(self.open_for(largest).await?);
        *last() = Some(Arc::clone(&opened));
        Ok(opened)
    }

    /// Opens the device with the limits every WebGPU device has; only the sizes of buffers are
    /// raised, and only to `largest` bytes, which the device must allow. Clocks that it has are
    /// switched on: [`super::profile`] is the only one to read them.
    pub(super) async fn open_for(&self, largest: u64) -> Result<Opened> {
        let mut limits = wgpu::Limits::default();
        limits.max_storage_buffer_binding_size =
            limits.max_storage_buffer_binding_size.max(largest);
        limits.max_buffer_size = limits.max_buffer_size.max(largest);
        let granted = limits.max_storage_buffer_binding_size;
        let descriptor = wgpu::DeviceDescriptor {
            label: Some("unmixel"),
            required_features: self.adapter.features() & wgpu::Features::TIMESTAMP_QUERY,
            required_limits: limits,
            experimental_features: wgpu::ExperimentalFeatures::disabled(),
            memory_hints: wgpu::MemoryHints::Performance,
            trace: wgpu::Trace::Off,
        };
        let refused = |e: String| {
            Error::Device(format!("{}: the device could not be opened: {e}", self.info.name))
        };
        let opening = self.adapter.request_device(&descriptor).await;
        let (device, queue) = opening.map_err(|e| refused(e.to_string()))?;
        let opened = Opened::new(device, queue, granted).map_err(refused)?;
        #[cfg(test)]
        let opened = opened.with(self.fault);
        Ok(opened)
    }
}

/// Bytes of the largest buffer of so many fits.
fn largest(params: &Params, fits: usize) -> u64 {
    Buf::ALL.map(|buf| 4 * words(params, buf, fits) as u64).into_iter().max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::backend::device::{Place, tests::gpu};
    use crate::engine::wait::block_on;

    #[test]
    fn a_device_serves_all_that_fits_the_limits_that_it_was_opened_with() {
        let Some(Place::Gpu(adapter)) = gpu().map(|device| device.place) else { return };
        let open = |bytes| block_on(adapter.open_with(bytes)).unwrap();
        let small = open(1000);
        // Pipelines and spectra would be lost with another device.
        assert!(Arc::ptr_eq(&small, &open(100 << 20)));
        assert!(Arc::ptr_eq(&small, &open(128 << 20)));
    }
}
