//! One run, from a scene in memory to a folder of results: what `fit` and `demo` share.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{SystemTime, UNIX_EPOCH};

use unmixel::rooms::figures::Labels;
use unmixel::rooms::results::{
    Beside, Format, OutputFolder, TruthView, WindowReport, check_space, warnings, write_fit,
};
use unmixel::rooms::score::{Reference, Scores};
use unmixel::scene::to_image;
use unmixel::{Error, Fit, Result, Scene, Truth, Unmixing};

use super::args::{OutputArgs, RunArgs};
use super::materials::Materials;
use super::options::unmixing;
use super::{Done, print, tables};

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
    for warning in warnings(fit, names) {
        tell!("note: {warning}");
    }
    if let Some(trust) = fit.trust() {
        tell!("{trust}");
    }
    let label = |materials: &Materials| materials.label(fit.posterior(), names);
    let nearest = wanted.materials.as_ref().map(label).unwrap_or_default();
    let beside = Beside {
        formats: &wanted.formats,
        names,
        nearest: &nearest,
        truth: scored.map(|scored| (&scored.scores, &scored.view)),
        path: &job.path,
        window: job.window.clone(),
        notes: job.notes.clone(),
        command: super::command(),
        started,
        seconds: job.seconds.clone(),
    };
    write_fit(folder, fit, beside)
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
