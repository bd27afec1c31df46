//! Endmembers of a fit that are none: no pixel holds them, or they are the same as another.

use ndarray::{ArrayView2, Axis};

use crate::statistics::angles::sad;

/// An endmember that no pixel holds more than this of is empty.
const EMPTY: f32 = 0.05;
/// Endmembers closer than this, radians, are one material.
const ALIKE: f64 = 0.02;

/// A reason to try fewer endmembers. Endmembers are counted from 0.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Doubt {
    /// No pixel holds much of it.
    Empty {
        /// Its number.
        endmember: usize,
        /// Its largest abundance, 0 to 0.05.
        largest: f32,
    },
    /// Two have nearly the same spectrum.
    Alike {
        /// The first.
        one: usize,
        /// The second, the larger number.
        other: usize,
        /// Their spectral angle in radians, 0 to 0.02.
        angle: f64,
    },
}

/// What is doubtful in endmembers (K, L) and abundances (N, K), in the order of endmembers.
pub fn doubts(endmembers: ArrayView2<f64>, abundances: ArrayView2<f32>) -> Vec<Doubt> {
    let mut found = Vec::new();
    for (endmember, shares) in abundances.axis_iter(Axis(1)).enumerate() {
        let largest = shares.iter().copied().fold(0.0, f32::max);
        if largest < EMPTY {
            found.push(Doubt::Empty { endmember, largest });
        }
    }
    for other in 0..endmembers.nrows() {
        for one in 0..other {
            let angle = sad(endmembers.row(one), endmembers.row(other));
            if angle < ALIKE {
                found.push(Doubt::Alike { one, other, angle });
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn empty_and_identical_endmembers_are_seen_and_others_are_not() {
        let spectra = array![[0.1, 0.5, 0.2], [0.4, 0.1, 0.3], [0.2, 1.0, 0.4]];
        let shares = array![[0.5_f32, 0.46, 0.04], [0.0, 0.97, 0.03]];
        let found = doubts(spectra.view(), shares.view());
        assert_eq!(found[0], Doubt::Empty { endmember: 2, largest: 0.04 });
        // Twice the spectrum is the same material.
        assert!(matches!(found[1], Doubt::Alike { one: 0, other: 2, angle } if angle < 1e-7));
        assert_eq!(found.len(), 2);
        // tan 0.03 apart, and 0.06 of it somewhere.
        let spectra = array![[1.0, 0.0], [1.0, 0.03]];
        let shares = array![[0.06_f32, 0.94]];
        assert_eq!(doubts(spectra.view(), shares.view()), []);
        // Nothing at all is empty, and black spectra have no angle.
        let none = doubts(array![[0.0, 0.0], [0.0, 0.0]].view(), array![[1.0_f32, 0.0]].view());
        assert_eq!(none, [Doubt::Empty { endmember: 1, largest: 0.0 }]);
    }
}
