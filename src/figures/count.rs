//! The evidence on the number of endmembers as a picture.

use super::axes::{Axes, BODY};
use super::canvas::{Align, Canvas, Pen};
use super::color::{INK, MUTED, Rgb, endmember_color};
use crate::count::Count;
use crate::engine::ground::error::Result;

const WIDTH: f32 = 1100.0;
const PANEL: f32 = 420.0;
const MARGIN: f32 = 20.0;
/// Numbers of endmembers shown beyond the largest estimate.
const BEYOND: usize = 10;

/// A curve over numbers of endmembers.
struct Panel {
    points: Vec<(f64, f64)>,
    name: &'static str,
    color: Rgb,
}

/// Draws the eigenvalues of the noise-whitened scene and HySime's error on logarithmic scales, and
/// where there were fits their ELBO, against the number of endmembers, with the recommended number
/// marked; a PNG.
///
/// # Errors
/// When there is not enough memory for the picture.
pub fn count_png(rank: &Count, title: &str) -> Result<Vec<u8>> {
    let panels = panels(rank);
    let height = PANEL * panels.len() as f32 + MARGIN;
    let mut canvas = Canvas::new(WIDTH as usize, height as usize)?;
    for (at, panel) in panels.iter().enumerate() {
        let values = || panel.points.iter().map(|p| p.1);
        let low = values().fold(f64::INFINITY, f64::min);
        let high = values().fold(f64::NEG_INFINITY, f64::max);
        let pad = 0.05 * (high - low);
        let last = panel.points.last().map_or(1.0, |p| p.0);
        let top = MARGIN + 34.0 + at as f32 * PANEL;
        let outer = (MARGIN, top, WIDTH - 2.0 * MARGIN, PANEL - 44.0);
        let axes = Axes::within(outer, (0.5, last + 0.5), (low - pad, high + pad));
        // The frame of an axis wipes all around it: each panel is drawn apart.
        let mut part = Canvas::new(WIDTH as usize, height as usize)?;
        axes.grid(&mut part);
        let line: Vec<(f32, f32)> = panel.points.iter().map(|&(x, y)| axes.place(x, y)).collect();
        part.line(&line, Pen { color: panel.color, alpha: 1.0, width: 2.0, dashed: false });
        for &point in &line {
            part.line(&[point], Pen { color: panel.color, alpha: 1.0, width: 3.5, dashed: false });
        }
        let at = |y: f64| axes.place(rank.recommended as f64, y);
        let pen = Pen { color: INK, alpha: 0.8, width: 1.6, dashed: true };
        part.line(&[at(axes.y.0), at(axes.y.1)], pen);
        axes.frame(&mut part, "number of endmembers", panel.name);
        canvas.overlay(&part);
    }
    let note = format!("recommended: {} (dashed)", rank.recommended);
    canvas.text(title, 20.0, (MARGIN, MARGIN + 8.0), Align::Start, INK);
    canvas.text(&note, BODY, (WIDTH - MARGIN, MARGIN + 8.0), Align::End, MUTED);
    canvas.png()
}

fn panels(rank: &Count) -> Vec<Panel> {
    let largest = rank.estimates.iter().map(|e| e.endmembers).max().unwrap_or(1);
    let shown = (largest + BEYOND).min(rank.eigenvalues.len()).max(1);
    let logs = |values: &[f64]| {
        let points = (1..=shown).zip(values).filter(|(_, v)| v.is_finite() && **v > 0.0);
        points.map(|(k, v)| (k as f64, v.log10())).collect()
    };
    let fits = rank.evidence.iter().filter_map(|one| Some((one.endmembers as f64, one.elbo?)));
    let elbos = Panel {
        points: fits.collect(),
        name: "ELBO of short fits (nats a pixel)",
        color: endmember_color(2),
    };
    let mut panels = vec![
        Panel {
            points: logs(&rank.eigenvalues),
            name: "log10 eigenvalue (0 is noise)",
            color: endmember_color(0),
        },
        Panel {
            points: logs(&rank.hysime_error),
            name: "log10 HySime error",
            color: endmember_color(1),
        },
    ];
    if !elbos.points.is_empty() {
        panels.insert(0, elbos);
    }
    panels
}
