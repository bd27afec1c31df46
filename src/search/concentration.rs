//! Whether abundances are as sparse as the model expects, or how mixed they are is learned: decided
//! by evidence, on the solution that the search has found.
//!
//! Where pixels hold a little of everything, a Dirichlet that expects few materials in each has
//! spectra give way, and is sure of the result. A learned one costs answers where most abundances
//! are all but zero: guides of pixels have no long tail towards zero, and it comes out too large.
//! It would also pass where abundances are sparse and no pixel is pure, so either is compared with
//! the best bounds on how pure pixels are.

use super::ahead::ahead;
use super::judge::{Fitted, Judge};
use super::{best_of_each, contest, same};
use crate::engine::ground::error::Result;
use crate::engine::pixels::Pixels;
use crate::starts::Init;

/// What a learned concentration must gain in evidence, nats a pixel: 0.1 to 1 in simulated scenes
/// whose abundances are flat, 0.02 at most in others (docs/evidence.md). Over a common mixture,
/// which is the less simple of the two, it must gain nothing.
const GAIN: f64 = 0.05;
/// What coming to rest makes up for between two fits of one solution, nats a pixel.
const BEHIND: f64 = 1.0;
/// What solutions with a learned concentration are told by.
const LEARNED: &str = "learned concentration";

/// What was decided.
pub struct Decided {
    /// By how much the learned concentration is ahead in evidence, nats a pixel.
    pub gain: f64,
    /// Whether that is enough.
    pub learned: bool,
    /// The row of the answer.
    pub best: usize,
}

/// Fits the solution of row `best` again from where it began, with a concentration that is learned
/// and without a common mixture, and adds it to the table. Where it is ahead in evidence, so is the
/// best start of each family: other modes had been preferred for how few materials their pixels
/// hold. Of those the [`contest::AT_REST`] of the highest brief evidence come to rest, and one that
/// is ahead there is the answer. None where the two cannot be compared, or when interrupted.
///
/// # Errors
///
/// What ends all fits, as a device that is lost.
pub async fn decide(
    judge: &Judge<'_>,
    (table, best): (&mut Vec<Fitted>, usize),
    pixels: &Pixels,
    interrupted: &(dyn Fn() -> bool + Sync),
) -> Result<Option<Decided>> {
    let learning = judge.with_learned_concentration();
    let again = learning.again(table, &[best], LEARNED).await?;
    learning.polish(table, &again).await?;
    let Some(&new) = again.first() else { return Ok(None) };
    let gain = gain(table, (new, best), pixels, interrupted)?;
    for row in [best, new].into_iter().filter(|&row| table[row].rested().is_some()) {
        judge.tell(&table[row]);
    }
    let mut decided = gain.map(|(gain, learned)| {
        let best = if learned { new } else { best };
        Decided { gain, learned, best }
    });
    if let Some(decided) = decided.as_mut().filter(|of| of.learned) {
        decided.best = others(&learning, (table, new), pixels, interrupted).await?;
    }
    Ok(decided.filter(|_| !interrupted()))
}

/// By how much a solution with a learned concentration is ahead of the one that it began like, and
/// whether that is enough.
fn gain(
    table: &mut [Fitted],
    (new, best): (usize, usize),
    pixels: &Pixels,
    interrupted: &(dyn Fn() -> bool + Sync),
) -> Result<Option<(f64, bool)>> {
    let brief = contest::briefly(table, &[new, best], pixels, interrupted)?;
    let [(_, with), (_, without)] = brief[..] else { return Ok(None) };
    if with - without <= -BEHIND {
        return Ok(Some((with - without, false)));
    }
    let mixed = table[best].whole_guide().is_some_and(|plain| plain.model.common.is_some());
    let Some(without) = table[best].at_rest(pixels, None, interrupted)? else { return Ok(None) };
    // One solution, which comes to rest near by.
    let with = table[new].at_rest(pixels, Some(&without.spectra), interrupted)?;
    let Some(with) = with else { return Ok(None) };
    if mixed {
        let (gain, _) = ahead(&with.densities, &without.densities);
        return Ok(Some((gain, gain > 0.0)));
    }
    // Where no pixel is pure a larger concentration says so, and besides that traces are few. What
    // the first is worth both are given. Of small scenes a standard error is as much as what they
    // gain, and neither answer is the safer one.
    let (gain, error) = ahead(&with.bounded, &without.bounded);
    Ok(Some((gain, gain > GAIN.max(error))))
}

/// The best start of each family, fitted again with a learned concentration, against the solution
/// of row `best`: the row of the answer.
async fn others(
    learning: &Judge<'_>,
    (table, best): (&mut Vec<Fitted>, usize),
    pixels: &Pixels,
    interrupted: &(dyn Fn() -> bool + Sync),
) -> Result<usize> {
    let of_family = |&i: &usize| table[i].is_of(&Init::FAMILIES);
    let starts = best_of_each(table).into_iter().filter(of_family);
    let other = |&i: &usize| i != best && table[best].like != Some(i);
    let rows: Vec<usize> = starts.filter(other).collect();
    let again = learning.again(table, &rows, LEARNED).await?;
    let mut brief = contest::briefly(table, &again, pixels, interrupted)?;
    brief.retain(|&(i, _)| !same(&table[i], &table[best]));
    let going_on = contest::within_reach(&brief);
    learning.polish(table, &going_on).await?;
    let rows: Vec<usize> = std::iter::once(best).chain(going_on).collect();
    let won = contest::judged(learning, table, &rows, pixels, interrupted)?;
    Ok(won.unwrap_or(best))
}
