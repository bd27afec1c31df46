//! The search for the best start, with its progress, its table and its picture.

use std::sync::{Arc, Mutex};

use ndarray::{ArrayView2, Axis};
use unmixel::engine::backend::Device;
use unmixel::engine::model::Model;
use unmixel::engine::svi;
use unmixel::figures::map_grid_png;
use unmixel::results::OutputFolder;
use unmixel::scene::to_image;
use unmixel::scene::{Cube, Scene};
use unmixel::score::match_spectra;
use unmixel::search::{self, Event, Found};
use unmixel::{Error, Result};

use super::args::RunArgs;
use super::progress::Display;

/// How long the search goes on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum SearchBudget {
    Moves(usize),
    Seconds(f64),
}

impl std::str::FromStr for SearchBudget {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let seconds = |text: &str| text.parse().ok().filter(|s: &f64| s.is_finite() && *s > 0.0);
        match text.strip_suffix('s') {
            Some(number) => seconds(number).map(SearchBudget::Seconds),
            None => text.parse().ok().map(SearchBudget::Moves),
        }
        .ok_or_else(|| "give a number of moves a round, or a time above 0 as 20s".to_owned())
    }
}

impl std::fmt::Display for SearchBudget {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            SearchBudget::Moves(moves) => write!(f, "{moves}"),
            SearchBudget::Seconds(seconds) => write!(f, "{seconds}s"),
        }
    }
}

/// What `--restarts` and `--search` ask for.
fn settings(args: &RunArgs) -> search::Settings {
    let default = search::Settings::default();
    let (moves, seconds) = match args.search {
        Some(SearchBudget::Moves(moves)) => (moves, None),
        Some(SearchBudget::Seconds(seconds)) => (default.moves, Some(seconds)),
        None => (default.moves, None),
    };
    search::Settings { starts: args.restarts.unwrap_or(default.starts), moves, seconds }
}

/// Steps below which a search would cost far more than the fit.
pub const WORTH_A_SEARCH: u32 = 1000;

/// Whether a fit is so short that nobody wants a search who does not say so.
pub fn quick(args: &RunArgs) -> bool {
    args.steps < WORTH_A_SEARCH && args.restarts.is_none() && args.search.is_none()
}

/// Refuses the options of the search where a start is given.
pub fn refuse(args: &RunArgs, init: &str) -> Result<()> {
    let restarts = args.restarts.map(|given| given.to_string());
    let budget = args.search.map(|given| given.to_string());
    for (flag, given) in [("--restarts", restarts), ("--search", budget)] {
        if let Some(given) = given {
            return Err(Error::option(
                format!("{flag} {given}"),
                format!("--init {init} gives the one start; leave one of the two out"),
            ));
        }
    }
    Ok(())
}

/// Searches, and says how it goes.
pub fn run(
    args: &RunArgs,
    device: &Device,
    model: &Model,
    fit: &svi::Settings,
    cube: &Arc<Cube>,
    interrupted: &(dyn Fn() -> bool + Sync),
) -> Result<Found> {
    let settings = settings(args);
    let end = match settings.seconds {
        Some(seconds) => format!("for {seconds} s"),
        None => format!("at most {} steps", search::most_steps(&settings, settings.starts)),
    };
    tell!(
        "search: up to {} starts, {} steps each; {} go on for {} more; up to {} moves a round; {end}",
        settings.starts,
        search::PROBE_STEPS,
        search::KEPT,
        search::POLISH_STEPS,
        settings.moves,
    );
    let display = Mutex::new(Display::new());
    let observe = |event: &Event| {
        let Ok(mut display) = display.lock() else { return };
        match event {
            Event::Steps(done, total) => display.searched(*done, *total),
            Event::Judged(one) => display.line(&match (one.elbo, one.probe_elbo) {
                (Some(elbo), _) => format!("  {}: ELBO {elbo:.3}, gone on", one.origin),
                (None, Some(elbo)) => format!("  {}: ELBO {elbo:.3}", one.origin),
                (None, None) => format!("  {}: failed", one.origin),
            }),
        }
    };
    let found = search::search(device, model, fit, &settings, cube, &observe, interrupted);
    if let Ok(display) = display.lock() {
        display.finish();
    }
    let found = found?;
    if found.pixels < cube.pixels() {
        tell!("search: on {} of {} pixels", found.pixels, cube.pixels());
    }
    tell!("start: {}", found.description);
    Ok(found)
}

/// The search for report.json.
pub fn record(found: &Found) -> serde_json::Value {
    serde_json::json!({
        "pixels": found.pixels,
        "probe_steps": search::PROBE_STEPS,
        "polish_steps": search::POLISH_STEPS,
        "starts_that_agree": found.agreement.0,
        "starts": found.agreement.1,
        "solutions": found.solutions,
    })
}

/// Writes the abundance maps of the competing solutions side by side; the name of the file, where
/// there is more than one solution to see. Endmembers are in the order of `shown`, (K, L).
pub fn picture(
    folder: &OutputFolder,
    scene: &Scene,
    found: &Found,
    names: &[String],
    shown: ArrayView2<f64>,
) -> Result<Option<String>> {
    let Some(chosen) = found.modes.first() else { return Ok(None) };
    let pairs = match_spectra(shown, chosen.endmembers.view())?;
    let order: Vec<usize> = pairs.into_iter().map(|(k, _)| k).collect();
    let mut rows = Vec::new();
    for mode in &found.modes {
        let Some(maps) = &mode.abundances else { return Ok(None) };
        let solution = &found.solutions[mode.row];
        let elbo = solution.elbo.or(solution.probe_elbo).unwrap_or(f64::NAN);
        let maps = maps.select(Axis(1), &order);
        rows.push((format!("ELBO {elbo:.2}"), to_image(scene, maps.view())?));
    }
    if rows.len() < 2 {
        return Ok(None);
    }
    let title = format!("{}: solutions of the search, chosen on top", scene.name());
    let png = map_grid_png(&rows, names, &title)?;
    let name = "solutions.png";
    folder.write(name, |to| to.write_all(&png))?;
    Ok(Some(name.to_owned()))
}
