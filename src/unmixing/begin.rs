//! The guide that a fit's steps begin with.

use super::Unmixing;
use super::given::hurried;
use super::plan::Plan;
use crate::engine::backend::Device;
use crate::engine::ground::error::{Error, Result};
use crate::engine::guide::Guide;
use crate::engine::pixels::Pixels;
use crate::event::Event;
use crate::search::{self, Found};
use crate::starts::{self, Init, Start};

/// Where a fit begins.
pub(super) struct Begin {
    pub guide: Guide,
    /// As a phrase.
    pub description: String,
    /// What a search found, and decided, on the way.
    pub found: Option<Found>,
}

/// Around a start, or where a search ends, whose decisions the plan takes. When interrupted, the
/// best by then.
pub(super) async fn begin(
    of: &Unmixing,
    plan: &mut Plan,
    start: Option<Start>,
    device: &Device,
    learned: &Pixels,
) -> Result<Begin> {
    let around = |plan: &Plan, start: Start| {
        let guide = starts::begin(plan.searched(), &plan.svi, learned, start.endmembers)?;
        Ok(Begin { guide, description: start.description, found: None })
    };
    let start = match start {
        Some(start) if !plan.start_is_fitted(of) => return around(plan, start),
        start => start,
    };
    match (search(of, plan, start.as_ref(), device, learned).await, start) {
        (Err(Error::Interrupted), Some(start)) => around(plan, start),
        (Err(Error::Interrupted), None) => {
            around(plan, hurried(of, Init::Vca, learned, plan.searched())?.0)
        }
        (found, start) => {
            let found = found?;
            plan.take(of, &found);
            let description = start.map_or(found.description.clone(), |start| start.description);
            Ok(Begin { guide: found.guide.clone(), description, found: Some(found) })
        }
    }
}

/// What a search finds; of one start, where there is one.
async fn search(
    of: &Unmixing,
    plan: &Plan,
    start: Option<&Start>,
    device: &Device,
    pixels: &Pixels,
) -> Result<Found> {
    let observe = |event: &search::Event| of.tell(&Event::Search(event.clone()));
    let stop = || of.is_interrupted();
    let (model, svi) = (plan.searched(), &plan.svi);
    let (common_is_open, shade_is_open) = (plan.common_is_open(), plan.shade_is_open());
    let concentration_is_open = plan.concentration_is_open();
    let settings = search::Settings {
        common_is_open,
        shade_is_open,
        concentration_is_open,
        ..plan.search.clone()
    };
    let settings = match start {
        Some(start) => settings.from_one("given spectra".into(), start.endmembers.clone()),
        None => settings,
    };
    of.tell(&Event::Searching(settings.clone()));
    let found = search::search(device, model, svi, &settings, pixels, &observe, &stop).await?;
    let (count, bands) = (pixels.count(), pixels.bands());
    if found.pixels < count || found.bands < bands {
        let (pixels, bands) = ((found.pixels, count), (found.bands, bands));
        of.tell(&Event::SearchedPart { pixels, bands });
    }
    Ok(found)
}
