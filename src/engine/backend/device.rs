//! Which device a run is on, and why.

use std::str::FromStr;

use crate::engine::ground::error::{Error, Result};
use crate::engine::ground::setting;

/// What the user asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Choice {
    /// A hardware GPU if there is one, else the CPU.
    Auto,
    /// The CPU backend.
    Cpu,
    /// The best GPU; software adapters count, if there is nothing else.
    Gpu,
    /// The adapter whose name or driver contains this, in any case.
    Named(String),
}

impl FromStr for Choice {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Ok(match text.to_ascii_lowercase().as_str() {
            "" => {
                return Err(Error::option(
                    setting::DEVICE,
                    "empty; give auto, cpu, gpu or a part of a name that `unmixel devices` lists",
                ));
            }
            "auto" => Choice::Auto,
            "cpu" => Choice::Cpu,
            "gpu" => Choice::Gpu,
            _ => Choice::Named(text.to_owned()),
        })
    }
}

/// A device as it is printed and recorded.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct DeviceInfo {
    /// Name, as the driver gives it.
    pub name: String,
    /// `cpu`, or the graphics interface: `vulkan`, `metal`, `dx12`.
    pub backend: String,
    /// `hardware`, `software` or `cpu`.
    pub kind: String,
    /// Driver and its version, where known.
    pub driver: String,
    /// Why this device.
    pub reason: String,
}

/// A chosen device.
#[derive(Debug)]
pub struct Device {
    /// What it is and why it was chosen.
    pub info: DeviceInfo,
    pub(crate) place: Place,
}

impl Device {
    /// The CPU.
    pub fn cpu() -> Self {
        cpu("asked for")
    }

    /// A hardware GPU if there is one, else the CPU.
    ///
    /// # Errors
    ///
    /// [`Error::Device`] where drivers fail.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn auto() -> Result<Self> {
        choose(&Choice::Auto)
    }

    /// Whether it is the CPU backend.
    pub fn is_cpu(&self) -> bool {
        matches!(self.place, Place::Cpu)
    }
}

#[derive(Debug)]
pub(crate) enum Place {
    Cpu,
    #[cfg(feature = "gpu")]
    Gpu(Box<super::gpu::Adapter>),
}

/// Chooses the device; blocks until drivers have answered.
///
/// # Errors
///
/// As [`choose_async`].
#[cfg(not(target_arch = "wasm32"))]
pub fn choose(choice: &Choice) -> Result<Device> {
    crate::engine::wait::block_on(choose_async(choice))
}

/// Chooses the device.
///
/// # Errors
///
/// [`Error::Setting`] where no device answers to the choice; the message names what there is.
pub async fn choose_async(choice: &Choice) -> Result<Device> {
    match choice {
        Choice::Cpu => Ok(cpu("asked for")),
        #[cfg(feature = "gpu")]
        _ => choose_gpu(choice).await,
        #[cfg(not(feature = "gpu"))]
        Choice::Auto => Ok(cpu("this program was built without GPU support")),
        #[cfg(not(feature = "gpu"))]
        _ => Err(Error::Device(
            "this program was built without GPU support; use the CPU, or build \
            with the feature gpu"
                .into(),
        )),
    }
}

/// Every device there is: the CPU, then all adapters. Blocks until drivers have answered.
#[cfg(not(target_arch = "wasm32"))]
pub fn all() -> Vec<Device> {
    crate::engine::wait::block_on(all_async())
}

/// Every device there is: the CPU, then all adapters.
pub async fn all_async() -> Vec<Device> {
    let cpu = std::iter::once(cpu("every device"));
    #[cfg(feature = "gpu")]
    let gpus = super::gpu::adapters().await.into_iter().map(|adapter| {
        let info = DeviceInfo { reason: "every device".into(), ..adapter.info().clone() };
        Device { info, place: Place::Gpu(Box::new(adapter)) }
    });
    #[cfg(not(feature = "gpu"))]
    let gpus = std::iter::empty();
    cpu.chain(gpus).collect()
}

/// The CPU as a device.
pub fn cpu(reason: &str) -> Device {
    let info = DeviceInfo {
        name: format!("CPU, {} threads", rayon::current_num_threads()),
        backend: "cpu".into(),
        kind: "cpu".into(),
        driver: String::new(),
        reason: reason.into(),
    };
    Device { info, place: Place::Cpu }
}

#[cfg(feature = "gpu")]
async fn choose_gpu(choice: &Choice) -> Result<Device> {
    let adapters = super::gpu::adapters().await;
    let hardware = |info: &DeviceInfo| info.kind == "hardware";
    let found = match choice {
        Choice::Named(name) => {
            let wanted = name.to_lowercase();
            adapters.iter().position(|a| {
                a.info().name.to_lowercase().contains(&wanted)
                    || a.info().driver.to_lowercase().contains(&wanted)
            })
        }
        Choice::Gpu => adapters
            .iter()
            .position(|a| hardware(a.info()))
            .or(if adapters.is_empty() { None } else { Some(0) }),
        _ => adapters.iter().position(|a| hardware(a.info())),
    };
    let names: Vec<String> = adapters.iter().map(|a| format!("\"{}\"", a.info().name)).collect();
    let listed = if names.is_empty() { "no adapter at all".to_owned() } else { names.join(", ") };
    let reason = match (choice, found) {
        (Choice::Auto, None) if names.is_empty() => return Ok(cpu("no GPU was found")),
        (Choice::Auto, None) => {
            return Ok(cpu(&format!("no hardware GPU was found, only {listed}")));
        }
        (Choice::Auto, Some(_)) => "the first hardware GPU",
        (Choice::Named(_) | Choice::Cpu, Some(_)) => "asked for by name",
        (Choice::Gpu, Some(_)) => "asked for a GPU",
        (Choice::Gpu, None) => {
            let why = "no adapter was found; install a Vulkan, Metal or DX12 driver, or take cpu";
            return Err(Error::setting(setting::DEVICE, "gpu", why));
        }
        (Choice::Named(name), None) => {
            let why = format!("no such device; there is cpu, and {listed}");
            return Err(Error::setting(setting::DEVICE, name, why));
        }
        (Choice::Cpu, None) => return Ok(cpu("asked for")),
    };
    let place = found.and_then(|i| adapters.into_iter().nth(i));
    Ok(match place {
        Some(adapter) => {
            let info = DeviceInfo { reason: reason.into(), ..adapter.info().clone() };
            Device { info, place: Place::Gpu(Box::new(adapter)) }
        }
        None => cpu("no GPU was found"),
    })
}

#[cfg(test)]
pub(crate) mod tests {
    /// A GPU of this machine, whichever; none where there is none, or the tests on shaders are not
    /// wanted.
    #[cfg(feature = "gpu")]
    pub(crate) fn gpu() -> Option<super::Device> {
        let wanted = std::env::var("UNMIXEL_GPU").unwrap_or_default();
        let found = match &*wanted {
            "skip" => None,
            _ => super::all().into_iter().find(|device| !device.is_cpu()),
        };
        assert!(found.is_some() || wanted != "require", "no adapter");
        found
    }
}
