//! Hearing an interrupt while work goes on that cannot be asked to stop, as that of other
//! libraries.

use crate::engine::ground::error::{Error, Result};

/// Asked whether to stop, from any thread, many times a second.
pub type Interrupted<'a> = &'a (dyn Fn() -> bool + Sync);

/// Goes on, unless interrupted.
///
/// # Errors
///
/// [`Error::Interrupted`].
pub fn heed(interrupted: Interrupted) -> Result<()> {
    if interrupted() { Err(Error::Interrupted) } else { Ok(()) }
}

/// Does some work on the CPU, and gives up on it when interrupted. The work is told to stop, goes
/// on by itself until it hears that, and its result is dropped: a decomposition of a large matrix
/// may take half a minute, and nobody waits for it who has asked to stop.
///
/// The calling thread waits meanwhile; so on a thread of a rayon pool, which others may need to get
/// on, and in a browser, which has no other threads, the work is done right here.
///
/// # Errors
///
/// [`Error::Interrupted`], and what the work gives.
pub fn unless<T: Send + 'static>(
    interrupted: Interrupted,
    work: impl FnOnce(Interrupted) -> Result<T> + Send + 'static,
) -> Result<T> {
    heed(interrupted)?;
    #[cfg(not(target_arch = "wasm32"))]
    if rayon::current_thread_index().is_none() {
        return aside::unless(interrupted, work);
    }
    let result = work(interrupted)?;
    heed(interrupted).map(|()| result)
}

#[cfg(not(target_arch = "wasm32"))]
mod aside {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::mpsc::{self, RecvTimeoutError};

    use super::{Error, Interrupted, Result};
    use crate::engine::ground::clock::Duration;
    use crate::engine::ground::spare::asking;

    /// What a thread takes before it does anything, bytes: its stack, and what the C library keeps
    /// of it, which ends the process where it gets none.
    const OF_A_THREAD: usize = 3 << 20;
    /// How often it is asked.
    const EVERY: Duration = Duration::from_millis(20);

    pub fn unless<T: Send + 'static>(
        interrupted: Interrupted,
        work: impl FnOnce(Interrupted) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let stop = Arc::new(AtomicBool::new(false));
        let (tell, told) = mpsc::channel();
        let told_to_stop = Arc::clone(&stop);
        let aside = move || {
            // Who waited may have gone.
            let _ = tell.send(work(&|| told_to_stop.load(Ordering::Relaxed)));
        };
        let failed = |what: &str| Error::Fit(format!("work on a thread of its own {what}"));
        asking(|| Vec::<u8>::new().try_reserve_exact(OF_A_THREAD))
            .map_err(|_| failed("could not begin: there is no memory for a thread"))?;
        std::thread::Builder::new()
            .name("unmixel: work".into())
            .spawn(aside)
            .map_err(|e| failed(&format!("could not begin: {e}")))?;
        loop {
            match told.recv_timeout(EVERY) {
                Ok(result) => return result,
                Err(RecvTimeoutError::Disconnected) => return Err(failed("ended in a panic")),
                Err(RecvTimeoutError::Timeout) if interrupted() => {
                    stop.store(true, Ordering::Relaxed);
                    return Err(Error::Interrupted);
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
    use std::sync::mpsc;

    use super::*;
    use crate::engine::ground::clock::{Duration, Instant};

    #[test]
    fn work_gives_its_result_and_an_interrupt_is_heard_at_once() {
        assert_eq!(unless(&|| false, |_| Ok(3)).unwrap(), 3);
        let asked = AtomicU32::new(0);
        let soon = || asked.fetch_add(1, Ordering::Relaxed) > 1;
        let (tell, told) = mpsc::channel();
        let begin = Instant::now();
        let ended = unless(&soon, move |stop| {
            while !stop() {
                std::thread::sleep(Duration::from_millis(1));
            }
            tell.send(()).unwrap();
            Ok(())
        });
        assert!(matches!(ended, Err(Error::Interrupted)));
        assert!(begin.elapsed() < Duration::from_secs(1));
        // The work was told to stop, too.
        told.recv_timeout(Duration::from_secs(10)).unwrap();
    }

    #[test]
    fn nothing_begins_after_an_interrupt_and_pools_do_their_own_work() {
        static BEGUN: AtomicBool = AtomicBool::new(false);
        let ended = unless(&|| true, |_| {
            BEGUN.store(true, Ordering::Relaxed);
            Ok(())
        });
        assert!(matches!(ended, Err(Error::Interrupted)) && !BEGUN.load(Ordering::Relaxed));
        // A pool of one thread would never end if that thread waited for another one.
        let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        let sum = pool.install(|| {
            use rayon::prelude::*;
            unless(&|| false, |_| Ok((0..100).into_par_iter().sum::<i32>()))
        });
        assert_eq!(sum.unwrap(), 4950);
    }

    #[test]
    #[allow(clippy::panic)] // The panic is what is tested.
    fn a_panic_of_the_work_is_an_error() {
        let ended = unless::<()>(&|| false, |_| panic!("on purpose"));
        assert!(matches!(ended, Err(Error::Fit(_))));
    }
}
