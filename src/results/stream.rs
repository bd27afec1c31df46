//! Maps that are written while they are computed, some rows at a time: of scenes that do not fit in
//! memory.

use std::collections::BTreeMap;
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::ops::Range;

use ndarray::{Array2, Array3};
use ndarray_npy::ReadNpyExt;

use super::disk::Writer;
use super::folder::OutputFolder;
use super::images::Images;
use super::rasters::{self, Format};
use super::reduced::Reduced;
use super::write::{Results, write_all};
use crate::engine::ground::error::{Error, Result};
use crate::io::rasters::{About, ENVI_NO_DATA, envi_maps_header};
use crate::posterior::Posterior;
use crate::scene::Scene;

/// One map and the files that it goes to.
struct Layer {
    name: &'static str,
    title: &'static str,
    /// A name a band.
    bands: Vec<String>,
    npy: BufWriter<Writer>,
    envi: Option<Writer>,
}

/// Maps of a scene that are written by blocks of rows, from the first on. What is written does not
/// depend on the blocks.
pub struct Stream<'a> {
    folder: &'a OutputFolder,
    scene: &'a Scene,
    formats: &'a [Format],
    layers: Vec<Layer>,
    reduced: Reduced,
    /// Rows that are written.
    rows: usize,
}

/// Whether a format is written row by row; others take all maps at once, as do all that put the
/// maps on another grid.
fn is_streamed(format: Format, scene: &Scene) -> bool {
    let moved = scene.georeference().is_some_and(|place| place.lookup.is_some());
    matches!(format, Format::Png | Format::Npy) || (format == Format::Envi && !moved)
}

/// Bytes of all maps of a scene with so many endmembers, as numbers.
fn bytes_of_maps(scene: &Scene, endmembers: usize) -> u64 {
    let pixels = scene.rows() as u64 * scene.cols() as u64;
    4 * pixels.saturating_mul(5 * endmembers as u64 + 2)
}

/// The formats to write maps in that are made by rows, within `memory` bytes: those that were
/// asked for; else pictures and arrays, and of a scene with a place on earth GeoTIFF, or ENVI where
/// that would take more memory.
///
/// # Errors
/// [`Error::Option`] for a format that was asked for and takes more memory.
pub fn formats_by_rows(
    scene: &Scene,
    endmembers: usize,
    memory: u64,
    asked: &[Format],
) -> Result<Vec<Format>> {
    // Read back, put on the grid, and packed.
    let needed = bytes_of_maps(scene, endmembers).saturating_mul(3);
    let fits = |format: Format| is_streamed(format, scene) || needed <= memory;
    if let Some(format) = asked.iter().copied().find(|format| !fits(*format)) {
        return Err(Error::option(
            format!("format {format:?}").to_lowercase(),
            format!(
                "takes all maps at once, {} MiB of memory, and {} MiB may be used; allow more, or \
                 take npy, png and envi, which are written row by row",
                needed.div_ceil(1 << 20),
                memory >> 20
            ),
        ));
    }
    if !asked.is_empty() {
        return Ok(asked.to_vec());
    }
    let usual = Format::usual(scene).into_iter();
    let other = |format| if fits(format) { format } else { Format::Envi };
    let mut formats: Vec<Format> = usual.map(other).collect();
    formats.retain(|format| fits(*format));
    Ok(formats)
}

/// Refuses maps that the disk has no room for, before they are computed.
///
/// # Errors
/// [`Error::File`] with what is needed and what is free.
pub fn check_space(
    folder: &OutputFolder,
    scene: &Scene,
    endmembers: usize,
    formats: &[Format],
) -> Result<()> {
    let copies = formats.iter().filter(|format| **format != Format::Png).count() as u64;
    folder.check_space(bytes_of_maps(scene, endmembers).saturating_mul(copies.max(1)))
}

impl<'a> Stream<'a> {
    /// Begins the maps of `scene`, of which only its geometry is looked at. `names` are those of
    /// the endmembers, `bright` says whether pixels have a brightness. The disk must have room for
    /// all of them.
    ///
    /// # Errors
    /// [`Error::File`] where the disk has not room enough, [`Error::Io`] when it refuses.
    pub fn begin(
        folder: &'a OutputFolder,
        scene: &'a Scene,
        names: &[String],
        bright: bool,
        formats: &'a [Format],
    ) -> Result<Self> {
        check_space(folder, scene, names.len(), formats)?;
        let single = |name: &str| vec![name.to_owned()];
        let mut kinds = vec![
            ("abundance_mean", "Abundance, posterior mean", names.to_vec()),
            ("abundance_sd", "Abundance, posterior standard deviation", names.to_vec()),
            ("abundance_q05", "Abundance, 5 % quantile", names.to_vec()),
            ("abundance_q50", "Abundance, median", names.to_vec()),
            ("abundance_q95", "Abundance, 95 % quantile", names.to_vec()),
            ("residual", rasters::RESIDUAL, single("residual")),
        ];
        if bright {
            kinds.push(("brightness", rasters::BRIGHTNESS, single("brightness")));
        }
        let (rows, cols) = (scene.rows(), scene.cols());
        let envi = formats.contains(&Format::Envi) && is_streamed(Format::Envi, scene);
        let mut layers = Vec::new();
        for (name, title, bands) in kinds {
            let file = format!("{name}.npy");
            let mut npy = BufWriter::with_capacity(1 << 16, folder.create(&file)?);
            let depth = (name.starts_with("abundance")).then_some(bands.len());
            let header = npy_header((rows, cols), depth);
            npy.write_all(&header).map_err(|error| Error::io(folder.path().join(&file), error))?;
            let envi = match envi {
                true => Some(folder.create(&format!("{name}.img"))?),
                false => None,
            };
            layers.push(Layer { name, title, bands, npy, envi });
        }
        let reduced = Reduced::new((rows, cols), names.len());
        Ok(Stream { folder, scene, formats, layers, reduced, rows: 0 })
    }

    /// Writes the pixels of the next rows: their places in the image, ascending, and what is known
    /// of them in this order.
    ///
    /// # Errors
    /// [`Error::Io`] when the disk refuses, [`Error::Fit`] for rows that are not the next ones.
    pub fn add(&mut self, rows: Range<usize>, places: &[u32], found: &Posterior) -> Result<()> {
        let cols = self.scene.cols();
        let first = self.rows * cols;
        let inside = |place: &u32| (first..rows.end * cols).contains(&(*place as usize));
        if rows.start != self.rows || rows.end > self.scene.rows() || !places.iter().all(inside) {
            return Err(Error::Fit(format!(
                "rows {}:{} of the maps were given after the first {}",
                rows.start, rows.end, self.rows
            )));
        }
        self.reduced.add(cols, places, found);
        let (residual, bright) = (&found.residual, found.brightness.as_ref());
        for at in 0..self.layers.len() {
            let value = |n: usize, band: usize| -> f32 {
                match at {
                    0 => found.abundance_mean[[n, band]],
                    1 => found.abundance_sd[[n, band]],
                    2 => found.abundance_q05[[n, band]],
                    3 => found.abundance_q50[[n, band]],
                    4 => found.abundance_q95[[n, band]],
                    5 => residual[n],
                    _ => bright.map_or(f32::NAN, |bright| bright[n]),
                }
            };
            let depth = self.layers[at].bands.len();
            let mut image = vec![f32::NAN; rows.len() * cols * depth];
            for (n, &place) in places.iter().enumerate() {
                let pixel = (place as usize - first) * depth;
                for band in 0..depth {
                    image[pixel + band] = value(n, band);
                }
            }
            self.put(at, rows.start, &image)?;
        }
        self.rows = rows.end;
        Ok(())
    }

    /// Writes some rows of a map, (rows, columns, bands), from row `first` on.
    fn put(&mut self, at: usize, first: usize, image: &[f32]) -> Result<()> {
        let (rows, cols) = (self.scene.rows(), self.scene.cols());
        let Layer { name, bands, npy, envi, .. } = &mut self.layers[at];
        let bytes: &[u8] = bytemuck::cast_slice(image);
        let little: Vec<u8>;
        let bytes = match cfg!(target_endian = "little") {
            true => bytes,
            false => {
                little = image.iter().flat_map(|v| v.to_le_bytes()).collect();
                &little
            }
        };
        let failed =
            |end: &str, error| Error::io(self.folder.path().join(format!("{name}{end}")), error);
        npy.write_all(bytes).map_err(|error| failed(".npy", error))?;
        let Some(envi) = envi else { return Ok(()) };
        let mut plane = Vec::with_capacity(4 * image.len() / bands.len().max(1));
        for band in 0..bands.len() {
            plane.clear();
            for value in image.iter().skip(band).step_by(bands.len()) {
                let stored = if value.is_finite() { *value } else { ENVI_NO_DATA };
                plane.extend(stored.to_le_bytes());
            }
            let place = 4 * ((band * rows + first) * cols) as u64;
            let written = envi.seek(SeekFrom::Start(place)).and_then(|_| envi.write_all(&plane));
            written.map_err(|error| failed(".img", error))?;
        }
        Ok(())
    }

    /// Writes what is left: rows that nobody gave, as no data, and all that needs the whole.
    /// `results` are those of the fit, whose list of pixels is not looked at. The names of the
    /// files.
    ///
    /// # Errors
    /// Those of [`write_all`].
    pub fn finish(mut self, results: &Results<'_>) -> Result<Vec<String>> {
        let (rows, cols) = (self.scene.rows(), self.scene.cols());
        for row in self.rows..rows {
            for at in 0..self.layers.len() {
                let empty = vec![f32::NAN; cols * self.layers[at].bands.len()];
                self.put(at, row, &empty)?;
            }
        }
        for layer in &mut self.layers {
            let path = self.folder.path().join(format!("{}.npy", layer.name));
            layer.npy.flush().map_err(|error| Error::io(path, error))?;
        }
        let history = rasters::history(self.scene);
        let about = About { place: self.scene.georeference(), history: &history };
        let mut files = Vec::new();
        for layer in self.layers.iter().filter(|layer| layer.envi.is_some()) {
            let meta = (layer.title, "1", &layer.bands[..]);
            let header = envi_maps_header(meta, (rows, cols), &about);
            let file = format!("{}.hdr", layer.name);
            self.folder.write(&file, |to| to.write_all(header.as_bytes()))?;
            files.extend([file, format!("{}.img", layer.name)]);
        }
        if files.len() > 1 {
            let names = self.layers.first().map(|layer| &layer.bands[..]).unwrap_or_default();
            let of_scene = Results { scene: self.scene, ..*results };
            rasters::envi_spectra(self.folder, &of_scene, names, &mut files)?;
        }
        // The table of endmembers, and pictures of a smaller image.
        let (scene, posterior) = self.reduced.image(self.scene, results.posterior)?;
        let pictures: Vec<Format> =
            self.formats.iter().copied().filter(|f| *f == Format::Png).collect();
        let small =
            Results { scene: &scene, posterior: &posterior, formats: &pictures, ..*results };
        files.extend(write_all(self.folder, &small)?);
        let rest: Vec<Format> =
            self.formats.iter().copied().filter(|f| !is_streamed(*f, self.scene)).collect();
        if !rest.is_empty() {
            files.extend(self.read_back(results, &rest)?);
        }
        let keep = self.formats.contains(&Format::Npy);
        for layer in self.layers {
            let file = format!("{}.npy", layer.name);
            drop(layer.npy);
            if keep {
                files.push(file);
            } else {
                self.folder.remove(&file)?;
            }
        }
        Ok(files)
    }

    /// Formats that take all maps at once, from the arrays that were written.
    fn read_back(&self, results: &Results<'_>, formats: &[Format]) -> Result<Vec<String>> {
        let read = |layer: &Layer| -> Result<Array3<f32>> {
            let file = format!("{}.npy", layer.name);
            let path = self.folder.staged(&file)?;
            let open = std::fs::File::open(&path).map_err(|error| Error::io(&path, error))?;
            let back = |error: ndarray_npy::ReadNpyError| Error::io(&path, io::Error::other(error));
            match layer.name.starts_with("abundance") {
                true => Array3::<f32>::read_npy(open).map_err(back),
                false => {
                    let map = Array2::<f32>::read_npy(open).map_err(back)?;
                    Ok(map.insert_axis(ndarray::Axis(2)))
                }
            }
        };
        let mut maps = BTreeMap::new();
        for layer in &self.layers {
            maps.insert(layer.name, read(layer)?);
        }
        let brightness = maps.remove("brightness");
        let mut take = |name: &str| {
            maps.remove(name).ok_or_else(|| Error::Fit(format!("there is no map {name}")))
        };
        let flat = |map: Array3<f32>| map.index_axis_move(ndarray::Axis(2), 0);
        let images = Images {
            mean: take("abundance_mean")?,
            sd: take("abundance_sd")?,
            quantiles: [take("abundance_q05")?, take("abundance_q50")?, take("abundance_q95")?],
            residual: flat(take("residual")?),
            brightness: brightness.map(flat),
        };
        let results = Results { scene: self.scene, formats, ..*results };
        let names = self.layers.first().map(|layer| &layer.bands[..]).unwrap_or_default();
        rasters::write(self.folder, &results, names, &images)
    }
}

/// The header of an NPY file, version 1.0, of float32 in C order (NEP 1), as ndarray-npy has it.
fn npy_header((rows, cols): (usize, usize), depth: Option<usize>) -> Vec<u8> {
    let depth = depth.map_or_else(String::new, |depth| format!(", {depth}"));
    let mut text =
        format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({rows}, {cols}{depth})}}");
    // Magic, version and length take 10 bytes; with them and a line's end it fills 64s.
    while (10 + text.len() + 1) % 64 != 0 {
        text.push(' ');
    }
    text.push('\n');
    let mut header = b"\x93NUMPY\x01\x00".to_vec();
    header.extend((text.len() as u16).to_le_bytes());
    header.extend(text.as_bytes());
    header
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_read_by_others() {
        for depth in [None, Some(3)] {
            let mut bytes = npy_header((2, 5), depth);
            assert_eq!(bytes.len() % 64, 0);
            let count = 10 * depth.unwrap_or(1);
            bytes.extend((0..count).flat_map(|i| (i as f32).to_le_bytes()));
            match depth {
                None => assert_eq!(Array2::<f32>::read_npy(&bytes[..]).unwrap()[[1, 4]], 9.0),
                Some(_) => {
                    assert_eq!(Array3::<f32>::read_npy(&bytes[..]).unwrap()[[1, 4, 2]], 29.0);
                }
            }
        }
    }
}
