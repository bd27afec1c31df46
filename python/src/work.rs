//! Work of the library under Python: the interpreter goes on meanwhile, hears what happens, and is
//! asked for signals.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::time::Duration;

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use unmixel::rooms::search;
use unmixel::{Error, Event as Told, Result};

use crate::errors::raised;

/// How often Python's signals are looked for.
const EVERY: Duration = Duration::from_millis(50);

/// Something that happened during a fit. `str` of it is one line for people.
#[pyclass(frozen, module = "unmixel._unmixel")]
pub struct Event {
    /// What happened, in a word: `step`, `search`, `device`, ...
    #[pyo3(get)]
    kind: &'static str,
    /// One line for people.
    #[pyo3(get)]
    text: String,
    /// Steps done, of a fit or of a search; else none.
    #[pyo3(get)]
    step: Option<u64>,
    /// The most steps that it takes, as far as known now; else none.
    #[pyo3(get)]
    total: Option<u64>,
    /// ELBO a pixel, nats, where one is known.
    #[pyo3(get)]
    elbo: Option<f64>,
}

#[pymethods]
impl Event {
    fn __str__(&self) -> &str {
        &self.text
    }

    fn __repr__(&self) -> String {
        format!("<Event {}: {}>", self.kind, self.text)
    }
}

impl From<&Told> for Event {
    fn from(told: &Told) -> Self {
        let (kind, step, total, elbo) = match told {
            Told::Counting => ("counting", None, None, None),
            Told::Counted(one) => ("counted", None, None, one.elbo),
            Told::Device(_) => ("device", None, None, None),
            Told::DeviceGivenUp { .. } => ("device-given-up", None, None, None),
            Told::EffectiveBands { .. } => ("effective-bands", None, None, None),
            Told::Neighbours { .. } => ("neighbours", None, None, None),
            Told::CommonMixture { .. } => ("common-mixture", None, None, None),
            Told::Concentration { .. } => ("concentration", None, None, None),
            Told::Library { .. } => ("library", None, None, None),
            Told::Searching(_) => ("searching", None, None, None),
            Told::Search(search::Event::Steps(done, all)) => {
                ("search", Some(*done), Some(*all), None)
            }
            Told::Search(search::Event::Judged(one)) => {
                ("judged", None, None, one.elbo.or(one.probe_elbo))
            }
            Told::LearnedFrom { .. } => ("learned-from", None, None, None),
            Told::HeldCube(_) => ("held-cube", None, None, None),
            Told::Outliers { .. } => ("outliers", None, None, None),
            Told::Repeats { .. } => ("repeats", None, None, None),
            Told::Shade(_) => ("shade", None, None, None),
            Told::SearchedPart { .. } => ("searched-part", None, None, None),
            Told::Start(_) => ("start", None, None, None),
            Told::Progress(now) => {
                ("step", Some(now.step.into()), Some(now.ceiling.into()), Some(now.elbo))
            }
            Told::Fitted { steps, ceiling, elbo, .. } => {
                ("fitted", Some((*steps).into()), Some((*ceiling).into()), *elbo)
            }
            Told::SpectraHeld => ("spectra-held", None, None, None),
            Told::Nesting => ("posterior", None, None, None),
            Told::Nested { .. } => ("posterior-done", None, None, None),
            _ => ("other", None, None, None),
        };
        Event { kind, text: told.to_string(), step, total, elbo }
    }
}

enum Message {
    Event(Told),
    Done,
}

/// What work is given to be stopped by, and to tell by.
#[derive(Clone)]
pub struct Line {
    stop: Arc<AtomicBool>,
    tell: Sender<Message>,
}

impl Line {
    /// Whether to stop.
    pub fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Tells what happened.
    pub fn tell(&self, event: &Told) {
        // Nobody listens who has gone.
        let _ = self.tell.send(Message::Event(event.clone()));
    }
}

/// Says that the work is over, however it ended.
struct AtEnd(Sender<Message>);

impl Drop for AtEnd {
    fn drop(&mut self) {
        let _ = self.0.send(Message::Done);
    }
}

/// Does `work` on a thread of its own, without the interpreter. Events go to `listener`; an
/// exception that it raises, or a signal's (Ctrl-C), stops the work, which then gives what there
/// is: both are given back.
pub fn run<T: Send>(
    py: Python<'_>,
    listener: Option<&Bound<'_, PyAny>>,
    work: impl FnOnce(&Line) -> Result<T> + Send,
) -> (PyResult<T>, Option<PyErr>) {
    let stop = Arc::new(AtomicBool::new(false));
    let (tell, told) = mpsc::channel();
    let line = Line { stop: Arc::clone(&stop), tell };
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("unmixel: Python".into());
        let begun = thread.spawn_scoped(scope, move || {
            let _end = AtEnd(line.tell.clone());
            work(&line)
        });
        let thread = match begun {
            Ok(thread) => thread,
            Err(why) => {
                let text = format!("a thread for the work could not begin: {why}");
                return (Err(PyRuntimeError::new_err(text)), None);
            }
        };
        let (mut told, mut raised_by) = (told, None);
        loop {
            let (back, message) = py.detach(move || {
                let message = told.recv_timeout(EVERY);
                (told, message)
            });
            told = back;
            let heard = match message {
                Ok(Message::Done) | Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => Ok(()),
                Ok(Message::Event(event)) => match (listener, &raised_by) {
                    (Some(listener), None) => hear(py, listener, &event),
                    _ => Ok(()),
                },
            };
            if raised_by.is_none()
                && let Err(error) = heard.and_then(|()| py.check_signals())
            {
                stop.store(true, Ordering::Relaxed);
                raised_by = Some(error);
            }
        }
        let result = py.detach(|| thread.join());
        let result = result.unwrap_or_else(|_| {
            Err(Error::Fit("the work ended in a panic; please report it".into()))
        });
        (result.map_err(raised), raised_by)
    })
}

/// As [`run`] for work of which nothing is left when it is stopped.
pub fn finish<T: Send>(
    py: Python<'_>,
    listener: Option<&Bound<'_, PyAny>>,
    work: impl FnOnce(&Line) -> Result<T> + Send,
) -> PyResult<T> {
    match run(py, listener, work) {
        (_, Some(raised)) => Err(raised),
        (result, None) => result,
    }
}

fn hear(py: Python<'_>, listener: &Bound<'_, PyAny>, event: &Told) -> PyResult<()> {
    listener.call1((Bound::new(py, Event::from(event))?,)).map(drop)
}
