//! What everything stands on: errors, time, mathematics, random numbers, samples, vectors, pages of
//! memory.

pub mod clock;
pub mod error;
pub mod files;
pub mod half;
pub mod interrupt;
pub(crate) mod lanes;
pub mod math;
pub mod pages;
pub mod rng;
pub(crate) mod sample;
pub mod setting;
pub mod spare;
