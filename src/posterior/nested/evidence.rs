//! How probable pixels are given a scene, their amounts integrated out: by this solutions of one
//! scene compare, whatever their guides have come to.

use rayon::prelude::*;

use super::group::Group;
use super::group_at;
use super::information::DRAWS;
use super::known::Known;
use super::learn::BRIEF;
use crate::engine::ground::lanes::{LANES, Lanes};
use crate::engine::pixels::Cube;

/// Mean log density of the pixels of a cube given spectra c (K, L), nats a pixel: that of a pixel is
/// the logarithm of the mean weight of 64 draws of its amounts. Of a large scene it is the mean over
/// the pixels that [`BRIEF`] allows, in groups spaced evenly. None when `interrupted`.
pub(super) fn evidence(
    known: &Known,
    cube: &Cube,
    key: [u32; 2],
    c: &[f64],
    interrupted: &(dyn Fn() -> bool + Sync),
) -> Option<f64> {
    let (k, bands) = (known.k, known.bands);
    let spectra: Vec<f32> = (0..bands * k).map(|at| c[at % k * bands + at / k] as f32).collect();
    let groups = cube.pixels().div_ceil(LANES);
    let every = groups.div_ceil(BRIEF.pixels / LANES).max(1);
    let taken: Vec<usize> = (0..groups).step_by(every).collect();
    let room = || {
        (Group::new(known), vec![0.0; DRAWS * k * LANES], vec![0.0; DRAWS * LANES], [0.0; LANES])
    };
    let of_group = |(group, amounts, logs, sums): &mut (Group, Vec<f32>, Vec<f32>, Lanes<f64>),
                    g: &usize| {
        if interrupted() {
            return (0.0, 0);
        }
        group.take(cube, &group_at(g * LANES, cube.pixels()), key, &spectra);
        group.draw(&spectra, 0, amounts, logs);
        // Before the draws are summed: of an extreme pixel one may stand for all.
        let top = |lane: usize| {
            let all = logs.iter().skip(lane).step_by(LANES);
            f64::from(all.copied().fold(f32::NEG_INFINITY, f32::max))
        };
        for (lane, sum) in sums.iter_mut().enumerate() {
            let top = top(lane);
            let logs = logs.iter().skip(lane).step_by(LANES);
            let total: f64 = logs.map(|&log| (f64::from(log) - top).exp()).sum();
            *sum = top + (total / DRAWS as f64).ln() + group.likelihood(lane);
        }
        (sums[..group.rows].iter().sum::<f64>(), group.rows)
    };
    let parts: Vec<(f64, usize)> = taken.par_iter().map_init(room, of_group).collect();
    if interrupted() {
        return None;
    }
    let (sum, count) = parts.into_iter().fold((0.0, 0), |to, x| (to.0 + x.0, to.1 + x.1));
    Some(sum / count.max(1) as f64 + known.normaliser)
}
