//! Whether pixels differ in brightness though a fit has them as bright as their spectra are: what
//! it leaves of them is then a share of their mixture.

use ndarray::ArrayView2;

use crate::engine::ground::math::{median, spread};
use crate::scene::Cube;

/// So many times what the noise lets a scale be off by are more than noise: 0.4 to 0.9 in simulated
/// scenes without shade, 2 and more where brightness is spread by 3 % (docs/evidence.md).
const BEYOND_NOISE: f64 = 2.0;
/// A spread below this, as the sd of the log, moves abundances by less than what is asked of any.
const LEAST: f64 = 0.004;

/// How far the scales s_n that bring the mixtures μ_n of a fit closest to the pixels y_n are
/// spread, as the sd of their log (by the median, as that of a normal): s_n = (y_n · μ_n) /
/// (μ_n · μ_n). `rest` is what the fit leaves, y_n − μ_n, (N, L), of the pixels of `cube`. None
/// where it is no more than noise that is independent from band to band would make, or below 0.4 %,
/// and where there are no pixels that tell.
pub fn brightness_left(cube: &Cube, rest: ArrayView2<f64>) -> Option<f64> {
    let bands = rest.ncols() as f64;
    let (mut logs, mut errors) = (Vec::new(), Vec::new());
    for (n, rest) in rest.outer_iter().enumerate() {
        let (mut length, mut along, mut square) = (0.0, 0.0, 0.0);
        for (&y, &rest) in cube.spectrum(n).iter().zip(rest) {
            let mixture = f64::from(y) - rest;
            length += mixture * mixture;
            along += rest * mixture;
            square += rest * rest;
        }
        let off = along / length;
        let variance = (square - off * along) / (bands - 1.0) / length;
        if off > -1.0 && variance.is_finite() {
            logs.push(off.ln_1p());
            errors.push(variance.max(0.0).sqrt());
        }
    }
    let spread = spread(&logs)?;
    let of_noise = median(errors)?;
    (spread > LEAST.max(BEYOND_NOISE * of_noise)).then_some(spread)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::engine::ground::rng::{self, Stream};
    use ndarray::Array2;

    fn normal(n: usize, i: usize) -> f64 {
        rng::normal_at(rng::key(5), Stream::Posterior, 0, 0, n as u32, i as u32).into()
    }

    /// Of 400 pixels of one spectrum, bright as said, with noise of 0.01.
    fn left(log_bright: impl Fn(usize) -> f64) -> Option<f64> {
        let (pixels, bands) = (400, 40);
        let mut cube = Cube::zeros(pixels, bands);
        let mut rest = Array2::zeros((pixels, bands));
        for n in 0..pixels {
            for l in 0..bands {
                let mixture = 0.3 + 0.1 * (l as f64 * 0.2).sin();
                let y = (log_bright(n).exp() * mixture + 0.01 * normal(n, l)) as f32;
                cube.spectrum_mut(n)[l] = y;
                rest[[n, l]] = f64::from(y) - mixture;
            }
        }
        brightness_left(&cube, rest.view())
    }

    #[test]
    fn shade_that_a_fit_leaves_is_told_from_noise() {
        // A scale is off by 0.01 / (0.3 sqrt(40)), half a per cent.
        assert_eq!(left(|_| 0.0), None);
        // One brightness for all is the size of the spectra.
        assert_eq!(left(|_| 0.1), None);
        let spread = left(|n| 0.05 * normal(n, 99)).unwrap();
        // The spread of 400 normals is known to a twentieth.
        assert!((spread - 0.05).abs() < 0.01, "{spread}");
        assert_eq!(brightness_left(&Cube::zeros(0, 4), Array2::zeros((0, 4)).view()), None);
        // Dark pixels tell nothing.
        assert_eq!(brightness_left(&Cube::zeros(3, 4), Array2::zeros((3, 4)).view()), None);
    }
}
