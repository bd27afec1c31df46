//! Draws from a fitted guide: the scene's latents and the pixels' together.

use crate::convention::{Convention, without_traces};
use crate::engine::ground::rng::{self, Stream};
use crate::engine::guide::Guide;
use crate::engine::guide::transform::add_loadings;
use crate::engine::guide::transform::latent;
use crate::engine::layout::FULL_RANK;
use crate::engine::pixels::Pixels;
use crate::posterior::scene_guide::{SceneGuide, shared};

/// Draws of the scene from one fitted guide, in one convention.
#[derive(Debug, Clone)]
pub struct Draws<'a> {
    guide: &'a Guide,
    /// For each pixel of the cube that the guide's pixels were made of, its place in the guide.
    order: Vec<usize>,
    /// Spectra in the convention: draws, then endmembers, then bands.
    spectra: Vec<Vec<Vec<f64>>>,
    /// What the spectra of each draw were divided by, (K); ones in reflectance.
    heights: Vec<Vec<f64>>,
}

impl<'a> Draws<'a> {
    /// `count` draws from the guide of these pixels. The seed of the fit gives the same draws
    /// again. Spectra are kept, `count` x K x L numbers of 8 bytes; pixels are drawn when asked
    /// for.
    pub fn new(guide: &'a Guide, of: &Pixels, convention: Convention, count: u32) -> Self {
        let scene = SceneGuide { guide };
        let mut spectra = vec![Vec::with_capacity(guide.k()); count as usize];
        let mut heights = vec![Vec::with_capacity(guide.k()); count as usize];
        for k in 0..guide.k() {
            let (drawn, of_draws) = match convention {
                Convention::Peak => scene.over_peaks(k, count as usize),
                Convention::Reflectance => {
                    let drawn = (0..count).map(|draw| scene.spectrum(k, draw)).collect();
                    (drawn, vec![1.0; count as usize])
                }
            };
            spectra.iter_mut().zip(drawn).for_each(|(to, spectrum)| to.push(spectrum));
            heights.iter_mut().zip(of_draws).for_each(|(to, height)| to.push(height));
        }
        Draws { guide, order: of.order(), spectra, heights }
    }

    /// The spectra in the convention: draws, then endmembers, then bands.
    pub fn spectra(&self) -> &[Vec<Vec<f64>>] {
        &self.spectra
    }

    /// Abundances of a pixel, given by its row in the cube that the pixels of the fit were made of:
    /// a row of K for each draw, on the simplex. Each draw of the pixel goes with the draw of the
    /// scene that has its number.
    pub fn abundances(&self, pixel: usize) -> Vec<Vec<f32>> {
        let (p, pixel) = (&self.guide.params, self.order[pixel]);
        let latents = p.latents as usize;
        let guide: Vec<f64> = self.guide.pixel(pixel).iter().map(|&x| f64::from(x)).collect();
        let mut eps = vec![0.0; latents];
        let one = |(draw, heights): (u32, &Vec<f64>)| {
            for (block, four) in (1..).zip(eps.chunks_mut(4)) {
                // Block 0 belongs to the spectra.
                let fresh = rng::normals(p.key(), Stream::Posterior, 0, draw, pixel as u32, block);
                four.iter_mut().zip(fresh).for_each(|(e, x)| *e = f64::from(x));
            }
            let eta: Vec<f64> = shared(p, draw).into_iter().map(f64::from).collect();
            add_loadings(&mut eps, &guide[p.loadings_at()..], &eta);
            let z: Vec<f64> =
                (0..p.k() - 1).map(|j| latent(p.has(FULL_RANK), &guide, &eps, j)).collect();
            shares(&z, heights)
        };
        (0..).zip(&self.heights).map(one).collect()
    }
}

/// Abundances from logits, the last one fixed at 0, in the convention that `heights` stand for.
fn shares(logits: &[f64], heights: &[f64]) -> Vec<f32> {
    let top = logits.iter().copied().fold(0.0, f64::max);
    let exp = logits.iter().chain([&0.0]).map(|z| (z - top).exp());
    let w: Vec<f64> = exp.zip(heights).map(|(w, h)| w * h).collect();
    let sum: f64 = w.iter().sum();
    let mut shares: Vec<f32> = w.iter().map(|w| (w / sum) as f32).collect();
    without_traces(&mut shares);
    shares
}
