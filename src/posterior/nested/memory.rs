//! What steps tell of a curvature: the method of limited memory of Broyden, Fletcher, Goldfarb and
//! Shanno (Nocedal 1980, "Updating quasi-Newton matrices with limited storage", Mathematics of
//! Computation 35), from a curvature that is computed but for noise. Where pixels are mixed, nearly
//! all that they say of the shape of the simplex is lost with their amounts; what must then be
//! added to the curvature makes steps short along a few directions, which are those that matter.

use std::collections::VecDeque;

use nalgebra::DVector;

/// Steps that are remembered: as many directions have a curvature of their own. Each costs four
/// products of vectors a step.
const REMEMBERED: usize = 8;
/// The least that the slope along a step falls by, as a share of what the curvature had foretold:
/// the next step along it is at most so many times longer (Powell 1978, "A fast algorithm for
/// nonlinearly constrained optimization calculations"). Of a short step the fall is half noise.
const LEAST_FALL: f64 = 0.3;

/// The last steps, and by how much the slope fell along each.
#[derive(Debug, Default)]
pub(super) struct Memory {
    steps: VecDeque<(DVector<f64>, DVector<f64>)>,
}

impl Memory {
    /// Forgets all; whether there was anything.
    pub(super) fn clear(&mut self) -> bool {
        let any = !self.steps.is_empty();
        self.steps.clear();
        any
    }

    /// Remembers that a step led from one slope to another. What leads nowhere is not remembered.
    pub(super) fn add(&mut self, step: DVector<f64>, from: &DVector<f64>, to: &DVector<f64>) {
        let foretold = step.dot(from);
        let mut fell = from - to;
        let share = step.dot(&fell) / foretold;
        if !(foretold > 0.0 && share.is_finite()) {
            return;
        }
        if share < LEAST_FALL {
            let part = (1.0 - LEAST_FALL) / (1.0 - share);
            fell.axpy(1.0 - part, from, part);
        }
        if self.steps.len() == REMEMBERED {
            self.steps.pop_front();
        }
        self.steps.push_back((step, fell));
    }

    /// The step from a place of this slope; `solve` divides by the curvature that is known.
    pub(super) fn step(
        &self,
        slope: &DVector<f64>,
        solve: impl Fn(&DVector<f64>) -> DVector<f64>,
    ) -> DVector<f64> {
        let mut left = slope.clone();
        let mut shares = Vec::with_capacity(self.steps.len());
        for (step, fell) in self.steps.iter().rev() {
            let share = step.dot(&left) / step.dot(fell);
            left.axpy(-share, fell, 1.0);
            shares.push(share);
        }
        let mut found = solve(&left);
        for ((step, fell), share) in self.steps.iter().zip(shares.into_iter().rev()) {
            let back = fell.dot(&found) / step.dot(fell);
            found.axpy(share - back, step, 1.0);
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: usize = 12;

    /// A parabola whose curvature along some directions is far below what is known of it.
    fn slope(at: &DVector<f64>) -> DVector<f64> {
        DVector::from_fn(SIZE, |i, _| {
            let curvature = if i < 4 { 0.02 * (i + 1) as f64 } else { 1.0 };
            curvature * (i as f64 - at[i])
        })
    }

    /// How far from the top so many steps end.
    fn off(steps: usize, remembers: bool) -> f64 {
        let mut at = DVector::from_element(SIZE, 5.0);
        let mut memory = Memory::default();
        for _ in 0..steps {
            let from = slope(&at);
            let step = memory.step(&from, |slope| slope / 1.3);
            at += &step;
            if remembers {
                memory.add(step, &from, &slope(&at));
            }
        }
        DVector::from_fn(SIZE, |i, _| i as f64 - at[i]).norm()
    }

    #[test]
    fn steps_that_fall_short_become_longer() {
        assert!(off(30, true) < 1e-2, "{}", off(30, true));
        // Without a memory four directions have hardly begun.
        assert!(off(30, false) > 3.0, "{}", off(30, false));
    }

    #[test]
    fn a_step_after_which_the_slope_rises_is_repeated_three_times_as_long_at_most() {
        let (from, to) = (DVector::from_element(1, 2.0), DVector::from_element(1, 3.0));
        let mut memory = Memory::default();
        memory.add(DVector::from_element(1, 2.0), &from, &to);
        let found = memory.step(&from, |slope| slope.clone());
        assert!((found[0] - 2.0 / LEAST_FALL).abs() < 1e-9, "{}", found[0]);
        // One that leads down, and one that is no number, are not remembered.
        assert!(memory.clear() && !memory.clear());
        memory.add(DVector::from_element(1, -2.0), &from, &to);
        memory.add(DVector::from_element(1, f64::NAN), &from, &to);
        assert!(!memory.clear());
    }
}
