//! Abundances of a scene that one mixture fills but for some squares.

use ndarray::{Array3, s};
use rand::{Rng, RngExt};

use super::dirichlet;
use super::maps::MOST_WITHOUT_PURE;

/// Squares along the longer side, and rows and columns of the grid that a square takes the middle
/// of: a tenth of the pixels where the grid fits.
const GRID: usize = 5;
/// Side of a square, as a share of its cell.
const SIDE: f64 = 0.33;
/// Shares of the one mixture that its main materials have together, at most: none is nearly alone.
const MAIN: f64 = 0.6;

/// Abundances (rows, cols, K), each pixel on the simplex, and for each endmember a pixel of its
/// square. With `pure` each endmember has a square of its own, as far as there are squares; without
/// no abundance exceeds 0.8 or 1 / K.
pub fn abundances(
    size: (usize, usize),
    k: usize,
    pure: bool,
    rng: &mut impl Rng,
) -> (Array3<f64>, Vec<usize>) {
    let most = MOST_WITHOUT_PURE.max(1.0 / k as f64);
    // The mixture of the scene: of all materials, none nearly alone.
    let common = mixture(k, MAIN.max(1.5 / k as f64), 3.0, rng);
    let mut shares = Array3::from_shape_fn((size.0, size.1, k), |(_, _, i)| common[i]);
    let (down, across) = (GRID.min(size.0), GRID.min(size.1));
    let mut cores = vec![0; k];
    for square in 0..down * across {
        let own = match square < k && pure {
            true => (0..k).map(|i| if i == square { 1.0 } else { 0.0 }).collect(),
            false => mixture(k, most, 0.2, rng),
        };
        // Squares lie in an order that spreads the first ones over the image.
        let cell = square * 7 % (down * across).max(1);
        let cell = if (down * across) % 7 == 0 { square } else { cell };
        let (rows, cols) = (span(size.0, down, cell / across), span(size.1, across, cell % across));
        if let Some(core) = cores.get_mut(square) {
            *core = rows.start * size.1 + cols.start;
        }
        for (i, &w) in own.iter().enumerate() {
            shares.slice_mut(s![rows.clone(), cols.clone(), i]).fill(w);
        }
    }
    (shares, cores)
}

/// The middle of cell number `at` of `count` along a side of `length`.
fn span(length: usize, count: usize, at: usize) -> std::ops::Range<usize> {
    let cell = length as f64 / count as f64;
    let begin = ((at as f64 + 0.5 * (1.0 - SIDE)) * cell) as usize;
    let side = ((SIDE * cell).round() as usize).max(1);
    begin.min(length - 1)..(begin + side).min(length)
}

/// A mixture none of whose shares exceeds `most`, from a Dirichlet with `alpha` a material.
fn mixture(k: usize, most: f64, alpha: f64, rng: &mut impl Rng) -> Vec<f64> {
    loop {
        let total = alpha * k as f64;
        let drawn = dirichlet::abundances((1, 1), k, total, true, rng);
        if k == 1 || drawn.iter().all(|&w| w <= most) {
            return drawn.into_raw_vec_and_offset().0;
        }
        // A shape that hardly ever keeps to it: what chance gives beside the even mixture.
        if rng.random::<f64>() < 0.01 {
            return vec![1.0 / k as f64; k];
        }
    }
}
