//! Views of a posterior as arrays of the image.

use ndarray::{Array2, Array3, ArrayView1, ArrayView2, Axis};

use crate::posterior::Posterior;
use crate::scene::{Scene, to_image};

/// Abundances of a fit, (rows, cols, K), NaN where there are no data.
#[derive(Debug, Clone, Copy)]
pub struct Abundances<'a> {
    pub(super) scene: &'a Scene,
    pub(super) posterior: &'a Posterior,
}

impl Abundances<'_> {
    /// Posterior means, 0 to 1; they sum to 1 in each pixel.
    pub fn mean(&self) -> Array3<f32> {
        maps(self.scene, self.posterior.abundance_mean.view())
    }

    /// The ends of 90 % intervals: 5 % and 95 % quantiles; 0 where they are below 0.0001.
    pub fn interval(&self) -> (Array3<f32>, Array3<f32>) {
        let map = |values: &Array2<f32>| maps(self.scene, values.view());
        (map(&self.posterior.abundance_q05), map(&self.posterior.abundance_q95))
    }

    /// Posterior medians.
    pub fn median(&self) -> Array3<f32> {
        maps(self.scene, self.posterior.abundance_q50.view())
    }

    /// Posterior standard deviations.
    pub fn sd(&self) -> Array3<f32> {
        maps(self.scene, self.posterior.abundance_sd.view())
    }
}

/// Endmember spectra of a fit, (K, L): reflectance, or relative to their peak in
/// [`crate::Convention::Peak`].
#[derive(Debug, Clone, Copy)]
pub struct Spectra<'a> {
    pub(super) posterior: &'a Posterior,
}

impl<'a> Spectra<'a> {
    /// Posterior means.
    pub fn mean(&self) -> ArrayView2<'a, f64> {
        self.posterior.endmember_mean.view()
    }

    /// Posterior standard deviations.
    pub fn sd(&self) -> ArrayView2<'a, f64> {
        self.posterior.endmember_sd.view()
    }

    /// The ends of 90 % intervals: 5 % and 95 % quantiles.
    pub fn interval(&self) -> (ArrayView2<'a, f64>, ArrayView2<'a, f64>) {
        (self.posterior.endmember_q05.view(), self.posterior.endmember_q95.view())
    }

    /// How much each varies between pixels, standard deviations; none for a model without
    /// variability.
    pub fn variability(&self) -> Option<ArrayView2<'a, f64>> {
        self.posterior.variability.as_ref().map(|values| values.view())
    }
}

/// A fit's rows are as many as the places of its scene, which lie inside: both were checked when
/// they were made.
fn maps(scene: &Scene, values: ArrayView2<f32>) -> Array3<f32> {
    to_image(scene, values).unwrap_or_else(|_| {
        Array3::from_elem((scene.rows(), scene.cols(), values.ncols()), f32::NAN)
    })
}

pub(super) fn image(scene: &Scene, values: ArrayView1<f32>) -> Array2<f32> {
    maps(scene, values.insert_axis(Axis(1))).index_axis_move(Axis(2), 0)
}
