//! An open device, shared by the runs on it: a search makes dozens of short fits, and opening a
//! device and compiling the passes takes longer than some of them.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, Weak};

use super::pipelines::{Compiled, Constants};
use super::waiter::Waiter;
use crate::engine::ground::error::Error;
use crate::engine::layout::Params;
use crate::engine::passes::Pass;
use crate::engine::pixels::Cube;

/// The text of a shader, and its constants.
type Key = (&'static str, String);

/// A device, its queue, and what was compiled for it.
#[derive(Debug)]
pub struct Opened {
    pub device: wgpu::Device,
    pub queue: wgpu::Queue,
    pub failed: Arc<Failure>,
    /// Tells when the queue has done what it was given.
    pub waiter: Waiter,
    /// Bytes of the largest buffer that it takes.
    largest: u64,
    /// What is to go wrong.
    #[cfg(test)]
    pub fault: Option<Fault>,
    /// By the text of the shader and its constants. Each has a lock of its own, so that several are
    /// compiled at a time.
    compiled: Mutex<HashMap<Key, Arc<OnceLock<Compiled>>>>,
    /// The spectra that were uploaded last, which no pass writes, and whether they are floats of 16
    /// bits: the fits of a search share them.
    spectra: Mutex<Option<(Weak<Cube>, bool, wgpu::Buffer)>>,
}

/// What the device said outside of a call: wgpu reports it on its own.
#[derive(Debug, Default)]
pub struct Failure {
    pub happened: AtomicBool,
    pub message: Mutex<String>,
}

impl Failure {
    /// What has gone wrong so far.
    pub fn check(&self) -> Result<(), Error> {
        match self.happened.load(Ordering::Acquire) {
            true => Err(self.error("it reported an error")),
            false => Ok(()),
        }
    }

    /// The error of a device that failed; `what` where it said nothing itself.
    pub fn error(&self, what: &str) -> Error {
        let said = self.message.lock().map(|m| m.clone()).unwrap_or_default();
        let said = if said.is_empty() { what.to_owned() } else { said };
        Error::DeviceLost(format!(
            "the device failed: {said}; try a smaller batch size, or the CPU"
        ))
    }
}

impl Opened {
    pub fn new(device: wgpu::Device, queue: wgpu::Queue, largest: u64) -> Result<Self, String> {
        let failed = Arc::new(Failure::default());
        watch(&device, &failed);
        let waiter = Waiter::new(&device)?;
        Ok(Opened {
            device,
            queue,
            failed,
            waiter,
            largest,
            #[cfg(test)]
            fault: None,
            compiled: Mutex::default(),
            spectra: Mutex::default(),
        })
    }

    /// The buffer that holds the spectra of this cube, as floats of 16 bits or not; none where
    /// others do, which are let go.
    pub fn spectra(&self, cube: &Arc<Cube>, half: bool) -> Option<wgpu::Buffer> {
        let mut held = self.spectra.lock().ok()?;
        let is_held = |(of, is_half, _): &(Weak<Cube>, bool, _)| {
            std::ptr::eq(of.as_ptr(), Arc::as_ptr(cube)) && *is_half == half
        };
        if !held.as_ref().is_some_and(is_held) {
            *held = None;
        }
        held.as_ref().map(|(_, _, buffer)| buffer.clone())
    }

    /// Remembers that a buffer holds the spectra of this cube.
    pub fn hold_spectra(&self, cube: &Arc<Cube>, half: bool, buffer: &wgpu::Buffer) {
        if let Ok(mut held) = self.spectra.lock() {
            *held = Some((Arc::downgrade(cube), half, buffer.clone()));
        }
    }

    /// The device, on which something is to go wrong.
    #[cfg(test)]
    pub fn with(self, fault: Option<Fault>) -> Self {
        Opened { fault, ..self }
    }

    /// What drivers do at times: no memory for the buffers of a run, or a device that goes away in
    /// the middle of one.
    #[cfg(test)]
    pub fn suffer(&self, at: Fault) {
        match at {
            _ if self.fault != Some(at) => {}
            Fault::NoMemory => note(&self.failed, "Not enough memory left.".into()),
            Fault::Lost => self.device.destroy(),
        }
    }

    /// Whether another run can have it: one that failed stays so, and limits are fixed at opening.
    pub fn serves(&self, largest: u64) -> bool {
        largest <= self.largest && !self.failed.happened.load(Ordering::Acquire)
    }

    /// The pass, compiled once.
    pub fn compiled(&self, pass: &'static Pass, params: &Params) -> Compiled {
        let constants = Constants::new(pass, params);
        let compile = || Compiled::new(&self.device, pass, constants);
        self.once((pass.shader, format!("{constants:?}")), compile)
    }

    /// What `compile` makes, made once for each text and its constants.
    pub fn once(&self, key: Key, compile: impl FnOnce() -> Compiled) -> Compiled {
        // Poisoned by a panic elsewhere: what it holds is whole.
        let mut all = self.compiled.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let own = Arc::clone(all.entry(key).or_default());
        drop(all);
        own.get_or_init(compile).clone()
    }
}

/// Faults on purpose.
#[cfg(test)]
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Fault {
    NoMemory,
    Lost,
}

/// Keeps the first thing that was said.
fn note(failed: &Failure, text: String) {
    if let Ok(mut message) = failed.message.lock()
        && message.is_empty()
    {
        *message = text;
    }
    failed.happened.store(true, Ordering::Release);
}

/// wgpu's default is to panic on errors that no call returns.
fn watch(device: &wgpu::Device, failed: &Arc<Failure>) {
    let on_error = Arc::clone(failed);
    device.on_uncaptured_error(Arc::new(move |error| note(&on_error, error.to_string())));
    let on_loss = Arc::clone(failed);
    device.set_device_lost_callback(move |reason, message| {
        // A device that we drop ourselves is "lost" too.
        if reason != wgpu::DeviceLostReason::Destroyed {
            note(&on_loss, message);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::model::Model;
    use crate::engine::passes;

    #[test]
    fn a_pass_is_compiled_once_for_each_set_of_its_constants() {
        let (device, queue) = wgpu::Device::noop(&wgpu::DeviceDescriptor::default());
        let opened = Opened::new(device, queue, 100).unwrap();
        for (endmembers, variability) in [(3, None), (3, None), (4, None), (4, Some(0.02))] {
            let model = Model { variability, ..Model::new(endmembers) };
            let params = Params::new(&model, 9, 5, 9, 1, 0).unwrap();
            for pass in [&passes::mix::PASS, &passes::spectra::PASS] {
                opened.compiled(pass, &params);
            }
        }
        let compiled = opened.compiled.lock().unwrap();
        assert_eq!(compiled.len(), 4, "mix once, spectra for 3, for 4 and with variability");
    }

    #[test]
    fn spectra_are_those_of_one_cube() {
        let (device, queue) = wgpu::Device::noop(&wgpu::DeviceDescriptor::default());
        let opened = Opened::new(device, queue, 100).unwrap();
        let (one, other) = (Arc::new(Cube::zeros(2, 3)), Arc::new(Cube::zeros(2, 3)));
        assert!(opened.spectra(&one, false).is_none());
        let buffer = opened.device.create_buffer(&wgpu::BufferDescriptor {
            label: None,
            size: 256,
            usage: wgpu::BufferUsages::STORAGE,
            mapped_at_creation: false,
        });
        opened.hold_spectra(&one, false, &buffer);
        assert_eq!(opened.spectra(&one, false), Some(buffer.clone()));
        // Of the same size, with the same values.
        assert!(opened.spectra(&other, false).is_none());
        assert!(opened.spectra(&one, false).is_none(), "let go for the other");
        opened.hold_spectra(&one, false, &buffer);
        assert!(opened.spectra(&one, true).is_none(), "of another kind");
    }

    #[test]
    fn a_device_that_failed_or_is_too_small_is_not_shared() {
        let (device, queue) = wgpu::Device::noop(&wgpu::DeviceDescriptor::default());
        let opened = Opened::new(device, queue, 100).unwrap();
        assert!(opened.serves(100) && !opened.serves(101));
        opened.failed.happened.store(true, Ordering::Release);
        assert!(!opened.serves(1));
    }
}
