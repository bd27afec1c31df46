//! The learning rate over a run, and the rule that ends it.

/// Full rate, then a cosine down to zero. The descent begins when the ELBO stands still, or early
/// enough to end at the ceiling: a run that stops at full rate leaves the noise of its last steps in
/// the answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    descent_from: u32,
    descent: u32,
    fired: Option<u32>,
}

/// Steps of the descent, unless the ceiling leaves less.
const DESCENT: u32 = 500;

impl Schedule {
    /// A run of at most `ceiling` steps.
    pub fn new(ceiling: u32) -> Self {
        let descent = DESCENT.min(ceiling.div_ceil(2));
        Schedule { descent_from: ceiling - descent, descent, fired: None }
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
        0.5 * (1.0 + (std::f64::consts::PI * into.min(1.0)).cos())
    }
}

/// Tells when the ELBO stands still. The notebook's rule (the last 10 losses differ by less than
/// 0.1 %) looks at single losses, whose minibatch noise is larger than that: here medians of blocks.
#[derive(Debug, Clone, Default)]
pub struct Plateau {
    best: Option<f64>,
    still: u32,
}

/// A block that gains less than this share of the ELBO stands still.
const TOLERANCE: f64 = 1e-3;
/// Blocks in a row that have to stand still.
const PATIENCE: u32 = 4;

impl Plateau {
    /// The rule, for reports.
    pub const RULE: &str =
        "4 blocks of 50 steps in a row, none with a median better than the best before it by 0.1 %";

    /// Takes the median ELBO of a block; true when the rule fires.
    pub fn push(&mut self, elbo: f64) -> bool {
        let gained = self.best.is_none_or(|best| elbo - best > TOLERANCE * elbo.abs());
        self.still = if gained { 0 } else { self.still + 1 };
        if self.best.is_none_or(|best| elbo > best) {
            self.best = Some(elbo);
        }
        self.still >= PATIENCE
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
    fn the_rule_moves_the_descent_forward_never_back() {
        let mut schedule = Schedule::new(5000);
        schedule.cool_from(700);
        assert_eq!((schedule.last(), schedule.rate(700)), (1200, 1.0));
        let mut late = Schedule::new(1000);
        late.cool_from(900);
        assert_eq!(late.last(), 1000);
    }

    #[test]
    fn the_rule_fires_on_a_plateau_and_not_on_a_climb() {
        let fires = |values: &[f64]| {
            let mut plateau = Plateau::default();
            values.iter().position(|&v| plateau.push(v))
        };
        assert_eq!(fires(&[100.0; 9]), Some(4));
        let climb: Vec<f64> = (0..50).map(|i| 100.0 * 1.002f64.powi(i)).collect();
        assert_eq!(fires(&climb), None);
        // A slow climb within the tolerance of each block counts against the best before it.
        let negative: Vec<f64> = (0..50).map(|i| -100.0 * 0.995f64.powi(i)).collect();
        assert_eq!(fires(&negative), None);
    }
}
