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
use crate::engine::ground::error::Result;
use crate::engine::pixels::Pixels;

/// What a learned concentration must gain in evidence, nats a pixel: 0.1 to 1 in simulated scenes
/// whose abundances are flat, 0.02 at most in others (docs/evidence.md). Over a common mixture,
/// which is the less simple of the two, it must gain nothing.
const GAIN: f64 = 0.05;
/// What coming to rest makes up for between two fits of one solution, nats a pixel.
const BEHIND: f64 = 1.0;
/// What solutions with a learned concentration are told by.
const LEARNED: &str = "learned concentration";

/// Fits the solution of row `best` again from where it began, with a concentration that is learned
/// and without a common mixture, and adds it to the table: by how much it is ahead in evidence,
/// nats a pixel, and whether that is enough. None where the two cannot be compared, or when
/// interrupted.
///
/// # Errors
///
/// What ends all fits, as a device that is lost.
pub async fn decide(
    judge: &Judge<'_>,
    (table, best): (&mut Vec<Fitted>, usize),
    pixels: &Pixels,
    interrupted: &(dyn Fn() -> bool + Sync),
) -> Result<Option<(f64, bool)>> {
    let learning = judge.with_learned_concentration();
    let again = learning.again(table, &[best], LEARNED).await?;
    learning.polish(table, &again).await?;
    judge.count(learning.done());
    let Some(&new) = again.first() else { return Ok(None) };
    let with = table[new].brief(pixels, interrupted)?;
    let without = table[best].brief(pixels, interrupted)?;
    let (Some(with), Some(without)) = (with, without) else { return Ok(None) };
    let mixed = table[best].whole_guide().is_some_and(|plain| plain.model.common.is_some());
    let mut decided = (with - without, false);
    if decided.0 > -BEHIND {
        let with = table[new].at_rest(pixels, interrupted)?;
        let without = table[best].at_rest(pixels, interrupted)?;
        let (Some(with), Some(without)) = (with, without) else { return Ok(None) };
        decided = match mixed {
            true => {
                let (gain, _) = ahead(&with.densities, &without.densities);
                (gain, gain > 0.0)
            }
            // Where no pixel is pure a larger concentration says so, and besides that traces are
            // few. What the first is worth both are given. Of small scenes a standard error is as
            // much as what they gain, and neither answer is the safer one.
            false => {
                let (gain, error) = ahead(&with.bounded, &without.bounded);
                (gain, gain > GAIN.max(error))
            }
        };
    }
    Ok((!interrupted()).then_some(decided))
}
