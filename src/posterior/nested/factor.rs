//! Cholesky's factor of a large matrix, block by block: nearly all of the work is then products of
//! matrices, which threads share; the blocks, and so the bits, are the same whatever their number.
//! nalgebra's own goes column by column: on one core 2.5 times slower for 600 rows, 5 for 1,200.

use nalgebra::{Cholesky, DMatrix, DMatrixViewMut, Dyn};
use rayon::prelude::*;

/// Rows of a block: three of them fit the nearest caches.
const BLOCK: usize = 64;

/// The factor of a symmetric matrix, of which the lower half is read; none where it is not
/// positive.
pub(super) fn cholesky(mut matrix: DMatrix<f64>) -> Option<Cholesky<f64, Dyn>> {
    let n = matrix.nrows();
    for begin in (0..n).step_by(BLOCK) {
        let end = n.min(begin + BLOCK);
        let (size, below) = (end - begin, n - end);
        let diagonal = matrix.view((begin, begin), (size, size)).into_owned();
        let lower = Cholesky::new(diagonal)?.l();
        matrix.view_mut((begin, begin), (size, size)).copy_from(&lower);
        if below == 0 {
            break;
        }
        // The panel P below the block: P L' = A, so that L P' = A'.
        let mut transposed = matrix.view((end, begin), (below, size)).transpose();
        let columns = transposed.as_mut_slice().par_chunks_mut(size * BLOCK);
        let solved = columns.all(|columns| {
            let width = columns.len() / size;
            lower.solve_lower_triangular_mut(&mut DMatrixViewMut::from_slice(columns, size, width))
        });
        if !solved {
            return None;
        }
        let panel = transposed.transpose();
        matrix.view_mut((end, begin), (below, size)).copy_from(&panel);
        // What is left, less P P', its lower half.
        let columns = matrix.as_mut_slice()[end * n..].par_chunks_mut(n * BLOCK).enumerate();
        columns.for_each(|(number, columns)| {
            let (first, width) = (number * BLOCK, columns.len() / n);
            let of_rows = panel.rows(first, below - first);
            let of_columns = transposed.columns(first, width);
            let mut columns = DMatrixViewMut::from_slice(columns, n, width);
            let mut rest = columns.rows_mut(end + first, below - first);
            rest.gemm(-1.0, &of_rows, &of_columns, 1.0);
        });
    }
    Some(Cholesky::pack_dirty(matrix))
}

#[cfg(test)]
mod tests {
    use super::*;
    use nalgebra::DVector;

    fn positive(n: usize) -> DMatrix<f64> {
        let any =
            DMatrix::from_fn(n, n + 3, |i, j| ((i * 37 + j * 101 + i * j) % 89) as f64 / 89.0);
        &any * any.transpose() + DMatrix::identity(n, n)
    }

    #[test]
    fn factors_are_those_of_one_block() {
        for n in [1, 2, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK + 7] {
            let matrix = positive(n);
            let plain = Cholesky::new(matrix.clone()).unwrap();
            let blocked = cholesky(matrix.clone()).unwrap();
            // Values up to 100, each the sum of 200 products in another order.
            assert!((plain.l() - blocked.l()).amax() < 1e-9, "{n}");
            let right = DVector::from_fn(n, |i, _| i as f64);
            let off = &matrix * blocked.solve(&right) - &right;
            assert!(off.amax() < 1e-8, "{n}: {}", off.amax());
        }
    }

    #[test]
    fn what_is_not_positive_has_no_factor() {
        for at in [0, BLOCK - 1, BLOCK, 2 * BLOCK + 3] {
            for bad in [-1.0, f64::NAN] {
                let mut matrix = positive(2 * BLOCK + 9);
                matrix[(at, at)] = bad;
                assert!(cholesky(matrix).is_none(), "{at} {bad}");
            }
        }
    }
}
