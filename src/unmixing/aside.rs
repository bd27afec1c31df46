//! A guide of all pixels, from one that has met all of them but outliers.

use super::plan::{Plan, Taken};
use crate::engine::ground::error::Result;
use crate::engine::guide::Guide;
use crate::engine::svi;
use crate::starts;

/// The guide with the pixels that were left aside where it was fitted, around the abundances that
/// fit them best with its spectra; what it says of the scene stays. Its pixels are then those of
/// `taken`, in their order.
///
/// # Errors
///
/// What sizes of guides are refused for.
pub(super) fn of_all_pixels(guide: Guide, plan: &Plan, taken: &Taken) -> Result<Guide> {
    if taken.aside().is_empty() {
        return Ok(guide);
    }
    let aside = taken.pixels.in_rows(taken.aside());
    let others = taken.pixels.chosen(&aside);
    let of_others = starts::begin(&guide.model, &plan.svi, &others, guide.medians())?;
    let size = (taken.pixels.count(), taken.pixels.bands());
    let params = svi::params(&guide.model, &plan.svi, size)?;
    let stride = params.local_stride as usize;
    let mut met = guide.locals.chunks_exact(stride);
    let mut unmet = of_others.locals.chunks_exact(stride);
    let next = |n: usize| match aside.binary_search(&n) {
        Ok(_) => unmet.next(),
        Err(_) => met.next(),
    };
    let locals = (0..size.0).filter_map(next).flatten().copied().collect();
    // What the optimiser remembers is of pixels that it has met.
    Ok(Guide { params, locals, momentum: None, ..guide })
}
