//! Short fits of many starts, side by side where there are cores for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use ndarray::{Array2, Axis};
use rayon::prelude::*;

use super::{Event, Mode, POLISH_STEPS, PROBE_STEPS, Solution};
use crate::engine::backend::Device;
use crate::engine::guide::{State, medians};
use crate::engine::layout::Params;
use crate::engine::model::{Guide, Model};
use crate::engine::svi::{self, Outcome, Stop};
use crate::posterior::Posterior;
use crate::scene::Cube;
use crate::score::{Convention, match_spectra};
use crate::starts::Start;

/// A start and the fit so far.
pub struct Fitted {
    pub origin: String,
    pub probe_elbo: Option<f64>,
    pub elbo: Option<f64>,
    /// (K, L), reflectance.
    pub endmembers: Array2<f64>,
    /// Whether time ran out before the fit had its steps: it cannot be compared.
    pub cut: bool,
    cube: Arc<Cube>,
    fit: Option<(Params, State)>,
}

impl Fitted {
    pub fn solution(&self) -> Solution {
        Solution {
            origin: self.origin.clone(),
            probe_elbo: self.probe_elbo,
            elbo: self.elbo,
            mode: 0,
            chosen: false,
        }
    }

    /// The guide as it stands, if it is one of `model`.
    pub fn state(&self, model: &Model) -> Option<State> {
        let (params, state) = self.fit.as_ref()?;
        (params.rank == 0 && !matches!(model.guide, Guide::LowRank { .. })).then(|| state.clone())
    }

    pub fn posterior(&self) -> Option<Posterior> {
        let (params, state) = self.fit.as_ref()?;
        let convention = Convention::Reflectance;
        Some(Posterior::new(params, &self.cube, &state.globals, &state.locals, convention))
    }

    /// With endmembers in the order of `chosen`'s.
    pub fn mode(&self, row: usize, chosen: &Fitted, whole: bool) -> Mode {
        let pairs = match_spectra(chosen.endmembers.view(), self.endmembers.view());
        let order: Vec<usize> =
            pairs.map(|pairs| pairs.into_iter().map(|(k, _)| k).collect()).unwrap_or_default();
        let abundances = if whole { self.posterior() } else { None };
        Mode {
            row,
            endmembers: self.endmembers.select(Axis(0), &order),
            abundances: abundances.map(|p| p.abundance_mean.select(Axis(1), &order)),
        }
    }
}

/// Fits starts of one scene.
pub struct Judge<'a> {
    device: &'a Device,
    model: Model,
    fit: &'a svi::Settings,
    cube: &'a Arc<Cube>,
    done: AtomicU64,
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
        cube: &'a Arc<Cube>,
        total: u64,
        observe: &'a (dyn Fn(&Event) + Sync),
        interrupted: &'a (dyn Fn() -> bool + Sync),
    ) -> Self {
        // What the low-rank guide adds is small beside the distance between modes.
        let guide = match model.guide {
            Guide::LowRank { .. } => Guide::FullRank,
            other => other,
        };
        let model = Model { guide, ..model.clone() };
        let (done, deadline) = (AtomicU64::new(0), None);
        Judge { device, model, fit, cube, done, total, observe, interrupted, deadline }
    }

    /// From now on fits end at this time.
    pub fn until(&mut self, deadline: Option<Instant>) {
        self.deadline = deadline;
    }

    /// Whether the time is over.
    pub fn late(&self) -> bool {
        self.deadline.is_some_and(|deadline| Instant::now() >= deadline)
    }

    /// Fits each start for [`PROBE_STEPS`].
    pub fn probe(&self, starts: Vec<(String, Start)>) -> Vec<Fitted> {
        self.each(starts, |(origin, start)| {
            let state = svi::begin(&self.model, self.fit, self.cube, &start);
            let mut fitted = Fitted {
                origin,
                probe_elbo: None,
                elbo: None,
                endmembers: start.endmembers,
                cut: false,
                cube: Arc::clone(self.cube),
                fit: None,
            };
            if let Ok(state) = state {
                fitted.probe_elbo = self.go_on(&mut fitted, state, PROBE_STEPS);
            }
            if !fitted.cut {
                (self.observe)(&Event::Judged(fitted.solution()));
            }
            fitted
        })
    }

    /// Goes on with some of them for [`POLISH_STEPS`].
    pub fn polish(&self, table: &mut [Fitted], rows: &[usize]) {
        let rows = table.iter_mut().enumerate().filter(|(i, _)| rows.contains(i)).collect();
        self.each(rows, |(_, fitted): (usize, &mut Fitted)| {
            if let Some((_, state)) = fitted.fit.clone() {
                fitted.elbo = self.go_on(fitted, state, POLISH_STEPS);
                if !fitted.cut {
                    (self.observe)(&Event::Judged(fitted.solution()));
                }
            }
        });
    }

    /// Side by side on the CPU, where one small minibatch does not fill the cores; in turn on a GPU.
    fn each<T: Send, R: Send>(&self, items: Vec<T>, one: impl Fn(T) -> R + Sync + Send) -> Vec<R> {
        if self.device.is_cpu() {
            items.into_par_iter().with_max_len(1).map(one).collect()
        } else {
            items.into_iter().map(one).collect()
        }
    }

    fn go_on(&self, fitted: &mut Fitted, state: State, steps: u32) -> Option<f64> {
        let settings = svi::Settings { steps, early_stop: false, ..self.fit.clone() };
        let centre = state.prior_centre.clone();
        let mut seen = 0;
        let mut observe = |progress: &svi::Progress| {
            let fresh = u64::from(progress.step - seen);
            seen = progress.step;
            let done = self.done.fetch_add(fresh, Ordering::Relaxed) + fresh;
            (self.observe)(&Event::Steps(done, self.total.max(done)));
        };
        let outcome =
            svi::fit(self.device, &self.model, &settings, self.cube, state, &mut observe, &|| {
                (self.interrupted)() || self.late()
            })
            .ok()?;
        if outcome.stop == Stop::Interrupted && self.late() {
            fitted.cut = true;
            return None;
        }
        let elbo = outcome.elbo();
        fitted.endmembers = medians(&outcome.params, &outcome.globals);
        let Outcome { params, globals, locals, visits, .. } = outcome;
        let state = State { globals, locals, prior_centre: centre, rank_sum: Vec::new(), visits };
        fitted.fit = Some((params, state));
        elbo
    }
}
