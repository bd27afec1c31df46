//! Whether what a linear mixture leaves follows products of the amounts, as it does where light
//! meets several materials on its way: in intimate mixtures, and under trees.

use nalgebra::{DMatrix, DVector};
use ndarray::{ArrayView2, Axis};
use rayon::prelude::*;

/// Above this share of what is left, products of amounts are there: in linear scenes they reach a
/// tenth, in intimate mixtures a fifth and more.
pub const NONLINEAR: f64 = 0.14;
/// What is added to the diagonal of the normal equations, as a share of it: amounts without
/// brightness, whose sum is one, have products that depend on them.
const RIDGE: f64 = 1e-9;
/// Pixels for each amount and product, at least.
const FEWEST: usize = 3;
/// The most endmembers: they have 496 columns, whose products take half a second.
const MOST: usize = 31;

/// The share of what is left that products of two amounts explain beyond the amounts themselves,
/// and beyond what as many columns explain of noise: 0 where spectra mix linearly, up to 1.
/// Nonlinear mixtures of two materials add a spectrum times `u_i u_j` (the bilinear models of
/// Fan et al. 2009 and Halimi et al. 2011). `amounts` are (N, K), `rest` is what the fit leaves,
/// (N, L); each band counts by its own variance. None for fewer than three pixels to each
/// amount and product, for more than 31 endmembers, and where nothing is left or something is not
/// finite.
pub fn share_of_products(amounts: ArrayView2<f64>, rest: ArrayView2<f64>) -> Option<f64> {
    let (pixels, k) = amounts.dim();
    let pairs: Vec<(usize, usize)> = (0..k).flat_map(|i| (0..i).map(move |j| (i, j))).collect();
    let columns = k + pairs.len();
    if k > MOST || pixels < FEWEST * columns || rest.nrows() != pixels {
        return None;
    }
    if amounts.iter().chain(rest).any(|x| !x.is_finite()) {
        return None;
    }
    // Shares of the pixel's sum, so that a brighter pixel is no other mixture.
    let design = DMatrix::from_fn(pixels, columns, |n, at| {
        let u = |i: usize| amounts[[n, i]];
        match at.checked_sub(k).map(|pair| pairs[pair]) {
            None => u(at),
            Some((i, j)) => u(i) * u(j) / amounts.row(n).sum().max(f64::MIN_POSITIVE),
        }
    });
    let mut gram = design.tr_mul(&design);
    for at in 0..columns {
        gram[(at, at)] *= 1.0 + RIDGE;
    }
    let all = gram.clone().cholesky()?;
    let linear = gram.view((0, 0), (k, k)).into_owned().cholesky()?;
    // Of each band: its square, and how much of it the amounts explain, and these with products.
    let of_band = |of: ndarray::ArrayView1<f64>| {
        let of = DVector::from_iterator(pixels, of.iter().copied());
        let by = design.tr_mul(&of);
        let amounts = by.rows(0, k).into_owned();
        [of.norm_squared(), amounts.dot(&linear.solve(&amounts)), by.dot(&all.solve(&by))]
    };
    let bands: Vec<[f64; 3]> = rest
        .axis_iter(Axis(1))
        .into_par_iter()
        .map(of_band)
        .filter(|[square, ..]| *square > 0.0)
        .collect();
    let mean = |of: &dyn Fn(&[f64; 3]) -> f64| {
        bands.iter().map(of).sum::<f64>() / bands.len().max(1) as f64
    };
    let left = mean(&|[square, linear, _]| 1.0 - linear / square);
    let explained = mean(&|[square, linear, all]| (all - linear) / square);
    let chance = pairs.len() as f64 / (pixels - k) as f64;
    let share = (explained / left - chance) / (1.0 - chance);
    (!bands.is_empty() && share.is_finite()).then(|| share.clamp(0.0, 1.0))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use ndarray::Array2;
    use rand::{RngExt, SeedableRng, rngs::ChaCha8Rng};

    use super::*;

    /// Amounts of three materials in 600 pixels of eight bands, and what is left: noise of 0.01,
    /// and `bilinear` times the product of the first two in one shape.
    fn pixels(bilinear: f64, brightness: bool) -> (Array2<f64>, Array2<f64>) {
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let mut amounts = Array2::from_shape_simple_fn((600, 3), || rng.random::<f64>());
        for mut row in amounts.rows_mut() {
            let bright = if brightness { 0.5 + rng.random::<f64>() } else { 1.0 };
            let sum = row.sum() / bright;
            row /= sum;
        }
        let rest = Array2::from_shape_fn((600, 8), |(n, l)| {
            let noise = 0.01 * (rng.random::<f64>() - 0.5) * 12f64.sqrt();
            let sum = amounts.row(n).sum();
            noise + bilinear * amounts[[n, 0]] * amounts[[n, 1]] / sum * (1.0 + l as f64) / 8.0
        });
        (amounts, rest)
    }

    #[test]
    fn bilinear_light_is_seen_and_noise_is_not() {
        for brightness in [false, true] {
            let share = |bilinear: f64| {
                let (amounts, rest) = pixels(bilinear, brightness);
                share_of_products(amounts.view(), rest.view()).unwrap()
            };
            // Three products of 597 pixels' noise: half a percent, known to a tenth of that.
            assert!(share(0.0) < 0.003, "{}", share(0.0));
            // Beside the amounts the product has an sd of 0.02; half of that, times 0.1 to 1 by
            // band, stands against noise of 0.01: 0.3 of the whole, mean over bands.
            assert!((0.2..0.5).contains(&share(0.5)), "{}", share(0.5));
        }
    }

    #[test]
    fn nothing_is_said_of_few_pixels_no_rest_or_numbers_that_are_none() {
        let (amounts, rest) = pixels(0.0, true);
        let few = share_of_products(
            amounts.slice(ndarray::s![..17, ..]),
            rest.slice(ndarray::s![..17, ..]),
        );
        assert_eq!(few, None);
        let none = Array2::zeros(rest.dim());
        assert_eq!(share_of_products(amounts.view(), none.view()), None);
        let mut odd = rest.clone();
        odd[[5, 5]] = f64::NAN;
        assert_eq!(share_of_products(amounts.view(), odd.view()), None);
        let mut odd = amounts.clone();
        odd[[5, 1]] = f64::NAN;
        assert_eq!(share_of_products(odd.view(), rest.view()), None);
        // One material has no products.
        let one = amounts.slice(ndarray::s![.., ..1]);
        assert_eq!(share_of_products(one, rest.view()), Some(0.0));
    }
}
