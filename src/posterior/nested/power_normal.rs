//! Draws from the power normal, `x^(a - 1) exp(-(x - m)^2 / (2 s^2))` for x > 0: the posterior of
//! an amount of which the Dirichlet expects little, under a Gaussian likelihood (the modified
//! half-normal; Sun, Kong and Pal 2023).

/// Tables of power normals with one exponent a > 0, by their mean in sds.
#[derive(Debug, Clone)]
pub(super) struct PowerNormal {
    exponent: f64,
    tables: Vec<Table>,
}

/// One drawn value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Drawn {
    pub(super) value: f64,
    /// Logarithm of the value, also where the value underflows to zero.
    pub(super) log: f64,
    /// Log density of the logarithm under the tables that it is drawn from: they are close to the
    /// power normal, and weights make up for the rest.
    pub(super) density: f64,
}

/// A table of quantiles: inside each cell the logarithm is linear in the probability.
#[derive(Debug, Clone)]
struct Table {
    edges: Vec<f64>,
    /// Log density of the logarithm in each cell.
    densities: Vec<f64>,
}

/// Means beyond so many sds, either way, use the last table.
const FAR: f64 = 12.0;
/// Tables to one sd of the mean.
const FINE: f64 = 8.0;
/// Cells of equal probability.
const CELLS: usize = 128;
/// How often the last cell is halved: it holds the tail to the right, down to a probability of
/// 5e-10.
const HALVINGS: usize = 24;
/// The least probability, as a share of a cell: every one that 32 bits give is larger.
const LEAST: f64 = 1e-9;
/// Points of the integral behind a table.
const GRID: usize = 1000;

impl PowerNormal {
    pub(super) fn new(exponent: f64) -> Self {
        let count = (2.0 * FAR * FINE) as usize + 1;
        let tables = (0..count).map(|i| Table::new(exponent, i as f64 / FINE - FAR)).collect();
        PowerNormal { exponent, tables }
    }

    /// The value at a probability, 0 to 1, for a mean and an sd > 0.
    pub(super) fn draw(&self, mean: f64, sd: f64, probability: f64) -> Drawn {
        let ratio = mean / sd;
        if ratio > FAR {
            // The power is flat there: a normal, as in the last table but for its place.
            let last = self.tables.len() - 1;
            let (log, density) = self.tables[last].at(self.exponent, probability);
            let log = log + sd.ln();
            let value = log.exp() + mean - FAR * sd;
            return Drawn { value, log: value.ln(), density: density + value.ln() - log };
        }
        // Far below zero only the slope at zero counts, mean / sd^2.
        let (table, scale) = match ratio < -FAR {
            true => (0, sd * FAR / -ratio),
            false => (((ratio + FAR) * FINE).round() as usize, sd),
        };
        let (log, density) = self.tables[table].at(self.exponent, probability);
        let log = log + scale.ln();
        Drawn { value: log.exp(), log, density }
    }
}

impl Table {
    /// For sd 1. The density of y = log x is `exp(a y - (e^y - m)^2 / 2)`; left of the grid it is
    /// e^(a y).
    fn new(a: f64, mean: f64) -> Self {
        let height = |y: f64| a * y - 0.5 * (y.exp() - mean).powi(2);
        let first = (1e-3 / (1.0 + mean.abs())).ln();
        let last = (mean.max(0.0) + a.sqrt() + 9.0).ln();
        let width = (last - first) / GRID as f64;
        let middles: Vec<f64> =
            (0..GRID).map(|i| height(first + (i as f64 + 0.5) * width)).collect();
        let top = middles.iter().copied().fold(height(first), f64::max);
        let mut total = (height(first) - top).exp() / a;
        let mut below = vec![total];
        for middle in middles {
            total += width * (middle - top).exp();
            below.push(total);
        }
        let quantile = |p: f64| -> f64 {
            let wanted = p * total;
            if wanted <= below[0] {
                return first + (wanted / below[0]).ln() / a;
            }
            let i = below.partition_point(|sum| *sum < wanted).min(GRID);
            let inside = (wanted - below[i - 1]) / (below[i] - below[i - 1]);
            first + width * (i as f64 - 1.0 + inside)
        };
        let probabilities: Vec<f64> = (1..CELLS)
            .map(|i| i as f64 / CELLS as f64)
            .chain((1..=HALVINGS).map(|i| 1.0 - 0.5f64.powi(i as i32) / CELLS as f64))
            .chain([1.0])
            .collect();
        let mut edges: Vec<f64> = probabilities.iter().map(|&p| quantile(p)).collect();
        for i in 1..edges.len() {
            // Rounding must not make a cell empty.
            edges[i] = edges[i].max(edges[i - 1] + 1e-9);
        }
        let densities = (1..edges.len())
            .map(|i| ((probabilities[i] - probabilities[i - 1]) / (edges[i] - edges[i - 1])).ln())
            .collect();
        Table { edges, densities }
    }

    /// Logarithm at a probability, and its log density.
    fn at(&self, a: f64, probability: f64) -> (f64, f64) {
        let place = probability * CELLS as f64;
        if place < 1.0 {
            let place = place.max(LEAST);
            return (self.edges[0] + place.ln() / a, (a * place / CELLS as f64).ln());
        }
        let left = CELLS as f64 - place;
        let (cell, inside) = if left > 1.0 {
            (place as usize - 1, place.fract())
        } else {
            let halving = (-left.max(LEAST).log2()).floor().min(HALVINGS as f64);
            let within = 1.0 - left * halving.exp2();
            let last = halving == HALVINGS as f64;
            (CELLS - 2 + halving as usize, if last { within } else { 2.0 * within })
        };
        let (low, high) = (self.edges[cell], self.edges[cell + 1]);
        (low + inside.clamp(0.0, 1.0) * (high - low), self.densities[cell])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Mean of x under the density, by a fine sum over log x.
    fn integrated(a: f64, mean: f64, sd: f64) -> f64 {
        let (mut total, mut sum) = (0.0, 0.0);
        for i in 0..410_000 {
            // Left of it are e^(-0.05 400) of the smallest power.
            let y = -400.0 + f64::from(i) * 1e-3;
            let x = y.exp();
            let density = (a * y - 0.5 * ((x - mean) / sd).powi(2)).exp();
            total += density;
            sum += density * x;
        }
        sum / total
    }

    /// The mean of values at evenly spaced probabilities, weighted or as they come.
    fn drawn(a: f64, mean: f64, sd: f64, weighted: bool) -> f64 {
        let power = PowerNormal::new(a);
        let (mut total, mut sum) = (0.0, 0.0);
        for i in 0..20_000 {
            let x = power.draw(mean, sd, (i as f64 + 0.5) / 20_000.0);
            let log = a * x.log - 0.5 * ((x.value - mean) / sd).powi(2) - x.density;
            let weight = if weighted { log.exp() } else { 1.0 };
            total += weight;
            sum += weight * x.value;
        }
        sum / total
    }

    #[test]
    fn weighted_draws_have_the_mean_of_the_density_and_others_nearly() {
        for (a, mean, sd) in [
            (0.2, 0.3, 0.1),
            (0.2, -0.5, 0.1),
            (0.05, 0.02, 0.1),
            (3.0, 0.1, 0.2),
            (1.0, 1.0, 0.05),
        ] {
            let truth = integrated(a, mean, sd);
            let weighted = drawn(a, mean, sd, true);
            // Evenly spaced probabilities: cells hold 156 points each, so sums are good to a
            // thousandth.
            assert!((weighted / truth - 1.0).abs() < 2e-3, "{a} {mean} {sd}: {weighted} {truth}");
            // The nearest table is 1/16 sd off, which moves a mean by 1/16 sd or its share at most.
            let plain = drawn(a, mean, sd, false);
            assert!((plain / truth - 1.0).abs() < 0.08, "{a} {mean} {sd}: {plain} {truth}");
        }
        // What a wrong exponent gives.
        assert!((drawn(0.3, 0.02, 0.1, true) / integrated(0.2, 0.02, 0.1) - 1.0).abs() > 0.1);
    }

    #[test]
    fn ends_of_the_probabilities_and_far_means_are_finite() {
        let power = PowerNormal::new(0.02);
        for mean in [-1e6, -1.0, 0.0, 1.0, 1e6] {
            for probability in [0.0, 1e-300, 0.5, 1.0 - f64::EPSILON, 1.0] {
                let x = power.draw(mean, 0.01, probability);
                assert!(x.value.is_finite() && x.value >= 0.0, "{mean} {probability} {x:?}");
                assert!(x.log.is_finite() && x.density.is_finite(), "{mean} {probability} {x:?}");
            }
        }
    }
}
