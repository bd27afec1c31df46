//! How many bands count as independent evidence. Neighbouring bands err together; counted one by
//! one they drown every prior, and the better the optimiser, the worse the answer (docs/model.md).

use ndarray::Array1;
use rayon::prelude::*;

use crate::scene::Cube;

/// Pixels that are looked at: their correlation is known to better than a hundredth.
const ENOUGH: usize = 4096;

/// Bands that residuals with the correlation of these count for, 1 to L: `L (1 - rho) / (1 + rho)`
/// with rho the mean correlation of adjacent bands, the effective size of an AR(1) sample (Bayley and
/// Hammersley 1946, JRSS Suppl. 8). `fitted` gives the mean spectrum (L) of a pixel.
pub fn effective_bands(cube: &Cube, fitted: impl Fn(usize) -> Array1<f64> + Sync) -> f64 {
    let bands = cube.bands();
    let every = cube.pixels().div_ceil(ENOUGH).max(1);
    let chosen: Vec<usize> = (0..cube.pixels()).step_by(every).collect();
    if chosen.len() < 2 || bands < 2 {
        return bands.max(1) as f64;
    }
    let residual = |&n: &usize| -> Vec<f64> {
        cube.spectrum(n).iter().zip(&fitted(n)).map(|(&y, mu)| f64::from(y) - mu).collect()
    };
    let residuals: Vec<Vec<f64>> = chosen.par_iter().map(residual).collect();
    // Band by band, deviations from the band's mean residual; constant residuals have no correlation.
    let column = |l: usize| -> Option<Vec<f64>> {
        let mean = residuals.iter().map(|r| r[l]).sum::<f64>() / residuals.len() as f64;
        let centred: Vec<f64> = residuals.iter().map(|r| r[l] - mean).collect();
        let length = centred.iter().map(|r| r * r).sum::<f64>().sqrt();
        (length > 0.0).then(|| centred.iter().map(|r| r / length).collect())
    };
    let columns: Vec<Option<Vec<f64>>> = (0..bands).into_par_iter().map(column).collect();
    let correlations: Vec<f64> = columns
        .windows(2)
        .filter_map(|pair| Some((pair[0].as_ref()?, pair[1].as_ref()?)))
        .map(|(a, b)| a.iter().zip(b).map(|(a, b)| a * b).sum())
        .collect();
    let rho = correlations.iter().sum::<f64>() / correlations.len().max(1) as f64;
    (bands as f64 * (1.0 - rho) / (1.0 + rho)).clamp(1.0, bands as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{self, Stream};

    #[test]
    fn an_ar1_chain_has_its_known_effective_size() {
        let (pixels, bands) = (4000, 40);
        for rho in [0.0, 0.6, 0.95] {
            let mut cube = Cube::zeros(pixels, bands);
            for n in 0..pixels {
                let mut previous = 0.0;
                for l in 0..bands {
                    let fresh = f64::from(rng::normal_at(
                        rng::key(1),
                        Stream::Posterior,
                        0,
                        0,
                        n as u32,
                        l as u32,
                    ));
                    let step: f64 = if l == 0 { 1.0 } else { 1.0 - rho * rho };
                    previous = if l == 0 { 0.0 } else { rho * previous } + step.sqrt() * fresh;
                    cube.spectrum_mut(n)[l] = previous as f32;
                }
            }
            let found = effective_bands(&cube, |_| Array1::zeros(bands));
            let exact = 40.0 * (1.0 - rho) / (1.0 + rho);
            // rho is known to about 1 / sqrt(pixels * bands) = 0.0025.
            assert!((found - exact).abs() < 0.03 * exact.max(4.0), "{rho}: {found} for {exact}");
        }
    }

    #[test]
    fn degenerate_scenes_count_all_their_bands_or_one() {
        assert_eq!(effective_bands(&Cube::zeros(1, 7), |_| Array1::zeros(7)), 7.0);
        assert_eq!(effective_bands(&Cube::zeros(9, 1), |_| Array1::zeros(1)), 1.0);
        // No residual at all: no correlation either.
        assert_eq!(effective_bands(&Cube::zeros(9, 3), |_| Array1::zeros(3)), 3.0);
    }
}
