//! One run, from a scene in memory to a folder of results: what `fit` and `demo` share.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use ndarray::{Array2, Array3, Axis};
use unmixel::backend::{Choice, device};
use unmixel::guide::State;
use unmixel::model::{Model, Noise};
use unmixel::output::{
    DeviceReport, ElboReport, OutputFolder, Report, Results, RunReport, SceneReport, Stages,
    TruthView, write_all,
};
use unmixel::posterior::Posterior;
use unmixel::scene::Scene;
use unmixel::score::{Convention, Score, convert, score};
use unmixel::starts::{self, Init};
use unmixel::svi::{self, Outcome, Settings, Stop};
use unmixel::truth::Truth;
use unmixel::{Error, Result};

use super::args::{NoiseArg, RunArgs};
use super::progress::Display;
use super::{Done, print, tables};

/// What a run starts from.
pub struct Job {
    pub scene: Scene,
    /// The scene as the user named it.
    pub path: String,
    pub endmembers: usize,
    pub init: Init,
    /// Names of the endmembers; may be empty.
    pub names: Vec<String>,
    pub truth: Option<Truth>,
    /// Seconds of the stages so far.
    pub seconds: Vec<(String, f64)>,
}

/// The model that the arguments describe.
pub fn model(args: &RunArgs, endmembers: usize) -> Model {
    let default = Model::new(endmembers);
    Model {
        noise: match args.noise {
            NoiseArg::Isotropic => Noise::Isotropic,
            NoiseArg::Band => Noise::Band,
        },
        concentration: args.concentration.unwrap_or(default.concentration),
        ..default
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
    }
}

/// Fits, scores and writes.
pub fn run(
    args: &RunArgs,
    job: Job,
    folder: &OutputFolder,
    interrupted: &Arc<AtomicBool>,
) -> Result<Done> {
    let Job { mut scene, path, endmembers, init, names, truth, mut seconds } = job;
    let started = SystemTime::now().duration_since(UNIX_EPOCH).ok().map(|t| t.as_secs());
    let (model, settings) = (model(args, endmembers), settings(args));
    // Before sizes are computed from it: they would not hold just any number.
    starts::check_count(&scene.cube, endmembers)?;
    svi::params(&model, &settings, &scene.cube)?;
    let device = device::choose(&args.device.parse::<Choice>()?)?;
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
    let start = starts::start(&scene.cube, endmembers, &init, args.seed)?;
    tell!("start: {}", start.description);
    lap("start", &mut seconds);

    // The backend shares the cube instead of copying it; the scene gets it back below.
    let cube = Arc::new(std::mem::replace(&mut scene.cube, unmixel::scene::Cube::zeros(0, 0)));
    let sizes = svi::params(&model, &settings, &cube)?;
    let state = State::around(
        &sizes,
        &model,
        &cube,
        start.endmembers.view(),
        start.abundances.view(),
        None,
    );
    let mut display = Display::new();
    let stop = || interrupted.load(Ordering::Relaxed);
    let outcome = svi::fit(
        &device,
        &model,
        &settings,
        &cube,
        state,
        &mut |progress| display.update(progress),
        &stop,
    );
    display.finish();
    let outcome = outcome?;
    lap("fit", &mut seconds);
    if let Some((_, total)) = seconds.pop() {
        seconds.push(("open device".into(), outcome.seconds.0));
        seconds.push(("steps".into(), total - outcome.seconds.0));
    }
    summary(&outcome, &settings);

    let posterior = Posterior::new(&outcome.params, &cube, &outcome.globals, &outcome.locals);
    scene.cube = Arc::unwrap_or_clone(cube);
    let (posterior, scored) = match &truth {
        Some(truth) => compare(&scene, posterior, truth)?,
        None => (posterior, None),
    };
    let names = unmixel::output::Labels::new(&names, endmembers).shown;
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
    let results = Results {
        scene: &scene,
        posterior: &posterior,
        names: &names,
        truth: view.as_ref(),
        trace: &trace,
        trace_window: 50,
        stopped_at,
    };
    let files = write_all(folder, &results)?;
    lap("pictures and tables", &mut seconds);

    scene.notes.extend(warnings);
    let mut report = Report {
        unmixel: env!("CARGO_PKG_VERSION"),
        scene: SceneReport::new(&scene, path),
        settings: recorded(&model, &settings, &start.description)?,
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
        interrupted: outcome.stop == Stop::Interrupted,
        skipped_steps: outcome.skipped,
        elbo: ElboReport::new(&trace, outcome.elbo()),
        scores: scored.as_ref().map(Scored::json),
        files,
        run: RunReport::current(std::env::args().collect(), started, Stages(seconds)),
    };
    report.write(folder)?;
    if let Some(scored) = &scored {
        print(&tables::scores(&names, &scored.reflectance, &scored.peak).to_string())?;
    }
    print(&format!("{} files in {}", report.files.len(), folder.path().display()))?;
    Ok(if outcome.stop == Stop::Interrupted { Done::Interrupted } else { Done::Whole })
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

/// Settings as used, defaults included.
fn recorded(model: &Model, settings: &Settings, start: &str) -> Result<serde_json::Value> {
    let json = serde_json::json!({ "model": model, "svi": settings, "start": start });
    Ok(json)
}

/// What a user should know before trusting the maps.
fn warnings(posterior: &Posterior, names: &[String]) -> Vec<String> {
    let mut warnings = Vec::new();
    for (k, name) in names.iter().enumerate() {
        let largest = posterior.abundance_mean.column(k).iter().copied().fold(0.0, f32::max);
        if largest < 0.05 {
            warnings.push(format!("{name} is nearly empty: no pixel has more than {:.1} % of it; try fewer endmembers.", 100.0 * largest));
        }
        for (j, other) in names.iter().enumerate().take(k) {
            let angle = unmixel::score::sad(
                posterior.endmember_mean.row(j),
                posterior.endmember_mean.row(k),
            );
            if angle < 0.02 {
                warnings.push(format!("{other} and {name} have nearly the same spectrum ({angle:.3} rad); try fewer endmembers."));
            }
        }
    }
    warnings
}

/// A fit against a truth, in the truth's order.
struct Scored {
    reflectance: Score,
    peak: Score,
    view: TruthView,
}

impl Scored {
    fn json(&self) -> serde_json::Value {
        serde_json::json!({ "reflectance": self.reflectance, "peak": self.peak })
    }
}

/// Puts the endmembers in the truth's order and scores them in both conventions.
fn compare(
    scene: &Scene,
    posterior: Posterior,
    truth: &Truth,
) -> Result<(Posterior, Option<Scored>)> {
    let spectra = truth.endmembers.as_ref().map(|all| {
        let used: Vec<usize> = scene.bands.iter().map(|band| band.index).collect();
        all.select(Axis(1), &used)
    });
    let maps = truth.abundances.as_ref().map(|maps| valid(scene, maps));
    let both = |posterior: &Posterior, convention| -> Result<Score> {
        let (c, w) =
            convert(posterior.endmember_mean.view(), posterior.abundance_mean.view(), convention)?;
        score(
            c.view(),
            w.view(),
            spectra.as_ref().map(|s| s.view()),
            maps.as_ref().map(|m| m.view()),
        )
    };
    let order = both(&posterior, Convention::Reflectance)?.matching;
    let posterior = posterior.in_order(&order);
    let (reflectance, peak) =
        (both(&posterior, Convention::Reflectance)?, both(&posterior, Convention::Peak)?);
    let view = TruthView {
        names: truth.names.clone().unwrap_or_default(),
        endmembers: spectra,
        abundances: truth.abundances.clone(),
        sad: reflectance.sad.clone().unwrap_or_default(),
        rmse: reflectance.abundance_rmse,
    };
    Ok((posterior, Some(Scored { reflectance, peak, view })))
}

/// The rows of a map (rows, cols, K) that belong to the scene's valid pixels, (N, K).
pub fn valid(scene: &Scene, maps: &Array3<f32>) -> Array2<f32> {
    let (_, cols, k) = maps.dim();
    Array2::from_shape_fn((scene.pixel_index.len(), k), |(n, i)| {
        let at = scene.pixel_index[n] as usize;
        maps[[at / cols, at % cols, i]]
    })
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
