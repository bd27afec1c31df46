//! What all pixels of a scene say together, gathered block by block.

use std::collections::BinaryHeap;

use ndarray::Array2;

use super::Posterior;
use super::doubts::{Doubt, doubts};
use super::nested::WORTH;

/// Sums and extremes over the pixels of a scene.
#[derive(Debug, Clone)]
pub struct Totals {
    pixels: usize,
    sums: Vec<f64>,
    /// Sum of the variances of all abundances.
    variance: f64,
    largest: Vec<f32>,
    few: usize,
    /// The lowest effective sample sizes, as bits, the largest of them on top; one in a hundred of
    /// the pixels that are expected.
    worth: BinaryHeap<u32>,
    most: usize,
}

impl Totals {
    /// Of a scene of so many pixels, all of which are expected, and endmembers.
    pub fn new(pixels: usize, endmembers: usize) -> Self {
        Totals {
            pixels: 0,
            sums: vec![0.0; endmembers],
            variance: 0.0,
            largest: vec![0.0; endmembers],
            few: 0,
            worth: BinaryHeap::new(),
            most: pixels / 100 + 1,
        }
    }

    /// Takes in some pixels.
    pub fn add(&mut self, found: &Posterior) {
        self.pixels += found.abundance_mean.nrows();
        for row in found.abundance_mean.outer_iter() {
            for ((sum, most), w) in self.sums.iter_mut().zip(&mut self.largest).zip(row) {
                *sum += f64::from(*w);
                *most = most.max(*w);
            }
        }
        // One after the other, so that the sum has the same bits however pixels come in blocks.
        found.abundance_sd.iter().for_each(|&sd| self.variance += f64::from(sd).powi(2));
        for &worth in found.draws_worth.iter().flatten() {
            self.few += usize::from(worth < WORTH && worth > 0.0);
            // Of numbers that are not negative the bits have the same order.
            let bits = worth.max(0.0).to_bits();
            if self.worth.len() < self.most {
                self.worth.push(bits);
            } else if let Some(mut top) = self.worth.peek_mut()
                && bits < *top
            {
                *top = bits;
            }
        }
    }

    /// Number of pixels so far.
    pub fn pixels(&self) -> usize {
        self.pixels
    }

    /// Mean abundances, (K); NaN where there are no pixels.
    pub fn mean_abundance(&self) -> Vec<f64> {
        self.sums.iter().map(|sum| sum / self.pixels as f64).collect()
    }

    /// Root of the mean variance of all abundances: the error that the posterior states; NaN where
    /// there are no pixels, or they have no variance.
    pub fn stated(&self) -> f64 {
        (self.variance / (self.pixels * self.sums.len()) as f64).sqrt()
    }

    /// The largest mean abundance of each endmember, (K).
    pub fn largest(&self) -> &[f32] {
        &self.largest
    }

    /// Pixels whose weighted draws are worth fewer than [`WORTH`] independent ones.
    pub fn few(&self) -> usize {
        self.few
    }

    /// How many draws the weighted ones of a pixel are worth: the least, and what 99 % of all
    /// pixels have; none where they have no draws.
    pub fn worth(&self) -> (Option<f32>, Option<f32>) {
        let worth = self.worth.clone().into_sorted_vec();
        let at = |place: usize| worth.get(place).map(|&bits| f32::from_bits(bits));
        (at(0), at(self.pixels / 100).or_else(|| at(worth.len().saturating_sub(1))))
    }

    /// Endmembers that are none, of these spectra.
    pub fn doubts(&self, of: &Posterior) -> Vec<Doubt> {
        let largest = Array2::from_shape_fn((1, self.largest.len()), |(_, k)| self.largest[k]);
        doubts(of.endmember_mean.view(), largest.view())
    }
}
