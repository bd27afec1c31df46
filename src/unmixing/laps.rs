//! How long the stages of a fit take.

use crate::engine::ground::clock::Instant;

/// Seconds that stages took, in order.
#[derive(Debug)]
pub(super) struct Laps {
    since: Instant,
    pub(super) seconds: Vec<(String, f64)>,
}

impl Laps {
    /// Stages that go on from earlier ones.
    pub(super) fn after(seconds: Vec<(String, f64)>) -> Self {
        Laps { since: Instant::now(), seconds }
    }

    pub(super) fn lap(&mut self, stage: &str) {
        self.seconds.push((stage.to_owned(), self.since.elapsed().as_secs_f64()));
        self.since = Instant::now();
    }
}
