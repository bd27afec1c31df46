//! Round numbers for axes and colour bars.

/// The round step (1, 2 or 5 times a power of ten) that cuts `span` into about `count` parts; 1
/// where `span` is not a positive number.
pub fn step(span: f64, count: usize) -> f64 {
    let raw = span / count.max(1) as f64;
    if !(raw.is_finite() && raw > f64::MIN_POSITIVE) {
        return 1.0;
    }
    let power = 10f64.powf(raw.log10().floor());
    let rounded = [1.0, 2.0, 5.0].into_iter().find(|&m| raw <= m * power * (1.0 + 1e-9));
    rounded.unwrap_or(10.0) * power
}

/// Round numbers within `low ..= high`, about `count` of them, with their labels.
pub fn ticks(low: f64, high: f64, count: usize) -> Vec<(f64, String)> {
    let step = step(high - low, count);
    if !(low.is_finite() && high.is_finite() && high > low && step > 0.0) {
        return Vec::new();
    }
    let slack = 1e-6 * step;
    let first = ((low - slack) / step).ceil();
    (0..4 * count.max(1))
        .map(|i| (first + i as f64) * step)
        .take_while(|&tick| tick <= high + slack)
        .map(|tick| (tick, label(tick, step)))
        .collect()
}

/// Ticks from `-end` to `end` with both ends and 0 among them, for an `end` that is round.
pub fn symmetric(end: f64, count: usize) -> Vec<(f64, String)> {
    if !(end.is_finite() && end > 0.0) {
        return Vec::new();
    }
    let parts = if count < 4 { 1 } else { 2 };
    let step = end / f64::from(parts);
    let digits = precision(step);
    (-parts..=parts)
        .map(|i| {
            let value = f64::from(i) * step;
            (value, label(value, digits))
        })
        .collect()
}

/// The power of ten that shows `value` to four significant digits at most, without zeros at the
/// end: 0.001 for 0.125.
pub fn precision(value: f64) -> f64 {
    if !(value.is_finite() && value > 0.0) {
        return 1.0;
    }
    let order = value.log10().floor() as i32;
    let shown = |power: i32| {
        let multiple = value / 10f64.powi(power);
        (multiple - multiple.round()).abs() < 1e-4 * multiple
    };
    let power = (0..4).map(|i| order - i).find(|&power| shown(power));
    10f64.powi(power.unwrap_or(order - 3))
}

/// The number with as many digits as `step` needs.
pub fn label(value: f64, step: f64) -> String {
    let value = if value.abs() < 1e-9 * step { 0.0 } else { value };
    let decimals = (-step.abs().log10() - 1e-9).ceil().max(0.0) as usize;
    if value == 0.0 {
        return "0".to_owned();
    }
    let text = if decimals > 5 || value.abs() >= 1e7 {
        let digits = (value.abs().log10().floor() - step.log10().floor()).clamp(0.0, 6.0);
        format!("{value:.*e}", digits as usize)
    } else {
        format!("{value:.decimals$}")
    };
    text.replace('-', "−")
}

/// The smallest round number not below `value`, fit to end a scale that starts at 0; 1 where
/// `value` is not a positive number.
pub fn round_up(value: f64) -> f64 {
    if !(value.is_finite() && value > 1e-30) {
        return 1.0;
    }
    let step = step(value, 5);
    (value / step - 1e-9).ceil() * step
}

/// The value below which the share `share` (0 to 1) of the finite `values` lies, and the largest;
/// `None` without a finite value.
pub fn quantile_and_max(values: impl Iterator<Item = f32>, share: f64) -> Option<(f32, f32)> {
    let mut finite: Vec<f32> = values.filter(|v| v.is_finite()).collect();
    let last = finite.len().checked_sub(1)?;
    let place = (share.clamp(0.0, 1.0) * last as f64).ceil() as usize;
    let (_, &mut quantile, above) = finite.select_nth_unstable_by(place, f32::total_cmp);
    let max = above.iter().copied().fold(quantile, f32::max);
    Some((quantile, max))
}
