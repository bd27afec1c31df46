//! Work that goes on where the device that was chosen for it cannot do it.

use std::sync::Arc;

use crate::engine::backend::{Device, device};
use crate::engine::ground::error::{Error, Result};
use crate::event::Event;

/// Runs `work` on a device that nobody asked for by name. Where it is a GPU that is too small for
/// the work, or that is lost in it, `tell` gets the event and the work begins again on the CPU,
/// whose reason then says why.
pub(super) async fn or_on_cpu<T>(
    first: Arc<Device>,
    tell: &dyn Fn(&Event),
    work: impl AsyncFn(Arc<Device>) -> Result<T>,
) -> Result<T> {
    let (name, is_cpu) = (first.info.name.clone(), first.info.backend == "cpu");
    match work(first).await {
        Err(error @ (Error::Device(_) | Error::DeviceLost(_))) if !is_cpu => {
            let reason = error.to_string();
            let cpu = device::cpu(&format!("{name} could not do it: {reason}"));
            tell(&Event::DeviceGivenUp { name, reason });
            work(Arc::new(cpu)).await
        }
        done => done,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::engine::wait::block_on;

    fn device_of(backend: &str) -> Arc<Device> {
        let mut device = device::cpu("the first hardware GPU");
        (device.info.name, device.info.backend) = ("Small GPU".into(), backend.into());
        Arc::new(device)
    }

    /// Devices that were tried, events, and the end of work that fails on all but the CPU.
    fn tried(first: &str, fault: &dyn Fn() -> Error) -> (Vec<String>, usize, Result<String>) {
        let (devices, events) = (Mutex::new(Vec::new()), Mutex::new(0));
        let work = async |device: Arc<Device>| {
            devices.lock().unwrap().push(device.info.backend.clone());
            match device.info.name.starts_with("CPU") {
                true => Ok(device.info.reason.clone()),
                false => Err(fault()),
            }
        };
        let tell = |_: &Event| *events.lock().unwrap() += 1;
        let end = block_on(or_on_cpu(device_of(first), &tell, work));
        (devices.into_inner().unwrap(), events.into_inner().unwrap(), end)
    }

    #[test]
    fn a_lost_device_and_a_failed_allocation_are_no_end() {
        for fault in [
            || Error::DeviceLost("the device was lost".into()),
            || Error::Device("a buffer of 9 GB is more than the device's 4 GB".into()),
        ] {
            let (devices, events, end) = tried("vulkan", &fault);
            assert_eq!((devices, events), (vec!["vulkan".to_owned(), "cpu".to_owned()], 1));
            let why = fault().to_string();
            assert!(end.unwrap().contains(&why));
        }
    }

    #[cfg(feature = "gpu")]
    #[test]
    fn a_gpu_that_has_no_memory_or_goes_away_leaves_the_work_to_the_cpu() {
        use crate::engine::backend::device::Place;
        use crate::engine::backend::gpu::Fault;
        use crate::{Unmixing, simulate};
        let settings = simulate::Settings { rows: 6, cols: 7, bands: 20, ..Default::default() };
        let scene = simulate::simulate(&settings).unwrap().scene("small").unwrap();
        let fit = || Unmixing::new(2).steps(60).init(crate::Init::Vca);
        let wanted = fit().device(Device::cpu()).fit(&scene).unwrap();
        for (fault, says) in
            [(Some(Fault::NoMemory), "memory"), (Some(Fault::Lost), "device"), (None, "")]
        {
            let Some(mut device) = device::tests::gpu() else {
                eprintln!("skipped: no adapter");
                return;
            };
            if let Place::Gpu(adapter) = &mut device.place {
                adapter.fault = fault;
            }
            let events: Arc<Mutex<Vec<Event>>> = Arc::default();
            let to = Arc::clone(&events);
            let unmixing = fit().on_event(move |event| to.lock().unwrap().push(event.clone()));
            let work = async |of: Unmixing| of.fit_once(&scene).await;
            let found = block_on(unmixing.on_first(Arc::new(device), work)).unwrap();
            let told = events.lock().unwrap().iter().any(|event| match event {
                Event::DeviceGivenUp { reason, .. } => reason.to_lowercase().contains(says),
                _ => false,
            });
            assert_eq!(told, fault.is_some(), "{fault:?}");
            let info = &found.record().device;
            assert_eq!(info.backend == "cpu", fault.is_some(), "{info:?}");
            if fault.is_some() {
                assert!(info.reason.contains("could not do it"), "{info:?}");
                let maps = |fit: &crate::Fit| fit.posterior().abundance_mean.clone();
                assert_eq!(maps(&found), maps(&wanted), "{fault:?}");
            }
        }
    }

    #[test]
    fn other_errors_and_those_of_the_cpu_are_the_end() {
        let (devices, events, end) = tried("vulkan", &|| Error::Fit("no start".into()));
        assert!(devices.len() == 1 && events == 0 && end.is_err());
        let (devices, events, end) = tried("cpu", &|| Error::Device("no room".into()));
        assert!(devices.len() == 1 && events == 0 && end.is_err());
    }
}
