//! The picture of a calibration: the share of truths that intervals hold against what they promise.

use super::axes::{Axes, BODY};
use super::canvas::{Align, Canvas, Pen};
use super::color::{INK, MUTED, endmember_color};
use super::text;
use crate::engine::ground::error::Result;

const PANEL: (f32, f32) = (400.0, 410.0);
const COLUMNS: usize = 4;
const MARGIN: f32 = 20.0;
const HEAD: f32 = 56.0;
/// Height of a legend's line, one a guide.
const LINE: f32 = 24.0;
const TITLE: f32 = 20.0;

/// The panel of one setting.
#[derive(Debug, Clone)]
pub struct CalibrationPanel {
    /// The line above it.
    pub title: String,
    /// Curves, one set a guide: every panel has the same guides in the same order.
    pub curves: Vec<CalibrationCurve>,
}

/// One guide: probabilities of intervals with the shares of truths inside, both 0 to 1.
#[derive(Debug, Clone)]
pub struct CalibrationCurve {
    /// Name of the guide.
    pub name: String,
    /// Shares of abundances under the guide.
    pub abundances: Vec<(f64, f64)>,
    /// Shares of abundances under the exact posterior; may be empty.
    pub exact: Vec<(f64, f64)>,
    /// Shares of endmember values under the guide.
    pub endmembers: Vec<(f64, f64)>,
}

/// Draws the panels, four a row, as a PNG: abundances in full lines (faint: exact posterior),
/// endmember values in broken ones, the promise as a diagonal. Below it intervals are too narrow,
/// above too wide.
///
/// # Errors
/// When there is not enough memory for the picture.
pub fn calibration_png(panels: &[CalibrationPanel]) -> Result<Vec<u8>> {
    let columns = COLUMNS.min(panels.len()).max(2);
    let rows = panels.len().div_ceil(columns).max(1);
    let width = 2.0 * MARGIN + columns as f32 * PANEL.0;
    let guides = panels.iter().map(|panel| panel.curves.len()).max().unwrap_or(0);
    let head = HEAD + LINE * guides.max(1) as f32;
    let mut canvas = Canvas::new(width as usize, (head + rows as f32 * PANEL.1) as usize)?;
    let title = "Share of truths inside central posterior intervals";
    canvas.text(title, TITLE, (MARGIN, 26.0), Align::Start, INK);
    legend(&mut canvas, panels);
    for (i, panel) in panels.iter().enumerate() {
        let corner =
            (MARGIN + (i % columns) as f32 * PANEL.0, head + (i / columns) as f32 * PANEL.1);
        draw(&mut canvas, panel, corner);
    }
    canvas.png()
}

fn legend(canvas: &mut Canvas, panels: &[CalibrationPanel]) {
    let entry = |canvas: &mut Canvas, (x, y): (f32, f32), pen: Pen, name: &str| {
        canvas.line(&[(x, y), (x + 30.0, y)], pen);
        canvas.text(name, BODY, (x + 38.0, y), Align::Start, INK);
        x + 38.0 + text::width(name, BODY) + 24.0
    };
    let left = entry(canvas, (MARGIN, HEAD), promise(), "promised");
    let names = panels.iter().map(|panel| &panel.curves).max_by_key(|curves| curves.len());
    for (i, curve) in names.into_iter().flatten().enumerate() {
        let y = HEAD + LINE * i as f32;
        let x = entry(canvas, (left, y), pen(i, false), &format!("{}, abundances", curve.name));
        let x = entry(canvas, (x, y), faint(i), "exact");
        entry(canvas, (x, y), pen(i, true), "endmember values");
    }
}

fn draw(canvas: &mut Canvas, panel: &CalibrationPanel, (left, top): (f32, f32)) {
    let title = text::shorten(&panel.title, BODY, PANEL.0 - 8.0);
    canvas.text(&title, BODY, (left + 8.0, top + 12.0), Align::Start, INK);
    let outer = (left, top + 28.0, PANEL.0, PANEL.1 - 44.0);
    let axes = Axes::within(outer, (0.0, 1.0), (0.0, 1.0));
    axes.grid(canvas);
    canvas.line(&[axes.place(0.0, 0.0), axes.place(1.0, 1.0)], promise());
    for (i, curve) in panel.curves.iter().enumerate() {
        for (points, pen) in [
            (&curve.endmembers, pen(i, true)),
            (&curve.exact, faint(i)),
            (&curve.abundances, pen(i, false)),
        ] {
            let places: Vec<_> = points.iter().map(|&(x, y)| axes.place(x, y)).collect();
            if !places.is_empty() {
                canvas.line(&places, pen);
            }
        }
    }
    axes.labels(canvas, "promised", "observed");
}

fn pen(curve: usize, dashed: bool) -> Pen {
    Pen { color: endmember_color(curve), alpha: 1.0, width: 2.2, dashed }
}

fn faint(curve: usize) -> Pen {
    Pen { alpha: 0.45, width: 4.0, ..pen(curve, false) }
}

fn promise() -> Pen {
    Pen { color: MUTED, alpha: 0.8, width: 1.2, dashed: false }
}
