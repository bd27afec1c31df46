//! Whether pixels that lie in one line lie row by row or column by column.

use super::PixelOrder;

/// What the format and the file's names make of pixels in one line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Custom {
    pub(crate) order: PixelOrder,
    /// Where the custom comes from, in words.
    pub(crate) because: &'static str,
}

/// Pixels and bands that are looked at.
const PIXELS: usize = 512;
const BANDS: usize = 3;
/// Fewer pairs of neighbours say nothing, and fewer than the second number must differ more.
const FEWEST: usize = 60;
const MANY: usize = 400;

/// The order, and a sentence on it. `value(pixel, band)` reads the array.
///
/// Neighbours in an image are alike. In a line of pixels row by row the neighbour below is as many
/// pixels on as there are columns, in one column by column the neighbour to the right as many as
/// there are rows: where one of the two is clearly more alike, that decides. A square image, or one
/// without patterns, cannot tell; then the custom does.
pub(crate) fn pixel_order(
    (rows, cols, bands): (usize, usize, usize),
    asked: Option<PixelOrder>,
    custom: Custom,
    value: &dyn Fn(usize, usize) -> Option<f64>,
) -> (PixelOrder, Option<String>) {
    let words = |order: PixelOrder| match order {
        PixelOrder::Row => "row by row",
        PixelOrder::Column => "column by column",
    };
    if let Some(order) = asked {
        return (order, None);
    }
    if rows <= 1 || cols <= 1 {
        // One line is the same either way.
        return (custom.order, None);
    }
    match by_values((rows, cols, bands), value) {
        Some(order) if order != custom.order => (
            order,
            Some(format!(
                "Its pixels lie {}, since neighbours are more alike that way, although {} are \
                 {}; state the order of pixels to say otherwise.",
                words(order),
                custom.because,
                words(custom.order)
            )),
        ),
        Some(order) => (order, None),
        None => (
            custom.order,
            Some(format!(
                "Its pixels were taken {}, as {} are; the values do not tell, so state the order \
                 of pixels if they lie otherwise.",
                words(custom.order),
                custom.because
            )),
        ),
    }
}

fn by_values(
    (rows, cols, bands): (usize, usize, usize),
    value: &dyn Fn(usize, usize) -> Option<f64>,
) -> Option<PixelOrder> {
    if rows == cols {
        return None;
    }
    let pixels = rows.checked_mul(cols)?;
    let step = pixels.div_ceil(PIXELS).max(1);
    let bands: Vec<usize> = (0..bands).step_by(bands.div_ceil(BANDS).max(1)).collect();
    // Mean squared difference of pixels so many places apart.
    let apart = |lag: usize| {
        let (mut sum, mut pairs) = (0.0, 0usize);
        for pixel in (0..pixels.saturating_sub(lag)).step_by(step) {
            for &band in &bands {
                let (Some(a), Some(b)) = (value(pixel, band), value(pixel + lag, band)) else {
                    continue;
                };
                if a.is_finite() && b.is_finite() && a.abs() < 1e30 && b.abs() < 1e30 {
                    sum += (a - b) * (a - b);
                    pairs += 1;
                }
            }
        }
        (pairs > 0).then(|| (sum / pairs as f64, pairs / bands.len().max(1)))
    };
    let (below, pairs) = apart(cols)?;
    let (right, _) = apart(rows)?;
    let (next, _) = apart(1)?;
    // Far apart, so that alikeness is none: an odd share of the image.
    let (far, _) = apart(pixels * 3 / 7)?;
    if pairs < FEWEST || next > 0.8 * far {
        return None;
    }
    let clear = if pairs < MANY { 1.5 } else { 1.25 };
    if right > clear * below {
        Some(PixelOrder::Row)
    } else if below > clear * right {
        Some(PixelOrder::Column)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROWS: usize = 12;
    const COLS: usize = 17;

    fn order(smooth: bool, stored: PixelOrder, custom: PixelOrder) -> (PixelOrder, bool) {
        let at = |row: usize, col: usize, band: usize| {
            if smooth {
                ((row as f64) * 0.5 + band as f64).sin() + (col as f64 * 0.4).cos()
            } else {
                ((row * 7919 + col * 104_729 + band * 31) % 97) as f64
            }
        };
        let value = |pixel: usize, band: usize| {
            Some(match stored {
                PixelOrder::Row => at(pixel / COLS, pixel % COLS, band),
                PixelOrder::Column => at(pixel % ROWS, pixel / ROWS, band),
            })
        };
        let custom = Custom { order: custom, because: "such files" };
        let (order, note) = pixel_order((ROWS, COLS, 5), None, custom, &value);
        (order, note.is_some())
    }

    #[test]
    fn patterns_decide_and_the_custom_where_there_are_none() {
        use PixelOrder::{Column, Row};
        for stored in [Row, Column] {
            for custom in [Row, Column] {
                assert_eq!(order(true, stored, custom), (stored, stored != custom));
                assert_eq!(order(false, stored, custom), (custom, true));
            }
        }
    }
}
