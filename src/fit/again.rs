//! More of the scene of a fit.

use super::Fit;
use crate::engine::ground::error::Result;
use crate::posterior::scene_guide::SceneGuide;
use crate::scene::{CubeSource, Mask, NoData, Reading, Scene, load_again};

impl Fit {
    /// How the scene of this fit was read: its bands and scale, with the mean spectrum of the fit.
    pub fn reading(&self) -> Reading {
        let [spectra, ..] = SceneGuide { guide: &self.guide }.reflectance();
        // For each endmember of the guide its number among those of the posterior.
        let mut amounts = vec![0.0; self.k()];
        for (&own, &amount) in self.record.order.iter().zip(&self.posterior.mean_abundance) {
            amounts[own] = amount;
        }
        // A fit of a scene whose every pixel is left out has no mean.
        let share = 1.0 / self.k() as f64;
        let amounts = amounts.iter().map(|a| if a.is_finite() { *a } else { share });
        let amounts: ndarray::Array1<f64> = amounts.collect();
        Reading {
            bands: self.scene.bands().to_vec(),
            file_bands: self.scene.file_bands(),
            scaling: self.scene.scaling().clone(),
            mean: amounts.dot(&spectra).to_vec(),
            peak: spectra.iter().copied().fold(0.0, f64::max),
        }
    }

    /// Reads another piece of the scene, or another scene of the same product, as the scene of this
    /// fit was read, whatever the piece holds ([`load_again`]); for [`Fit::apply`], which then
    /// gives each pixel the same abundances to the last bit, however the pieces are cut.
    ///
    /// # Errors
    ///
    /// The errors of [`load_again`].
    pub fn read(
        &self,
        source: &mut dyn CubeSource,
        name: &str,
        no_data: &NoData,
        mask: Option<&Mask>,
    ) -> Result<Scene> {
        load_again(source, name, &self.reading(), no_data, mask)
    }
}
