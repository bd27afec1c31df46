//! What a fit found, in the geometry of its scene.

mod again;
mod apply;
mod maps;
mod record;
mod save;
mod trust;

use ndarray::{Array2, Axis};

pub use apply::Pass;
pub use maps::{Abundances, Spectra};
pub use record::Record;
pub use trust::{Reason, Trust};

use crate::convention::Convention;
use crate::engine::ground::error::Result;
use crate::engine::guide::Guide;
use crate::engine::pixels::Pixels;
use crate::posterior::Posterior;
use crate::posterior::doubts::{Doubt, doubts};
use crate::posterior::nested::SceneNormal;
use crate::posterior::sampled::Sampled;
use crate::scene::Scene;
use crate::score::{Reference, Scores};
use crate::search::Found;

/// The result of a fit: abundances, spectra, their uncertainty, and how they were found.
#[derive(Debug, Clone)]
pub struct Fit {
    /// Names, places and bands; without its spectra.
    scene: Scene,
    guide: Guide,
    posterior: Posterior,
    record: Record,
    /// What is known of the spectra beyond the guide; none where the guide is what is reported.
    scene_normal: Option<SceneNormal>,
    /// Draws, where they were asked for; a saved fit has none.
    drawn: Option<Sampled>,
    found: Option<Found>,
}

impl Fit {
    /// The fit of a guide whose pixels were `of`, all of the scene's or a sample of them; the
    /// scene's own spectra are let go.
    pub(crate) fn new(
        scene: Scene,
        guide: Guide,
        of: &Pixels,
        posterior: Posterior,
        record: Record,
        found: Option<Found>,
    ) -> Self {
        // The guide's pixels follow the scene's, as all else here.
        let stride = guide.params.local_stride as usize;
        let rows = of.order().into_iter().flat_map(|n| n * stride..(n + 1) * stride);
        let locals = rows.map(|at| guide.locals[at]).collect();
        let guide = Guide { locals, ..guide };
        let scene = scene.without_spectra();
        Fit { scene, guide, posterior, record, scene_normal: None, drawn: None, found }
    }

    /// The fit with the posterior of its spectra alone, and draws.
    pub(crate) fn with(self, normal: Option<SceneNormal>, drawn: Option<Sampled>) -> Self {
        Fit { scene_normal: normal, drawn, ..self }
    }

    /// The scene that was fitted, without its spectra.
    pub fn scene(&self) -> &Scene {
        &self.scene
    }

    /// Number of endmembers, K.
    pub fn k(&self) -> usize {
        self.posterior.endmember_mean.nrows()
    }

    /// What abundances are shares of.
    pub fn convention(&self) -> Convention {
        self.posterior.convention
    }

    /// Abundances as maps of the image.
    pub fn abundances(&self) -> Abundances<'_> {
        Abundances { scene: &self.scene, posterior: &self.posterior }
    }

    /// Endmember spectra, (K, L) each.
    pub fn endmembers(&self) -> Spectra<'_> {
        Spectra { posterior: &self.posterior }
    }

    /// Mean brightness of each pixel, (rows, cols), NaN where there are no data: what its mixture
    /// is multiplied by. None where that is one for all, [`crate::Convention::has_brightness`].
    pub fn brightness(&self) -> Option<Array2<f32>> {
        let values = self.posterior.brightness.as_ref()?;
        Some(maps::image(&self.scene, values.view()))
    }

    /// Root mean square over bands of what the mean fit leaves of each pixel, (rows, cols),
    /// reflectance, NaN where there are no data.
    pub fn residual(&self) -> Array2<f32> {
        maps::image(&self.scene, ndarray::ArrayView1::from(&self.posterior.residual))
    }

    /// Everything that the posterior says, a row a valid pixel of the scene.
    pub fn posterior(&self) -> &Posterior {
        &self.posterior
    }

    /// Draws from the posterior, where the fit was asked for them
    /// ([`crate::Unmixing::draws`]).
    pub fn draws(&self) -> Option<&Sampled> {
        self.drawn.as_ref()
    }

    /// How the result came about.
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// What the search found, where there was one.
    pub fn search(&self) -> Option<&Found> {
        self.found.as_ref()
    }

    /// The guide behind the posterior, a row for each pixel that the scene was learned from: each
    /// valid pixel of the scene, or of a large one a sample of them, in the order of the scene.
    pub fn guide(&self) -> &Guide {
        &self.guide
    }

    /// Endmembers that are none: held by no pixel, or the same as another.
    pub fn doubts(&self) -> Vec<Doubt> {
        doubts(self.posterior.endmember_mean.view(), self.posterior.abundance_mean.view())
    }

    /// Scores against a truth of this scene.
    ///
    /// # Errors
    ///
    /// [`crate::Error::Scene`] when sizes do not agree.
    pub fn score(&self, reference: &Reference) -> Result<Scores> {
        let (c, w) = (self.posterior.endmember_mean.view(), self.posterior.abundance_mean.view());
        reference.scores(c, w, self.posterior.convention)
    }

    /// The fit with its endmembers in another order: `order[i]` is the one that becomes number i.
    ///
    /// # Errors
    ///
    /// [`crate::Error::Scene`] when `order` does not name each endmember once.
    pub fn in_order(mut self, order: &[usize]) -> Result<Self> {
        let k = self.k();
        if order.len() != k || !(0..k).all(|i| order.contains(&i)) {
            return Err(crate::Error::Scene(format!(
                "the order {order:?} must name each of the {k} endmembers once, from 0"
            )));
        }
        self.posterior = self.posterior.in_order(order);
        self.drawn = self.drawn.map(|drawn| drawn.in_order(order));
        self.record.order = order.iter().map(|&i| self.record.order[i]).collect();
        Ok(self)
    }

    /// Mean abundances of the solutions that the search looked at longest, the chosen one first,
    /// each with its ELBO a pixel in nats and its abundances (N, K), in the order of this fit's
    /// endmembers; none where there was one solution only, or the search saw a part of the scene.
    pub fn solutions(&self) -> Vec<(Option<f64>, Array2<f32>)> {
        let Some(found) = &self.found else { return Vec::new() };
        let Some(order) = self.order_of(found) else { return Vec::new() };
        let shown = |mode: &crate::search::Mode| {
            let solution = &found.solutions[mode.row];
            let maps = mode.abundances.as_ref()?.select(Axis(1), &order);
            Some((solution.elbo.or(solution.probe_elbo), maps))
        };
        found.modes.iter().map(shown).collect::<Option<_>>().unwrap_or_default()
    }

    /// For each endmember here the place of the search's, whose modes all have the chosen
    /// solution's order.
    fn order_of(&self, found: &Found) -> Option<Vec<usize>> {
        let chosen = found.modes.first()?;
        let shown = self.posterior.endmember_mean.view();
        let pairs =
            crate::statistics::angles::match_spectra(shown, chosen.endmembers.view()).ok()?;
        Some(pairs.into_iter().map(|(k, _)| k).collect())
    }
}
