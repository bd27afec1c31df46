//! The evidence on the number of endmembers as a picture.

use super::axes::{Axes, BODY};
use super::canvas::{Align, Canvas, Pen};
use super::color::{INK, MUTED, Rgb, endmember_color};
use crate::error::Result;
use crate::rank::Rank;

const WIDTH: f32 = 1100.0;
const HEIGHT: f32 = 860.0;
const MARGIN: f32 = 20.0;
/// Numbers of endmembers shown beyond the largest estimate.
const BEYOND: usize = 10;

/// Draws the eigenvalues of the noise-whitened scene and HySime's error against the number of
/// endmembers, on logarithmic scales, with the recommended number marked; a PNG.
///
/// # Errors
/// When there is not enough memory for the picture.
pub fn rank_png(rank: &Rank, title: &str) -> Result<Vec<u8>> {
    let largest = rank.estimates.iter().map(|e| e.endmembers).max().unwrap_or(1);
    let shown = (largest + BEYOND).min(rank.eigenvalues.len()).max(1);
    let mut canvas = Canvas::new(WIDTH as usize, HEIGHT as usize)?;
    // The frame of an axis wipes all around it: the second picture is drawn apart and laid below.
    let half = (HEIGHT - MARGIN) / 2.0;
    let curves: [(&[f64], &str, Rgb); 2] = [
        (&rank.eigenvalues, "log10 eigenvalue (0 is noise)", endmember_color(0)),
        (&rank.hysime_error, "log10 HySime error", endmember_color(1)),
    ];
    let mut placed = Vec::new();
    for (at, (values, name, color)) in curves.into_iter().enumerate() {
        let points: Vec<(f64, f64)> = (1..=shown)
            .zip(values)
            .filter(|(_, v)| v.is_finite() && **v > 0.0)
            .map(|(k, v)| (k as f64, v.log10()))
            .collect();
        let low = points.iter().map(|p| p.1).fold(f64::INFINITY, f64::min);
        let high = points.iter().map(|p| p.1).fold(f64::NEG_INFINITY, f64::max);
        let pad = 0.05 * (high - low);
        let top = MARGIN + 34.0 + at as f32 * half;
        let outer = (MARGIN, top, WIDTH - 2.0 * MARGIN, half - 44.0);
        let axes = Axes::within(outer, (0.5, shown as f64 + 0.5), (low - pad, high + pad));
        placed.push((axes, points, name, color));
    }
    for (axes, points, name, color) in &placed {
        let mut part = Canvas::new(WIDTH as usize, HEIGHT as usize)?;
        axes.grid(&mut part);
        let line: Vec<(f32, f32)> = points.iter().map(|&(x, y)| axes.place(x, y)).collect();
        part.line(&line, Pen { color: *color, alpha: 1.0, width: 2.0, dashed: false });
        for &point in &line {
            part.line(&[point], Pen { color: *color, alpha: 1.0, width: 3.5, dashed: false });
        }
        let at = |y: f64| axes.place(rank.recommended as f64, y);
        let pen = Pen { color: INK, alpha: 0.8, width: 1.6, dashed: true };
        part.line(&[at(axes.y.0), at(axes.y.1)], pen);
        axes.frame(&mut part, "number of endmembers", name);
        canvas.overlay(&part);
    }
    let note = format!("recommended: {} (dashed)", rank.recommended);
    canvas.text(title, 20.0, (MARGIN, MARGIN + 8.0), Align::Start, INK);
    canvas.text(&note, BODY, (WIDTH - MARGIN, MARGIN + 8.0), Align::End, MUTED);
    canvas.png()
}
