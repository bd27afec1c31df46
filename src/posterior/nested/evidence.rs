//! How probable pixels are given a scene, their amounts integrated out: by it solutions of one
//! scene compare, whatever has become of the pixels of their guides.

use rayon::prelude::*;

use super::group::Group;
use super::information::Room;
use super::known::Known;
use super::learn::{self, BRIEF, Begin};
use super::purity::Purity;
use super::rest::{FEW, rest};
use super::{BLOCK, check, group_at};
use crate::engine::ground::error::Result;
use crate::engine::ground::lanes::LANES;
use crate::engine::guide::Guide;
use crate::engine::layout::HELD;
use crate::engine::pixels::{Cube, Pixels};

/// Log density of a pixel, nats, mean over at most 512 of them: noise, variability and spectra are
/// learned on from a guide's as for the exact posterior, and each pixel's amounts are integrated
/// out by 64 weighted draws. Costs up to fourteen looks at each of these pixels. None when
/// `interrupted`, and where the guide is not finite.
///
/// # Errors
///
/// What [`check`] refuses.
pub fn evidence(
    guide: &Guide,
    of: &Pixels,
    interrupted: &(dyn Fn() -> bool + Sync),
) -> Result<Option<f64>> {
    check(&guide.params)?;
    let mut known = Known::of(guide);
    let spectra = guide.medians().iter().copied().collect();
    let begin = Begin { spectra, held: guide.params.has(HELD), sparser: false, shared: None };
    let learned = learn::learn(&mut known, guide, of.cube(), begin, BRIEF, interrupted);
    Ok(learned.map(|learned| learned.evidence).filter(|x| x.is_finite()))
}

/// Log density of each of some pixels, nats, at the spectra where a solution comes to rest.
#[derive(Debug, Clone)]
pub struct AtRest {
    /// Under the Dirichlet of the abundances.
    pub densities: Vec<f64>,
    /// Where besides no pixel is purer than some bound, one for each endmember, at least one half:
    /// those that make the pixels most probable. The same where there is a common mixture.
    pub bounded: Vec<f64>,
    /// Spectra at which the solution rests, (K, L), row by row, reflectance.
    pub spectra: Vec<f64>,
}

/// Evidence of each of some pixels at the spectra where a solution comes to rest: those of the
/// guide, or `from`, (K, L), where pixels are more probable with them, moved by Newton's method to
/// the mode of their posterior given at most 2,048 of the pixels. What a guide has not learned yet
/// does not count. The pixels are others than those 2,048 where there are twice as many, as spectra
/// explain those best that they were learned from; they are the same for all solutions. Costs some
/// thirty looks at each pixel, and some ten factors of a matrix of K L rows; where spectra are held
/// or too many for one, they stay. A pixel that no draw explains has no finite one. None when
/// `interrupted`, and where no pixel has one.
///
/// # Errors
///
/// What [`check`] refuses.
pub fn evidence_at_rest(
    guide: &Guide,
    of: &Pixels,
    from: Option<&[f64]>,
    interrupted: &(dyn Fn() -> bool + Sync),
) -> Result<Option<AtRest>> {
    check(&guide.params)?;
    let others = of.part_between(FEW);
    let Some((known, at)) = rest(guide, &of.part(FEW), from, interrupted)? else { return Ok(None) };
    let found = densities(&known, others.cube(), guide.params.key(), &at.spectra);
    let any = |found: &AtRest| found.densities.iter().any(|x| x.is_finite());
    Ok((!interrupted()).then_some(found).filter(any))
}

/// Log density of each pixel given spectra, (K, L), nats.
fn densities(known: &Known, cube: &Cube, key: [u32; 2], spectra: &[f64]) -> AtRest {
    let by_bands = known.by_bands(spectra);
    let count = cube.pixels();
    let part = |first: usize| {
        let (mut group, mut room) = (Group::new(known), Room::new(known.k));
        let mut found = (Vec::with_capacity(BLOCK), Purity::new(known.k));
        for first in (first..count.min(first + BLOCK)).step_by(LANES) {
            group.take(cube, &group_at(first, count), key, &by_bands);
            room.draw(&mut group, &by_bands);
            let density = |at: usize| room.evidence(&group, at) + known.normaliser;
            found.0.extend((0..group.rows).map(density));
            room.add_purity(&group, &mut found.1);
        }
        found
    };
    let firsts: Vec<usize> = (0..count).step_by(BLOCK).collect();
    let parts: Vec<(Vec<f64>, Purity)> = firsts.into_par_iter().map(part).collect();
    let (mut densities, mut purity) = (Vec::with_capacity(count), Purity::new(known.k));
    for (found, of) in parts {
        densities.extend(found);
        purity.append(of);
    }
    let gains = match known.common {
        Some(_) => vec![0.0; count],
        None => purity.gains(&known.dirichlet),
    };
    let bounded = densities.iter().zip(gains).map(|(density, gain)| density + gain).collect();
    AtRest { densities, bounded, spectra: spectra.to_vec() }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use nalgebra::{DMatrix, DVector};

    use crate::engine::ground::lanes::LANES;
    use crate::engine::ground::math::ln_dirichlet;
    use crate::engine::model::Model;
    use crate::engine::pixels::Cube;
    use crate::posterior::nested::group::Group;
    use crate::posterior::nested::information::Room;
    use crate::posterior::nested::known::Known;
    use crate::posterior::nested::known::tests::flat;
    use crate::posterior::nested::shared::{NOISE_SHAPES, SHAPES, Shapes, Shared};

    const BANDS: usize = 6;
    const NOISE: f64 = 0.002;
    /// Two spectra, (K, L).
    const SPECTRA: [f64; 2 * BANDS] = [0.2, 0.3, 0.5, 0.6, 0.5, 0.4, 0.5, 0.4, 0.3, 0.2, 0.2, 0.1];

    /// What is known of pixels whose noise is white, or has two shapes that bands share, too.
    fn known(brightness: bool, noise_sd: f64) -> Known {
        let model = Model { brightness: brightness.then_some(0.5), ..Model::new(2) };
        let mut known = Known::of(&flat(&model, 8, BANDS));
        let mut noise_sds = vec![0.0; NOISE_SHAPES];
        noise_sds[..2].fill(noise_sd);
        let shared = Shared {
            sds: vec![0.0; 2 * SHAPES],
            noise_sds,
            noise: vec![NOISE; BANDS],
            variability: vec![0.0; 2 * BANDS],
            dirichlet: None,
        };
        known.noise = vec![NOISE as f32; BANDS];
        known.variability = Vec::new();
        known.shapes = Shapes::of(&shared, &SPECTRA, 2, BANDS);
        known
    }

    fn pixel(l: usize) -> f64 {
        0.35 * SPECTRA[l] + 0.5 * SPECTRA[BANDS + l] + 0.03 * (l as f64).sin()
    }

    /// Log density of the pixel, and by summing over a grid of log odds and log brightness.
    fn compare(brightness: bool, noise_sd: f64) -> (f64, f64) {
        let known = known(brightness, noise_sd);
        let by_bands: Vec<f32> =
            (0..BANDS * 2).map(|at| SPECTRA[at % 2 * BANDS + at / 2] as f32).collect();
        let mut cube = Cube::zeros(1, BANDS);
        (0..BANDS).for_each(|l| cube.spectrum_mut(0)[l] = pixel(l) as f32);
        let (mut group, mut room) = (Group::new(&known), Room::new(2));
        // Lanes of other seeds see other points.
        let seeds = 16;
        let mut found = 0.0;
        for seed in 0..seeds {
            group.take(&cube, &[0], [seed, 2], &by_bands);
            room.draw(&mut group, &by_bands);
            let one = room.evidence(&group, LANES - 1) + known.normaliser;
            found += one / f64::from(seeds);
        }

        let count = known.shapes.count();
        let shape = |l: usize, a: usize| f64::from(known.shapes.columns[l * count + a]);
        let covariance = DMatrix::from_fn(BANDS, BANDS, |l, m| {
            let own = if l == m { NOISE } else { 0.0 };
            own + (0..count).map(|a| shape(l, a) * shape(m, a)).sum::<f64>()
        });
        let constant = -0.5 * (std::f64::consts::TAU * &covariance).determinant().ln();
        let inverse = covariance.try_inverse().unwrap();
        let a = known.dirichlet.iter().map(|&a| f64::from(a)).collect::<Vec<f64>>();
        let (steps, mut total) = (if brightness { 400 } else { 1 }, 0.0);
        let (fine, wide) = (4000, 60.0);
        for i in 0..fine {
            let odds = wide * ((f64::from(i) + 0.5) / f64::from(fine) - 0.5);
            let share = 1.0 / (1.0 + (-odds).exp());
            // The density of the log odds: Dirichlet times w (1 - w).
            let mut log = a[0] * share.ln() - a[1] * odds.exp().ln_1p();
            log += ln_dirichlet(&a);
            for j in 0..steps {
                let g: f64 = match brightness {
                    true => 4.0 * ((f64::from(j) + 0.5) / f64::from(steps) - 0.5),
                    false => 0.0,
                };
                let prior = match brightness {
                    true => -2.0 * g * g - 0.5 * (std::f64::consts::TAU * 0.25).ln(),
                    false => 0.0,
                };
                let rest = DVector::from_fn(BANDS, |l, _| {
                    let mix = share * SPECTRA[l] + (1.0 - share) * SPECTRA[BANDS + l];
                    f64::from(cube.spectrum(0)[l]) - g.exp() * mix
                });
                let square = (rest.transpose() * &inverse * &rest)[(0, 0)];
                let step = if brightness { 4.0 / f64::from(steps) } else { 1.0 };
                total += (log + prior + constant - 0.5 * square).exp() * step;
            }
        }
        (found, (total * wide / f64::from(fine)).ln())
    }

    #[test]
    fn it_is_what_integration_gives() {
        for brightness in [false, true] {
            for noise_sd in [0.0, 0.05] {
                let (found, integral) = compare(brightness, noise_sd);
                // Logarithms of means of 64 weighted draws: a tenth at an effective size of 50.
                assert!(
                    (found - integral).abs() < 0.1,
                    "{brightness} {noise_sd}: {found} for {integral}"
                );
            }
        }
        // Without the shared noise it is another: seen.
        let (found, integral) = (compare(true, 0.0).0, compare(true, 0.3).1);
        assert!((found - integral).abs() > 0.3, "{found} {integral}");
    }
}
