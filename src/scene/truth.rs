//! Published or simulated truths to compare with: endmember spectra and abundances.

use ndarray::{Array2, Array3};

/// A truth in the geometry of its scene.
#[derive(Debug, Clone, PartialEq)]
pub struct Truth {
    /// One name an endmember, where the file gives them (the formats read so far do not).
    pub names: Option<Vec<String>>,
    /// Spectra, (K, bands of the file): all bands, the ones that the fit leaves out included. In
    /// the file's own units.
    pub endmembers: Option<Array2<f64>>,
    /// Abundances, (rows, columns, K). Values where the scene has no valid pixel are unchecked and
    /// may be NaN.
    pub abundances: Option<Array3<f32>>,
}
