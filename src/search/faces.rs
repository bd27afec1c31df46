//! Starts by faces where bands err together. What lies outside of the mixtures is then mostly how
//! materials vary, and the smallest simplex around the pixels has endmembers that are more extreme
//! than any: an ELBO, which does not know what bands share, likes them too well. But where no pixel
//! is pure no other start comes near. So they do not take part in the search, and challenge what it
//! has found by evidence, which knows.

use super::ahead::clearly_ahead;
use super::contest;
use super::first::FACES;
use super::judge::{Fitted, Judge};
use super::{POLISH_STEPS, PROBE_STEPS, by_elbo, same};
use crate::engine::ground::error::Result;
use crate::engine::model::{Model, Noise};
use crate::engine::pixels::Pixels;

/// What a challenger must be ahead by in evidence, nats a pixel: 0.5 to 1.7 where it is the better
/// answer, 0.24 at most where it is as good or worse (docs/evidence.md).
const AHEAD: f64 = 0.3;

/// The most steps of a challenge.
pub const MOST_STEPS: u64 = FACES.len() as u64 * PROBE_STEPS as u64 + POLISH_STEPS as u64;

/// Whether a search of this model on so many bands leaves them out of its starts, and can compare.
pub fn is_for(model: &Model, bands: usize) -> bool {
    model.noise != Noise::Covariance && !model.has_independent_bands(bands)
}

/// Adds the starts by faces, after their first steps, to the table, and gives the row of the
/// answer: `best`, or the better of them by ELBO where that has the higher brief evidence, is
/// another mode once it has gone on, and is [`clearly_ahead`], by [`AHEAD`], where spectra come to
/// rest. When interrupted `best`.
///
/// # Errors
///
/// What ends all fits, as a device that is lost.
pub async fn challenge(
    judge: &Judge<'_>,
    (table, best): (&mut Vec<Fitted>, usize),
    challengers: Vec<Fitted>,
    pixels: &Pixels,
    interrupted: &(dyn Fn() -> bool + Sync),
) -> Result<usize> {
    // Both have all their steps, whatever the time of the moves before.
    let judge = &judge.with_all_steps();
    let rows = table.len();
    table.extend(challengers);
    let challenger = by_elbo(&table[rows..]).first().map(|row| rows + row);
    let Some(challenger) = challenger.filter(|_| !interrupted()) else { return Ok(best) };
    let brief = contest::briefly(table, &[challenger, best], pixels, interrupted)?;
    let of = |row: usize| brief.iter().find(|of| of.0 == row).map(|of| of.1);
    if of(challenger).is_none() || of(challenger) <= of(best) {
        return Ok(best);
    }
    judge.polish(table, &[challenger]).await?;
    if interrupted() || same(&table[challenger], &table[best]) {
        return Ok(best);
    }
    let of_challenger = table[challenger].at_rest(pixels, None, interrupted)?;
    let of_best = table[best].at_rest(pixels, None, interrupted)?;
    let (Some(of_challenger), Some(of_best)) = (of_challenger, of_best) else { return Ok(best) };
    judge.tell(&table[challenger]);
    let won = clearly_ahead(&of_challenger.densities, &of_best.densities, AHEAD).is_some();
    Ok(if won { challenger } else { best })
}
