//! What a posterior says of the pixels, as images.

use ndarray::{Array2, Array3, ArrayView2, Axis};

use crate::engine::ground::error::{Error, Result};
use crate::posterior::Posterior;
use crate::scene::{Scene, layer, to_image};

/// Maps of a posterior, NaN where there are no data.
pub(super) struct Images {
    /// Mean abundances, (rows, columns, endmembers).
    pub(super) mean: Array3<f32>,
    /// Their standard deviations, likewise.
    pub(super) sd: Array3<f32>,
    /// Their 5 %, 50 % and 95 % quantiles, likewise.
    pub(super) quantiles: [Array3<f32>; 3],
    /// Root mean square over bands of data minus fit, (rows, columns).
    pub(super) residual: Array2<f32>,
    /// Brightness, where the model has it, (rows, columns).
    pub(super) brightness: Option<Array2<f32>>,
}

impl Images {
    /// # Errors
    /// [`Error::Fit`] where posterior and scene do not belong together.
    pub(super) fn of(scene: &Scene, posterior: &Posterior) -> Result<Self> {
        let residual =
            ArrayView2::from_shape((posterior.residual.len(), 1), &posterior.residual)
                .map_err(|error| Error::Fit(format!("the residuals have no shape: {error}")))?;
        let flat = |values| Ok::<_, Error>(layer(to_image(scene, values)?.view(), 0));
        let brightness = posterior.brightness.as_ref().map(|b| b.view().insert_axis(Axis(1)));
        Ok(Images {
            mean: to_image(scene, posterior.abundance_mean.view())?,
            sd: to_image(scene, posterior.abundance_sd.view())?,
            quantiles: [
                to_image(scene, posterior.abundance_q05.view())?,
                to_image(scene, posterior.abundance_q50.view())?,
                to_image(scene, posterior.abundance_q95.view())?,
            ],
            residual: flat(residual)?,
            brightness: brightness.map(flat).transpose()?,
        })
    }

    /// What is known of the abundances: name of the file, title for people, values.
    pub(super) fn abundances(&self) -> [(&'static str, &'static str, &Array3<f32>); 5] {
        // A line here is a map in every format of rasters.
        [
            ("abundance_mean", "Abundance, posterior mean", &self.mean),
            ("abundance_sd", "Abundance, posterior standard deviation", &self.sd),
            ("abundance_q05", "Abundance, 5 % quantile", &self.quantiles[0]),
            ("abundance_q50", "Abundance, median", &self.quantiles[1]),
            ("abundance_q95", "Abundance, 95 % quantile", &self.quantiles[2]),
        ]
    }
}
