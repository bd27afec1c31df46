//! Maps as GeoTIFF for the cloud and for QGIS: tiles, deflate with a predictor, overviews, headers
//! first and the smallest overview next, so that a viewer reads little to show all.

use std::io::{self, Cursor, Write};

use ndarray::{Array3, ArrayView3, Axis};
use rayon::prelude::*;
use tiff_core::{ByteOrder, Compression, PlanarConfiguration, Predictor, Tag, TagValue};
use tiff_writer::ImageBuilder;
use tiff_writer::compress::{BlockEncodingOptions, compress_block};
use tiff_writer::encoder::{
    estimate_ifd_size, patch_first_ifd, patch_next_ifd, write_header, write_ifd,
};

use super::{About, Raster, on_grid};
use crate::io::geokeys::GeoTags;

/// Side of a tile in pixels.
const TILE: usize = 256;
/// Offsets of a TIFF that is no BigTIFF have 32 bits.
const MOST_CLASSIC: u64 = u32::MAX as u64;
const ORDER: ByteOrder = ByteOrder::LittleEndian;

/// Writes a GeoTIFF: float32, a plane a band, NaN for no data, band names and unit as GDAL has
/// them. It is a BigTIFF where it has to be, and laid out as a cloud-optimised GeoTIFF.
///
/// # Errors
/// What the writer returns, or an error that says what is too large for a TIFF.
pub fn write_geotiff(raster: &Raster<'_>, about: &About<'_>, to: &mut dyn Write) -> io::Result<()> {
    let mut levels = vec![on_grid(raster.values, about.place)];
    while let Some(last) = levels.last()
        && last.dim().0.max(last.dim().1) > TILE
    {
        levels.push(halved(last.view()));
    }
    let images = levels.iter().enumerate().map(|(level, values)| {
        let tags = if level == 0 { first_tags(raster, about) } else { Vec::new() };
        Image::new(values, level > 0, tags)
    });
    let images: Vec<Image> = images.collect::<io::Result<_>>()?;
    let data: u64 = images.iter().flat_map(|image| &image.blocks).map(|b| b.len() as u64).sum();
    // Headers take a small part of this.
    let big = data.saturating_mul(2) > MOST_CLASSIC || data > MOST_CLASSIC - (1 << 28);
    let header = headers(&images, big)?;
    to.write_all(&header)?;
    for image in images.iter().rev() {
        for block in &image.blocks {
            to.write_all(block)?;
        }
    }
    Ok(())
}

/// One level: its description and its compressed tiles.
struct Image {
    builder: ImageBuilder,
    blocks: Vec<Vec<u8>>,
}

impl Image {
    fn new(values: &Array3<f32>, overview: bool, tags: Vec<Tag>) -> io::Result<Self> {
        let (rows, cols, bands) = values.dim();
        let size = |n: usize| u32::try_from(n).map_err(|_| io::Error::other(too_large(n)));
        let samples = u16::try_from(bands).map_err(|_| io::Error::other(too_large(bands)))?;
        let mut builder = ImageBuilder::new(size(cols)?, size(rows)?)
            .sample_type::<f32>()
            .samples_per_pixel(samples)
            .compression(Compression::Deflate)
            .predictor(Predictor::FloatingPoint)
            .planar_configuration(PlanarConfiguration::Planar)
            .tiles(TILE as u32, TILE as u32)
            .tag(Tag::new(42113, TagValue::Ascii("nan".into())));
        if overview {
            builder = builder.overview();
        }
        builder = tags.into_iter().fold(builder, ImageBuilder::tag);
        let (down, across) = (rows.div_ceil(TILE), cols.div_ceil(TILE));
        let tiles: Vec<(usize, usize, usize)> = (0..bands)
            .flat_map(|band| (0..down).flat_map(move |r| (0..across).map(move |c| (band, r, c))))
            .collect();
        let blocks = tiles.into_par_iter().enumerate().map(|(index, (band, r, c))| {
            let tile = tile(values.view(), band, r * TILE, c * TILE);
            compress_block(&tile, encoding(), index).map_err(io::Error::other)
        });
        Ok(Image { builder, blocks: blocks.collect::<io::Result<_>>()? })
    }
}

fn too_large(size: usize) -> String {
    format!("{size} rows, columns or bands are more than a TIFF can have")
}

fn encoding() -> BlockEncodingOptions<'static> {
    BlockEncodingOptions {
        byte_order: ORDER,
        compression: Compression::Deflate,
        predictor: Predictor::FloatingPoint,
        samples_per_pixel: 1,
        row_width_pixels: TILE,
        jpeg_options: None,
        jpeg_sampling: None,
        deflate_level: Some(6),
    }
}

/// The tile of `band` whose first pixel is (`row`, `col`), NaN beyond the edges.
fn tile(values: ArrayView3<'_, f32>, band: usize, row: usize, col: usize) -> Vec<f32> {
    let plane = values.index_axis(Axis(2), band);
    let at = |i: usize| plane.get((row + i / TILE, col + i % TILE)).copied().unwrap_or(f32::NAN);
    (0..TILE * TILE).map(at).collect()
}

/// Half as high and wide: means of up to four pixels, those without data aside.
fn halved(values: ArrayView3<'_, f32>) -> Array3<f32> {
    let (rows, cols, bands) = values.dim();
    Array3::from_shape_fn((rows.div_ceil(2), cols.div_ceil(2), bands), |(r, c, band)| {
        let four = [(0, 0), (0, 1), (1, 0), (1, 1)].into_iter();
        let known = four.filter_map(|(i, j)| values.get((2 * r + i, 2 * c + j, band)).copied());
        let (sum, count) = known
            .filter(|v| v.is_finite())
            .fold((0.0, 0.0), |(s, n), v| (s + f64::from(v), n + 1.0));
        (sum / count) as f32
    })
}

/// Place, band names, unit and history.
fn first_tags(raster: &Raster<'_>, about: &About<'_>) -> Vec<Tag> {
    let mut tags = vec![Tag::new(42112, TagValue::Ascii(metadata(raster, about)))];
    let software = format!("unmixel {}", env!("CARGO_PKG_VERSION"));
    tags.push(Tag::new(305, TagValue::Ascii(software)));
    let geo = about.place.map(GeoTags::of).unwrap_or_default();
    let mut doubles = |code, values: Vec<f64>| {
        if !values.is_empty() {
            tags.push(Tag::new(code, TagValue::Double(values)));
        }
    };
    doubles(33550, geo.pixel_scale);
    doubles(33922, geo.tie_points);
    doubles(34264, geo.matrix);
    doubles(34736, geo.doubles);
    if !geo.directory.is_empty() {
        tags.push(Tag::new(34735, TagValue::Short(geo.directory)));
    }
    if !geo.ascii.is_empty() {
        tags.push(Tag::new(34737, TagValue::Ascii(geo.ascii)));
    }
    tags
}

/// GDAL's XML.
fn metadata(raster: &Raster<'_>, about: &About<'_>) -> String {
    let mut xml = format!(
        "<GDALMetadata>\n  <Item name=\"title\">{}</Item>\n  <Item name=\"history\">{}</Item>\n",
        escaped(raster.title),
        escaped(about.history)
    );
    for (band, name) in raster.bands.iter().enumerate() {
        xml += &format!(
            "  <Item name=\"DESCRIPTION\" sample=\"{band}\" role=\"description\">{}</Item>\n  \
             <Item name=\"UNITTYPE\" sample=\"{band}\" role=\"unittype\">{}</Item>\n",
            escaped(name),
            escaped(raster.unit)
        );
    }
    xml + "</GDALMetadata>\n"
}

fn escaped(text: &str) -> String {
    let plain: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    plain.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// The file up to its first tile: the header, then the directories, the whole image first.
fn headers(images: &[Image], big: bool) -> io::Result<Vec<u8>> {
    let other = io::Error::other::<tiff_writer::Error>;
    let mut directories = Vec::new();
    let mut end: u64 = if big { 16 } else { 8 };
    for image in images {
        let tags = image.builder.checked_build_tags(big).map_err(other)?;
        end += estimate_ifd_size(ORDER, big, &tags).map_err(other)?;
        end = end.next_multiple_of(2);
        directories.push(tags);
    }
    // Tiles of the smallest overview come first.
    for (image, tags) in images.iter().zip(&mut directories).rev() {
        let (offsets_code, counts_code) = image.builder.offset_tag_codes();
        let mut offsets = Vec::with_capacity(image.blocks.len());
        for block in &image.blocks {
            offsets.push(end);
            end += block.len() as u64;
        }
        let counts: Vec<u64> = image.blocks.iter().map(|block| block.len() as u64).collect();
        for (code, values) in [(offsets_code, offsets), (counts_code, counts)] {
            if let Some(tag) = tags.iter_mut().find(|tag| tag.code == code) {
                *tag = Tag::new(code, numbers(values, big)?);
            }
        }
    }
    let mut sink = Cursor::new(Vec::new());
    let start = write_header(&mut sink, ORDER, big).map_err(other)?;
    let mut pointer = None;
    for (image, tags) in images.iter().zip(&directories) {
        let (offsets_code, counts_code) = image.builder.offset_tag_codes();
        let written =
            write_ifd(&mut sink, ORDER, big, tags, offsets_code, counts_code, image.blocks.len())
                .map_err(other)?;
        // TIFF wants directories at even places.
        if sink.position() % 2 == 1 {
            sink.write_all(&[0])?;
        }
        let after = sink.position();
        match pointer {
            None => patch_first_ifd(&mut sink, start, ORDER, big, written.ifd_offset),
            Some(pointer) => patch_next_ifd(&mut sink, ORDER, big, pointer, written.ifd_offset),
        }
        .map_err(other)?;
        pointer = Some(written.next_ifd_pointer_offset);
        sink.set_position(after);
    }
    Ok(sink.into_inner())
}

fn numbers(values: Vec<u64>, big: bool) -> io::Result<TagValue> {
    if big {
        return Ok(TagValue::Long8(values));
    }
    let small: Result<Vec<u32>, _> = values.into_iter().map(u32::try_from).collect();
    small.map(TagValue::Long).map_err(io::Error::other)
}
