//! Whether pixels differ in brightness at all. Where they do not, a model that lets each have its
//! own leaves the sizes of the spectra open, which abundances then pay for: it takes a material for
//! a brighter one of nearly the same shape.

use super::judge::{Fitted, Judge};
use super::{best_of_each, by_elbo, family, gains};
use crate::engine::ground::error::Result;
use crate::starts::Init;

/// Families whose starts are tried without brightness, beside the best start of all: those that
/// take spectra as they are. What geometry finds where shade is no direction has sizes of its own.
const FAMILIES: [Init; 3] = [Init::Simplex, Init::Vca, Init::NFindr];
/// Starts that are tried, at most.
pub const TRIED: usize = FAMILIES.len() + 1;

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
    let as_they_are =
        |i: usize| FAMILIES.iter().any(|init| init.name() == family(&table[i].origin));
    let few = best_of_each(table).into_iter().enumerate();
    let few: Vec<usize> =
        few.filter(|&(rank, i)| rank == 0 || as_they_are(i)).map(|(_, i)| i).collect();
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
