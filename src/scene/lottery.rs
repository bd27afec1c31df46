//! Pixels drawn by lot while all of them pass by, however many come.

use std::collections::BinaryHeap;

/// Draws pixels by lot: those with the lowest of pseudo-random keys, which follow from a seed and
/// from the pixel's number alone. So every pixel has the same chance, nobody has to know how many
/// there are, and it does not matter in which blocks they come.
#[derive(Debug, Clone)]
pub struct Lottery {
    most: usize,
    seed: u64,
    /// Key, number and slot of those drawn so far, the highest key on top.
    drawn: BinaryHeap<(u64, usize, usize)>,
}

impl Lottery {
    /// Draws at most `most` pixels.
    pub fn new(most: usize, seed: u64) -> Self {
        Lottery { most, seed, drawn: BinaryHeap::new() }
    }

    /// Whether the pixel of this number is drawn, so far: the slot that it takes, from 0 to below
    /// `most`. Whoever has the slot gives way.
    pub fn draw(&mut self, number: usize) -> Option<usize> {
        let key = key(self.seed, number as u64);
        if self.drawn.len() < self.most {
            let slot = self.drawn.len();
            self.drawn.push((key, number, slot));
            return Some(slot);
        }
        let mut top = self.drawn.peek_mut()?;
        if (key, number) >= (top.0, top.1) {
            return None;
        }
        let slot = top.2;
        *top = (key, number, slot);
        Some(slot)
    }

    /// Number and slot of each pixel that is drawn, numbers ascending.
    pub fn slots(&self) -> Vec<(usize, usize)> {
        let mut slots: Vec<(usize, usize)> = self.drawn.iter().map(|d| (d.1, d.2)).collect();
        slots.sort_unstable();
        slots
    }
}

/// SplitMix64 (Steele, Lea and Flood 2014, OOPSLA), at the place of a number in the stream of a
/// seed.
fn key(seed: u64, number: u64) -> u64 {
    let mix = |mut z: u64| {
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    };
    let gamma = 0x9e37_79b9_7f4a_7c15u64;
    mix(mix(seed.wrapping_add(gamma)).wrapping_add(gamma.wrapping_mul(number.wrapping_add(1))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pixel_has_the_same_chance() {
        // Of 1,000 pixels 100, 400 times: each is drawn 40 times, give or take 6.
        let mut times = vec![0; 1000];
        for seed in 0..400 {
            let mut lottery = Lottery::new(100, seed);
            (0..1000).for_each(|number| {
                lottery.draw(number);
            });
            let slots = lottery.slots();
            assert_eq!(slots.len(), 100);
            assert!(slots.windows(2).all(|pair| pair[0].0 < pair[1].0));
            let mut places: Vec<usize> = slots.iter().map(|s| s.1).collect();
            places.sort_unstable();
            assert_eq!(places, (0..100).collect::<Vec<_>>());
            slots.iter().for_each(|&(number, _)| times[number] += 1);
        }
        // Beyond five sds there is none of 1,000.
        assert!(times.iter().all(|&n| (10..=70).contains(&n)), "{times:?}");
        let square: f64 = times.iter().map(|&n| f64::from(n - 40).powi(2)).sum();
        // 36 a pixel, with a relative error of 0.045.
        assert!((square / 36_000.0 - 1.0).abs() < 0.2, "{square}");
    }

    #[test]
    fn slots_hold_what_was_drawn_last() {
        let mut lottery = Lottery::new(7, 3);
        let mut held = [usize::MAX; 7];
        (0..500).for_each(|number| {
            if let Some(slot) = lottery.draw(number) {
                held[slot] = number;
            }
        });
        assert!(lottery.slots().iter().all(|&(number, slot)| held[slot] == number));
        assert_eq!(Lottery::new(0, 0).draw(1), None);
    }
}
