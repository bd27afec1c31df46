//! The names of settings, as errors say them: one list, so that a program which calls a setting by
//! another name, as by a flag, can translate every one of them.

/// Number of endmembers, K.
pub const ENDMEMBERS: &str = "endmembers";
/// Ceiling of the steps of a run.
pub const STEPS: &str = "steps";
/// Pixels in a minibatch.
pub const BATCH_SIZE: &str = "batch size";
/// Draws a step.
pub const PARTICLES: &str = "particles";
/// Adam's learning rate of the scene latents.
pub const LEARNING_RATE: &str = "learning rate";
/// Total concentration of the abundances' Dirichlet.
pub const CONCENTRATION: &str = "concentration";
/// Variational family.
pub const FAMILY: &str = "guide";
/// Directions of the low-rank guide.
pub const RANK: &str = "rank";
/// Noise of the observed spectra.
pub const NOISE: &str = "noise";
/// Where a fit runs.
pub const DEVICE: &str = "device";
/// Starts of a search.
pub const RESTARTS: &str = "restarts";
/// How long a search goes on.
pub const SEARCH: &str = "search";
/// The start of a fit.
pub const INIT: &str = "init";
/// Which posterior is reported.
pub const POSTERIOR: &str = "posterior";
/// Timed blocks of a benchmark.
pub const REPEATS: &str = "repeats";
/// Rows of a simulated scene.
pub const ROWS: &str = "rows";
/// Columns of a simulated scene.
pub const COLS: &str = "cols";
/// Bands of a simulated scene.
pub const BANDS: &str = "bands";
/// Rows, columns and bands of a simulated scene, together.
pub const SIZE: &str = "size";
/// Sd of the log brightness of a simulated scene.
pub const BRIGHTNESS: &str = "brightness";
/// Sd of the endmembers of a simulated scene between pixels.
pub const VARIABILITY: &str = "variability";
/// Correlation of the noise of adjacent bands of a simulated scene.
pub const BAND_CORRELATION: &str = "band correlation";
/// Share of the pixels of a simulated scene that have no data.
pub const NO_DATA: &str = "no data";
/// Share of the pixels of a simulated scene in which its last material is pure.
pub const RARE: &str = "rare";
/// Angle between the last material of a simulated scene and its first.
pub const CLOSE: &str = "close";

/// Sd of the endmembers of a simulated scene between pixels along smooth shapes.
pub const SHARED_VARIABILITY: &str = "shared variability";
/// Noise of a simulated scene that grows with the signal, as a share of it.
pub const SIGNAL_NOISE: &str = "signal noise";
/// Abundance of a simulated scene below which there is nothing.
pub const LEAST_ABUNDANCE: &str = "least abundance";
/// Share of the pixels of a simulated scene that are unlike all others.
pub const OUTLIERS: &str = "outliers";
/// What the last spectrum of a simulated scene is multiplied by.
pub const DARK: &str = "dark";

/// What abundances are shares of.
pub const CONVENTION: &str = "convention";
/// How spectra are found.
pub const SPECTRA: &str = "spectra";
/// Draws of the posterior that are kept.
pub const DRAWS: &str = "draws";

/// How a GPU holds the spectra.
pub const CUBE: &str = "cube";
/// Memory that a fit may take.
pub const MEMORY: &str = "memory";
/// Memory that a fit may take on its device.
pub const DEVICE_MEMORY: &str = "device memory";

/// The names of all settings.
pub const ALL: [&str; 36] = [
    CUBE,
    MEMORY,
    DEVICE_MEMORY,
    DRAWS,
    CONVENTION,
    SPECTRA,
    ENDMEMBERS,
    STEPS,
    BATCH_SIZE,
    PARTICLES,
    LEARNING_RATE,
    CONCENTRATION,
    FAMILY,
    RANK,
    NOISE,
    DEVICE,
    RESTARTS,
    SEARCH,
    INIT,
    POSTERIOR,
    REPEATS,
    ROWS,
    COLS,
    BANDS,
    SIZE,
    BRIGHTNESS,
    VARIABILITY,
    BAND_CORRELATION,
    NO_DATA,
    RARE,
    CLOSE,
    SHARED_VARIABILITY,
    SIGNAL_NOISE,
    LEAST_ABUNDANCE,
    DARK,
    OUTLIERS,
];

#[cfg(test)]
mod tests {
    use super::ALL;
    use crate::Error;

    #[test]
    fn names_are_words_and_none_is_there_twice() {
        for (i, name) in ALL.iter().enumerate() {
            assert!(!ALL[..i].contains(name), "{name} is there twice");
            assert!(name.chars().all(|c| c.is_ascii_lowercase() || c == ' '), "{name}");
        }
    }

    #[test]
    fn an_error_is_a_sentence_with_the_setting_and_its_value() {
        let text = Error::setting(super::BATCH_SIZE, 0, "must be at least 1").to_string();
        assert_eq!(text, "batch size 0: must be at least 1");
        assert_eq!(Error::option(super::INIT, "has no rows").to_string(), "init: has no rows");
    }
}
