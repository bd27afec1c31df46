//! GeoTIFF and BigTIFF scenes, read by windows of rows.
//!
//! Chunky and planar, tiles and strips, both byte orders; bands as samples of one image or as pages
//! of a stack. The decoder is `tiff-reader`, with budgets that keep a damaged file from asking for
//! more memory than 64 MiB and the file's own size.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tiff_reader::{
    Ifd, OpenOptions as TiffOptions, ParseBudgets, RasterLayout, TagValue, TiffError, TiffFile,
};

use super::enmap;
use super::gdal_metadata::Metadata;
use super::geokeys::GeoTags;
use super::numbers::Half;
use super::tiff_half;
use crate::engine::ground::error::{Error, Result};
use crate::scene::{CubeSource, Header};

/// What one allocation may exceed the size of the file by.
const BUDGET: usize = 64 << 20;
/// Bytes that one call of the decoder yields, about; more rows take several calls.
const WINDOW: usize = 16 << 20;
/// Blocks that stay decoded, at most: those of one row of blocks, so that none is decoded twice
/// while rows are read in order.
const MOST_CACHED: usize = 1 << 30;

// Tags: TIFF 6.0, GeoTIFF 1.1, and GDAL's two.
const SUBFILE_TYPE: u16 = 254;
const PIXEL_SCALE: u16 = 33550;
const TIE_POINTS: u16 = 33922;
const MATRIX: u16 = 34264;
const GEO_DIRECTORY: u16 = 34735;
const GEO_DOUBLES: u16 = 34736;
const GEO_ASCII: u16 = 34737;
const GDAL_METADATA: u16 = 42112;
const GDAL_NODATA: u16 = 42113;
/// Bits of `SUBFILE_TYPE`.
const REDUCED: u32 = 1;
const MASK: u32 = 4;

/// True for the first bytes of a TIFF or BigTIFF of either byte order.
pub(crate) fn is_tiff(start: &[u8]) -> bool {
    [b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"].iter().any(|magic| start.starts_with(*magic))
}

/// A cube in a TIFF.
pub(crate) struct Tiff {
    path: PathBuf,
    header: Header,
    file: TiffFile,
    layout: RasterLayout,
    /// Images that hold the bands: one with all of them, or one a band.
    pages: Vec<usize>,
    /// The image that is zero where there are no data.
    mask: Option<usize>,
    /// True where what the decoder takes for whole numbers are floats of 16 bits.
    half: bool,
}

/// Opens the scene in a TIFF.
pub(crate) fn open(path: &Path) -> Result<Tiff> {
    let size = std::fs::metadata(path).map_err(|e| Error::io(path, e))?.len();
    let budget = usize::try_from(size).unwrap_or(usize::MAX).saturating_add(BUDGET);
    let fail = |e: TiffError| broken(path, &e);
    let plain = |cache, slots| TiffFile::open_with_options(path, options(budget, cache, slots));
    let mut file = plain(0, 1).map_err(fail)?;
    let mut source = None;
    if let Err(TiffError::UnsupportedBitsPerSample(16)) = file.ifd(0).map_err(fail)?.raster_layout()
    {
        source = tiff_half::as_whole_numbers(path);
    }
    let open = |cache, slots| match &source {
        Some(source) => {
            TiffFile::from_source_with_options(Arc::clone(source), options(budget, cache, slots))
        }
        None => plain(cache, slots),
    };
    let half = source.is_some();
    if half {
        file = open(0, 1).map_err(fail)?;
    }
    let first = file.ifd(0).map_err(fail)?;
    let layout = first.raster_layout().map_err(fail)?;
    let pages = pages(&file, &layout);
    let mut header = Header {
        rows: layout.height,
        cols: layout.width,
        bands: layout.samples_per_pixel * pages.len(),
        format: format!("TIFF, {}", if half { "float16".into() } else { type_name(&layout) }),
        integer: layout.sample_format != 3 && !half,
        largest: largest(&layout).filter(|_| !half),
        ignore_value: no_data(first),
        ..Header::default()
    };
    describe(path, first, &layout, &mut header)?;
    let (place, note) = geo_tags(first).place();
    header.georeference = place;
    header.notes.extend(note);
    let mask = file.ifds().iter().position(|ifd| {
        subfile_type(ifd) & MASK != 0
            && subfile_type(ifd) & REDUCED == 0
            && ifd.raster_layout().is_ok_and(|m| {
                (m.width, m.height, m.samples_per_pixel) == (layout.width, layout.height, 1)
                    && m.bytes_per_sample == 1
            })
    });
    if mask.is_some() {
        header.notes.push("Pixels that the file's mask leaves out are no data.".into());
    }
    let cache = block_row(first, &layout, pages.len()).clamp(BUDGET, MOST_CACHED).min(budget);
    let file = open(cache, blocks_in_row(first, &layout, pages.len())).map_err(fail)?;
    Ok(Tiff { path: path.to_owned(), header, file, layout, pages, mask, half })
}

fn options(budget: usize, cache: usize, slots: usize) -> TiffOptions {
    TiffOptions {
        block_cache_bytes: cache,
        block_cache_slots: slots,
        parse_budgets: ParseBudgets {
            max_ifds: 1 << 16,
            max_ifd_entries: 4096,
            max_tag_value_bytes: BUDGET,
            max_metadata_value_bytes: 2 * BUDGET,
        },
        decode_output_bytes: budget,
    }
}

fn broken(path: &Path, error: &TiffError) -> Error {
    match error {
        TiffError::Io(source, _) => {
            Error::io(path, std::io::Error::new(source.kind(), error.to_string()))
        }
        TiffError::UnsupportedCompression(_)
        | TiffError::UnsupportedBitsPerSample(_)
        | TiffError::UnsupportedSampleFormat(_)
        | TiffError::UnsupportedPredictor(_) => Error::file(
            path,
            format!(
                "is a TIFF of a kind that is not read ({error}); convert it with `gdal_translate \
                 -ot Float32 -co COMPRESS=DEFLATE in.tif out.tif`."
            ),
        ),
        _ => Error::file(
            path,
            format!("cannot be read as TIFF; it is damaged or cut short ({error})."),
        ),
    }
}

/// The images that hold the bands: the first, or all of a stack of images with one band each.
fn pages(file: &TiffFile, layout: &RasterLayout) -> Vec<usize> {
    let alike = |ifd: &Ifd| {
        subfile_type(ifd) & (REDUCED | MASK) == 0
            && ifd.raster_layout().is_ok_and(|l| {
                (l.width, l.height, l.samples_per_pixel) == (layout.width, layout.height, 1)
                    && (l.bits_per_sample, l.sample_format)
                        == (layout.bits_per_sample, layout.sample_format)
            })
    };
    if layout.samples_per_pixel > 1 {
        return vec![0];
    }
    let found: Vec<usize> = file
        .ifds()
        .iter()
        .enumerate()
        .filter(|(i, ifd)| *i == 0 || alike(ifd))
        .map(|(i, _)| i)
        .collect();
    if found.is_empty() { vec![0] } else { found }
}

fn subfile_type(ifd: &Ifd) -> u32 {
    ifd.tag(SUBFILE_TYPE).and_then(|tag| tag.value.as_u32()).unwrap_or(0)
}

/// The type of the values, as NumPy has it.
fn type_name(layout: &RasterLayout) -> String {
    let kind = match layout.sample_format {
        1 => "uint",
        2 => "int",
        3 => "float",
        _ => "type of ",
    };
    format!("{kind}{}", layout.bits_per_sample)
}

/// The largest number of a type of whole numbers of 8 or 16 bits.
fn largest(layout: &RasterLayout) -> Option<f64> {
    match (layout.sample_format, layout.bits_per_sample) {
        (1, bits @ 1..=16) => Some(f64::from((1u32 << bits) - 1)),
        (2, 8) => Some(127.0),
        (2, 16) => Some(32767.0),
        _ => None,
    }
}

/// GDAL's no-data value; NaN is no data anyway.
fn no_data(ifd: &Ifd) -> Option<f64> {
    let text = ifd.tag(GDAL_NODATA)?.value.as_str()?;
    text.trim_matches(|c: char| c.is_whitespace() || c == '\0')
        .parse()
        .ok()
        .filter(|v: &f64| !v.is_nan())
}

/// What the tags and a file beside say about the bands; fails for a picture.
fn describe(path: &Path, ifd: &Ifd, layout: &RasterLayout, header: &mut Header) -> Result<()> {
    let text = ifd.tag(GDAL_METADATA).and_then(|tag| tag.value.as_str());
    match text.map(|text| Metadata::parse(text.trim_end_matches('\0'))) {
        Some(Ok(metadata)) => metadata.describe(header),
        Some(Err(why)) => {
            header.notes.push(format!("What the file says about its bands was left aside: {why}."));
        }
        None => {}
    }
    enmap::describe(path, header);
    let palette = ifd.photometric_interpretation() == Some(3);
    let rgb = ifd.photometric_interpretation() == Some(2) && header.bands <= 4;
    if header.wavelengths.is_none() && (palette || (rgb && layout.bytes_per_sample == 1)) {
        return Err(Error::file(
            path,
            "is a picture (its colours are red, green and blue), not a scene of many bands; name \
             the \
             file that holds the spectra.",
        ));
    }
    let extra = ifd.extra_samples().unwrap_or_default();
    let alpha = extra.last().is_some_and(|s| matches!(s.to_code(), 1 | 2));
    if alpha && header.bands > 1 {
        let flags = header.good_bands.get_or_insert_with(|| vec![true; header.bands]);
        if let Some(last) = flags.last_mut() {
            *last = false;
        }
        header.notes.push("The last band is an alpha channel and was left out.".into());
    }
    Ok(())
}

fn geo_tags(ifd: &Ifd) -> GeoTags {
    let doubles = |code| ifd.tag(code).and_then(|t| t.value.as_f64_vec()).unwrap_or_default();
    let value = |code| ifd.tag(code).map(|t| &t.value);
    GeoTags {
        pixel_scale: doubles(PIXEL_SCALE),
        tie_points: doubles(TIE_POINTS),
        matrix: doubles(MATRIX),
        directory: match value(GEO_DIRECTORY) {
            Some(TagValue::Short(shorts)) => shorts.clone(),
            _ => Vec::new(),
        },
        doubles: doubles(GEO_DOUBLES),
        ascii: value(GEO_ASCII).and_then(TagValue::as_str).unwrap_or_default().to_owned(),
    }
}

/// Bytes of all blocks that a row of the image crosses.
fn block_row(ifd: &Ifd, layout: &RasterLayout, pages: usize) -> usize {
    let tile = ifd.tile_height().zip(ifd.tile_width()).filter(|_| ifd.is_tiled());
    let (rows, cols) = match tile {
        Some((rows, cols)) => {
            let cols = (cols as usize).max(1);
            (rows as usize, layout.width.div_ceil(cols).saturating_mul(cols))
        }
        None => ((ifd.rows_per_strip() as usize).min(layout.height), layout.width),
    };
    [cols, layout.samples_per_pixel, layout.bytes_per_sample, pages]
        .into_iter()
        .fold(rows, usize::saturating_mul)
}

/// Blocks that a row of the image crosses, at most, and some more: each takes a place in memory,
/// whether it comes or not.
fn blocks_in_row(ifd: &Ifd, layout: &RasterLayout, pages: usize) -> usize {
    let cols = ifd.tile_width().filter(|_| ifd.is_tiled()).map_or(layout.width, |c| c as usize);
    let across = layout.width.div_ceil(cols.max(1));
    let blocks = across.saturating_mul(layout.samples_per_pixel).saturating_mul(pages);
    blocks.clamp(256, 1 << 20)
}

impl CubeSource for Tiff {
    fn header(&self) -> &Header {
        &self.header
    }

    fn read_rows(&mut self, first: usize, count: usize, out: &mut [f32]) -> Result<()> {
        let Header { cols, bands, .. } = self.header;
        self.header.check_rows(&self.path, first, count, out.len())?;
        let of_page = (cols * self.layout.samples_per_pixel * self.layout.bytes_per_sample).max(1);
        let at_once = (WINDOW / of_page).clamp(1, count.max(1));
        for from in (0..count).step_by(at_once) {
            let some = at_once.min(count - from);
            let out = &mut out[from * cols * bands..][..some * cols * bands];
            self.read_window(first + from, some, out)?;
        }
        Ok(())
    }
}

impl Tiff {
    fn read_window(&self, first: usize, count: usize, out: &mut [f32]) -> Result<()> {
        let Header { cols, bands, .. } = self.header;
        let window = |page: usize| {
            self.file
                .read_window_bytes(page, first, 0, count, cols)
                .map_err(|e| broken(&self.path, &e))
        };
        for (place, &page) in self.pages.iter().enumerate() {
            let bytes = window(page)?;
            let step = if self.pages.len() == 1 { 1 } else { bands };
            let slots = out.iter_mut().skip(place).step_by(step);
            if !decode(&bytes, &self.layout, self.half, slots) {
                return Err(Error::file(&self.path, "holds fewer values than its size asks for."));
            }
        }
        if let Some(page) = self.mask {
            for (flag, pixel) in window(page)?.iter().zip(out.chunks_exact_mut(bands)) {
                if *flag == 0 {
                    pixel.fill(f32::NAN);
                }
            }
        }
        Ok(())
    }
}

/// Turns numbers in this machine's byte order into `out`; false when there are too few or the type
/// is unknown.
fn decode<'a>(
    bytes: &[u8],
    layout: &RasterLayout,
    half: bool,
    out: impl Iterator<Item = &'a mut f32>,
) -> bool {
    macro_rules! arm {
        ($stored:ty) => {{
            let values = bytes.as_chunks::<{ std::mem::size_of::<$stored>() }>().0;
            let mut values = values.iter().map(|b| <$stored>::from_ne_bytes(*b) as f32);
            let mut complete = true;
            for slot in out {
                match values.next() {
                    Some(value) => *slot = value,
                    None => complete = false,
                }
            }
            complete
        }};
    }
    match (layout.sample_format, layout.bytes_per_sample) {
        _ if half => arm!(Half),
        (1, 1) => arm!(u8),
        (1, 2) => arm!(u16),
        (1, 4) => arm!(u32),
        (1, 8) => arm!(u64),
        (2, 1) => arm!(i8),
        (2, 2) => arm!(i16),
        (2, 4) => arm!(i32),
        (2, 8) => arm!(i64),
        (3, 4) => arm!(f32),
        (3, 8) => arm!(f64),
        _ => false,
    }
}
