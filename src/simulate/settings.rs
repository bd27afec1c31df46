//! What to simulate, and what is refused.

use ndarray::{Array3, Axis};

use super::mixing::Mixing;
use crate::engine::ground::error::{Error, Result};
use crate::engine::ground::setting;

/// Greatest number of values in a cube: 8 GiB of them.
const MOST_VALUES: usize = 1 << 31;

/// How abundances lie in the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Maps {
    /// Smooth fields with cores of pure pixels, as land looks.
    Smooth,
    /// Each pixel for itself from Dirichlet(0.2, ..., 0.2), as the model has it by default.
    Dirichlet,
    /// Each pixel for itself from Dirichlet(1, ..., 1): all mixtures are as likely.
    Flat,
    /// One mixture nearly everywhere, and squares of others, a tenth of the pixels.
    Dominant,
}

/// What to simulate.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Settings {
    /// Height of the image in pixels, 1 or more.
    pub rows: usize,
    /// Width of the image in pixels, 1 or more.
    pub cols: usize,
    /// Number of bands, evenly from 400 to 2500 nm, 1 or more.
    pub bands: usize,
    /// Number of endmembers K, 1 to `bands`.
    pub endmembers: usize,
    /// Standard deviation of the noise, reflectance, 0 to 1.
    pub noise_sd: f64,
    /// How abundances lie in the image.
    pub maps: Maps,
    /// True: each endmember fills at least one valid pixel, as far as there are pixels; with
    /// [`Maps::Dirichlet`] and [`Maps::Flat`] some pixels may be all but pure. False: no abundance
    /// exceeds 0.8 (or 1 / K, where that is more).
    pub pure_pixels: bool,
    /// Standard deviation of log brightness over the image, 0 (all pixels equally bright) to 2.
    pub brightness_sd: f64,
    /// Standard deviation of an endmember between pixels, as a share of its value in each band
    /// (the model's `v_kl = variability_sd c_kl`), 0 (the same everywhere) to 1.
    pub variability_sd: f64,
    /// Correlation of the deviations of adjacent bands, noise and variability alike, 0 (each band
    /// for itself) to below 1: `rho^d` for bands `d` apart.
    pub band_correlation: f64,
    /// Share of the pixels without data, in blobs, 0 to below 1; one pixel always stays.
    pub no_data_fraction: f64,
    /// Share of the pixels that the last endmember fills alone, 0 (no such rule) to 0.2; it is
    /// mixed in twice as many around them and absent elsewhere. Needs two endmembers and pure
    /// pixels.
    pub rare_share: f64,
    /// Spectral angle in radians to which the last endmember is brought to the first, 0 (left as it
    /// is) to below their own angle. Needs two endmembers.
    pub close_angle: f64,
    /// Standard deviation of an endmember between pixels along smooth shapes that all bands share
    /// (a level, a tilt and a wave, in equal parts), as a share of its value; half of its variance
    /// is smooth over the image. 0 (none) to 0.5.
    pub shared_variability_sd: f64,
    /// How the materials of a pixel mix.
    pub mixing: Mixing,
    /// Noise that grows with the signal: its standard deviation as a share of it, 0 (none) to 1.
    pub signal_noise: f64,
    /// Abundances below this are exactly zero, and the others larger for it, 0 to below 1 / K.
    pub least_abundance: f64,
    /// What the spectrum of the last endmember is multiplied by, above 0 to 1: deep water, at 0.05.
    pub dark: f64,
    /// Share of the pixels that hold what is no material of the scene, in each another thing, 0
    /// (none) to 0.2. The truth has the mixture beside it.
    pub outlier_share: f64,
    /// Seed of all random numbers: one seed gives one scene, with any number of threads.
    pub seed: u64,
}

impl Default for Settings {
    /// 100 by 100 pixels, 156 bands, soil, vegetation and water, with noise and shade.
    fn default() -> Self {
        Settings {
            rows: 100,
            cols: 100,
            bands: 156,
            endmembers: 3,
            noise_sd: 0.01,
            maps: Maps::Smooth,
            pure_pixels: true,
            brightness_sd: 0.2,
            variability_sd: 0.0,
            band_correlation: 0.0,
            no_data_fraction: 0.0,
            rare_share: 0.0,
            close_angle: 0.0,
            shared_variability_sd: 0.0,
            mixing: Mixing::Linear,
            signal_noise: 0.0,
            least_abundance: 0.0,
            dark: 1.0,
            outlier_share: 0.0,
            seed: 0,
        }
    }
}

/// Makes abundances (rows, cols, K) below `least` zero, and the others larger in proportion.
pub(super) fn without_less(abundances: &mut Array3<f64>, least: f64) {
    if least == 0.0 {
        return;
    }
    for mut pixel in abundances.lanes_mut(Axis(2)) {
        pixel.mapv_inplace(|w| if w < least { 0.0 } else { w });
        let total = pixel.sum();
        pixel /= total;
    }
}

impl Settings {
    /// Refuses the first setting outside its range.
    pub(super) fn check(&self) -> Result<()> {
        for (name, value) in [
            (setting::ROWS, self.rows),
            (setting::COLS, self.cols),
            (setting::BANDS, self.bands),
            (setting::ENDMEMBERS, self.endmembers),
        ] {
            if value == 0 {
                return Err(Error::setting(name, 0, "give 1 or more."));
            }
        }
        if self.endmembers > self.bands {
            return Err(Error::setting(
                setting::ENDMEMBERS,
                self.endmembers,
                format!(
                    "no more endmembers than bands can be told apart; give 1 to {}, or more bands.",
                    self.bands
                ),
            ));
        }
        let values = self.rows.checked_mul(self.cols).and_then(|n| n.checked_mul(self.bands));
        if values.is_none_or(|values| values > MOST_VALUES) {
            return Err(Error::setting(
                setting::SIZE,
                format!("{} rows, {} cols, {} bands", self.rows, self.cols, self.bands),
                format!("a scene may have at most {MOST_VALUES} values; give fewer of one."),
            ));
        }
        for (name, value, most) in [
            (setting::NOISE, self.noise_sd, 1.0),
            (setting::BRIGHTNESS, self.brightness_sd, 2.0),
            (setting::VARIABILITY, self.variability_sd, 1.0),
            (setting::SHARED_VARIABILITY, self.shared_variability_sd, 0.5),
            (setting::SIGNAL_NOISE, self.signal_noise, 1.0),
            (setting::OUTLIERS, self.outlier_share, 0.2),
        ] {
            if !(0.0..=most).contains(&value) {
                return Err(Error::setting(
                    name,
                    value,
                    format!("a standard deviation from 0 to {most} is needed."),
                ));
            }
        }
        for (name, value) in [
            (setting::BAND_CORRELATION, self.band_correlation),
            (setting::NO_DATA, self.no_data_fraction),
        ] {
            if !(0.0..1.0).contains(&value) {
                return Err(Error::setting(name, value, "a number from 0 to below 1 is needed."));
            }
        }
        let most = 1.0 / self.endmembers as f64;
        if !(0.0..most).contains(&self.least_abundance) {
            return Err(Error::setting(
                setting::LEAST_ABUNDANCE,
                self.least_abundance,
                format!("a share from 0 to below 1 / K = {most:.3} is needed."),
            ));
        }
        if !(self.dark > 0.0 && self.dark <= 1.0) {
            return Err(Error::setting(
                setting::DARK,
                self.dark,
                "a factor above 0 and up to 1 is needed.",
            ));
        }
        self.check_rare()
    }

    fn check_rare(&self) -> Result<()> {
        let (rare, close) = (self.rare_share, self.close_angle);
        if !(0.0..=0.2).contains(&rare) {
            return Err(Error::setting(
                setting::RARE,
                rare,
                "a share of the pixels from 0 to 0.2 is needed.",
            ));
        }
        if !(0.0..std::f64::consts::FRAC_PI_2).contains(&close) {
            return Err(Error::setting(
                setting::CLOSE,
                close,
                "an angle in radians from 0 to below 1.57 is needed.",
            ));
        }
        for (name, value) in [(setting::RARE, rare), (setting::CLOSE, close)] {
            if value > 0.0 && self.endmembers < 2 {
                return Err(Error::setting(
                    name,
                    value,
                    "needs another endmember to be told from; give 2 endmembers or more.",
                ));
            }
        }
        if rare > 0.0 && !self.pure_pixels {
            return Err(Error::setting(
                setting::RARE,
                rare,
                "is a share of pure pixels; allow pure pixels, too.",
            ));
        }
        Ok(())
    }
}
