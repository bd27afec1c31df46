//! Maps of one quantity, of all abundances at once, and of an estimate beside the truth.

use ndarray::{Array2, Array3, ArrayView2, Axis, Zip};

use super::canvas::Raster;
use super::color::{Colormap, endmember_color, linear_light, mix};
use super::figure::{Bar, Figure, Panel};
use super::ticks;
use crate::engine::ground::error::Result;

/// Maps with a longer side are reduced: larger pictures open slowly, and no screen shows them.
const LONGEST_SIDE: usize = 4000;
/// What the longer side of a map is enlarged to, in pixels.
pub(super) const TARGET: usize = 700;
/// What the longer side of a map is enlarged to where three maps share a picture, in pixels.
pub(super) const TARGET_OF_THREE: usize = 420;
/// The scale of a map ends at this share of its values, so that a few odd pixels do not darken all
/// the others.
const SHARE_ON_SCALE: f64 = 0.995;
/// The scale of differences of abundance reaches at least this far, so that tiny ones look tiny.
const LEAST_DIFFERENCE: f32 = 0.1;

/// What a map of one quantity says.
#[derive(Debug, Clone)]
pub struct MapText<'a> {
    /// The first line.
    pub title: &'a str,
    /// An explanation under it; may be empty.
    pub note: &'a str,
    /// The quantity and its unit, beside the colour bar.
    pub label: &'a str,
}

/// A map of `values`, (rows, columns) with row 0 on top and column 0 on the left, as a PNG.
///
/// Pixels are enlarged by a whole number to about 700 on the longer side, never blurred; a side
/// above 4000 is reduced by averaging, which the picture then says. NaN is no data: light grey,
/// with an entry in the legend. Values beyond `range` take the colour of its end, which is then
/// marked with ≤ or ≥.
///
/// # Errors
/// When there is not enough memory for the picture.
pub fn map_png(
    values: &Array2<f32>,
    text: &MapText<'_>,
    range: (f32, f32),
    colormap: Colormap,
) -> Result<Vec<u8>> {
    let (small, reduction) = reduce(values.view());
    let label = text.label.to_owned();
    Figure {
        title: text.title.to_owned(),
        notes: notes(&[text.note, &reduction]),
        panels: vec![panel("", &small, range, colormap, Some(label))],
        legend: Vec::new(),
        stacked: false,
    }
    .png(TARGET)
}

/// All abundances in one picture, as a PNG: each endmember has a hue, each pixel the mix of hues
/// by its abundances. `abundances` is (rows, columns, endmembers), NaN for no data; `names` are
/// the endmembers', in that order.
///
/// # Errors
/// When there is not enough memory for the picture.
pub fn composite_png(abundances: &Array3<f32>, names: &[String], title: &str) -> Result<Vec<u8>> {
    let (rows, cols, endmembers) = abundances.dim();
    let factor = reduction_factor(rows, cols);
    let reduced: Vec<_> =
        (0..endmembers).map(|k| reduce(abundances.index_axis(Axis(2), k))).collect();
    let hues: Vec<_> = (0..endmembers).map(endmember_color).collect();
    let light: Vec<_> = hues.iter().map(|&hue| linear_light(hue)).collect();
    let (rows, cols) = (rows.div_ceil(factor), cols.div_ceil(factor));
    let pixels = (0..rows * cols)
        .map(|i| {
            let place = [i / cols, i % cols];
            mix(&light, reduced.iter().map(|(map, _)| map.get(place).copied().unwrap_or(f32::NAN)))
        })
        .collect();
    let reduction = reduced.first().map_or("", |(_, note)| note.as_str());
    Figure {
        title: title.to_owned(),
        notes: notes(&["Hues are mixed by the mean abundances of each pixel.", reduction]),
        panels: vec![Panel {
            caption: String::new(),
            raster: Raster { rows, cols, pixels },
            bar: None,
        }],
        legend: hues.into_iter().zip(names.iter().cloned()).collect(),
        stacked: false,
    }
    .png(TARGET)
}

/// Truth, estimate and their difference for one endmember, as a PNG. Both arrays are (rows,
/// columns) on the scale 0 to 1, NaN for no data; `pooled_rmse` is the score over all endmembers,
/// where it is known.
///
/// # Errors
/// When there is not enough memory for the picture.
pub fn side_by_side_png(
    truth: &Array2<f32>,
    estimate: &Array2<f32>,
    name: &str,
    pooled_rmse: Option<f64>,
) -> Result<Vec<u8>> {
    let difference = difference(truth, estimate);
    let rmse = root_mean_square(&difference);
    let title = match rmse {
        Some(rmse) => format!("{name}: RMSE of abundance {rmse:.3}"),
        None => format!("{name}: no pixel with both truth and estimate"),
    };
    let pooled = pooled_rmse.filter(|r| r.is_finite());
    let pooled =
        pooled.map_or(String::new(), |r| format!("Over all endmembers the RMSE is {r:.3}."));
    let end = auto_range(difference.iter().map(|d| d.abs())).1.max(LEAST_DIFFERENCE);

    let (truth, reduction) = reduce(truth.view());
    let (estimate, _) = reduce(estimate.view());
    let (difference, _) = reduce(difference.view());
    let (rows, cols) = truth.dim();
    let stacked = cols > 2 * rows;
    let label = || Some("abundance".to_owned());
    let first = if stacked { label() } else { None };
    Figure {
        title,
        notes: notes(&[&pooled, &reduction]),
        panels: vec![
            panel("truth", &truth, (0.0, 1.0), Colormap::Viridis, first),
            panel("estimate (mean)", &estimate, (0.0, 1.0), Colormap::Viridis, label()),
            panel(
                "estimate − truth",
                &difference,
                (-end, end),
                Colormap::Difference,
                Some("difference".to_owned()),
            ),
        ],
        legend: Vec::new(),
        stacked,
    }
    .png(TARGET_OF_THREE)
}

/// A scale from 0 to a round number that covers all but the highest half percent of `values`,
/// which must not be negative; 0 to 1 when none is finite.
pub fn auto_range(values: impl Iterator<Item = f32>) -> (f32, f32) {
    let top = ticks::quantile_and_max(values, SHARE_ON_SCALE)
        .map_or(1.0, |(most, max)| if most > 0.0 { most } else { max });
    (0.0, ticks::round_up(f64::from(top)) as f32)
}

/// `estimate - truth`; NaN where either is missing, and all NaN when the shapes differ.
fn difference(truth: &Array2<f32>, estimate: &Array2<f32>) -> Array2<f32> {
    if truth.dim() != estimate.dim() {
        return Array2::from_elem(estimate.dim(), f32::NAN);
    }
    Zip::from(estimate).and(truth).map_collect(|e, t| e - t)
}

fn root_mean_square(values: &Array2<f32>) -> Option<f64> {
    let squares = values.iter().filter(|v| v.is_finite()).map(|&v| f64::from(v).powi(2));
    let (sum, count) = squares.fold((0.0, 0usize), |(sum, count), s| (sum + s, count + 1));
    (count > 0).then(|| (sum / count as f64).sqrt())
}

pub(super) fn notes(notes: &[&str]) -> Vec<String> {
    notes.iter().filter(|n| !n.is_empty()).map(|n| (*n).to_owned()).collect()
}

fn panel(
    caption: &str,
    values: &Array2<f32>,
    range: (f32, f32),
    colormap: Colormap,
    label: Option<String>,
) -> Panel {
    let table = colormap.table();
    let color = |&value: &f32| Colormap::index(value, range).and_then(|i| table.get(i)).copied();
    let pixels = values.iter().map(color).collect();
    let raster = Raster { rows: values.nrows(), cols: values.ncols(), pixels };
    // Rounding alone puts values a little beyond the ends.
    let slack = 1e-3 * (range.1 - range.0);
    let clipped =
        (values.iter().any(|&v| v < range.0 - slack), values.iter().any(|&v| v > range.1 + slack));
    let bar = label.map(|label| Bar { colormap, range, label, clipped });
    Panel { caption: caption.to_owned(), raster, bar }
}

pub(super) fn reduction_factor(rows: usize, cols: usize) -> usize {
    rows.max(cols).div_ceil(LONGEST_SIDE).max(1)
}

/// Means of square blocks, missing values left out, and a sentence that says so; the values
/// themselves and no sentence when the map is small enough.
pub(super) fn reduce(values: ArrayView2<'_, f32>) -> (Array2<f32>, String) {
    let (rows, cols) = values.dim();
    let factor = reduction_factor(rows, cols);
    if factor == 1 {
        return (values.to_owned(), String::new());
    }
    let means = Array2::from_shape_fn((rows.div_ceil(factor), cols.div_ceil(factor)), |(r, c)| {
        let (top, left) = (r * factor, c * factor);
        let (bottom, right) = ((top + factor).min(rows), (left + factor).min(cols));
        let block = values.slice(ndarray::s![top..bottom, left..right]);
        let (sum, count) = block
            .iter()
            .filter(|v| v.is_finite())
            .fold((0.0f32, 0u32), |(sum, count), v| (sum + v, count + 1));
        if count == 0 { f32::NAN } else { sum / count as f32 }
    });
    let note = format!("Reduced: each dot is the mean of {factor} x {factor} pixels of the scene.");
    (means, note)
}
