//! The picture of endmember spectra with their intervals.

use ndarray::{Array2, ArrayView2, Axis};

use super::axes::{Axes, BODY};
use super::canvas::{Align, Canvas, Pen};
use super::color::{INK, MUTED, Rgb, endmember_color};
use super::text;
use crate::engine::ground::error::Result;
use crate::scene::Band;

const WIDTH: f32 = 1200.0;
const HEIGHT: f32 = 700.0;
const MARGIN: f32 = 22.0;
/// Widest that names may make the legend.
const LEGEND_LIMIT: f32 = 300.0;
/// Bands further apart than this many times the usual spacing have bands left out between them.
const GAP: f64 = 3.0;

/// What the picture of the spectra shows; arrays are (endmembers, bands in use).
pub struct SpectraFigure<'a> {
    /// The first line.
    pub title: &'a str,
    /// The bands in use.
    pub bands: &'a [Band],
    /// Name of each endmember.
    pub names: &'a [String],
    /// Posterior means.
    pub mean: &'a Array2<f64>,
    /// 5 % quantiles.
    pub q05: &'a Array2<f64>,
    /// 95 % quantiles.
    pub q95: &'a Array2<f64>,
    /// Sd of each endmember between pixels, where the model has it: thin lines above and below.
    pub variability: Option<&'a Array2<f64>>,
    /// What the values are, for the axis.
    pub unit: &'a str,
    /// Reference spectra in the order of the estimates, drawn dashed.
    pub truth: Option<&'a Array2<f64>>,
    /// Spectral angle of each endmember to its reference, radians; empty when not scored.
    pub sad: &'a [f64],
}

/// Draws mean spectra over their 90 % intervals against wavelength in nanometres (or the band's
/// number in the file, when a wavelength is unknown), as a PNG of 1200 x 700. Lines break where
/// bands were left out.
///
/// # Errors
/// When there is not enough memory for the picture.
pub fn spectra_png(spectra: &SpectraFigure<'_>) -> Result<Vec<u8>> {
    let mut canvas = Canvas::new(WIDTH as usize, HEIGHT as usize)?;
    let (x, x_title) = positions(spectra.bands);
    let runs = runs(&x);
    let legend = Legend::new(spectra);

    let top = MARGIN + 40.0;
    let outer = (MARGIN - 8.0, top, WIDTH - MARGIN - legend.width, HEIGHT - top - MARGIN / 2.0);
    let finite = x.iter().copied().filter(|x| x.is_finite());
    let x_range = finite.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), x| (l.min(x), h.max(x)));
    let axes = Axes::within(outer, x_range, value_range(spectra));
    axes.grid(&mut canvas);

    for k in 0..spectra.mean.nrows() {
        for run in &runs {
            let low = curve(&axes, &x, spectra.q05.view(), k, run);
            let mut band = curve(&axes, &x, spectra.q95.view(), k, run);
            band.extend(low.into_iter().rev());
            canvas.area(&band, endmember_color(k), 0.25);
        }
    }
    let spread = Spread::of(spectra);
    for k in 0..spectra.mean.nrows() {
        let pen = Pen { color: endmember_color(k), alpha: 0.45, width: 1.0, dashed: false };
        for (values, run) in spread
            .iter()
            .flat_map(|s| [&s.low, &s.high])
            .flat_map(|v| runs.iter().map(move |run| (v, run)))
        {
            canvas.line(&curve(&axes, &x, values.view(), k, run), pen);
        }
    }
    // Lines after all bands, so that no band dims another endmember's mean.
    for k in 0..spectra.mean.nrows() {
        let pen = Pen { color: endmember_color(k), alpha: 1.0, width: 2.0, dashed: false };
        for run in &runs {
            canvas.line(&curve(&axes, &x, spectra.mean.view(), k, run), pen);
            if let Some(truth) = spectra.truth {
                let pen = Pen { width: 1.5, dashed: true, ..pen };
                canvas.line(&curve(&axes, &x, truth.view(), k, run), pen);
            }
        }
    }
    axes.frame(&mut canvas, x_title, spectra.unit);
    let title = text::shorten(spectra.title, 20.0, WIDTH - 2.0 * MARGIN);
    canvas.text(&title, 20.0, (MARGIN, MARGIN + 10.0), Align::Start, INK);
    legend.draw(&mut canvas, spectra, (WIDTH - MARGIN - legend.width + 4.0, top));
    canvas.png()
}

/// Where bands lie on the x axis, and its title.
fn positions(bands: &[Band]) -> (Vec<f64>, &'static str) {
    let wavelengths: Option<Vec<f64>> =
        bands.iter().map(|b| b.wavelength.filter(|w| w.is_finite())).collect();
    match wavelengths {
        Some(wavelengths) => (wavelengths, "wavelength, nm"),
        None => (bands.iter().map(|b| (b.index + 1) as f64).collect(), "band number in the file"),
    }
}

/// Bands in ascending order of `x`, split where the step is far larger than usual.
fn runs(x: &[f64]) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..x.len()).collect();
    // Some sensors list overlapping detectors one after the other.
    order.sort_by(|&a, &b| x[a].total_cmp(&x[b]));
    let mut steps: Vec<f64> = order.windows(2).map(|w| x[w[1]] - x[w[0]]).collect();
    steps.sort_by(f64::total_cmp);
    let usual = steps.get(steps.len() / 2).copied().unwrap_or(0.0);
    order.chunk_by(|&a, &b| x[b] - x[a] <= GAP * usual).map(<[usize]>::to_vec).collect()
}

/// One sd between pixels below and above the mean.
struct Spread {
    low: Array2<f64>,
    high: Array2<f64>,
}

impl Spread {
    fn of(spectra: &SpectraFigure<'_>) -> Option<Self> {
        let sd = spectra.variability.filter(|sd| sd.dim() == spectra.mean.dim())?;
        // Reflectance ends at zero.
        Some(Spread { low: (spectra.mean - sd).mapv(|v| v.max(0.0)), high: spectra.mean + sd })
    }
}

fn value_range(spectra: &SpectraFigure<'_>) -> (f64, f64) {
    let spread = Spread::of(spectra);
    let high = spread.as_ref().map(|spread| &spread.high);
    let all = [Some(spectra.mean), Some(spectra.q05), Some(spectra.q95), spectra.truth, high];
    let values = all.into_iter().flatten().flatten().copied().filter(|v| v.is_finite());
    let (low, high) = values.fold((0.0f64, 0.0f64), |(l, h), v| (l.min(v), h.max(v)));
    let pad = 0.04 * (high - low);
    (if low < 0.0 { low - pad } else { 0.0 }, high + pad)
}

/// The points of one run of bands; values that are missing or not finite are left out.
fn curve(
    axes: &Axes,
    x: &[f64],
    values: ArrayView2<'_, f64>,
    k: usize,
    run: &[usize],
) -> Vec<(f32, f32)> {
    if k >= values.len_of(Axis(0)) {
        return Vec::new();
    }
    run.iter()
        .filter_map(|&band| Some((*x.get(band)?, *values.get((k, band))?)))
        .filter(|(_, value)| value.is_finite())
        .map(|(x, value)| axes.place(x, value))
        .collect()
}

/// The column to the right of the curves.
struct Legend {
    /// Colour, name, and what is said below it.
    entries: Vec<(Rgb, String, String)>,
    left_out: usize,
    width: f32,
}

impl Legend {
    const SWATCH: f32 = 36.0;
    const NAME: f32 = 1.5 * BODY;

    fn new(spectra: &SpectraFigure<'_>) -> Self {
        let scored = spectra.sad.iter().any(|s| s.is_finite());
        let room = ((HEIGHT - 200.0) / Self::NAME) as usize;
        let count = spectra.names.len();
        // Few endmembers have their score on a line of its own, many behind the name.
        let split = scored && 2 * count <= room;
        let entries: Vec<_> = (0..count.min(room))
            .map(|k| {
                let sad = spectra.sad.get(k).filter(|s| s.is_finite());
                let sad = sad.map_or(String::new(), |sad| format!("SAD {sad:.3} rad"));
                let tail = if split || sad.is_empty() { "" } else { &format!(", {sad}") };
                let limit = LEGEND_LIMIT - text::width(tail, BODY);
                let name = text::shorten(&spectra.names[k], BODY, limit) + tail;
                (endmember_color(k), name, if split { sad } else { String::new() })
            })
            .collect();
        let names = entries.iter().map(|(_, name, _)| text::width(name, BODY));
        let keys = Self::keys(spectra).map(|(_, key)| text::width(key, BODY));
        let widest = names.chain(keys).fold(90.0, f32::max);
        let left_out = count - entries.len();
        Legend { entries, left_out, width: Self::SWATCH + widest + 8.0 }
    }

    /// What kinds of lines there are, and whether a kind is shown.
    fn keys(spectra: &SpectraFigure<'_>) -> impl Iterator<Item = (Key, &'static str)> {
        [
            (Key::Mean, "posterior mean", true),
            (Key::Interval, "90 % interval", true),
            (Key::Spread, "between pixels, ± 1 sd", spectra.variability.is_some()),
            (Key::Truth, "reference", spectra.truth.is_some()),
        ]
        .into_iter()
        .filter(|(_, _, shown)| *shown)
        .map(|(key, name, _)| (key, name))
    }

    fn draw(&self, canvas: &mut Canvas, spectra: &SpectraFigure<'_>, (left, top): (f32, f32)) {
        let pen = Pen { color: MUTED, alpha: 1.0, width: 2.0, dashed: false };
        let (start, end, words) = (left, left + Self::SWATCH - 10.0, left + Self::SWATCH);
        let mut y = top + 0.5 * BODY;
        for (color, name, below) in &self.entries {
            canvas.line(&[(start, y), (end, y)], Pen { color: *color, width: 4.0, ..pen });
            canvas.text(name, BODY, (words, y), Align::Start, INK);
            if !below.is_empty() {
                y += 1.25 * BODY;
                canvas.text(below, 0.9 * BODY, (words, y), Align::Start, MUTED);
            }
            y += Self::NAME;
        }
        if self.left_out > 0 {
            let more = format!("and {} more", self.left_out);
            canvas.text(&more, BODY, (words, y), Align::Start, MUTED);
            y += Self::NAME;
        }
        y += 0.6 * BODY;
        for (key, name) in Self::keys(spectra) {
            let line = [(start, y), (end, y)];
            match key {
                Key::Mean => canvas.line(&line, pen),
                Key::Interval => {
                    let (up, down) = (y - 7.0, y + 7.0);
                    canvas.area(&[(start, up), (end, up), (end, down), (start, down)], MUTED, 0.25);
                }
                Key::Spread => {
                    for y in [y - 4.0, y + 4.0] {
                        canvas.line(&[(start, y), (end, y)], Pen { width: 1.0, alpha: 0.6, ..pen });
                    }
                }
                Key::Truth => canvas.line(&line, Pen { width: 1.5, dashed: true, ..pen }),
            }
            canvas.text(name, BODY, (words, y), Align::Start, MUTED);
            y += Self::NAME;
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Key {
    Mean,
    Interval,
    Spread,
    Truth,
}
