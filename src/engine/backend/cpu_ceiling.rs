//! What this processor reaches: a copy and fused multiply-adds, in its widest vectors, on all
//! threads.

use std::hint::black_box;

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::Ceilings;
use crate::engine::ground::clock::Instant;

/// Time of one measurement: long beside waking the threads.
const SECONDS: f64 = 0.02;
/// Measurements of which the median counts.
const REPEATS: usize = 7;
/// Independent sums of a thread: enough to hide the latency of two units (4 cycles each), few
/// enough for the 16 registers of AVX2.
const CHAINS: usize = 12;

pub fn measure(sizes: &[usize]) -> Ceilings {
    Ceilings { copy: sizes.iter().map(|&bytes| copy(bytes)).collect(), fma: fma() }
}

/// Name of the widest vectors of this processor.
pub fn vectors() -> &'static str {
    match Arch::new().dispatch(Lanes) {
        16 => "AVX-512",
        8 => "AVX2",
        4 => "128-bit vectors",
        _ => "no vectors",
    }
}

struct Lanes;

impl WithSimd for Lanes {
    type Output = usize;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> usize {
        S::F32_LANES
    }
}

/// Bytes a second of copies that touch so many bytes in all.
fn copy(bytes: usize) -> f64 {
    let len = (bytes / 8).max(1);
    let part = len.div_ceil(rayon::current_num_threads());
    let (from, mut to) = (vec![1f32; len], vec![0f32; len]);
    rate(|rounds| {
        // Every thread stays with its part, as long as no other waits for it.
        to.par_chunks_mut(part).zip(from.par_chunks(part)).for_each(|(to, from)| {
            for _ in 0..rounds {
                black_box(&mut *to).copy_from_slice(black_box(from));
            }
        });
        (8 * len * rounds) as f64
    })
}

/// Operations a second of fused multiply-adds.
fn fma() -> f64 {
    rate(|rounds| {
        let threads = rayon::current_num_threads();
        let per_thread = 1024 * rounds;
        let lanes: usize = (0..threads)
            .into_par_iter()
            .with_max_len(1)
            .map(|_| Arch::new().dispatch(Fma { rounds: per_thread }))
            .sum();
        (2 * CHAINS * lanes * per_thread) as f64
    })
}

/// Does so many rounds; gives the number of lanes of a vector.
struct Fma {
    rounds: usize,
}

impl WithSimd for Fma {
    type Output = usize;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> usize {
        // Not known to the compiler, and near a fixed point: neither overflow nor denormal numbers.
        let (a, b) = (simd.splat_f32s(black_box(0.5)), simd.splat_f32s(black_box(0.5)));
        let mut sums = [simd.splat_f32s(black_box(1.5)); CHAINS];
        for _ in 0..self.rounds {
            for sum in &mut sums {
                *sum = simd.mul_add_f32s(*sum, a, b);
            }
        }
        let mut total = simd.splat_f32s(0.0);
        for sum in sums {
            total = simd.add_f32s(total, sum);
        }
        black_box(simd.reduce_sum_f32s(total));
        S::F32_LANES
    }
}

/// The median rate of `work(rounds)`, which gives what it did, at as many rounds as [`SECONDS`]
/// takes.
fn rate(mut work: impl FnMut(usize) -> f64) -> f64 {
    let mut timed = |rounds| {
        let begin = Instant::now();
        let done = work(rounds);
        (done, begin.elapsed().as_secs_f64().max(1e-9))
    };
    let mut rounds = 1;
    while timed(rounds).1 < SECONDS {
        rounds *= 2;
    }
    let mut rates: Vec<f64> = (0..REPEATS)
        .map(|_| {
            let (done, seconds) = timed(rounds);
            done / seconds
        })
        .collect();
    rates.sort_unstable_by(f64::total_cmp);
    rates[REPEATS / 2]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_size_has_a_speed() {
        let ceilings = measure(&[0, 1 << 16]);
        assert_eq!(ceilings.copy.len(), 2);
        assert!(ceilings.copy.iter().chain([&ceilings.fma]).all(|v| v.is_finite() && *v > 0.0));
    }
}
