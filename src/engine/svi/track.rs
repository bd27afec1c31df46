//! What the host keeps of a fit while its state is on a device.

use crate::engine::ground::math::median;
use crate::engine::guide::{self, Guide};
use crate::engine::layout::Params;
use crate::engine::svi::schedule::BLOCK;

/// One fit of a run.
pub(super) struct Track {
    pub prior_centre: Vec<f32>,
    /// What the device leaves out of every ELBO.
    constant: f64,
    pixels: f64,
    /// ELBO of each step as the device gives it.
    pub elbo: Vec<f32>,
    /// Steps that were not finite: before the device was opened, and since.
    pub skipped: (u32, u32),
}

impl Track {
    /// A fit of these sizes before its first step.
    pub fn new(sizes: &Params, guide: &Guide) -> Self {
        Track {
            prior_centre: guide.prior_centre.clone(),
            constant: guide::elbo_constant(sizes, &guide.model, &guide.prior_centre),
            pixels: f64::from(sizes.pixels),
            elbo: Vec::new(),
            skipped: (0, 0),
        }
    }

    /// Steps that were not finite.
    pub fn skipped(&self) -> u32 {
        self.skipped.0.saturating_add(self.skipped.1)
    }

    /// ELBO a pixel of every step, nats, all constants included.
    pub fn trace(&self) -> Vec<f64> {
        self.elbo.iter().map(|&elbo| self.a_pixel(elbo)).collect()
    }

    /// Median ELBO a pixel of some steps, nats; none when none is finite.
    pub fn median(&self, first: usize, last: usize) -> Option<f64> {
        let of_block: Vec<f64> =
            self.elbo[first..last].iter().map(|&elbo| self.a_pixel(elbo)).collect();
        median_finite(&of_block)
    }

    fn a_pixel(&self, elbo: f32) -> f64 {
        (f64::from(elbo) + self.constant) / self.pixels
    }
}

/// The median ELBO of the last block of steps; none where none is finite.
pub fn median_of_last(trace: &[f64]) -> Option<f64> {
    median_finite(&trace[trace.len().saturating_sub(BLOCK as usize)..])
}

/// The median, not the mean: a draw from the tail of a narrow guide can cost hundreds of nats.
fn median_finite(values: &[f64]) -> Option<f64> {
    median(values.iter().copied().filter(|x| x.is_finite()).collect())
}
