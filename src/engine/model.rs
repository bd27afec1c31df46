//! The model on one page: what is assumed, with equation numbers of `docs/model.md`.

/// Noise of the observed spectra.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Noise {
    /// One standard deviation for the whole scene.
    Isotropic,
    /// One standard deviation a band.
    Band,
    /// A covariance of all bands, by the regression of each band's noise on the bands before it
    /// (equations 21 and 22). At most [`MOST_COVARIANCE_BANDS`] bands, no variability.
    Covariance,
}

/// The most bands whose covariance is learned: a step takes their square a pixel.
pub const MOST_COVARIANCE_BANDS: usize = 300;

/// Variational family (equations 8 and 26).
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Family {
    /// Independent normals (Pyro's `AutoDiagonalNormal`).
    MeanField,
    /// One multivariate normal a pixel, by its Cholesky factor.
    FullRank,
    /// One multivariate normal of all latents, those of the scene and of every pixel: full-rank
    /// within a pixel, and `rank` directions that move them all together (equation 26; after Pyro's
    /// `AutoLowRankMultivariateNormal`).
    LowRank {
        /// R, 1 to [`MOST_RANK`], at most the number of latents.
        rank: usize,
    },
}

/// The highest rank: one workgroup inverts the R x R matrix of equation 28 in its 16 KiB of memory,
/// a column a lane.
pub const MOST_RANK: usize = 64;

impl Family {
    /// R, or 0 where the latents have no directions in common.
    pub fn rank(self) -> usize {
        match self {
            Family::LowRank { rank } => rank,
            _ => 0,
        }
    }
}

/// What of the endmembers' guide stays as a fit finds it, while the rest is fitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Held {
    /// Nothing: all is fitted.
    Nothing,
    /// Spectra.
    Spectra,
    /// Spectra, and how they vary between pixels.
    SpectraAndVariability,
}

/// The prior of a standard deviation, as terms of `x = log sd`:
/// `log p(x) = x * jacobian - exp(2x) * quadratic / 2 - (x - centre)^2 * precision / 2 + constant`.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct ScalePrior {
    pub(crate) jacobian: f64,
    pub(crate) quadratic: f64,
    pub(crate) centre: f64,
    pub(crate) precision: f64,
    pub(crate) constant: f64,
}

impl ScalePrior {
    /// `sd ~ HalfNormal(scale)`, `scale > 0`.
    pub fn half_normal(scale: f64) -> Self {
        let constant = 0.5 * (2.0 / std::f64::consts::PI).ln() - scale.ln();
        ScalePrior {
            jacobian: 1.0,
            quadratic: scale.powi(-2),
            centre: 0.0,
            precision: 0.0,
            constant,
        }
    }

    /// `log sd ~ Normal(loc, scale)`, `scale > 0`.
    pub fn log_normal(loc: f64, scale: f64) -> Self {
        let constant = -0.5 * (2.0 * std::f64::consts::PI).ln() - scale.ln();
        ScalePrior {
            jacobian: 0.0,
            quadratic: 0.0,
            centre: loc,
            precision: scale.powi(-2),
            constant,
        }
    }
}

/// A mixture that many pixels share: of those that do, abundances are from a Dirichlet around it,
/// whose total beta is learned, as are the mixture and the share of the pixels (equation 34).
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Common {
    /// Median of the prior of beta, > 0.
    pub concentration: f64,
    /// Prior sd of log beta, > 0.
    pub sd: f64,
}

impl Common {
    /// The default for K endmembers: as likely flat as of a narrow spread, and a thousand pixels
    /// outweigh it.
    pub fn of(endmembers: usize) -> Self {
        Common { concentration: 4.0 * endmembers as f64, sd: 1.5 }
    }
}

/// Prior sd of the log concentration, where that is learned.
pub const CONCENTRATION_SD: f64 = 1.0;
/// Prior sd of log brightness: a pixel may well be three times as bright as another.
pub const BRIGHTNESS_SD: f64 = 1.0;
/// Prior scale of an endmember's sd between pixels, reflectance.
pub const VARIABILITY_SCALE: f64 = 0.02;
/// Bands that count as independent if nobody says otherwise: docs/evidence.md has the figures.
pub const EFFECTIVE_BANDS: f64 = 16.0;

/// The generative model and its hyperparameters (equations 1 to 6). Reflectance is in 0..1.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Model {
    /// Number of endmembers, K >= 1.
    pub endmembers: usize,
    /// Noise of the observed spectra.
    pub noise: Noise,
    /// Total concentration alpha of the pixels' Dirichlet (equation 2), > 0; where it is learned,
    /// the median of its prior.
    pub concentration: f64,
    /// Prior sd of log alpha around `log concentration` (equation 19), > 0, or none: alpha is
    /// given.
    pub concentration_sd: Option<f64>,
    /// Whether alpha is the most that the Dirichlet may have: where a pixel's posterior is exact,
    /// each endmember's part of it is learned and may be smaller (equation 44).
    #[serde(default)]
    pub sparser: bool,
    /// A mixture that many pixels may share, or none.
    #[serde(default)]
    pub common: Option<Common>,
    /// Concentration alpha0 of the prior of the mean abundance (equation 1), > 0.
    pub mean_concentration: f64,
    /// Sd of the endmembers' normal prior around its centre, truncated at 0 (equation 3), > 0.
    pub endmember_sd: f64,
    /// Prior of the noise sd (equation 4); with covariance, of what the bands before leave open.
    pub noise_prior: ScalePrior,
    /// Prior sd of the regression of a band's noise on the band before; on the h-th before it is
    /// 1/h of that (equation 21), > 0. Used with [`Noise::Covariance`].
    pub regression_sd: f64,
    /// Least noise sd, reflectance: keeps noise-free synthetic bands from infinite density, >= 0.
    pub noise_floor: f64,
    /// Prior sd tau of a pixel's log brightness, or none: brightness off; where it is learned, the
    /// median of its prior.
    pub brightness: Option<f64>,
    /// Prior sd of log tau around `log brightness`, > 0, or none: tau is given (equation 35).
    #[serde(default)]
    pub brightness_spread: Option<f64>,
    /// Prior scale of the endmembers' sd between pixels (HalfNormal), or none: variability off.
    pub variability: Option<f64>,
    /// Weight of the likelihood, in (0, 1]: independent bands over bands. 1 is the plain model.
    pub likelihood_weight: f64,
    /// Variational family.
    pub family: Family,
    /// What of the endmembers' guide stays as a fit finds it.
    pub held: Held,
}

impl Model {
    /// The model whose pixels all have the brightness of the spectra.
    pub fn without_brightness(&self) -> Self {
        Model { brightness: None, brightness_spread: None, ..self.clone() }
    }

    /// The model whose total concentration is learned and which has no common mixture.
    pub fn with_learned_concentration(&self) -> Self {
        Model { concentration_sd: Some(CONCENTRATION_SD), common: None, ..self.clone() }
    }

    /// The model with K endmembers and everything else at its default.
    pub fn new(endmembers: usize) -> Self {
        Model {
            endmembers,
            noise: Noise::Band,
            concentration: 0.2 * endmembers as f64,
            concentration_sd: None,
            sparser: false,
            common: None,
            mean_concentration: 1.0,
            endmember_sd: 0.3,
            noise_prior: ScalePrior::half_normal(0.05),
            regression_sd: 0.5,
            noise_floor: 1e-4,
            brightness: None,
            brightness_spread: None,
            variability: None,
            likelihood_weight: 1.0,
            family: Family::MeanField,
            held: Held::Nothing,
        }
    }

    /// Whether the bands, so many of them, count as independent evidence, or nearly so: more of
    /// them than count of a scene whose bands err together. What lies outside of the mixtures is
    /// then noise, and not how materials vary.
    pub fn has_independent_bands(&self, bands: usize) -> bool {
        let counted = self.likelihood_weight * bands as f64;
        self.likelihood_weight >= 1.0 || counted > EFFECTIVE_BANDS + 1e-6
    }

    /// Latents of one pixel: K - 1 abundance logits, and the log brightness if it is on.
    pub fn pixel_latents(&self) -> usize {
        self.endmembers - 1 + usize::from(self.brightness.is_some())
    }
}
