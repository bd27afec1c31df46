//! Lays out maps with their captions, colour bars, title and legend, so that nothing overlaps or
//! is cut off, whatever the shape of the scene.

use super::canvas::{Align, Canvas, Raster};
use super::color::{Colormap, INK, MUTED, NO_DATA, Rgb};
use super::{text, ticks};
use crate::engine::ground::error::Result;

/// A colour bar beside a map.
pub struct Bar {
    /// The colours.
    pub colormap: Colormap,
    /// Values at the lower and the upper end.
    pub range: (f32, f32),
    /// The quantity and its unit.
    pub label: String,
    /// True when values below or above the range were drawn in the end's colour.
    pub clipped: (bool, bool),
}

/// One map.
pub struct Panel {
    /// The line above the map; may be empty.
    pub caption: String,
    /// The map, one colour a pixel of the scene.
    pub raster: Raster,
    /// Its colour bar.
    pub bar: Option<Bar>,
}

/// A picture of one or more maps.
pub struct Figure {
    /// The first line or lines, large.
    pub title: String,
    /// Explanations under the title, small.
    pub notes: Vec<String>,
    /// The maps, in reading order.
    pub panels: Vec<Panel>,
    /// Colours and what they stand for, below the maps; missing data is added where there is any.
    pub legend: Vec<(Rgb, String)>,
    /// Panels one under the other instead of side by side.
    pub stacked: bool,
}

/// Sizes in pixels that follow the size of the maps, so that text on large maps stays readable
/// when they are shown small.
struct Sizes {
    scale: usize,
    unit: f32,
}

impl Sizes {
    /// Sizes for maps whose longest side should become about `target` pixels.
    fn new(figure: &Figure, target: usize) -> Self {
        let sides = figure.panels.iter().map(|p| p.raster.rows.max(p.raster.cols));
        let longest = sides.max().unwrap_or(1).max(1);
        // A scene of a few pixels needs no squares larger than a thumb.
        let scale = ((target as f32 / longest as f32).round() as usize).clamp(1, 96);
        Sizes { scale, unit: ((longest * scale) as f32 / 1000.0).clamp(1.0, 3.0) }
    }

    fn title(&self) -> f32 {
        20.0 * self.unit
    }
    fn body(&self) -> f32 {
        15.0 * self.unit
    }
    fn margin(&self) -> f32 {
        20.0 * self.unit
    }
    fn line(&self, size: f32) -> f32 {
        (1.4 * size).round()
    }
}

/// The layout of a colour bar: its ticks with where they stand (0 to 1 from the low end), and its
/// size.
struct BarLayout {
    ticks: Vec<(f32, String)>,
    height: f32,
    /// From the map to the end of the label.
    width: f32,
    label_x: f32,
}

impl BarLayout {
    fn new(bar: &Bar, map_height: f32, sizes: &Sizes) -> Self {
        let (size, unit) = (sizes.body(), sizes.unit);
        let shortest = (160.0 * unit).max(text::width(&bar.label, size) + 4.0 * unit);
        let height = map_height.clamp(shortest, shortest.max(1200.0)).round();
        let (low, high) = (f64::from(bar.range.0), f64::from(bar.range.1));
        let count = ((height / (70.0 * unit)) as usize).clamp(2, 8);
        let ticks = bar_ticks((low, high), count, bar.clipped);
        let widest = ticks.iter().map(|(_, l)| text::width(l, size)).fold(0.0, f32::max);
        let label_x = (16.0 + 20.0 + 8.0) * unit + widest + size;
        BarLayout { ticks, height, width: label_x + 0.7 * size, label_x }
    }

    fn draw(&self, canvas: &mut Canvas, bar: &Bar, (left, top): (f32, f32), sizes: &Sizes) {
        let (size, unit) = (sizes.body(), sizes.unit);
        let (x, y) = ((left + 16.0 * unit) as i32, top as i32);
        let (width, height) = ((20.0 * unit) as i32, self.height as i32);
        let table = bar.colormap.table();
        for row in 0..height {
            let place = 255.0 * (1.0 - (row as f32 + 0.5) / height as f32);
            let color = table.get(place.round() as usize).copied().unwrap_or(NO_DATA);
            canvas.rectangle(x, y + row, width, 1, color);
        }
        canvas.frame(x, y, width, height, INK);
        for (place, label) in &self.ticks {
            let at = y as f32 + (1.0 - place) * (height - 1) as f32;
            canvas.rectangle(x + width + 1, at.round() as i32, (4.0 * unit) as i32, 1, INK);
            let x = (x + width) as f32 + 8.0 * unit;
            canvas.text(label, size, (x, at), Align::Start, INK);
        }
        let middle = (left + self.label_x, top + self.height / 2.0);
        canvas.text_up(&bar.label, size, middle, Align::Middle, INK);
    }
}

/// Ticks with their places on the bar, 0 to 1. Both ends have one: they say what the scale is.
fn bar_ticks(
    (low, high): (f64, f64),
    count: usize,
    (below, above): (bool, bool),
) -> Vec<(f32, String)> {
    let mut values =
        if low == -high { ticks::symmetric(high, count) } else { ticks::ticks(low, high, count) };
    let span = high - low;
    if values.last().is_some_and(|(value, _)| high - value > 1e-3 * span) {
        // Labels nearer than half a step of the bar would touch.
        let nearest = 0.5 * span / count as f64;
        values.retain(|(value, _)| high - value > nearest);
        values.push((high, ticks::label(high, ticks::precision(high))));
    }
    let last = values.len().saturating_sub(1);
    let placed = values.into_iter().enumerate().map(|(i, (value, label))| {
        let label = match i {
            0 if below => format!("≤ {label}"),
            i if i == last && above => format!("≥ {label}"),
            _ => label,
        };
        (((value - low) / span) as f32, label)
    });
    placed.collect()
}

/// A panel with its measures.
struct Placed<'a> {
    panel: &'a Panel,
    bar: Option<(&'a Bar, BarLayout)>,
    map: (f32, f32),
    width: f32,
    height: f32,
}

impl<'a> Placed<'a> {
    fn new(panel: &'a Panel, sizes: &Sizes) -> Self {
        let map =
            ((panel.raster.cols * sizes.scale) as f32, (panel.raster.rows * sizes.scale) as f32);
        let bar = panel.bar.as_ref().map(|bar| (bar, BarLayout::new(bar, map.1, sizes)));
        let (mut width, mut height) = map;
        if let Some((_, layout)) = &bar {
            width += layout.width;
            height = height.max(layout.height);
        }
        let caption = text::width(&panel.caption, sizes.body());
        Placed { panel, bar, map, width: width.max(caption), height }
    }

    /// Draws with the top of the caption, `caption` pixels high, at `top`; a map lower than `row`,
    /// the height of its row of panels, stands in the middle of it.
    fn draw(
        &self,
        canvas: &mut Canvas,
        (left, top): (f32, f32),
        (caption, row): (f32, f32),
        sizes: &Sizes,
    ) {
        let middle = top + 0.5 * sizes.body();
        canvas.text(&self.panel.caption, sizes.body(), (left, middle), Align::Start, INK);
        let top = top + caption;
        let drop = ((row - self.map.1) / 2.0).max(0.0);
        let (x, y) = (left.round(), (top + drop).round());
        canvas.raster(x as usize, y as usize, sizes.scale, &self.panel.raster);
        canvas.frame(x as i32, y as i32, self.map.0 as i32, self.map.1 as i32, MUTED);
        if let Some((bar, layout)) = &self.bar {
            let drop = ((row - layout.height) / 2.0).max(0.0).round();
            layout.draw(canvas, bar, (left + self.map.0, top + drop), sizes);
        }
    }
}

impl Figure {
    /// Draws the figure with maps enlarged by a whole number to about `target` pixels on their
    /// longest side, and gives the PNG.
    ///
    /// # Errors
    /// When there is not enough memory for the picture.
    pub fn png(&self, target: usize) -> Result<Vec<u8>> {
        let sizes = Sizes::new(self, target);
        let (unit, body, margin) = (sizes.unit, sizes.body(), sizes.margin());
        let small = 0.9 * body;

        let placed: Vec<_> = self.panels.iter().map(|p| Placed::new(p, &sizes)).collect();
        let captioned = self.panels.iter().any(|p| !p.caption.is_empty());
        let caption = if captioned { sizes.line(body) + 6.0 * unit } else { 0.0 };
        let gap = 28.0 * unit;
        let gaps = gap * placed.len().saturating_sub(1) as f32;
        let widths = placed.iter().map(|p| p.width);
        let heights = placed.iter().map(|p| p.height + caption);
        let (maps_width, maps_height) = if self.stacked {
            (widths.fold(0.0, f32::max), heights.sum::<f32>() + gaps)
        } else {
            (widths.sum::<f32>() + gaps, heights.fold(0.0, f32::max))
        };

        let wish = text::width(&self.title, sizes.title()).min(560.0 * unit);
        let inner = maps_width.max(wish).max(380.0 * unit).ceil();
        let title = text::wrap(&self.title, sizes.title(), inner);
        let notes: Vec<_> = self.notes.iter().flat_map(|n| text::wrap(n, small, inner)).collect();
        let legend = Legend::new(self.legend_entries(), inner, &sizes);

        let head = title.len() as f32 * sizes.line(sizes.title())
            + notes.len() as f32 * sizes.line(small)
            + 8.0 * unit;
        let height = margin + head + maps_height + legend.height + margin;
        let mut canvas = Canvas::new((inner + 2.0 * margin) as usize, height.ceil() as usize)?;

        let mut y = margin;
        for (lines, size, color) in [(&title, sizes.title(), INK), (&notes, small, MUTED)] {
            for line in lines {
                canvas.text(line, size, (margin, y + 0.5 * size), Align::Start, color);
                y += sizes.line(size);
            }
        }
        y = (margin + head).round();
        let mut x = margin;
        for panel in &placed {
            let row = if self.stacked { panel.height } else { maps_height - caption };
            panel.draw(&mut canvas, (x, y), (caption, row), &sizes);
            if self.stacked { y += panel.height + caption + gap } else { x += panel.width + gap }
        }
        legend.draw(&mut canvas, (margin, margin + head + maps_height), &sizes);
        canvas.png()
    }

    fn legend_entries(&self) -> Vec<(Rgb, String)> {
        let mut entries = self.legend.clone();
        if self.panels.iter().any(|p| p.raster.has_gaps()) {
            entries.push((NO_DATA, "no data".to_owned()));
        }
        entries
    }
}

/// Entries that flow over as many lines as they need.
struct Legend {
    /// Left edge, line, colour and text of each.
    entries: Vec<(f32, usize, Rgb, String)>,
    line: f32,
    height: f32,
}

impl Legend {
    fn new(entries: Vec<(Rgb, String)>, limit: f32, sizes: &Sizes) -> Self {
        let body = sizes.body();
        let (mut x, mut row) = (0.0, 0);
        let mut placed = Vec::new();
        for (color, name) in entries {
            let name = text::shorten(&name, body, limit - 1.5 * body);
            let width = 1.5 * body + text::width(&name, body);
            if x > 0.0 && x + width > limit {
                (x, row) = (0.0, row + 1);
            }
            placed.push((x, row, color, name));
            x += width + 1.4 * body;
        }
        let line = (1.5 * body).round();
        let lines = if placed.is_empty() { 0 } else { row + 1 };
        let height = if lines == 0 { 0.0 } else { lines as f32 * line + 12.0 * sizes.unit };
        Legend { entries: placed, line, height }
    }

    fn draw(&self, canvas: &mut Canvas, (left, top): (f32, f32), sizes: &Sizes) {
        let body = sizes.body();
        for (x, row, color, name) in &self.entries {
            let middle = top + 12.0 * sizes.unit + (*row as f32 + 0.5) * self.line;
            let (x, side) = (left + x, body as i32);
            let top = (middle - body / 2.0).round() as i32;
            canvas.rectangle(x as i32, top, side, side, *color);
            canvas.frame(x as i32, top, side, side, MUTED);
            canvas.text(name, body, (x + 1.5 * body, middle), Align::Start, INK);
        }
    }
}
