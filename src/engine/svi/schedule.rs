//! The learning rate over a run, and the rule that ends it.

use crate::engine::layout::Params;
use crate::engine::svi::settings::Settings;

/// Full rate, then a cosine down to zero. The descent begins when the ELBO stands still, or early
/// enough to end at the ceiling: a run that stops at full rate leaves the noise of its last steps
/// in the answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Schedule {
    /// Share of the full rate at which it begins.
    full: f64,
    descent_from: u32,
    descent: u32,
    fired: Option<u32>,
}

/// Steps between two looks at the ELBO.
pub(crate) const BLOCK: u32 = 50;
/// Steps of the descent, unless the ceiling leaves less.
const DESCENT: u32 = 1500;
/// Share of the full rate at which a run goes on from a fitted guide: its moments are kept, so that
/// the ELBO does not fall, and what is left to gain is small (docs/evidence.md).
const CONTINUED: f64 = 0.3;
/// Steps of a run that goes on from a fitted guide, at least.
const CONTINUED_STEPS: u32 = 500;
/// Epochs of such a run, at least: pixels see one gradient in each.
const CONTINUED_EPOCHS: u32 = 28;

impl Schedule {
    /// The schedule that settings ask for.
    pub fn of(settings: &Settings, sizes: &Params) -> Self {
        match settings.warm {
            true => Schedule::descent(settings.steps, sizes.batches()),
            false => Schedule::new(settings.steps),
        }
    }

    /// A run of at most `ceiling` steps.
    pub fn new(ceiling: u32) -> Self {
        let descent = DESCENT.min(ceiling.div_ceil(2));
        Schedule { full: 1.0, descent_from: ceiling - descent, descent, fired: None }
    }

    /// A run of at most `ceiling` steps from a guide that has been fitted before: the descent
    /// alone, long enough for pixels, which see one gradient in an epoch of `epoch` steps.
    pub fn descent(ceiling: u32, epoch: u32) -> Self {
        let descent = CONTINUED_STEPS.max(CONTINUED_EPOCHS.saturating_mul(epoch)).min(ceiling);
        Schedule { full: CONTINUED, descent_from: 0, descent, fired: None }
    }

    /// Steps of the run, as far as known.
    pub fn last(&self) -> u32 {
        self.descent_from + self.descent
    }

    /// Where the stopping rule began the descent.
    pub fn cooling_since(&self) -> Option<u32> {
        self.fired
    }

    /// Begins the descent at `step`, unless the ceiling already has.
    pub fn cool_from(&mut self, step: u32) {
        self.fired = Some(step);
        self.descent_from = self.descent_from.min(step);
    }

    /// Share of the full learning rate at `step`.
    pub fn rate(&self, step: u32) -> f64 {
        let into =
            f64::from(step.saturating_sub(self.descent_from)) / f64::from(self.descent.max(1));
        self.full * 0.5 * (1.0 + (std::f64::consts::PI * into.min(1.0)).cos())
    }
}

/// Tells when the ELBO stands still. The notebook's rule (the last 10 losses differ by less than
/// 0.1 %) looks at single losses, whose minibatch noise is larger than that: here means over six
/// medians of blocks.
#[derive(Debug, Clone, Default)]
pub struct Plateau {
    blocks: Vec<f64>,
}

/// A window that gains less than this share of the ELBO, or of one nat a pixel, stands still.
const TOLERANCE: f64 = 0.005;
/// Blocks in a window.
const WINDOW: usize = 6;

impl Plateau {
    /// The rule, for reports.
    pub const RULE: &str = "the last 300 steps are no more than 0.5 % better than the 300 before";

    /// Takes the median ELBO of a block of 50 steps; true when the rule fires.
    pub fn push(&mut self, elbo: f64) -> bool {
        self.blocks.push(elbo);
        let Some(first) = self.blocks.len().checked_sub(2 * WINDOW) else { return false };
        let mean = |blocks: &[f64]| blocks.iter().sum::<f64>() / WINDOW as f64;
        let (before, after) = self.blocks[first..].split_at(WINDOW);
        let (before, after) = (mean(before), mean(after));
        after - before <= TOLERANCE * after.abs().max(1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_goes_down_to_zero_at_the_ceiling() {
        for ceiling in [1, 2, 7, 200, 5000] {
            let schedule = Schedule::new(ceiling);
            assert_eq!(schedule.last(), ceiling);
            assert_eq!(schedule.rate(0), 1.0);
            assert!(schedule.rate(ceiling) < 1e-12);
        }
    }

    #[test]
    fn a_descent_alone_is_as_long_as_pixels_need_and_the_ceiling_allows() {
        for (ceiling, epoch, last) in
            [(5000, 3, 500), (5000, 40, 1120), (5000, 1000, 5000), (7, 1, 7)]
        {
            let schedule = Schedule::descent(ceiling, epoch);
            assert_eq!((schedule.last(), schedule.rate(0)), (last, CONTINUED));
            assert!(schedule.rate(last) < 1e-12 && schedule.rate(1) < CONTINUED);
        }
        assert_eq!(Schedule::descent(5000, u32::MAX).last(), 5000);
    }

    #[test]
    fn the_rule_moves_the_descent_forward_never_back() {
        let mut schedule = Schedule::new(5000);
        schedule.cool_from(700);
        assert_eq!((schedule.last(), schedule.rate(700)), (2200, 1.0));
        let mut late = Schedule::new(4000);
        late.cool_from(3900);
        assert_eq!(late.last(), 4000);
    }

    #[test]
    fn the_rule_fires_on_a_plateau_and_not_on_a_climb() {
        let fires = |values: &[f64]| {
            let mut plateau = Plateau::default();
            values.iter().position(|&v| plateau.push(v))
        };
        assert_eq!(fires(&[100.0; 20]), Some(11));
        // 0.15 % a block are 0.9 % a window; 0.05 % are 0.3 %.
        let climb = |rate: f64| (0..80).map(|i| 100.0 * rate.powi(i)).collect::<Vec<_>>();
        assert_eq!(fires(&climb(1.0015)), None);
        assert_eq!(fires(&climb(1.0005)), Some(11));
        // ELBOs below zero climb towards it.
        assert_eq!(fires(&climb(0.9985).iter().map(|x| -x).collect::<Vec<_>>()), None);
    }
}
