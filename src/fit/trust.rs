//! How far the abundances of a fit may be from the truth, from what was found on simulated scenes.

use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

use super::Fit;
use crate::posterior::Totals;
use crate::settings::PosteriorKind;
use crate::statistics::products::NONLINEAR;

/// In 95 of 100 simulated scenes without a [`Reason`] the error is below so many times the one that
/// the posterior states, and [`MORE`] (docs/evidence.md, "Trust").
const TIMES: f64 = 1.5;
/// What no posterior knows of: a scene is never quite what the model takes it for.
const MORE: f64 = 0.005;
/// How far the abundances of a pixel are off that no mixture explains (root mean square): it may
/// have any.
const OF_OUTLIERS: f64 = 0.5;
/// [`MORE`] where most pixels share a mixture: all of them are wrong by what the mixture is.
const MORE_SHARED: f64 = 0.025;
/// Where pixels share a mixture, each endmember should have a pixel with this much of it.
const PURE: f64 = 0.85;
/// An error below this is a good one.
const GOOD: f64 = 0.05;

/// How far the abundances of a fit may be from the truth.
#[derive(Debug, Clone, PartialEq)]
pub struct Trust {
    /// Root of the mean variance of all abundances: the error that the posterior states.
    pub stated: f64,
    /// What the root of the mean square error of the abundances is below in 95 of 100 simulated
    /// scenes without a reason to doubt.
    pub below: f64,
    /// The share of what the best fit leaves that products of amounts explain, 0 to 1; none where
    /// there are too few pixels, or more than 31 endmembers, to tell.
    pub nonlinear: Option<f64>,
    /// How far the brightness of pixels is spread that a fit without one leaves, as the sd of its
    /// log; none where it is no more than noise.
    pub brightness_left: Option<f64>,
    /// The largest abundance in the scene of the endmember for which it is least.
    pub purest: f64,
    /// Starts of the search that ended in the chosen solution, and starts; none without a search.
    /// On simulated scenes it says nothing that the rest does not say, so that it is no reason.
    pub agreement: Option<(usize, usize)>,
    /// Why the error may be larger; empty where nothing speaks for that.
    pub reasons: Vec<Reason>,
}

/// Why abundances may be farther from the truth than their posterior says.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// Spectra do not mix linearly.
    Nonlinear,
    /// There are too few pixels, or more than 31 endmembers, to tell whether spectra mix linearly.
    Unknown,
    /// Pixels differ in brightness, and the fit has none: abundances make up for it.
    Shade,
    /// Most pixels share a mixture, and an endmember is nowhere pure: the data hardly tell which
    /// spectra the mixture is of.
    SharedMixture,
    /// Intervals are those of the guide, which are too narrow.
    Guide,
    /// An endmember is empty, or like another.
    Doubts,
}

impl Reason {
    /// The reason as a sentence without its end.
    fn words(self) -> &'static str {
        match self {
            Reason::Nonlinear => {
                "what the fit leaves follows products of abundances: spectra do not mix linearly"
            }
            Reason::Unknown => {
                "it is not known whether spectra mix linearly, which takes three pixels for each \
                 two of the endmembers, of which there may be 31"
            }
            Reason::Shade => {
                "pixels differ in brightness, and without one their abundances make up for it"
            }
            Reason::SharedMixture => {
                "most pixels share one mixture, and a material of it is nowhere pure"
            }
            Reason::Guide => "its intervals are those of the guide, which are too narrow",
            Reason::Doubts => "an endmember is empty or like another",
        }
    }
}

impl Trust {
    /// Of a fit whose pixels were gathered block by block; none where they have no uncertainty, and
    /// of another scene than the one that was fitted.
    pub fn of_totals(fit: &Fit, totals: &Totals) -> Option<Self> {
        let (record, stated) = (fit.record(), totals.stated());
        // Of another scene only its abundances are known.
        if record.trace.is_empty() || !stated.is_finite() {
            return None;
        }
        let purest = totals.largest().iter().copied().fold(f32::INFINITY, f32::min).into();
        let (nonlinear, shared) = (record.nonlinear, record.model.common.is_some());
        let below = TIMES * stated + if shared { MORE_SHARED } else { MORE };
        let learned_from = f64::from(fit.guide().params.pixels.max(1));
        let outliers = record.outliers.as_ref().map_or(0, Vec::len) as f64;
        let share = (outliers / learned_from).min(1.0);
        let reasons = [
            (Reason::Nonlinear, nonlinear.is_some_and(|share| share > NONLINEAR)),
            (Reason::Unknown, nonlinear.is_none()),
            (Reason::Shade, record.brightness_left.is_some()),
            (Reason::SharedMixture, shared && purest < PURE),
            (Reason::Guide, record.posterior == PosteriorKind::Guide),
            (Reason::Doubts, !totals.doubts(fit.posterior()).is_empty()),
        ];
        Some(Trust {
            stated,
            below: (below.powi(2) + share * OF_OUTLIERS.powi(2)).sqrt(),
            nonlinear,
            brightness_left: record.brightness_left,
            purest,
            agreement: fit.search().map(|found| found.agreement),
            reasons: reasons.into_iter().filter(|(_, holds)| *holds).map(|(why, _)| why).collect(),
        })
    }

    /// True where nothing speaks against the fit, and its error is likely to be small: below
    /// [`Trust::below`], and that below 0.05, in 95 of 100 simulated scenes.
    pub fn is_high(&self) -> bool {
        self.reasons.is_empty() && self.below <= GOOD
    }
}

impl Fit {
    /// How far the abundances may be from the truth; none where they have no uncertainty.
    pub fn trust(&self) -> Option<Trust> {
        let mut totals = Totals::new(self.posterior.abundance_mean.nrows(), self.k());
        totals.add(&self.posterior);
        Trust::of_totals(self, &totals)
    }
}

impl Serialize for Trust {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut fields = to.serialize_struct("Trust", 9)?;
        fields.serialize_field("high", &self.is_high())?;
        fields.serialize_field("sentence", &self.to_string())?;
        fields.serialize_field("stated_rmse", &self.stated)?;
        fields.serialize_field("rmse_below", &self.below)?;
        fields.serialize_field("nonlinear_share", &self.nonlinear)?;
        fields.serialize_field("brightness_left", &self.brightness_left)?;
        fields.serialize_field("purest_of_the_least_pure", &self.purest)?;
        fields.serialize_field("starts_that_agree", &self.agreement)?;
        fields.serialize_field("reasons", &self.reasons)?;
        fields.end()
    }
}

impl std::fmt::Display for Trust {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.reasons.is_empty() {
            let grade = if self.is_high() { "high" } else { "low, as much is left open" };
            return write!(
                f,
                "trust: {grade}: abundances have an error (RMSE) near {:.3}, below {:.3} in 95 of \
                 100 simulated scenes",
                self.stated, self.below
            );
        }
        let words: Vec<&str> = self.reasons.iter().map(|reason| reason.words()).collect();
        write!(
            f,
            "trust: low: abundances may be farther from the truth than the {:.3} (RMSE) that their \
             posterior states: {}",
            self.stated,
            words.join("; ")
        )
    }
}
