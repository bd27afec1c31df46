//! The one place from which the library has the time: a browser has a clock of its own, and the one
//! of the standard library ends a program there.

pub use std::time::Duration;

pub use web_time::Instant;

/// Seconds since `begin`.
pub fn seconds_since(begin: Instant) -> f64 {
    begin.elapsed().as_secs_f64()
}
