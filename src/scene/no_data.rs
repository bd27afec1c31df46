//! Which stored values stand for no data.
//!
//! A pixel without data holds one code in all of its bands. Codes that the user or the file states
//! are taken as they say; -9999 and -32768 count once they fill a pixel; and any other number that
//! fills a pixel is a code when it lies outside of what the other pixels hold.

use std::collections::HashMap;

/// Values that stand for no data where a file does not say so, once a pixel holds one in all bands.
pub(super) const SENTINELS: [f32; 2] = [-9999.0, -32768.0];
/// No reflectance, radiance or count has this magnitude: FLT_MAX, NetCDF's 9.97e36, -1.23e34 of
/// USGS.
const NO_MEASUREMENT: f32 = 1e30;
/// Spectra of fewer bands hold one value in all of them by chance.
const FEWEST_BANDS: usize = 4;
/// How far above the brightest of the other pixels a code lies.
const ABOVE: f64 = 1.5;
/// Different constant spectra that are kept apart; a scene with more has no code among them.
const MOST_CODES: usize = 64;

/// What the caller says about values that stand for no data.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum NoData {
    /// What the file states, and what the values say.
    #[default]
    Found,
    /// These values and no others, whatever the file states. NaN and infinity are never data.
    Values(Vec<f64>),
}

/// Values that stand for no data.
#[derive(Debug, Clone, Default)]
pub(super) struct Voids {
    /// A code, and how far from it a value may lie that means it.
    codes: Vec<(f32, f32)>,
    /// True when the user stated all codes.
    only: bool,
}

impl Voids {
    /// The codes that are stated, before any value is read.
    pub(super) fn stated(no_data: &NoData, by_file: Option<f64>) -> Self {
        let (stated, only) = match no_data {
            NoData::Found => (by_file.into_iter().collect(), false),
            NoData::Values(values) => (values.clone(), true),
        };
        Voids { codes: stated.into_iter().map(|v| (v as f32, tolerance(v))).collect(), only }
    }

    pub(super) fn add(&mut self, code: f32) {
        self.codes.push((code, 0.0));
    }

    /// True when values other than the stated ones may be codes.
    pub(super) fn open(&self) -> bool {
        !self.only
    }

    /// How many of some values stand for no data: whole vectors of values at a time.
    #[inline(always)]
    pub(super) fn count(&self, values: &[f32]) -> u32 {
        // NaN is not below anything. A spectrum has at most 2^16 bands.
        let mut measured = 0;
        for v in values {
            measured += u32::from(v.abs() < NO_MEASUREMENT);
        }
        let mut count = values.len() as u32 - measured;
        for &(code, by) in &self.codes {
            for &v in values {
                count += u32::from(((v - code).abs() <= by) | (v == code));
            }
        }
        count
    }

    pub(super) fn contain(&self, value: f32) -> bool {
        !value.is_finite()
            || value.abs() >= NO_MEASUREMENT
            || self.codes.iter().any(|(code, by)| (value - code).abs() <= *by || value == *code)
    }
}

/// Headers round large codes to the digits that they print (`3.40282e+38`): what differs by less
/// than that is the same.
fn tolerance(code: f64) -> f32 {
    if code.abs() >= 1e6 { (code.abs() * 1e-5) as f32 } else { 0.0 }
}

/// Pixels that hold one number in all of their bands, by the number.
#[derive(Debug, Default)]
pub(super) struct Constants {
    counts: HashMap<u32, usize>,
}

/// What became of the constant spectra.
#[derive(Debug, Default)]
pub(super) struct Sorted {
    /// Codes for no data and how many pixels each fills.
    pub(super) codes: Vec<(f32, usize)>,
    /// Numbers that are values like any other.
    pub(super) values: Vec<(f32, usize)>,
    /// One sentence a decision.
    pub(super) notes: Vec<String>,
}

impl Constants {
    /// The one number that a spectrum holds where it holds any (zero and what stands for no data
    /// apart), in at least four bands and half of them.
    pub(super) fn of(spectrum: impl Iterator<Item = f32>, voids: &Voids) -> Option<f32> {
        let (mut one, mut count, mut all) = (0.0, 0, 0);
        for value in spectrum {
            all += 1;
            if value == 0.0 || voids.contain(value) {
                continue;
            }
            if count > 0 && value != one {
                return None;
            }
            one = value;
            count += 1;
        }
        (count >= FEWEST_BANDS && 2 * count >= all).then_some(one)
    }

    /// Counts a pixel; false when there are too many different numbers to keep apart.
    pub(super) fn add(&mut self, value: f32) -> bool {
        let key = value.to_bits();
        if self.counts.len() >= MOST_CODES && !self.counts.contains_key(&key) {
            return false;
        }
        *self.counts.entry(key).or_default() += 1;
        true
    }

    /// Tells codes from values, given the range of the other pixels: from the value that the
    /// darkest reach to the value that the brightest reach. `None` when there are no others.
    pub(super) fn sort(self, others: Option<(f64, f64)>, largest: Option<f64>) -> Sorted {
        let mut found: Vec<(f32, usize)> =
            self.counts.into_iter().map(|(bits, n)| (f32::from_bits(bits), n)).collect();
        found.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut sorted = Sorted::default();
        for (value, count) in found {
            let v = f64::from(value);
            let (low, high) = others.unwrap_or((f64::NEG_INFINITY, f64::INFINITY));
            let full = largest.is_some_and(|top| top > 200.0 && v == top) && v >= high;
            let pixels =
                if count == 1 { "1 pixel holds".into() } else { format!("{count} pixels hold") };
            if SENTINELS.contains(&value) || v > ABOVE * high || (v < 0.0 && v < low) || full {
                sorted.notes.push(format!(
                    "{pixels} {value} in all bands, outside of what the others hold: taken as no \
                     data."
                ));
                sorted.codes.push((value, count));
            } else {
                if v > high || v < low {
                    sorted.notes.push(format!(
                        "{pixels} {value} in all bands, at the edge of what the others hold; they \
                         were kept. If that stands for no data, state it as the no-data value."
                    ));
                }
                sorted.values.push((value, count));
            }
        }
        sorted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_known_by_the_digits_of_the_header() {
        let voids = Voids::stated(&NoData::Found, Some(3.40282e38));
        assert!(voids.contain(f32::MAX));
        let voids = Voids::stated(&NoData::Found, Some(1e20));
        assert!(voids.contain(1e20) && !voids.contain(9e19));
        let voids = Voids::stated(&NoData::Found, Some(-1.0));
        assert!(voids.contain(-1.0) && !voids.contain(-0.999));
        let only = Voids::stated(&NoData::Values(vec![7.0]), Some(-1.0));
        assert!(only.contain(7.0) && !only.contain(-1.0) && only.contain(f32::NAN));
        assert!(!only.open());
    }

    #[test]
    fn codes_lie_outside_and_values_inside() {
        let sorted = |values: &[f32], largest| {
            let mut constants = Constants::default();
            values.iter().for_each(|v| assert!(constants.add(*v)));
            constants.sort(Some((0.05, 0.8)), largest)
        };
        let codes = |s: &Sorted| s.codes.iter().map(|c| c.0).collect::<Vec<_>>();
        let s = sorted(&[9999.0, -1.0, 0.5, 0.5, 1e20, -9999.0, 0.9], None);
        assert_eq!(codes(&s), [-9999.0, -1.0, 9999.0, 1e20]);
        assert_eq!(s.values, [(0.5, 2), (0.9, 1)]);
        assert_eq!(s.notes.len(), 5, "{:?}", s.notes);
        // A type's end is a code, or saturated: of no use either way.
        assert_eq!(codes(&sorted(&[255.0], Some(255.0))), [255.0]);
        let voids = Voids::default();
        let of = |s: &[f32]| Constants::of(s.iter().copied(), &voids);
        assert_eq!(of(&[7.0; 4]), Some(7.0));
        assert_eq!(of(&[7.0, 0.0, 7.0, 7.0, f32::NAN, 7.0]), Some(7.0));
        assert_eq!(of(&[7.0, 7.0, 7.0]), None);
        assert_eq!(of(&[7.0, 7.0, 7.0, 7.1]), None);
        assert_eq!(of(&[0.0; 9]), None);
    }
}
