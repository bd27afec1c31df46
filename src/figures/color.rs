//! Colours: the maps from values to colours and the hues that tell endmembers apart.

/// Red, green and blue, 0 to 255.
pub type Rgb = [u8; 3];

/// The colour of pixels without data, in every picture.
pub const NO_DATA: Rgb = [204, 204, 204];
/// Text and lines.
pub const INK: Rgb = [30, 30, 30];
/// Text that explains.
pub const MUTED: Rgb = [95, 95, 95];
/// Grid lines.
pub const GRID: Rgb = [228, 228, 228];

/// Paper.
pub const WHITE: Rgb = [255, 255, 255];

/// A map from a value to a colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colormap {
    /// Dark blue over green to yellow, for abundances.
    Viridis,
    /// Black over purple to pale yellow, for deviations and residuals.
    Magma,
    /// Blue over white to red, for differences around zero.
    Difference,
}

impl Colormap {
    /// The 256 colours from the low end to the high end.
    pub fn table(self) -> Vec<Rgb> {
        (0..256)
            .map(|i| {
                let color = match self {
                    Colormap::Viridis => colorous::VIRIDIS.eval_rational(i, 256),
                    Colormap::Magma => colorous::MAGMA.eval_rational(i, 256),
                    // Colorous runs from red to blue; here red means more than the truth.
                    Colormap::Difference => colorous::RED_BLUE.eval_rational(255 - i, 256),
                };
                color.into_array()
            })
            .collect()
    }

    /// Place of `value` in [`table`](Self::table) for a scale from `low` to `high`; values beyond
    /// the ends take the end's colour, NaN has none.
    pub fn index(value: f32, (low, high): (f32, f32)) -> Option<usize> {
        if value.is_nan() {
            return None;
        }
        let span = high - low;
        let place = if span > 0.0 { (value - low) / span } else { 0.0 };
        Some((place.clamp(0.0, 1.0) * 255.0).round() as usize)
    }
}

/// Hues from Paul Tol's colour-blind-safe schemes ("vibrant" first, then "bright" and "muted"),
/// dark enough for lines on white, none near the grey of missing data.
const HUES: [Rgb; 12] = [
    [0x00, 0x77, 0xBB],
    [0xEE, 0x77, 0x33],
    [0x00, 0x99, 0x88],
    [0xEE, 0x33, 0x77],
    [0xCC, 0xBB, 0x44],
    [0x33, 0xBB, 0xEE],
    [0x33, 0x22, 0x88],
    [0xCC, 0x33, 0x11],
    [0x99, 0x99, 0x33],
    [0xAA, 0x44, 0x99],
    [0x22, 0x88, 0x33],
    [0x88, 0x22, 0x55],
];

/// The colour of endmember `k`, from 0. Beyond twelve, hues go round by the golden angle with
/// changing lightness: still distinct, no longer safe for every eye.
pub fn endmember_color(k: usize) -> Rgb {
    if let Some(&color) = HUES.get(k) {
        return color;
    }
    let hue = (k as f32 * 137.508) % 360.0;
    let (saturation, value) = [(0.85, 0.80), (0.65, 0.55), (0.55, 0.95)][k % 3];
    let channel = |n: f32| {
        let place = (n + hue / 60.0) % 6.0;
        let fall = place.min(4.0 - place).clamp(0.0, 1.0);
        (255.0 * (value - value * saturation * fall)) as u8
    };
    [channel(5.0), channel(3.0), channel(1.0)]
}

/// Mixes `colors` by `weights` in linear light, as paint dots seen from afar would. `None` when a
/// weight is NaN or all are zero; negative weights count as zero.
pub fn mix(colors: &[[f32; 3]], weights: impl Iterator<Item = f32>) -> Option<Rgb> {
    let mut sum = [0.0f32; 3];
    let mut total = 0.0;
    for (color, weight) in colors.iter().zip(weights) {
        if !weight.is_finite() {
            return None;
        }
        let weight = weight.max(0.0);
        total += weight;
        for (s, c) in sum.iter_mut().zip(color) {
            *s += weight * c;
        }
    }
    (total > 0.0).then(|| sum.map(|s| encode_light(s / total)))
}

/// Linear light, 0 to 1 a channel, of an sRGB colour.
pub fn linear_light(color: Rgb) -> [f32; 3] {
    color.map(|c| {
        let c = f32::from(c) / 255.0;
        if c <= 0.04045 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) }
    })
}

fn encode_light(light: f32) -> u8 {
    let light = light.clamp(0.0, 1.0);
    let c =
        if light <= 0.003_130_8 { light * 12.92 } else { 1.055 * light.powf(1.0 / 2.4) - 0.055 };
    (c * 255.0).round() as u8
}
