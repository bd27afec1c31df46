//! Draws of the spectra, which the posteriors of pixels are given.

use ndarray::{Array1, Array2};

use super::nested::{self, Nested, Summary};
use super::peaks::scale;
use super::scene_guide::{ENDMEMBER_DRAWS, SceneGuide, table_of};
use super::{OfPixels, Posterior, mean_of_rows};
use crate::convention::Convention;

/// Draws of the spectra of a nested posterior, and what is made of them.
pub(crate) struct OfScene {
    convention: Convention,
    pub(super) scenes: nested::Scenes,
    /// Mean, sd, 5 % and 95 % quantiles of the spectra in the convention.
    spectra: [Array2<f64>; 4],
    /// What the spectra were divided by, mean over draws, (K).
    heights: Array1<f64>,
}

impl OfScene {
    pub(crate) fn new(nested: &Nested, convention: Convention) -> Self {
        let mut drawn = nested.spectra(ENDMEMBER_DRAWS);
        let plain = drawn[..nested::SCENES].to_vec();
        let heights = scale(&mut drawn, convention);
        let p = nested.params();
        let mut spectra = [(); 4].map(|()| Array2::zeros((p.k(), p.bands as usize)));
        for k in 0..p.k() {
            let of_endmember: Vec<&[f64]> = drawn.iter().map(|of| of[k].as_slice()).collect();
            table_of(k, &of_endmember, &mut spectra);
        }
        OfScene {
            convention,
            scenes: nested.scenes(&plain, &heights),
            spectra,
            heights: mean_of_rows(&heights),
        }
    }

    /// The posterior of the scene and of all blocks of its pixels.
    pub(super) fn with(&self, nested: &Nested, blocks: &[Summary]) -> Posterior {
        let (count, k) = (nested.pixels().count(), nested.params().k());
        let values = |of: &dyn Fn(&Summary) -> &Vec<f32>| -> Vec<f32> {
            blocks.iter().flat_map(|summary| of(summary).iter().copied()).collect()
        };
        // Each block has a row of K for each of its pixels.
        let table = |of: &dyn Fn(&Summary) -> &Vec<f32>| {
            let values = values(of);
            Array2::from_shape_fn((count, k), |(n, j)| values[n * k + j])
        };
        let pixels = OfPixels {
            mean: table(&|s| &s.mean),
            sd: table(&|s| &s.sd),
            brightness: values(&|s| &s.brightness).into(),
            quantiles: [0, 1, 2].map(|q| table(&|s| &s.quantiles[q])),
            worth: Some(values(&|s| &s.worth).into()),
        };
        let scene = SceneGuide { guide: nested.guide() };
        let spectra = self.spectra.clone();
        let (of, convention) = (nested.pixels(), self.convention);
        let posterior = Posterior::of(&scene, of, convention, spectra, pixels, &self.heights);
        Posterior { concentration: nested.concentration(), ..posterior }
    }
}
