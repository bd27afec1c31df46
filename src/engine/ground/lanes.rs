//! Rows side by side: what a CPU pass does to sixteen rows at once, one in each lane of a vector.
//! Inside code compiled for wide vectors (`pulp`) a loop over [`LANES`] becomes single
//! instructions.

use crate::engine::ground::math::Real;
pub use crate::engine::ground::rng::LANES;

/// One value of each of sixteen rows.
pub type Lanes<T> = [T; LANES];

/// A column of sixteen rows that lie side by side.
#[inline(always)]
pub fn load<T: Real>(from: &[T], column: usize) -> Lanes<T> {
    let mut lanes = [T::zero(); LANES];
    lanes.copy_from_slice(&from[column * LANES..][..LANES]);
    lanes
}

/// Writes a column of rows that lie side by side, of which the first `count` are in use; the others
/// become zero.
#[inline(always)]
pub fn store<T: Real>(to: &mut [T], column: usize, lanes: &Lanes<T>, rows: usize) {
    let to = &mut to[column * LANES..][..LANES];
    if rows == LANES {
        to.copy_from_slice(lanes);
    } else {
        to[..rows].copy_from_slice(&lanes[..rows]);
        to[rows..].fill(T::zero());
    }
}

/// Lays rows (n, columns) side by side, (groups, columns, LANES). Lanes of the last group that no
/// row fills stay as they are.
pub fn side_by_side<T: Copy>(rows: &[T], columns: usize, to: &mut [T]) {
    let groups = to.chunks_exact_mut((columns * LANES).max(1));
    for (rows, to) in rows.chunks((columns * LANES).max(1)).zip(groups) {
        for (lane, row) in rows.chunks_exact(columns).enumerate() {
            for (column, &x) in row.iter().enumerate() {
                to[column * LANES + lane] = x;
            }
        }
    }
}

/// The first `count` of rows that lie side by side, one after the other, (count, columns): undoes
/// [`side_by_side`].
pub fn row_by_row<T: Copy>(from: &[T], columns: usize, count: usize) -> Vec<T> {
    (0..count * columns)
        .map(|at| {
            let (row, column) = (at / columns, at % columns);
            from[(row / LANES * columns + column) * LANES + row % LANES]
        })
        .collect()
}

/// Asks the memory for a value before its turn: groups of a minibatch are at random places, which
/// no hardware foresees. The value goes into the second cache: requests for the first hold up what
/// follows while they wait (measured: docs/evidence.md).
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

/// Asks the memory for all cache lines of a slice before their turn.
#[inline(always)]
pub fn prefetch_all<T>(values: &[T]) {
    values.iter().step_by((64 / size_of::<T>()).max(1)).for_each(prefetch);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_that_lie_side_by_side_come_back() {
        for (count, columns) in [(1usize, 3usize), (16, 1), (37, 5), (4, 0)] {
            let rows: Vec<u32> = (0..count * columns).map(|x| x as u32).collect();
            let mut to = vec![u32::MAX; count.div_ceil(LANES) * LANES * columns];
            side_by_side(&rows, columns, &mut to);
            for at in (0..columns).map(|c| c * LANES) {
                assert_eq!(to[at] as usize, at / LANES);
            }
            assert_eq!(to.iter().filter(|&&x| x == u32::MAX).count(), to.len() - rows.len());
            assert_eq!(row_by_row(&to, columns, count), rows);
        }
    }

    #[test]
    fn rows_side_by_side_are_zero_beyond_those_in_use() {
        let lanes: Lanes<f32> = std::array::from_fn(|i| i as f32);
        for count in [1, 5, LANES] {
            let mut to = [-1.0; 3 * LANES];
            store(&mut to, 1, &lanes, count);
            let written = load(&to, 1);
            assert_eq!(written[..count], lanes[..count]);
            assert!(written[count..].iter().all(|&x| x == 0.0));
            assert_eq!(to.iter().filter(|&&x| x == -1.0).count(), 2 * LANES);
        }
    }
}
