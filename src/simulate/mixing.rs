//! How the materials of a pixel make its spectrum.

/// Cosine of the angles of incidence and emergence, 30 degrees and none: Hapke's model.
const INCIDENCE: f64 = 0.866;
const EMERGENCE: f64 = 1.0;

/// How the materials of a pixel mix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mixing {
    /// Side by side: reflectances add.
    Linear,
    /// Intimately, as grains of a powder do: albedos of single scattering add (Hapke 1981,
    /// "Bidirectional reflectance spectroscopy 1", isotropic and without the opposition effect).
    Intimate,
}

impl Mixing {
    /// The reflectance of shares of reflectances in one band.
    pub(super) fn mix(self, parts: impl Iterator<Item = (f64, f64)>) -> f64 {
        match self {
            Mixing::Linear => parts.map(|(w, c)| w * c).sum(),
            Mixing::Intimate => reflectance(parts.map(|(w, c)| w * albedo(c)).sum()),
        }
    }
}

/// Reflectance, in units of a perfect diffuser, of an albedo of single scattering.
fn reflectance(albedo: f64) -> f64 {
    let gamma = (1.0 - albedo.clamp(0.0, 1.0)).sqrt();
    albedo / ((1.0 + 2.0 * INCIDENCE * gamma) * (1.0 + 2.0 * EMERGENCE * gamma))
}

/// The albedo of single scattering that has this reflectance: with gamma^2 = 1 - albedo a
/// quadratic in gamma.
fn albedo(reflectance: f64) -> f64 {
    let r = reflectance.clamp(0.0, 1.0);
    // r (1 + 2 (a + b) g + 4 a b g^2) = 1 - g^2
    let square = 4.0 * INCIDENCE * EMERGENCE * r + 1.0;
    let half = (INCIDENCE + EMERGENCE) * r;
    let gamma = ((half * half + square * (1.0 - r)).sqrt() - half) / square;
    1.0 - gamma * gamma
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn albedos_give_back_their_reflectance_and_mixtures_are_darker_than_their_mean() {
        for r in [0.0, 0.01, 0.3, 0.7, 0.99, 1.0] {
            assert!((reflectance(albedo(r)) - r).abs() < 1e-12, "{r}");
        }
        let parts = [(0.5, 0.05), (0.5, 0.6)];
        let linear = Mixing::Linear.mix(parts.into_iter());
        let intimate = Mixing::Intimate.mix(parts.into_iter());
        assert!((linear - 0.325).abs() < 1e-12);
        // Dark grains swallow light that bright ones scatter.
        assert!(intimate < 0.8 * linear && intimate > 0.05, "{intimate}");
        assert!((Mixing::Intimate.mix([(1.0, 0.4)].into_iter()) - 0.4).abs() < 1e-12);
    }
}
