//! The last word on modes: the evidence of each, pixels integrated out, under variability that
//! bands share. An ELBO is a bound that depends on how far the guides of pixels have come, of a
//! model in which each band varies for itself: it prefers an endmember that stands for variability
//! to one that few pixels hold.

use rayon::prelude::*;

use super::ahead::clearly_ahead;
use super::judge::{Fitted, Judge};
use super::{best_of_each, by_elbo, distinct, gains, mixture, same};
use crate::engine::ground::error::Result;
use crate::engine::model::{Model, Noise};
use crate::engine::pixels::Pixels;
use crate::starts::Init;

/// Modes that are compared, at most.
pub const MOST: usize = 8;
/// What a solution must be ahead by in evidence, nats a pixel, to be another answer than the best
/// by ELBO: how spectra vary is learned to about a tenth.
const AHEAD: f64 = 0.1;
/// What coming to rest gains at most, nats a pixel, of what may yet be the answer; most where a
/// scene is large, and each of its pixels in few minibatches of a search.
const UNLEARNED: f64 = 6.0;
/// Solutions that come to rest, or go on without a common mixture, at most. In 28 of 29 simulated
/// scenes the best at rest is among the three of the highest brief evidence, which costs a tenth
/// (docs/evidence.md).
pub const AT_REST: usize = 4;
/// By how much the ELBO of a solution may be behind the best, nats a pixel and band, or by as much
/// as the best gained since its first steps, where that is more: fits of little noise are still on
/// their way. Beyond, the shapes along which spectra vary stand for a material that the solution
/// lacks, and evidence, which knows them, may be deceived.
const BEHIND: f64 = 0.25;
/// By how much a solution with a common mixture is ahead of itself without one, nats a pixel, where
/// no other needs to be fitted to know that the mixture stays.
const CLEAR: f64 = 3.0;
/// What solutions without a common mixture are told by.
const NONE: &str = "no common mixture";

/// What geometry alone finds: an answer that one of them clearly beats is never given.
const CLASSICS: [Init; 2] = [Init::Vca, Init::NFindr];

/// Whether modes of a model on so many bands can be compared: its pixels have an exact posterior,
/// and its bands count as independent evidence. Where they err together evidence is counted too
/// often, and more so the closer the model fits.
pub fn is_for(model: &Model, bands: usize) -> bool {
    model.noise != Noise::Covariance && model.has_independent_bands(bands)
}

/// What the contest decided.
pub struct Won {
    /// The row of the winner.
    pub best: usize,
    /// By how much a common mixture is ahead in evidence, nats a pixel, and whether it stays; none
    /// where that was not open.
    pub common: Option<(f64, bool)>,
}

/// The solution of the highest evidence among the `best` by ELBO, those of other modes that went
/// on, and the classics, which go on for it if they have not; where there is no common mixture, the
/// [`AT_REST`] of the highest brief evidence where their spectra come to rest. One that is not
/// [`clearly_ahead`] of the best by ELBO, by [`AHEAD`], or by what [`gains`] asks with a common
/// mixture, does not take its place. When interrupted, the best by ELBO.
///
/// The first `starts` rows of the table are starts. `open` says whether a common mixture of the
/// model may be left out: all are then fitted without one, too, and so is the best start of each
/// family, each from where it began, of which the [`AT_REST`] of the highest brief evidence go on;
/// the kind with the best solution is taken.
///
/// # Errors
///
/// What ends all fits, as a device that is lost.
pub async fn contest(
    judge: &Judge<'_>,
    table: &mut Vec<Fitted>,
    (starts, best): (usize, usize),
    pixels: &Pixels,
    open: bool,
    interrupted: &(dyn Fn() -> bool + Sync),
) -> Result<Won> {
    let polished = |table: &[Fitted]| -> Vec<usize> {
        let gone_on = by_elbo(table).into_iter().filter(|&i| table[i].elbo.is_some());
        std::iter::once(best).chain(gone_on).collect()
    };
    let others = polished(table);
    let mut classics: Vec<usize> = Vec::new();
    let classic = |i: &usize| table[*i].is_of(&CLASSICS);
    for i in best_of_each(&table[..starts]).into_iter().filter(classic) {
        if !others.iter().chain(&classics).any(|&j| same(&table[i], &table[j])) {
            classics.push(i);
        }
    }
    judge.polish(table, &classics).await?;
    let order = polished(table);
    let with = distinct(table, &order, MOST);
    let undecided = Won { best, common: None };
    let with = briefly(table, &with, pixels, interrupted)?;
    if !judge.has_common() {
        let rows = within_reach(&explained(table, &with, pixels.bands()));
        let won = judged(judge, table, &rows, pixels, interrupted)?;
        return Ok(won.map_or(undecided, |best| Won { best, common: None }));
    }
    if !open {
        return Ok(Won { best: judged_briefly(judge, table, best, &with), common: None });
    }
    let first = table.len();
    let (mut gain, mut without) = (None, Vec::new());
    let rows: Vec<usize> = with.iter().map(|&(i, _)| i).collect();
    let (one, rest) = rows.split_at(rows.len().min(1));
    let plain = judge.without_common();
    // Those that a common mixture led elsewhere may be the best without one.
    let families = best_of_each(&table[..starts]).into_iter().filter(|i| !rows.contains(i));
    let rest: Vec<usize> = rest.iter().copied().chain(families).collect();
    // Where the best by ELBO is far ahead of itself without the mixture, that tells.
    for rows in [one, &rest] {
        let again = plain.again(table, rows, NONE).await?;
        let going_on = match again.len() > AT_REST {
            true => within_reach(&briefly(table, &again, pixels, interrupted)?),
            false => again,
        };
        plain.polish(table, &going_on).await?;
        let gone_on = |i: &usize| *i >= first && table[*i].elbo.is_some();
        let order: Vec<usize> = by_elbo(table).into_iter().filter(gone_on).collect();
        let modes = distinct(table, &order, MOST);
        without = briefly(table, &modes, pixels, interrupted)?;
        gain = highest(&with).zip(highest(&without)).map(|(with, without)| with - without);
        let like = |j: usize| table[j].like;
        if interrupted() || paired(like, &with, &without).is_some_and(|gain| gain > CLEAR) {
            break;
        }
    }
    let Some(gain) = gain.filter(|_| !interrupted()) else { return Ok(undecided) };
    if gain > mixture::GAIN {
        let best = judged_briefly(judge, table, best, &with);
        return Ok(Won { best, common: Some((gain, true)) });
    }
    let rows = within_reach(&explained(table, &without, pixels.bands()));
    let won = judged(judge, table, &rows, pixels, interrupted)?;
    Ok(won.map_or(undecided, |best| Won { best, common: Some((gain, false)) }))
}

/// Rows and their brief evidence, of those that have one, side by side, in the order given.
pub fn briefly(
    table: &mut [Fitted],
    rows: &[usize],
    pixels: &Pixels,
    interrupted: &(dyn Fn() -> bool + Sync),
) -> Result<Vec<(usize, f64)>> {
    let these: Vec<_> = table.iter_mut().enumerate().filter(|(i, _)| rows.contains(i)).collect();
    let brief = |(i, of): (usize, &mut Fitted)| {
        Ok(of.brief(pixels, interrupted)?.map(|evidence| (i, evidence)))
    };
    let found: Vec<_> = these.into_par_iter().with_max_len(1).map(brief).collect::<Result<_>>()?;
    let mut found: Vec<(usize, f64)> = found.into_iter().flatten().collect();
    found.sort_by_key(|(i, _)| rows.iter().position(|row| row == i));
    Ok(found)
}

/// The row of the highest brief evidence, where that [`gains`] over the best by ELBO. Where most
/// pixels share one mixture few of a sample tell its materials apart, and spectra come to rest
/// elsewhere.
fn judged_briefly(
    judge: &Judge<'_>,
    table: &mut [Fitted],
    best: usize,
    brief: &[(usize, f64)],
) -> usize {
    for &(i, evidence) in brief {
        table[i].evidence = Some(evidence);
        judge.tell(&table[i]);
    }
    // Where the best by ELBO has none, any is better than none.
    let ahead = brief.iter().filter(|of| table[best].evidence.is_none_or(|old| gains(of.1, old)));
    ahead.max_by(|a, b| a.1.total_cmp(&b.1)).map_or(best, |of| of.0)
}

/// The row of the highest evidence among some, of which the first is the best by ELBO. None when
/// interrupted.
pub fn judged(
    judge: &Judge<'_>,
    table: &mut [Fitted],
    rows: &[usize],
    pixels: &Pixels,
    interrupted: &(dyn Fn() -> bool + Sync),
) -> Result<Option<usize>> {
    let mut at_rest: Vec<(usize, Vec<f64>)> = Vec::new();
    for &i in if rows.len() > 1 { rows } else { &[] } {
        at_rest
            .extend(table[i].at_rest(pixels, None, interrupted)?.map(|found| (i, found.densities)));
        if interrupted() {
            return Ok(None);
        }
        judge.tell(&table[i]);
    }
    let Some((first, of_first)) = at_rest.first() else { return Ok(rows.first().copied()) };
    let mut best = (*first, 0.0);
    for (i, of_other) in &at_rest[1..] {
        if let Some(gain) = clearly_ahead(of_other, of_first, AHEAD).filter(|&gain| gain > best.1) {
            best = (*i, gain);
        }
    }
    Ok(Some(best.0))
}

/// By how much solutions with a common mixture are ahead of themselves without one, nats a pixel:
/// the least of those that were fitted again. How far spectra have come, which in a large scene is
/// several nats, is the same for both.
///
/// `like` is the solution that another one was fitted again like.
fn paired(
    like: impl Fn(usize) -> Option<usize>,
    with: &[(usize, f64)],
    without: &[(usize, f64)],
) -> Option<f64> {
    let gain = |&(j, plain): &(usize, f64)| {
        let own = with.iter().find(|of| like(j) == Some(of.0))?;
        Some(own.1 - plain)
    };
    without.iter().filter_map(gain).reduce(f64::min)
}

/// Those whose ELBO is not far behind the best of them.
fn explained(table: &[Fitted], brief: &[(usize, f64)], bands: usize) -> Vec<(usize, f64)> {
    let elbo = |of: &(usize, f64)| table[of.0].elbo.unwrap_or(f64::NEG_INFINITY);
    let Some(best) = brief.iter().max_by(|a, b| elbo(a).total_cmp(&elbo(b))) else {
        return Vec::new();
    };
    let gained = table[best.0].probe_elbo.map_or(0.0, |probe| elbo(best) - probe);
    let least = elbo(best) - gained.max(BEHIND * bands as f64);
    brief.iter().copied().filter(|of| elbo(of) >= least).collect()
}

/// The rows of the highest brief evidence that may be the answer at rest, in the order given.
pub fn within_reach(brief: &[(usize, f64)]) -> Vec<usize> {
    let mut order = brief.to_vec();
    order.sort_by(|a, b| b.1.total_cmp(&a.1));
    let least = order.first().map_or(f64::NEG_INFINITY, |of| of.1 - UNLEARNED);
    let chosen: Vec<usize> =
        order.into_iter().take(AT_REST).filter(|of| of.1 > least).map(|of| of.0).collect();
    brief.iter().map(|of| of.0).filter(|row| chosen.contains(row)).collect()
}

fn highest(brief: &[(usize, f64)]) -> Option<f64> {
    brief.iter().map(|&(_, evidence)| evidence).reduce(f64::max)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// Of two solutions one is far from where its spectra come to rest, with a common mixture and
    /// without: the other says nothing of the mixture.
    #[test]
    fn a_mixture_is_weighed_on_the_same_solution() {
        let (with, without) = ([(0, 573.9), (3, 578.5)], [(7, 574.0)]);
        let like = |j: usize| (j == 7).then_some(0);
        assert!((paired(like, &with, &without).unwrap() + 0.1).abs() < 1e-9);
        // The best of each kind would have it at 4.5.
        assert!(highest(&with).unwrap() - highest(&without).unwrap() > CLEAR);
        // One that was fitted like none of these, and none at all.
        assert_eq!(paired(|_| Some(1), &with, &without), None);
        assert_eq!(paired(like, &with, &[]), None);
        // Of two the one that gains less.
        let both = [(7, 570.0), (8, 577.0)];
        let like = |j: usize| Some(if j == 7 { 0 } else { 3 });
        assert!((paired(like, &with, &both).unwrap() - 1.5).abs() < 1e-9);
    }

    /// A solution without a material that shapes stand for has the highest evidence, and an ELBO
    /// far behind.
    #[test]
    fn evidence_does_not_make_up_for_any_elbo() {
        let of = |(probe, elbo): (f64, f64)| {
            let cube = crate::engine::pixels::Cube::zeros(1, 4);
            let spectra = ndarray::Array2::zeros((1, 4));
            let mut fitted = Fitted::of(spectra, Pixels::as_given(cube), None);
            (fitted.probe_elbo, fitted.elbo) = (Some(probe), Some(elbo));
            fitted
        };
        let mut table = [(814.0, 910.0), (676.0, 735.0), (813.0, 909.5)].map(of);
        let brief = [(0, 926.0), (1, 931.0), (2, 925.0)];
        assert_eq!(explained(&table, &brief, 4), [(0, 926.0), (2, 925.0)]);
        assert_eq!(explained(&table, &brief, 1000), brief);
        assert!(explained(&table, &[], 4).is_empty());
        // One that may come up, as the best did.
        table[0].probe_elbo = Some(730.0);
        assert_eq!(explained(&table, &brief, 4), brief);
    }

    #[test]
    fn the_best_by_brief_evidence_come_to_rest() {
        // In the order given, but for one that is too far, and the last of five.
        let brief = [(4, 10.0), (2, 8.0), (7, 11.0), (1, 2.0), (3, 9.5), (5, 6.0)];
        assert_eq!(within_reach(&brief), [4, 2, 7, 3]);
        assert_eq!(within_reach(&[(4, 10.0), (1, 3.9), (2, 4.1)]), [4, 2]);
        assert_eq!(within_reach(&[]), [0; 0]);
    }
}
