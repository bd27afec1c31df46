//! A sheet of white paper to draw on, in pixels, and its PNG.

use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{ExtendedColorType, ImageEncoder};
use tiny_skia::{
    FillRule, LineCap, LineJoin, Paint, Path, PathBuilder, Pixmap, PremultipliedColorU8, Stroke,
    StrokeDash, Transform,
};

use super::color::{NO_DATA, Rgb};
use super::text;
use crate::engine::ground::error::{Error, Result};

/// Where a text lies relative to the point it is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Align {
    /// Starts at the point.
    Start,
    /// Is centred on the point.
    Middle,
    /// Ends at the point.
    End,
}

/// How a line is drawn.
#[derive(Debug, Clone, Copy)]
pub struct Pen {
    /// Colour.
    pub color: Rgb,
    /// Opacity, 0 to 1.
    pub alpha: f32,
    /// Width in pixels.
    pub width: f32,
    /// Whether the line is broken into dashes.
    pub dashed: bool,
}

/// A small picture, row by row from the top left; `None` is a pixel without data.
#[derive(Debug, Clone)]
pub struct Raster {
    /// Height in pixels.
    pub rows: usize,
    /// Width in pixels.
    pub cols: usize,
    /// `rows * cols` colours.
    pub pixels: Vec<Option<Rgb>>,
}

impl Raster {
    /// True when a pixel has no data.
    pub fn has_gaps(&self) -> bool {
        self.pixels.iter().any(Option::is_none)
    }
}

/// The sheet. Coordinates run from the top left corner, x to the right, y downwards; what falls
/// outside is not drawn.
pub struct Canvas {
    pixmap: Pixmap,
}

impl Canvas {
    /// A white sheet.
    ///
    /// # Errors
    /// When the size is zero or beyond what memory can hold.
    pub fn new(width: usize, height: usize) -> Result<Self> {
        let size = u32::try_from(width).ok().zip(u32::try_from(height).ok());
        let Some(mut pixmap) = size.and_then(|(w, h)| Pixmap::new(w, h)) else {
            return Err(Error::Fit(format!(
                "a picture of {width} x {height} pixels cannot be drawn: no side may be zero or \
                 need more memory than there is"
            )));
        };
        pixmap.fill(tiny_skia::Color::WHITE);
        Ok(Canvas { pixmap })
    }

    /// Width in pixels.
    pub fn width(&self) -> usize {
        self.pixmap.width() as usize
    }

    /// Height in pixels.
    pub fn height(&self) -> usize {
        self.pixmap.height() as usize
    }

    /// A filled rectangle, pixel-exact.
    pub fn rectangle(&mut self, left: i32, top: i32, width: i32, height: i32, color: Rgb) {
        let (w, h) = (self.pixmap.width() as i32, self.pixmap.height() as i32);
        let columns = left.clamp(0, w) as usize..left.saturating_add(width).clamp(0, w) as usize;
        for y in top.clamp(0, h)..top.saturating_add(height).clamp(0, h) {
            let row = y as usize * w as usize;
            let row = row + columns.start..row + columns.end.max(columns.start);
            if let Some(row) = self.pixmap.pixels_mut().get_mut(row) {
                row.fill(opaque(color));
            }
        }
    }

    /// An outline one pixel wide just outside the rectangle.
    pub fn frame(&mut self, left: i32, top: i32, width: i32, height: i32, color: Rgb) {
        self.rectangle(left - 1, top - 1, width + 2, 1, color);
        self.rectangle(left - 1, top + height, width + 2, 1, color);
        self.rectangle(left - 1, top - 1, 1, height + 2, color);
        self.rectangle(left + width, top - 1, 1, height + 2, color);
    }

    /// A picture with every pixel drawn as a square of `scale` pixels, never blurred.
    pub fn raster(&mut self, left: usize, top: usize, scale: usize, raster: &Raster) {
        let (width, height) = (self.width(), self.height());
        if scale == 0 || raster.cols == 0 || left + raster.cols * scale > width {
            return;
        }
        for (row, colors) in raster.pixels.chunks_exact(raster.cols).enumerate() {
            let y = top + row * scale;
            if y + scale > height {
                return;
            }
            let pixels = self.pixmap.pixels_mut();
            let start = y * width + left;
            for (square, color) in pixels[start..].chunks_mut(scale).zip(colors) {
                square.fill(opaque(color.unwrap_or(NO_DATA)));
            }
            let line = start..start + raster.cols * scale;
            for copy in 1..scale {
                pixels.copy_within(line.clone(), start + copy * width);
            }
        }
    }

    /// Lays a sheet of the same size over this one: the darker of both shows.
    pub fn overlay(&mut self, other: &Canvas) {
        let pairs = self.pixmap.data_mut().iter_mut().zip(other.pixmap.data());
        pairs.for_each(|(under, over)| *under = (*under).min(*over));
    }

    /// A line through `points`; a single point becomes a dot.
    pub fn line(&mut self, points: &[(f32, f32)], pen: Pen) {
        let stroke = Stroke {
            width: pen.width,
            line_cap: if pen.dashed { LineCap::Butt } else { LineCap::Round },
            line_join: LineJoin::Round,
            dash: pen.dashed.then(|| StrokeDash::new(vec![7.0, 5.0], 0.0)).flatten(),
            ..Stroke::default()
        };
        if let [(x, y)] = *points {
            if let Some(circle) = PathBuilder::from_circle(x, y, pen.width) {
                self.fill(&circle, pen.color, pen.alpha);
            }
        } else if let Some(path) = path(points, false) {
            let paint = paint(pen.color, pen.alpha);
            self.pixmap.stroke_path(&path, &paint, &stroke, Transform::identity(), None);
        }
    }

    /// A filled polygon.
    pub fn area(&mut self, points: &[(f32, f32)], color: Rgb, alpha: f32) {
        if let Some(path) = path(points, true) {
            self.fill(&path, color, alpha);
        }
    }

    fn fill(&mut self, path: &Path, color: Rgb, alpha: f32) {
        let paint = paint(color, alpha);
        self.pixmap.fill_path(path, &paint, FillRule::Winding, Transform::identity(), None);
    }

    /// One line of text with its vertical middle at `y`, `size` pixels an em.
    pub fn text(&mut self, text: &str, size: f32, (x, y): (f32, f32), align: Align, color: Rgb) {
        let start = (x - shift(text, size, align)).round() as i32;
        let y = y.round() as i32;
        text::draw(text, size, |dx, dy, ink| self.blend(start + dx, y + dy, color, ink));
    }

    /// One line of text that reads upwards, with its middle line at `x`.
    pub fn text_up(&mut self, text: &str, size: f32, (x, y): (f32, f32), align: Align, color: Rgb) {
        let start = (y + shift(text, size, align)).round() as i32;
        let x = x.round() as i32;
        text::draw(text, size, |dx, dy, ink| self.blend(x + dy, start - dx, color, ink));
    }

    fn blend(&mut self, x: i32, y: i32, color: Rgb, ink: f32) {
        let (width, height) = (self.pixmap.width() as i32, self.pixmap.height() as i32);
        if !(0..width).contains(&x) || !(0..height).contains(&y) {
            return;
        }
        let pixel = &mut self.pixmap.pixels_mut()[(y * width + x) as usize];
        let under = [pixel.red(), pixel.green(), pixel.blue()];
        let mixed = std::array::from_fn(|c| {
            let (from, to) = (f32::from(under[c]), f32::from(color[c]));
            (from + (to - from) * ink).round() as u8
        });
        *pixel = opaque(mixed);
    }

    /// The sheet as a PNG file.
    ///
    /// # Errors
    /// When the encoder refuses, which only a want of memory brings about.
    pub fn png(&self) -> Result<Vec<u8>> {
        let mut rgb = vec![0; 3 * self.width() * self.height()];
        for (to, from) in rgb.chunks_exact_mut(3).zip(self.pixmap.data().chunks_exact(4)) {
            to.copy_from_slice(&from[..3]);
        }
        let mut png = Vec::new();
        // Rows of an enlarged map repeat: the filter by the row above turns them into zeros, which
        // the fast compressor packs at memory speed.
        PngEncoder::new_with_quality(&mut png, CompressionType::Fast, FilterType::Up)
            .write_image(&rgb, self.pixmap.width(), self.pixmap.height(), ExtendedColorType::Rgb8)
            .map_err(|error| Error::Fit(format!("a picture could not be encoded: {error}")))?;
        Ok(png)
    }
}

fn shift(text: &str, size: f32, align: Align) -> f32 {
    match align {
        Align::Start => 0.0,
        Align::Middle => text::width(text, size) / 2.0,
        Align::End => text::width(text, size),
    }
}

fn opaque([r, g, b]: Rgb) -> PremultipliedColorU8 {
    tiny_skia::ColorU8::from_rgba(r, g, b, 255).premultiply()
}

fn paint([r, g, b]: Rgb, alpha: f32) -> Paint<'static> {
    let mut paint = Paint { anti_alias: true, ..Paint::default() };
    paint.set_color_rgba8(r, g, b, (alpha.clamp(0.0, 1.0) * 255.0).round() as u8);
    paint
}

/// `None` when there is nothing to draw, or a coordinate is not finite.
fn path(points: &[(f32, f32)], closed: bool) -> Option<Path> {
    let mut builder = PathBuilder::new();
    for (i, &(x, y)) in points.iter().enumerate() {
        if i == 0 { builder.move_to(x, y) } else { builder.line_to(x, y) }
    }
    if closed {
        builder.close();
    }
    builder.finish()
}
