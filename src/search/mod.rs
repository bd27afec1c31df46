//! Finding the right mode. Unmixing posteriors have many: starts of several families are fitted
//! briefly, the best of different modes go on, and moves that replace one endmember are tried from
//! the best. The ELBO decides, at the same likelihood weight and after the same number of steps;
//! where bands count as independent the evidence has the last word. No truth is seen.

mod ahead;
mod bands;
mod concentration;
mod contest;
mod faces;
mod first;
mod judge;
pub mod mixture;
mod moves;
mod shade;
pub mod spectra_first;

use ndarray::Array2;

use crate::engine::backend::Device;
use crate::engine::ground::clock::{Duration, Instant};
use crate::engine::ground::error::{Error, Result};

use crate::engine::ground::setting;
use crate::engine::guide::Guide;
use crate::engine::model::{Family, Model};
use crate::engine::pixels::Pixels;
use crate::engine::svi;
use crate::starts::{self, Init};
use crate::statistics::angles::match_spectra;
pub use bands::MOST_BANDS;
use bands::Seen;
use first::Begin;
use judge::{Fitted, Judge};
pub use shade::Shade;

/// How far the search goes.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Settings {
    /// Starts, over all families, at least 1.
    pub starts: usize,
    /// Moves tried from the best solution, a round; 0: none.
    pub moves: usize,
    /// Rounds of moves go on, gain or not, until so many seconds of the search are over, instead of
    /// ending with [`ROUNDS`] or one that leads to no better mode. What a search finds then depends
    /// on how fast the machine is. All starts are fitted even if that takes longer.
    pub seconds: Option<f64>,
    /// Whether a common mixture of the model may be left out, where the evidence of what was found
    /// asks for it.
    #[serde(skip)]
    pub common_is_open: bool,
    /// Whether the brightness of pixels may be left out of the model, where no start is better for
    /// it.
    #[serde(skip)]
    pub shade_is_open: bool,
    /// Whether the total concentration of the abundances may be learned, where evidence asks for
    /// it.
    #[serde(skip)]
    pub concentration_is_open: bool,
    /// The one start: what it is told as, and its spectra, (K, L), reflectance. None: those of all
    /// families.
    #[serde(skip)]
    pub given: Option<(String, Array2<f64>)>,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            starts: 8,
            moves: 4,
            seconds: None,
            common_is_open: false,
            shade_is_open: false,
            concentration_is_open: false,
            given: None,
        }
    }
}

impl Settings {
    /// No search for other modes: what it decides on the way is decided on one start, with these
    /// spectra, (K, L), reflectance.
    pub fn from_one(self, origin: String, endmembers: Array2<f64>) -> Self {
        let given = Some((origin, endmembers));
        Settings { starts: 1, moves: 0, seconds: None, given, ..self }
    }
}

/// Most starts, and moves a round: each takes memory and seconds, and beyond some dozens nothing
/// new is found.
pub const MOST_TRIES: usize = 10_000;
/// Steps after which starts are compared: short, and in favour of fast starts, so that the best of
/// several modes go on.
pub const PROBE_STEPS: u32 = 300;
/// Further steps of those that go on.
pub const POLISH_STEPS: u32 = 1000;
/// Steps with all bands after a search of merged ones: spectra are then those that explain the
/// pixels best, given abundances that were fitted.
pub const SETTLE_STEPS: u32 = 500;
/// Moves of a round that go on.
pub const MOVES_KEPT: usize = 2;
/// Rounds of moves without a time; one that does not lead to a better mode is the last.
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
    /// Log density of a pixel with its amounts integrated out, nats, of solutions that were
    /// compared by it.
    pub evidence: Option<f64>,
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
    /// Mean abundances, (N, K), in the same order; none where the search saw only a part of the
    /// scene.
    pub abundances: Option<Array2<f32>>,
}

/// What a search found.
#[derive(Debug, Clone)]
pub struct Found {
    /// Where the fit goes on. Its model is that of the search, but for a common mixture, and a
    /// brightness of the pixels, that the search left out, and a concentration that it learns.
    pub guide: Guide,
    /// By how much a common mixture is ahead in evidence, nats a pixel, and whether it stays; none
    /// where the search did not decide on that.
    pub common: Option<(f64, bool)>,
    /// Whether pixels differ in brightness; none where the search did not decide on that.
    pub shade: Option<Shade>,
    /// By how much a learned concentration is ahead in evidence, nats a pixel, and whether it is
    /// learned; none where the search did not decide on that.
    pub concentration: Option<(f64, bool)>,
    /// Whether that is the guide of a solution as it stands, and not one around its spectra.
    pub fitted: bool,
    /// Spectra of the chosen solution where they come to rest on some of the pixels, (K, L), row by
    /// row, reflectance; none where the search decided without, or merged bands.
    pub at_rest: Option<Vec<f64>>,
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
    /// Bands that the search used: runs of bands count as one where there are more than
    /// [`MOST_BANDS`], and the ELBOs of the solutions are those of so many.
    pub bands: usize,
    /// Whether it was interrupted: what it found is the best by then.
    pub interrupted: bool,
}

/// The most steps of a search that has found `starts` starts, without a time: what it may cost.
pub fn most_steps(settings: &Settings, starts: usize) -> u64 {
    let (probe, polish) = (u64::from(PROBE_STEPS), u64::from(POLISH_STEPS));
    // Told before the numbers are checked: any of them may come.
    let count = |tries: usize, kept: usize| {
        (tries as u64).saturating_mul(probe).saturating_add(tries.min(kept) as u64 * polish)
    };
    let rounds = if settings.moves > 0 { ROUNDS as u64 } else { 0 };
    let moves = count(settings.moves, MOVES_KEPT).saturating_mul(rounds);
    let again = if settings.common_is_open { contest::MOST as u64 * (probe + polish) } else { 0 };
    let tried = shade::TRIED.min(starts).saturating_add(starts) as u64;
    let shade = if settings.shade_is_open { tried.saturating_mul(probe) } else { 0 };
    let all = count(starts, Init::FAMILIES.len()).saturating_add(moves).saturating_add(again);
    let others = Init::FAMILIES.len() as u64 * probe + contest::AT_REST as u64 * polish;
    let learned = if settings.concentration_is_open { probe + polish + others } else { 0 };
    all.saturating_add(shade).saturating_add(learned)
}

/// How far a search is.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// Steps done of all fits together, and the most there may be.
    Steps(u64, u64),
    /// One more solution, or one that went on.
    Judged(Solution),
}

/// Refuses settings that no search could have.
///
/// # Errors
///
/// [`Error::Setting`] for no starts or too many of anything, and for a time that is none.
pub fn check(settings: &Settings) -> Result<()> {
    let tries = [(setting::RESTARTS, settings.starts, 1), (setting::SEARCH, settings.moves, 0)];
    for (name, given, least) in tries {
        if !(least..=MOST_TRIES).contains(&given) {
            let allowed = format!("must be at least {least} and at most {MOST_TRIES}");
            return Err(Error::setting(name, given, allowed));
        }
    }
    if settings.seconds.is_some_and(|s| !(s.is_finite() && s > 0.0)) {
        let given = settings.seconds.unwrap_or_default();
        return Err(Error::setting(
            setting::SEARCH,
            format!("{given}s"),
            "must be a time above 0 s",
        ));
    }
    Ok(())
}

/// Searches. `fit` gives seed, batch and draws; its steps are not used. `observe` may be called
/// from several threads; `interrupted` ends the search with the best so far: with the first start,
/// where nothing was fitted yet.
///
/// # Errors
///
/// [`Error::Setting`] when there are no starts to try, [`Error::Fit`] when no fit gave a finite
/// ELBO, [`Error::Interrupted`] when there was not even a start, and what [`crate::starts`] and
/// [`svi::fit`] refuse.
pub async fn search(
    device: &Device,
    model: &Model,
    fit: &svi::Settings,
    settings: &Settings,
    pixels: &Pixels,
    observe: &(dyn Fn(&Event) + Sync),
    interrupted: &(dyn Fn() -> bool + Sync),
) -> Result<Found> {
    check(settings)?;
    let deadline = match settings.seconds.map(Duration::try_from_secs_f64) {
        // What no clock can count is no limit.
        Some(Ok(seconds)) => Instant::now().checked_add(seconds),
        _ => None,
    };
    let k = model.endmembers;
    let seen = Seen::new(pixels.part(MOST_PIXELS), k);
    let (of_scene, model, part) = (model, &seen.model(model), &seen.pixels);
    let brightness = model.brightness.is_some();
    svi::params(model, fit, (part.count(), part.bands()))?;
    let given = settings.given.as_ref();
    let given = given.map(|(origin, spectra)| (origin.clone(), seen.of_merged_bands(spectra)));
    let challenged = given.is_none() && faces::is_for(of_scene, pixels.bands());
    let tries = (settings.starts, fit.seed, given.as_ref());
    let (starts, faces) = first::starts_of(part, model, tries, challenged, interrupted)?;
    let settling = if seen.is_merged() { u64::from(SETTLE_STEPS) } else { 0 };
    let others = settling + u64::from(challenged) * faces::MOST_STEPS;
    let total = most_steps(settings, starts.len()).saturating_add(others);
    let mut judge = Judge::new(device, model, fit, part, total, observe, interrupted);

    let mut table: Vec<Fitted> = judge.probe(starts).await?;
    let mut shade = None;
    if settings.shade_is_open && brightness && contest::is_for(model, pixels.bands()) {
        (shade, judge, table) = shaded(judge, table, part, tries, interrupted).await?;
    }
    let plain = model.without_brightness();
    let shaded = brightness && shade.is_none_or(|shade| shade.kept);
    let of_scene = if shaded { of_scene } else { &plain };
    let kept = distinct(&table, &best_of_each(&table), Init::FAMILIES.len());
    // One fit leaves cores idle: those who will challenge the answer begin beside it.
    let first = &kept[..kept.len().min(1)];
    let challengers = judge.polish_and_probe(&mut table, first, faces).await?;
    let others = may_win(&table, &kept);
    judge.polish(&mut table, &others).await?;
    let count = table.len();
    let mut best = best_of(&table, interrupted())?;
    judge.until(deadline);
    best = moves::rounds(&judge, (&mut table, best), settings, (part, shaded), interrupted).await?;
    let mut common = None;
    if contest::is_for(of_scene, pixels.bands()) && !interrupted() {
        let open = settings.common_is_open;
        let won =
            contest::contest(&judge, &mut table, (count, best), part, open, interrupted).await?;
        (best, common) = (won.best, won.common);
    } else if challenged && !interrupted() {
        best = faces::challenge(&judge, (&mut table, best), challengers, part, interrupted).await?;
    }
    let without = Model { common: None, ..of_scene.clone() };
    let mut of_scene = if common.is_some_and(|(_, kept)| !kept) { &without } else { of_scene };
    let (mut decided, learning) = (None, of_scene.with_learned_concentration());
    if settings.concentration_is_open && !interrupted() {
        decided = concentration::decide(&judge, (&mut table, best), part, interrupted).await?;
    }
    if let Some(decided) = decided.as_ref().filter(|of| of.learned) {
        (best, common) = (decided.best, common.map(|(gain, _)| (gain, false)));
        of_scene = &learning;
    }
    let concentration = decided.map(|of| (of.gain, of.learned));
    let done = judge.done();
    let found = finish(of_scene, fit, pixels, &seen, table, best, count)?;
    let found = Found { interrupted: interrupted(), common, shade, concentration, ..found };
    if !seen.is_merged() || !seen.is_all_of(pixels) || found.interrupted {
        return Ok(found);
    }
    let judge = Judge::new(device, of_scene, fit, pixels, total, observe, interrupted);
    judge.count(done);
    settle(judge, found).await
}

/// The row of the best of the starts; where a search is interrupted before a single step, the first
/// start is what there is.
fn best_of(table: &[Fitted], interrupted: bool) -> Result<usize> {
    match by_elbo(table).first() {
        Some(&best) => Ok(best),
        None if interrupted && !table.is_empty() => Ok(0),
        None => Err(Error::Fit(
            "no start gave a finite ELBO; check the scene's values and scale, or lower the \
             learning rate"
                .into(),
        )),
    }
}

/// Whether pixels differ in brightness; judge and starts go on as if it had been asked for that
/// they do not, where they do not, as geometry without shade finds other starts.
async fn shaded<'a>(
    judge: Judge<'a>,
    table: Vec<Fitted>,
    part: &Pixels,
    tries: (usize, u64, Option<&Begin>),
    interrupted: &(dyn Fn() -> bool + Sync),
) -> Result<(Option<Shade>, Judge<'a>, Vec<Fitted>)> {
    let plain = judge.without_brightness();
    let shade = shade::decide(&plain, &table, interrupted).await?;
    if shade.is_none_or(|shade| shade.kept) {
        return Ok((shade, judge, table));
    }
    let starts = match first::starts_of(part, plain.model(), tries, false, interrupted) {
        Err(Error::Interrupted) => Vec::new(),
        starts => starts?.0,
    };
    let fitted = plain.probe(starts).await?;
    match by_elbo(&fitted).is_empty() {
        true => Ok((None, judge, table)),
        false => Ok((shade, plain, fitted)),
    }
}

/// A search of merged bands: the rest is done once, and the fit goes on from a guide of all bands
/// that has been fitted.
async fn settle(judge: Judge<'_>, found: Found) -> Result<Found> {
    let low_rank = matches!(found.guide.model.family, Family::LowRank { .. });
    match judge.settle(found.guide.clone()).await? {
        Some(guide) if !low_rank => Ok(Found { guide, fitted: true, ..found }),
        _ => Ok(found),
    }
}

/// Solutions with an ELBO, those that went on before others, the best first.
fn by_elbo(table: &[Fitted]) -> Vec<usize> {
    let mut order: Vec<usize> =
        (0..table.len()).filter(|&i| table[i].probe_elbo.is_some()).collect();
    let rank = |i: usize| (table[i].elbo.is_some(), table[i].elbo.or(table[i].probe_elbo));
    order.sort_by(|&a, &b| rank(b).partial_cmp(&rank(a)).unwrap_or(std::cmp::Ordering::Equal));
    order
}

/// Of solutions whose first went on, the others that may end higher: not those that would have to
/// gain more than twice what the first gained to come up with it.
fn may_win(table: &[Fitted], kept: &[usize]) -> Vec<usize> {
    let Some((&first, others)) = kept.split_first() else { return Vec::new() };
    let (probe, end) = (table[first].probe_elbo, table[first].elbo);
    let (Some(probe), Some(end)) = (probe, end) else { return others.to_vec() };
    let least = end - 2.0 * (end - probe).max(0.0);
    others.iter().copied().filter(|&i| table[i].probe_elbo.is_some_and(|p| p >= least)).collect()
}

/// Whether one solution is ahead of another by a share of [`GAIN`], in ELBO or evidence.
fn gains(new: f64, old: f64) -> bool {
    new - old > GAIN * old.abs().max(1.0)
}

/// The family of a start, from what it began from.
fn family(origin: &str) -> &str {
    origin.split(',').next().unwrap_or_default()
}

/// The best solution of each family of starts, the best first.
fn best_of_each(table: &[Fitted]) -> Vec<usize> {
    let mut seen = Vec::new();
    let first = |i: &usize| {
        let family = family(&table[*i].origin);
        let new = !seen.contains(&family);
        seen.push(family);
        new
    };
    by_elbo(table).into_iter().filter(first).collect()
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
    pixels: &Pixels,
    seen: &Seen,
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
    // A start agrees, too, where the solution that the chosen one began like is of its mode.
    let like = table[best].like.unwrap_or(best);
    let agrees = |&i: &usize| same(&table[i], &table[best]) || same(&table[i], &table[like]);
    let agreed = (0..starts).filter(agrees).count();
    let whole = seen.is_all_of(pixels);
    let polished = by_elbo(&table).into_iter().filter(|&i| table[i].elbo.is_some());
    let order: Vec<usize> = std::iter::once(best).chain(polished).collect();
    let shown = distinct(&table, &order, order.len());
    let modes = shown.iter().map(|&row| table[row].mode(row, &table[best], whole, seen)).collect();
    let solutions: Vec<Solution> = table
        .iter()
        .zip(&numbers)
        .enumerate()
        .map(|(i, (fitted, &mode))| Solution { mode, chosen: i == best, ..fitted.solution() })
        .collect();
    let description = format!("{} ({agreed} of {starts} starts agree)", table[best].origin);
    let chosen = &table[best];
    let (guide, fitted) = match (whole && !seen.is_merged(), chosen.guide(model)) {
        (true, Some(guide)) => (guide, chosen.elbo.is_some()),
        _ => (starts::begin(model, fit, pixels, seen.in_all_bands(chosen))?, false),
    };
    Ok(Found {
        guide,
        common: None,
        shade: None,
        concentration: None,
        fitted,
        at_rest: chosen.rested().filter(|_| !seen.is_merged()),
        description,
        solutions,
        modes,
        agreement: (agreed, starts),
        pixels: seen.pixels.count(),
        bands: seen.pixels.bands(),
        interrupted: false,
    })
}
