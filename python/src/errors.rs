//! Errors of the library as exceptions, with the library's own sentences.

use pyo3::PyErr;
use pyo3::exceptions::{PyKeyboardInterrupt, PyOSError, PyRuntimeError, PyValueError};
use unmixel::Error;

/// `OSError` (the class that its number has) for what the system refuses, `ValueError` for what the
/// caller can mend, `RuntimeError` for work that failed, `KeyboardInterrupt` for work that was
/// stopped before it had anything to give.
pub fn raised(error: Error) -> PyErr {
    let sentence = error.to_string();
    match error {
        Error::Io { source, .. } => match source.raw_os_error() {
            Some(number) => PyOSError::new_err((number, sentence)),
            None => PyOSError::new_err(sentence),
        },
        Error::Interrupted => PyKeyboardInterrupt::new_err(sentence),
        _ if error.is_bad_input() => PyValueError::new_err(sentence),
        _ => PyRuntimeError::new_err(sentence),
    }
}

/// Results of the library with its errors as exceptions.
pub trait OrRaise<T> {
    /// The value, or the exception.
    fn or_raise(self) -> Result<T, PyErr>;
}

impl<T> OrRaise<T> for unmixel::Result<T> {
    fn or_raise(self) -> Result<T, PyErr> {
        self.map_err(raised)
    }
}
