//! Fits of scenes that stay in their file.

use std::ops::Range;
use std::sync::Arc;
use std::sync::mpsc;

use super::Unmixing;
use super::plan::Plan;
use crate::engine::ground::error::{Error, Result};
use crate::engine::ground::interrupt::{Interrupted, heed};
use crate::engine::ground::setting;
use crate::fit::{Fit, Pass};
use crate::posterior::Posterior;
use crate::scene::{Cube, CubeSource, LoadOptions, Scene, Windows};
use crate::settings::PosteriorKind;
use crate::starts;

/// The posterior of the pixels of some rows.
pub struct Block {
    /// The rows of the image.
    pub rows: Range<usize>,
    /// Places `row * cols + col` of the pixels in the image, ascending.
    pub places: Vec<u32>,
    /// What is known of them, in this order; of the spectra the same in every block.
    pub posterior: Posterior,
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
        let plan = Plan::new(self, self.some_endmembers())?;
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

/// Gives the pixels of a scene their posteriors, `rows` rows at a time; the next rows are read
/// meanwhile. False when `interrupted` ended it before the last row.
///
/// # Errors
///
/// What reading refuses, and what `each` gives.
pub fn each_block(
    pass: &Pass<'_>,
    windows: &mut Windows,
    rows: usize,
    interrupted: Interrupted,
    each: &mut dyn FnMut(Block) -> Result<()>,
) -> Result<bool> {
    let (all, rows) = (windows.geometry().rows(), rows.max(1));
    type Read = (Range<usize>, Result<(Cube, Vec<u32>)>);
    std::thread::scope(|scope| {
        let (send, receive) = mpsc::sync_channel::<Read>(0);
        scope.spawn(move || {
            for first in (0..all).step_by(rows) {
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
            let posterior = match heed(interrupted).and_then(|()| {
                pass.of(&Arc::new(cube), interrupted)
            }) {
                Err(Error::Interrupted) => return Ok(false),
                found => found?,
            };
            each(Block { rows: range, places, posterior })?;
        }
        Ok(true)
    })
}
