//! The picture of a benchmark: a bar a device, a group of bars a case, speeds on a scale of powers
//! of ten.

use super::canvas::{Align, Canvas, Pen};
use super::color::{GRID, INK, MUTED, endmember_color};
use super::text;
use crate::engine::ground::error::Result;

const WIDTH: f32 = 1100.0;
const MARGIN: f32 = 24.0;
/// Left edge of the bars, and where they end at the latest: names stand before, numbers behind.
const BARS: (f32, f32) = (400.0, 960.0);
const HEAD: f32 = 84.0;
const BAR: f32 = 22.0;
const GAP: f32 = 42.0;
const TITLE: f32 = 20.0;
const BODY: f32 = 15.0;

/// The bars of one case.
#[derive(Debug, Clone, PartialEq)]
pub struct BenchGroup {
    /// The line above its bars.
    pub title: String,
    /// A bar for each device that ran the case.
    pub bars: Vec<BenchBar>,
}

/// The bar of one device.
#[derive(Debug, Clone, PartialEq)]
pub struct BenchBar {
    /// Number of the device, from 0: it has one colour in all groups.
    pub device: usize,
    /// Its name.
    pub name: String,
    /// Its speed, above 0.
    pub speed: f64,
    /// The speed as a text, behind the bar.
    pub label: String,
}

/// Draws the groups below each other, a PNG. Speeds that are not finite or not above 0 are left
/// out.
///
/// # Errors
/// When there is not enough memory for the picture.
pub fn bench_png(title: &str, unit: &str, groups: &[BenchGroup]) -> Result<Vec<u8>> {
    let drawn = |bar: &&BenchBar| bar.speed.is_finite() && bar.speed > 0.0;
    let count: usize = groups.iter().map(|g| g.bars.iter().filter(drawn).count()).sum();
    let height = HEAD + groups.len() as f32 * GAP + count as f32 * BAR + 2.0 * MARGIN;
    let mut canvas = Canvas::new(WIDTH as usize, height as usize)?;
    let logs = groups.iter().flat_map(|g| g.bars.iter().filter(drawn)).map(|bar| bar.speed.log10());
    let (low, high) =
        logs.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(v), h.max(v)));
    // A whole power of ten below the slowest, so that it has a bar, too.
    let (low, high) = if low <= high { ((low - 0.3).floor(), high.ceil()) } else { (0.0, 1.0) };
    let span = (high - low).max(1.0);
    let place = |log: f64| BARS.0 + ((log - low) / span) as f32 * (BARS.1 - BARS.0);

    canvas.text(title, TITLE, (MARGIN, MARGIN + 4.0), Align::Start, INK);
    canvas.text(unit, BODY, (BARS.0, HEAD - 38.0), Align::Start, MUTED);
    let bottom = height - MARGIN;
    for power in 0..=span as i32 {
        let x = place(low + f64::from(power)).round() + 0.5;
        let pen = Pen { color: GRID, alpha: 1.0, width: 1.0, dashed: false };
        canvas.line(&[(x, HEAD - 6.0), (x, bottom)], pen);
        let label = format!("1e{}", low as i32 + power);
        canvas.text(&label, BODY, (x, HEAD - 18.0), Align::Middle, MUTED);
    }
    let mut top = HEAD;
    for group in groups {
        canvas.text(&group.title, BODY, (MARGIN, top + 0.6 * GAP), Align::Start, INK);
        top += GAP;
        for bar in group.bars.iter().filter(drawn) {
            let end = place(bar.speed.log10());
            let middle = top + 0.5 * BAR;
            let (left, width) = (BARS.0.round() as i32, (end - BARS.0).round() as i32);
            let color = endmember_color(bar.device);
            canvas.rectangle(left, top as i32 + 2, width, BAR as i32 - 4, color);
            let name = text::shorten(&bar.name, BODY, BARS.0 - 2.0 * MARGIN - 20.0);
            canvas.text(&name, BODY, (BARS.0 - 10.0, middle), Align::End, INK);
            canvas.text(&bar.label, BODY, (end + 8.0, middle), Align::Start, INK);
            top += BAR;
        }
    }
    canvas.png()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bar(speed: f64) -> BenchBar {
        BenchBar { device: 0, name: "a".into(), speed, label: String::new() }
    }

    /// Pixels of the first device's colour in a picture of one group.
    fn inked(speeds: &[f64]) -> usize {
        let bars = speeds.iter().map(|&speed| bar(speed)).collect();
        let png = bench_png("t", "u", &[BenchGroup { title: "g".into(), bars }]).unwrap();
        let image = image::load_from_memory(&png).unwrap().to_rgb8();
        image.pixels().filter(|pixel| pixel.0 == endmember_color(0)).count()
    }

    #[test]
    fn a_tenth_of_the_speed_is_one_power_less() {
        // 1e3 to 1e5 on a scale from 1e2 to 1e5: bars of 1, 2 and 3 thirds, 18 pixels high.
        let third = ((BARS.1 - BARS.0) / 3.0) as usize * 18;
        let all = inked(&[1e3, 1e4, 1e5]);
        // Roundings of edges: a column a bar.
        assert!(all.abs_diff(6 * third) <= 6 * 18, "{all} {third}");
    }

    #[test]
    fn nothing_to_draw_is_a_picture() {
        for speeds in [&[][..], &[f64::NAN, 0.0, -1.0, f64::INFINITY]] {
            assert_eq!(inked(speeds), 0);
        }
        assert!(bench_png("t", "u", &[]).is_ok());
        assert!(inked(&[f64::MAX]) > 0 && inked(&[f64::MIN_POSITIVE]) > 0);
    }
}
