//! The mixture that many pixels share, equation 34: what it adds to the prior of a pixel's amounts,
//! where it lies given other spectra, and which pixels it explains.
//!
//! What is sure of it is its spectrum, which hundreds of pixels have. Its abundances follow from
//! spectra, and err with them: held where the guide has them, they would hold the spectra, too, and
//! all pixels of the mixture would be surer than it is.

use rayon::prelude::*;

use super::group::Group;
use super::group_at;
use super::known::Known;
use crate::engine::ground::lanes::LANES;
use crate::engine::ground::math::{chi_squared, ln_dirichlet, softmax};
use crate::engine::guide::Guide;
use crate::engine::layout::COMMON;
use crate::engine::pixels::{Cube, Pixels};

/// The least abundance in the mixture: its Dirichlet has no parameter that is zero.
const LEAST: f64 = 1e-4;
/// Of the pixels of the mixture 99 in 100 are no farther from it than noise, by this quantile of
/// the normal.
const WITHIN: f64 = 2.326;
/// The fewest pixels for each endmember that spectra are learned from without those of the mixture.
const FEWEST: usize = 10;

/// The mixture as a guide has it.
#[derive(Debug, Clone)]
pub(super) struct Mixture {
    /// Its spectrum, reflectance, which its abundances follow: a cube of one pixel.
    spectrum: Cube,
    /// Its abundances at the guide's spectra, (K).
    shares: Vec<f64>,
    /// β, the total of the parameters of its Dirichlet.
    concentration: f64,
    /// Log odds that a pixel has it.
    log_odds: f64,
    /// Parameters of the Dirichlet of the other pixels, (K).
    others: Vec<f64>,
}

/// What a common mixture adds to the prior of the amounts of pixels.
#[derive(Debug, Clone)]
pub(super) struct Shift {
    /// Parameters of its Dirichlet beyond those of the other pixels', (K).
    pub(super) more: Vec<f32>,
    /// Log odds of having it, apart from the abundances.
    pub(super) log_odds: f32,
}

impl Mixture {
    /// That of a guide; none without one. `others` are the parameters of the Dirichlet of the
    /// pixels that do not have it, (K).
    pub(super) fn of(guide: &Guide, others: &[f64]) -> Option<Self> {
        let p = &guide.params;
        let k = p.k();
        let at = |j: usize| f64::from(guide.globals[p.common_at() + j]);
        p.has(COMMON).then(|| {
            let mut shares: Vec<f64> = (0..k - 1).map(at).collect();
            shares.push(0.0);
            softmax(&mut shares);
            let spectra = guide.medians();
            let mix = |l: usize| (0..k).map(|i| shares[i] * spectra[[i, l]]).sum::<f64>();
            Mixture {
                spectrum: cube_of((0..p.bands as usize).map(mix)),
                shares,
                concentration: at(k - 1).exp(),
                log_odds: at(k),
                others: others.to_vec(),
            }
        })
    }

    /// This, with the mean spectrum of pixels that have it, reflectance, (L).
    pub(super) fn seen_as(&mut self, spectrum: &[f64]) {
        self.spectrum = cube_of(spectrum.iter().copied());
    }

    /// What it adds at the guide's spectra.
    pub(super) fn shift(&self) -> Shift {
        self.shift_at(&self.shares)
    }

    fn shift_at(&self, shares: &[f64]) -> Shift {
        let own: Vec<f64> = shares.iter().map(|share| self.concentration * share).collect();
        let log_odds = ln_dirichlet(&own) - ln_dirichlet(&self.others) + self.log_odds;
        let more = own.iter().zip(&self.others).map(|(b, a)| (b - a) as f32).collect();
        Shift { more, log_odds: log_odds as f32 }
    }

    /// What it adds at other spectra, (L, K), which its abundances follow: they are those with
    /// which these spectra come closest to its own. `group` is room for a pixel.
    pub(super) fn shift_given(&self, spectra: &[f32], group: &mut Group) -> Shift {
        self.shift_at(&self.shares_given(spectra, group))
    }

    fn shares_given(&self, spectra: &[f32], group: &mut Group) -> Vec<f64> {
        // The shifts of points do not matter where nothing is drawn.
        group.take(&self.spectrum, &[0], [0, 0], spectra);
        let amounts = group.around.iter().step_by(LANES).map(|&u| f64::from(u));
        let total: f64 = amounts.clone().sum();
        if !(total.is_finite() && total > 0.0) {
            return self.shares.clone();
        }
        let shares: Vec<f64> = amounts.map(|u| (u / total).max(LEAST)).collect();
        let total: f64 = shares.iter().sum();
        shares.iter().map(|share| share / total).collect()
    }
}

/// A cube of one pixel.
fn cube_of(spectrum: impl ExactSizeIterator<Item = f64>) -> Cube {
    let mut cube = Cube::zeros(1, spectrum.len());
    cube.spectrum_mut(0).iter_mut().zip(spectrum).for_each(|(to, y)| *to = y as f32);
    cube
}

/// Pixels in two parts.
pub(super) struct Parted {
    /// Those that do not have the common mixture, and so tell spectra apart.
    pub(super) others: Pixels,
    /// Mean spectrum of those that have it, reflectance, (L); none where there are none.
    pub(super) mixture: Option<Vec<f64>>,
}

/// Parts pixels by whether they have the common mixture, whatever their brightness: whether other
/// amounts explain them better by no more than noise. Without a common mixture, or where next to
/// nothing is left beside it, all are others. `spectra` are (K, L).
pub(super) fn part(known: &Known, of: &Pixels, spectra: &[f64]) -> Parted {
    let whole = Parted { others: of.clone(), mixture: None };
    let Some(mixture) = &known.mixture else { return whole };
    let by_bands = known.by_bands(spectra);
    let shares = mixture.shares_given(&by_bands, &mut Group::new(known));
    let most = chi_squared(known.k.saturating_sub(1).max(1), WITHIN);
    let (cube, count) = (of.cube(), of.count());
    let firsts: Vec<usize> = (0..count).step_by(LANES).collect();
    let new = || Group::new(known);
    let of_group = |group: &mut Group, &first: &usize| -> Vec<bool> {
        group.take(cube, &group_at(first, count), [0, 0], &by_bands);
        group.forms(&by_bands);
        (0..group.rows).map(|lane| 2.0 * loss(group, &shares, lane) <= most).collect()
    };
    let has: Vec<Vec<bool>> = firsts.par_iter().map_init(new, of_group).collect();
    let has = has.concat();
    let (with, others): (Vec<usize>, Vec<usize>) = (0..count).partition(|&n| has[n]);
    if with.is_empty() || others.len() < FEWEST * known.k {
        return whole;
    }
    let mut mean = vec![0.0; known.bands];
    for &n in &with {
        mean.iter_mut().zip(cube.spectrum(n)).for_each(|(to, &y)| *to += f64::from(y));
    }
    mean.iter_mut().for_each(|y| *y /= with.len() as f64);
    Parted { others: of.chosen(&others), mixture: Some(mean) }
}

/// By how much the log likelihood of a lane's pixel falls where its amounts are in these shares,
/// with the brightness that suits them best where there is one. The group has its forms.
fn loss(group: &Group, shares: &[f64], lane: usize) -> f64 {
    let k = shares.len();
    let at = |from: &[f32], i: usize| f64::from(from[i * LANES + lane]);
    let product = |a: &[f64], b: &[f64]| -> f64 {
        let row = |i: usize| (0..k).map(|j| at(&group.square, i * k + j) * b[j]).sum::<f64>();
        (0..k).map(|i| a[i] * row(i)).sum()
    };
    let slope = |a: &[f64]| -> f64 { (0..k).map(|i| a[i] * at(&group.linear, i)).sum() };
    let around: Vec<f64> = (0..k).map(|i| at(&group.around, i)).collect();
    let bright = match group.known.brightness {
        Some(_) => (slope(shares) + product(shares, &around)) / product(shares, shares),
        None => 1.0,
    };
    let off: Vec<f64> = shares.iter().zip(around).map(|(m, u)| bright * m - u).collect();
    0.5 * product(&off, &off) - slope(&off)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::engine::ground::math::softplus_inverse;
    use crate::engine::ground::rng::{self, Stream};
    use crate::engine::model::{Common, Model};
    use crate::posterior::nested::known::tests::flat;

    const BANDS: usize = 12;
    const SD: f64 = 0.01;
    const SHARES: [f64; 3] = [0.5, 0.3, 0.2];

    fn spectrum(k: usize, l: usize) -> f64 {
        0.3 + 0.2 * ((k + 1) as f64 * (1.0 + l as f64 / 3.0)).sin()
    }

    /// A scene of three endmembers whose common mixture has [`SHARES`].
    fn guide(brightness: Option<f64>, common: Option<Common>) -> Guide {
        let model = Model { brightness, common, noise_floor: 0.0, ..Model::new(3) };
        let mut guide = flat(&model, 8, BANDS);
        let p = guide.params;
        for l in 0..BANDS {
            guide.globals[p.noise_at() + l] = SD.ln() as f32;
            for k in 0..3 {
                guide.globals[k * p.stride() + l] = softplus_inverse(spectrum(k, l)) as f32;
            }
        }
        if common.is_some() {
            let at = p.common_at();
            for (logit, share) in guide.globals[at..at + 2].iter_mut().zip(SHARES) {
                *logit = (share / SHARES[2]).ln() as f32;
            }
            guide.globals[at + 2] = 400f32.ln();
        }
        guide
    }

    fn common() -> Option<Common> {
        Some(Common { concentration: 12.0, sd: 1.5 })
    }

    #[test]
    fn its_abundances_follow_the_spectra_and_its_spectrum_stays() {
        for brightness in [None, Some(0.3)] {
            let known = Known::of(&guide(brightness, common()));
            let mixture = known.mixture.as_ref().unwrap();
            let shares = |spectra: &[f64]| {
                mixture.shares_given(&known.by_bands(spectra), &mut Group::new(&known))
            };
            let own: Vec<f64> = (0..3 * BANDS).map(|at| spectrum(at / BANDS, at % BANDS)).collect();
            // The first endmember half of itself and half of the second: it takes all that it
            // would have had and as much of the second's.
            let mut other = own.clone();
            for l in 0..BANDS {
                other[l] = 0.8 * own[l] + 0.2 * own[BANDS + l];
            }
            for (spectra, truth) in [(&own, SHARES), (&other, [0.625, 0.175, 0.2])] {
                let found = shares(spectra);
                // Spectra are f32, and twelve sweeps leave a thousandth of where they began.
                let off = found.iter().zip(truth).map(|(a, b)| (a - b).abs());
                assert!(off.fold(0.0, f64::max) < 2e-3, "{brightness:?} {found:?}");
                assert!((found.iter().sum::<f64>() - 1.0).abs() < 1e-12);
            }
            // What it adds where it has the guide's spectra is what it adds at all.
            let (here, given) = (
                mixture.shift(),
                mixture.shift_given(&known.by_bands(&own), &mut Group::new(&known)),
            );
            assert!((here.log_odds - given.log_odds).abs() < 0.5);
            // A Dirichlet has more where its mean is: 400 times the shares, less the prior's own.
            let alpha = known.dirichlet[0];
            for (more, share) in here.more.iter().zip(SHARES) {
                assert!((f64::from(more + alpha) - 400.0 * share).abs() < 0.1);
            }
            let mut seen = mixture.clone();
            let first: Vec<f64> = own[..BANDS].to_vec();
            seen.seen_as(&first);
            let found = seen.shares_given(&known.by_bands(&own), &mut Group::new(&known));
            assert!(found[0] > 0.99 && found.iter().all(|&w| w > 0.0), "{found:?}");
        }
    }

    #[test]
    fn pixels_are_parted_by_what_noise_tells() {
        let (with, others) = (300, 60);
        let bright = |n: usize| 0.7 + 0.1 * (n % 7) as f64;
        let noise = |n: usize, l: usize| {
            let normal = rng::normal_at(rng::key(3), Stream::Posterior, 0, 0, n as u32, l as u32);
            SD * f64::from(normal)
        };
        let scene = |is_bright: bool| {
            let mut cube = Cube::zeros(with + others, BANDS);
            for n in 0..with + others {
                let by = if is_bright { bright(n) } else { 1.0 };
                let own = [0.1, 0.2, 0.7];
                let shares = if n % 6 == 0 { own } else { SHARES };
                for (l, y) in cube.spectrum_mut(n).iter_mut().enumerate() {
                    let mix: f64 = (0..3).map(|k| shares[k] * spectrum(k, l)).sum();
                    *y = (by * mix + noise(n, l)) as f32;
                }
            }
            Pixels::as_given(cube)
        };
        let spectra: Vec<f64> = (0..3 * BANDS).map(|at| spectrum(at / BANDS, at % BANDS)).collect();
        for brightness in [None, Some(0.3)] {
            let pixels = scene(brightness.is_some());
            let known = Known::of(&guide(brightness, common()));
            let parted = part(&known, &pixels, &spectra);
            // 99 in 100 of one mixture differ less; the other lies six sds from it.
            let found = parted.others.count();
            assert!((others..others + with / 20).contains(&found), "{brightness:?} {found}");
            let mean = parted.mixture.unwrap();
            let size = mean.iter().sum::<f64>();
            let plain = |l: usize| (0..3).map(|k| SHARES[k] * spectrum(k, l)).sum::<f64>();
            let by = size / (0..BANDS).map(plain).sum::<f64>();
            let off = (0..BANDS).map(|l| (mean[l] - by * plain(l)).abs()).fold(0.0, f64::max);
            // Noise of three hundred: a seventeenth of that of one.
            assert!(off < 4.0 * SD / 17.0, "{off}");
            // Without a common mixture, and where next to nothing is left, all are others.
            let none = Known::of(&guide(brightness, None));
            assert_eq!(part(&none, &pixels, &spectra).others.count(), with + others);
            let few: Vec<usize> = (0..pixels.count()).filter(|n| n % 6 != 0 || *n < 60).collect();
            let parted = part(&known, &pixels.chosen(&few), &spectra);
            assert_eq!((parted.others.count(), parted.mixture), (few.len(), None));
        }
    }
}
