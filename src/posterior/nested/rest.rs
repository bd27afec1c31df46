//! Where spectra come to rest on some of the pixels, and how they vary there.

use super::best_fit::is_linear;
use super::is_worth_a_covariance;
use super::known::Known;
use super::learn::{BRIEF, Begin, Learned, WHOLE, learn};
use super::newton::{Newton, SMALL};
use crate::engine::ground::error::{Error, Result};
use crate::engine::guide::Guide;
use crate::engine::layout::HELD;
use crate::engine::pixels::{Cube, Pixels};

/// Pixels from which spectra come to rest, at most.
pub(super) const FEW: usize = 2048;
/// They rest where a step would gain less than this, nats a pixel: by a parabola, half the square
/// of its length in posterior sds.
const REST: f64 = 0.005;

/// Spectra of a guide, moved by Newton's method to the mode of their posterior given `few` pixels,
/// and noise, variability and what bands share, learned there: what a guide has not learned yet no
/// longer counts. Where spectra are held or too many for a covariance, or no way leads on, they
/// stay, and the rest is learned around them. The way begins at the guide's spectra, or at those of
/// `from`, (K, L), where a brief look finds the pixels more probable with them. Costs some thirty
/// looks at each pixel, and some ten factors of a matrix of K L rows. None when `interrupted`.
///
/// # Errors
///
/// What Newton's method fails with, but for [`Error::Fit`] and [`Error::Interrupted`].
pub(super) fn rest(
    guide: &Guide,
    few: &Pixels,
    from: Option<&[f64]>,
    interrupted: &(dyn Fn() -> bool + Sync),
) -> Result<Option<(Known, Learned)>> {
    let p = &guide.params;
    let briefly = |spectra: &[f64], held: bool| {
        let mut known = Known::of(guide);
        let begin = Begin { spectra: spectra.to_vec(), held, sparser: false, shared: None };
        let learned = learn(&mut known, guide, few.cube(), begin, BRIEF, interrupted)?;
        Some((known, learned))
    };
    let own: Vec<f64> = guide.medians().iter().copied().collect();
    let other = from.filter(|from| from.len() == own.len() && !p.has(HELD));
    // As they are: spectra that follow so few pixels explain them too well, from wherever.
    let both = other.map(|other| briefly(&own, true).zip(briefly(other, true)));
    let begun = match both {
        Some(None) => None,
        Some(Some((own, other))) if other.1.evidence > own.1.evidence => Some(other),
        _ => briefly(&own, p.has(HELD)),
    };
    let Some((known, learned)) = begun else { return Ok(None) };
    if p.has(HELD) || !is_worth_a_covariance(p.k() * p.bands as usize, few.count()) {
        return Ok(Some((known, learned)));
    }
    let worth = REST * few.count() as f64;
    let small = (2.0 * worth / learned.spectra.len() as f64).sqrt().max(SMALL);
    let newton = Newton { guide, known: &known, of: few, small, worth, interrupted };
    let spectra = match newton.mode(learned.spectra.clone()) {
        Ok(spectra) => spectra,
        Err(Error::Interrupted) => return Ok(None),
        // No way leads on from a fit that is none.
        Err(Error::Fit(_)) => return Ok(Some((known, learned))),
        Err(error) => return Err(error),
    };
    let sparser = may_be_sparser(guide, &known, few.cube(), &spectra);
    // What bands share is near what it was.
    let begin = Begin { spectra, held: true, sparser, shared: Some(learned.shared) };
    let mut known = Known::of(guide);
    let learned = learn(&mut known, guide, few.cube(), begin, WHOLE, interrupted);
    Ok(learned.map(|learned| (known, learned)))
}

/// Whether pixels may have a sparser Dirichlet than the guide, at spectra (K, L) that stay: those
/// on their way make pixels look purer, or more mixed, than they are. With a common mixture the
/// other pixels are too few, and where mixing is not linear amounts are not what they seem.
pub(super) fn may_be_sparser(guide: &Guide, known: &Known, of: &Cube, spectra: &[f64]) -> bool {
    guide.model.sparser
        && known.mixture.is_none()
        && is_linear(known, of, guide.params.key(), spectra)
}
