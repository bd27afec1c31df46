//! The last word on modes: the evidence of each, pixels integrated out, under variability that
//! bands share. An ELBO is a bound that depends on how far the guides of pixels have come, of a
//! model in which each band varies for itself: it prefers an endmember that stands for variability
//! to one that few pixels hold.

use super::judge::{Fitted, Judge};
use super::{GAIN, by_elbo, distinct, family, same};
use crate::engine::ground::error::Result;
use crate::engine::model::{Model, Noise};
use crate::engine::pixels::Pixels;
use crate::posterior::nested;
use crate::starts::Init;

/// Modes that are compared, at most.
const MOST: usize = 8;
/// What geometry alone finds: an answer that one of them clearly beats is never given.
const CLASSICS: [Init; 2] = [Init::Vca, Init::NFindr];

/// Whether modes of a model on so many bands can be compared: its pixels have an exact posterior,
/// and its bands count as independent evidence. Where they err together evidence is counted too
/// often, and more so the closer the model fits.
pub fn is_for(model: &Model, bands: usize) -> bool {
    model.noise != Noise::Covariance && model.has_independent_bands(bands)
}

/// The solution of the highest evidence among the `best` by ELBO, those of other modes that went
/// on, and the classics, which go on for it if they have not. One that is not ahead of the best by
/// ELBO by a share of [`GAIN`] does not take its place. When interrupted, the best by ELBO.
///
/// # Errors
///
/// What ends all fits, as a device that is lost.
pub async fn contest(
    judge: &Judge<'_>,
    table: &mut [Fitted],
    best: usize,
    pixels: &Pixels,
    interrupted: &(dyn Fn() -> bool + Sync),
) -> Result<usize> {
    let polished = |table: &[Fitted]| -> Vec<usize> {
        let gone_on = by_elbo(table).into_iter().filter(|&i| table[i].elbo.is_some());
        std::iter::once(best).chain(gone_on).collect()
    };
    let others = polished(table);
    let mut classics: Vec<usize> = Vec::new();
    for init in CLASSICS {
        let of_family = |i: &usize| family(&table[*i].origin) == init.name();
        let first = by_elbo(table).into_iter().find(of_family);
        let new = |i: &usize| !others.iter().chain(&classics).any(|&j| same(&table[*i], &table[j]));
        classics.extend(first.filter(new));
    }
    judge.polish(table, &classics).await?;
    let order = polished(table);
    let candidates = distinct(table, &order, MOST);
    if candidates.len() < 2 {
        return Ok(best);
    }
    for &i in &candidates {
        if let Some(guide) = table[i].whole_guide() {
            table[i].evidence = nested::evidence(guide, pixels, interrupted)?;
        }
        if interrupted() {
            return Ok(best);
        }
        judge.tell(&table[i]);
    }
    // Where the best by ELBO has none, any is better than none.
    let least = table[best].evidence.map_or(f64::NEG_INFINITY, |e| e + GAIN * e.abs().max(1.0));
    let gains = candidates.into_iter().filter_map(|i| Some((i, table[i].evidence?)));
    let highest = gains.filter(|one| one.1 > least).max_by(|a, b| a.1.total_cmp(&b.1));
    Ok(highest.map_or(best, |one| one.0))
}
