//! A pair of axes with a grid, for curves.

use super::canvas::{Align, Canvas, Pen};
use super::color::{GRID, INK, WHITE};
use super::{text, ticks};

/// Size of tick and axis labels, pixels an em.
pub const BODY: f32 = 16.0;

/// The drawing area and the values at its edges.
pub struct Axes {
    /// Left edge, top edge, width and height in pixels.
    pub area: (f32, f32, f32, f32),
    /// Values at the left and the right edge.
    pub x: (f64, f64),
    /// Values at the lower and the upper edge.
    pub y: (f64, f64),
}

impl Axes {
    /// Axes that leave room for tick labels and axis titles within `outer`: left, top, width and
    /// height in pixels. A range without extent, or with an end that is not finite, is widened.
    pub fn within(outer: (f32, f32, f32, f32), x: (f64, f64), y: (f64, f64)) -> Self {
        let (x, y) = (with_extent(x), with_extent(y));
        let widest = ticks::ticks(y.0, y.1, 7)
            .iter()
            .map(|(_, label)| text::width(label, BODY))
            .fold(0.0, f32::max);
        let left = (widest + 2.6 * BODY).round();
        let below = (3.8 * BODY).round();
        // The last tick label of the x axis is centred on the edge.
        let right = 2.0 * BODY;
        let (left, top) = ((outer.0 + left).round(), outer.1.round());
        let (right, bottom) = (outer.0 + outer.2 - right, outer.1 + outer.3 - below);
        let area = (left, top, (right - left).floor(), (bottom - top).floor());
        Axes { area, x, y }
    }

    /// Where a pair of values lies on the canvas.
    pub fn place(&self, x: f64, y: f64) -> (f32, f32) {
        let (left, top, width, height) = self.area;
        let across = (x - self.x.0) / (self.x.1 - self.x.0);
        let up = (y - self.y.0) / (self.y.1 - self.y.0);
        // Far outside is as good as further: keeps the rasteriser's numbers small.
        let bound = |share: f64| share.clamp(-10.0, 11.0) as f32;
        (left + bound(across) * width, top + (1.0 - bound(up)) * height)
    }

    /// Draws the grid, to be followed by the curves.
    pub fn grid(&self, canvas: &mut Canvas) {
        let (left, top, width, height) = self.area;
        let pen = Pen { color: GRID, alpha: 1.0, width: 1.0, dashed: false };
        for (value, _) in self.x_ticks() {
            let x = self.place(value, self.y.0).0.floor() + 0.5;
            canvas.line(&[(x, top), (x, top + height)], pen);
        }
        for (value, _) in self.y_ticks() {
            let y = self.place(self.x.0, value).1.floor() + 0.5;
            canvas.line(&[(left, y), (left + width, y)], pen);
        }
    }

    /// Wipes what curves left outside of the area, and draws the frame, tick labels and axis
    /// titles.
    pub fn frame(&self, canvas: &mut Canvas, x_title: &str, y_title: &str) {
        let (left, top, width, height) = self.area;
        let (right, bottom) = (left + width, top + height);
        let (whole_width, whole_height) = (canvas.width() as i32, canvas.height() as i32);
        canvas.rectangle(0, 0, whole_width, top as i32, WHITE);
        canvas.rectangle(0, bottom as i32, whole_width, whole_height, WHITE);
        canvas.rectangle(0, 0, left as i32, whole_height, WHITE);
        canvas.rectangle(right as i32, 0, whole_width, whole_height, WHITE);
        self.labels(canvas, x_title, y_title);
    }

    /// The frame, tick labels and axis titles, for curves that stay within the area.
    pub fn labels(&self, canvas: &mut Canvas, x_title: &str, y_title: &str) {
        let (left, top, width, height) = self.area;
        let bottom = top + height;
        canvas.frame(left as i32, top as i32, width as i32, height as i32, INK);

        for (value, label) in self.x_ticks() {
            let x = self.place(value, self.y.0).0;
            canvas.text(&label, BODY, (x, bottom + BODY), Align::Middle, INK);
        }
        let mut widest = 0.0f32;
        for (value, label) in self.y_ticks() {
            let y = self.place(self.x.0, value).1;
            canvas.text(&label, BODY, (left - 0.5 * BODY, y), Align::End, INK);
            widest = widest.max(text::width(&label, BODY));
        }
        let middle = (left + width / 2.0, bottom + 2.6 * BODY);
        canvas.text(x_title, BODY, middle, Align::Middle, INK);
        let middle = (left - widest - 1.6 * BODY, top + height / 2.0);
        canvas.text_up(y_title, BODY, middle, Align::Middle, INK);
    }

    fn x_ticks(&self) -> Vec<(f64, String)> {
        ticks::ticks(self.x.0, self.x.1, 9)
    }

    fn y_ticks(&self) -> Vec<(f64, String)> {
        ticks::ticks(self.y.0, self.y.1, 7)
    }
}

fn with_extent((low, high): (f64, f64)) -> (f64, f64) {
    if !(low.is_finite() && high.is_finite()) {
        return (0.0, 1.0);
    }
    if high - low > 1e-9 * low.abs().max(high.abs()) {
        return (low, high);
    }
    let pad = if low == 0.0 { 1.0 } else { 0.05 * low.abs() };
    (low - pad, low + pad)
}
