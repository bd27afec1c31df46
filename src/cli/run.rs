//! One run, from a scene in memory to a folder of results: what `fit` and `demo` share.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use ndarray::Axis;
use unmixel::engine::backend::{Choice, check_memory, device};
use unmixel::engine::model::{BRIGHTNESS_SD, Guide, Held, Model, Noise, VARIABILITY_SCALE};
use unmixel::engine::svi::{self, Outcome, Settings, Stop};
use unmixel::posterior::Posterior;
use unmixel::posterior::doubts::{Doubt, doubts};
use unmixel::posterior::nested::{self, Nested};
use unmixel::results::{
    DeviceReport, ElboReport, Format, OutputFolder, Report, Results, RunReport, SceneReport,
    Stages, TruthView, write_all,
};
use unmixel::scene::Truth;
use unmixel::scene::to_image;
use unmixel::scene::{Cube, Scene};
use unmixel::score::Convention;
use unmixel::search::spectra_first;
use unmixel::starts::{self, Init};
use unmixel::statistics::effective::{default_bands, independent_bands};
use unmixel::{Error, Result};

use super::args::{
    Concentration, ConventionArg, EffectiveBands, GuideArg, NoiseArg, PosteriorArg, RunArgs,
    SpectraArg, Switch,
};
use super::materials::Materials;
use super::progress::Display;
use super::reference::{Reference, Scores};
use super::{Done, print, search, tables};

/// What a run starts from.
pub struct Job {
    pub scene: Scene,
    /// The scene as the user named it.
    pub path: String,
    pub endmembers: usize,
    /// A given start; none: the search finds one.
    pub init: Option<Init>,
    /// Names of the endmembers; may be empty.
    pub names: Vec<String>,
    pub truth: Option<Truth>,
    /// Seconds of the stages so far.
    pub seconds: Vec<(String, f64)>,
}

/// Prior sd of the log concentration, where it is learned.
const CONCENTRATION_SD: f64 = 1.0;

/// The convention that the arguments ask for, or the one that a fit with or without brightness can
/// tell.
pub fn convention(args: &RunArgs) -> Result<Convention> {
    match (args.convention, args.brightness) {
        (Some(ConventionArg::Peak), Switch::Off) => Err(Error::option(
            "--convention peak",
            "needs --brightness on: shares of peak-normalised spectra leave the brightness of a pixel open",
        )),
        (Some(ConventionArg::Reflectance), _) | (None, Switch::Off) => Ok(Convention::Reflectance),
        (Some(ConventionArg::Peak) | None, Switch::On) => Ok(Convention::Peak),
    }
}

/// The model that the arguments describe.
pub fn model(args: &RunArgs, endmembers: usize) -> Result<Model> {
    let default = Model::new(endmembers);
    // A pixel's own variances and shared covariances have no product form together.
    let variability = match args.variability {
        Some(switch) => switch == Switch::On,
        None => args.noise != NoiseArg::Covariance,
    };
    Ok(Model {
        noise: match args.noise {
            NoiseArg::Isotropic => Noise::Isotropic,
            NoiseArg::Band => Noise::Band,
            NoiseArg::Covariance => Noise::Covariance,
        },
        concentration: match args.concentration {
            Some(Concentration::Given(alpha)) => alpha,
            _ => default.concentration,
        },
        concentration_sd: (args.concentration == Some(Concentration::Learned))
            .then_some(CONCENTRATION_SD),
        brightness: (args.brightness == Switch::On).then_some(BRIGHTNESS_SD),
        variability: variability.then_some(VARIABILITY_SCALE),
        guide: guide(args)?,
        ..default
    })
}

/// Directions of the low-rank guide if nobody says otherwise: docs/model.md has the evidence.
const RANK: usize = 10;

fn guide(args: &RunArgs) -> Result<Guide> {
    match (args.guide, args.rank) {
        (GuideArg::LowRank, Some(rank)) => Ok(Guide::LowRank { rank }),
        (_, Some(rank)) => Err(Error::option(
            format!("--rank {rank}"),
            "only the low-rank guide has a rank; add --guide low-rank, or leave it out",
        )),
        (name, None) => Ok(guide_of(name)),
    }
}

/// The guide of that name, at its default.
pub fn guide_of(name: GuideArg) -> Guide {
    match name {
        GuideArg::MeanField => Guide::MeanField,
        GuideArg::FullRank => Guide::FullRank,
        GuideArg::LowRank => Guide::LowRank { rank: RANK },
    }
}

/// How spectra are found; without brightness they come first where a search finds them, see [`spectra_first`].
fn spectra_of(args: &RunArgs, init: Option<&Init>) -> Result<SpectraArg> {
    let given = matches!(init, Some(Init::Spectra(_)));
    match (args.spectra, args.brightness) {
        (Some(SpectraArg::First), Switch::On) => Err(Error::option(
            "--spectra first",
            "needs --brightness off: it takes spectra from a fit with brightness to abundances without",
        )),
        (Some(SpectraArg::Given), _) if !given => Err(Error::option(
            "--spectra given",
            "needs a file of spectra; name one with --init FILE",
        )),
        (Some(asked), _) => Ok(asked),
        (None, Switch::Off) if init.is_none() => Ok(SpectraArg::First),
        (None, _) => Ok(SpectraArg::Joint),
    }
}

/// The settings that the arguments describe.
pub fn settings(args: &RunArgs) -> Settings {
    Settings {
        steps: args.steps,
        batch_size: args.batch_size,
        particles: args.particles,
        learning_rate: args.learning_rate,
        seed: args.seed,
        early_stop: !args.no_early_stop,
        warm: false,
    }
}

/// Fits, scores and writes; gives the scene back.
pub fn run(
    args: &RunArgs,
    job: Job,
    folder: &OutputFolder,
    interrupted: &Arc<AtomicBool>,
) -> Result<(Done, Scene)> {
    let Job { mut scene, path, endmembers, init, names, truth, mut seconds } = job;
    let started = SystemTime::now().duration_since(UNIX_EPOCH).ok().map(|t| t.as_secs());
    let convention = convention(args)?;
    let (mut model, settings) = (model(args, endmembers)?, settings(args));
    let init = init.or_else(|| search::quick(args).then_some(Init::Vca));
    let spectra = spectra_of(args, init.as_ref())?;
    model.held = match spectra {
        SpectraArg::Joint => Held::Nothing,
        SpectraArg::First => Held::SpectraAndVariability,
        SpectraArg::Given => Held::Spectra,
    };
    // Spectra that come first, come from a fit with brightness.
    let first = |model: &Model| {
        (spectra == SpectraArg::First).then(|| Model {
            brightness: Some(BRIGHTNESS_SD),
            held: Held::Nothing,
            ..model.clone()
        })
    };
    let materials = args.library.as_ref().map(|path| Materials::read(path, &scene)).transpose()?;
    // Before sizes are computed from it: they would not hold just any number.
    starts::check_count(&scene.cube, endmembers)?;
    if args.posterior == PosteriorArg::Nested {
        nested::check(&svi::params(&model, &settings, &scene.cube)?)?;
    }
    scene.scatter();
    let device = device::choose(&args.device.parse::<Choice>()?)?;
    let largest = first(&model).unwrap_or_else(|| model.clone());
    check_memory(&device, &svi::params(&largest, &settings, &scene.cube)?)?;
    tell!(
        "device: {} ({})",
        [&*device.info.name, &device.info.driver].join(" ").trim_end(),
        device.info.reason
    );

    let mut clock = Instant::now();
    let mut lap = |stage: &str, seconds: &mut Vec<(String, f64)>| {
        seconds.push((stage.to_owned(), clock.elapsed().as_secs_f64()));
        clock = Instant::now();
    };
    let bright = largest.brightness.is_some();
    let begin = |init| starts::start(&scene.cube, endmembers, init, bright, args.seed);
    let start = init.as_ref().map(begin).transpose()?;
    lap("start", &mut seconds);

    // The backend shares the cube instead of copying it; the scene gets it back below.
    let cube = Arc::new(std::mem::replace(&mut scene.cube, Cube::zeros(0, 0)));
    let (bands, how) = effective_bands(args, &cube, endmembers);
    tell!("effective bands: {bands:.1} of {} ({how})", cube.bands());
    model.likelihood_weight = bands / cube.bands() as f64;
    let first = first(&model);
    let searched = first.as_ref().unwrap_or(&model);
    lap("effective bands", &mut seconds);

    let stop = || interrupted.load(Ordering::Relaxed);
    let (state, description, found) = match start {
        Some(start) => {
            tell!("start: {}", start.description);
            (svi::begin(searched, &settings, &cube, &start)?, start.description, None)
        }
        None => {
            let mut found = search::run(args, &device, searched, &settings, &cube, &stop)?;
            (std::mem::take(&mut found.state), found.description.clone(), Some(found))
        }
    };
    lap("search", &mut seconds);
    // Who asks for all steps gets them, from the full rate.
    let warm = settings.early_stop && found.as_ref().is_some_and(|found| found.fitted);
    let settings = Settings { warm, ..settings };
    let fit = |model: &Model, settings: &Settings, state| -> Result<Outcome> {
        let mut display = Display::new();
        let mut observe = |progress: &_| display.update(progress);
        let outcome = svi::fit(&device, model, settings, &cube, state, &mut observe, &stop);
        display.finish();
        let outcome = outcome?;
        summary(&outcome, settings);
        Ok(outcome)
    };
    let (state, settings, shaded) = match &first {
        None => (state, settings, None),
        Some(first) => {
            let shaded = fit(first, &settings, state)?;
            tell!(
                "spectra: from that fit, with brightness, as bright as their purest pixels; held while the rest is fitted without"
            );
            let settings = Settings { warm: false, ..settings };
            let state = spectra_first::begin(&model, &settings, &cube, &shaded)?;
            lap("spectra", &mut seconds);
            (state, settings, shaded.elbo())
        }
    };
    let outcome = fit(&model, &settings, state)?;
    lap("fit", &mut seconds);
    if let Some((_, total)) = seconds.pop() {
        seconds.push(("open device".into(), outcome.seconds.0));
        seconds.push(("steps".into(), total - outcome.seconds.0));
    }

    let posterior = match args.posterior {
        PosteriorArg::Guide => None,
        PosteriorArg::Nested => nested_posterior(&outcome, &cube, convention, &stop)?,
    };
    // An interrupted run reports what there is.
    let of_guide = posterior.is_none();
    let cut_short =
        outcome.stop == Stop::Interrupted || (of_guide && args.posterior == PosteriorArg::Nested);
    let posterior = posterior.unwrap_or_else(|| {
        let (globals, locals) = (&outcome.globals, &outcome.locals);
        Posterior::new(&outcome.params, &cube, globals, locals, convention)
    });
    scene.cube = Arc::unwrap_or_clone(cube);
    let (posterior, scored) = match &truth {
        Some(truth) => compare(&scene, posterior, truth)?,
        None => (posterior, None),
    };
    let names = unmixel::figures::Labels::new(&names, endmembers).shown;
    let warnings = warnings(&posterior, &names);
    for warning in &warnings {
        tell!("note: {warning}");
    }
    lap("posterior", &mut seconds);

    let trace: Vec<(u32, f64)> = (1..).zip(outcome.trace.iter().copied()).collect();
    let stopped_at = match outcome.stop {
        Stop::Converged { fired_at } => Some(fired_at),
        _ => None,
    };
    let view = scored.as_ref().map(|scored| scored.view.clone());
    let nearest = materials.map(|m| m.label(&posterior, &names)).unwrap_or_default();
    let formats = formats(args, &scene);
    let results = Results {
        scene: &scene,
        formats: &formats,
        nearest: &nearest,
        posterior: &posterior,
        names: &names,
        truth: view.as_ref(),
        trace: &trace,
        trace_window: 50,
        stopped_at,
    };
    let earlier = folder.earlier();
    let mut files = write_all(folder, &results)?;
    if let Some(found) = &found {
        let shown = posterior.endmember_mean.view();
        files.extend(search::picture(folder, &scene, found, &names, shown)?);
    }
    lap("pictures and tables", &mut seconds);

    scene.notes.extend(warnings);
    let mut report = Report {
        unmixel: env!("CARGO_PKG_VERSION"),
        scene: SceneReport::new(&scene, path),
        settings: serde_json::json!({ "model": model, "convention": convention, "posterior": if of_guide { "guide" } else { "nested" }, "effective_bands": bands, "spectra": spectra, "svi": settings, "start": description }),
        seed: args.seed,
        device: DeviceReport {
            name: device.info.name,
            backend: device.info.backend,
            driver: device.info.driver,
            reason: device.info.reason,
        },
        steps_run: outcome.trace.len() as u32,
        steps_ceiling: settings.steps,
        stop_reason: outcome.stop.sentence(),
        interrupted: cut_short,
        skipped_steps: outcome.skipped,
        elbo: ElboReport::new(&trace, outcome.elbo()),
        estimates: serde_json::json!({
            "mean_abundance": posterior.mean_abundance,
            "noise_sd": posterior.noise_sd,
            "concentration": posterior.concentration,
            "nearest_materials": (!nearest.is_empty()).then_some(&nearest),
            "elbo_with_brightness": shaded,
        }),
        search: found.as_ref().map(search::record),
        scores: scored.as_ref().map(|scored| serde_json::json!(scored.scores)),
        files,
        run: RunReport::current(std::env::args().collect(), started, Stages(seconds)),
    };
    report.write(folder)?;
    folder.remove_left(&earlier, &report.files)?;
    if let Some(scored) = &scored {
        print(&tables::scores(&names, &scored.scores).to_string())?;
    }
    print(&format!("{} files in {}", report.files.len(), folder.path().display()))?;
    Ok((if cut_short { Done::Interrupted } else { Done::Whole }, scene))
}

/// The nested posterior of a fit; none when interrupted.
fn nested_posterior(
    outcome: &Outcome,
    cube: &Cube,
    convention: Convention,
    stop: &(dyn Fn() -> bool + Sync),
) -> Result<Option<Posterior>> {
    let Outcome { params, globals, locals, prior_centre, .. } = outcome;
    tell!("nested posterior: spectra with the pixels integrated out, some steps over all pixels");
    let nested = Nested::new(params, cube, globals, locals, prior_centre, stop)?;
    let Some(nested) = nested else { return Ok(None) };
    tell!(
        "nested posterior: spectra moved in {} steps by {:.2} posterior sds in all{}",
        nested.steps.len() - 1,
        nested.steps[..nested.steps.len() - 1].iter().sum::<f64>(),
        if nested.settled() {
            ""
        } else {
            "; they did not come to rest, so they stay at the guide's"
        }
    );
    tell!("nested posterior: {} draws of each pixel", nested::SCENES * nested::PER_SCENE);
    Ok(Posterior::nested(&nested, globals, convention, stop))
}

fn summary(outcome: &Outcome, settings: &Settings) {
    let steps = outcome.trace.len();
    let elbo = outcome.elbo().map_or("none".to_owned(), |elbo| format!("{elbo:.3}"));
    let skipped = if outcome.skipped > 0 {
        format!("; {} steps were not finite and changed nothing", outcome.skipped)
    } else {
        String::new()
    };
    tell!(
        "fit: {steps} of {} steps in {:.2} s, ELBO {elbo} nats a pixel; {}{skipped}",
        settings.steps,
        outcome.seconds.1,
        outcome.stop.sentence()
    );
}

/// How many bands count as independent evidence, and how that is known.
pub fn effective_bands(args: &RunArgs, cube: &Cube, endmembers: usize) -> (f64, &'static str) {
    let all = cube.bands() as f64;
    match args.effective_bands {
        None if args.noise == NoiseArg::Covariance => {
            (all, "all: the covariance says how they err together")
        }
        None => default_bands(cube, endmembers),
        Some(EffectiveBands::Count(count)) => (count.min(all), "as asked"),
        Some(EffectiveBands::All) => (all, "all, as asked"),
        Some(EffectiveBands::Auto) => {
            (independent_bands(cube, endmembers), "from how residuals of adjacent bands correlate")
        }
    }
}

/// What a user should know before trusting the maps.
fn warnings(posterior: &Posterior, names: &[String]) -> Vec<String> {
    let sentence = |doubt| match doubt {
        Doubt::Empty { endmember, largest } => format!(
            "{} is nearly empty: no pixel has more than {:.1} % of it; try fewer endmembers.",
            names[endmember],
            100.0 * largest
        ),
        Doubt::Alike { one, other, angle } => format!(
            "{} and {} have nearly the same spectrum ({angle:.3} rad); try fewer endmembers.",
            names[one], names[other]
        ),
    };
    let found = doubts(posterior.endmember_mean.view(), posterior.abundance_mean.view());
    found.into_iter().map(sentence).collect()
}

/// What the results are written as.
fn formats(args: &RunArgs, scene: &Scene) -> Vec<Format> {
    if args.format.is_empty() {
        return Format::usual(scene);
    }
    args.format.iter().map(|format| (*format).into()).collect()
}

/// A fit against a truth, in the truth's order.
struct Scored {
    scores: Scores,
    view: TruthView,
}

/// Puts the endmembers in the truth's order and scores them.
fn compare(
    scene: &Scene,
    posterior: Posterior,
    truth: &Truth,
) -> Result<(Posterior, Option<Scored>)> {
    let reference = Reference::new(scene, truth);
    let convention = posterior.convention;
    // Sums in the image's order, so that `score` finds the same of the files to the last digit.
    let mut order: Vec<usize> = (0..scene.pixel_index.len()).collect();
    order.sort_unstable_by_key(|&pixel| scene.pixel_index[pixel]);
    let in_image = Reference {
        endmembers: reference.endmembers.clone(),
        abundances: reference.abundances.as_ref().map(|w| w.select(Axis(0), &order)),
    };
    let of = |posterior: &Posterior| {
        let w = posterior.abundance_mean.select(Axis(0), &order);
        in_image.scores(posterior.endmember_mean.view(), w.view(), convention)
    };
    let posterior = posterior.in_order(&of(&posterior)?.own().matching);
    let scores = of(&posterior)?;
    let Reference { endmembers, abundances } = reference.in_convention(convention)?;
    let view = TruthView {
        names: truth.names.clone().unwrap_or_default(),
        endmembers,
        abundances: abundances.map(|maps| to_image(scene, maps.view())).transpose()?,
        sad: scores.own().sad.clone().unwrap_or_default(),
        rmse: scores.own().abundance_rmse,
    };
    Ok((posterior, Some(Scored { scores, view })))
}

/// The names that the user gave, one for each endmember or none.
pub fn check_names(names: &[String], endmembers: usize) -> Result<()> {
    if names.is_empty() || names.len() == endmembers {
        return Ok(());
    }
    let given = names.len();
    Err(Error::option(
        format!("--names {}", names.join(",")),
        format!("{given} names for {endmembers} endmembers; give one for each, or none"),
    ))
}
