//! Equal draws of abundances and spectra together, for whoever computes with a posterior.

use ndarray::{Array2, Array3, Axis};
use rayon::prelude::*;

use crate::convention::Convention;
use crate::engine::ground::error::{Error, Result};
use crate::engine::ground::setting;
use crate::engine::guide::Guide;
use crate::engine::pixels::Pixels;
use crate::posterior::draws::Draws;
use crate::posterior::nested::{self, Nested};
use crate::posterior::peaks::scale;
use crate::posterior::scene_guide::ENDMEMBER_DRAWS;

/// The most draws that are given.
pub const MOST_DRAWS: usize = 1000;

/// Draws from a posterior in one convention. Draw number i of the abundances goes with draw number
/// i of the spectra.
#[derive(Debug, Clone)]
pub struct Sampled {
    /// Spectra, (draws, K, L): reflectance, or relative to their peak.
    pub endmembers: Array3<f32>,
    /// Abundances, (draws, N, K), in the order of the scene's valid pixels; each row has sum 1.
    pub abundances: Array3<f32>,
}

/// Refuses numbers of draws that nobody gets.
///
/// # Errors
///
/// [`Error::Setting`] outside of 0 to [`MOST_DRAWS`].
pub fn check(draws: usize) -> Result<()> {
    match draws <= MOST_DRAWS {
        true => Ok(()),
        false => {
            Err(Error::setting(setting::DRAWS, draws, format!("must be at most {MOST_DRAWS}")))
        }
    }
}

impl Sampled {
    /// Draws from a guide of these pixels.
    pub fn of_guide(guide: &Guide, of: &Pixels, convention: Convention, count: usize) -> Self {
        let draws = Draws::new(guide, of, convention, count as u32);
        let (n, k) = (of.count(), guide.k());
        let bands = guide.params.bands as usize;
        let endmembers = Array3::from_shape_fn((count, k, bands), |(draw, i, l)| {
            draws.spectra()[draw][i][l] as f32
        });
        let mut abundances = Array3::zeros((count, n, k));
        let columns = abundances.axis_iter_mut(Axis(1)).into_par_iter().enumerate();
        columns.for_each(|(pixel, mut of_pixel)| {
            for (mut row, drawn) in of_pixel.outer_iter_mut().zip(draws.abundances(pixel)) {
                row.iter_mut().zip(drawn).for_each(|(to, w)| *to = w);
            }
        });
        Sampled { endmembers, abundances }
    }

    /// Draws from a nested posterior. None when `interrupted`.
    pub fn of_nested(
        nested: &Nested,
        convention: Convention,
        count: usize,
        interrupted: &(dyn Fn() -> bool + Sync),
    ) -> Option<Self> {
        let (n, k) = (nested.pixels().count(), nested.params().k());
        // Peaks take more draws than somebody may ask for.
        let mut spectra = nested.spectra(count.max(ENDMEMBER_DRAWS));
        let plain = spectra[..count].to_vec();
        let heights = scale(&mut spectra, convention);
        let bands = nested.params().bands as usize;
        let endmembers =
            Array3::from_shape_fn((count, k, bands), |(draw, i, l)| spectra[draw][i][l] as f32);
        let mut abundances = Array3::zeros((count, n, k));
        for first in (0..count).step_by(nested::SCENES) {
            let end = count.min(first + nested::SCENES);
            let scenes = nested.scenes(&plain[first..end], &heights[first..end]);
            let of_block = |block| match interrupted() {
                true => None,
                false => Some(nested.equal(block, &scenes)),
            };
            let blocks: Option<Vec<_>> =
                (0..nested.blocks()).into_par_iter().map(of_block).collect();
            // A row of (draws, K) a pixel.
            for (pixel, rows) in blocks?.into_iter().flatten().enumerate() {
                for (draw, row) in rows.chunks_exact(k).enumerate() {
                    let mut to = abundances.index_axis_mut(Axis(0), first + draw);
                    to.row_mut(pixel).iter_mut().zip(row).for_each(|(to, w)| *to = *w);
                }
            }
        }
        let restored: Vec<Array2<f32>> = abundances
            .outer_iter()
            .map(|of_draw| nested.pixels().restore(of_draw.to_owned()))
            .collect();
        for (mut to, from) in abundances.outer_iter_mut().zip(restored) {
            to.assign(&from);
        }
        Some(Sampled { endmembers, abundances })
    }

    /// The draws with their endmembers in another order: `order[i]` is the one that becomes number
    /// i.
    pub fn in_order(&self, order: &[usize]) -> Self {
        Sampled {
            endmembers: self.endmembers.select(Axis(1), order),
            abundances: self.abundances.select(Axis(2), order),
        }
    }
}
