//! Pixels of which none is purer than some bound: what the Dirichlet of the abundances does not
//! know. A sparse one expects pure pixels; where there are none, a Dirichlet that expects few
//! traces is more probable, although traces are as many as the sparse one has them.

use statrs::function::beta::checked_beta_reg;

use super::group::Group;
use crate::engine::ground::lanes::LANES;

/// Bounds of an abundance. At least one half: a pixel is purer than the bound of one endmember at
/// most. The last one bounds nothing.
const BOUNDS: [f64; 11] = [0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 1.0];
/// Share of the pixels that may be of any purity: a single one is no reason to have no bound.
const ANY: f64 = 0.005;
/// Rounds over the endmembers, of which each takes its best bound given the others.
const ROUNDS: usize = 3;

/// How probable it is that each pixel is purer than each bound.
pub(super) struct Purity {
    k: usize,
    /// Of each endmember, (N, K, bounds).
    above: Vec<f32>,
}

impl Purity {
    pub(super) fn new(k: usize) -> Self {
        Purity { k, above: Vec::new() }
    }

    /// Adds the pixels of a group, whose amounts were drawn: in each pixel's own order, (draws, K,
    /// LANES), with weights of sum one, (draws, LANES).
    pub(super) fn add(&mut self, group: &Group, amounts: &[f32], weights: &[f32]) {
        let k = self.k;
        for lane in 0..group.rows {
            let first = self.above.len();
            self.above.resize(first + k * BOUNDS.len(), 0.0);
            let above = &mut self.above[first..];
            let rows = amounts.chunks_exact(k * LANES).zip(weights.chunks_exact(LANES));
            for (u, weight) in rows {
                let at = |a: usize| u[a * LANES + lane];
                let total: f32 = (0..k).map(at).sum();
                let most = (0..k).max_by(|&a, &b| at(a).total_cmp(&at(b))).unwrap_or(0);
                let share = f64::from(at(most) / total);
                let of = usize::from(group.order[most][lane]) * BOUNDS.len();
                let purer = BOUNDS.iter().take_while(|&&bound| share > bound).count();
                above[of..of + purer].iter_mut().for_each(|above| *above += weight[lane]);
            }
        }
    }

    /// Adds other pixels after these.
    pub(super) fn append(&mut self, others: Purity) {
        self.above.extend(others.above);
    }

    /// What bounds add to the log density of each pixel, nats, those that make all of them most
    /// probable; `dirichlet` are the parameters a of the abundances', (K). With bounds c it is
    ///
    /// (1 - e) Dir(w; a) [no w_k > c_k] / Z + e Dir(w; a),  Z = 1 - Σ_k P(w_k > c_k)
    ///
    /// of which the tails are those of Beta(a_k, Σ a - a_k).
    pub(super) fn gains(&self, dirichlet: &[f32]) -> Vec<f64> {
        let (k, none) = (self.k, BOUNDS.len() - 1);
        let total: f64 = dirichlet.iter().map(|&a| f64::from(a)).sum();
        let tail = |i: usize, bound: usize| {
            let own = f64::from(dirichlet[i]);
            checked_beta_reg(total - own, own, 1.0 - BOUNDS[bound]).unwrap_or(0.0)
        };
        let gains = |bounds: &[usize]| -> Vec<f64> {
            let outside = (0..k).map(|i| tail(i, bounds[i])).sum::<f64>();
            // All but nothing of a very sparse one may lie inside.
            let inside = (1.0 - outside).max(f64::EPSILON);
            let gain = |above: &[f32]| {
                let purer = (0..k).map(|i| f64::from(above[i * BOUNDS.len() + bounds[i]]));
                let not_purer = (1.0 - purer.sum::<f64>()).max(0.0);
                ((1.0 - ANY) * not_purer / inside + ANY).ln()
            };
            self.above.chunks_exact(k * BOUNDS.len()).map(gain).collect()
        };
        let sum = |bounds: &[usize]| gains(bounds).iter().sum::<f64>();
        let mut best = vec![none; k];
        let mut highest = 0.0;
        for i in (0..ROUNDS).flat_map(|_| 0..k) {
            for bound in 0..=none {
                let mut bounds = best.clone();
                bounds[i] = bound;
                let found = sum(&bounds);
                if found > highest {
                    (highest, best) = (found, bounds);
                }
            }
        }
        gains(&best)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{SeedableRng, rngs::ChaCha8Rng};
    use rand_distr::{Distribution, Gamma};

    const K: usize = 3;

    /// Abundances of a Dirichlet whose parameters are all `a`, none above `most`.
    fn shares(a: f64, most: f64, count: usize) -> Vec<[f64; K]> {
        let mut random = ChaCha8Rng::seed_from_u64(7);
        let gamma = Gamma::new(a, 1.0).expect("a is positive");
        let mut draw = move || {
            let u: [f64; K] = std::array::from_fn(|_| gamma.sample(&mut random));
            let total: f64 = u.iter().sum();
            u.map(|u| u / total)
        };
        std::iter::from_fn(|| Some(draw()))
            .filter(|w| w.iter().all(|w| *w <= most))
            .take(count)
            .collect()
    }

    /// Pixels whose abundances are known.
    fn known(shares: &[[f64; K]]) -> Purity {
        let above = |w: &f64| BOUNDS.map(|bound| f32::from(u8::from(*w > bound)));
        Purity { k: K, above: shares.iter().flatten().flat_map(above).collect() }
    }

    fn mean(of: &[f64]) -> f64 {
        of.iter().sum::<f64>() / of.len() as f64
    }

    /// Where none is purer than 0.8, bounds gain what a Dirichlet has above them.
    #[test]
    fn bounds_gain_what_lies_above_them() {
        let all = shares(0.2, 1.0, 20_000);
        let inside = all.iter().filter(|w| w.iter().all(|w| *w <= 0.8)).count() as f64;
        let gain = mean(&known(&shares(0.2, 0.8, 2000)).gains(&[0.2; K]));
        let expected = (all.len() as f64 / inside).ln();
        // The share inside is known to a hundredth of itself, and one pixel in 200 is any.
        assert!((gain - expected).abs() < 0.03, "{gain} for {expected}");
        assert!(gain > 0.7, "{gain}");
    }

    #[test]
    fn pure_pixels_and_a_pixel_of_any_purity() {
        // As the Dirichlet has them: there is no bound.
        let gain = mean(&known(&shares(0.2, 1.0, 2000)).gains(&[0.2; K]));
        assert!(gain < 0.005, "{gain}");
        // One of 500 is pure: it has what bounds cost, and the others gain as before.
        let mut some = shares(0.2, 0.8, 500);
        some[17] = [1.0, 0.0, 0.0];
        let gains = known(&some).gains(&[0.2; K]);
        assert!((gains[17] - ANY.ln()).abs() < 1e-9, "{}", gains[17]);
        assert!(mean(&gains) > 0.7, "{}", mean(&gains));
        // A flat one has few pixels there anyway.
        let flat = mean(&known(&shares(0.2, 0.8, 2000)).gains(&[1.0; K]));
        assert!(flat < 0.15, "{flat}");
        // One so sparse that next to nothing of it lies inside, one of an endmember, and no pixels.
        let sparse = known(&shares(0.2, 0.8, 50)).gains(&[1e-9; K]);
        assert!(sparse.iter().all(|gain| gain.is_finite()), "{sparse:?}");
        let one =
            Purity { k: 1, above: vec![1.0; BOUNDS.len() - 1].into_iter().chain([0.0]).collect() };
        assert_eq!(one.gains(&[0.2]), [0.0]);
        assert_eq!(known(&[]).gains(&[0.2; K]), [0.0; 0]);
    }
}
