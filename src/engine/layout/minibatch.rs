//! Which pixels a step draws: whole groups of [`ROW_GROUP`] pixels that follow each other in the
//! cube, so that all a step reads of a pixel lies beside its neighbours', in an order that differs
//! from epoch to epoch. Each group is drawn with the same chance. Pixels of a group should not be
//! neighbours on the ground: see [`crate::engine::pixels::Pixels`].
//!
//! The scene's last group may hold fewer pixels. Steps that draw it count N / B with the fewer B (a
//! ratio estimator: Cochran 1977, "Sampling Techniques", chapter 6), so that its pixels weigh up to
//! 15 / B more than others in what the scene learns, 3 % with 512. Weights of N / B at all steps
//! would have no such bias, and ELBOs that jump by as much.

use super::{Params, ROW_GROUP};
use crate::engine::ground::rng;

impl Params {
    /// Groups of the scene's pixels, the last of which may have room left.
    pub fn scene_groups(&self) -> usize {
        (self.pixels as usize).div_ceil(ROW_GROUP)
    }

    /// Whether every step draws all pixels.
    pub fn whole(&self) -> bool {
        self.groups() == self.scene_groups()
    }

    /// Minibatches of an epoch, at least 1. What does not fill a last one waits for the next epoch,
    /// in another order.
    pub fn batches(&self) -> u32 {
        (self.scene_groups() / self.groups()) as u32
    }

    /// The parameters of a step, counted from 0, that say which pixels it draws. The scene's last
    /// group, which may not be full, takes the minibatch's last places where it is drawn, so that
    /// all places before it are in use.
    pub fn at(self, step: u32) -> Self {
        let (groups, all) = (self.groups() as u32, self.scene_groups() as u32);
        let (epoch, first_group) = (step / self.batches(), step % self.batches() * groups);
        let spare = all * ROW_GROUP as u32 - self.pixels;
        let (last, full) = (groups - 1, groups * ROW_GROUP as u32);
        let place = rng::place_of(self.key(), epoch, all, self.shuffle_bits, all - 1);
        let (odd_group, batch) = match place.checked_sub(first_group) {
            _ if self.whole() => (last, self.pixels),
            Some(place) if place < groups => (place, full - spare),
            _ => (last, full),
        };
        let scale = (f64::from(self.pixels) / f64::from(batch)) as f32;
        Params { step, epoch, first_group, odd_group, batch, scale, ..self }
    }
}

/// Pixels of a minibatch when about `batch` are wanted: whole groups, and no more than there are.
pub(super) fn rounded(batch: usize, pixels: usize) -> usize {
    batch.max(1).checked_next_multiple_of(ROW_GROUP).unwrap_or(pixels).min(pixels)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::model::Model;
    use crate::engine::passes::buffers::Buffers;
    use crate::engine::passes::{sample_globals, sample_pixels};
    use crate::engine::pixels::Cube;
    use std::sync::Arc;

    fn sizes(pixels: usize, batch: usize) -> Params {
        Params::new(&Model::new(2), pixels, 3, batch, 1, 7).unwrap()
    }

    #[test]
    fn a_minibatch_is_whole_groups() {
        for (asked, pixels, given) in [
            (1, 1, 1),
            (1, 40, 16),
            (19, 40, 32),
            (33, 40, 40),
            (usize::MAX, 40, 40),
            (500, 9025, 512),
        ] {
            let p = sizes(pixels, asked);
            assert_eq!((p.batch as usize, p.at(0).groups()), (given, p.groups()));
            assert_eq!(p.scale, pixels as f32 / given as f32);
        }
    }

    #[test]
    fn nothing_to_fit_is_refused() {
        for (k, pixels, bands) in [(2, 0, 3), (2, 5, 0), (0, 5, 3)] {
            let sizes = Params::new(&Model::new(k), pixels, bands, 16, 1, 7);
            assert!(sizes.unwrap_err().to_string().contains("leave nothing to fit"));
        }
    }

    /// Pixels that steps draw.
    fn drawn(sizes: Params, step: u32, b: &mut Buffers<f32>) -> Vec<u32> {
        let p = sizes.at(step);
        sample_globals::run(&p, b);
        sample_pixels::run(&p, b);
        b.pixel_of[..p.batch as usize].to_vec()
    }

    #[test]
    fn an_epoch_draws_each_pixel_once_in_another_order() {
        // Of the last, an epoch leaves out a group, each in its turn.
        for (pixels, batch, left_out) in
            [(64, 16, 0), (72, 16, 0), (65, 65, 0), (9, 4, 0), (72, 32, 1)]
        {
            let p = sizes(pixels, batch);
            let mut b = Buffers::new(&p, Arc::new(Cube::zeros(pixels, 3)));
            let mut orders = std::collections::HashSet::new();
            let mut visits = vec![0; pixels];
            for epoch in 0..10 {
                let steps = epoch * p.batches()..(epoch + 1) * p.batches();
                let order: Vec<u32> = steps.flat_map(|step| drawn(p, step, &mut b)).collect();
                order.iter().for_each(|&pixel| visits[pixel as usize] += 1);
                let unique: std::collections::HashSet<_> = order.iter().copied().collect();
                assert_eq!(unique.len(), order.len());
                assert!(pixels - order.len() <= left_out * ROW_GROUP);
                orders.insert(order);
            }
            assert!(visits.iter().all(|&n| n > 0 && (left_out > 0 || n == 10)), "{visits:?}");
            assert_eq!(orders.len() > 5, !p.whole());
        }
    }

    #[test]
    fn every_group_is_drawn_as_often() {
        let (p, steps) = (sizes(72, 32), 4000);
        let mut b = Buffers::new(&p, Arc::new(Cube::zeros(72, 3)));
        let mut count = [0.0; 72];
        for step in 0..steps {
            drawn(p, step, &mut b).iter().for_each(|&pixel| count[pixel as usize] += 1.0);
        }
        // 2 of 5 groups a step, 4 of 5 an epoch: five standard errors of a binomial of 2,000
        // epochs.
        let (expected, sd) = (0.8 * 2000.0, (2000.0f64 * 0.8 * 0.2).sqrt());
        assert!(count.iter().all(|n: &f64| (n - expected).abs() < 5.0 * sd), "{count:?}");
    }
}
