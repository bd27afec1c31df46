//! Finding the right mode. Unmixing posteriors have many: starts of several families are fitted
//! briefly, the best of different modes go on, and moves that replace one endmember are tried from
//! the best. The ELBO decides, at the same likelihood weight and after the same number of steps; no
//! truth is seen.

mod judge;
mod moves;
pub mod spectra_first;

use std::sync::Arc;
use std::time::{Duration, Instant};

use ndarray::Array2;

use crate::engine::backend::Device;
use crate::engine::ground::error::{Error, Result};
use crate::engine::guide::State;
use crate::engine::model::Model;
use crate::engine::svi;
use crate::scene::Cube;
use crate::score::match_spectra;
use crate::starts::{Init, Start, families};
use judge::{Fitted, Judge};

/// How far the search goes.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Settings {
    /// Starts, over all families, at least 1.
    pub starts: usize,
    /// Moves tried from the best solution, a round; 0: none.
    pub moves: usize,
    /// Rounds of moves go on, gain or not, until so many seconds of the search are over, instead of
    /// ending with [`ROUNDS`] or a round that gains nothing. What a search finds then depends on how
    /// fast the machine is. All starts are fitted even if that takes longer.
    pub seconds: Option<f64>,
}

impl Default for Settings {
    fn default() -> Self {
        Settings { starts: 8, moves: 4, seconds: None }
    }
}

/// Most starts, and moves a round: each takes memory and seconds, and beyond some dozens nothing new
/// is found.
pub const MOST_TRIES: usize = 10_000;
/// Steps after which starts are compared: short, and in favour of fast starts, so that the best of
/// several modes go on.
pub const PROBE_STEPS: u32 = 300;
/// Further steps of those that go on.
pub const POLISH_STEPS: u32 = 1000;
/// Solutions of the starts that go on.
pub const KEPT: usize = 2;
/// Moves of a round that go on.
pub const MOVES_KEPT: usize = 2;
/// Rounds of moves without a time; a round that gains nothing is the last.
pub const ROUNDS: usize = 2;
/// Pixels of the search, at most; of a larger scene, every so many.
pub const MOST_PIXELS: usize = 30_000;

/// Solutions are one mode when no matched pair of spectra is farther apart, radians: twice what one
/// mode's endmembers differ by between seeds on real scenes, and below what tells materials apart.
const SAME_MODE: f64 = 0.06;
/// The least gain of a move in ELBO, as a share: the medians of two equal fits differ by a tenth.
const GAIN: f64 = 0.002;

/// One start or move, and how it did.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Solution {
    /// What it began from.
    pub origin: String,
    /// ELBO a pixel after [`PROBE_STEPS`], nats; none if the fit failed.
    pub probe_elbo: Option<f64>,
    /// After [`POLISH_STEPS`] more, where it went on.
    pub elbo: Option<f64>,
    /// Modes are numbered from 1 in the order of this table.
    pub mode: usize,
    /// Whether the fit goes on from here.
    pub chosen: bool,
}

/// A solution that went on.
#[derive(Debug, Clone)]
pub struct Mode {
    /// Its row in the table, from 0.
    pub row: usize,
    /// Endmember spectra, (K, L), reflectance, in the order of the chosen solution's.
    pub endmembers: Array2<f64>,
    /// Mean abundances, (N, K), in the same order; none where the search saw only a part of the scene.
    pub abundances: Option<Array2<f32>>,
}

/// What a search found.
#[derive(Debug, Clone)]
pub struct Found {
    /// Where the fit goes on.
    pub state: State,
    /// Whether that is the guide of a solution as it stands, and not one around its spectra.
    pub fitted: bool,
    /// The chosen solution as a phrase.
    pub description: String,
    /// All that was tried.
    pub solutions: Vec<Solution>,
    /// Those that went on, the chosen one first.
    pub modes: Vec<Mode>,
    /// Starts whose solution is of the chosen mode, and starts: a measure of trust.
    pub agreement: (usize, usize),
    /// Pixels that the search used.
    pub pixels: usize,
}

/// The most steps of a search that has found `starts` starts, without a time: what it may cost.
pub fn most_steps(settings: &Settings, starts: usize) -> u64 {
    let (probe, polish) = (u64::from(PROBE_STEPS), u64::from(POLISH_STEPS));
    let moves = settings.moves as u64 * probe + settings.moves.min(MOVES_KEPT) as u64 * polish;
    let rounds = if settings.moves > 0 { ROUNDS as u64 } else { 0 };
    starts as u64 * probe + starts.min(KEPT) as u64 * polish + rounds * moves
}

/// How far a search is.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// Steps done of all fits together, and the most there may be.
    Steps(u64, u64),
    /// One more solution, or one that went on.
    Judged(Solution),
}

/// Searches. `fit` gives seed, batch and draws; its steps are not used. `observe` may be called from
/// several threads; `interrupted` ends the search with the best so far.
///
/// # Errors
///
/// [`Error::Option`] when there are no starts to try, [`Error::Fit`] when no fit gave a finite ELBO,
/// and what [`crate::starts`] and [`svi::fit`] refuse.
pub fn search(
    device: &Device,
    model: &Model,
    fit: &svi::Settings,
    settings: &Settings,
    cube: &Arc<Cube>,
    observe: &(dyn Fn(&Event) + Sync),
    interrupted: &(dyn Fn() -> bool + Sync),
) -> Result<Found> {
    for (name, given, least) in [("restarts", settings.starts, 1), ("search", settings.moves, 0)] {
        if !(least..=MOST_TRIES).contains(&given) {
            return Err(Error::option(
                format!("--{name} {given}"),
                format!("must be at least {least} and at most {MOST_TRIES}"),
            ));
        }
    }
    if settings.seconds.is_some_and(|s| !(s.is_finite() && s > 0.0)) {
        let given = settings.seconds.unwrap_or_default();
        return Err(Error::option(format!("--search {given}s"), "must be a time above 0 s"));
    }
    let deadline = match settings.seconds.map(Duration::try_from_secs_f64) {
        // What no clock can count is no limit.
        Some(Ok(seconds)) => Instant::now().checked_add(seconds),
        _ => None,
    };
    let part = part_of(cube);
    let brightness = model.brightness.is_some();
    let k = model.endmembers;
    let proposals = families(&part, k, &Init::FAMILIES, settings.starts, brightness, fit.seed)?;
    let total = most_steps(settings, proposals.len());
    let mut judge = Judge::new(device, model, fit, &part, total, observe, interrupted);
    let begin = |origin: String, endmembers: &Array2<f64>| {
        let start = Start::around(&part, endmembers.clone(), brightness, "")?;
        Ok((origin, start))
    };
    let starts = proposals
        .iter()
        .map(|p| begin(format!("{}, seed {}", p.family, p.seed), &p.endmembers))
        .collect::<Result<Vec<(String, Start)>>>()?;

    let mut table: Vec<Fitted> = judge.probe(starts);
    let kept = distinct(&table, &by_elbo(&table), KEPT);
    judge.polish(&mut table, &kept);
    let count = table.len();
    let mut best = by_elbo(&table).first().copied().ok_or_else(|| {
        Error::Fit(
            "no start gave a finite ELBO; check the scene's values and scale, or lower --learning-rate".into(),
        )
    })?;
    judge.until(deadline);
    for round in 0_usize.. {
        let over = settings.seconds.is_none() && round >= ROUNDS;
        if settings.moves == 0 || over || interrupted() || judge.late() {
            break;
        }
        // Other clusters and groups a round, where the best is still the same.
        let seed = fit.seed.wrapping_add(round as u64);
        let moves = moves::propose(&part, &table[best], brightness, settings.moves, seed)?;
        if moves.is_empty() {
            break;
        }
        let starts = moves
            .iter()
            .map(|m| begin(format!("{}, round {}", m.what, round + 1), &m.endmembers))
            .collect::<Result<Vec<(String, Start)>>>()?;
        let first = table.len();
        table.extend(judge.probe(starts).into_iter().filter(|one| !one.cut));
        let order: Vec<usize> = by_elbo(&table).into_iter().filter(|&i| i >= first).collect();
        let kept = distinct(&table, &order, MOVES_KEPT);
        judge.polish(&mut table, &kept);
        let gain = |i: usize| {
            let (new, old) = (table[i].elbo?, table[best].elbo?);
            (new - old > GAIN * old.abs().max(1.0)).then_some(new)
        };
        let better = kept.into_iter().filter(|&i| gain(i).is_some());
        match better
            .max_by(|&a, &b| gain(a).partial_cmp(&gain(b)).unwrap_or(std::cmp::Ordering::Equal))
        {
            Some(new) => best = new,
            None if settings.seconds.is_none() => break,
            None => {}
        }
    }
    finish(model, fit, cube, &part, table, best, count)
}

/// The pixels that the search looks at.
fn part_of(cube: &Arc<Cube>) -> Arc<Cube> {
    let every = cube.pixels().div_ceil(MOST_PIXELS).max(1);
    if every == 1 {
        return Arc::clone(cube);
    }
    let pixels: Vec<usize> = (0..cube.pixels()).step_by(every).collect();
    Arc::new(cube.select(&pixels))
}

/// Solutions with an ELBO, those that went on before others, the best first.
fn by_elbo(table: &[Fitted]) -> Vec<usize> {
    let mut order: Vec<usize> =
        (0..table.len()).filter(|&i| table[i].probe_elbo.is_some()).collect();
    let rank = |i: usize| (table[i].elbo.is_some(), table[i].elbo.or(table[i].probe_elbo));
    order.sort_by(|&a, &b| rank(b).partial_cmp(&rank(a)).unwrap_or(std::cmp::Ordering::Equal));
    order
}

/// The first `count` of `order` that are different modes.
fn distinct(table: &[Fitted], order: &[usize], count: usize) -> Vec<usize> {
    let mut kept: Vec<usize> = Vec::new();
    for &i in order {
        if kept.len() < count && !kept.iter().any(|&other| same(&table[i], &table[other])) {
            kept.push(i);
        }
    }
    kept
}

fn same(a: &Fitted, b: &Fitted) -> bool {
    match_spectra(a.endmembers.view(), b.endmembers.view())
        .is_ok_and(|pairs| pairs.iter().all(|&(_, angle)| angle <= SAME_MODE))
}

fn finish(
    model: &Model,
    fit: &svi::Settings,
    cube: &Arc<Cube>,
    part: &Arc<Cube>,
    table: Vec<Fitted>,
    best: usize,
    starts: usize,
) -> Result<Found> {
    let mut leaders: Vec<usize> = Vec::new();
    let numbers: Vec<usize> = (0..table.len())
        .map(|i| {
            let known = leaders.iter().position(|&leader| same(&table[i], &table[leader]));
            known.unwrap_or_else(|| {
                leaders.push(i);
                leaders.len() - 1
            }) + 1
        })
        .collect();
    let agreed = (0..starts).filter(|&i| same(&table[i], &table[best])).count();
    let whole = Arc::ptr_eq(cube, part);
    let polished = by_elbo(&table).into_iter().filter(|&i| table[i].elbo.is_some());
    let order: Vec<usize> = std::iter::once(best).chain(polished).collect();
    let shown = distinct(&table, &order, order.len());
    let modes = shown.iter().map(|&row| table[row].mode(row, &table[best], whole)).collect();
    let solutions: Vec<Solution> = table
        .iter()
        .zip(&numbers)
        .enumerate()
        .map(|(i, (fitted, &mode))| Solution { mode, chosen: i == best, ..fitted.solution() })
        .collect();
    let description = format!("{} ({agreed} of {starts} starts agree)", table[best].origin);
    let pixels = part.pixels();
    let chosen = &table[best];
    let (state, fitted) = match (whole, chosen.state(model)) {
        (true, Some(state)) => (state, chosen.elbo.is_some()),
        _ => {
            let brightness = model.brightness.is_some();
            let start = Start::around(cube, chosen.endmembers.clone(), brightness, "")?;
            (svi::begin(model, fit, cube, &start)?, false)
        }
    };
    Ok(Found { state, fitted, description, solutions, modes, agreement: (agreed, starts), pixels })
}
