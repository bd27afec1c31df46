//! Waiting for futures, at the edge of a program. The engine itself never waits: what takes a
//! device is an async function, and a browser's event loop, an async runtime or [`block_on`] drives
//! it.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use crate::engine::ground::error::{Error, Result};

/// Runs a future to its end and blocks the calling thread meanwhile. For native programs; a browser
/// has no thread that may block.
#[cfg(not(target_arch = "wasm32"))]
pub fn block_on<F: Future>(future: F) -> F::Output {
    pollster::block_on(future)
}

/// The result of a future that has nothing to wait for, as of work on the CPU. Runs it on this
/// thread.
///
/// # Errors
///
/// [`Error::Fit`] where the future did wait for something, as for a GPU.
pub(crate) fn at_once<T>(future: impl Future<Output = Result<T>>) -> Result<T> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => result,
        Poll::Pending => {
            Err(Error::Fit("work on the CPU waited for a device, and nothing can wake it".into()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_ready_is_given_and_what_waits_is_an_error() {
        assert_eq!(at_once(async { Ok(3) }).unwrap(), 3);
        let text = at_once(std::future::pending::<Result<()>>()).unwrap_err().to_string();
        assert!(text.contains("waited for a device"), "{text}");
        assert_eq!(block_on(async { 4 }), 4);
    }
}
