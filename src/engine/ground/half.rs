//! Floats of 16 bits (IEEE 754 binary16: eleven binary digits, 6.1e-5 to 65,504 at full
//! precision), as the spectra may be held on a GPU.

use half::f16;

/// The nearest float of 16 bits; infinite above 65,504.
pub fn rounded(value: f32) -> f32 {
    f16::from_f32(value).to_f32()
}

/// Two to a word, the first in the lower half, as WGSL's `unpack2x16float` takes them. `values` are
/// an even number.
pub fn packed(values: &[f32]) -> Vec<u32> {
    let bits = |value: f32| u32::from(f16::from_f32(value).to_bits());
    values.chunks_exact(2).map(|two| bits(two[0]) | bits(two[1]) << 16).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_rounded_to_eleven_digits_and_packed_in_order() {
        // One half of 2^-11 of the value at most.
        for value in [1.0f32, 0.333_33, 6.2e-5, 0.999_9, 65_000.0] {
            assert!((rounded(value) - value).abs() <= value / 4096.0, "{value}");
        }
        assert_eq!(rounded(0.0), 0.0);
        assert_eq!(rounded(1.0 + 1.0 / 4096.0), 1.0, "half way goes to the even one");
        assert!(rounded(1e5).is_infinite());
        // 1 is 0x3c00, 2 is 0x4000.
        assert_eq!(packed(&[1.0, 2.0, 2.0, 1.0]), [0x4000_3c00, 0x3c00_4000]);
    }
}
