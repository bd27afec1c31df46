//! What some directions leave of the spectra of a scene: noise, and whatever mixtures of its
//! materials do not explain. No fit is needed for it.

use ndarray::{Array1, Array2};

use super::moments::products;
use crate::scene::Cube;

/// Of each pixel of a cube what directions leave.
pub(crate) struct Residuals<'a> {
    cube: &'a Cube,
    /// Unit directions as columns, (L, J).
    axes: &'a Array2<f64>,
    /// How far each pixel lies along them, (N, J).
    along: Array2<f64>,
}

impl<'a> Residuals<'a> {
    /// `axes` are orthogonal columns of length one, (L, J). Costs a product of the cube with them.
    pub(crate) fn new(cube: &'a Cube, axes: &'a Array2<f64>) -> Self {
        Residuals { cube, axes, along: products(cube, axes.view()) }
    }

    /// What is left of a pixel, (L), reflectance.
    pub(crate) fn of(&self, pixel: usize) -> Array1<f64> {
        let fitted = self.axes.dot(&self.along.row(pixel));
        self.cube.spectrum(pixel).iter().zip(fitted).map(|(&y, mu)| f64::from(y) - mu).collect()
    }

    /// What is left of a pixel in one band.
    pub(crate) fn in_band(&self, pixel: usize, band: usize) -> f64 {
        let fitted = self.axes.row(band).dot(&self.along.row(pixel));
        f64::from(self.cube.spectrum(pixel)[band]) - fitted
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn what_is_left_is_orthogonal_to_the_directions() {
        let mut cube = Cube::zeros(2, 3);
        cube.spectrum_mut(0).copy_from_slice(&[1.0, 2.0, 3.0]);
        cube.spectrum_mut(1).copy_from_slice(&[3.0, 4.0, 0.0]);
        let axes = array![[0.6], [0.8], [0.0]];
        let left = Residuals::new(&cube, &axes);
        // 1 and 2 are 2.2 along the direction: 1.32 and 1.76 of them.
        let expected = [-0.32, 0.24, 3.0];
        for (band, expected) in expected.into_iter().enumerate() {
            assert!((left.of(0)[band] - expected).abs() < 1e-12);
            assert!((left.in_band(0, band) - expected).abs() < 1e-12);
            assert!(left.of(1)[band].abs() < 1e-12, "it is along the direction");
        }
    }
}
