//! How a device holds the spectra, where floats of 16 bits were asked for.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What became of the wish.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HeldCube {
    /// Whether they are floats of 16 bits, rounded to eleven binary digits.
    pub half: bool,
    /// What the rounding is, or would be, as a share of the noise, in the band where that is
    /// largest, root mean squares; none where it is not known.
    pub rounding_of_noise: Option<f64>,
    /// Why.
    pub why: WhyHeld,
}

/// Why a device holds the spectra as it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WhyHeld {
    /// The rounding is small beside the noise.
    Small,
    /// It is not, or a value is too large for 16 bits.
    Coarse,
    /// There are too few pixels to tell the noise.
    NoiseUnknown,
    /// The CPU has them in memory already.
    Cpu,
}

impl HeldCube {
    /// Halved where rounding is small, and for no other reason.
    pub fn new(why: WhyHeld, rounding_of_noise: Option<f64>) -> Self {
        HeldCube { half: why == WhyHeld::Small, rounding_of_noise, why }
    }
}

impl fmt::Display for HeldCube {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bits = if self.half { 16 } else { 32 };
        write!(f, "spectra on the device: floats of {bits} bits: ")?;
        match (self.why, self.rounding_of_noise) {
            (WhyHeld::Small, of) => {
                write!(f, "rounding is {:.1} % of the noise at most", 100.0 * of.unwrap_or(0.0))
            }
            (WhyHeld::Coarse, Some(of)) => write!(
                f,
                "rounding to 16 would be {:.0} % of the noise in some band, and 25 % is allowed",
                100.0 * of
            ),
            (WhyHeld::Coarse, None) => f.write_str("some value is above 65,504, the most of 16"),
            (WhyHeld::NoiseUnknown, _) => {
                f.write_str("too few pixels tell whether rounding to 16 is small beside the noise")
            }
            (WhyHeld::Cpu, _) => f.write_str("the CPU has them in memory; 16 is for a GPU"),
        }
    }
}
