//! Waiting for a device without blocking who waits. Native devices must be asked, again and again
//! or by a call that blocks: a thread of its own does so for each open device. Browsers tell on
//! their own.

use futures_channel::oneshot;

/// Tells when a device has done what it was given.
#[derive(Debug)]
pub struct Waiter {
    #[cfg(not(target_arch = "wasm32"))]
    thread: native::Asking,
}

impl Waiter {
    /// For one open device.
    pub fn new(device: &wgpu::Device) -> Result<Self, String> {
        #[cfg(not(target_arch = "wasm32"))]
        return Ok(Waiter { thread: native::Asking::begin(device.clone())? });
        #[cfg(target_arch = "wasm32")]
        {
            let _ = device;
            Ok(Waiter {})
        }
    }

    /// Ends when the submission is done, with what went wrong.
    // Only browsers need the queue.
    #[cfg_attr(not(target_arch = "wasm32"), allow(unused_variables))]
    pub async fn done(
        &self,
        queue: &wgpu::Queue,
        submission: wgpu::SubmissionIndex,
    ) -> Result<(), String> {
        #[cfg(not(target_arch = "wasm32"))]
        return self.thread.done(submission).await;
        #[cfg(target_arch = "wasm32")]
        {
            let (tell, told) = oneshot::channel();
            queue.on_submitted_work_done(move || {
                // Who waited may have gone.
                let _ = tell.send(());
            });
            told.await.map_err(|_| "the page no longer tells what the device has done".to_owned())
        }
    }

    /// The first `bytes` of a buffer that the submission has filled. It must allow to be mapped.
    pub async fn read(
        &self,
        queue: &wgpu::Queue,
        submission: wgpu::SubmissionIndex,
        staging: &wgpu::Buffer,
        bytes: u64,
    ) -> Result<wgpu::BufferView, String> {
        let (tell, told) = oneshot::channel();
        staging.map_async(wgpu::MapMode::Read, ..bytes, move |result| {
            let _ = tell.send(result);
        });
        self.done(queue, submission).await?;
        let mapped = told.await.map_err(|_| "the device gave no memory to read".to_owned())?;
        mapped.map_err(|e| e.to_string())?;
        staging.get_mapped_range(..bytes).map_err(|e| e.to_string())
    }
}

#[cfg(not(target_arch = "wasm32"))]
mod native {
    use std::sync::mpsc;
    use std::thread::JoinHandle;
    use std::time::Duration;

    use super::oneshot;

    /// A device that says nothing for so long is lost.
    const PATIENCE: Duration = Duration::from_secs(120);

    struct Question {
        submission: wgpu::SubmissionIndex,
        answer: oneshot::Sender<Result<(), String>>,
    }

    /// A thread that asks the device.
    #[derive(Debug)]
    pub struct Asking {
        /// None only while it is dropped.
        questions: Option<mpsc::Sender<Question>>,
        thread: Option<JoinHandle<()>>,
    }

    impl Asking {
        pub fn begin(device: wgpu::Device) -> Result<Self, String> {
            let (questions, asked) = mpsc::channel::<Question>();
            let ask = move || {
                for Question { submission, answer } in asked {
                    let wait = wgpu::PollType::Wait {
                        submission_index: Some(submission),
                        timeout: Some(PATIENCE),
                    };
                    let said = device.poll(wait).map(|_| ()).map_err(|e| e.to_string());
                    // Who waited may have gone.
                    let _ = answer.send(said);
                }
            };
            let thread = std::thread::Builder::new()
                .name("unmixel: device".into())
                .spawn(ask)
                .map_err(|e| format!("no thread could be started to wait for it: {e}"))?;
            Ok(Asking { questions: Some(questions), thread: Some(thread) })
        }

        pub async fn done(&self, submission: wgpu::SubmissionIndex) -> Result<(), String> {
            let ended = || "the thread that waits for the device has ended".to_owned();
            let (answer, answered) = oneshot::channel();
            let questions = self.questions.as_ref().ok_or_else(ended)?;
            questions.send(Question { submission, answer }).map_err(|_| ended())?;
            answered.await.map_err(|_| ended())?
        }
    }

    impl Drop for Asking {
        /// Ends the thread before the device goes: drivers do not like to be left in the middle of
        /// a call when a program ends.
        fn drop(&mut self) {
            self.questions = None;
            if let Some(thread) = self.thread.take() {
                // A panic of that thread has been told to who waited.
                let _ = thread.join();
            }
        }
    }
}
