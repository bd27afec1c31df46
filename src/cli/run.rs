//! One run, from a scene in memory to a folder of results: what `fit` and `demo` share.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{SystemTime, UNIX_EPOCH};

use unmixel::rooms::figures::Labels;
use unmixel::rooms::posterior::doubts::Doubt;
use unmixel::rooms::posterior::nested;
use unmixel::rooms::results::{
    DeviceReport, ElboReport, Format, OutputFolder, Report, Results, RunReport, SceneReport,
    Stages, TruthView, WindowReport, check_space, write_all,
};
use unmixel::rooms::score::{Reference, Scores};
use unmixel::rooms::search;
use unmixel::scene::to_image;
use unmixel::{Error, Fit, Result, Scene, Truth, Unmixing};

use super::args::{OutputArgs, RunArgs};
use super::materials::Materials;
use super::options::unmixing;
use super::{Done, print, solutions, tables};

/// The fit itself in a folder of results.
pub const SAVED_FIT: &str = "fit.unmixel";

/// What a run starts from.
pub struct Job {
    pub scene: Scene,
    /// The scene as the user named it.
    pub path: String,
    /// Which part of the file's scene it is; none: all of it.
    pub window: Option<WindowReport>,
    /// Names of the endmembers; may be empty.
    pub names: Vec<String>,
    pub truth: Option<Truth>,
    /// Seconds of the stages so far.
    pub seconds: Vec<(String, f64)>,
    /// What else was done on the way, one sentence each.
    pub notes: Vec<String>,
}

/// What is written beside the report and the table of endmembers, and what endmembers are compared
/// with.
pub struct Wanted {
    pub formats: Vec<Format>,
    pub materials: Option<Materials>,
}

impl Wanted {
    /// What the arguments ask for; reads the library, so that a wrong one is told before the fit.
    pub fn new(args: &OutputArgs, scene: &Scene) -> Result<Self> {
        let formats = match args.format.is_empty() {
            true => Format::usual(scene),
            false => args.format.iter().map(|format| (*format).into()).collect(),
        };
        let materials =
            args.library.as_ref().map(|path| Materials::read(path, scene)).transpose()?;
        Ok(Wanted { formats, materials })
    }
}

/// Fits, scores and writes.
pub fn run(
    args: &RunArgs,
    unmixing: Unmixing,
    job: Job,
    folder: &OutputFolder,
    interrupted: &Arc<AtomicBool>,
) -> Result<Done> {
    let started = now();
    let wanted = Wanted::new(&args.output, &job.scene)?;
    check_space(folder, &job.scene, unmixing.endmembers(), &wanted.formats)?;
    let (fit, scored) = fit(args, unmixing, &job, interrupted)?;
    let names = Labels::new(&job.names, fit.k()).shown;
    let interrupted = fit.record().interrupted;
    let count = write(&fit, scored.as_ref(), &names, &job, (&wanted, started), folder)?;
    if args.save {
        let bytes = fit.to_bytes()?;
        folder.write(SAVED_FIT, |to| to.write_all(&bytes))?;
    }
    super::commit(folder, "fit")?;
    if let Some(scored) = &scored {
        print(&tables::scores(&names, &scored.scores).to_string())?;
    }
    print(&format!("{count} files in {}", folder.path().display()))?;
    Ok(if interrupted { Done::Interrupted } else { Done::Whole })
}

/// Seconds since 1970, UTC.
pub fn now() -> Option<u64> {
    SystemTime::now().duration_since(UNIX_EPOCH).ok().map(|time| time.as_secs())
}

/// Writes all files of a fit; how many there are. They appear with the folder's commit.
pub fn write(
    fit: &Fit,
    scored: Option<&Scored>,
    names: &[String],
    job: &Job,
    (wanted, started): (&Wanted, Option<u64>),
    folder: &OutputFolder,
) -> Result<usize> {
    let few = fit.posterior().draws_worth.as_ref().map_or(0, |worth| {
        worth.iter().filter(|&&worth| worth < nested::WORTH && worth > 0.0).count()
    });
    let warnings = warnings(fit.doubts(), (few, fit.scene().places().len()), names);
    for warning in &warnings {
        tell!("note: {warning}");
    }
    let record = fit.record();
    let trace: Vec<(u32, f64)> = (1..).zip(record.trace.iter().copied()).collect();
    let label = |materials: &Materials| materials.label(fit.posterior(), names);
    let nearest = wanted.materials.as_ref().map(label).unwrap_or_default();
    let results = Results {
        scene: fit.scene(),
        formats: &wanted.formats,
        nearest: &nearest,
        posterior: fit.posterior(),
        drawn: fit.draws(),
        names,
        truth: scored.map(|scored| &scored.view),
        trace: &trace,
        trace_window: 50,
        stopped_at: record.stop.fired_at(),
    };
    let clock = std::time::Instant::now();
    let mut files = write_all(folder, &results)?;
    files.extend(solutions::picture(folder, fit, names)?);
    let mut seconds = job.seconds.clone();
    seconds.extend(record.seconds.iter().cloned());
    seconds.push(("pictures and tables".into(), clock.elapsed().as_secs_f64()));
    let mut report = report(fit, &job.path, [job.notes.clone(), warnings].concat());
    report.scene.window = job.window.clone();
    report.elbo = ElboReport::new(&trace, record.elbo());
    if !nearest.is_empty() {
        report.estimates["nearest_materials"] = serde_json::json!(nearest);
    }
    report.scores = scored.map(|scored| serde_json::json!(scored.scores));
    report.files = files;
    report.run = RunReport::current(super::command(), started, Stages(seconds));
    report.write(folder)?;
    Ok(report.files.len())
}

/// Fits, and scores against the truth where there is one, in whose order the endmembers then are.
pub fn fit(
    args: &RunArgs,
    with: Unmixing,
    job: &Job,
    interrupted: &Arc<AtomicBool>,
) -> Result<(Fit, Option<Scored>)> {
    let fit = unmixing(args, with, interrupted)?.fit(&job.scene)?;
    match &job.truth {
        None => Ok((fit, None)),
        Some(truth) => compare(&job.scene, fit, truth).map(|(fit, scored)| (fit, Some(scored))),
    }
}

/// All of the report that the fit itself says.
pub fn report(fit: &Fit, path: &str, notes: Vec<String>) -> Report {
    let (record, posterior) = (fit.record(), fit.posterior());
    let mut scene = SceneReport::new(fit.scene(), path);
    scene.notes.extend(notes);
    Report {
        unmixel: env!("CARGO_PKG_VERSION"),
        scene,
        settings: serde_json::json!({
            "model": record.model,
            "convention": posterior.convention,
            "posterior": record.posterior,
            "effective_bands": record.effective_bands,
            "spectra": record.spectra,
            "svi": record.svi,
            "start": record.start,
        }),
        seed: record.svi.seed,
        device: DeviceReport {
            name: record.device.name.clone(),
            backend: record.device.backend.clone(),
            driver: record.device.driver.clone(),
            reason: record.device.reason.clone(),
        },
        steps_run: record.trace.len() as u32,
        steps_ceiling: record.svi.steps,
        stop_reason: record.stop.sentence(),
        interrupted: record.interrupted,
        skipped_steps: record.skipped,
        elbo: ElboReport::default(),
        estimates: serde_json::json!({
            "mean_abundance": posterior.mean_abundance,
            "noise_sd": posterior.noise_sd,
            "concentration": posterior.concentration,
            "effective_draws": posterior.draws_worth.as_ref().map(|worth| effective(worth.iter())),
            "elbo_with_brightness": record.elbo_with_brightness,
        }),
        search: fit.search().map(searched),
        scores: None,
        files: Vec::new(),
        run: RunReport::current(Vec::new(), None, Stages::default()),
    }
}

/// How many draws the weighted ones of the pixels are worth: the least, and what 99 % of the pixels
/// have.
fn effective<'a>(worth: impl Iterator<Item = &'a f32>) -> serde_json::Value {
    let mut worth: Vec<f32> = worth.copied().collect();
    worth.sort_unstable_by(f32::total_cmp);
    serde_json::json!({ "least": worth.first(), "in_99_percent": worth.get(worth.len() / 100) })
}

/// The search for report.json.
fn searched(found: &search::Found) -> serde_json::Value {
    serde_json::json!({
        "pixels": found.pixels,
        "bands": found.bands,
        "probe_steps": search::PROBE_STEPS,
        "polish_steps": search::POLISH_STEPS,
        "starts_that_agree": found.agreement.0,
        "starts": found.agreement.1,
        "solutions": found.solutions,
    })
}

/// What a user should know before trusting the maps: `few` of so many pixels have draws that are
/// worth little.
pub fn warnings(
    doubts: Vec<Doubt>,
    (few, pixels): (usize, usize),
    names: &[String],
) -> Vec<String> {
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
    let mut warnings: Vec<String> = doubts.into_iter().map(sentence).collect();
    // One in a hundred is what the draws are made for.
    if 100 * few > pixels {
        warnings.push(format!(
            "the weighted draws of {few} pixels are worth fewer than {} independent ones; their \
             intervals are uncertain.",
            nested::WORTH
        ));
    }
    warnings
}

/// A fit against a truth, in the truth's order.
pub struct Scored {
    pub scores: Scores,
    pub view: TruthView,
}

/// Puts the endmembers in the truth's order and scores them.
fn compare(scene: &Scene, fit: Fit, truth: &Truth) -> Result<(Fit, Scored)> {
    let reference = Reference::new(scene, truth);
    let matching = fit.score(&reference)?.own().matching.clone();
    let fit = fit.in_order(&matching)?;
    let scores = fit.score(&reference)?;
    let Reference { endmembers, abundances } = reference.in_convention(fit.convention())?;
    let view = TruthView {
        names: truth.names.clone().unwrap_or_default(),
        endmembers,
        abundances: abundances.map(|maps| to_image(scene, maps.view())).transpose()?,
        sad: scores.own().sad.clone().unwrap_or_default(),
        rmse: scores.own().abundance_rmse,
    };
    Ok((fit, Scored { scores, view }))
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
