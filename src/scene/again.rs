//! Another piece of a scene, read as the first one was: tiles, blocks, dates of one product.
//!
//! [`super::load`] decides from all that it reads which bands are used, what the scale is and how
//! gaps are filled. Pieces of one scene would decide each for itself; here nothing depends on the
//! piece, so that pixels come out the same whatever the cut.

use std::sync::Arc;

use super::blocks::for_each_block;
use super::no_data::{SENTINELS, Voids};
use super::taking::{Counts, Rule};
use super::values::{Filling, Values};
use super::{Band, CubeSource, Header, Mask, NoData, Scaling, Scene, SceneParts, limits};
use crate::engine::ground::error::{Error, Result};

/// How a scene was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    /// The bands in use, (L).
    pub bands: Vec<Band>,
    /// Bands of the file, with those that are left out.
    pub file_bands: usize,
    /// How values become reflectance, one gain and offset for all bands.
    pub scaling: Scaling,
    /// A mean spectrum, (L), whose shape single missing values follow; its size does not count.
    pub mean: Vec<f64>,
    /// The reflectance that bright pixels reach; values above five times that, and above 1.5, are
    /// strays.
    pub peak: f64,
}

impl Scene {
    /// How this scene was read, for pieces of the same product; of one without spectra nobody knows
    /// ([`crate::Fit::reading`] does).
    pub fn reading(&self) -> Reading {
        let cube = self.cube();
        let mut mean = vec![0.0; cube.bands()];
        let mut peak = 0.0f32;
        for n in 0..cube.pixels() {
            for (sum, &y) in mean.iter_mut().zip(cube.spectrum(n)) {
                *sum += f64::from(y);
                peak = peak.max(y);
            }
        }
        mean.iter_mut().for_each(|sum| *sum /= cube.pixels().max(1) as f64);
        Reading {
            bands: self.bands().to_vec(),
            file_bands: self.file_bands(),
            scaling: self.scaling().clone(),
            mean,
            peak: peak.into(),
        }
    }
}

/// Reads `source` into a scene called `name` by the rules of [`super::load`] for pixels, with
/// everything else as `reading` says. A pixel is no data where its bands in use all hold zero, NaN,
/// infinity, a value for no data (`no_data`, or the one that the source states), or -9999 or -32768
/// where `no_data` leaves it open. A piece without a single valid pixel is a scene without pixels.
///
/// # Errors
///
/// [`Error::Scene`] for a source of another number of bands, or one that states a gain for each
/// band; [`Error::Setting`] for a mask of another size.
pub fn load_again(
    source: &mut dyn CubeSource,
    name: &str,
    reading: &Reading,
    no_data: &NoData,
    mask: Option<&Mask>,
) -> Result<Scene> {
    let header = source.header().clone();
    check(name, &header, reading)?;
    if let Some(mask) = mask {
        mask.check(header.rows, header.cols)?;
    }
    let voids = Voids::stated(no_data, header.ignore_value);
    let used: Vec<usize> = reading.bands.iter().map(|band| band.index).collect();
    let gains = vec![(reading.scaling.gain, reading.scaling.offset); used.len()];
    let most = header.rows * header.cols;
    let mut values = Values::with_capacity(name, most, used.len())?;
    let rule = Rule::new(used, gains, voids, reading.peak);
    let empty = |spectrum: &[f32]| {
        let void = |v: f32| v == 0.0 || rule.voids.contain(v);
        let sentinel = |v: f32| rule.voids.open() && SENTINELS.contains(&v);
        rule.used.iter().all(|&b| void(spectrum[b]) || sentinel(spectrum[b]))
    };
    let wanted = |place: usize, spectrum: &[f32]| {
        mask.is_none_or(|mask| mask.has(place)) && !empty(spectrum)
    };
    let (size, mut counts) = (header.cols * header.bands, Counts::default());
    for_each_block(source, name, size, 0..header.rows, |row, block| {
        let at = (row * header.cols, size, header.bands);
        values.add(name, &rule.keep(block, at, wanted, &mut counts))
    })?;
    let mut notes = header.notes.clone();
    let filling = Filling::given(&reading.mean, &reading.bands, &rule);
    counts.tell_filled(&filling.stay, &mut notes);
    values.fill(&filling, &counts);
    let (cube, places) = values.into_cube();
    Scene::new(SceneParts {
        name: name.to_owned(),
        rows: header.rows,
        cols: header.cols,
        bands: reading.bands.clone(),
        file_bands: header.bands,
        cube: Arc::new(cube),
        places,
        georeference: header.georeference,
        scaling: reading.scaling.clone(),
        notes,
    })
}

fn check(name: &str, header: &Header, reading: &Reading) -> Result<()> {
    limits::check(name, header)?;
    if header.bands != reading.file_bands {
        return Err(Error::Scene(format!(
            "{name}: it has {} bands, and the scene that was fitted {}; give it with as many, in \
             the same order.",
            header.bands, reading.file_bands
        )));
    }
    let differ = |list: &[f64]| list.windows(2).any(|pair| pair[0] != pair[1]);
    if header.stated_scale.as_ref().is_some_and(|(g, o, _)| differ(g) || differ(o)) {
        return Err(Error::Scene(format!(
            "{name}: it states a gain for each band; pieces of a scene are read with one for all, \
             so give it in reflectance."
        )));
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use ndarray::{Array3, s};

    use super::super::View;
    use super::*;

    /// Stored values of a scene of 4 x 6 pixels and 5 bands with gaps, codes and strays.
    fn stored() -> Array3<f32> {
        let mut cube = Array3::from_shape_fn((4, 6, 5), |(r, c, b)| {
            1000.0 + 100.0 * b as f32 + 10.0 * r as f32 + c as f32
        });
        cube.slice_mut(s![0, 0, ..]).fill(0.0);
        cube.slice_mut(s![1, 1, ..]).fill(-9999.0);
        cube.slice_mut(s![2, 2, ..]).fill(7.0);
        cube[[3, 3, 2]] = f32::NAN;
        cube[[3, 4, 1]] = 90_000.0;
        cube.slice_mut(s![3, 5, ..2]).fill(f32::NAN);
        cube
    }

    fn reading() -> Reading {
        let band = |index| Band { index, wavelength: Some(400.0 + index as f64), fwhm: None };
        Reading {
            bands: [0, 1, 2, 4].map(band).to_vec(),
            file_bands: 5,
            scaling: Scaling { gain: 1e-4, offset: 0.0, rule: "given".into() },
            mean: vec![0.1, 0.11, 0.12, 0.14],
            peak: 0.2,
        }
    }

    fn read(cube: ndarray::ArrayView3<'_, f32>, mask: Option<&Mask>) -> Scene {
        let header = Header { ignore_value: Some(7.0), ..Header::default() };
        let mut view = View::new(cube, header);
        load_again(&mut view, "piece", &reading(), &NoData::Found, mask).unwrap()
    }

    #[test]
    fn a_piece_is_read_as_the_whole() {
        let cube = stored();
        let whole = read(cube.view(), None);
        // No data are left out, and so is a pixel that lacks half of its bands.
        let gone = [0, 7, 14, 23];
        assert_eq!(whole.places().len(), 20);
        assert!(gone.iter().all(|place| !whole.places().contains(place)));
        for (rows, cols) in [(0..1, 0..6), (1..4, 2..5), (3..4, 3..4), (2..3, 2..3), (0..4, 0..1)] {
            let part = read(cube.slice(s![rows.clone(), cols.clone(), ..]), None);
            for (n, &place) in part.places().iter().enumerate() {
                let (r, c) = (place as usize / cols.len(), place as usize % cols.len());
                let at = ((rows.start + r) * 6 + cols.start + c) as u32;
                let there = whole.places().binary_search(&at).unwrap();
                assert_eq!(part.cube().spectrum(n), whole.cube().spectrum(there), "{at}");
            }
            let inside = |at: &&u32| {
                rows.contains(&(**at as usize / 6)) && cols.contains(&(**at as usize % 6))
            };
            assert_eq!(part.places().len(), whole.places().iter().filter(inside).count());
        }
        // A gap follows the shape of the mean: 0.1033 and 0.1433 beside it, each 1.033 and 1.024
        // of the mean there.
        let filled = whole.cube().spectrum(whole.places().binary_search(&21).unwrap())[2];
        assert!((0.122..0.125).contains(&filled), "{filled}");
        assert!(whole.cube().padded().iter().all(|v| v.is_finite() && *v < 1.5));
    }

    #[test]
    fn masks_hold_and_other_sources_are_refused() {
        let cube = stored();
        let mask = Mask::new(4, 6, (0..24).map(|place| place >= 18).collect()).unwrap();
        assert_eq!(read(cube.view(), Some(&mask)).places(), [18, 19, 20, 21, 22]);
        let refused = |cube: ndarray::ArrayView3<'_, f32>, header: Header| {
            let mut view = View::new(cube, header);
            let error = load_again(&mut view, "piece", &reading(), &NoData::Found, None);
            error.unwrap_err().to_string()
        };
        let four = refused(cube.slice(s![.., .., ..4]), Header::default());
        assert!(four.contains("it has 4 bands") && four.contains("fitted 5"), "{four}");
        let gains = (vec![1.0, 1.0, 1.0, 1.0, 2.0], vec![0.0], "gain".to_owned());
        let each = Header { stated_scale: Some(gains), ..Header::default() };
        assert!(refused(cube.view(), each).contains("a gain for each band"));
    }
}
