//! The normal equations of the two active-set solvers.

/// Solves the symmetric system of `members`, entries `value(i, j)` and right sides `rhs(i)`, by its
/// Cholesky factor, into the members' places of `z`. False when it is singular: a pivot of member i
/// is at most `noise(i)`, the round-off of the sums that made it. `factor` is scratch of a float a
/// pair.
pub(super) fn solve(
    members: &[usize],
    value: impl Fn(usize, usize) -> f64,
    rhs: impl Fn(usize) -> f64,
    noise: impl Fn(usize) -> f64,
    factor: &mut [f64],
    z: &mut [f64],
) -> bool {
    let n = members.len();
    for (a, &i) in members.iter().enumerate() {
        let mut right = rhs(i);
        for (b, &j) in members[..=a].iter().enumerate() {
            let mut value = value(i, j);
            for c in 0..b {
                value -= factor[a * n + c] * factor[b * n + c];
            }
            if a == b {
                if value.is_nan() || value <= noise(i) {
                    return false;
                }
                factor[a * n + a] = value.sqrt();
            } else {
                factor[a * n + b] = value / factor[b * n + b];
            }
        }
        for (b, &j) in members[..a].iter().enumerate() {
            right -= factor[a * n + b] * z[j];
        }
        z[i] = right / factor[a * n + a];
    }
    for a in (0..n).rev() {
        let mut value = z[members[a]];
        for (b, &j) in members.iter().enumerate().skip(a + 1) {
            value -= factor[b * n + a] * z[j];
        }
        z[members[a]] = value / factor[a * n + a];
    }
    true
}
