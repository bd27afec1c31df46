//! Values of settings that are more than a number or a switch.

use serde::{Deserialize, Serialize};

/// How many endmembers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Endmembers {
    /// A given number, K >= 1.
    Count(usize),
    /// The number that short fits find evidence for ([`crate::count`]).
    Auto,
}

/// Total concentration of the abundances' Dirichlet (equation 2).
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Concentration {
    /// 0.2 K: few materials in each pixel. Where the posterior of pixels is exact, less for
    /// endmembers of which more abundances are next to nothing; and where a search runs and
    /// neighbouring pixels do not err together, learned if evidence asks for it.
    #[default]
    Sparse,
    /// A given one, > 0; K is flat on the simplex.
    Given(f64),
    /// Learned, around 0.2 K.
    Learned,
}

/// How many bands count as independent evidence.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum EffectiveBands {
    /// From how residuals of adjacent bands correlate, at least 16; all bands with a noise
    /// covariance, which answers the question itself.
    #[default]
    AtLeast16,
    /// From how residuals of adjacent bands correlate.
    Auto,
    /// All.
    All,
    /// A given number, >= 1.
    Count(f64),
}

/// How spectra are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Spectra {
    /// Together with everything else.
    Joint,
    /// First, by a fit with brightness; then held while abundances are fitted without
    /// ([`crate::search::spectra_first`]).
    First,
    /// The spectra that the fit begins from, held as they are.
    Given,
}

/// Which posterior is reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PosteriorKind {
    /// Spectra with the pixels integrated out, and the exact posterior of each pixel given the
    /// spectra, by weighted draws ([`crate::posterior::nested`]).
    #[default]
    Exact,
    /// The guide as fitted; its intervals are too narrow. The default where bands and
    /// neighbouring pixels err together.
    Guide,
}

/// How a GPU holds the spectra that a scene is learned from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CubeFormat {
    /// As they are, floats of 32 bits.
    #[default]
    F32,
    /// Floats of 16 bits, rounded to eleven binary digits, where that is at most a quarter of the
    /// noise in every band: half of the memory, and of what a step reads. The CPU, and the exact
    /// posterior of pixels, take them as they are.
    F16,
}

/// How long a search goes on after its starts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum SearchBudget {
    /// The moves of a round; 0: none.
    Moves(usize),
    /// Rounds of moves until the search has taken so many seconds, > 0. What it finds then depends
    /// on the machine.
    Seconds(f64),
}
