//! Moves from one mode to another: an endmember gives way to a spectrum that the fit explains
//! badly, or to the half of another one; or the two most alike become one, and its place is free.

use std::sync::Arc;

use ndarray::{Array1, Array2, ArrayView1, Axis};
use rayon::prelude::*;

use super::judge::{Fitted, Judge};
use super::{MOVES_KEPT, ROUNDS, Settings, by_elbo, distinct, gains, same};
use crate::engine::ground::error::{Error, Result};
use crate::engine::ground::interrupt::{Interrupted, heed, unless};
use crate::engine::pixels::{Cube, Pixels};
use crate::posterior::Means;
use crate::starts::{Candidate, cluster_candidates, misfits, residual_candidates};
use crate::statistics::angles::sad;
use crate::statistics::moments::{mean_spectrum, products};
use crate::statistics::principal::Spread;

/// A replacement.
pub struct Move {
    pub what: String,
    /// (K, L), reflectance.
    pub endmembers: Array2<f64>,
}

/// Groups of badly explained pixels.
const GROUPS: usize = 4;
/// A candidate closer to an endmember than this is no news, radians.
const NEWS: f64 = 0.03;
/// From this abundance on a pixel is of one endmember, and so many of them make a half.
const DOMINATED: f32 = 0.5;
const FEWEST: usize = 5;

/// Tries moves from row `best` of the table, round by round, adds them to it, and gives the row
/// that is the best then; `shaded` says whether pixels differ in brightness.
///
/// # Errors
///
/// What ends all fits, as a device that is lost.
pub async fn rounds(
    judge: &Judge<'_>,
    (table, mut best): (&mut Vec<Fitted>, usize),
    settings: &Settings,
    (part, shaded): (&Pixels, bool),
    interrupted: Interrupted<'_>,
) -> Result<usize> {
    for round in 0_usize.. {
        let over = settings.seconds.is_none() && round >= ROUNDS;
        if settings.moves == 0 || over || interrupted() || judge.late() {
            break;
        }
        // Other clusters and groups a round, where the best is still the same.
        let seed = judge.seed().wrapping_add(round as u64);
        let from = &table[best];
        let stop = || interrupted() || judge.late();
        let moves = match propose(part, from, shaded, settings.moves, seed, &stop) {
            Ok(moves) if !moves.is_empty() => moves,
            Ok(_) | Err(Error::Interrupted) => break,
            Err(error) => return Err(error),
        };
        let starts = moves
            .into_iter()
            .map(|m| (format!("{}, round {}", m.what, round + 1), m.endmembers))
            .collect();
        let first = table.len();
        table.extend(judge.probe(starts).await?.into_iter().filter(|one| !one.cut));
        let order: Vec<usize> = by_elbo(table).into_iter().filter(|&i| i >= first).collect();
        let kept = distinct(table, &order, MOVES_KEPT);
        judge.polish(table, &kept).await?;
        let gain = |i: usize| {
            let (new, old) = (table[i].elbo?, table[best].elbo?);
            gains(new, old).then_some(new)
        };
        let better = kept.into_iter().filter(|&i| gain(i).is_some());
        match better
            .max_by(|&a, &b| gain(a).partial_cmp(&gain(b)).unwrap_or(std::cmp::Ordering::Equal))
        {
            Some(new) => {
                // What led from here to other modes was tried.
                let known = same(&table[new], &table[best]);
                best = new;
                if known && settings.seconds.is_none() {
                    break;
                }
            }
            None if settings.seconds.is_none() => break,
            None => {}
        }
    }
    Ok(best)
}

/// Up to `count` moves from a fit, those that explain the scene best with FCLS first; what one kind
/// of replacement leaves open, as which endmember gives way, is settled in the same manner.
///
/// # Errors
///
/// [`crate::Error::Interrupted`] as soon as that is so.
fn propose(
    pixels: &Pixels,
    from: &Fitted,
    brightness: bool,
    count: usize,
    seed: u64,
    interrupted: Interrupted,
) -> Result<Vec<Move>> {
    let cube = Arc::clone(pixels.cube());
    let in_order = Pixels::as_given(Arc::clone(&cube));
    let Some(means) = from.means(&in_order) else { return Ok(Vec::new()) };
    let current = from.endmembers.clone();
    unless(interrupted, move |stop| moves(&cube, &means, &current, brightness, count, seed, stop))
}

/// The moves from a fit's spectra, (K, L), and means, its pixels in the cube's order.
fn moves(
    cube: &Cube,
    means: &Means,
    current: &Array2<f64>,
    brightness: bool,
    count: usize,
    seed: u64,
    stop: Interrupted,
) -> Result<Vec<Move>> {
    let k = current.nrows();
    let named = |what: &'static str| move |candidate: Candidate| (what, candidate.spectrum);
    let worst = || residual_candidates(cube, |n| means.fitted(n), GROUPS, seed);
    let (worst, clusters) = rayon::join(worst, || cluster_candidates(cube, k, seed));
    let candidates: Vec<(&str, Array1<f64>)> = worst?
        .into_iter()
        .map(named("pixels explained worst"))
        .chain(clusters?.into_iter().map(named("a cluster's centre")))
        .filter(|(_, spectrum)| current.rows().into_iter().all(|c| sad(c, spectrum.view()) > NEWS))
        .collect();
    // Ways to make one move, of which the best counts.
    let mut ways: Vec<Vec<Move>> = Vec::new();
    for (what, spectrum) in &candidates {
        let at = |at: usize| {
            let what = format!("{what} for endmember {}", at + 1);
            Move { what, endmembers: with(current, &[(at, spectrum)]) }
        };
        ways.push((0..k).map(at).collect());
    }
    heed(stop)?;
    let shares = |at: usize| means.abundances.column(at);
    let in_two: Vec<_> = (0..k).into_par_iter().map(|at| halves(cube, shares(at))).collect();
    for (whole, halves) in in_two.into_iter().enumerate() {
        let Some((one, other)) = halves else { continue };
        let split = |gives_way: usize| {
            let what =
                format!("endmember {} in two, one for endmember {}", whole + 1, gives_way + 1);
            Move { what, endmembers: with(current, &[(whole, &one), (gives_way, &other)]) }
        };
        ways.push((0..k).filter(|&at| at != whole).map(split).collect());
    }
    if let Some((a, b)) = most_alike(current) {
        let merged = merged(current, &means.of_scene(), a, b);
        let merge = |(what, spectrum): &(&str, Array1<f64>)| {
            let what = format!("endmembers {} and {} in one, {what} for the other", a + 1, b + 1);
            Move { what, endmembers: with(current, &[(a, &merged), (b, spectrum)]) }
        };
        ways.push(candidates.iter().map(merge).collect());
    }
    heed(stop)?;
    let sets: Vec<Array2<f64>> = ways.iter().flatten().map(|one| one.endmembers.clone()).collect();
    let mut left = misfits(cube, &sets, brightness, seed)?.into_iter();
    let mut moves: Vec<(f64, Move)> = ways
        .into_iter()
        .filter_map(|ways| {
            let judged = ways.into_iter().map(|one| (left.next().unwrap_or(f64::INFINITY), one));
            // All of them, so that each takes its own misfit.
            let judged: Vec<(f64, Move)> = judged.collect();
            judged.into_iter().min_by(|a, b| a.0.total_cmp(&b.0))
        })
        .collect();
    moves.sort_by(|a, b| a.0.total_cmp(&b.0));
    Ok(moves.into_iter().take(count).map(|(_, one)| one).collect())
}

/// The endmembers with some of them replaced.
fn with(endmembers: &Array2<f64>, rows: &[(usize, &Array1<f64>)]) -> Array2<f64> {
    let mut set = endmembers.clone();
    for (at, spectrum) in rows {
        set.row_mut(*at).assign(spectrum);
    }
    set
}

/// Mean spectra of the two halves of the pixels in which an endmember's `share`, (N), dominates,
/// parted at the mean along the direction in which their shapes, spectra at length one, vary most.
/// None where these are too few.
fn halves(cube: &Cube, share: ArrayView1<f32>) -> Option<(Array1<f64>, Array1<f64>)> {
    let own: Vec<usize> = (0..cube.pixels()).filter(|&n| share[n] >= DOMINATED).collect();
    if own.len() < 2 * FEWEST {
        return None;
    }
    let mut shapes = cube.select(&own);
    for n in 0..own.len() {
        let spectrum = shapes.spectrum_mut(n);
        let length = spectrum.iter().map(|&y| f64::from(y).powi(2)).sum::<f64>().sqrt();
        if length > 0.0 {
            spectrum.iter_mut().for_each(|y| *y = (f64::from(*y) / length) as f32);
        }
    }
    let mean = mean_spectrum(&shapes);
    let axis = Spread::new(&shapes, mean.clone()).leading(1).vectors;
    let middle = mean.dot(&axis.column(0));
    let along = products(&shapes, axis.view());
    let half = |above: bool| {
        let pixels: Vec<usize> =
            (0..own.len()).filter(|&n| (along[[n, 0]] > middle) == above).map(|n| own[n]).collect();
        (pixels.len() >= FEWEST).then(|| mean_spectrum(&cube.select(&pixels)))
    };
    Some((half(true)?, half(false)?))
}

/// The pair of endmembers with the smallest angle; none of one endmember.
fn most_alike(endmembers: &Array2<f64>) -> Option<(usize, usize)> {
    let k = endmembers.nrows();
    let pairs = (0..k).flat_map(|a| (a + 1..k).map(move |b| (a, b)));
    let angle = |&(a, b): &(usize, usize)| sad(endmembers.row(a), endmembers.row(b));
    pairs.min_by(|one, other| angle(one).total_cmp(&angle(other)))
}

/// The mean of two endmembers, each by how much of it there is.
fn merged(endmembers: &Array2<f64>, amounts: &[f64], a: usize, b: usize) -> Array1<f64> {
    let share = amounts[a] / (amounts[a] + amounts[b]).max(f64::MIN_POSITIVE);
    &endmembers.index_axis(Axis(0), a) * share + &endmembers.index_axis(Axis(0), b) * (1.0 - share)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn the_most_alike_are_found_and_become_their_weighted_mean() {
        let endmembers = array![[1.0, 0.0], [0.0, 1.0], [0.2, 0.9]];
        assert_eq!(most_alike(&endmembers), Some((1, 2)));
        assert_eq!(most_alike(&array![[1.0, 0.0]]), None);
        let replaced = with(&endmembers, &[(0, &array![5.0, 5.0])]);
        assert_eq!(replaced, array![[5.0, 5.0], [0.0, 1.0], [0.2, 0.9]]);
        // Three parts of one to one of the other.
        let mean = merged(&endmembers, &[0.2, 0.6, 0.2], 1, 2);
        assert!((&mean - &array![0.05, 0.975]).iter().all(|d| d.abs() < 1e-12), "{mean}");
    }

    #[test]
    fn an_endmember_of_two_materials_parts_into_them_whatever_their_brightness() {
        // 12 pixels of each of two shapes, from dark to bright, and 30 of something else.
        let shapes = [[0.2, 0.4, 0.6], [0.3, 0.4, 0.5], [0.9, 0.1, 0.1]];
        let mut cube = Cube::zeros(54, 3);
        let mut share = Array1::zeros(54);
        for n in 0..54 {
            let (shape, bright) = (shapes[(n / 12).min(2)], 0.3 + 0.1 * (n % 12) as f32);
            cube.spectrum_mut(n).iter_mut().zip(shape).for_each(|(y, c)| *y = bright * c);
            share[n] = if n < 24 { 0.9 } else { 0.1 };
        }
        let (one, other) = halves(&cube, share.view()).unwrap();
        let near = |found: &Array1<f64>, shape: [f32; 3]| {
            sad(found.view(), Array1::from(shape.map(f64::from).to_vec()).view()) < 1e-6
        };
        let right = |a: &Array1<f64>, b: &Array1<f64>| near(a, shapes[0]) && near(b, shapes[1]);
        assert!(right(&one, &other) || right(&other, &one), "{one} {other}");
        // Nine pixels have no halves of five, and one shape has no halves at all.
        assert!(
            halves(&cube, Array1::from_shape_fn(54, |n| (n < 9) as u8 as f32).view()).is_none()
        );
        let constant = Cube::zeros(20, 3);
        assert!(halves(&constant, Array1::ones(20).view()).is_none());
    }
}
