//! Small images of large maps, for pictures.

use std::sync::Arc;

use ndarray::{Array1, Array2};

use crate::engine::ground::error::Result;
use crate::posterior::Posterior;
use crate::scene::{Cube, Scene, SceneParts};

/// Pictures have no longer sides than this: more is not seen on a screen, and takes memory.
const LONGEST_SIDE: usize = 1000;

/// Means over squares of pixels, gathered while the pixels come.
pub(super) struct Reduced {
    /// Pixels along the side of a square.
    factor: usize,
    cols: usize,
    endmembers: usize,
    /// For each square how many pixels it has.
    counts: Vec<u32>,
    /// For each square sums of everything that is shown, [`Reduced::depth`] each.
    sums: Vec<f32>,
}

impl Reduced {
    pub(super) fn new((rows, cols): (usize, usize), endmembers: usize) -> Self {
        let factor = rows.max(cols).div_ceil(LONGEST_SIDE).max(1);
        let squares = rows.div_ceil(factor) * cols.div_ceil(factor);
        let mut reduced = Reduced {
            factor,
            cols: cols.div_ceil(factor),
            endmembers,
            counts: vec![0; squares],
            sums: Vec::new(),
        };
        reduced.sums = vec![0.0; squares * reduced.depth()];
        reduced
    }

    /// Mean, sd, lower and upper quantile of each abundance, residual and brightness.
    fn depth(&self) -> usize {
        4 * self.endmembers + 2
    }

    /// Takes in pixels of an image of `cols` columns; each comes once, in the order of the image.
    pub(super) fn add(&mut self, cols: usize, places: &[u32], found: &Posterior) {
        let depth = self.depth();
        for (n, &place) in places.iter().enumerate() {
            let (row, col) = (place as usize / cols, place as usize % cols);
            let square = (row / self.factor) * self.cols + col / self.factor;
            let Some(sums) = self.sums.get_mut(square * depth..(square + 1) * depth) else {
                continue;
            };
            let tables = [
                &found.abundance_mean,
                &found.abundance_sd,
                &found.abundance_q05,
                &found.abundance_q95,
            ];
            let values = tables.into_iter().flat_map(|table| table.row(n).to_vec());
            let bright = found.brightness.as_ref().map_or(1.0, |bright| bright[n]);
            let values = values.chain([found.residual[n], bright]);
            sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
            self.counts[square] += 1;
        }
    }

    /// A scene of the squares, and what is known of them; of the spectra it is what `of` says.
    pub(super) fn image(&self, scene: &Scene, of: &Posterior) -> Result<(Scene, Posterior)> {
        let (depth, k) = (self.depth(), self.endmembers);
        let squares: Vec<usize> = (0..self.counts.len()).filter(|&s| self.counts[s] > 0).collect();
        let value = |n: usize, at: usize| {
            self.sums[squares[n] * depth + at] / self.counts[squares[n]] as f32
        };
        let table = |which: usize| {
            Array2::from_shape_fn((squares.len(), k), |(n, i)| value(n, which * k + i))
        };
        let list = |at: usize| (0..squares.len()).map(|n| value(n, at)).collect::<Array1<f32>>();
        let [mean, sd, q05, q95] = [0, 1, 2, 3].map(table);
        let posterior = Posterior {
            abundance_q50: mean.clone(),
            abundance_mean: mean,
            abundance_sd: sd,
            abundance_q05: q05,
            abundance_q95: q95,
            draws_worth: None,
            residual: list(4 * k).to_vec(),
            brightness: of.brightness.as_ref().map(|_| list(4 * k + 1)),
            ..of.clone()
        };
        let name = match self.factor {
            1 => scene.name().to_owned(),
            factor => format!("{}, means of {factor} x {factor} pixels", scene.name()),
        };
        let scene = Scene::new(SceneParts {
            name,
            rows: scene.rows().div_ceil(self.factor),
            cols: self.cols,
            cube: Arc::new(Cube::zeros(0, scene.bands().len())),
            places: squares.iter().map(|&square| square as u32).collect(),
            georeference: None,
            ..scene.clone().into_parts()
        })?;
        Ok((scene, posterior))
    }
}
