//! Short fits of many starts, side by side where there are cores for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ndarray::{Array2, Axis};
use rayon::prelude::*;

use super::ahead::mean;
use super::bands::Seen;
use super::first::Begin;
use super::{Event, Mode, POLISH_STEPS, PROBE_STEPS, SETTLE_STEPS, Solution, family};
use crate::convention::Convention;
use crate::engine::backend::{Device, each, pieces};
use crate::engine::ground::clock::Instant;
use crate::engine::ground::error::Result;
use crate::engine::guide::Guide;
use crate::engine::model::{Family, Model};
use crate::engine::pixels::Pixels;
use crate::engine::svi::{self, Outcome, Stop};
use crate::posterior::Means;
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
    /// [`nested::evidence_at_rest`] has it, from its own spectra or from others; their mean is from
    /// then on its evidence.
    ///
    /// # Errors
    ///
    /// What [`nested::check`] refuses.
    pub fn at_rest(
        &mut self,
        pixels: &Pixels,
        from: Option<&[f64]>,
        interrupted: &(dyn Fn() -> bool + Sync),
    ) -> Result<Option<AtRest>> {
        if let (None, Some(guide)) = (&self.at_rest, &self.fit) {
            self.at_rest = nested::evidence_at_rest(guide, pixels, from, interrupted)?;
            let mean = self.at_rest.as_ref().map(|found| mean(&found.densities));
            self.evidence = mean.or(self.evidence);
        }
        Ok(self.at_rest.clone())
    }

    /// Spectra where they come to rest, (K, L), row by row, where that was asked for.
    pub fn rested(&self) -> Option<Vec<f64>> {
        self.at_rest.as_ref().map(|found| found.spectra.clone())
    }

    /// Its means, with rows of pixels in the order of the cube that these pixels are of.
    pub fn means(&self, of: &Pixels) -> Option<Means> {
        Some(Means::new(self.fit.as_ref()?, of, Convention::Reflectance))
    }

    /// With endmembers in the order of `chosen`'s, in all bands.
    pub fn mode(&self, row: usize, chosen: &Fitted, whole: bool, seen: &Seen) -> Mode {
        let pairs = match_spectra(chosen.endmembers.view(), self.endmembers.view());
        let order: Vec<usize> =
            pairs.map(|pairs| pairs.into_iter().map(|(k, _)| k).collect()).unwrap_or_default();
        let abundances = if whole { self.means(&self.pixels) } else { None };
        Mode {
            row,
            endmembers: seen.in_all_bands(self).select(Axis(0), &order),
            abundances: abundances.map(|means| means.abundances.select(Axis(1), &order)),
        }
    }
}

/// A piece of work for a device: what it does side by side.
enum Work<'t> {
    Polish(Vec<&'t mut Fitted>),
    Probe(Vec<Begin>),
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
        let rows: Vec<&mut Fitted> = rows.map(|(_, fitted)| fitted).collect();
        let rows = pieces(self.device, rows).into_iter().map(Work::Polish);
        let starts = pieces(self.device, starts).into_iter().map(Work::Probe);
        let work = rows.chain(starts).collect();
        let one = async |work| match work {
            Work::Polish(rows) => self.polish_all(rows).await.map(|()| Vec::new()),
            Work::Probe(starts) => self.probe_all(starts).await,
        };
        Ok(each(self.device, work, one).await?.into_iter().flatten().collect())
    }

    async fn probe_all(&self, starts: Vec<Begin>) -> Result<Vec<Fitted>> {
        let fresh = |(origin, endmembers)| Fitted::new(origin, endmembers, self.pixels.clone());
        let mut probed: Vec<Fitted> = starts.into_iter().map(fresh).collect();
        if (self.interrupted)() {
            return Ok(probed);
        }
        // A start that no abundances go with is one that failed.
        let begin = |fitted: &Fitted| {
            starts::begin(&self.model, self.fit, self.pixels, fitted.endmembers.clone()).ok()
        };
        let guides: Vec<Option<Guide>> = probed.par_iter().map(begin).collect();
        let begun = probed.iter_mut().zip(guides);
        let begun = begun.filter_map(|(fitted, guide)| Some((fitted, guide?))).collect();
        for (fitted, elbo) in self.go_on(begun, PROBE_STEPS).await? {
            fitted.probe_elbo = elbo;
        }
        probed.iter().filter(|fitted| !fitted.cut).for_each(|fitted| self.tell(fitted));
        Ok(probed)
    }

    async fn polish_all(&self, rows: Vec<&mut Fitted>) -> Result<()> {
        if (self.interrupted)() {
            return Ok(());
        }
        let begun = rows.into_iter().filter_map(|fitted| {
            let guide = fitted.fit.clone()?;
            Some((fitted, guide))
        });
        for (fitted, elbo) in self.go_on(begun.collect(), POLISH_STEPS).await? {
            fitted.elbo = elbo;
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
        let outcomes = self.fit(vec![guide], SETTLE_STEPS).await?;
        Ok(outcomes.into_iter().flatten().next().map(|outcome| outcome.guide))
    }

    /// Fits on from guides and gives the ELBO of each; none where the fit failed, or time ran out.
    async fn go_on<'t>(
        &self,
        begun: Vec<(&'t mut Fitted, Guide)>,
        steps: u32,
    ) -> Result<Vec<(&'t mut Fitted, Option<f64>)>> {
        let (rows, guides): (Vec<&mut Fitted>, Vec<Guide>) = begun.into_iter().unzip();
        let outcomes = self.fit(guides, steps).await?;
        let one = |(fitted, outcome): (&'t mut Fitted, Result<Outcome>)| {
            let elbo = outcome.ok().and_then(|outcome| self.take(fitted, outcome));
            (fitted, elbo)
        };
        Ok(rows.into_iter().zip(outcomes).map(one).collect())
    }

    /// Keeps where a fit has come to, and gives its ELBO.
    fn take(&self, fitted: &mut Fitted, outcome: Outcome) -> Option<f64> {
        if outcome.stop == Stop::Interrupted && self.late() {
            fitted.cut = true;
            return None;
        }
        let elbo = outcome.elbo();
        fitted.endmembers = outcome.guide.medians();
        fitted.fit = Some(outcome.guide);
        (fitted.brief, fitted.at_rest) = (None, None);
        elbo
    }

    /// So many steps from guides, with a momentum for who goes on from there. They begin without
    /// one: fits of a search are to be told apart by where they are, and a start that is pushed on
    /// overcounts its evidence sooner (docs/evidence.md).
    async fn fit(&self, guides: Vec<Guide>, steps: u32) -> Result<Vec<Result<Outcome>>> {
        let still = |guide| Guide { momentum: None, ..guide };
        let guides = guides.into_iter().map(still).collect();
        let mut observe = |fresh| {
            let done = self.done.fetch_add(fresh, Ordering::Relaxed) + fresh;
            (self.observe)(&Event::Steps(done, self.total.max(done)));
        };
        let interrupted = || (self.interrupted)() || self.late();
        svi::fit_all(self.device, self.fit, steps, self.pixels, guides, &mut observe, &interrupted)
            .await
    }
}
