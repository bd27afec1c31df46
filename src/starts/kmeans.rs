//! Clusters of points.

use ndarray::{Array2, Axis};
use rand::{RngExt, rngs::ChaCha8Rng};
use rayon::prelude::*;

/// Rounds at most: from careful first centres little moves after ten.
const ROUNDS: usize = 25;
/// Points that are tried for each first centre; the one that leaves least is kept.
const TRIALS: usize = 4;

/// Sorts `points`, (n, D), with `weights` (n), into `count` clusters (1 to n). Gives the cluster of
/// each point.
///
/// Lloyd's algorithm from k-means++ centres (Arthur and Vassilvitskii 2007, with a few trials a
/// centre). A cluster may be empty when points coincide. The same generator gives the same clusters
/// with any number of threads. Cost: about n D count 25 operations.
pub(super) fn kmeans(
    points: &Array2<f64>,
    weights: &[f64],
    count: usize,
    rng: &mut ChaCha8Rng,
) -> Vec<usize> {
    let mut centres = first_centres(points, weights, count, rng);
    let mut labels = nearest(points, &centres);
    for _ in 0..ROUNDS {
        let mut sums = Array2::<f64>::zeros(centres.dim());
        let mut sizes = vec![0.0; count];
        for ((point, &label), &weight) in points.rows().into_iter().zip(&labels).zip(weights) {
            sums.row_mut(label).scaled_add(weight, &point);
            sizes[label] += weight;
        }
        for ((mut centre, sum), size) in centres.rows_mut().into_iter().zip(sums.rows()).zip(&sizes)
        {
            // An empty cluster stays where it is.
            if *size > 0.0 {
                centre.assign(&(&sum / *size));
            }
        }
        let next = nearest(points, &centres);
        if next == labels {
            break;
        }
        labels = next;
    }
    labels
}

/// Square of the distance.
fn square(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(x, y)| (x - y) * (x - y)).sum()
}

/// Each centre a point drawn by its weighted square distance to those before.
fn first_centres(
    points: &Array2<f64>,
    weights: &[f64],
    count: usize,
    rng: &mut ChaCha8Rng,
) -> Array2<f64> {
    let mut away = vec![1.0; points.nrows()];
    let mut picked = Vec::with_capacity(count);
    while picked.len() < count {
        let mut best: Option<(f64, usize, Vec<f64>)> = None;
        for _ in 0..TRIALS {
            let point = draw(&away, weights, rng);
            let centre = points.row(point).to_vec();
            let closer: Vec<f64> = rows(points)
                .zip(&away)
                .map(|(other, &before)| {
                    let here = square(&centre, other);
                    if picked.is_empty() { here } else { here.min(before) }
                })
                .collect();
            let left = closer.iter().zip(weights).map(|(away, weight)| away * weight).sum();
            if best.as_ref().is_none_or(|(least, ..)| left < *least) {
                best = Some((left, point, closer));
            }
        }
        if let Some((_, point, closer)) = best {
            picked.push(point);
            away = closer;
        }
    }
    points.select(Axis(0), &picked)
}

/// A point with probability proportional to distance times weight; the last where all are zero.
fn draw(away: &[f64], weights: &[f64], rng: &mut ChaCha8Rng) -> usize {
    let total: f64 = away.iter().zip(weights).map(|(a, w)| a * w).sum();
    let mut rest = rng.random::<f64>() * total;
    for (point, (a, w)) in away.iter().zip(weights).enumerate() {
        rest -= a * w;
        if rest < 0.0 {
            return point;
        }
    }
    away.len().saturating_sub(1)
}

/// The rows of an array in standard order.
fn rows(points: &Array2<f64>) -> impl IndexedParallelIterator<Item = &[f64]> {
    let depth = points.ncols().max(1);
    points.as_slice().unwrap_or(&[]).par_chunks_exact(depth).with_min_len(512)
}

/// The nearest centre of each point; the first of equals.
fn nearest(points: &Array2<f64>, centres: &Array2<f64>) -> Vec<usize> {
    let depth = points.ncols().max(1);
    let centres = centres.as_slice().unwrap_or(&[]);
    let of = |point: &[f64]| {
        let away = centres.chunks_exact(depth).map(|centre| square(point, centre));
        let first = (0, f64::INFINITY);
        away.enumerate()
            .fold(first, |best, (c, here)| if here < best.1 { (c, here) } else { best })
            .0
    };
    rows(points).map(of).collect()
}
