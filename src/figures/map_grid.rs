//! Maps of several methods in one picture.

use ndarray::{Array3, Axis};

use super::canvas::{Align, Canvas, Raster};
use super::color::{Colormap, INK, MUTED};
use super::text;
use crate::engine::ground::error::Result;

/// What the longer side of a map is brought to, pixels.
const TARGET: usize = 240;
const MARGIN: f32 = 20.0;
const GAP: f32 = 12.0;
const BODY: f32 = 15.0;

/// Abundance maps as a PNG: a row for each of `rows`, with its name and its maps, (height, width,
/// columns) from 0 to 1 and NaN for no data, and a column for each of `columns`. Maps with a longer
/// side above 240 pixels show every second, third, ... pixel, which the picture then says.
///
/// # Errors
/// When there is not enough memory for the picture.
pub fn map_grid_png(
    rows: &[(String, Array3<f32>)],
    columns: &[String],
    title: &str,
) -> Result<Vec<u8>> {
    let (height, width) = rows.first().map_or((1, 1), |(_, maps)| (maps.dim().0, maps.dim().1));
    let longest = height.max(width).max(1);
    let step = longest.div_ceil(TARGET).max(1);
    let scale = (TARGET / longest.div_ceil(step)).clamp(1, 96);
    let panel = (width.div_ceil(step) * scale, height.div_ceil(step) * scale);
    let (across, down) = ((panel.0 as f32).max(90.0) + GAP, (panel.1 as f32).max(BODY) + GAP);
    let left = rows.iter().map(|(name, _)| text::width(name, BODY)).fold(0.0, f32::max);
    let left = MARGIN + left + GAP;
    let top = MARGIN + 84.0;
    let wide = (left + across * columns.len() as f32).max(560.0) + MARGIN;
    let mut canvas =
        Canvas::new(wide as usize, (top + down * rows.len() as f32 + MARGIN) as usize)?;

    let title = text::shorten(title, 20.0, wide - 2.0 * MARGIN);
    canvas.text(&title, 20.0, (MARGIN, MARGIN + 10.0), Align::Start, INK);
    let table = Colormap::Viridis.table();
    let bar = (MARGIN as i32 + 16, MARGIN as i32 + 30);
    canvas.text("0", BODY, (MARGIN, bar.1 as f32 + 8.0), Align::Start, MUTED);
    for (at, &color) in table.iter().enumerate() {
        canvas.rectangle(bar.0 + at as i32, bar.1, 1, 16, color);
    }
    let mut note = "1   light grey: no data".to_owned();
    if step > 1 {
        note += &format!("; every pixel of {step} in each direction is shown");
    }
    let place = ((bar.0 + table.len() as i32 + 6) as f32, bar.1 as f32 + 8.0);
    canvas.text(&note, BODY, place, Align::Start, MUTED);

    for (c, name) in columns.iter().enumerate() {
        let name = text::shorten(name, BODY, across - GAP);
        let place = (left + c as f32 * across, top - 12.0);
        canvas.text(&name, BODY, place, Align::Start, INK);
    }
    for (r, (name, maps)) in rows.iter().enumerate() {
        let y = top + r as f32 * down;
        canvas.text(name, BODY, (MARGIN, y + panel.1 as f32 / 2.0), Align::Start, INK);
        for c in 0..columns.len().min(maps.dim().2) {
            let map = maps.index_axis(Axis(2), c);
            let map = map.slice(ndarray::s![..;step, ..;step]);
            let color = |&value: &f32| {
                Colormap::index(value, (0.0, 1.0)).and_then(|i| table.get(i)).copied()
            };
            let pixels = map.iter().map(color).collect();
            let raster = Raster { rows: map.nrows(), cols: map.ncols(), pixels };
            let x = (left + c as f32 * across) as usize;
            canvas.raster(x, y as usize, scale, &raster);
            canvas.frame(x as i32, y as i32, panel.0 as i32, panel.1 as i32, MUTED);
        }
    }
    canvas.png()
}
