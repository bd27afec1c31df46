//! A run as a state machine: opened, then advanced block by block by whoever holds it, ended when
//! that one likes. It emits progress, never prints, and never blocks.

use crate::engine::backend::{self, Backend, device::Device};
use crate::engine::ground::clock::{Duration, Instant};
use crate::engine::ground::error::{Error, Result};
use crate::engine::guide::{Guide, Momentum};
use crate::engine::layout::Params;
use crate::engine::model::Model;
use crate::engine::pixels::Pixels;
use crate::engine::svi::checkpoint::{Checkpoint, Head};
use crate::engine::svi::schedule::{BLOCK, Plateau, Schedule};
use crate::engine::svi::settings::{Before, Settings, at_step, params, visits};
use crate::engine::svi::track::{Track, median_of_last};

/// How far a run is.
#[derive(Debug, Clone, PartialEq)]
pub struct Progress {
    /// Steps done.
    pub step: u32,
    /// Steps the run takes at most, as far as known now.
    pub ceiling: u32,
    /// Median ELBO a pixel over the last steps, nats.
    pub elbo: f64,
    /// Steps that were not finite, so far.
    pub skipped: u32,
    /// Time since the first step.
    pub elapsed: Duration,
    /// The number of steps left times the time one has taken.
    pub left: Duration,
}

/// Why a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case", tag = "reason")]
pub enum Stop {
    /// The ELBO stood still; the learning rate was then brought down to zero.
    Converged {
        /// Step at which the rule fired.
        fired_at: u32,
    },
    /// The start had been fitted, and the rate was brought down to zero.
    Warm,
    /// The ceiling was reached first.
    Ceiling,
    /// Someone asked to stop.
    Interrupted,
}

impl Stop {
    /// The step at which the stopping rule fired, where it did.
    pub fn fired_at(&self) -> Option<u32> {
        match self {
            Stop::Converged { fired_at } => Some(*fired_at),
            _ => None,
        }
    }

    /// The reason as a sentence.
    pub fn sentence(&self) -> String {
        match self {
            Stop::Converged { fired_at } => {
                format!("the ELBO stood still at step {fired_at} ({})", Plateau::RULE)
            }
            Stop::Warm => "the rate came down to zero, from a start that had been fitted".into(),
            Stop::Ceiling => "the ceiling of steps was reached".into(),
            Stop::Interrupted => "it was interrupted".into(),
        }
    }
}

/// What a run leaves behind.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The fitted guide.
    pub guide: Guide,
    /// ELBO a pixel of every step, nats, all constants included.
    pub trace: Vec<f64>,
    /// Why it ended.
    pub stop: Stop,
    /// Steps that were not finite and changed nothing.
    pub skipped: u32,
    /// Time of the upload and compilation, then of the steps.
    pub seconds: (f64, f64),
}

impl Progress {
    /// ELBO, speed and skipped steps as one phrase.
    pub fn summary(&self) -> String {
        let speed = f64::from(self.step) / self.elapsed.as_secs_f64().max(1e-9);
        let skipped = match self.skipped {
            0 => String::new(),
            skipped => format!("  {skipped} skipped"),
        };
        format!("ELBO {:.3} a pixel  {speed:.0} steps/s{skipped}", self.elbo)
    }
}

impl Outcome {
    /// Median ELBO a pixel over the last steps, nats; none when no step was finite.
    pub fn elbo(&self) -> Option<f64> {
        median_of_last(&self.trace)
    }
}

/// One run of a guide's model on some pixels, on one device; or of several guides of one model and
/// one past, which then take every step together.
///
/// ```no_run
/// # use unmixel::engine::{guide::Guide, pixels::Pixels};
/// # use unmixel::engine::{backend::Device, svi::{Run, Settings}};
/// # async fn drive(device: Device, pixels: Pixels, start: Guide) -> unmixel::Result<()> {
/// let mut run = Run::open(&device, &Settings::default(), &pixels, start).await?;
/// while let Some(progress) = run.advance(&|| false).await? {
///     eprintln!("step {}: {:.2} nats a pixel", progress.step, progress.elbo);
/// }
/// let outcome = run.finish().await?;
/// # Ok(())
/// # }
/// ```
pub struct Run {
    backend: Backend,
    settings: Settings,
    model: Model,
    sizes: Params,
    /// Each fit, at least one. The first decides when the run ends; several have no stopping rule.
    tracks: Vec<Track>,
    pixels: Pixels,
    before: Before,
    schedule: Schedule,
    plateau: Plateau,
    opened: f64,
    stepped: Duration,
    fingerprint: Option<u64>,
}

impl Run {
    /// Puts a run on a device, from where the guide is.
    ///
    /// # Errors
    ///
    /// What [`params`] refuses, and [`Error::Device`] where the device has no room or cannot be
    /// opened.
    pub async fn open(
        device: &Device,
        settings: &Settings,
        pixels: &Pixels,
        guide: Guide,
    ) -> Result<Run> {
        let sizes = Run::sizes(device, settings, pixels, &guide)?;
        let like = (guide.model.clone(), Before::of(&guide));
        Run::open_all(device, settings, sizes, pixels, like, vec![guide]).await
    }

    /// The sizes of a run on a device.
    fn sizes(
        device: &Device,
        settings: &Settings,
        pixels: &Pixels,
        guide: &Guide,
    ) -> Result<Params> {
        let sizes = params(&guide.model, settings, (pixels.count(), pixels.bands()))?;
        Ok(backend::sizes(device, sizes))
    }

    /// Puts guides of these sizes, and of this model and past, on a device.
    async fn open_all(
        device: &Device,
        settings: &Settings,
        sizes: Params,
        pixels: &Pixels,
        (model, before): (Model, Before),
        guides: Vec<Guide>,
    ) -> Result<Run> {
        guides.iter().try_for_each(|guide| guide.check(&sizes))?;
        let tracks = guides.iter().map(|guide| Track::new(&sizes, guide)).collect();
        let begin = Instant::now();
        let backend = backend::open(device, &sizes, pixels, guides).await?;
        Ok(Run {
            backend,
            settings: settings.clone(),
            model,
            sizes,
            tracks,
            pixels: pixels.clone(),
            before,
            schedule: Schedule::of(settings, &sizes),
            plateau: Plateau::default(),
            opened: begin.elapsed().as_secs_f64(),
            stepped: Duration::ZERO,
            fingerprint: None,
        })
    }

    /// Goes on where a checkpoint was taken. On a device of the same kind, every further step gives
    /// the bytes that the first run would have given.
    ///
    /// # Errors
    ///
    /// [`Error::Checkpoint`] where it is damaged or of other pixels; otherwise as [`Run::open`].
    pub async fn resume(device: &Device, pixels: &Pixels, checkpoint: Checkpoint) -> Result<Run> {
        let fingerprint = checkpoint.check(pixels)?;
        let (head, elbo, guide) = checkpoint.into_guide()?;
        let mut run = Run::open(device, &head.settings, pixels, guide).await?;
        run.before = Before { visits: head.visits, gradients: head.gradients };
        run.tracks[0].skipped.0 = head.skipped;
        run.stepped = Duration::try_from_secs_f64(head.seconds).unwrap_or_default();
        run.fingerprint = Some(fingerprint);
        // The schedule and the stopping rule stand where these ELBOs bring them.
        run.tracks[0].elbo = elbo;
        let steps = run.steps();
        (BLOCK..=steps).step_by(BLOCK as usize).for_each(|step| run.look(step));
        if steps > run.schedule.last() {
            return Err(Error::Checkpoint(format!(
                "the checkpoint has {steps} steps, and its settings end the run at step {}; it is \
                 damaged",
                run.schedule.last()
            )));
        }
        Ok(run)
    }

    /// Steps done.
    pub fn steps(&self) -> u32 {
        self.tracks[0].elbo.len() as u32
    }

    /// The settings that it was opened with.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Does a block of steps. `interrupted` is asked between steps and ends the block early. None
    /// when the run has ended, or as long as `interrupted` says so.
    ///
    /// # Errors
    ///
    /// [`Error::DeviceLost`] when the device fails.
    pub async fn advance(
        &mut self,
        interrupted: &(dyn Fn() -> bool + Sync),
    ) -> Result<Option<Progress>> {
        let step = self.steps();
        if step >= self.schedule.last() || interrupted() {
            return Ok(None);
        }
        // The rest of a block that was ended early: looks at the ELBO come at the same steps then.
        let first = step - step % BLOCK;
        let of_step = |step| {
            let rate = self.schedule.rate(step);
            at_step(&self.sizes, &self.settings, self.before, step, step - first, rate)
        };
        let steps: Vec<Params> =
            (step..(first + BLOCK).min(self.schedule.last())).map(of_step).collect();
        let begin = Instant::now();
        let blocks = self.backend.run(&steps, interrupted).await?;
        self.stepped += begin.elapsed();
        for (track, block) in self.tracks.iter_mut().zip(&blocks) {
            track.skipped.1 = block.skipped;
            track.elbo.extend(&block.elbo);
        }
        let done = (self.steps() - step) as usize;
        if done == 0 {
            return Ok(None);
        }
        if done == steps.len() {
            self.look(self.steps());
        }
        Ok(Some(self.progress(first as usize)))
    }

    /// The stopping rule, after so many steps at the end of a block.
    fn look(&mut self, steps: u32) {
        let rule_is_on = self.settings.early_stop && !self.settings.warm;
        if !rule_is_on || self.schedule.cooling_since().is_some() {
            return;
        }
        let first = (steps - 1) / BLOCK * BLOCK;
        let elbo = self.tracks[0].median(first as usize, steps as usize);
        let elbo = elbo.unwrap_or(f64::NEG_INFINITY);
        if self.plateau.push(elbo) {
            self.schedule.cool_from(steps);
        }
    }

    fn progress(&self, first: usize) -> Progress {
        let (track, step, ceiling) = (&self.tracks[0], self.steps(), self.schedule.last());
        let a_step = self.stepped.as_secs_f64() / f64::from(step.max(1));
        let left = a_step * f64::from(ceiling - step);
        Progress {
            step,
            ceiling,
            elbo: track.median(first, track.elbo.len()).unwrap_or(f64::NEG_INFINITY),
            skipped: track.skipped(),
            elapsed: self.stepped,
            left: Duration::try_from_secs_f64(left).unwrap_or(Duration::MAX),
        }
    }

    /// All that it takes to go on from here later, on this device or another one.
    ///
    /// # Errors
    ///
    /// [`Error::DeviceLost`] when the device fails.
    pub async fn checkpoint(&mut self) -> Result<Checkpoint> {
        let (globals, locals) = self.backend.guide(0).await?;
        let (global_moments, local_moments) = self.backend.moments(0).await?;
        let (track, pixels) = (&self.tracks[0], &self.pixels);
        let fingerprint = *self.fingerprint.get_or_insert_with(|| pixels.fingerprint());
        Ok(Checkpoint {
            head: Head {
                version: Checkpoint::VERSION,
                model: self.model.clone(),
                settings: self.settings.clone(),
                pixels: self.pixels.count(),
                bands: self.pixels.bands(),
                fingerprint,
                visits: self.before.visits,
                gradients: self.before.gradients,
                skipped: track.skipped(),
                seconds: self.stepped.as_secs_f64(),
            },
            elbo: track.elbo.clone(),
            globals,
            locals,
            prior_centre: track.prior_centre.clone(),
            rank_sum: self.backend.rank_sum().await?,
            global_moments,
            local_moments,
        })
    }

    /// Ends the run, with what there is.
    ///
    /// # Errors
    ///
    /// [`Error::Fit`] where none of the last steps gave a finite ELBO, [`Error::DeviceLost`] when
    /// the device fails.
    pub async fn finish(self) -> Result<Outcome> {
        self.end(0, false).await
    }

    /// Ends the run as [`Run::finish`] does, with a guide that keeps its [`Momentum`], so that
    /// another run can go on from it.
    ///
    /// # Errors
    ///
    /// As [`Run::finish`].
    pub async fn hand_over(self) -> Result<Outcome> {
        self.end(0, true).await
    }

    /// What becomes of a fit, when the run ends here.
    async fn end(&self, fit: usize, keeps_momentum: bool) -> Result<Outcome> {
        let track = &self.tracks[fit];
        let steps = track.elbo.len();
        let last = steps.saturating_sub(BLOCK as usize);
        if steps > 0 && track.median(last, steps).is_none() {
            return Err(Error::Fit(format!(
                "none of the last {} steps gave a finite ELBO; check the scene's values and \
                 scale, or lower the learning rate",
                steps - last
            )));
        }
        let (globals, locals) = self.backend.guide(fit).await?;
        let rank_sum = self.backend.rank_sum().await?;
        let momentum = match keeps_momentum {
            true => {
                let (globals, locals) = self.backend.moments(fit).await?;
                let steps = self.before.gradients.saturating_add(self.steps());
                Some(Momentum { steps, globals, locals })
            }
            false => None,
        };
        let stop = match self.schedule.cooling_since() {
            _ if self.steps() < self.schedule.last() => Stop::Interrupted,
            Some(fired_at) => Stop::Converged { fired_at },
            None if self.settings.warm => Stop::Warm,
            None => Stop::Ceiling,
        };
        let guide = Guide {
            visits: self.before.visits + visits(&self.sizes, self.steps()),
            model: self.model.clone(),
            params: self.sizes,
            globals,
            locals,
            prior_centre: track.prior_centre.clone(),
            rank_sum,
            momentum,
        };
        let seconds = (self.opened, self.stepped.as_secs_f64());
        let (trace, skipped) = (track.trace(), track.skipped());
        Ok(Outcome { guide, trace, stop, skipped, seconds })
    }
}

/// Fits a guide's model to pixels, from where the guide is, to the end. `observe` is told after
/// every block of steps; `interrupted` is asked much more often and ends the run, with what there
/// is.
///
/// # Errors
///
/// As [`Run::open`], [`Run::advance`] and [`Run::finish`].
pub async fn fit(
    device: &Device,
    settings: &Settings,
    pixels: &Pixels,
    start: Guide,
    observe: &mut dyn FnMut(&Progress),
    interrupted: &(dyn Fn() -> bool + Sync),
) -> Result<Outcome> {
    let mut run = Run::open(device, settings, pixels, start).await?;
    while let Some(progress) = run.advance(interrupted).await? {
        observe(&progress);
    }
    run.finish().await
}

/// Takes `steps` steps from each of some guides, and hands each over with a momentum for who goes
/// on from there. Those that follow each other and have one model and one past go on side by side,
/// as many as the device takes at once. There is no stopping rule. `observe` is told, after every
/// block, how many steps were done since, of all fits together; `interrupted` ends those that are
/// under way with what there is, and those that are not begun have no steps. Gives what became of
/// each guide, in their order.
///
/// # Errors
///
/// What [`Run::open`] and [`Run::advance`] refuse, which ends all of them. The outcome of one is an
/// [`Error::Fit`] where none of its last steps gave a finite ELBO.
pub async fn fit_all(
    device: &Device,
    settings: &Settings,
    steps: u32,
    pixels: &Pixels,
    guides: Vec<Guide>,
    observe: &mut dyn FnMut(u64),
    interrupted: &(dyn Fn() -> bool + Sync),
) -> Result<Vec<Result<Outcome>>> {
    let settings = Settings { steps, early_stop: false, warm: false, ..settings.clone() };
    let mut outcomes = Vec::with_capacity(guides.len());
    let mut guides = guides.into_iter().peekable();
    while let Some(first) = guides.next() {
        let sizes = Run::sizes(device, &settings, pixels, &first)?;
        let most = backend::fits_at_once(device, &sizes);
        let like = (first.model.clone(), Before::of(&first));
        let is_like = |next: &Guide| next.model == like.0 && Before::of(next) == like.1;
        let mut together = vec![first];
        while together.len() < most
            && let Some(next) = guides.next_if(is_like)
        {
            together.push(next);
        }
        let count = together.len();
        let mut run = Run::open_all(device, &settings, sizes, pixels, like, together).await?;
        let mut seen = 0;
        while let Some(progress) = run.advance(interrupted).await? {
            observe(count as u64 * u64::from(progress.step - seen));
            seen = progress.step;
        }
        for fit in 0..count {
            outcomes.push(match run.end(fit, true).await {
                Err(error) if !matches!(error, Error::Fit(_)) => return Err(error),
                outcome => outcome,
            });
        }
    }
    Ok(outcomes)
}
