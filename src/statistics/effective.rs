//! How many bands count as independent evidence. Neighbouring bands err together. Counted one by
//! one they drown every prior, and the better the optimiser, the worse the answer
//! (docs/evidence.md).

use ndarray::Array1;
use rayon::prelude::*;

use crate::engine::ground::sample::spaced;
use crate::engine::model::EFFECTIVE_BANDS;
use crate::scene::Cube;
use crate::statistics::principal::Spread;
use crate::statistics::residuals::Residuals;

/// Pixels that are looked at: enough to know the correlation of adjacent bands to better than a
/// hundredth.
const ENOUGH: usize = 4096;

/// Bands that count as independent, 1 to L, by what the `k` leading directions of the spectra
/// leave: mixtures of K endmembers lie in K directions, whatever their brightness, so that no fit
/// is needed. Where the residuals of a real scene hold variability within materials, which
/// neighbouring bands share, few bands count; where they are a sensor's own noise, all.
pub fn independent_bands(cube: &Cube, k: usize) -> f64 {
    let part = cube.select(&spaced(cube.pixels(), ENOUGH).collect::<Vec<usize>>());
    let axes = Spread::about_zero(&part).leading(k).vectors;
    let left = Residuals::new(&part, &axes);
    let residuals: Vec<Array1<f64>> =
        (0..part.pixels()).into_par_iter().map(|n| left.of(n)).collect();
    effective_bands(&residuals, cube.bands())
}

/// The default: [`EFFECTIVE_BANDS`], and more where [`independent_bands`] finds more; and why.
pub fn default_bands(cube: &Cube, k: usize) -> (f64, &'static str) {
    let found = independent_bands(cube, k);
    if found > EFFECTIVE_BANDS {
        return (found, "from how residuals of adjacent bands correlate");
    }
    (EFFECTIVE_BANDS.min(cube.bands() as f64), "the least by default")
}

/// Bands that count as independent, 1 to `bands`, given what is left of some pixels, (`bands`)
/// each: `L (1 - rho) / (1 + rho)` with rho the mean correlation of adjacent bands, the effective
/// size of an AR(1) sample (Bayley and Hammersley 1946, JRSS Suppl. 8).
fn effective_bands(residuals: &[Array1<f64>], bands: usize) -> f64 {
    if residuals.len() < 2 || bands < 2 {
        return bands.max(1) as f64;
    }
    // Band by band, deviations from the band's mean residual; constant residuals have no
    // correlation.
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
    use crate::engine::ground::rng::{self, Stream};

    #[test]
    fn an_ar1_chain_has_its_known_effective_size() {
        let (pixels, bands) = (4000, 40);
        for rho in [0.0, 0.6, 0.95] {
            let chain = |n: usize| {
                let normal = |l: usize| {
                    let key = rng::key(1);
                    f64::from(rng::normal_at(key, Stream::Posterior, 0, 0, n as u32, l as u32))
                };
                let mut last = normal(0);
                let rest = (1..bands).map(|l| {
                    last = rho * last + f64::sqrt(1.0 - rho * rho) * normal(l);
                    last
                });
                std::iter::once(normal(0)).chain(rest).collect()
            };
            let chains: Vec<Array1<f64>> = (0..pixels).map(chain).collect();
            let found = effective_bands(&chains, bands);
            let exact = 40.0 * (1.0 - rho) / (1.0 + rho);
            // rho is known to about 1 / sqrt(pixels * bands) = 0.0025.
            assert!((found - exact).abs() < 0.03 * exact.max(4.0), "{rho}: {found} for {exact}");
        }
    }

    /// Two materials in all proportions and brightnesses, with errors that are one sd of 0.01 a
    /// band, or a curve that all bands share.
    fn mixtures(shared: bool) -> Cube {
        let bands = 40;
        let mut cube = Cube::zeros(600, bands);
        for n in 0..600 {
            let normal = |l: u32| {
                f64::from(rng::normal_at(rng::key(1), Stream::Posterior, 0, 0, n as u32, l))
            };
            let (share, bright) = ((n % 7) as f64 / 6.0, 1.0 + 0.1 * (n % 5) as f64);
            for l in 0..bands {
                let at = l as f64 / bands as f64;
                let mix =
                    bright * (share * (0.2 + 0.5 * at) + (1.0 - share) * (0.6 - 0.4 * at * at));
                let common: f64 =
                    (0..4).map(|j| normal(100 + j) * (3.0 * at + f64::from(j)).sin()).sum();
                let error =
                    if shared { common + 0.05 * normal(l as u32) } else { normal(l as u32) };
                cube.spectrum_mut(n)[l] = (mix + 0.01 * error) as f32;
            }
        }
        cube
    }

    #[test]
    fn noise_of_bands_counts_all_and_what_they_share_counts_few() {
        // Two of forty directions are taken out: what is left correlates by about -1 / 38.
        assert!(independent_bands(&mixtures(false), 2) > 38.0);
        assert!(independent_bands(&mixtures(true), 2) < 12.0);
        // With too few endmembers what is left is a material, and bands share it.
        assert!(independent_bands(&mixtures(false), 1) < 20.0);
    }

    #[test]
    fn degenerate_scenes_count_all_their_bands_or_one() {
        assert_eq!(effective_bands(&vec![Array1::zeros(7); 1], 7), 7.0);
        assert_eq!(effective_bands(&vec![Array1::zeros(1); 9], 1), 1.0);
        // No residual at all: no correlation either.
        assert_eq!(effective_bands(&vec![Array1::zeros(3); 9], 3), 3.0);
        for (pixels, bands, k) in [(9, 3, 2), (1, 7, 1), (9, 1, 1), (9, 3, 5), (0, 3, 1)] {
            let found = independent_bands(&Cube::zeros(pixels, bands), k);
            assert!((1.0..=bands as f64).contains(&found), "{pixels} x {bands}, {k}: {found}");
        }
    }
}
