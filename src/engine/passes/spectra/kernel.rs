//! The loop over bands, in the widest vectors that the processor has (AVX-512, AVX2, NEON, or
//! none), chosen when the program runs.
#![allow(clippy::needless_range_loop, reason = "one index into registers of several arrays")]

use pulp::{Arch, Simd, WithSimd};

use super::vectors::{Logs, reciprocal};
use crate::engine::ground::lanes::prefetch;
use crate::engine::layout::limits::MOST_FUSED;
use crate::engine::layout::{Params, ROW_GROUP, VARIABILITY};
use crate::engine::pixels::Cube;

/// Chunks of the minibatch that follow each other, and where their sums go.
pub struct Chunks<'a> {
    pub p: &'a Params,
    pub cube: &'a Cube,
    pub theta: &'a [f32],
    pub draws: &'a [f32],
    /// Place of their first pixel in the minibatch.
    pub first: usize,
    pub pixels: &'a [u32],
    /// Sums over bands, (groups, particles, row_grad_stride, ROW_GROUP).
    pub row_sums: &'a mut [f32],
    /// Sums over the pixels of each chunk, (chunks, particles, columns, stride).
    pub band_sums: &'a mut [f32],
}

/// Rows that share one reading of endmembers and of sums over pixels: at six endmembers their
/// amounts, or their sums over bands, are 24 of the 32 vector registers.
const ROWS: usize = 4;

/// Vectors of bands at a time: 8 KiB for [`ROWS`] rows, a quarter of the nearest cache.
const BLOCK: usize = 16;

/// Computes the sums of some chunks, with loops over endmembers unrolled into registers where
/// endmembers are few.
pub fn run(arch: Arch, chunks: Chunks<'_>) {
    macro_rules! with {
        ($k:expr) => {
            match chunks.p.has(VARIABILITY) {
                true => arch.dispatch(Spectra::<$k, true>(chunks)),
                false => arch.dispatch(Spectra::<$k, false>(chunks)),
            }
        };
    }
    match chunks.p.k() {
        2 => with!(2),
        3 => with!(3),
        4 => with!(4),
        5 => with!(5),
        6 => with!(6),
        _ => with!(MOST_FUSED),
    }
}

/// The loop over chunks for K endmembers, or for any number up to [`MOST_FUSED`], with or without
/// variability.
struct Spectra<'a, const K: usize, const VARIES: bool>(Chunks<'a>);

/// What all rows need to know of a vector of bands. The fields lie side by side, so that one
/// pointer leads to all of them, and begin with a cache line, which vectors alone do not ask for.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Bands<V, const K: usize> {
    endmembers: [V; K],
    /// Variances of the endmembers' variability.
    vary: [V; K],
    /// Variance of the noise; without variability its inverse.
    noise: V,
}

impl<const K: usize, const VARIES: bool> WithSimd for Spectra<'_, K, VARIES> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Chunks { p, cube, theta, draws, first, pixels, row_sums, band_sums } = self.0;
        let (particles, chunk_rows) = (p.particles as usize, p.chunk_rows as usize);
        let (per_row, vectors) = (p.row_grad_stride(), p.stride() / S::F32_LANES);
        // Spectra of a group, which follow each other: up to its end, or to that of the pixels.
        let of_group = |pixels: &[u32]| -> &[S::f32s] {
            let rows = pixels.len().min(ROW_GROUP);
            match pixels.first() {
                Some(&pixel) => S::as_simd_f32s(cube.spectra_padded(pixel as usize, rows)).0,
                None => &[],
            }
        };
        let zero = simd.splat_f32s(0.0);
        let none = Bands::<S::f32s, K> { endmembers: [zero; K], vary: [zero; K], noise: zero };
        let mut rows = Rows::<S, K, VARIES> {
            simd,
            endmembers: p.k(),
            weight: p.weight,
            bands: [none; BLOCK],
            sums: [none; BLOCK],
            amounts: [[0.0; ROW_GROUP]; K],
            squares: [[0.0; ROW_GROUP]; K],
            a: [[zero; BLOCK]; ROWS],
            twice_b: [[zero; BLOCK]; ROWS],
        };
        for (chunk, band_sums) in
            band_sums.chunks_exact_mut(particles * p.columns() * p.stride()).enumerate()
        {
            let left = &pixels[chunk * chunk_rows..];
            let own = &left[..chunk_rows.min(left.len())];
            let row_sums = &mut row_sums[chunk * chunk_rows * particles * per_row..];
            for at in (0..vectors).step_by(BLOCK) {
                let n = BLOCK.min(vectors - at);
                for (particle, (theta, band_sums)) in theta
                    .chunks_exact(p.theta_stride())
                    .zip(band_sums.chunks_exact_mut(p.columns() * p.stride()))
                    .enumerate()
                {
                    let theta = S::as_simd_f32s(theta).0;
                    let noise_logs = rows.begin(&theta[at..], vectors, n);
                    for (group, pixels) in own.chunks(ROW_GROUP).enumerate() {
                        let place = chunk * chunk_rows + group * ROW_GROUP;
                        let draw = p.row_at(particle, first + place, p.draw_stride());
                        rows.take(&draws[draw..][..p.draw_stride() * ROW_GROUP]);
                        let spectra = of_group(pixels);
                        let next = match left.get((group + 1) * ROW_GROUP..) {
                            Some(pixels) if particle == 0 => of_group(pixels),
                            _ => &[],
                        };
                        let out = p.row_at(particle, group * ROW_GROUP, per_row);
                        let out = &mut row_sums[out..][..per_row * ROW_GROUP];
                        for from in (0..pixels.len()).step_by(ROWS) {
                            let count = ROWS.min(pixels.len() - from);
                            let row = |r: usize| &spectra[(from + r) * vectors + at..][..n];
                            let y = std::array::from_fn(|r| row(r.min(count - 1)));
                            for ahead in next.chunks_exact(vectors).skip(from).take(ROWS) {
                                ahead[at..][..n].iter().for_each(prefetch);
                            }
                            rows.add(n, y, noise_logs, at == 0, (out, from, count));
                        }
                    }
                    rows.end(&mut S::as_mut_simd_f32s(band_sums).0[at..], vectors, n, own.len());
                }
            }
            // Padding is no data.
            for sums in band_sums.chunks_exact_mut(p.stride()) {
                sums[p.bands as usize..].fill(0.0);
            }
        }
    }
}

/// A particle's rows at a few bands.
#[repr(C, align(64))]
struct Rows<S: Simd, const K: usize, const VARIES: bool> {
    bands: [Bands<S::f32s, K>; BLOCK],
    /// Sums over rows of A, 2 W^2 B and 2 B, the last without what all rows share.
    sums: [Bands<S::f32s, K>; BLOCK],
    /// Amounts of each endmember in a group of rows: abundance times brightness.
    amounts: [[f32; ROW_GROUP]; K],
    /// Squares of the abundances of each endmember in a group of rows.
    squares: [[f32; ROW_GROUP]; K],
    /// A of [`ROWS`] rows.
    a: [[S::f32s; BLOCK]; ROWS],
    /// 2 B of [`ROWS`] rows.
    twice_b: [[S::f32s; BLOCK]; ROWS],
    simd: S,
    /// The number of endmembers, of which K may be only an upper bound.
    endmembers: usize,
    weight: f32,
}

impl<S: Simd, const K: usize, const VARIES: bool> Rows<S, K, VARIES> {
    #[inline(always)]
    fn k(&self) -> usize {
        if K == MOST_FUSED { self.endmembers } else { K }
    }

    /// Takes `n` vectors of theta, whose rows of bands are `stride` vectors long. Gives the sum of
    /// the log variances where they are the same for all rows, without variability.
    #[inline(always)]
    fn begin(&mut self, theta: &[S::f32s], stride: usize, n: usize) -> f32 {
        let (simd, k) = (self.simd, self.k());
        let zero = simd.splat_f32s(0.0);
        let mut logs = Logs::new(simd);
        for v in 0..n {
            let (bands, sums) = (&mut self.bands[v], &mut self.sums[v]);
            for i in 0..k {
                bands.endmembers[i] = theta[i * stride + v];
                sums.endmembers[i] = zero;
                if VARIES {
                    bands.vary[i] = theta[(k + 1 + i) * stride + v];
                    sums.vary[i] = zero;
                }
            }
            bands.noise = theta[(k + usize::from(!VARIES)) * stride + v];
            sums.noise = zero;
            if !VARIES {
                logs.multiply(simd, theta[k * stride + v]);
            }
        }
        logs.sum(simd)
    }

    /// Takes the draws of a group of rows, (draw_stride, ROW_GROUP).
    #[inline(always)]
    fn take(&mut self, draws: &[f32]) {
        let k = self.k();
        let column = |at: usize| &draws[at * ROW_GROUP..][..ROW_GROUP];
        let brightness = column(2 * k);
        for i in 0..k {
            let w = column(i);
            for r in 0..ROW_GROUP {
                self.amounts[i][r] = w[r] * brightness[r];
                self.squares[i][r] = w[r] * w[r];
            }
        }
    }

    /// Adds [`ROWS`] rows of the group, the first `count` of which hold pixels, from row `from` on:
    /// A and B of each, sums over bands, sums over rows, each a loop that has what it needs in
    /// registers. `out` are the group's sums over bands, side by side.
    #[inline(always)]
    fn add(
        &mut self,
        n: usize,
        y: [&[S::f32s]; ROWS],
        noise_logs: f32,
        fresh: bool,
        (out, from, count): (&mut [f32], usize, usize),
    ) {
        let (simd, k, weight) = (self.simd, self.k(), self.weight);
        let zero = simd.splat_f32s(0.0);
        let mut fit = [zero; ROWS];
        let mut logs = [noise_logs; ROWS];
        if VARIES {
            for r in 0..ROWS {
                (fit[r], logs[r]) = self.varying(r, n, y[r], from + r);
            }
        } else {
            for r in (0..ROWS).step_by(2) {
                let two = self.alike(r, n, [y[r], y[r + 1]], from + r);
                [fit[r], fit[r + 1]] = two;
            }
        }
        for r in count..ROWS {
            self.a[r][..n].fill(zero);
            self.twice_b[r][..n].fill(zero);
        }
        let mut by_mean = [[zero; K]; ROWS];
        let mut by_variance = [[zero; K]; ROWS];
        for r in (0..ROWS).step_by(2) {
            self.over_bands(r, n, &self.a, |bands| &bands.endmembers, &mut by_mean);
            if VARIES {
                self.over_bands(r, n, &self.twice_b, |bands| &bands.vary, &mut by_variance);
            }
        }
        self.over_rows(n, from);
        for r in 0..count {
            let mut write = |column: usize, sum: f32| {
                let out = &mut out[column * ROW_GROUP + from + r];
                *out = if fresh { sum } else { *out + sum };
            };
            for i in 0..k {
                write(i, weight * simd.reduce_sum_f32s(by_mean[r][i]));
                // Without variability they are zero, as they were when the buffer was made.
                if VARIES {
                    write(k + i, 0.5 * weight * simd.reduce_sum_f32s(by_variance[r][i]));
                }
            }
            write(2 * k, -0.5 * weight * (simd.reduce_sum_f32s(fit[r]) + logs[r]));
        }
    }

    /// A and B of a row whose variances are its own; gives the sum of residual times A, and that of
    /// log variances.
    #[inline(always)]
    fn varying(&mut self, r: usize, n: usize, y: &[S::f32s], row: usize) -> (S::f32s, f32) {
        let (simd, k) = (self.simd, self.k());
        let mut amount = [simd.splat_f32s(0.0); K];
        let mut square = amount;
        for i in 0..k {
            amount[i] = simd.splat_f32s(self.amounts[i][row]);
            square[i] = simd.splat_f32s(self.squares[i][row]);
        }
        let mut fit = simd.splat_f32s(0.0);
        let mut logs = Logs::new(simd);
        let (y, bands) = (&y[..n], &self.bands[..n]);
        let (a, twice_b) = (&mut self.a[r][..n], &mut self.twice_b[r][..n]);
        // Two vectors share a reciprocal and a logarithm: 1 / s = t / (s t).
        for v in (1..n).step_by(2) {
            let (first, second) = (
                normal::<S, K>(simd, k, y[v - 1], &bands[v - 1], &amount, &square),
                normal::<S, K>(simd, k, y[v], &bands[v], &amount, &square),
            );
            let both = simd.mul_f32s(first.1, second.1);
            logs.multiply(simd, both);
            let inverse = reciprocal(simd, both);
            let precision = simd.mul_f32s(inverse, second.1);
            (a[v - 1], twice_b[v - 1], fit) = scores(simd, first.0, precision, fit);
            let precision = simd.mul_f32s(inverse, first.1);
            (a[v], twice_b[v], fit) = scores(simd, second.0, precision, fit);
        }
        if n % 2 == 1 {
            let v = n - 1;
            let (residual, variance) = normal::<S, K>(simd, k, y[v], &bands[v], &amount, &square);
            logs.multiply(simd, variance);
            (a[v], twice_b[v], fit) = scores(simd, residual, reciprocal(simd, variance), fit);
        }
        (fit, logs.sum(simd))
    }

    /// A of two rows whose variances are those of all; the sums of residual times A.
    #[inline(always)]
    fn alike(&mut self, r: usize, n: usize, y: [&[S::f32s]; 2], row: usize) -> [S::f32s; 2] {
        let (simd, k) = (self.simd, self.k());
        let mut amount = [[simd.splat_f32s(0.0); K]; 2];
        for e in 0..2 {
            for i in 0..k {
                amount[e][i] = simd.splat_f32s(self.amounts[i][row + e]);
            }
        }
        let mut fit = [simd.splat_f32s(0.0); 2];
        let y = [&y[0][..n], &y[1][..n]];
        let bands = &self.bands[..n];
        for v in 0..n {
            let mut residual = [y[0][v], y[1][v]];
            for i in 0..k {
                let c = bands[v].endmembers[i];
                for e in 0..2 {
                    residual[e] = simd.negate_mul_add_e_f32s(amount[e][i], c, residual[e]);
                }
            }
            for e in 0..2 {
                let a = simd.mul_f32s(residual[e], bands[v].noise);
                fit[e] = simd.mul_add_e_f32s(residual[e], a, fit[e]);
                self.a[r + e][v] = a;
            }
        }
        fit
    }

    /// `sums_ri = sum_v x_rv with_iv` of two rows, whose sums the registers have room for.
    #[inline(always)]
    fn over_bands(
        &self,
        r: usize,
        n: usize,
        x: &[[S::f32s; BLOCK]; ROWS],
        with: impl Fn(&Bands<S::f32s, K>) -> &[S::f32s; K],
        sums: &mut [[S::f32s; K]; ROWS],
    ) {
        let simd = self.simd;
        let x = [&x[r][..n], &x[r + 1][..n]];
        let bands = &self.bands[..n];
        let mut own = [[simd.splat_f32s(0.0); K]; 2];
        for v in 0..n {
            let with = with(&bands[v]);
            for i in 0..self.k() {
                for e in 0..2 {
                    own[e][i] = simd.mul_add_e_f32s(x[e][v], with[i], own[e][i]);
                }
            }
        }
        [sums[r], sums[r + 1]] = own;
    }

    /// Adds what the rows give to the sums over pixels.
    #[inline(always)]
    fn over_rows(&mut self, n: usize, from: usize) {
        let (simd, k) = (self.simd, self.k());
        let mut factors = [[simd.splat_f32s(0.0); K]; ROWS];
        for r in 0..ROWS {
            for i in 0..k {
                factors[r][i] = simd.splat_f32s(self.amounts[i][from + r]);
            }
        }
        for v in 0..n {
            let sums = &mut self.sums[v];
            let mut noise = sums.noise;
            let mut a = [simd.splat_f32s(0.0); ROWS];
            for r in 0..ROWS {
                a[r] = self.a[r][v];
                if !VARIES {
                    noise = simd.mul_add_e_f32s(a[r], a[r], noise);
                }
            }
            sums.noise = noise;
            for i in 0..k {
                let mut sum = sums.endmembers[i];
                for r in 0..ROWS {
                    sum = simd.mul_add_e_f32s(factors[r][i], a[r], sum);
                }
                sums.endmembers[i] = sum;
            }
        }
        if !VARIES {
            return;
        }
        for r in 0..ROWS {
            for i in 0..k {
                factors[r][i] = simd.splat_f32s(self.squares[i][from + r]);
            }
        }
        for v in 0..n {
            let sums = &mut self.sums[v];
            let mut noise = sums.noise;
            let mut b = [simd.splat_f32s(0.0); ROWS];
            for r in 0..ROWS {
                b[r] = self.twice_b[r][v];
                noise = simd.add_f32s(noise, b[r]);
            }
            sums.noise = noise;
            for i in 0..k {
                let mut sum = sums.vary[i];
                for r in 0..ROWS {
                    sum = simd.mul_add_e_f32s(factors[r][i], b[r], sum);
                }
                sums.vary[i] = sum;
            }
        }
    }

    /// Writes the sums over the rows that were added.
    #[inline(always)]
    fn end(&self, to: &mut [S::f32s], stride: usize, n: usize, rows: usize) {
        let (simd, k) = (self.simd, self.k());
        let (mean, variance) = (simd.splat_f32s(self.weight), simd.splat_f32s(0.5 * self.weight));
        let rows = simd.splat_f32s(rows as f32);
        for v in 0..n {
            let sums = &self.sums[v];
            let twice_b = match VARIES {
                true => sums.noise,
                false => simd.negate_mul_add_e_f32s(rows, self.bands[v].noise, sums.noise),
            };
            to[k * stride + v] = simd.mul_f32s(variance, twice_b);
            for i in 0..k {
                to[i * stride + v] = simd.mul_f32s(mean, sums.endmembers[i]);
                if VARIES {
                    to[(k + 1 + i) * stride + v] = simd.mul_f32s(variance, sums.vary[i]);
                }
            }
        }
    }
}

/// Residual and variance of a row at a vector of bands.
#[inline(always)]
fn normal<S: Simd, const K: usize>(
    simd: S,
    k: usize,
    y: S::f32s,
    bands: &Bands<S::f32s, K>,
    amount: &[S::f32s; K],
    square: &[S::f32s; K],
) -> (S::f32s, S::f32s) {
    let (mut residual, mut variance) = (y, bands.noise);
    for i in 0..k {
        residual = simd.negate_mul_add_e_f32s(amount[i], bands.endmembers[i], residual);
        variance = simd.mul_add_e_f32s(square[i], bands.vary[i], variance);
    }
    (residual, variance)
}

/// A, 2 B, and the sum of residual times A with one more.
#[inline(always)]
fn scores<S: Simd>(
    simd: S,
    residual: S::f32s,
    precision: S::f32s,
    fit: S::f32s,
) -> (S::f32s, S::f32s, S::f32s) {
    let a = simd.mul_f32s(residual, precision);
    let twice_b = simd.mul_add_e_f32s(a, a, simd.neg_f32s(precision));
    (a, twice_b, simd.mul_add_e_f32s(residual, a, fit))
}
