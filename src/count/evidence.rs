//! How many endmembers the model itself wants: the ELBO of short fits with 1, 2, 3, ... of them. It
//! bounds the evidence from below, and more endmembers must pay for what they leave open.

use std::sync::Arc;

use serde::Serialize;

use crate::engine::backend::{Device, each, pieces};
use crate::engine::ground::error::{Error, Result};
use crate::engine::ground::interrupt::{Interrupted, unless};
use crate::engine::model::Model;
use crate::engine::pixels::Pixels;
use crate::engine::svi;
use crate::scene::Cube;
use crate::starts::{self, Init, Proposal, families};
use crate::statistics::effective::default_bands;
use crate::statistics::outliers::{are_few, outliers};
use crate::statistics::repeats::without_repeats;

/// What fits with one number of endmembers reached.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Evidence {
    /// K.
    pub endmembers: usize,
    /// The best ELBO a pixel, nats; none where no fit was finite.
    pub elbo: Option<f64>,
}

/// Steps of a fit, the second half of them with a falling rate. At a third of it the order is the
/// same on all scenes tried but for neighbours of the best.
pub const STEPS: u32 = 500;
/// Pixels of the fits, at most; of a larger scene every so many.
pub const MOST_PIXELS: usize = 3000;
/// Pixels that are looked at for those that repeat others, at most.
const LOOKED_AT: usize = 30_000;
/// Starts for each number, of these families: one that takes corners and one that takes means.
const STARTS: [Init; 2] = [Init::Clusters, Init::VcaNormalised];
/// The least gain of one more endmember, as a share of the ELBO: what two equal fits may differ by.
const GAIN: f64 = 0.002;
/// After so many numbers without a gain there will be none.
const PATIENCE: usize = 3;
/// The largest number that is tried.
pub const MOST: usize = 30;
/// All numbers are compared at one weight of the likelihood. What so many directions leave shows
/// how many bands are independent: were they fewer than the endmembers, the rest would be in it,
/// and count fewer bands.
const DIRECTIONS: usize = 10;

/// The model of so many endmembers; the weight of its likelihood is the evidence's own.
pub type ModelOf<'a> = &'a (dyn Fn(usize) -> Result<Model> + Sync);

/// Fits with 1, 2, 3, ... endmembers until three numbers in a row are worse than the best.
/// `outliers_aside` leaves out pixels unlike all others, `observe` is told each number;
/// `interrupted` ends with what there is.
///
/// # Errors
///
/// As [`crate::starts`], and what devices refuse; a fit that fails is no error.
pub async fn evidence(
    device: &Device,
    model: ModelOf<'_>,
    (cube, outliers_aside): (&Cube, bool),
    seed: u64,
    observe: &(dyn Fn(&Evidence) + Sync),
    interrupted: &(dyn Fn() -> bool + Sync),
) -> Result<Vec<Evidence>> {
    let part = Pixels::sample(cube, MOST_PIXELS);
    let looked_at = Pixels::sample(cube, LOOKED_AT);
    let weighing = unless(interrupted, move |_| match outliers_aside {
        true => Ok(weighed(without_outliers(part), &without_outliers(looked_at))),
        false => Ok(weighed(part, &looked_at)),
    });
    let (part, bands) = match weighing {
        Ok(weighed) => weighed,
        Err(Error::Interrupted) => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let weight = bands / part.bands().max(1) as f64;
    let most = MOST.min(part.bands()).min(part.count());
    let mut found: Vec<Evidence> = Vec::new();
    let mut since_best = 0;
    // Side by side go two numbers, which fill a small machine: more would be thrown away at the
    // end.
    for first in (1..=most).step_by(2) {
        if since_best >= PATIENCE || interrupted() {
            break;
        }
        let of = async |(k, starts): (usize, Vec<Proposal>)| -> Result<Evidence> {
            let model = Model { likelihood_weight: weight, ..model(k)? };
            let elbo = best_of(device, &part, starts, &model, seed, interrupted).await?;
            Ok(Evidence { endmembers: k, elbo })
        };
        let mut numbers = Vec::new();
        for k in first..=(first + 1).min(most) {
            let cube = Arc::clone(part.cube());
            let find = move |_: Interrupted| families(&cube, k, &STARTS, STARTS.len(), true, seed);
            match unless(interrupted, find) {
                Ok(starts) => numbers.push((k, starts)),
                Err(Error::Interrupted) => return Ok(found),
                Err(error) => return Err(error),
            }
        }
        let pair = each(device, numbers, of).await?;
        if interrupted() {
            // Fits cut short cannot be compared.
            break;
        }
        for one in pair {
            observe(&one);
            let before = best(&found);
            found.push(one);
            since_best = if best(&found) == before { since_best + 1 } else { 0 };
        }
    }
    Ok(found)
}

/// Pixels without those unlike all others, where these are few.
fn without_outliers(of: Pixels) -> Pixels {
    let found = outliers(of.cube(), DIRECTIONS);
    if are_few(found.len(), of.count()) { of.without(&found) } else { of }
}

/// The pixels of the fits, and how many of their bands count: `part` of the scene, or, where its
/// bands are independent and many pixels repeat one mixture, as many of those that do not, of more
/// that were `looked_at`.
fn weighed(part: Pixels, looked_at: &Pixels) -> (Pixels, f64) {
    let directions = DIRECTIONS.min(part.bands() / 2);
    let bands = |of: &Pixels| default_bands(of.cube(), directions).0;
    let counted = bands(&part);
    let likelihood_weight = counted / part.bands().max(1) as f64;
    let model = Model { likelihood_weight, ..Model::new(1) };
    if !model.has_independent_bands(part.bands()) {
        return (part, counted);
    }
    let distinct = without_repeats(looked_at.cube(), directions);
    if distinct.len() == looked_at.count() {
        return (part, counted);
    }
    let distinct = looked_at.chosen(&distinct).part(MOST_PIXELS);
    let counted = bands(&distinct);
    (distinct, counted)
}

/// The number with the highest evidence and its ELBO, where a larger number must gain 0.2 %.
pub fn best(all: &[Evidence]) -> Option<(usize, f64)> {
    let known = all.iter().filter_map(|one| Some((one.endmembers, one.elbo?)));
    known.fold(None, |best, one| match best {
        Some((_, elbo)) if one.1 <= elbo + GAIN * elbo.abs() => best,
        _ => Some(one),
    })
}

async fn best_of(
    device: &Device,
    pixels: &Pixels,
    starts: Vec<Proposal>,
    model: &Model,
    seed: u64,
    interrupted: &(dyn Fn() -> bool + Sync),
) -> Result<Option<f64>> {
    let settings = svi::Settings { seed, ..Default::default() };
    // A fit that fails is no error: others may succeed.
    let begin = |one: Proposal| match starts::begin(model, &settings, pixels, one.endmembers) {
        Err(Error::Fit(_)) => None,
        guide => Some(guide),
    };
    let fit = async |starts: Vec<Proposal>| {
        let guides = starts.into_iter().filter_map(begin).collect::<Result<_>>()?;
        svi::fit_all(device, &settings, STEPS, pixels, guides, &mut |_| (), interrupted).await
    };
    let fits = each(device, pieces(device, starts), fit).await?;
    let elbos = fits.into_iter().flatten().flatten().filter_map(|outcome| outcome.elbo());
    Ok(elbos.reduce(f64::max))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_is_the_smallest_that_others_do_not_clearly_exceed() {
        let all = |elbos: &[Option<f64>]| -> Vec<Evidence> {
            let numbers = (1..).zip(elbos);
            numbers.map(|(endmembers, &elbo)| Evidence { endmembers, elbo }).collect()
        };
        assert_eq!(best(&[]), None);
        assert_eq!(best(&all(&[None])), None);
        let found = best(&all(&[Some(10.0), Some(20.0), None, Some(20.03), Some(19.0)]));
        assert_eq!(found, Some((2, 20.0)), "0.15 % more is no gain");
        assert_eq!(best(&all(&[Some(10.0), Some(20.0), Some(20.1)])), Some((3, 20.1)));
        assert_eq!(best(&all(&[Some(-20.0), Some(-19.99), Some(-19.0)])), Some((3, -19.0)));
    }
}
