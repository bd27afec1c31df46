//! Sums over bands of sixteen pixels, a pixel in each lane of a vector: what quadratic forms of
//! amounts are made of.

use pulp::Simd;

use super::vector::V;
use crate::engine::ground::lanes::LANES;

/// Spectra side by side, (L, columns).
#[derive(Clone, Copy)]
pub(super) struct Table<'a> {
    pub(super) values: &'a [f32],
    pub(super) columns: usize,
}

/// Columns of the left and right table that are taken at once: their products, a column of each
/// and one more are the sixteen vector registers that the smallest processors have.
const LEFT: usize = 3;
const RIGHT: usize = 4;
/// Columns that are taken at once where there is one table.
const ALONE: usize = 8;

/// Σ_l p_l a_li b_lj of all columns i of `left` and j of `right`: p is (L, LANES), `to` is (left
/// columns, right columns, LANES). Where `half` is true both tables are one, and only j <= i is
/// written.
#[inline(always)]
pub(super) fn products<S: Simd>(
    simd: S,
    part: usize,
    p: &[f32],
    (left, right): (Table, Table),
    half: bool,
    to: &mut [f32],
) {
    // Blocks none of which is much smaller than the others.
    let most = if half { LEFT } else { RIGHT };
    let ends = move |b: usize, count: usize, most: usize| {
        let blocks = count.div_ceil(most);
        (b * count / blocks, (b + 1) * count / blocks)
    };
    for i in 0..left.columns.div_ceil(LEFT) {
        let i = ends(i, left.columns, LEFT);
        for j in 0..right.columns.div_ceil(most) {
            let j = ends(j, right.columns, most);
            if half && j.0 > i.0 {
                break;
            }
            macro_rules! sizes {
                ($($i:literal $j:literal $half:literal),*) => {
                    match (i.1 - i.0, j.1 - j.0, half && i == j) {
                        $(($i, $j, $half) => {
                            block::<S, $i, $j, $half>(simd, part, p, (left, right), (i.0, j.0), to);
                        })*
                        _ => {}
                    }
                };
            }
            sizes!(
                1 1 true, 2 2 true, 3 3 true,
                1 1 false, 1 2 false, 1 3 false, 1 4 false,
                2 1 false, 2 2 false, 2 3 false, 2 4 false,
                3 1 false, 3 2 false, 3 3 false, 3 4 false
            );
        }
    }
}

/// The products of I columns from `i` on with J columns from `j` on, or (HALF) of those with
/// themselves.
#[inline(always)]
fn block<S: Simd, const I: usize, const J: usize, const HALF: bool>(
    simd: S,
    part: usize,
    p: &[f32],
    (left, right): (Table, Table),
    (i, j): (usize, usize),
    to: &mut [f32],
) {
    let mut sums = [[V::splat(simd, 0.0); J]; I];
    let rows = left.values.chunks_exact(left.columns).zip(right.values.chunks_exact(right.columns));
    for (p, (left, right)) in p.chunks_exact(LANES).zip(rows) {
        let p = V::load(simd, p, part);
        let (left, right) = (&left[i..i + I], &right[j..j + J]);
        for a in 0..I {
            let weighted = p * V::splat(simd, left[a]);
            for b in 0..J {
                if !HALF || b <= a {
                    sums[a][b] = weighted.mul_add(V::splat(simd, right[b]), sums[a][b]);
                }
            }
        }
    }
    for (a, sums) in sums.into_iter().enumerate() {
        for (b, sum) in sums.into_iter().enumerate() {
            if !HALF || b <= a {
                sum.store(to, ((i + a) * right.columns + j + b) * LANES + part);
            }
        }
    }
}

/// Σ_l x_l a_li of all columns i: x is (L, LANES), `to` is (columns, LANES).
#[inline(always)]
pub(super) fn sums<S: Simd>(simd: S, part: usize, x: &[f32], of: Table, to: &mut [f32]) {
    for first in (0..of.columns).step_by(ALONE) {
        macro_rules! sizes {
            ($($count:literal),*) => {
                match ALONE.min(of.columns - first) {
                    $($count => few::<S, $count>(simd, part, x, of, first, to),)*
                    _ => {}
                }
            };
        }
        sizes!(1, 2, 3, 4, 5, 6, 7, 8);
    }
}

/// Those of COUNT columns from `first` on.
#[inline(always)]
fn few<S: Simd, const COUNT: usize>(
    simd: S,
    part: usize,
    x: &[f32],
    of: Table,
    first: usize,
    to: &mut [f32],
) {
    let mut sums = [V::splat(simd, 0.0); COUNT];
    for (x, row) in x.chunks_exact(LANES).zip(of.values.chunks_exact(of.columns)) {
        let (x, row) = (V::load(simd, x, part), &row[first..first + COUNT]);
        for a in 0..COUNT {
            sums[a] = x.mul_add(V::splat(simd, row[a]), sums[a]);
        }
    }
    for (a, sum) in sums.into_iter().enumerate() {
        sum.store(to, (first + a) * LANES + part);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pulp::{Arch, WithSimd};

    const BANDS: usize = 5;

    struct Both<'a> {
        p: &'a [f32],
        tables: (Table<'a>, Table<'a>),
        half: bool,
        products: &'a mut [f32],
        sums: &'a mut [f32],
    }

    impl WithSimd for Both<'_> {
        type Output = ();

        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) {
            for part in (0..LANES).step_by(S::F32_LANES) {
                products(simd, part, self.p, self.tables, self.half, self.products);
                sums(simd, part, self.p, self.tables.1, self.sums);
            }
        }
    }

    fn many(seed: usize, count: usize) -> Vec<f32> {
        (0..count).map(|at| ((at * 37 + seed * 101) % 89) as f32 / 89.0).collect()
    }

    /// Every width of block, alone and beside others, and nothing else written.
    #[test]
    fn products_and_sums_are_those_written_out() {
        let p = many(1, BANDS * LANES);
        for (i, j) in (1..10).flat_map(|i| (1..18).map(move |j| (i, j))) {
            for half in [false, true] {
                let (left, right) = (many(2, BANDS * i), many(3, BANDS * j));
                let left = Table { values: &left, columns: i };
                let right = if half { left } else { Table { values: &right, columns: j } };
                let columns = right.columns;
                let mut found = vec![-1.0; i * columns * LANES];
                let mut sums = vec![-1.0; columns * LANES];
                let tables = (left, right);
                let both = Both { p: &p, tables, half, products: &mut found, sums: &mut sums };
                Arch::new().dispatch(both);
                let of = |table: Table, l: usize, a: usize| {
                    f64::from(table.values[l * table.columns + a])
                };
                for (b, lane) in (0..columns).flat_map(|b| (0..LANES).map(move |lane| (b, lane))) {
                    let p = |l: usize| f64::from(p[l * LANES + lane]);
                    let sum: f64 = (0..BANDS).map(|l| p(l) * of(right, l, b)).sum();
                    // Sums of five values below one, each rounded to 6e-8 of its own.
                    assert!((f64::from(sums[b * LANES + lane]) - sum).abs() < 1e-6);
                    for a in 0..i {
                        let own = |l: usize| p(l) * of(left, l, a) * of(right, l, b);
                        let sum: f64 = if half && b > a { -1.0 } else { (0..BANDS).map(own).sum() };
                        let found = f64::from(found[(a * columns + b) * LANES + lane]);
                        assert!(
                            (found - sum).abs() < 1e-6,
                            "{i} {j} {half} {a} {b}: {found} {sum}"
                        );
                    }
                }
            }
        }
    }
}
