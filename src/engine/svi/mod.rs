//! Stochastic variational inference: the loop around the passes.

pub mod checkpoint;
pub mod held;
pub mod run;
pub mod schedule;
pub mod settings;
mod track;

pub use checkpoint::{Checkpoint, Head};
pub use held::{HeldCube, WhyHeld};
pub use run::{Outcome, Progress, Run, Stop, fit, fit_all};
pub(crate) use settings::{Before, at_step};
pub use settings::{LOCAL_RATE, Settings, check, params};
pub use track::median_of_last;
