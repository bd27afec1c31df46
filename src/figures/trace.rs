//! The picture of the ELBO as the fit went on.

use super::axes::{Axes, BODY};
use super::canvas::{Align, Canvas, Pen};
use super::color::{INK, MUTED, Rgb};
use super::text;
use crate::engine::ground::error::Result;

const WIDTH: f32 = 1200.0;
const HEIGHT: f32 = 620.0;
const MARGIN: f32 = 22.0;
const CURVE: Rgb = [0x00, 0x77, 0xBB];
const STOP: Rgb = [0xCC, 0x33, 0x11];
/// Share of the trace whose values do not set the lower end of the axis.
const WARM_UP: usize = 20;
/// Points drawn at most for the raw trace; more would cover each other.
const RAW_POINTS: usize = 4000;

/// What the picture of the trace shows.
pub struct Trace<'a> {
    /// The first line.
    pub title: &'a str,
    /// Step and ELBO per pixel, in the order of steps.
    pub points: &'a [(u32, f64)],
    /// Number of points in the running mean.
    pub window: usize,
    /// The step at which the stop rule ended the fit, where it did.
    pub stopped_at: Option<u32>,
}

/// Draws the ELBO per pixel against the step, as a PNG of 1200 x 620: raw values faint, the mean
/// of the last `window` values over them. The lower end of the axis leaves out the first steps'
/// far lower values, which the picture then says.
///
/// # Errors
/// When there is not enough memory for the picture.
pub fn trace_png(trace: &Trace<'_>) -> Result<Vec<u8>> {
    let points: Vec<(f64, f64)> = trace
        .points
        .iter()
        .filter(|(_, elbo)| elbo.is_finite())
        .map(|&(step, elbo)| (f64::from(step), elbo))
        .collect();
    let means = running_mean(&points, trace.window.max(1));
    let (low, high) = y_range(&points);
    let cut = points.iter().filter(|(_, elbo)| *elbo < low).count();

    let mut canvas = Canvas::new(WIDTH as usize, HEIGHT as usize)?;

    let top = MARGIN + 72.0;
    let outer = (MARGIN - 8.0, top, WIDTH - MARGIN, HEIGHT - top - MARGIN / 2.0);
    let last = points.last().map_or(1.0, |p| p.0);
    let end = last.max(trace.stopped_at.map_or(0.0, f64::from));
    let axes = Axes::within(outer, (0.0, end.max(1.0)), (low, high));
    axes.grid(&mut canvas);

    let (left, top, width, height) = axes.area;
    let place = |points: &[(f64, f64)]| -> Vec<(f32, f32)> {
        points.iter().map(|&(x, y)| axes.place(x, y)).collect()
    };
    let raw: Vec<_> =
        points.iter().copied().step_by(points.len().div_ceil(RAW_POINTS).max(1)).collect();
    canvas.line(&place(&raw), raw_pen());
    canvas.line(&place(&means), mean_pen());
    if let Some(step) = trace.stopped_at {
        let x = axes.place(f64::from(step), low).0;
        canvas.line(&[(x, top), (x, top + height)], stop_pen());
    }
    axes.frame(&mut canvas, "step", "ELBO per pixel");
    let title = text::shorten(trace.title, 20.0, WIDTH - 2.0 * MARGIN);
    canvas.text(&title, 20.0, (MARGIN, MARGIN + 10.0), Align::Start, INK);
    legend(&mut canvas, trace, cut, MARGIN + 44.0);
    if points.is_empty() {
        let middle = (left + width / 2.0, top + height / 2.0);
        canvas.text("no finite value was recorded", BODY, middle, Align::Middle, MUTED);
    }
    canvas.png()
}

fn raw_pen() -> Pen {
    Pen { color: CURVE, alpha: 0.35, width: 1.0, dashed: false }
}

fn mean_pen() -> Pen {
    Pen { color: CURVE, alpha: 1.0, width: 2.2, dashed: false }
}

fn stop_pen() -> Pen {
    Pen { color: STOP, alpha: 1.0, width: 1.6, dashed: true }
}

fn legend(canvas: &mut Canvas, trace: &Trace<'_>, cut: usize, y: f32) {
    let mut entries = vec![(raw_pen(), "as recorded".to_owned())];
    if trace.window > 1 {
        entries.push((mean_pen(), format!("mean of the last {} values", trace.window)));
    }
    if let Some(step) = trace.stopped_at {
        entries.push((stop_pen(), format!("stop rule met at step {step}")));
    }
    let mut x = MARGIN;
    for (pen, name) in entries {
        canvas.line(&[(x, y), (x + 30.0, y)], pen);
        canvas.text(&name, BODY, (x + 38.0, y), Align::Start, INK);
        x += 38.0 + text::width(&name, BODY) + 28.0;
    }
    if cut > 0 {
        let values = if cut == 1 { "1 value lies".to_owned() } else { format!("{cut} values lie") };
        let note = format!("{values} below the axis");
        canvas.text(&note, BODY, (WIDTH - MARGIN, y), Align::End, MUTED);
    }
}

/// Means over the last `window` points, from the first full window on.
fn running_mean(points: &[(f64, f64)], window: usize) -> Vec<(f64, f64)> {
    points
        .windows(window)
        .filter_map(|w| {
            let (step, _) = *w.last()?;
            Some((step, w.iter().map(|p| p.1).sum::<f64>() / w.len() as f64))
        })
        .collect()
}

/// From the lowest hundredth of the values after the first twentieth, to the highest value.
fn y_range(points: &[(f64, f64)]) -> (f64, f64) {
    let late: Vec<f64> = points.iter().skip(points.len() / WARM_UP).map(|p| p.1).collect();
    let mut sorted = late;
    sorted.sort_by(f64::total_cmp);
    let low = sorted.get(sorted.len() / 100).copied().unwrap_or(0.0);
    let high = points.iter().map(|p| p.1).fold(low, f64::max);
    let pad = 0.05 * (high - low);
    (low - pad, high + pad)
}
