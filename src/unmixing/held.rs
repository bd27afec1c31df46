//! How a GPU holds the spectra: as they are, or as floats of 16 bits where rounding them is small
//! beside their noise.

use super::Unmixing;
use crate::count;
use crate::engine::ground::half::rounded;
use crate::engine::pixels::{Cube, Pixels};
use crate::engine::svi::{HeldCube, Settings, WhyHeld};
use crate::event::Event;

/// What rounding may be in any band, as a share of the noise there, root mean squares: it is noise
/// of its own, of a sixteenth of the variance at most, and noise is learned with it.
const MOST_OF_NOISE: f64 = 0.25;

/// Pixels that tell noise and rounding, at most.
const MOST_PIXELS: usize = 30_000;

/// Decides how the device holds the spectra, where floats of 16 bits are asked for, tells it and
/// settles it.
pub(super) fn hold(
    of: &Unmixing,
    settings: &mut Settings,
    is_cpu: bool,
    pixels: &Pixels,
) -> Option<HeldCube> {
    let held = settings.half.then(|| decide(is_cpu, pixels))?;
    settings.half = held.half;
    of.tell(&Event::HeldCube(held.clone()));
    Some(held)
}

/// How the device, the CPU or a GPU, holds the spectra, where floats of 16 bits were asked for.
fn decide(is_cpu: bool, pixels: &Pixels) -> HeldCube {
    if is_cpu {
        return HeldCube::new(WhyHeld::Cpu, None);
    }
    if pixels.cube().padded().iter().any(|y| rounded(*y).is_infinite()) {
        return HeldCube::new(WhyHeld::Coarse, None);
    }
    let part = pixels.part(MOST_PIXELS);
    let Some(noise) = count::noise_sds(part.cube()) else {
        return HeldCube::new(WhyHeld::NoiseUnknown, None);
    };
    let shares = rounding(part.cube()).into_iter().zip(noise).map(|(off, sd)| off / sd);
    let share = shares.fold(0.0, f64::max);
    let why = if share <= MOST_OF_NOISE { WhyHeld::Small } else { WhyHeld::Coarse };
    HeldCube::new(why, Some(share))
}

/// What rounding to 16 bits takes from each band, root mean square, reflectance, (L).
fn rounding(cube: &Cube) -> Vec<f64> {
    let mut squares = vec![0.0; cube.bands()];
    for n in 0..cube.pixels() {
        for (square, &y) in squares.iter_mut().zip(cube.spectrum(n)) {
            *square += f64::from(rounded(y) - y).powi(2);
        }
    }
    squares.iter().map(|square| (square / cube.pixels().max(1) as f64).sqrt()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::ground::rng::philox;

    /// Pixels of one spectrum around 0.5, with noise of this sd.
    fn noisy(pixels: usize, sd: f64) -> Cube {
        let mut cube = Cube::zeros(pixels, 4);
        for n in 0..pixels {
            for (l, y) in cube.spectrum_mut(n).iter_mut().enumerate() {
                // Normal enough: even over an interval, and no pattern between bands.
                let word = philox([n as u32, l as u32, 0, 0], [1, 2])[0];
                let even = f64::from(word) / f64::from(u32::MAX) - 0.5;
                *y = (0.5 + 0.1 * l as f64 + sd * 12f64.sqrt() * even) as f32;
            }
        }
        cube
    }

    #[test]
    fn what_rounding_takes_is_that_of_eleven_digits() {
        // Values of 0.5 to 1 have steps of 2^-11: rounding is even over one.
        for (l, off) in rounding(&noisy(4000, 0.05)).into_iter().enumerate().skip(1) {
            assert!((off / (2f64.powi(-11) / 12f64.sqrt()) - 1.0).abs() < 0.1, "{l} {off}");
        }
    }

    #[test]
    fn a_value_beyond_the_largest_of_16_bits_is_too_much() {
        let mut cube = noisy(400, 0.01);
        cube.spectrum_mut(3)[1] = 1e5;
        let held = decide(false, &Pixels::as_given(cube));
        assert!(!held.half && held.why == WhyHeld::Coarse, "{held:?}");
        assert!(held.to_string().contains("65,504"), "{held}");
    }

    #[test]
    fn spectra_are_halved_on_a_gpu_where_noise_hides_it() {
        let scene = |pixels: usize, sd: f64| Pixels::as_given(noisy(pixels, sd));
        let small = decide(false, &scene(400, 0.01));
        assert!(small.half && small.rounding_of_noise.is_some_and(|of| of < 0.03), "{small:?}");
        let coarse = decide(false, &scene(400, 0.0005));
        assert!(!coarse.half && coarse.why == WhyHeld::Coarse, "{coarse:?}");
        assert_eq!(decide(false, &scene(3, 0.01)).why, WhyHeld::NoiseUnknown);
        assert_eq!(decide(true, &scene(400, 0.01)).why, WhyHeld::Cpu);
    }
}
