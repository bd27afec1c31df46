//! Bands in which water vapour leaves nothing to see, where a file does not flag them.

use crate::engine::ground::math::median;

/// Windows in which the atmosphere's water vapour absorbs, nanometres.
const WINDOWS: [(f64, f64); 2] = [(1310.0, 1490.0), (1770.0, 2050.0)];
/// A band is noise when it departs from the line between its neighbours by more than this share of
/// its level, and by as many times what bands outside of the windows do.
const NOISE_SHARE: f64 = 0.1;
const NOISE_TIMES: f64 = 5.0;
/// A band is dark when its level is below this share of the usual level outside.
const DARK_SHARE: f64 = 0.02;

/// How far bands depart from the line between their neighbours, over sampled pixels.
#[derive(Debug)]
pub(super) struct Roughness {
    /// For each band: sums of the departure and of the magnitude.
    sums: Vec<(f64, f64)>,
}

impl Roughness {
    pub(super) fn new(bands: usize) -> Self {
        Roughness { sums: vec![(0.0, 0.0); bands] }
    }

    /// Takes in a spectrum of all bands; values for which `valid` is false do not count.
    pub(super) fn add(&mut self, spectrum: &[f32], valid: impl Fn(f32) -> bool) {
        let inner = self.sums.iter_mut().skip(1);
        for (sum, three) in inner.zip(spectrum.windows(3)) {
            let &[a, b, c] = three else { continue };
            if valid(a) && valid(b) && valid(c) {
                sum.0 += f64::from((b - 0.5 * (a + c)).abs());
                sum.1 += f64::from(b.abs());
            }
        }
    }

    /// Adds what other spectra have.
    pub(super) fn merge(&mut self, other: &Self) {
        for (to, more) in self.sums.iter_mut().zip(&other.sums) {
            *to = (to.0 + more.0, to.1 + more.1);
        }
    }

    /// The bands to leave out, true where so: in each of the two windows all from the first to the
    /// last that is noise or dark. `good` are the bands that count, `nm` their wavelengths.
    pub(super) fn blind(&self, nm: &[f64], good: &[bool]) -> Vec<bool> {
        let mut blind = vec![false; nm.len()];
        let within = |b: usize, (low, high): (f64, f64)| (low..=high).contains(&nm[b]);
        let outside: Vec<usize> = (0..nm.len().min(self.sums.len()))
            .filter(|&b| good[b] && self.sums[b].1 > 0.0)
            .filter(|&b| !WINDOWS.iter().any(|w| within(b, *w)))
            .collect();
        let share = |b: usize| self.sums[b].0 / self.sums[b].1;
        let (Some(usual), Some(level)) = (
            median(outside.iter().map(|&b| share(b)).collect()),
            median(outside.iter().map(|&b| self.sums[b].1).collect()),
        ) else {
            return blind;
        };
        for window in WINDOWS {
            let bad: Vec<usize> = (1..nm.len().saturating_sub(1))
                .filter(|&b| good[b] && within(b, window))
                .filter(|&b| {
                    self.sums[b].1 < DARK_SHARE * level
                        || share(b) > NOISE_SHARE && share(b) > NOISE_TIMES * usual
                })
                .collect();
            let ends = bad.iter().copied().min().zip(bad.iter().copied().max());
            if let Some((first, last)) = ends {
                blind[first..=last].iter_mut().for_each(|b| *b = true);
            }
        }
        // Wavelengths that do not ascend (two spectrometers that overlap) may lie between.
        for (b, blind) in blind.iter_mut().enumerate() {
            *blind &= WINDOWS.iter().any(|w| within(b, *w));
        }
        blind
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blind(value: impl Fn(usize, f64, usize) -> f64) -> Vec<f64> {
        let nm: Vec<f64> = (0..211).map(|b| 400.0 + 10.0 * b as f64).collect();
        let mut roughness = Roughness::new(nm.len());
        for pixel in 0..50 {
            let spectrum: Vec<f32> =
                nm.iter().enumerate().map(|(b, w)| value(pixel, *w, b) as f32).collect();
            roughness.add(&spectrum, |v| v.is_finite());
        }
        let good = vec![true; nm.len()];
        let out = roughness.blind(&nm, &good);
        nm.into_iter().zip(out).filter(|(_, out)| *out).map(|(w, _)| w).collect()
    }

    #[test]
    fn noisy_and_dark_windows_are_seen_and_clean_ones_stay() {
        let smooth = |w: f64| 0.3 + 0.1 * (w / 300.0).sin();
        let noise = |p: usize, b: usize| ((p * 7919 + b * 104_729) % 1000) as f64 / 1000.0 - 0.5;
        assert!(blind(|p, w, b| smooth(w) + 0.01 * noise(p, b)).is_empty());
        let wet = |w: f64| (1350.0..=1440.0).contains(&w) || (1800.0..=1950.0).contains(&w);
        let noisy = blind(|p, w, b| if wet(w) { 0.4 * noise(p, b) } else { smooth(w) });
        assert!(noisy.contains(&1400.0) && noisy.contains(&1900.0), "{noisy:?}");
        assert!(!noisy.contains(&1600.0) && !noisy.contains(&1310.0), "{noisy:?}");
        let dark = blind(|_, w, _| if wet(w) { 1e-4 } else { smooth(w) });
        assert!(dark.contains(&1400.0) && dark.contains(&1900.0), "{dark:?}");
        // Noise elsewhere is none of this rule's business.
        assert!(blind(|p, w, b| smooth(w) + if w > 2400.0 { noise(p, b) } else { 0.0 }).is_empty());
    }
}
