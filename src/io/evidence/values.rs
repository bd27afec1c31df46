//! What the values of an array say of it, from a few thousand of them.

use nalgebra::DMatrix;

use super::Candidate;

/// Places looked at along the axes other than the one in question. Few, since each may be a read
/// from a slow disk.
const PROBES: usize = 96;
/// Profiles of shorter axes say nothing.
const SHORTEST: usize = 8;

/// Indices that are spread over an array, with the axis `along` at 0.
fn spread(shape: &[usize], along: usize, probes: usize) -> Vec<Vec<usize>> {
    let others: usize = shape
        .iter()
        .enumerate()
        .filter(|(i, _)| *i != along)
        .map(|(_, n)| *n)
        // Sizes are the file's word: any number.
        .fold(1, usize::saturating_mul);
    let count = others.min(probes);
    (0..count)
        .map(|i| {
            // A step that has nothing to do with the lengths of the axes.
            let mut flat = if others <= probes {
                i
            } else {
                ((i as u128 * 0x9E37_79B9_7F4A_7C15) % others as u128) as usize
            };
            let mut index = vec![0; shape.len()];
            for (axis, n) in shape.iter().enumerate().filter(|(axis, _)| *axis != along) {
                index[axis] = flat % n;
                flat /= n;
            }
            index
        })
        .collect()
}

/// True when the values are abundances: from 0 to 1, and along `axis` they sum to one.
pub(super) fn sum_to_one(candidate: &Candidate<'_>, axis: usize) -> bool {
    let (Some(at), Some(&length)) = (candidate.at, candidate.shape.get(axis)) else { return false };
    // Longer ones are spectra, and reading them would take long.
    if !(2..=64).contains(&length) {
        return false;
    }
    let (mut seen, mut sums) = (0, 0);
    for mut index in spread(&candidate.shape, axis, PROBES) {
        let mut sum = 0.0;
        for k in 0..length {
            index[axis] = k;
            let Some(v) = at(&index).filter(|v| v.is_finite()) else { continue };
            if !(-1e-3..=1.001).contains(&v) {
                return false;
            }
            sum += v;
        }
        if sum != 0.0 {
            seen += 1;
            // Stored as f32, or rounded to three digits.
            sums += usize::from((sum - 1.0_f64).abs() < 5e-3);
        }
    }
    seen >= 4 && sums * 100 >= seen * 98
}

/// True when the values are few different whole numbers, as classes are; one value alone is none.
pub(super) fn few_whole_numbers(candidate: &Candidate<'_>) -> bool {
    let Some(at) = candidate.at else { return false };
    let mut seen = std::collections::BTreeSet::new();
    let mut count = 0;
    for axis in 0..candidate.shape.len() {
        for mut index in spread(&candidate.shape, axis, PROBES) {
            if let Some(n) = candidate.shape.get(axis) {
                index[axis] = n / 2;
            }
            let Some(v) = at(&index) else { continue };
            if v.fract() != 0.0 || !(-1.0..=255.0).contains(&v) {
                return false;
            }
            count += 1;
            seen.insert(v as i64);
        }
    }
    count >= 16 && (2..=32).contains(&seen.len()) && seen.len() * 4 <= count
}

/// The axis along which the mean over all others varies most, by far: that of the bands, since a
/// spectrum keeps its shape over a scene, and rows and columns have none. `None` where no axis
/// stands out or one is too short to tell.
pub(super) fn spectral_axis(candidate: &Candidate<'_>) -> Option<usize> {
    let at = candidate.at?;
    let shape = &candidate.shape;
    if shape.iter().any(|n| *n > 1 && *n < SHORTEST) {
        return None;
    }
    let mut shares = Vec::new();
    for axis in (0..shape.len()).filter(|&axis| shape[axis] > 1) {
        // At most 32 places along the axis: enough for the shape of its profile.
        let places: Vec<usize> = {
            let n = shape[axis].min(32);
            (0..n).map(|i| i * (shape[axis] - 1) / (n - 1)).collect()
        };
        let mut sums = vec![(0.0, 0usize); places.len()];
        let (mut all, mut squares, mut count) = (0.0, 0.0, 0usize);
        for mut index in spread(shape, axis, PROBES / 4) {
            for (sum, &place) in sums.iter_mut().zip(&places) {
                index[axis] = place;
                let Some(v) = at(&index).filter(|v| v.is_finite() && v.abs() < 1e30) else {
                    continue;
                };
                *sum = (sum.0 + v, sum.1 + 1);
                all += v;
                squares += v * v;
                count += 1;
            }
        }
        let mean = all / count as f64;
        let variance = squares / count as f64 - mean * mean;
        let of =
            |(sum, n): &(f64, usize)| if *n > 0 { (sum / *n as f64 - mean).powi(2) } else { 0.0 };
        let share = sums.iter().map(of).sum::<f64>() / sums.len() as f64 / variance;
        // What chance alone gives the means of so few values.
        let chance = (sums.len() as f64 / count as f64).min(1.0);
        // Spectra are smooth, and rows and columns may be as rough as chance, which gives 2.
        let means: Vec<f64> =
            sums.iter().filter(|(_, n)| *n > 0).map(|(sum, n)| sum / *n as f64 - mean).collect();
        let steps: f64 = means.windows(2).map(|w| (w[1] - w[0]).powi(2)).sum();
        let smooth = steps < means.iter().map(|m| m * m).sum::<f64>();
        shares.push((axis, (share - chance).max(0.0), smooth));
    }
    shares.sort_by(|a, b| b.1.total_cmp(&a.1));
    match shares[..] {
        [(axis, first, true), (_, second, _), ..] if first >= 0.1 && first >= 3.0 * second => {
            Some(axis)
        }
        _ => None,
    }
}

/// Places along an axis and lines along it that are looked at for [`few_directions`], and
/// directions that a scene of few materials has.
const LINES: usize = 32;
const MATERIALS: usize = 4;
/// Shorter axes have few directions anyway.
const SHORTEST_WITH_DIRECTIONS: usize = 24;

/// The least share of the variance that is along the lines of every axis.
const LEAST_WITHIN: f64 = 0.01;

/// Sum of the squares of what values are off their mean.
fn spread_within(values: &[f64]) -> f64 {
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    values.iter().map(|v| (v - mean).powi(2)).sum()
}

/// The axis whose lines are mixtures of few, by far: that of the bands, since a scene has few
/// materials, and its rows and columns have more patterns than that. `None` where no axis stands
/// out.
pub(super) fn few_directions(candidate: &Candidate<'_>) -> Option<usize> {
    let at = candidate.at?;
    let shape = &candidate.shape;
    let long: Vec<usize> = (0..shape.len()).filter(|&axis| shape[axis] > 1).collect();
    if long.len() != 3 || long.iter().any(|&axis| shape[axis] < SHORTEST_WITH_DIRECTIONS) {
        return None;
    }
    let mut shares: Vec<(usize, f64)> = Vec::new();
    for axis in long {
        let count = shape[axis].min(LINES);
        let places: Vec<usize> = (0..count).map(|i| i * (shape[axis] - 1) / (count - 1)).collect();
        let mut lines: Vec<f64> = Vec::new();
        for mut index in spread(shape, axis, LINES) {
            for &place in &places {
                index[axis] = place;
                // A line with a gap would be a direction of its own.
                let value = at(&index).filter(|v| v.is_finite() && v.abs() < 1e30)?;
                lines.push(value);
            }
        }
        let mean = lines.iter().sum::<f64>() / lines.len() as f64;
        let matrix = DMatrix::from_row_iterator(LINES, count, lines.iter().map(|v| v - mean));
        // Lines that hardly change are no spectra: an image whose rows repeat has such columns.
        let within: f64 = lines.chunks_exact(count).map(spread_within).sum();
        let among: f64 = lines.iter().map(|v| (v - mean).powi(2)).sum();
        if within < LEAST_WITHIN * among {
            return None;
        }
        let squares = matrix.singular_values().map(|s| s * s);
        let all = squares.sum();
        if !(all > 0.0 && all.is_finite()) {
            return None;
        }
        let mut squares: Vec<f64> = squares.iter().copied().collect();
        squares.sort_by(|a, b| b.total_cmp(a));
        shares.push((axis, squares.iter().skip(MATERIALS).sum::<f64>() / all));
    }
    shares.sort_by(|a, b| a.1.total_cmp(&b.1));
    match shares[..] {
        [(axis, least), (_, second), ..] if least < 0.3 * second && second > 1e-6 => Some(axis),
        _ => None,
    }
}
