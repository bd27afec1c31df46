//! Fits of scenes that stay in their file.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc;

use ndarray::{Array1, Array2, s};

use super::Unmixing;
use super::plan::Plan;
use crate::engine::ground::error::{Error, Result};
use crate::engine::ground::interrupt::{Interrupted, heed};
use crate::engine::ground::setting;
use crate::engine::wait::block_on;
use crate::fit::{Fit, Pass};
use crate::posterior::Posterior;
use crate::scene::{Cube, CubeSource, LoadOptions, Scene, Windows};
use crate::settings::PosteriorKind;
use crate::starts;
use crate::store::Store;

/// The posterior of the pixels of some rows.
pub struct Block {
    /// The rows of the image.
    pub rows: Range<usize>,
    /// Places `row * cols + col` of the pixels in the image, ascending.
    pub places: Vec<u32>,
    /// What is known of them, in this order; of the spectra the same in every block.
    pub posterior: Posterior,
}

/// The kind of file that holds a block.
const KIND: &str = "block of rows";

impl Block {
    /// Keeps the block in a file, whole or not at all.
    ///
    /// # Errors
    ///
    /// [`Error::Io`].
    pub fn save(&self, path: &Path) -> Result<()> {
        let p = &self.posterior;
        let k = p.abundance_mean.ncols();
        let mut store = Store::new(KIND, &(self.rows.start, self.rows.end, k))?;
        store.put_u32("places", &self.places);
        for (name, table) in [
            ("mean", &p.abundance_mean),
            ("sd", &p.abundance_sd),
            ("q05", &p.abundance_q05),
            ("q50", &p.abundance_q50),
            ("q95", &p.abundance_q95),
        ] {
            store.put_f32(name, &table.iter().copied().collect::<Vec<f32>>());
        }
        store.put_f32("residual", &p.residual);
        for (name, list) in [("worth", &p.draws_worth), ("brightness", &p.brightness)] {
            if let Some(list) = list {
                store.put_f32(name, &list.to_vec());
            }
        }
        store.write(path)
    }

    /// Reads a block of the pass that it was made by.
    ///
    /// # Errors
    ///
    /// [`Error::Io`], and [`Error::File`] for a file that is damaged or of something else.
    pub fn load(path: &Path, pass: &Pass<'_>) -> Result<Self> {
        let mut store = Store::read(path, KIND)?;
        let wrong = || Error::file(path, "is no block of rows of this fit");
        let (start, end, k): (usize, usize, usize) =
            store.meta().map_err(|why| Error::file(path, why))?;
        let none = pass.of(&Arc::new(Cube::zeros(0, pass.bands())), &|| false)?;
        let places = store.take_u32("places").ok_or_else(wrong)?;
        let count = places.len();
        let mut list = |name: &str, len: usize| {
            store.take_f32(name).filter(|values| values.len() == len).ok_or_else(wrong)
        };
        if k != none.abundance_mean.ncols() || start > end {
            return Err(wrong());
        }
        let mut table = |name: &str| {
            Array2::from_shape_vec((count, k), list(name, count * k)?).map_err(|_| wrong())
        };
        let (mean, sd) = (table("mean")?, table("sd")?);
        let (q05, q50, q95) = (table("q05")?, table("q50")?, table("q95")?);
        let residual = list("residual", count)?;
        let mut optional = |name: &str, there: bool| -> Result<Option<Array1<f32>>> {
            if there { list(name, count).map(|values| Some(values.into())) } else { Ok(None) }
        };
        let posterior = Posterior {
            abundance_mean: mean,
            abundance_sd: sd,
            abundance_q05: q05,
            abundance_q50: q50,
            abundance_q95: q95,
            draws_worth: optional("worth", none.draws_worth.is_some())?,
            brightness: optional("brightness", none.brightness.is_some())?,
            residual,
            ..none
        };
        Ok(Block { rows: start..end, places, posterior })
    }
}

impl Unmixing {
    /// Opens a scene so that [`Unmixing::learn`] can fit it. Its pixels stay in the file.
    ///
    /// # Errors
    ///
    /// What reading refuses, and [`Error::Setting`] where the posterior that is asked for is that
    /// of the guide, which must meet all pixels at once.
    pub fn windows(
        &self,
        source: Box<dyn CubeSource>,
        name: &str,
        options: &LoadOptions,
    ) -> Result<Windows> {
        let plan = Plan::new(self, self.endmembers())?;
        let header = source.header();
        let most = plan.learned_from(header.bands, header.rows.saturating_mul(header.cols))?;
        if plan.posterior == PosteriorKind::Guide {
            return Err(Error::setting(
                setting::POSTERIOR,
                "guide",
                "needs all pixels in memory, and this scene is read by rows; ask for the exact \
                 posterior, without a noise covariance or a low-rank guide, or allow more memory",
            ));
        }
        if self.draws > 0 {
            return Err(Error::setting(
                setting::DRAWS,
                self.draws,
                "are kept of scenes that fit in memory, and this one is read by rows; allow more \
                 memory, or cut a window out of the scene",
            ));
        }
        Windows::open(source, name, options, (starts::by_lot(most), self.svi.seed))
    }

    /// The pixels that a fit of K endmembers is learned from, `rows` rows held at a time: all of a
    /// scene of at most 30,000, of a larger one a fair sample with the extremes.
    ///
    /// # Errors
    ///
    /// [`Error::Interrupted`], and what reading refuses.
    pub fn sample(&self, windows: &mut Windows, endmembers: usize, rows: usize) -> Result<Scene> {
        starts::check_count(&windows.drawn().cube, endmembers)?;
        let plan = Plan::new(self, endmembers)?;
        let most = plan.learned_from(windows.geometry().file_bands(), windows.valid())?;
        let of = (endmembers, most, self.svi.seed);
        starts::learned_from_windows(windows, of, rows, &|| self.is_interrupted())
    }

    /// Fits a sample of a scene of `of` valid pixels: spectra, noise and all else that pixels
    /// share. Of the pixels themselves the fit says only where they lie; [`each_block`] gives all
    /// pixels of the scene their posteriors.
    ///
    /// # Errors
    ///
    /// The errors of [`Unmixing::fit`].
    pub fn learn(&self, sample: &Scene, of: usize) -> Result<Fit> {
        if sample.places().len() >= of {
            return self.fit(sample);
        }
        Unmixing { sample_of: Some(of), ..self.clone() }.fit(sample)
    }
}

impl Unmixing {
    /// The pass of a fit of these settings over the pixels of a scene, on the device that the fit
    /// has run on.
    ///
    /// # Errors
    ///
    /// Those of [`Fit::pass`], and where the device is gone.
    pub fn pass<'a>(&self, fit: &'a Fit, scene: &Scene) -> Result<Pass<'a>> {
        let pass = fit.pass(scene)?;
        match fit.record().device.backend == "cpu" {
            true => Ok(pass),
            false => Ok(pass.on(block_on(self.open())?)),
        }
    }
}

/// The blocks of a fit that has met all valid pixels of its scene itself, `rows` rows each.
///
/// # Errors
///
/// What `each` gives.
pub fn own_blocks(fit: &Fit, rows: usize, each: &mut dyn FnMut(Block) -> Result<()>) -> Result<()> {
    let (scene, p) = (fit.scene(), fit.posterior());
    let (all, rows, cols) = (scene.rows(), rows.max(1), scene.cols());
    for first in (0..all).step_by(rows) {
        let range = first..all.min(first + rows);
        let at = |row: usize| scene.places().partition_point(|&n| (n as usize) < row * cols);
        let (from, to) = (at(range.start), at(range.end));
        let table = |of: &Array2<f32>| of.slice(s![from..to, ..]).to_owned();
        let list = |of: &Array1<f32>| of.slice(s![from..to]).to_owned();
        let posterior = Posterior {
            abundance_mean: table(&p.abundance_mean),
            abundance_sd: table(&p.abundance_sd),
            abundance_q05: table(&p.abundance_q05),
            abundance_q50: table(&p.abundance_q50),
            abundance_q95: table(&p.abundance_q95),
            draws_worth: p.draws_worth.as_ref().map(list),
            brightness: p.brightness.as_ref().map(list),
            residual: p.residual[from..to].to_vec(),
            ..p.of_no_pixels()
        };
        each(Block { rows: range, places: scene.places()[from..to].to_vec(), posterior })?;
    }
    Ok(())
}

/// Gives the pixels of a scene their posteriors, `rows` rows at a time from row `from` on; the next
/// rows are read meanwhile. False when `interrupted` ended it before the last row.
///
/// # Errors
///
/// What reading refuses, and what `each` gives.
pub fn each_block(
    pass: &Pass<'_>,
    windows: &mut Windows,
    (from, rows): (usize, usize),
    interrupted: Interrupted,
    each: &mut dyn FnMut(Block) -> Result<()>,
) -> Result<bool> {
    let (all, rows) = (windows.geometry().rows(), rows.max(1));
    type Read = (Range<usize>, Result<(Cube, Vec<u32>)>);
    std::thread::scope(|scope| {
        let (send, receive) = mpsc::sync_channel::<Read>(0);
        scope.spawn(move || {
            for first in (from..all).step_by(rows) {
                let range = first..all.min(first + rows);
                let read = windows.rows(range.clone());
                let failed = read.is_err();
                // Who took them has gone.
                if send.send((range, read)).is_err() || failed {
                    break;
                }
            }
        });
        while let Ok((range, read)) = receive.recv() {
            let (cube, places) = read?;
            let posterior =
                match heed(interrupted).and_then(|()| pass.of(&Arc::new(cube), interrupted)) {
                    Err(Error::Interrupted) => return Ok(false),
                    found => found?,
                };
            each(Block { rows: range, places, posterior })?;
        }
        Ok(true)
    })
}
