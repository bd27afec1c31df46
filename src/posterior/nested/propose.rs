//! The normals that amounts are proposed from.

use pulp::Simd;

use super::vector::V;
use crate::engine::ground::lanes::LANES;

/// Precision that a proposal has beside that of its quadratic, around the amounts that fit best: it
/// holds amounts that no band tells apart near 1. Weights take it out again.
const RIDGE: f32 = 1.0;
/// The least brightness that the common mixture may have in a pixel.
const DARKEST: f32 = 1e-3;

/// A log density that is quadratic in the amounts, around those that fit best.
#[derive(Clone, Copy)]
pub(super) struct Quadratic<'a> {
    /// Its slope, (K, LANES).
    pub(super) linear: &'a [f32],
    /// Minus its curvature, (K, K, LANES).
    pub(super) square: &'a [f32],
}

/// The normal that free amounts are drawn from, one after the other: its precision P is `U U'` with
/// U upper triangular.
pub(super) struct Proposal<'a> {
    /// U, (free, free, LANES).
    pub(super) factor: &'a [f32],
    /// Its mean less the amounts that fit best, (free, LANES).
    pub(super) centre: &'a [f32],
    /// Inverse of U's diagonal, (free, LANES).
    pub(super) sds: &'a [f32],
    /// Logarithms of these, (free, LANES).
    pub(super) log_sds: &'a [f32],
}

impl<'a> Proposal<'a> {
    /// Values a lane that one of so many free amounts takes.
    pub(super) fn room(free: usize) -> usize {
        free * free + 3 * free
    }

    /// That which was written into a room.
    pub(super) fn of(free: usize, room: &'a [f32]) -> Self {
        let (factor, rest) = room.split_at(free * free * LANES);
        let (centre, rest) = rest.split_at(free * LANES);
        let (sds, log_sds) = rest.split_at(free * LANES);
        Proposal { factor, centre, sds, log_sds }
    }

    /// Writes that of a quadratic log density into a room.
    #[inline(always)]
    pub(super) fn write<S: Simd>(
        simd: S,
        part: usize,
        (k, free): (usize, usize),
        of: Quadratic,
        room: &mut [f32],
    ) {
        let (factor, rest) = room.split_at_mut(free * free * LANES);
        let (centre, rest) = rest.split_at_mut(free * LANES);
        let (sds, log_sds) = rest.split_at_mut(free * LANES);
        propose(simd, part, (k, free), of, (factor, centre, sds));
        for a in 0..free {
            let at = a * LANES + part;
            V::load(simd, sds, at).ln().store(log_sds, at);
        }
    }
}

/// The likelihood's quadratic times the normal that is most like the Dirichlet of the common
/// mixture, whose parameters are `powers` and what the mixture adds to them, (K, LANES). With m its
/// mean, β its total and g the brightness at which m suits the pixel best, minus the curvature is
/// β / g^2 (1 / m_k of each amount with itself, minus 1), and the brightness' own precision over
/// g^2; around g m. Without brightness, where amounts have sum one, β / m_k.
#[inline(always)]
pub(super) fn narrow<'a, S: Simd>(
    simd: S,
    part: usize,
    k: usize,
    (Quadratic { linear, square }, around): (Quadratic, &[f32]),
    (powers, common, brightness): (&[f32], &[f32], Option<f32>),
    room: &'a mut [f32],
) -> Quadratic<'a> {
    let (to_linear, to_square) = room.split_at_mut(k * LANES);
    let load = |from: &[f32], column: usize| V::load(simd, from, column * LANES + part);
    let c = |x: f32| V::splat(simd, x);
    let b = |a: usize| load(powers, a) + load(common, a);
    let mut beta = c(0.0);
    for a in 0..k {
        beta = beta + b(a);
    }
    let (mut size, mut precision, mut whole) = (c(1.0), beta, c(0.0));
    if let Some(of_log) = brightness {
        let (mut above, mut below) = (c(0.0), c(0.0));
        for i in 0..k {
            let m = b(i) / beta;
            above = m.mul_add(load(linear, i), above);
            for j in 0..k {
                let s = load(square, i * k + j) * m;
                above = s.mul_add(load(around, j), above);
                below = s.mul_add(b(j) / beta, below);
            }
        }
        size = (above / below).max(c(DARKEST));
        precision = beta / (size * size);
        whole = (c(of_log) - beta) / (size * size);
    }
    for i in 0..k {
        let mut slope = load(linear, i);
        for j in 0..k {
            let mut h = whole;
            if i == j {
                h = h + precision * beta / b(i);
            }
            let off = load(around, j) - size * b(j) / beta;
            slope = h.neg_mul_add(off, slope);
            (load(square, i * k + j) + h).store(to_square, (i * k + j) * LANES + part);
        }
        slope.store(to_linear, i * LANES + part);
    }
    Quadratic { linear: to_linear, square: to_square }
}

/// Factor, centre and sds of a [`Proposal`].
#[inline(always)]
fn propose<S: Simd>(
    simd: S,
    part: usize,
    (k, free): (usize, usize),
    Quadratic { linear, square }: Quadratic,
    (factor, centre, sds): (&mut [f32], &mut [f32], &mut [f32]),
) {
    let load = |from: &[f32], column: usize| V::load(simd, from, column * LANES + part);
    let ridge = V::splat(simd, RIDGE);
    let g = |i: usize, j: usize| load(square, i * k + j);
    // Without brightness the last amount is 1 minus the others: it goes from square and slope.
    let (last, all) = (k - 1, free == k);
    for a in (0..free).rev() {
        for b in (0..=a).rev() {
            let mut rest = g(a, b);
            if !all {
                rest = rest - g(a, last) - g(last, b) + g(last, last);
            }
            for c in a + 1..free {
                rest = load(factor, a * free + c).neg_mul_add(load(factor, b * free + c), rest);
            }
            let to = (b * free + a) * LANES + part;
            if a == b {
                // A pivot that rounding or a value that is no number took away.
                let pivot = (rest + ridge).max(ridge).sqrt();
                pivot.store(factor, to);
                (V::splat(simd, 1.0) / pivot).store(sds, a * LANES + part);
            } else {
                (rest * load(sds, a)).store(factor, to);
            }
        }
    }
    // U U' centre = slope.
    for a in (0..free).rev() {
        let mut rest = load(linear, a);
        if !all {
            rest = rest - load(linear, last);
        }
        for c in a + 1..free {
            rest = load(factor, a * free + c).neg_mul_add(load(centre, c), rest);
        }
        (rest * load(sds, a)).store(centre, a * LANES + part);
    }
    for a in 0..free {
        let mut rest = load(centre, a);
        for b in 0..a {
            rest = load(factor, b * free + a).neg_mul_add(load(centre, b), rest);
        }
        (rest * load(sds, a)).store(centre, a * LANES + part);
    }
}
