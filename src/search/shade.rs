//! Whether pixels differ in brightness at all. Where they do not, a model that lets each have its
//! own leaves the sizes of the spectra open, which abundances then pay for: it takes a material for
//! a brighter one of nearly the same shape.

use super::judge::{Fitted, Judge};
use super::{best_of_each, by_elbo, gains};
use crate::engine::ground::error::Result;

/// Starts that are tried without brightness, at most, each the best of its family: those that a
/// model with brightness takes first need not be the best of one without.
pub const TRIED: usize = 3;

/// What was decided.
pub(super) struct Decided<'a> {
    /// By how much the best start with brightness is ahead in ELBO, nats a pixel.
    pub gain: f64,
    /// Where that is less than nothing: who judges fits without brightness, and all starts with
    /// such fits, in the order of the table.
    pub without: Option<(Judge<'a>, Vec<Fitted>)>,
}

/// Compares starts with and without brightness, after as many steps; none where there is nothing
/// to compare, or when interrupted. Where brightness gains nothing, all starts are fitted without.
///
/// # Errors
///
/// What ends all fits, as a device that is lost.
pub(super) async fn decide<'a>(
    judge: &Judge<'a>,
    table: &[Fitted],
    interrupted: &(dyn Fn() -> bool + Sync),
) -> Result<Option<Decided<'a>>> {
    let best = |table: &[Fitted]| by_elbo(table).first().and_then(|&i| table[i].probe_elbo);
    let mut few = best_of_each(table);
    few.truncate(TRIED);
    let plain = judge.without_brightness();
    let from = |rows: &[usize]| rows.iter().map(|&i| table[i].start()).collect();
    let tried = plain.probe(from(&few)).await?;
    judge.count(plain.done());
    let (Some(with), Some(without)) = (best(table), best(&tried)) else { return Ok(None) };
    if interrupted() {
        return Ok(None);
    }
    let gain = with - without;
    if !gains(without, with) {
        return Ok(Some(Decided { gain, without: None }));
    }
    let others: Vec<usize> = (0..table.len()).filter(|i| !few.contains(i)).collect();
    let fitted = plain.probe(from(&others)).await?;
    let mut all: Vec<(usize, Fitted)> =
        few.into_iter().zip(tried).chain(others.into_iter().zip(fitted)).collect();
    all.sort_by_key(|&(i, _)| i);
    let all = all.into_iter().map(|(_, fitted)| fitted).collect();
    Ok(Some(Decided { gain, without: Some((plain, all)) }))
}
