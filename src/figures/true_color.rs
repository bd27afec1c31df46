//! A scene as the eye would see it.

use ndarray::{Array3, Axis};

use super::canvas::Raster;
use super::figure::{Figure, Panel};
use super::maps::{TARGET, notes, reduce, reduction_factor};
use crate::engine::ground::error::Result;

/// Red, green and blue as the eye has them, nanometres.
const COLOURS: [f64; 3] = [640.0, 550.0, 460.0];
/// Shares of the values that are black and white.
const STRETCH: (f64, f64) = (0.02, 0.98);

/// The bands for red, green and blue among bands of these wavelengths (nanometres), and whether
/// these are near enough to be true colours; else, or without wavelengths, the last, the middle and
/// the first.
pub fn true_color_bands(wavelengths: Option<&[f64]>, bands: usize) -> ([usize; 3], bool) {
    let last = bands.saturating_sub(1);
    let spread = ([last, last / 2, 0], false);
    let Some(nm) = wavelengths.filter(|nm| nm.len() == bands && bands > 0) else { return spread };
    let nearest = COLOURS.map(|wanted| {
        let far = |i: &usize| (nm[*i] - wanted).abs();
        (0..bands).min_by(|a, b| far(a).total_cmp(&far(b))).unwrap_or(0)
    });
    let near = nearest.iter().zip(COLOURS).all(|(&i, wanted)| (nm[i] - wanted).abs() <= 40.0);
    if near { (nearest, true) } else { spread }
}

/// A picture of (rows, columns, 3) reflectance, red, green and blue, NaN for no data: the three
/// stretched together between their second and their ninety-eighth percentile. `note` says what
/// the colours are.
///
/// # Errors
/// When there is not enough memory for the picture.
pub fn true_color_png(image: &Array3<f32>, title: &str, note: &str) -> Result<Vec<u8>> {
    let (rows, cols, _) = image.dim();
    let mut values: Vec<f32> = image.iter().copied().filter(|v| v.is_finite()).collect();
    values.sort_unstable_by(f32::total_cmp);
    let at = |share: f64| {
        let last = values.len().saturating_sub(1);
        values.get((share * last as f64).round() as usize).copied().unwrap_or(0.0)
    };
    let (low, high) = (at(STRETCH.0), at(STRETCH.1));
    let factor = reduction_factor(rows, cols);
    let layers: Vec<_> = (0..3).map(|k| reduce(image.index_axis(Axis(2), k))).collect();
    let (rows, cols) = (rows.div_ceil(factor), cols.div_ceil(factor));
    let shade = |v: f32| {
        let share = ((v - low) / (high - low).max(f32::MIN_POSITIVE)).clamp(0.0, 1.0);
        // Reflectance is linear light; screens are not.
        (share.powf(1.0 / 2.2) * 255.0).round() as u8
    };
    let pixels = (0..rows * cols)
        .map(|i| {
            let place = [i / cols, i % cols];
            let value = |k: usize| {
                let (map, _) = layers.get(k)?;
                map.get(place).copied().filter(|v| v.is_finite()).map(shade)
            };
            Some([value(0)?, value(1)?, value(2)?])
        })
        .collect();
    let reduction = layers.first().map_or("", |(_, note)| note.as_str());
    Figure {
        title: title.to_owned(),
        notes: notes(&[note, reduction]),
        panels: vec![Panel {
            caption: String::new(),
            raster: Raster { rows, cols, pixels },
            bar: None,
        }],
        legend: Vec::new(),
        stacked: false,
    }
    .png(TARGET)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_come_from_the_nearest_bands() {
        let nm: Vec<f64> = (0..30).map(|i| 400.0 + 10.0 * f64::from(i)).collect();
        assert_eq!(true_color_bands(Some(&nm), 30), ([24, 15, 6], true));
        assert_eq!(true_color_bands(None, 30), ([29, 14, 0], false));
        assert_eq!(true_color_bands(Some(&[1500.0, 1600.0, 2000.0]), 3), ([2, 1, 0], false));
        assert_eq!(true_color_bands(Some(&[550.0]), 1), ([0, 0, 0], false));
    }
}
