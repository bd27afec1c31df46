//! Counter-based random numbers: Philox4x32-10 (Salmon, Moraes, Dror, Shaw, SC 2011) and what is
//! made of it. A number depends on (seed, step, index, stream) alone, so a run is the same
//! whatever the workgroup, the number of threads or the order of pixels, and both backends draw
//! the same integers. Twin: `shaders/shared/rng.wgsl`.

use crate::engine::ground::math::Real;

/// What a number is for; streams never share numbers.
#[derive(Clone, Copy, Debug)]
#[repr(u32)]
pub enum Stream {
    /// Latents of pixels.
    Pixel = 1,
    /// Latents of the scene: endmembers, noise, mean abundance.
    Global = 2,
    /// The order of groups of pixels in an epoch.
    Shuffle = 3,
    /// Draws from the fitted guide.
    Posterior = 4,
    /// What all latents have in common in the low-rank guide.
    Rank = 5,
    /// Where the low-rank guide begins.
    Start = 6,
    /// Draws of pixels given the scene, after the fit.
    Nested = 7,
}

const MULTIPLIER: [u32; 2] = [0xD251_1F53, 0xCD9E_8D57];
const WEYL: [u32; 2] = [0x9E37_79B9, 0xBB67_AE85];

/// Philox4x32-10: four words from a 128-bit counter and a 64-bit key.
#[inline(always)]
pub fn philox(counter: [u32; 4], key: [u32; 2]) -> [u32; 4] {
    let [mut c0, mut c1, mut c2, mut c3] = counter;
    let [mut k0, mut k1] = key;
    for _ in 0..10 {
        let p0 = u64::from(MULTIPLIER[0]) * u64::from(c0);
        let p1 = u64::from(MULTIPLIER[1]) * u64::from(c2);
        (c0, c1, c2, c3) =
            ((p1 >> 32) as u32 ^ c1 ^ k0, p1 as u32, (p0 >> 32) as u32 ^ c3 ^ k1, p0 as u32);
        k0 = k0.wrapping_add(WEYL[0]);
        k1 = k1.wrapping_add(WEYL[1]);
    }
    [c0, c1, c2, c3]
}

/// The two words of a seed, as Philox takes them.
pub fn key(seed: u64) -> [u32; 2] {
    [seed as u32, (seed >> 32) as u32]
}

/// Four standard normals: numbers `4 * block ..` of the sequence that belongs to `index`. Particles
/// come in mirrored pairs (Hammersley and Morton 1956): what is odd in the noise cancels in their
/// mean.
pub fn normals(
    key: [u32; 2],
    stream: Stream,
    particle: u32,
    step: u32,
    index: u32,
    block: u32,
) -> [f32; 4] {
    let words = philox([index, block, step, stream as u32 | (particle / 2) << 8], key);
    if particle.is_multiple_of(2) { words.map(normal) } else { words.map(|word| -normal(word)) }
}

/// One standard normal: number `lane` of the sequence that belongs to `index`.
pub fn normal_at(
    key: [u32; 2],
    stream: Stream,
    particle: u32,
    step: u32,
    index: u32,
    lane: u32,
) -> f32 {
    normals(key, stream, particle, step, index, lane / 4)[lane as usize % 4]
}

/// A standard normal from one word, by the inverse of the error function (Giles, "Approximating
/// the erfinv function", GPU Computing Gems 2011, single precision). The upper 23 bits give the
/// midpoint of one of 2^23 equal intervals of (-1, 1), exactly representable, so the largest value
/// is 5.3. Polynomials instead of sin, cos and log of the driver: those differ between drivers.
#[inline(always)]
pub fn normal(word: u32) -> f32 {
    let x = (((word >> 9) << 1) | 1) as i32 as f32 * (1.0 / 8_388_608.0) - 1.0;
    let w = -((1.0 - x) * (1.0 + x)).quick_ln();
    // Both polynomials are computed and one is taken: without a branch sixteen cost as much as one.
    let (t_centre, t_tail) = (w - 2.5, w.sqrt() - 3.0);
    let (mut centre, mut tail) = (CENTRE[0], TAIL[0]);
    for i in 1..CENTRE.len() {
        centre = centre * t_centre + CENTRE[i];
        tail = tail * t_tail + TAIL[i];
    }
    (if w < 5.0 { centre } else { tail }) * x * std::f32::consts::SQRT_2
}

// As published; the last digits say which f32 is meant.
#[allow(clippy::excessive_precision)]
const CENTRE: [f32; 9] = [
    2.81022636e-08,
    3.43273939e-07,
    -3.5233877e-06,
    -4.39150654e-06,
    0.00021858087,
    -0.00125372503,
    -0.00417768164,
    0.246640727,
    1.50140941,
];
// As published; the last digits say which f32 is meant.
#[allow(clippy::excessive_precision)]
const TAIL: [f32; 9] = [
    -0.000200214257,
    0.000100950558,
    0.00134934322,
    -0.00367342844,
    0.00573950773,
    -0.0076224613,
    0.00943887047,
    1.00167406,
    2.83297682,
];

/// Counters that are taken at a time: as many as the widest vectors of a CPU have lanes. Inside
/// code compiled for wide vectors the loops over lanes become single instructions.
pub const LANES: usize = 16;

/// Words stay in 64-bit lanes, where the products are: narrowing and widening takes longer than
/// multiplying. Their upper halves hold what is left of products, and are not read.
#[inline(always)]
fn philox_lanes(counter: [[u32; LANES]; 4], key: [u32; 2]) -> [[u32; LANES]; 4] {
    const WORD: u64 = u32::MAX as u64;
    let mut c = [[0u64; LANES]; 4];
    for i in 0..LANES {
        for word in 0..4 {
            c[word][i] = u64::from(counter[word][i]);
        }
    }
    let [mut c0, mut c1, mut c2, mut c3] = c;
    let [mut k0, mut k1] = key;
    for _ in 0..10 {
        let (key0, key1) = (u64::from(k0), u64::from(k1));
        for i in 0..LANES {
            let p0 = u64::from(MULTIPLIER[0]) * (c0[i] & WORD);
            let p1 = u64::from(MULTIPLIER[1]) * (c2[i] & WORD);
            c0[i] = (p1 >> 32) ^ c1[i] ^ key0;
            c1[i] = p1;
            c2[i] = (p0 >> 32) ^ c3[i] ^ key1;
            c3[i] = p0;
        }
        k0 = k0.wrapping_add(WEYL[0]);
        k1 = k1.wrapping_add(WEYL[1]);
    }
    let mut words = [[0u32; LANES]; 4];
    for i in 0..LANES {
        words[0][i] = c0[i] as u32;
        words[1][i] = c1[i] as u32;
        words[2][i] = c2[i] as u32;
        words[3][i] = c3[i] as u32;
    }
    words
}

/// [`normals`] of several (index, block) pairs: four rows of one number for each, of which the
/// first `count` are made.
#[inline(always)]
pub fn normals_lanes(
    key: [u32; 2],
    stream: Stream,
    particle: u32,
    step: u32,
    index: [u32; LANES],
    block: [u32; LANES],
    count: usize,
) -> [[f32; LANES]; 4] {
    let last = stream as u32 | (particle / 2) << 8;
    let words = philox_lanes([index, block, [step; LANES], [last; LANES]], key);
    let sign = if particle.is_multiple_of(2) { 1.0 } else { -1.0 };
    let mut normals = [[0.0; LANES]; 4];
    for (normals, words) in normals.iter_mut().zip(&words).take(count) {
        // Loops, not `map`: that is a call, and calls are not vectors.
        for lane in 0..LANES {
            normals[lane] = sign * normal(words[lane]);
        }
    }
    normals
}

/// The most places that [`shuffled_lanes`] takes at a time.
pub const SHUFFLED: usize = 256;

/// Replaces each of at most [`SHUFFLED`] places by what [`shuffled`] finds there. All walks take
/// one step, then those that are still outside take one more, and so on: no lane waits for another,
/// and no branch depends on what cannot be foreseen.
#[inline(always)]
pub fn shuffled_lanes(key: [u32; 2], epoch: u32, count: u32, bits: u32, places: &mut [u32]) {
    let low_bits = bits / 2;
    let (low_mask, high_mask) = ((1u32 << low_bits) - 1, (1u32 << (bits - low_bits)) - 1);
    let (epochs, stream) = ([epoch; LANES], [Stream::Shuffle as u32; LANES]);
    // The walks that go on: their place in `places`, and where they are.
    let (mut place, mut at) = ([0u32; SHUFFLED], [0u32; SHUFFLED]);
    let mut left = places.len().min(SHUFFLED);
    at[..left].copy_from_slice(&places[..left]);
    for (place, i) in place.iter_mut().zip(0..) {
        *place = i;
    }
    while left > 0 {
        let mut kept = 0;
        for start in (0..left).step_by(LANES) {
            let (mut low, mut high) = ([0; LANES], [0; LANES]);
            for i in 0..LANES {
                (low[i], high[i]) = (at[start + i] & low_mask, at[start + i] >> low_bits);
            }
            for round in 0..rounds(bits) {
                let words = philox_lanes([high, [2 * round; LANES], epochs, stream], key)[0];
                for i in 0..LANES {
                    low[i] ^= words[i] & low_mask;
                }
                let words = philox_lanes([low, [2 * round + 1; LANES], epochs, stream], key)[0];
                for i in 0..LANES {
                    high[i] ^= words[i] & high_mask;
                }
            }
            for i in 0..LANES {
                low[i] |= high[i] << low_bits;
            }
            for i in 0..LANES.min(left - start) {
                let to = place[start + i];
                places[to as usize] = low[i];
                (place[kept], at[kept]) = (to, low[i]);
                kept += usize::from(low[i] >= count);
            }
        }
        left = kept;
    }
}

/// The number that is at a place of a fresh pseudo-random order of `0 .. count`, without a table:
/// an alternating Feistel network on `bits` bits (Philox as round function), walked until it lands
/// inside (Black and Rogaway, "Ciphers with arbitrary finite domains", CT-RSA 2002). `bits` is
/// [`shuffle_bits`], so fewer than two walks are expected.
pub fn shuffled(key: [u32; 2], epoch: u32, count: u32, bits: u32, place: u32) -> u32 {
    walk(place, count, bits, |[low, high]| {
        for round in 0..rounds(bits) {
            *low ^= feistel(key, epoch, 2 * round, *high);
            *low &= (1 << (bits / 2)) - 1;
            *high ^= feistel(key, epoch, 2 * round + 1, *low);
            *high &= (1 << (bits - bits / 2)) - 1;
        }
    })
}

/// The inverse of [`shuffled`]: the place at which a number is.
pub fn place_of(key: [u32; 2], epoch: u32, count: u32, bits: u32, found: u32) -> u32 {
    walk(found, count, bits, |[low, high]| {
        for round in (0..rounds(bits)).rev() {
            *high ^= feistel(key, epoch, 2 * round + 1, *low);
            *high &= (1 << (bits - bits / 2)) - 1;
            *low ^= feistel(key, epoch, 2 * round, *high);
            *low &= (1 << (bits / 2)) - 1;
        }
    })
}

/// Rounds of the network on both halves. With two, orders of few places are far from uniform: of
/// five places, over 4,000 epochs, chi^2 was 53 of its standard deviations too large, with four
/// rounds 1.2. From 8 bits on two rounds are as good as four.
fn rounds(bits: u32) -> u32 {
    if bits < 8 { 4 } else { 2 }
}

fn feistel(key: [u32; 2], epoch: u32, round: u32, half: u32) -> u32 {
    philox([half, round, epoch, Stream::Shuffle as u32], key)[0]
}

/// Steps of a permutation of `bits` bits, given on both halves, until it lands below `count`.
fn walk(from: u32, count: u32, bits: u32, step: impl Fn([&mut u32; 2])) -> u32 {
    let low_bits = bits / 2;
    let mut at = from;
    for _ in 0..MAX_WALK {
        let (mut low, mut high) = (at & ((1 << low_bits) - 1), at >> low_bits);
        step([&mut low, &mut high]);
        at = low | high << low_bits;
        if at < count {
            break;
        }
    }
    at
}

/// Bits of the shuffle's domain: the smallest power of two that holds `count`, at least 2 bits.
pub fn shuffle_bits(count: u32) -> u32 {
    (32 - count.saturating_sub(1).leading_zeros()).max(2)
}

/// The most steps of a walk: shaders must not loop for ever. Each walk lands inside with a chance
/// of at least one half, but for a count of one (one quarter): 512 misses do not happen.
pub const MAX_WALK: u32 = 512;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn philox_meets_the_authors_known_answers() {
        // Random123 kat_vectors, philox4x32 10.
        assert_eq!(philox([0; 4], [0; 2]), [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]);
        assert_eq!(
            philox([u32::MAX; 4], [u32::MAX; 2]),
            [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]
        );
        assert_eq!(
            philox(
                [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344],
                [0xa409_3822, 0x299f_31d0]
            ),
            [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]
        );
    }

    #[test]
    fn lanes_are_the_numbers_that_one_at_a_time_gives() {
        let (index, block) =
            (std::array::from_fn(|i| 7 * i as u32), std::array::from_fn(|i| i as u32 % 3));
        for particle in 0..4 {
            let lanes = normals_lanes(key(9), Stream::Pixel, particle, 5, index, block, 4);
            for lane in 0..LANES {
                let one = normals(key(9), Stream::Pixel, particle, 5, index[lane], block[lane]);
                assert_eq!(lanes.map(|word| word[lane]), one);
            }
        }
        for (pixels, count) in [(1, 1), (3, 2), (64, 64), (9025, 201), (9025, SHUFFLED)] {
            let bits = shuffle_bits(pixels);
            let places: Vec<u32> = (0..count as u32).map(|i| pixels - 1 - i).collect();
            let mut lanes = places.clone();
            shuffled_lanes(key(9), 2, pixels, bits, &mut lanes);
            for (place, lane) in places.into_iter().zip(lanes) {
                assert_eq!(lane, shuffled(key(9), 2, pixels, bits, place));
            }
        }
    }

    #[test]
    fn normals_have_the_moments_and_tails_of_a_normal() {
        let count = 1 << 18;
        let draws: Vec<f64> = (0..count / 4)
            .flat_map(|i| normals(key(7), Stream::Pixel, 0, 3, i, 0))
            .map(f64::from)
            .collect();
        let mean =
            |f: &dyn Fn(f64) -> f64| draws.iter().map(|&x| f(x)).sum::<f64>() / f64::from(count);
        // Five standard errors: sqrt(Var) / sqrt(n) with Var = 1, 2, 15, 96.
        let se = 5.0 / f64::from(count).sqrt();
        assert!(mean(&|x| x).abs() < se);
        assert!((mean(&|x| x * x) - 1.0).abs() < 2f64.sqrt() * se);
        assert!(mean(&|x| x.powi(3)).abs() < 15f64.sqrt() * se);
        assert!((mean(&|x| x.powi(4)) - 3.0).abs() < 96f64.sqrt() * se);
        let tail = mean(&|x| f64::from(x > 1.959_963_985));
        assert!((tail - 0.025).abs() < se * (0.025f64 * 0.975).sqrt());
    }

    #[test]
    fn normal_is_odd_and_bounded() {
        assert_eq!(normal(0), -normal(u32::MAX));
        assert!(normal(u32::MAX) > 5.0 && normal(u32::MAX) < 5.5);
    }

    #[test]
    fn every_epoch_has_everything_once_in_another_order() {
        for pixels in [1u32, 2, 3, 5, 64, 1000, 9025] {
            let bits = shuffle_bits(pixels);
            let order = |epoch| {
                (0..pixels).map(|i| shuffled(key(1), epoch, pixels, bits, i)).collect::<Vec<_>>()
            };
            for (place, found) in (0..).zip(order(3)) {
                assert_eq!(place_of(key(1), 3, pixels, bits, found), place);
            }
            let mut sorted = order(0);
            sorted.sort_unstable();
            assert!(sorted.iter().copied().eq(0..pixels), "{pixels} pixels");
            if pixels > 5 {
                assert_ne!(order(0), order(1));
                assert_ne!(order(0), (0..pixels).collect::<Vec<_>>());
            }
        }
    }
}
