//! How stored values become reflectance, as a rule that can be told in a sentence.

use super::Scaling;

/// Reflectance above this is not expected from more than a stray value; bright snow and sun glint
/// stay below.
pub(crate) const HIGHEST: f64 = 1.5;

/// Reflectance below this is no noise but a stray code for no data.
pub(crate) const LOWEST: f64 = -0.5;

/// A stated scale that brings the peak of a scene outside of this range contradicts the values:
/// deep water stays above it, and snow below.
const PLAUSIBLE: std::ops::RangeInclusive<f64> = 0.01..=5.0;

/// Peaks from here to [`HIGHEST`] are reflectance as it stands. Below, values are in a smaller
/// unit: the brightest pixels of a scene, even of water, reflect more than this in their brightest
/// bands.
const LOWEST_PEAK: f64 = 0.015;

/// Scenes whose brightest pixels are darker than this are water, or reflectance in a smaller unit.
const DARK: f64 = 0.1;

/// What is stated about the scale, the stronger first.
pub(crate) enum Stated {
    /// The user said so: stored values divided by it are reflectance.
    ByUser(f64),
    /// The file states gain and offset under this key; the peak was measured after them.
    ByFile { gain: f64, offset: f64, key: String },
    /// Nothing is stated.
    No,
}

/// The brightness of a scene, as scales are judged by it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Peak {
    /// The value that the brightest pixels reach, see [`peak`]; after gain and offset where a file
    /// states them.
    pub(crate) value: f64,
    /// The largest number that the stored type holds, for types of whole numbers whose range is
    /// known, and infinity for others of whole numbers.
    pub(crate) whole_up_to: Option<f64>,
}

/// The value that the brightest pixels reach, from how bright each sampled pixel is (any order; the
/// ninth decile of its bands, so that single stray values do not count).
///
/// It is the value that one pixel in a thousand exceeds. Where that is more than ten times what one
/// in ten exceeds, it counts only if it fits a usual scale on which the rest is still as bright as
/// water (clouds over a lake); else those pixels are strays, and the brightest of the rest counts.
/// `None` when no pixel is above zero.
pub(crate) fn peak(brightness: &mut [f32]) -> Option<f64> {
    brightness.sort_unstable_by(f32::total_cmp);
    let at = |share: f64| {
        let last = brightness.len().checked_sub(1)?;
        brightness.get((share * last as f64).round() as usize).map(|v| f64::from(*v))
    };
    let (all, bulk) = (at(0.999)?, at(0.9)?);
    if all <= 0.0 {
        return None;
    }
    if bulk <= 0.0 || all <= 10.0 * bulk {
        return Some(all);
    }
    let usual = [1.0, 100.0, 1e3, 1e4]
        .iter()
        .any(|f| all > 0.1 * HIGHEST * f && all <= HIGHEST * f && bulk / f >= *PLAUSIBLE.start());
    if usual {
        return Some(all);
    }
    let rest = brightness.partition_point(|v| f64::from(*v) <= 10.0 * bulk);
    rest.checked_sub(1).and_then(|last| brightness.get(last)).map(|v| f64::from(*v))
}

/// Chooses gain and offset by [`Stated`], held against the values: [`guess`] has the rule for
/// values about which nothing is stated.
///
/// A stated scale stands where the peak after it lies between 0.01 and 5. Else its inverse is taken
/// where that fits (some writers state a factor to multiply by, others one to divide by), and else
/// a power of ten on top of it.
pub(crate) fn choose(stated: Stated, peak: Peak) -> Scaling {
    match stated {
        Stated::ByUser(by) => Scaling {
            gain: 1.0 / by,
            offset: 0.0,
            rule: format!("Stored values were divided by {by}, as asked."),
        },
        Stated::ByFile { gain, offset, key } if PLAUSIBLE.contains(&peak.value) => Scaling {
            gain,
            offset,
            rule: format!("Stored values were scaled by the file's `{key}`."),
        },
        Stated::ByFile { gain, offset, key } => {
            let inverse = 1.0 / gain;
            let contradiction = format!(
                "The file's `{key}` contradicts the values, which would reach a reflectance of {}",
                short(peak.value)
            );
            if offset == 0.0 && PLAUSIBLE.contains(&(peak.value / gain * inverse)) {
                return Scaling {
                    gain: inverse,
                    offset,
                    rule: format!(
                        "{contradiction}; its inverse fits, so it was applied the other way round."
                    ),
                };
            }
            let (by, _) = guess(Peak { value: peak.value, whole_up_to: None });
            Scaling {
                gain: gain / by,
                offset: offset / by,
                rule: format!(
                    "{contradiction}; so they were divided by {} after it (state the scale to say \
                     otherwise).",
                    short(by)
                ),
            }
        }
        Stated::No => {
            let (by, rule) = guess(peak);
            Scaling { gain: 1.0 / by, offset: 0.0, rule }
        }
    }
}

/// The number by which values that reach `peak` are divided, and the sentence that says so.
///
/// Values that reach 0.015 to 1.5 are reflectance. Whole numbers that reach more than 15000, and
/// bytes that reach more than 150, are counts up to the full scale of their type. All others are
/// reflectance, or a radiance, times a power of ten: the one that brings the peak between 0.15 and
/// 1.5. A factor of 5000 cannot be told from 10000 by the values, so it is never guessed.
fn guess(peak: Peak) -> (f64, String) {
    let Peak { value, whole_up_to } = peak;
    let reach = format!("Stored values reach {}", short(value));
    if value > LOWEST_PEAK && value <= HIGHEST {
        let doubt = if value < DARK {
            ", which is dark; state a scale of 0.1 if they are reflectance divided by ten"
        } else {
            ""
        };
        let rule =
            format!("Stored values were taken as reflectance: they reach {value:.4}{doubt}.");
        return (1.0, rule);
    }
    if let Some(top) = whole_up_to {
        let full = match top {
            t if t <= 255.0 && value > 150.0 => Some((255.0, "8")),
            t if t > 255.0 && t <= 32767.0 && value > 1.5e4 => Some((32767.0, "15")),
            t if t > 255.0 && value > 1.5e4 && value <= 65535.0 => Some((65535.0, "16")),
            _ => None,
        };
        if let Some((full, bits)) = full {
            return (
                full,
                format!(
                    "Stored values are whole numbers that reach {value:.0}, so they were taken as \
                     {bits}-bit full scale and divided by {full}."
                ),
            );
        }
    }
    // 1.5 itself belongs to the smaller power.
    let power = (value / HIGHEST).log10().ceil() as i32;
    let by = 10f64.powi(power);
    let doubt = if power == 4 { " (if the factor is 5000, state a scale of 5000)" } else { "" };
    let rule = match power {
        2..=4 => format!(
            "{reach}, so they were taken as reflectance times {by} and divided by it{doubt}."
        ),
        _ => format!(
            "{reach}, which fits no usual scale of reflectance, so they were divided by {}; state \
             the scale to say otherwise.",
            short(by)
        ),
    };
    (by, rule)
}

/// A number with about four digits, whatever its size.
fn short(value: f64) -> String {
    let size = value.abs();
    if size == 0.0 || (1e-3..1e6).contains(&size) {
        let text = format!("{value:.4}");
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        format!("{value:.3e}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn no(value: f64, whole_up_to: Option<f64>) -> f64 {
        choose(Stated::No, Peak { value, whole_up_to }).gain
    }

    #[test]
    fn usual_factors() {
        let (i16, u16) = (Some(32767.0), Some(65535.0));
        for (peak, whole, by) in [
            (0.8, None, 1.0),
            (0.05, None, 1.0),
            (1.5, None, 1.0),
            (1.0, u16, 1.0),
            (8.0, None, 10.0),
            (80.0, None, 100.0),
            (900.0, u16, 1e3),
            (4000.0, None, 1e4),
            (12000.0, i16, 1e4),
            (24000.0, i16, 32767.0),
            (40000.0, u16, 65535.0),
            (40000.0, None, 1e5),
            (1e6, Some(f64::INFINITY), 1e6),
            (90.0, Some(255.0), 100.0),
            (240.0, Some(255.0), 255.0),
        ] {
            // Gains are single divisions of representable numbers: equal to the last bit.
            assert_eq!(no(peak, whole), 1.0 / by, "peak {peak} {whole:?}");
        }
        // Small units: the power of ten is not exactly representable, hence the last bits.
        for (peak, by) in [(7e-5, 1e-4), (0.012, 1e-2), (3e-9, 1e-8), (0.0016, 1e-2)] {
            assert!((no(peak, None) * by - 1.0).abs() < 1e-12, "peak {peak}");
        }
    }

    #[test]
    fn a_statement_is_held_against_the_values() {
        let by = |gain: f64, value: f64| {
            let stated = Stated::ByFile { gain, offset: 0.0, key: "k".into() };
            choose(stated, Peak { value: value * gain, whole_up_to: None })
        };
        for (gain, value, used) in [
            (1e-4, 5000.0, 1e-4),
            // Dark water is no contradiction.
            (1e-4, 300.0, 1e-4),
            // Already divided.
            (1e-4, 0.5, 1.0),
            // Stated the other way round.
            (1e4, 5000.0, 1e-4),
            (1.0, 5000.0, 1e-4),
        ] {
            let scaling = by(gain, value);
            assert!((scaling.gain / used - 1.0).abs() < 1e-12, "{gain} {value}: {scaling:?}");
            assert_eq!(scaling.rule.contains("contradicts"), gain != used, "{}", scaling.rule);
        }
        let user = choose(Stated::ByUser(5000.0), Peak { value: 0.5, whole_up_to: None });
        assert_eq!(user.gain, 1.0 / 5000.0);
    }

    #[test]
    fn strays_do_not_set_the_peak_and_clouds_do() {
        let scene = |odd: &[f32], rest: f32| {
            let mut all: Vec<f32> = (0..200).map(|i| rest * (0.5 + i as f32 / 400.0)).collect();
            all.extend(odd);
            peak(&mut all).unwrap()
        };
        assert!((scene(&[], 0.4) - 0.4).abs() < 0.01);
        assert!((scene(&[50.0, 900.0], 0.4) - 0.4).abs() < 0.01);
        // Clouds at 0.8 over water of 0.03, times 10000.
        assert_eq!(scene(&[8000.0, 8000.0], 300.0), 8000.0);
        assert_eq!(peak(&mut []), None);
        assert_eq!(peak(&mut [-1.0, 0.0]), None);
    }
}
