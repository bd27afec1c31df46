//! Short fits of many starts, side by side where there are cores for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ndarray::{Array2, Axis};

use super::ahead::mean;
use super::bands::Seen;
use super::first::Begin;
use super::{Event, Mode, POLISH_STEPS, PROBE_STEPS, SETTLE_STEPS, Solution, family};
use crate::convention::Convention;
use crate::engine::backend::{Device, each};
use crate::engine::ground::clock::Instant;
use crate::engine::ground::error::{Error, Result};
use crate::engine::guide::Guide;
use crate::engine::model::{Family, Model};
use crate::engine::pixels::Pixels;
use crate::engine::svi::{self, Outcome, Run, Stop};
use crate::posterior::Posterior;
use crate::posterior::nested::{self, AtRest};
use crate::starts::{self, Init};
use crate::statistics::angles::match_spectra;

/// A start and the fit so far.
pub struct Fitted {
    pub origin: String,
    pub probe_elbo: Option<f64>,
    pub elbo: Option<f64>,
    /// Where it was compared by it, nats a pixel.
    pub evidence: Option<f64>,
    /// Brief evidence, nats a pixel, once it is known.
    brief: Option<f64>,
    /// That of each pixel of a sample where its spectra come to rest, nats; it costs seconds.
    at_rest: Option<AtRest>,
    /// (K, L), reflectance: where it began, and where it is.
    began: Array2<f64>,
    pub endmembers: Array2<f64>,
    /// The row of the solution of another model that this one began like.
    pub like: Option<usize>,
    /// Whether time ran out before the fit had its steps: it cannot be compared.
    pub cut: bool,
    pixels: Pixels,
    fit: Option<Guide>,
}

impl Fitted {
    /// Spectra that nothing is known of but, perhaps, a guide around them.
    #[cfg(test)]
    pub fn of(endmembers: Array2<f64>, pixels: Pixels, fit: Option<Guide>) -> Self {
        Fitted { fit, ..Fitted::new(String::new(), endmembers, pixels) }
    }

    fn new(origin: String, endmembers: Array2<f64>, pixels: Pixels) -> Self {
        Fitted {
            origin,
            probe_elbo: None,
            elbo: None,
            evidence: None,
            brief: None,
            at_rest: None,
            began: endmembers.clone(),
            endmembers,
            like: None,
            cut: false,
            pixels,
            fit: None,
        }
    }

    /// Whether it began as one of these families of starts does.
    pub fn is_of(&self, families: &[Init]) -> bool {
        families.iter().any(|init| init.name() == family(&self.origin))
    }

    /// What it began from, and where.
    pub fn start(&self) -> (String, Array2<f64>) {
        (self.origin.clone(), self.began.clone())
    }

    pub fn solution(&self) -> Solution {
        Solution {
            origin: self.origin.clone(),
            probe_elbo: self.probe_elbo,
            elbo: self.elbo,
            evidence: self.evidence,
            mode: 0,
            chosen: false,
        }
    }

    /// The guide as it stands, if it is one of `model`.
    pub fn guide(&self, model: &Model) -> Option<Guide> {
        let guide = self.fit.as_ref()?;
        let low_rank = matches!(model.family, Family::LowRank { .. });
        (guide.params.rank == 0 && !low_rank).then(|| guide.clone())
    }

    /// The guide that it was fitted with.
    pub fn whole_guide(&self) -> Option<&Guide> {
        self.fit.as_ref()
    }

    /// Brief evidence, nats a pixel, as [`nested::evidence`] has it.
    ///
    /// # Errors
    ///
    /// What [`nested::check`] refuses.
    pub fn brief(
        &mut self,
        pixels: &Pixels,
        interrupted: &(dyn Fn() -> bool + Sync),
    ) -> Result<Option<f64>> {
        if let (None, Some(guide)) = (self.brief, &self.fit) {
            self.brief = nested::evidence(guide, pixels, interrupted)?;
        }
        Ok(self.brief)
    }

    /// Evidence of each pixel of a sample where its spectra come to rest, nats, as
    /// [`nested::evidence_at_rest`] has it; their mean is from then on its evidence.
    ///
    /// # Errors
    ///
    /// What [`nested::check`] refuses.
    pub fn at_rest(
        &mut self,
        pixels: &Pixels,
        interrupted: &(dyn Fn() -> bool + Sync),
    ) -> Result<Option<AtRest>> {
        if let (None, Some(guide)) = (&self.at_rest, &self.fit) {
            self.at_rest = nested::evidence_at_rest(guide, pixels, interrupted)?;
            let mean = self.at_rest.as_ref().map(|found| mean(&found.densities));
            self.evidence = mean.or(self.evidence);
        }
        Ok(self.at_rest.clone())
    }

    /// Its rows of pixels in the order of the cube that these pixels are of.
    pub fn posterior(&self, of: &Pixels) -> Option<Posterior> {
        Some(Posterior::new(self.fit.as_ref()?, of, Convention::Reflectance))
    }

    /// With endmembers in the order of `chosen`'s, in all bands.
    pub fn mode(&self, row: usize, chosen: &Fitted, whole: bool, seen: &Seen) -> Mode {
        let pairs = match_spectra(chosen.endmembers.view(), self.endmembers.view());
        let order: Vec<usize> =
            pairs.map(|pairs| pairs.into_iter().map(|(k, _)| k).collect()).unwrap_or_default();
        let abundances = if whole { self.posterior(&self.pixels) } else { None };
        Mode {
            row,
            endmembers: seen.in_all_bands(self).select(Axis(0), &order),
            abundances: abundances.map(|p| p.abundance_mean.select(Axis(1), &order)),
        }
    }
}

/// A piece of work for a device.
enum Work<'t> {
    Polish(&'t mut Fitted),
    Probe(Begin),
}

/// Fits starts of one scene.
pub struct Judge<'a> {
    device: &'a Device,
    model: Model,
    fit: &'a svi::Settings,
    pixels: &'a Pixels,
    /// Steps so far, which judges of other models that come of this one count on.
    done: Arc<AtomicU64>,
    total: u64,
    observe: &'a (dyn Fn(&Event) + Sync),
    interrupted: &'a (dyn Fn() -> bool + Sync),
    /// When fits end, whatever their steps.
    deadline: Option<Instant>,
}

impl<'a> Judge<'a> {
    pub fn new(
        device: &'a Device,
        model: &Model,
        fit: &'a svi::Settings,
        pixels: &'a Pixels,
        total: u64,
        observe: &'a (dyn Fn(&Event) + Sync),
        interrupted: &'a (dyn Fn() -> bool + Sync),
    ) -> Self {
        // What the low-rank guide adds is small beside the distance between modes.
        let family = match model.family {
            Family::LowRank { .. } => Family::FullRank,
            other => other,
        };
        let model = Model { family, ..model.clone() };
        let (done, deadline) = (Arc::default(), None);
        Judge { device, model, fit, pixels, done, total, observe, interrupted, deadline }
    }

    /// Steps of all fits together.
    pub fn done(&self) -> u64 {
        self.done.load(Ordering::Relaxed)
    }

    /// Goes on with counting them where another judge ended.
    pub fn count(&self, done: u64) {
        self.done.store(done, Ordering::Relaxed);
    }

    /// The model of its fits.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// The seed of its fits.
    pub fn seed(&self) -> u64 {
        self.fit.seed
    }

    /// Whether its model has a common mixture.
    pub fn has_common(&self) -> bool {
        self.model.common.is_some()
    }

    /// A judge whose fits have all their steps.
    pub fn with_all_steps(&self) -> Self {
        self.of(self.model.clone())
    }

    /// A judge of the model without a common mixture, whose fits have all their steps.
    pub fn without_common(&self) -> Self {
        self.of(Model { common: None, ..self.model.clone() })
    }

    /// A judge of the model whose pixels have one brightness, whose fits have all their steps.
    pub fn without_brightness(&self) -> Self {
        self.of(self.model.without_brightness())
    }

    /// A judge of the model whose concentration is learned and which has no common mixture; its
    /// fits have all their steps.
    pub fn with_learned_concentration(&self) -> Self {
        self.of(self.model.with_learned_concentration())
    }

    fn of(&self, model: Model) -> Self {
        let done = Arc::clone(&self.done);
        Judge { model, done, deadline: None, ..*self }
    }

    /// From now on fits end at this time.
    pub fn until(&mut self, deadline: Option<Instant>) {
        self.deadline = deadline;
    }

    /// Whether the time is over.
    pub fn late(&self) -> bool {
        self.deadline.is_some_and(|deadline| Instant::now() >= deadline)
    }

    /// Tells what became of a solution.
    pub fn tell(&self, fitted: &Fitted) {
        (self.observe)(&Event::Judged(fitted.solution()));
    }

    /// Fits each start for [`PROBE_STEPS`].
    ///
    /// # Errors
    ///
    /// What ends all fits, as a device that is lost. A fit that fails has no ELBO.
    pub async fn probe(&self, starts: Vec<Begin>) -> Result<Vec<Fitted>> {
        self.polish_and_probe(&mut [], &[], starts).await
    }

    /// Goes on with some of them for [`POLISH_STEPS`].
    ///
    /// # Errors
    ///
    /// As [`Judge::probe`].
    pub async fn polish(&self, table: &mut [Fitted], rows: &[usize]) -> Result<()> {
        self.polish_and_probe(table, rows, Vec::new()).await.map(|_| ())
    }

    /// Does [`Judge::polish`] and [`Judge::probe`] side by side.
    ///
    /// # Errors
    ///
    /// As [`Judge::probe`].
    pub async fn polish_and_probe(
        &self,
        table: &mut [Fitted],
        rows: &[usize],
        starts: Vec<Begin>,
    ) -> Result<Vec<Fitted>> {
        let rows = table.iter_mut().enumerate().filter(|(i, _)| rows.contains(i));
        let mut work: Vec<Work> = rows.map(|(_, fitted)| Work::Polish(fitted)).collect();
        work.extend(starts.into_iter().map(Work::Probe));
        let one = async |work| match work {
            Work::Polish(fitted) => self.polish_one(fitted).await.map(|()| None),
            Work::Probe(start) => self.probe_one(start).await.map(Some),
        };
        Ok(each(self.device, work, one).await?.into_iter().flatten().collect())
    }

    async fn probe_one(&self, (origin, endmembers): Begin) -> Result<Fitted> {
        let mut fitted = Fitted::new(origin, endmembers, self.pixels.clone());
        if (self.interrupted)() {
            return Ok(fitted);
        }
        let spectra = fitted.endmembers.clone();
        // A start that no abundances go with is one that failed.
        if let Ok(guide) = starts::begin(&self.model, self.fit, self.pixels, spectra) {
            fitted.probe_elbo = self.go_on(&mut fitted, guide, PROBE_STEPS).await?;
        }
        if !fitted.cut {
            self.tell(&fitted);
        }
        Ok(fitted)
    }

    async fn polish_one(&self, fitted: &mut Fitted) -> Result<()> {
        if (self.interrupted)() {
            return Ok(());
        }
        if let Some(guide) = fitted.fit.clone() {
            fitted.elbo = self.go_on(fitted, guide, POLISH_STEPS).await?;
            if !fitted.cut {
                self.tell(fitted);
            }
        }
        Ok(())
    }

    /// Fits again, for [`PROBE_STEPS`] from where they began, rows of the table of a judge of
    /// another model, and adds them to it, but for those that fail; `how` tells what is new. Gives
    /// the new rows.
    ///
    /// # Errors
    ///
    /// As [`Judge::probe`].
    pub async fn again(
        &self,
        table: &mut Vec<Fitted>,
        rows: &[usize],
        how: &str,
    ) -> Result<Vec<usize>> {
        let starts = rows.iter().map(|&row| {
            let of = &table[row];
            (format!("{}, {how}", of.origin), of.began.clone())
        });
        let mut again = self.probe(starts.collect()).await?;
        for (fitted, &row) in again.iter_mut().zip(rows) {
            fitted.like = Some(row);
        }
        again.retain(|one| one.probe_elbo.is_some());
        let first = table.len();
        table.extend(again);
        Ok((first..table.len()).collect())
    }

    /// The guide after [`SETTLE_STEPS`]; none where the fit failed.
    ///
    /// # Errors
    ///
    /// As [`Judge::probe`].
    pub async fn settle(&self, guide: Guide) -> Result<Option<Guide>> {
        match self.fit(guide, SETTLE_STEPS).await {
            Ok(outcome) => Ok(Some(outcome.guide)),
            Err(Error::Fit(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Fits on and gives the ELBO; none where the fit failed, or time ran out.
    async fn go_on(&self, fitted: &mut Fitted, guide: Guide, steps: u32) -> Result<Option<f64>> {
        let outcome = match self.fit(guide, steps).await {
            Ok(outcome) => outcome,
            Err(Error::Fit(_)) => return Ok(None),
            Err(error) => return Err(error),
        };
        if outcome.stop == Stop::Interrupted && self.late() {
            fitted.cut = true;
            return Ok(None);
        }
        let elbo = outcome.elbo();
        fitted.endmembers = outcome.guide.medians();
        fitted.fit = Some(outcome.guide);
        (fitted.brief, fitted.at_rest) = (None, None);
        Ok(elbo)
    }

    /// So many steps from a guide, with a momentum for who goes on from there. They begin without
    /// one: fits of a search are to be told apart by where they are, and a start that is pushed on
    /// overcounts its evidence sooner (docs/evidence.md).
    async fn fit(&self, guide: Guide, steps: u32) -> Result<Outcome> {
        let guide = Guide { momentum: None, ..guide };
        let settings = svi::Settings { steps, early_stop: false, warm: false, ..self.fit.clone() };
        let mut run = Run::open(self.device, &settings, self.pixels, guide).await?;
        let mut seen = 0;
        while let Some(progress) = run.advance(&|| (self.interrupted)() || self.late()).await? {
            let fresh = u64::from(progress.step - seen);
            seen = progress.step;
            let done = self.done.fetch_add(fresh, Ordering::Relaxed) + fresh;
            (self.observe)(&Event::Steps(done, self.total.max(done)));
        }
        run.hand_over().await
    }
}
