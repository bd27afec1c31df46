//! Work that goes on where the device that was chosen for it cannot do it.

use super::device::{self, Choice, Device};
use crate::engine::ground::error::{Error, Result};

/// Runs `work` on the device of `choice`. With [`Choice::Auto`], where nobody asked for a certain
/// device, a GPU that is too small for the work, or is lost in it, is no end: the work begins again on
/// the CPU, whose [`DeviceInfo::reason`](super::DeviceInfo::reason) then says why. `told` gets the
/// sentence for the user at that moment.
///
/// # Errors
/// What [`choose`](device::choose) and `work` give; of a device that was asked for, also
/// [`Error::Device`] and [`Error::DeviceLost`].
pub fn on_device<T>(
    choice: &Choice,
    told: &mut dyn FnMut(&str),
    work: impl FnMut(&Device) -> Result<T>,
) -> Result<T> {
    let first = device::choose(choice)?;
    go_on(first, *choice == Choice::Auto, told, work)
}

fn go_on<T>(
    first: Device,
    may_change: bool,
    told: &mut dyn FnMut(&str),
    mut work: impl FnMut(&Device) -> Result<T>,
) -> Result<T> {
    match work(&first) {
        Err(error @ (Error::Device(_) | Error::DeviceLost(_)))
            if may_change && first.info.backend != "cpu" =>
        {
            let name = &first.info.name;
            told(&format!("{name} cannot go on ({error}); the CPU does it from the beginning"));
            // Its memory is to be free before the CPU takes its own.
            let cpu = device::cpu(&format!("{name} could not do it: {error}"));
            drop(first);
            work(&cpu)
        }
        done => done,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gpu() -> Device {
        let mut device = device::cpu("the first hardware GPU");
        (device.info.name, device.info.backend) = ("Small GPU".into(), "vulkan".into());
        device
    }

    /// Runs on a GPU that fails so; the devices that were tried, what was told, and the end.
    fn tried(
        fault: impl Fn() -> Error,
        may_change: bool,
    ) -> (Vec<String>, Vec<String>, Result<String>) {
        let (mut devices, mut sentences) = (Vec::new(), Vec::new());
        let end = go_on(gpu(), may_change, &mut |text| sentences.push(text.to_owned()), |device| {
            devices.push(device.info.backend.clone());
            if device.info.backend == "cpu" { Ok(device.info.reason.clone()) } else { Err(fault()) }
        });
        (devices, sentences, end)
    }

    #[test]
    fn a_lost_device_and_a_failed_allocation_are_no_end_where_nobody_asked_for_it() {
        for fault in [
            || Error::DeviceLost("the device was lost".into()),
            || Error::Device("a buffer of 9 GB is more than the device's 4 GB".into()),
        ] {
            let (devices, told, end) = tried(fault, true);
            assert_eq!(devices, ["vulkan", "cpu"]);
            let why = fault().to_string();
            assert!(told[0].contains("Small GPU") && told[0].contains(&why), "{told:?}");
            assert!(end.unwrap().contains(&why));

            let (devices, told, end) = tried(fault, false);
            assert_eq!((devices.len(), told.len()), (1, 0));
            assert_eq!(end.unwrap_err().to_string(), why);
        }
    }

    #[test]
    fn other_errors_are_the_same_on_every_device() {
        let (devices, told, end) = tried(|| Error::Fit("no start".into()), true);
        assert_eq!((devices.len(), told.len()), (1, 0));
        assert!(end.is_err());
    }
}
