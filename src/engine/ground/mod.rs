//! What everything stands on: errors, mathematics, random numbers, vectors, pages of memory.

pub mod error;
pub(crate) mod lanes;
pub mod math;
pub mod pages;
pub mod rng;
