//! Rows side by side: what a CPU pass does to sixteen rows at once, one in each lane of a vector.
//! Inside code compiled for wide vectors (`pulp`) a loop over [`LANES`] becomes single instructions.

use crate::math::Real;
pub use crate::rng::LANES;

/// One value of each of sixteen rows.
pub type Lanes<T> = [T; LANES];

/// Where sixteen rows begin.
#[derive(Clone, Copy)]
pub struct Starts {
    rows: [usize; LANES],
    /// None of them begins later.
    last: usize,
}

/// Where sixteen rows begin. What is missing of them repeats the last one: it computes and
/// writes the same, and no loop has a remainder. `rows` is not empty.
#[inline(always)]
pub fn starts(rows: impl ExactSizeIterator<Item = usize>) -> Starts {
    let mut starts = [0; LANES];
    let (mut last, count) = (0, rows.len());
    for (start, row) in starts.iter_mut().zip(rows) {
        (last, *start) = (row, row);
    }
    for start in starts.iter_mut().skip(count) {
        *start = last;
    }
    Starts { rows: starts, last: starts.into_iter().fold(0, usize::max) }
}

/// Element `at` of each row.
#[inline(always)]
pub fn gather<T: Real>(from: &[T], starts: &Starts, at: usize) -> Lanes<T> {
    let from = &from[at..];
    assert!(starts.last < from.len());
    let mut lanes = [T::zero(); LANES];
    for (lane, &row) in lanes.iter_mut().zip(&starts.rows) {
        // SAFETY: no row begins after `last`, which is within. Sixteen checks took longer than all else.
        *lane = unsafe { *from.get_unchecked(row) };
    }
    lanes
}

/// Writes element `at` of each row.
#[inline(always)]
pub fn scatter<T: Real>(to: &mut [T], starts: &Starts, at: usize, lanes: &Lanes<T>) {
    let to = &mut to[at..];
    assert!(starts.last < to.len());
    for (&lane, &row) in lanes.iter().zip(&starts.rows) {
        // SAFETY: as above.
        unsafe { *to.get_unchecked_mut(row) = lane };
    }
}

/// A column of sixteen rows that lie side by side.
#[inline(always)]
pub fn load<T: Real>(from: &[T], column: usize) -> Lanes<T> {
    let mut lanes = [T::zero(); LANES];
    lanes.copy_from_slice(&from[column * LANES..][..LANES]);
    lanes
}

/// Writes a column of rows that lie side by side, of which so many are in use.
#[inline(always)]
pub fn store<T: Real>(to: &mut [T], column: usize, lanes: &Lanes<T>, rows: usize) {
    let to = &mut to[column * LANES..][..LANES];
    if rows == LANES {
        to.copy_from_slice(lanes);
    } else {
        to[..rows].copy_from_slice(&lanes[..rows]);
    }
}

/// Asks for a value before its turn: minibatches are random places, which no hardware foresees. Into the
/// second cache: requests for the first hold up what follows while they wait (measured: docs/performance.md).
#[inline(always)]
pub fn prefetch<T>(value: &T) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};
        // SAFETY: SSE is part of x86-64, and the address is that of a value.
        unsafe { _mm_prefetch::<_MM_HINT_T1>((value as *const T).cast()) }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = value;
}

/// Asks for rows of `stride` before their turn.
#[inline(always)]
pub fn prefetch_rows<T>(values: &[T], rows: &[u32], stride: usize) {
    let line = (64 / size_of::<T>()).max(1);
    for &row in rows {
        let row = &values[row as usize * stride..][..stride];
        for at in (0..stride).step_by(line) {
            prefetch(&row[at]);
        }
        // Rows need not begin where cache lines do: the end may lie in one line more.
        if let Some(last) = row.last() {
            prefetch(last);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_that_is_not_full_repeats_its_last_row_and_touches_no_other() {
        for count in [1, 5, LANES] {
            let rows: Vec<usize> = (0..count).map(|i| 3 * (LANES - i)).collect();
            let starts = starts(rows.iter().map(|row| 2 * row));
            assert_eq!(starts.rows[count..], vec![2 * rows[count - 1]; LANES - count]);
            assert_eq!(starts.last, 2 * LANES * 3);
            let from: Vec<f64> = (0..200).map(f64::from).collect();
            let lanes = gather(&from, &starts, 1);
            let mut to = vec![-1.0; 200];
            scatter(&mut to, &starts, 1, &lanes);
            for (at, &x) in to.iter().enumerate() {
                let own = rows.iter().any(|&row| 2 * row + 1 == at);
                assert_eq!(x, if own { at as f64 } else { -1.0 });
            }
        }
    }

    #[test]
    fn rows_side_by_side_write_no_more_than_their_own() {
        let lanes: Lanes<f32> = std::array::from_fn(|i| i as f32);
        for count in [1, 5, LANES] {
            let mut to = [-1.0; 3 * LANES];
            store(&mut to, 1, &lanes, count);
            assert_eq!(load(&to, 1)[..count], lanes[..count]);
            let kept = to.iter().filter(|&&x| x == -1.0).count();
            assert_eq!(kept, to.len() - count);
        }
    }
}
