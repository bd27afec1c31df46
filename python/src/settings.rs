//! Settings from Python's keywords to the library's builder.

use std::path::PathBuf;

use ndarray::Array2;
use numpy::PyReadonlyArray2;
use pyo3::prelude::*;
use unmixel::engine::ground::setting;
use unmixel::rooms::io::library;
use unmixel::scene::Scaling;
use unmixel::{
    Concentration, Convention, CubeFormat, EffectiveBands, Error, Family, Init, Noise,
    PosteriorKind, Result, SearchBudget, Spectra, Unmixing,
};

use crate::errors::OrRaise;

/// A number or a word.
#[derive(FromPyObject)]
pub enum NumberOr {
    Whole(i128),
    Number(f64),
    Word(String),
}

impl std::fmt::Display for NumberOr {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            NumberOr::Whole(number) => write!(f, "{number}"),
            NumberOr::Number(number) => write!(f, "{number}"),
            NumberOr::Word(word) => write!(f, "{word:?}"),
        }
    }
}

/// Every setting but the number of endmembers, the start and the device; none: the library's
/// default.
#[derive(FromPyObject)]
pub struct Settings {
    #[pyo3(item)]
    seed: Option<i128>,
    #[pyo3(item)]
    steps: Option<i128>,
    #[pyo3(item)]
    early_stop: Option<bool>,
    #[pyo3(item)]
    batch_size: Option<i128>,
    #[pyo3(item)]
    particles: Option<i128>,
    #[pyo3(item)]
    learning_rate: Option<f64>,
    #[pyo3(item)]
    noise: Option<String>,
    #[pyo3(item)]
    brightness: Option<bool>,
    #[pyo3(item)]
    variability: Option<bool>,
    #[pyo3(item)]
    effective_bands: Option<NumberOr>,
    #[pyo3(item)]
    concentration: Option<NumberOr>,
    #[pyo3(item)]
    common_mixture: Option<bool>,
    #[pyo3(item)]
    learn_shade: Option<bool>,
    #[pyo3(item)]
    outliers_aside: Option<bool>,
    #[pyo3(item)]
    guide: Option<String>,
    #[pyo3(item)]
    rank: Option<i128>,
    #[pyo3(item)]
    posterior: Option<String>,
    #[pyo3(item)]
    cube: Option<String>,
    #[pyo3(item)]
    draws: Option<i128>,
    #[pyo3(item)]
    spectra: Option<String>,
    #[pyo3(item)]
    restarts: Option<i128>,
    #[pyo3(item)]
    search: Option<NumberOr>,
    #[pyo3(item)]
    convention: Option<String>,
}

/// A whole number of a type, or a sentence about one that is out of its range.
fn whole<T: TryFrom<i128>>(name: &'static str, value: i128) -> Result<T> {
    let refused =
        |_| Error::setting(name, value, "must be 0 or more, and no larger than counts are");
    T::try_from(value).map_err(refused)
}

/// What a word stands for, or a sentence with all words that may be.
fn word<T: Copy>(name: &'static str, given: &str, words: &[(&str, T)]) -> Result<T> {
    words.iter().find(|(word, _)| *word == given).map(|(_, value)| *value).ok_or_else(|| {
        let all: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        Error::setting(name, format!("{given:?}"), format!("give {}", all.join(", ")))
    })
}

impl Settings {
    /// The builder with all of them.
    ///
    /// # Errors
    /// [`Error::Setting`] for words and numbers that are none of a setting's.
    pub fn on(&self, mut of: Unmixing) -> Result<Unmixing> {
        if let Some(seed) = self.seed {
            of = of.seed(whole("seed", seed)?);
        }
        if let Some(steps) = self.steps {
            of = of.steps(whole(setting::STEPS, steps)?);
        }
        if let Some(stop) = self.early_stop {
            of = of.early_stop(stop);
        }
        if let Some(pixels) = self.batch_size {
            of = of.batch_size(whole(setting::BATCH_SIZE, pixels)?);
        }
        if let Some(draws) = self.particles {
            of = of.particles(whole(setting::PARTICLES, draws)?);
        }
        if let Some(rate) = self.learning_rate {
            of = of.learning_rate(rate);
        }
        if let Some(on) = self.brightness {
            of = of.brightness(on);
        }
        if let Some(on) = self.variability {
            of = of.variability(on);
        }
        if let Some(on) = self.common_mixture {
            of = of.common_mixture(on);
        }
        if let Some(on) = self.learn_shade {
            of = of.learn_shade(on);
        }
        if let Some(on) = self.outliers_aside {
            of = of.outliers_aside(on);
        }
        if let Some(draws) = self.draws {
            of = of.draws(whole(setting::DRAWS, draws)?);
        }
        if let Some(starts) = self.restarts {
            of = of.restarts(whole(setting::RESTARTS, starts)?);
        }
        self.words(self.family(of)?)
    }

    /// The settings that are words, or numbers and words.
    fn words(&self, mut of: Unmixing) -> Result<Unmixing> {
        if let Some(noise) = &self.noise {
            let words = [
                ("isotropic", Noise::Isotropic),
                ("band", Noise::Band),
                ("covariance", Noise::Covariance),
            ];
            of = of.noise(word(setting::NOISE, noise, &words)?);
        }
        if let Some(cube) = &self.cube {
            let words = [("f32", CubeFormat::F32), ("f16", CubeFormat::F16)];
            of = of.cube(word(setting::CUBE, cube, &words)?);
        }
        if let Some(posterior) = &self.posterior {
            let words = [("exact", PosteriorKind::Exact), ("guide", PosteriorKind::Guide)];
            of = of.posterior(word(setting::POSTERIOR, posterior, &words)?);
        }
        if let Some(spectra) = &self.spectra {
            let words =
                [("joint", Spectra::Joint), ("first", Spectra::First), ("given", Spectra::Given)];
            of = of.spectra(word(setting::SPECTRA, spectra, &words)?);
        }
        if let Some(convention) = &self.convention {
            let words = [("reflectance", Convention::Reflectance), ("peak", Convention::Peak)];
            of = of.convention(word(setting::CONVENTION, convention, &words)?);
        }
        if let Some(bands) = &self.effective_bands {
            of = of.effective_bands(match bands {
                NumberOr::Word(given) => {
                    let words = [("auto", EffectiveBands::Auto), ("all", EffectiveBands::All)];
                    word("effective bands", given, &words)?
                }
                NumberOr::Whole(count) => effective(*count as f64)?,
                NumberOr::Number(count) => effective(*count)?,
            });
        }
        if let Some(concentration) = &self.concentration {
            of = of.concentration(match concentration {
                NumberOr::Word(given) => {
                    word(setting::CONCENTRATION, given, &[("learn", Concentration::Learned)])?
                }
                NumberOr::Whole(alpha) => Concentration::Given(*alpha as f64),
                NumberOr::Number(alpha) => Concentration::Given(*alpha),
            });
        }
        if let Some(budget) = &self.search {
            of = of.search(search(budget)?);
        }
        Ok(of)
    }

    fn family(&self, of: Unmixing) -> Result<Unmixing> {
        let rank = self.rank.map(|rank| whole(setting::RANK, rank)).transpose()?;
        match (self.guide.as_deref(), rank) {
            (Some("low-rank"), Some(rank)) => Ok(of.family(Family::LowRank { rank })),
            (_, Some(rank)) => Err(Error::setting(
                setting::RANK,
                rank,
                "only the low-rank guide has a rank; give guide=\"low-rank\", or leave it out",
            )),
            (None, None) => Ok(of),
            (Some("low-rank"), None) => Ok(of.low_rank()),
            (Some(given), None) => {
                let words = [("mean-field", 0), ("full-rank", 1), ("low-rank", 2)];
                Ok(match word(setting::FAMILY, given, &words)? {
                    0 => of.family(Family::MeanField),
                    _ => of.family(Family::FullRank),
                })
            }
        }
    }
}

fn effective(count: f64) -> Result<EffectiveBands> {
    match count.is_finite() && count >= 1.0 {
        true => Ok(EffectiveBands::Count(count)),
        false => {
            let why = "give a number of at least 1, \"auto\" or \"all\"";
            Err(Error::setting("effective bands", count, why))
        }
    }
}

/// Moves a round, or a time as `20s`.
fn search(budget: &NumberOr) -> Result<SearchBudget> {
    let found = match budget {
        NumberOr::Whole(moves) => usize::try_from(*moves).ok().map(SearchBudget::Moves),
        NumberOr::Number(_) => None,
        NumberOr::Word(text) => {
            let seconds = text.strip_suffix('s').and_then(|number| number.trim().parse().ok());
            seconds.filter(|s: &f64| s.is_finite() && *s > 0.0).map(SearchBudget::Seconds)
        }
    };
    found.ok_or_else(|| {
        let why = "give a number of moves a round, or a time above 0 as \"20s\"";
        Error::setting(setting::SEARCH, budget, why)
    })
}

/// Where a fit begins.
pub enum Start {
    /// A search finds it.
    Search,
    /// One of the families.
    Family(Init),
    /// Spectra in a file.
    File(PathBuf),
    /// Spectra, (spectra, bands), and their wavelengths in nanometres.
    Spectra(library::Spectra),
}

#[derive(FromPyObject)]
enum Given<'py> {
    Word(String),
    Path(PathBuf),
    Spectra(PyReadonlyArray2<'py, f64>),
}

impl Start {
    /// The start that Python gives: none, a family, a file, or an array of spectra.
    ///
    /// # Errors
    /// `ValueError` for words that are neither a family nor a file.
    pub fn of(given: Option<&Bound<'_, PyAny>>, wavelengths: Option<Vec<f64>>) -> PyResult<Self> {
        let Some(given) = given else { return Ok(Start::Search) };
        Ok(match given.extract::<Given<'_>>()? {
            Given::Word(text) if text == "auto" => Start::Search,
            Given::Word(text) => match Init::FAMILIES.into_iter().find(|f| f.name() == text) {
                Some(family) => Start::Family(family),
                None if std::path::Path::new(&text).exists() => Start::File(text.into()),
                None => {
                    let names = Init::FAMILIES.map(|family| family.name()).join(", ");
                    let why = format!(
                        "give auto, {names}, a file of spectra, or an array of them; \
                         there is no such file"
                    );
                    return Err(Error::setting(setting::INIT, text, why)).or_raise();
                }
            },
            Given::Path(path) => Start::File(path),
            Given::Spectra(values) => Start::Spectra(library::Spectra {
                names: None,
                wavelengths,
                values: values.as_array().to_owned(),
                scaling: Scaling { gain: 1.0, offset: 0.0, rule: "as given".into() },
                notes: Vec::new(),
            }),
        })
    }

    /// A name of it, where it is the one start.
    pub fn name(&self) -> Option<String> {
        match self {
            Start::Search => None,
            Start::Family(family) => Some(family.name().to_owned()),
            Start::File(path) => Some(path.display().to_string()),
            Start::Spectra(_) => Some("an array of spectra".into()),
        }
    }

    /// The start for a scene, on whose bands spectra are brought; and names that come with a file.
    ///
    /// # Errors
    /// [`Error::Setting`] for spectra that do not cover the scene.
    pub fn on(&self, scene: &unmixel::Scene) -> Result<Option<(Init, Vec<String>)>> {
        let spectra = match self {
            Start::Search => return Ok(None),
            Start::Family(family) => return Ok(Some((family.clone(), Vec::new()))),
            Start::File(path) => &library::read(path)?,
            Start::Spectra(spectra) => spectra,
        };
        let found = spectra.covering(scene).map_err(|error| match error {
            Error::Scene(why) => {
                Error::option(format!("{} {}", setting::INIT, self.name().unwrap_or_default()), why)
            }
            other => other,
        })?;
        let values: Array2<f64> = found.values;
        Ok(Some((Init::Spectra(values), found.names.unwrap_or_default())))
    }

    /// Refuses settings of a search that there is none of.
    ///
    /// # Errors
    /// [`Error::Setting`].
    pub fn check(&self, settings: &Settings) -> Result<()> {
        let Some(name) = self.name() else { return Ok(()) };
        let restarts = settings.restarts.map(|given| given.to_string());
        let budget = settings.search.as_ref().map(|given| given.to_string());
        for (setting, given) in [(setting::RESTARTS, restarts), (setting::SEARCH, budget)] {
            if let Some(given) = given {
                let why = format!("init {name} gives the one start; leave one of the two out");
                return Err(Error::setting(setting, given, why));
            }
        }
        Ok(())
    }
}
