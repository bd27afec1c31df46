//! The loop over bands, in the widest vectors that the processor has (AVX-512, AVX2, NEON, or none),
//! chosen when the program runs.

use pulp::{Arch, Simd, WithSimd};

use super::super::MOST_FUSED;
use crate::lanes::prefetch;
use crate::layout::{MOST_PARTICLES, Params, VARIABILITY};
use crate::scene::Cube;

/// A chunk of the minibatch and where its sums go.
pub struct Chunk<'a> {
    pub p: &'a Params,
    pub cube: &'a Cube,
    pub theta: &'a [f32],
    pub draws: &'a [f32],
    /// Place in the minibatch of the first pixel.
    pub first: usize,
    pub pixels: &'a [u32],
    /// (pixels, particles, row_grad_stride).
    pub row_sums: &'a mut [f32],
    /// (particles, columns, stride).
    pub band_sums: &'a mut [f32],
}

/// Factors in [1, 2) whose product is surely finite in f32.
const MOST_FACTORS: usize = 64;

/// Does a chunk, with loops over endmembers unrolled into registers where these are few.
pub fn run(arch: Arch, chunk: Chunk<'_>) {
    macro_rules! with {
        ($k:expr) => {
            match chunk.p.has(VARIABILITY) {
                true => arch.dispatch(Spectra::<$k, 1, true>(chunk)),
                false => arch.dispatch(Spectra::<$k, 2, false>(chunk)),
            }
        };
    }
    match chunk.p.k() {
        2 => with!(2),
        3 => with!(3),
        4 => with!(4),
        5 => with!(5),
        6 => with!(6),
        _ => with!(MOST_FUSED),
    }
}

/// A chunk for K endmembers, or up to [`MOST_FUSED`], with or without variability. ROWS pixels share one
/// reading of endmembers, variances and sums over pixels: as many as the 32 vector registers have room
/// for at three endmembers.
struct Spectra<'a, const K: usize, const ROWS: usize, const VARIES: bool>(Chunk<'a>);

impl<const K: usize, const ROWS: usize, const VARIES: bool> WithSimd
    for Spectra<'_, K, ROWS, VARIES>
{
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Chunk { p, cube, theta, draws, first, pixels, row_sums, band_sums } = self.0;
        let (stride, batch, particles) = (p.stride(), p.batch as usize, p.particles as usize);
        let per_row = p.row_grad_stride();
        band_sums.fill(0.0);
        let mut noise_logs = [0.0; MOST_PARTICLES];
        if !VARIES {
            for (sum, theta) in noise_logs.iter_mut().zip(theta.chunks_exact(p.theta_stride())) {
                let noise = S::as_simd_f32s(&theta[p.noise_at()..][..stride]).0;
                let mut logs = Logs::new(simd);
                for block in noise.chunks(MOST_FACTORS) {
                    for &variance in block {
                        logs.multiply(simd, variance);
                    }
                    logs.fold(simd);
                }
                *sum = logs.sum(simd);
            }
        }
        let mut later = pixels.iter().skip(ROWS);
        for (place, (pixels, row_sums)) in
            pixels.chunks(ROWS).zip(row_sums.chunks_mut(ROWS * particles * per_row)).enumerate()
        {
            let place = first + place * ROWS;
            for &pixel in later.by_ref().take(ROWS) {
                prefetch(cube.spectrum_padded(pixel as usize));
            }
            for (particle, band_sums) in
                band_sums.chunks_exact_mut(p.columns() * stride).enumerate()
            {
                let theta = &theta[particle * p.theta_stride()..][..p.theta_stride()];
                let mut rows = Rows::<S, K, ROWS, VARIES> {
                    simd,
                    endmembers: p.k(),
                    weight: p.weight,
                    vectors: stride / S::F32_LANES,
                    noise_logs: noise_logs[particle],
                    theta: S::as_simd_f32s(theta).0,
                    band_sums: S::as_mut_simd_f32s(band_sums).0,
                };
                let mut block = [Row::default(); ROWS];
                for (i, row) in block.iter_mut().enumerate() {
                    let at = i.min(pixels.len() - 1);
                    let draw = &draws[(particle * batch + place + at) * p.draw_stride()..];
                    row.y = S::as_simd_f32s(cube.spectrum_padded(pixels[at] as usize)).0;
                    row.draw = draw;
                    row.counts = i < pixels.len();
                }
                let out = row_sums.chunks_exact_mut(per_row).skip(particle).step_by(particles);
                rows.add(block, out);
            }
        }
        // Padding is no data.
        for (column, sums) in band_sums.chunks_exact_mut(stride).enumerate() {
            let of_mean = column % p.columns() < p.k();
            let weight = if of_mean { p.weight } else { 0.5 * p.weight };
            for sum in &mut sums[..p.bands as usize] {
                *sum *= weight;
            }
            sums[p.bands as usize..].fill(0.0);
        }
    }
}

/// One pixel's spectrum and draw.
#[derive(Clone, Copy)]
struct Row<'a, V> {
    y: &'a [V],
    /// As a row of [`crate::layout::Buf::Draws`].
    draw: &'a [f32],
    /// False for a row that only fills up the last block.
    counts: bool,
}

impl<V> Default for Row<'_, V> {
    fn default() -> Self {
        Row { y: &[], draw: &[], counts: false }
    }
}

/// What a particle's rows share. Slices of vectors: endmembers (K), noise variance and variability
/// (K) of `theta`, without variability the noise precision after the noise; sums over pixels of A (K),
/// B and W^2 B (K).
struct Rows<'a, S: Simd, const K: usize, const ROWS: usize, const VARIES: bool> {
    simd: S,
    /// The number of endmembers, where K is only the most there may be.
    endmembers: usize,
    weight: f32,
    vectors: usize,
    /// Without variability: the sum of log variances, the same for all pixels.
    noise_logs: f32,
    theta: &'a [S::f32s],
    band_sums: &'a mut [S::f32s],
}

/// The first K rows of so many vectors, of equal length, which the compiler then knows.
#[inline(always)]
fn split<V, const K: usize>(rows: &[V], vectors: usize, k: usize) -> [&[V]; K] {
    let mut split = [&rows[..0]; K];
    for i in 0..k {
        split[i] = &rows[i * vectors..][..vectors];
    }
    split
}

/// The same to be written, as many as there are; the others are empty.
fn split_mut<V, const K: usize>(rows: &mut [V], vectors: usize) -> [&mut [V]; K] {
    let mut rows = rows.chunks_exact_mut(vectors);
    std::array::from_fn(|_| rows.next().unwrap_or_default())
}

impl<S: Simd, const K: usize, const ROWS: usize, const VARIES: bool> Rows<'_, S, K, ROWS, VARIES> {
    /// Adds a block of rows; `out` are the sums over bands of those that count.
    #[inline(always)]
    fn add<'o>(
        &mut self,
        rows: [Row<'_, S::f32s>; ROWS],
        out: impl Iterator<Item = &'o mut [f32]>,
    ) {
        let (simd, vectors) = (self.simd, self.vectors);
        let k = if K == MOST_FUSED { self.endmembers } else { K };
        let zero = simd.splat_f32s(0.0);
        let mut amounts = [[zero; K]; ROWS];
        let mut squares = [[zero; K]; ROWS];
        // The half of B = (A^2 - 1 / variance) / 2 is left to the end, and stands here as 1 or 0.
        let mut counts = [zero; ROWS];
        for (r, row) in rows.iter().enumerate().filter(|(_, row)| row.counts) {
            counts[r] = simd.splat_f32s(1.0);
            for i in 0..k {
                let w = row.draw[i];
                amounts[r][i] = simd.splat_f32s(w * row.draw[2 * k]);
                squares[r][i] = simd.splat_f32s(w * w);
            }
        }
        let mut by_mean = [[zero; K]; ROWS];
        let mut by_variance = [[zero; K]; ROWS];
        let mut fit = [zero; ROWS];
        let mut logs = [Logs::new(simd); ROWS];
        let endmembers: [&[S::f32s]; K] = split(self.theta, vectors, k);
        let noise = &self.theta[k * vectors..][..vectors];
        let precisions = &self.theta[(k + 1) * vectors..][..vectors];
        let vary: [&[S::f32s]; K] =
            split(&self.theta[(k + 1) * vectors..], vectors, if VARIES { k } else { 0 });
        let (sum_mean, rest) = self.band_sums.split_at_mut(k * vectors);
        let (sum_variance, sum_vary) = rest.split_at_mut(vectors);
        let sum_mean: [&mut [S::f32s]; K] = split_mut(sum_mean, vectors);
        let sum_vary: [&mut [S::f32s]; K] = split_mut(sum_vary, vectors);
        let mut y: [&[S::f32s]; ROWS] = [&[]; ROWS];
        for r in 0..ROWS {
            y[r] = &rows[r].y[..vectors];
        }
        for first in (0..vectors).step_by(MOST_FACTORS) {
            for v in first..vectors.min(first + MOST_FACTORS) {
                // Loaded and stored once a vector: the compiler cannot know that sums and endmembers
                // are different memory.
                let mut variance_sum = sum_variance[v];
                let mut c = [zero; K];
                for i in 0..k {
                    c[i] = endmembers[i][v];
                }
                let mut a = [zero; ROWS];
                let mut twice_b = [zero; ROWS];
                for r in 0..ROWS {
                    let mut residual = y[r][v];
                    for i in 0..k {
                        residual = simd.negate_mul_add_e_f32s(amounts[r][i], c[i], residual);
                    }
                    let precision = if VARIES {
                        let mut variance = noise[v];
                        for i in 0..k {
                            variance = simd.mul_add_e_f32s(squares[r][i], vary[i][v], variance);
                        }
                        logs[r].multiply(simd, variance);
                        reciprocal(simd, variance)
                    } else {
                        precisions[v]
                    };
                    a[r] = simd.mul_f32s(residual, precision);
                    twice_b[r] = simd.mul_add_e_f32s(a[r], a[r], simd.neg_f32s(precision));
                    fit[r] = simd.mul_add_e_f32s(residual, a[r], fit[r]);
                    variance_sum = simd.mul_add_e_f32s(counts[r], twice_b[r], variance_sum);
                }
                sum_variance[v] = variance_sum;
                for i in 0..k {
                    let mut sum = sum_mean[i][v];
                    for r in 0..ROWS {
                        by_mean[r][i] = simd.mul_add_e_f32s(a[r], c[i], by_mean[r][i]);
                        sum = simd.mul_add_e_f32s(amounts[r][i], a[r], sum);
                    }
                    sum_mean[i][v] = sum;
                }
                if VARIES {
                    for i in 0..k {
                        let (mut sum, vary) = (sum_vary[i][v], vary[i][v]);
                        for r in 0..ROWS {
                            by_variance[r][i] =
                                simd.mul_add_e_f32s(twice_b[r], vary, by_variance[r][i]);
                            sum = simd.mul_add_e_f32s(squares[r][i], twice_b[r], sum);
                        }
                        sum_vary[i][v] = sum;
                    }
                }
            }
            for log in &mut logs {
                log.fold(simd);
            }
        }
        for (r, out) in out.take(ROWS).enumerate() {
            for i in 0..k {
                out[i] = self.weight * simd.reduce_sum_f32s(by_mean[r][i]);
                out[k + i] = 0.5 * self.weight * simd.reduce_sum_f32s(by_variance[r][i]);
            }
            let fit = simd.reduce_sum_f32s(fit[r]);
            let logs = if VARIES { logs[r].sum(simd) } else { self.noise_logs };
            out[2 * k] = -0.5 * self.weight * (fit + logs);
        }
    }
}

/// `1 / x` of a positive, normal x: a guess from the bits, 12 % off at most, and three of Newton's
/// steps, each of which squares that. Seven operations where a division takes as long as thirty.
#[inline(always)]
fn reciprocal<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    let bits = simd.sub_u32s(simd.splat_u32s(0x7ef3_11c7), simd.transmute_u32s_f32s(x));
    let mut guess = simd.transmute_f32s_u32s(bits);
    for _ in 0..3 {
        let error = simd.negate_mul_add_e_f32s(x, guess, simd.splat_f32s(1.0));
        guess = simd.mul_add_e_f32s(guess, error, guess);
    }
    guess
}

/// A sum of logarithms as one logarithm of a product: exponents add up as integers, and factors in
/// [1, 2) multiply. A vector costs five operations of one cycle instead of a polynomial.
#[derive(Clone, Copy)]
struct Logs<S: Simd> {
    exponents: S::u32s,
    product: S::f32s,
    /// Exponents taken, each with its bias of 127.
    taken: u32,
}

impl<S: Simd> Logs<S> {
    #[inline(always)]
    fn new(simd: S) -> Self {
        Logs { exponents: simd.splat_u32s(0), product: simd.splat_f32s(1.0), taken: 0 }
    }

    /// Takes one more positive, normal factor; at most [`MOST_FACTORS`] between two folds.
    #[inline(always)]
    fn multiply(&mut self, simd: S, x: S::f32s) {
        let bits = simd.transmute_u32s_f32s(x);
        let exponent = simd.wrapping_dyn_shr_u32s(bits, simd.splat_u32s(23));
        let mantissa = simd.or_u32s(
            simd.and_u32s(bits, simd.splat_u32s(0x007f_ffff)),
            simd.splat_u32s(0x3f80_0000),
        );
        self.exponents = simd.add_u32s(self.exponents, exponent);
        self.product = simd.mul_f32s(self.product, simd.transmute_f32s_u32s(mantissa));
        self.taken += 1;
    }

    /// Brings the product back into [1, 2).
    #[inline(always)]
    fn fold(&mut self, simd: S) {
        let product = std::mem::replace(&mut self.product, simd.splat_f32s(1.0));
        self.multiply(simd, product);
    }

    /// The sum over all lanes; the product of their mantissas is below 2^16.
    #[inline(always)]
    fn sum(self, simd: S) -> f32 {
        let exponents = bytemuck::cast_slice::<_, u32>(std::slice::from_ref(&self.exponents));
        let biased: u32 = exponents.iter().sum();
        let bias = 127 * self.taken * exponents.len() as u32;
        (i64::from(biased) - i64::from(bias)) as f32 * std::f32::consts::LN_2
            + simd.reduce_product_f32s(self.product).ln()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Reciprocals<'a>(&'a mut [f32]);

    impl WithSimd for Reciprocals<'_> {
        type Output = ();

        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) {
            for x in S::as_mut_simd_f32s(self.0).0 {
                *x = reciprocal(simd, *x);
            }
        }
    }

    #[test]
    fn reciprocals_are_those_of_a_division() {
        // Whole vectors of any kind, from 1e-30 to 1e30.
        let values: Vec<f32> =
            (0..4096).map(|i| 10f32.powf(i as f32 / 4095.0 * 60.0 - 30.0)).collect();
        let mut got = values.clone();
        Arch::new().dispatch(Reciprocals(&mut got));
        for (&x, y) in values.iter().zip(got) {
            // The third step leaves 0.12^8, and each of its two operations rounds by 6e-8, by twice that
            // where products and sums are not fused.
            assert!((f64::from(y) * f64::from(x) - 1.0).abs() < 4e-7, "{x}: {y}");
        }
    }
}
