//! Arguments of a fit as settings of the library.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use unmixel::engine::model::Family;
use unmixel::{
    Concentration, Convention, CubeFormat, EffectiveBands, Error, Noise, PosteriorKind, Result,
    SearchBudget, Spectra, Unmixing,
};

use super::args::{
    self, ConventionArg, GuideArg, NoiseArg, PosteriorArg, RunArgs, SpectraArg, Switch,
};
use super::progress::Display;

/// `unmixing` with everything that the arguments ask for, the device and the interrupt included.
/// Events are shown.
pub fn unmixing(
    args: &RunArgs,
    unmixing: Unmixing,
    interrupted: &Arc<AtomicBool>,
) -> Result<Unmixing> {
    let display = Mutex::new(Display::new());
    let stop = Arc::clone(interrupted);
    Ok(settings(args, unmixing)?
        .on(args.device.parse()?)
        .stop_when(move || stop.load(Ordering::Relaxed))
        .on_event(move |event| {
            if let Ok(mut display) = display.lock() {
                display.show(event);
            }
        }))
}

/// `unmixing` with the settings that the arguments ask for.
pub fn settings(args: &RunArgs, unmixing: Unmixing) -> Result<Unmixing> {
    let mut unmixing = unmixing
        .noise(match args.noise {
            NoiseArg::Isotropic => Noise::Isotropic,
            NoiseArg::Band => Noise::Band,
            NoiseArg::Covariance => Noise::Covariance,
        })
        .draws(args.draws)
        .seed(args.seed)
        .steps(args.steps)
        .early_stop(!args.no_early_stop)
        .batch_size(args.batch_size)
        .particles(args.particles)
        .learning_rate(args.learning_rate);
    unmixing = match (args.guide, args.rank) {
        (GuideArg::LowRank, Some(rank)) => unmixing.family(Family::LowRank { rank }),
        (_, Some(rank)) => {
            return Err(Error::option(
                format!("--rank {rank}"),
                "only the low-rank guide has a rank; add --guide low-rank, or leave it out",
            ));
        }
        (name, None) => family(unmixing, name),
    };
    if let Some(switch) = args.variability {
        unmixing = unmixing.variability(switch == Switch::On);
    }
    if let Some(bands) = args.effective_bands {
        unmixing = unmixing.effective_bands(match bands {
            args::EffectiveBands::Count(count) => EffectiveBands::Count(count),
            args::EffectiveBands::Auto => EffectiveBands::Auto,
            args::EffectiveBands::All => EffectiveBands::All,
        });
    }
    if let Some(switch) = args.learn_shade {
        unmixing = unmixing.learn_shade(switch == Switch::On);
    }
    if let Some(cube) = args.cube {
        unmixing = unmixing.cube(match cube {
            args::CubeArg::F32 => CubeFormat::F32,
            args::CubeArg::F16 => CubeFormat::F16,
        });
    }
    if let Some(switch) = args.outliers_aside {
        unmixing = unmixing.outliers_aside(switch == Switch::On);
    }
    if let Some(switch) = args.brightness {
        unmixing = unmixing.brightness(switch == Switch::On);
    }
    if let Some(switch) = args.common_mixture {
        unmixing = unmixing.common_mixture(switch == Switch::On);
    }
    if let Some(concentration) = args.concentration {
        unmixing = unmixing.concentration(match concentration {
            args::Concentration::Given(alpha) => Concentration::Given(alpha),
            args::Concentration::Learned => Concentration::Learned,
        });
    }
    if let Some(spectra) = args.spectra {
        unmixing = unmixing.spectra(match spectra {
            SpectraArg::Joint => Spectra::Joint,
            SpectraArg::First => Spectra::First,
            SpectraArg::Given => Spectra::Given,
        });
    }
    if let Some(posterior) = args.posterior {
        unmixing = unmixing.posterior(match posterior {
            PosteriorArg::Exact => PosteriorKind::Exact,
            PosteriorArg::Guide => PosteriorKind::Guide,
        });
    }
    if let Some(convention) = args.convention {
        unmixing = unmixing.convention(match convention {
            ConventionArg::Reflectance => Convention::Reflectance,
            ConventionArg::Peak => Convention::Peak,
        });
    }
    if let Some(restarts) = args.restarts {
        unmixing = unmixing.restarts(restarts);
    }
    if let Some(budget) = args.search {
        unmixing = unmixing.search(match budget {
            args::SearchArg::Moves(moves) => SearchBudget::Moves(moves),
            args::SearchArg::Seconds(seconds) => SearchBudget::Seconds(seconds),
        });
    }
    Ok(unmixing)
}

/// With the guide of that name, at its default.
pub fn family(unmixing: Unmixing, name: GuideArg) -> Unmixing {
    match name {
        GuideArg::MeanField => unmixing.family(Family::MeanField),
        GuideArg::FullRank => unmixing.family(Family::FullRank),
        GuideArg::LowRank => unmixing.low_rank(),
    }
}

/// Refuses the options of the search where a start is given.
pub fn refuse_search(args: &RunArgs, init: &str) -> Result<()> {
    let restarts = args.restarts.map(|given| given.to_string());
    let budget = args.search.map(|given| given.to_string());
    for (flag, given) in [("--restarts", restarts), ("--search", budget)] {
        if let Some(given) = given {
            return Err(Error::option(
                format!("{flag} {given}"),
                format!("--init {init} gives the one start; leave one of the two out"),
            ));
        }
    }
    Ok(())
}
