//! `fit` and `apply` of scenes that do not fit in memory: read by rows, written by rows.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use unmixel::rooms::figures::Labels;
use unmixel::rooms::fit::{Pass, Trust};
use unmixel::rooms::posterior::Totals;
use unmixel::rooms::results::{
    Format, OutputFolder, Report, Results, RunReport, Stages, Stream, check_space, formats_by_rows,
    sentences,
};
use unmixel::rooms::unmixing::{Block, Budget, Held, each_block, own_blocks};
use unmixel::scene::{Header, Windows};
use unmixel::{Device, Error, Fit, Posterior, Result, Scene, Unmixing};

use super::args::{ApplyArgs, Endmembers, FitArgs, GuideArg, NoiseArg, OutputArgs, PosteriorArg};
use super::checkpoint::Kept;
use super::commands::fit::{init, started};
use super::materials::Materials;
use super::progress::Display;
use super::run::{SAVED_FIT, check_names, now};
use super::scene::{Opened, describe};
use super::{Done, aside, options, print};

/// Endmembers that memory is planned for, where their number is yet to be found.
const EXPECTED: usize = 10;
/// Values that are told to be in memory already, bytes.
const WORTH_TELLING: u64 = 64 << 20;

/// Rows of a block, and bytes that may be used.
#[derive(Clone, Copy)]
pub struct Rows {
    rows: usize,
    memory: u64,
}

/// Endmembers that memory is planned for where their number is still to be found.
pub fn expected(header: &Header) -> usize {
    EXPECTED.min(header.bands).min(header.rows.saturating_mul(header.cols)).max(1)
}

/// How a scene is held, told; none where all of it is at once.
pub fn by_rows(budget: &Budget, opened: &Opened, endmembers: usize) -> Result<Option<Rows>> {
    let unpacked = opened.source.held();
    let held = budget.plan(opened.source.header(), unpacked, endmembers)?;
    if unpacked > WORTH_TELLING {
        tell!(
            "note: the values of this file lie in one packed stream, so that all of them, {} MiB, \
             had to be unpacked at once",
            unpacked.div_ceil(1 << 20)
        );
    }
    tell!("{held}");
    Ok(match held {
        Held::Whole { .. } => None,
        Held::Rows { rows, budget, .. } => Some(Rows { rows, memory: budget }),
    })
}

/// Whether what the arguments ask for can be had by rows.
pub fn may_be_by_rows(args: &FitArgs) -> bool {
    let guide = args.run.noise == NoiseArg::Covariance
        || matches!(args.run.guide, GuideArg::LowRank)
        || args.run.posterior == Some(PosteriorArg::Guide);
    args.truth.is_none() && args.run.draws == 0 && !guide
}

/// `unmixel fit` by rows.
pub fn fit(
    args: &FitArgs,
    opened: Opened,
    rows: Rows,
    begin: Instant,
    keep: &dyn Fn() -> Result<Option<Kept>>,
    interrupted: &Arc<AtomicBool>,
) -> Result<Done> {
    if let Some(truth) = &args.truth {
        return Err(Error::option(
            format!("--truth {}", truth.display()),
            "a truth is compared with a scene in memory, and this one is read by rows; allow more \
             --memory, or score the results afterwards with `unmixel score`",
        ));
    }
    let begun = now();
    let any = Unmixing::new(match args.endmembers {
        Endmembers::Count(count) => count,
        Endmembers::Auto => expected(opened.source.header()),
    });
    let mut reader = options::unmixing(&args.run, any, interrupted)?;
    if let Some(bytes) = args.device_memory {
        reader = reader.device_memory(bytes.0);
    }
    let Opened { source, window, name, options } = opened;
    let mut windows = aside(move || reader.windows(source, &name, &options))?;
    describe(windows.geometry(), windows.valid());
    let mut notes = Vec::new();
    let before = Kept::endmembers_in(args.checkpoints.checkpoint.as_deref())?;
    let endmembers = match (args.endmembers, before) {
        (Endmembers::Count(count), _) | (Endmembers::Auto, Some(count)) => count,
        (Endmembers::Auto, None) => {
            let drawn = windows.drawn();
            let some = windows.part(drawn.cube.clone(), drawn.places.clone())?;
            let counting = options::unmixing(&args.run, Unmixing::auto(), interrupted)?;
            let found = counting.count(&some)?;
            let told = format!("{} endmembers: {}", found.recommended, found.reason);
            tell!("{told}");
            notes.push(told);
            found.recommended
        }
    };
    check_names(&args.names, endmembers)?;
    let (start, start_names) = init(args, windows.geometry())?;
    let (unmixing, names) = started(args, endmembers, start, start_names);
    let folder = OutputFolder::prepare(&args.run.output.out, args.run.output.force)?;
    let kept = keep()?;
    let unmixing = match &kept {
        Some(kept) => kept.with(unmixing)?,
        None => unmixing,
    };
    let unmixing = options::unmixing(&args.run, unmixing, interrupted)?;
    folder.protect(&args.scene);
    folder.protect(&args.init);
    let scene = windows.geometry().clone();
    let of = About::new(&args.run.output, &args.scene, (begin, begun), rows);
    let (formats, materials) = (of.formats(&scene, endmembers)?, of.materials(&scene)?);
    let shown = Labels::new(&names, endmembers).shown;
    check_space(&folder, &scene, endmembers, &formats)?;
    let done = kept.as_ref().map(Kept::fit).transpose()?.flatten();
    let learned = match done {
        Some(fit) => fit,
        None => {
            let sample = unmixing.sample(&mut windows, endmembers, rows.rows)?;
            let learned = unmixing.learn(&sample, windows.valid())?;
            if let (Some(kept), false) = (&kept, learned.record().interrupted) {
                kept.keep_fit(&learned)?;
            }
            learned
        }
    };
    let read = begin.elapsed().as_secs_f64();
    let bright = learned.posterior().brightness.is_some();
    let maps = Stream::begin(&folder, &scene, &shown, bright, &formats)?;
    let pass = unmixing.pass(&learned, &scene)?;
    let wanted = Shown { formats: &formats, names: &shown, materials: materials.as_ref() };
    let written =
        of.write((&pass, &learned), &mut windows, maps, &wanted, kept.as_ref(), interrupted)?;
    let Written { mut report, whole } = written;
    report.scene.notes.extend(notes);
    report.scene.window = window;
    report.interrupted |= !whole;
    report.run = RunReport::current(
        super::command(),
        of.begun.1,
        Stages({
            let mut seconds = vec![("read".to_owned(), read)];
            seconds.extend(learned.record().seconds.iter().cloned());
            seconds.push(("abundances".into(), of.begun.0.elapsed().as_secs_f64() - read));
            seconds
        }),
    );
    if args.run.save {
        let bytes = learned.to_bytes()?;
        folder.write(SAVED_FIT, |to| to.write_all(&bytes))?;
    }
    of.end(&mut report, &folder)?;
    if report.interrupted {
        return Ok(Done::Interrupted);
    }
    kept.map_or(Ok(()), |kept| kept.clear())?;
    Ok(Done::Whole)
}

/// `unmixel apply` by rows.
pub fn apply(
    args: &ApplyArgs,
    (fit, file, device): (&Fit, &Path, &Arc<Device>),
    opened: Opened,
    rows: Rows,
    begin: Instant,
    interrupted: &Arc<AtomicBool>,
) -> Result<Done> {
    let begun = now();
    let Opened { source, window, name, options } = opened;
    let mut windows = aside(move || Windows::open(source, &name, &options, (0, 0)))?;
    describe(windows.geometry(), windows.valid());
    let folder = OutputFolder::prepare(&args.output.out, args.output.force)?;
    folder.protect(&args.scene);
    folder.protect(file);
    let scene = windows.geometry().clone();
    let of = About::new(&args.output, &args.scene, (begin, begun), rows);
    let (formats, materials) = (of.formats(&scene, fit.k())?, of.materials(&scene)?);
    let shown = Labels::new(&args.names, fit.k()).shown;
    let bright = fit.posterior().brightness.is_some();
    let pass = fit.pass(&scene)?.on(Arc::clone(device));
    let applied = pass.fit(scene.clone(), fit.posterior().of_no_pixels(), 0.0)?;
    let maps = Stream::begin(&folder, &scene, &shown, bright, &formats)?;
    let wanted = Shown { formats: &formats, names: &shown, materials: materials.as_ref() };
    let written = of.write((&pass, &applied), &mut windows, maps, &wanted, None, interrupted)?;
    if !written.whole {
        return Err(Error::Interrupted);
    }
    let mut report = written.report;
    report.scene.window = window;
    let seconds = vec![("apply".to_owned(), begin.elapsed().as_secs_f64())];
    report.run = RunReport::current(super::command(), of.begun.1, Stages(seconds));
    of.end(&mut report, &folder)?;
    Ok(Done::Whole)
}

/// What `fit` and `apply` have in common.
struct About<'a> {
    output: &'a OutputArgs,
    path: &'a Path,
    begun: (Instant, Option<u64>),
    rows: Rows,
}

/// How results are shown.
struct Shown<'a> {
    formats: &'a [Format],
    names: &'a [String],
    materials: Option<&'a Materials>,
}

/// What was written, and whether all rows were.
struct Written {
    report: Report,
    whole: bool,
}

impl<'a> About<'a> {
    fn new(
        output: &'a OutputArgs,
        path: &'a Path,
        begun: (Instant, Option<u64>),
        rows: Rows,
    ) -> Self {
        About { output, path, begun, rows }
    }

    fn formats(&self, scene: &Scene, endmembers: usize) -> Result<Vec<Format>> {
        let asked: Vec<Format> = self.output.format.iter().map(|format| (*format).into()).collect();
        formats_by_rows(scene, endmembers, self.rows.memory, &asked)
    }

    /// The library that endmembers are compared with.
    fn materials(&self, scene: &Scene) -> Result<Option<Materials>> {
        self.output.library.as_ref().map(|path| Materials::read(path, scene)).transpose()
    }

    /// Gives all pixels their abundances, and writes maps, pictures and the table of endmembers.
    fn write(
        &self,
        (pass, fit): (&Pass<'_>, &Fit),
        windows: &mut Windows,
        mut maps: Stream<'_>,
        &Shown { formats, names, materials }: &Shown<'_>,
        kept: Option<&Kept>,
        interrupted: &Arc<AtomicBool>,
    ) -> Result<Written> {
        let scene = windows.geometry().clone();
        let mut totals = Totals::new(windows.valid(), names.len());
        let mut display = Display::new();
        let rows = scene.rows();
        let stop = || interrupted.load(Ordering::Relaxed);
        let mut done = 0;
        let mut add = |block: Block| -> Result<()> {
            totals.add(&block.posterior);
            done = block.rows.end;
            maps.add(block.rows, &block.places, &block.posterior)?;
            display.rows(done, rows);
            Ok(())
        };
        let mut first = match kept {
            Some(kept) => kept.rows(pass, &mut add)?,
            None => 0,
        };
        if !fit.record().trace.is_empty() && fit.scene().places().len() == windows.valid() {
            // Most of the image holds no data, and the fit has met all that is left.
            own_blocks(fit, self.rows.rows, &mut add)?;
            first = rows;
        }
        let whole = each_block(pass, windows, (first, self.rows.rows), &stop, &mut |block| {
            if let Some(kept) = kept {
                kept.keep_rows(&block)?;
            }
            add(block)
        })?;
        let posterior =
            Posterior { mean_abundance: totals.mean_abundance(), ..fit.posterior().clone() };
        let mut warnings =
            sentences(totals.doubts(&posterior), (totals.few(), totals.pixels()), names);
        if let Some(reason) = pass.given_up() {
            warnings.push(format!("the device could not go on ({reason}); the CPU did."));
        }
        if !whole {
            warnings.push(format!("the maps end with row {done} of {rows}: interrupted."));
        }
        warnings.iter().for_each(|warning| tell!("note: {warning}"));
        let trust = Trust::of_totals(fit, &totals);
        trust.iter().for_each(|trust| tell!("{trust}"));
        let nearest = materials.map(|of| of.label(&posterior, names)).unwrap_or_default();
        let record = fit.record();
        let trace: Vec<(u32, f64)> = (1..).zip(record.trace.iter().copied()).collect();
        let files = maps.finish(&Results {
            scene: &scene,
            formats,
            nearest: &nearest,
            posterior: &posterior,
            drawn: None,
            names,
            truth: None,
            trace: &trace,
            trace_window: 50,
            stopped_at: record.stop.fired_at(),
        })?;
        let mut report = Report::of(fit, &self.path.display().to_string(), warnings);
        report.trust = trust;
        report.scene.pixels_used = windows.valid();
        report.estimates["mean_abundance"] = serde_json::json!(posterior.mean_abundance);
        let (least, most) = totals.worth();
        report.estimates["effective_draws"] =
            serde_json::json!({ "least": least, "in_99_percent": most });
        if !nearest.is_empty() {
            report.estimates["nearest_materials"] = serde_json::json!(nearest);
        }
        report.files = files;
        Ok(Written { report, whole })
    }

    fn end(&self, report: &mut Report, folder: &OutputFolder) -> Result<()> {
        report.write(folder)?;
        super::commit(folder, "fit")?;
        print(&format!("{} files in {}", report.files.len(), folder.path().display()))
    }
}
