//! What a fit says of itself: its report, and what to know before one trusts its maps.

use super::report::{DeviceReport, ElboReport, Report, RunReport, SceneReport, Stages};
use crate::fit::Fit;
use crate::posterior::doubts::Doubt;
use crate::posterior::nested;
use crate::search;

impl Report {
    /// All that a fit says of itself. `path` is the scene as the user named it, `notes` are
    /// sentences beside those of the scene; scores, files, and what differs from run to run are the
    /// caller's to fill in.
    pub fn of(fit: &Fit, path: &str, notes: Vec<String>) -> Self {
        let (record, posterior) = (fit.record(), fit.posterior());
        let mut scene = SceneReport::new(fit.scene(), path);
        scene.notes.extend(notes);
        let trace: Vec<(u32, f64)> = (1..).zip(record.trace.iter().copied()).collect();
        Report {
            unmixel: env!("CARGO_PKG_VERSION"),
            scene,
            settings: serde_json::json!({
                "model": record.model,
                "convention": posterior.convention,
                "posterior": record.posterior,
                "effective_bands": record.effective_bands,
                "spectra": record.spectra,
                "svi": record.svi,
                "start": record.start,
            }),
            seed: record.svi.seed,
            device: DeviceReport {
                name: record.device.name.clone(),
                backend: record.device.backend.clone(),
                driver: record.device.driver.clone(),
                reason: record.device.reason.clone(),
                held: record.held.clone(),
            },
            steps_run: record.trace.len() as u32,
            steps_ceiling: record.svi.steps,
            stop_reason: record.stop.sentence(),
            interrupted: record.interrupted,
            skipped_steps: record.skipped,
            elbo: ElboReport::new(&trace, record.elbo()),
            estimates: serde_json::json!({
                "mean_abundance": posterior.mean_abundance,
                "noise_sd": posterior.noise_sd,
                "concentration": posterior.concentration,
                "effective_draws": posterior.draws_worth.as_ref().map(|w| effective(w.iter())),
                "elbo_with_brightness": record.elbo_with_brightness,
                "outliers": record.outliers.as_ref().map(|places| {
                    let cols = fit.scene().cols().max(1) as u32;
                    places.iter().map(|place| [place / cols, place % cols]).collect::<Vec<_>>()
                }),
            }),
            search: fit.search().map(searched),
            trust: fit.trust(),
            scores: None,
            files: Vec::new(),
            run: RunReport::current(Vec::new(), None, Stages::default()),
        }
    }
}

/// How many draws the weighted ones of the pixels are worth: the least, and what 99 % of the pixels
/// have.
fn effective<'a>(worth: impl Iterator<Item = &'a f32>) -> serde_json::Value {
    let mut worth: Vec<f32> = worth.copied().collect();
    worth.sort_unstable_by(f32::total_cmp);
    serde_json::json!({ "least": worth.first(), "in_99_percent": worth.get(worth.len() / 100) })
}

/// The search for report.json, with what it decided of the model: by how much the fuller model is
/// ahead, nats a pixel, and whether it is taken; `null` where that was not open.
fn searched(found: &search::Found) -> serde_json::Value {
    serde_json::json!({
        "pixels": found.pixels,
        "bands": found.bands,
        "probe_steps": search::PROBE_STEPS,
        "polish_steps": search::POLISH_STEPS,
        "starts_that_agree": found.agreement.0,
        "starts": found.agreement.1,
        "common_mixture": decided(found.common),
        "learned_concentration": decided(found.concentration),
        "brightness": decided(found.shade.map(|shade| (shade.gain, shade.kept))),
        "solutions": found.solutions,
    })
}

fn decided<G: serde::Serialize>(of: Option<(G, bool)>) -> Option<serde_json::Value> {
    of.map(|(gain, taken)| serde_json::json!({ "gain": gain, "taken": taken }))
}

/// What a user should know before trusting the maps of a fit, a sentence each; `names` are those of
/// its endmembers.
pub fn warnings(fit: &Fit, names: &[String]) -> Vec<String> {
    let few = fit.posterior().draws_worth.as_ref().map_or(0, |worth| {
        worth.iter().filter(|&&worth| worth < nested::WORTH && worth > 0.0).count()
    });
    sentences(fit.doubts(), (few, fit.scene().places().len()), names)
}

/// Doubts as sentences, and one on draws where those of `few` of so many pixels are worth little.
pub fn sentences(
    doubts: Vec<Doubt>,
    (few, pixels): (usize, usize),
    names: &[String],
) -> Vec<String> {
    let name = |k: usize| names.get(k).cloned().unwrap_or_else(|| format!("endmember {}", k + 1));
    let sentence = |doubt| match doubt {
        Doubt::Empty { endmember, largest } => format!(
            "{} is nearly empty: no pixel has more than {:.1} % of it; try fewer endmembers.",
            name(endmember),
            100.0 * largest
        ),
        Doubt::Alike { one, other, angle } => format!(
            "{} and {} have nearly the same spectrum ({angle:.3} rad); try fewer endmembers.",
            name(one),
            name(other)
        ),
    };
    let mut warnings: Vec<String> = doubts.into_iter().map(sentence).collect();
    // One in a hundred is what the draws are made for.
    if 100 * few > pixels {
        warnings.push(format!(
            "the weighted draws of {few} pixels are worth fewer than {} independent ones; their \
             intervals are uncertain.",
            nested::WORTH
        ));
    }
    warnings
}
