//! How stored values become reflectance, as a rule that can be told in a sentence.

use super::Scaling;

/// Reflectance above this is not expected from more than a stray value; bright snow and sun glint
/// stay below.
pub(crate) const HIGHEST: f64 = 1.5;

/// Reflectance below this is no noise but a stray code for no data.
pub(crate) const LOWEST: f64 = -0.5;

/// What is stated about the scale, the stronger first.
pub(crate) enum Stated {
    /// The user said `--scale`: stored values divided by it are reflectance.
    ByUser(f64),
    /// The file states gain and offset under this key.
    ByFile { gain: f64, offset: f64, key: String },
    /// Nothing is stated.
    No,
}

/// Chooses gain and offset.
///
/// `peak` is the highest stored value that is no outlier. With nothing stated, the usual factor
/// `F` is taken for which `0.15 F < peak <= 1.5 F`: 1, 100 (per cent), 1000 or 10000; whole numbers
/// above 15000 are taken as 16-bit full scale, and anything else is divided by its peak. A factor of
/// 5000 cannot be told from 10000 by the values, so it is never guessed.
pub(crate) fn choose(stated: Stated, peak: f64, integer: bool) -> Scaling {
    let divide = |by: f64, rule: String| Scaling { gain: 1.0 / by, offset: 0.0, rule };
    match stated {
        Stated::ByUser(by) => {
            divide(by, format!("Stored values were divided by {by}, as --scale asks."))
        }
        Stated::ByFile { gain, offset, key } => Scaling {
            gain,
            offset,
            rule: format!("Stored values were scaled by the file's `{key}`."),
        },
        Stated::No if peak <= HIGHEST => {
            divide(1.0, format!("Stored values were taken as reflectance: they reach {peak:.4}."))
        }
        Stated::No => {
            let usual = [100.0, 1e3, 1e4]
                .into_iter()
                .find(|f| peak > 0.1 * HIGHEST * f && peak <= HIGHEST * f);
            match usual {
                Some(by) => {
                    let doubt =
                        if by == 1e4 { " (if the factor is 5000, say --scale 5000)" } else { "" };
                    divide(
                        by,
                        format!(
                            "Stored values reach {peak:.4}, so they were taken as reflectance \
                             times {by} and divided by it{doubt}."
                        ),
                    )
                }
                None if integer && peak > 1e4 && peak <= 65535.0 => divide(
                    65535.0,
                    format!(
                        "Stored values are whole numbers that reach {peak:.0}, so they were taken \
                         as 16-bit full scale and divided by 65535."
                    ),
                ),
                None => divide(
                    peak,
                    format!(
                        "Stored values reach {peak:.4}, which fits no usual scale of reflectance, \
                         so they were divided by it; --scale says otherwise."
                    ),
                ),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usual_factors() {
        for (peak, integer, by) in [
            (0.8, false, 1.0),
            (1.5, false, 1.0),
            (1.0, true, 1.0),
            (8.0, false, 8.0),
            (80.0, false, 100.0),
            (900.0, true, 1e3),
            (4000.0, false, 1e4),
            (12000.0, true, 1e4),
            (40000.0, true, 65535.0),
            (40000.0, false, 40000.0),
            (1e6, true, 1e6),
        ] {
            // Gains are single divisions of representable numbers: equal to the last bit.
            assert_eq!(choose(Stated::No, peak, integer).gain, 1.0 / by, "peak {peak}");
        }
    }

    #[test]
    fn the_user_wins() {
        assert_eq!(choose(Stated::ByUser(5000.0), 0.5, false).gain, 1.0 / 5000.0);
    }
}
