//! Checkpoints while a fit runs, and going on from the last one.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use super::{Checkpoint, Run, Unmixing};
use crate::engine::ground::clock::{Duration, Instant};
use crate::engine::ground::error::{Error, Result};
use crate::event::Event;
use crate::fit::Fit;
use crate::scene::Scene;

/// How often a fit on a GPU is kept in memory, where nobody asks for more, so that it can go on
/// when the device is lost.
const EVERY: Duration = Duration::from_secs(30);

/// Where checkpoints of a fit go.
#[derive(Clone)]
pub(super) struct Keep {
    path: Option<PathBuf>,
    every: Duration,
    last: Arc<Mutex<Option<Checkpoint>>>,
    /// For tests: block of steps after which the device is taken to be lost, once.
    #[cfg(test)]
    pub(super) lost_after: Arc<Mutex<Option<u32>>>,
}

impl Default for Keep {
    fn default() -> Self {
        Keep {
            path: None,
            every: EVERY,
            last: Arc::default(),
            #[cfg(test)]
            lost_after: Arc::default(),
        }
    }
}

impl Keep {
    /// With a place of its own for what it keeps.
    pub(super) fn own(&self) -> Self {
        Keep { last: Arc::new(Mutex::new(self.last())), ..self.clone() }
    }

    fn last(&self) -> Option<Checkpoint> {
        self.last.lock().ok().and_then(|last| last.clone())
    }

    async fn take(&self, run: &mut Run) -> Result<()> {
        let checkpoint = run.checkpoint_async().await?;
        if let Some(path) = &self.path {
            checkpoint.save(path)?;
        }
        if let Ok(mut last) = self.last.lock() {
            *last = Some(checkpoint);
        }
        Ok(())
    }

    /// A fault on purpose.
    fn fail(&self) -> Result<()> {
        #[cfg(test)]
        if let Ok(mut after) = self.lost_after.lock()
            && let Some(left) = after.as_mut()
        {
            *left = left.saturating_sub(1);
            if *left == 0 {
                *after = None;
                return Err(Error::DeviceLost("the device was lost on purpose".into()));
            }
        }
        Ok(())
    }
}

impl Unmixing {
    /// Keeps a checkpoint at `path` when the search is over, then every so often, and when the
    /// steps are over: whoever is killed loses at most so much ([`Checkpoint::load`],
    /// [`Unmixing::resuming`]). Default: none.
    pub fn checkpoint(mut self, path: impl Into<PathBuf>, every: Duration) -> Self {
        self.keep = Keep { path: Some(path.into()), every, ..self.keep };
        self
    }

    /// Lets the next fit go on from a checkpoint of the same scene and settings, instead of looking
    /// for a start.
    pub fn resuming(self, from: Checkpoint) -> Self {
        let last = Arc::new(Mutex::new(Some(from)));
        Unmixing { keep: Keep { last, ..self.keep.clone() }, ..self }
    }

    /// One fit on one device, from the last checkpoint if there is one.
    pub(super) async fn fit_once(&self, scene: &Scene) -> Result<Fit> {
        let keep = &self.keep;
        let mut run = match keep.last() {
            Some(last) => self.resume_async(scene, last).await?,
            None => self.start_async(scene).await?,
        };
        let wanted = keep.path.is_some() || !run.device.is_cpu();
        let mut kept = Instant::now();
        if wanted && !self.is_interrupted() {
            keep.take(&mut run).await?;
        }
        while run.advance_async().await?.is_some() {
            if wanted && kept.elapsed() >= keep.every {
                keep.take(&mut run).await?;
                kept = Instant::now();
            }
            keep.fail()?;
        }
        if wanted && !self.is_interrupted() {
            keep.take(&mut run).await?;
        }
        run.finish_async().await
    }

    /// As [`Unmixing::fit_once`] on a device that was asked for by name: when it is lost it is
    /// opened once more, and the fit goes on from its last checkpoint. Lost again, the fit ends
    /// with what there is, on the CPU.
    pub(super) async fn fit_on_one(&self, scene: &Scene) -> Result<Fit> {
        let first = match self.fit_once(scene).await {
            Err(Error::DeviceLost(reason)) => reason,
            done => return done,
        };
        self.tell(&Event::DeviceLost { reason: first });
        let second = match self.fit_once(scene).await {
            Err(Error::DeviceLost(reason)) => reason,
            done => return done,
        };
        let Some(last) = self.keep.last() else { return Err(Error::DeviceLost(second)) };
        let name = "the device".to_owned();
        self.tell(&Event::DeviceGivenUp { name, reason: second.clone() });
        let cpu = crate::engine::backend::device::cpu(&format!(
            "the device was lost twice ({second}); the fit ends with what there was"
        ));
        let stopped = self.clone().device(cpu).stop_when(|| true);
        stopped.resume_async(scene, last).await?.finish_async().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Device, Init, simulate};

    fn scene() -> Scene {
        let settings = simulate::Settings { rows: 8, cols: 9, bands: 20, ..Default::default() };
        simulate::simulate(&settings).unwrap().scene("small").unwrap()
    }

    fn fit() -> Unmixing {
        Unmixing::new(2).steps(400).init(Init::Vca).device(Device::cpu()).seed(3)
    }

    #[test]
    fn a_lost_device_is_opened_again_and_the_fit_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let whole = fit().fit(&scene()).unwrap();
        for after in [1, 3, 7] {
            let told = Arc::new(Mutex::new(0));
            let count = Arc::clone(&told);
            let unmixing = fit()
                .checkpoint(folder.path().join("run.unmixel"), Duration::ZERO)
                .on_event(move |event| {
                    if matches!(event, Event::DeviceLost { .. }) {
                        *count.lock().unwrap() += 1;
                    }
                });
            *unmixing.keep.lost_after.lock().unwrap() = Some(after);
            let found = unmixing.fit(&scene()).unwrap();
            assert_eq!(*told.lock().unwrap(), 1);
            assert_eq!(found.record().trace, whole.record().trace, "{after}");
            assert_eq!(found.posterior().abundance_mean, whole.posterior().abundance_mean);
        }
    }

    #[test]
    fn a_fit_goes_on_from_the_checkpoint_that_is_left_of_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.unmixel");
        let whole = fit().fit(&scene()).unwrap();
        // Stopped after some blocks, as a process that is killed then.
        let steps = Arc::new(Mutex::new(0));
        let (count, asked) = (Arc::clone(&steps), Arc::clone(&steps));
        let stopped = fit()
            .checkpoint(&path, Duration::ZERO)
            .on_event(move |event| {
                if let Event::Progress(progress) = event {
                    *count.lock().unwrap() = progress.step;
                }
            })
            .stop_when(move || *asked.lock().unwrap() >= 200)
            .fit(&scene())
            .unwrap();
        assert!(stopped.record().interrupted);
        let left = Checkpoint::load(&path).unwrap();
        let found = fit().resuming(left).fit(&scene()).unwrap();
        assert_eq!(found.record().trace, whole.record().trace);
        assert_eq!(found.posterior().abundance_mean, whole.posterior().abundance_mean);
        let left = Checkpoint::load(&path).unwrap();
        let other = fit().seed(4).resuming(left).fit(&scene()).unwrap_err();
        assert!(matches!(other, Error::Checkpoint(_)), "{other}");
    }
}
