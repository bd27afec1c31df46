//! What a fit says while it is under way.

use std::fmt;

use crate::count::Evidence;
use crate::engine::backend::DeviceInfo;
use crate::engine::svi::{HeldCube, Progress, Stop};
use crate::search;

/// Something that happened. Its `Display` is one line for people; a program matches on it instead.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// The number of endmembers is looked for.
    Counting,
    /// Short fits with one number of endmembers are done.
    Counted(Evidence),
    /// The device was chosen.
    Device(DeviceInfo),
    /// How the device holds the spectra, where floats of 16 bits were asked for.
    HeldCube(HeldCube),
    /// The device, which nobody asked for by name, cannot do the work; the CPU does it, from what
    /// was kept of it if there is any.
    DeviceGivenUp {
        /// Name of the device.
        name: String,
        /// What happened.
        reason: String,
    },
    /// The device, which was asked for, is gone; it is opened once more.
    DeviceLost {
        /// What happened.
        reason: String,
    },
    /// How many bands count as independent evidence.
    EffectiveBands {
        /// Bands that count, 1 to L.
        counted: f64,
        /// Bands in use, L.
        bands: usize,
        /// How it is known, as a phrase.
        reason: &'static str,
    },
    /// How much residuals of neighbouring pixels correlate, where the posterior depends on it.
    Neighbours {
        /// -1 to 1.
        correlation: f64,
        /// Whether it is so small that the posterior is the exact one.
        exact: bool,
    },
    /// Whether many pixels share one mixture was decided.
    CommonMixture {
        /// By how much the fit with one is ahead in evidence, nats a pixel.
        gain: f64,
        /// Whether that is enough.
        kept: bool,
    },
    /// Whether how mixed pixels are is learned was decided.
    Concentration {
        /// By how much the fit that learns it is ahead in evidence, nats a pixel.
        gain: f64,
        /// Whether that is enough.
        learned: bool,
    },
    /// More spectra were given than endmembers are wanted, and some of them were taken.
    Library {
        /// The spectra that were taken, counted from 0, in the order of the endmembers.
        chosen: Vec<usize>,
        /// How many there were.
        of: usize,
    },
    /// The search begins.
    Searching(search::Settings),
    /// How far the search is.
    Search(search::Event),
    /// Spectra, noise and variability are learned from a sample of the pixels.
    LearnedFrom {
        /// Pixels of the sample.
        pixels: usize,
        /// Pixels of the scene.
        of: usize,
    },
    /// Some pixels are unlike all others.
    Outliers {
        /// How many.
        count: usize,
        /// Of how many that were looked at.
        of: usize,
        /// Whether the scene is learned without them: not where they are too many.
        aside: bool,
    },
    /// Whether pixels differ in brightness, by what a search's first steps find.
    Shade(search::Shade),
    /// Many pixels are one mixture, as far as their noise tells: few of these stand for all where
    /// spectra, noise and variability are learned.
    Repeats {
        /// Pixels that the scene is learned from.
        kept: usize,
        /// Pixels with those that repeat them.
        of: usize,
    },
    /// The search looked at a part of the pixels, or at runs of bands as one.
    SearchedPart {
        /// Pixels of the search, and of the scene.
        pixels: (usize, usize),
        /// Bands of the search, and of the scene.
        bands: (usize, usize),
    },
    /// Where the fit begins, as a phrase.
    Start(String),
    /// A block of steps is done.
    Progress(Progress),
    /// The steps of a fit are over.
    Fitted {
        /// Steps done.
        steps: u32,
        /// Steps that it might have taken.
        ceiling: u32,
        /// Time of the steps, seconds.
        seconds: f64,
        /// Median ELBO a pixel of the last steps, nats; none where none was finite.
        elbo: Option<f64>,
        /// Why it ended.
        stop: Stop,
        /// Steps that were not finite and changed nothing.
        skipped: u32,
    },
    /// Spectra of a fit with brightness are held while the rest is fitted without.
    SpectraHeld,
    /// The exact posterior begins.
    Nesting,
    /// The exact posterior has its spectra.
    Nested {
        /// Newton's steps that were taken.
        steps: usize,
        /// Length of all of them, posterior sds.
        moved: f64,
        /// False where they did not come to rest: the best of the places they saw then stands.
        settled: bool,
        /// Draws of each pixel.
        draws: u32,
    },
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Event::Counting => write!(
                f,
                "count: short fits with 1, 2, 3, ... endmembers, until three in a row are worse"
            ),
            Event::Counted(Evidence { endmembers, elbo: Some(elbo) }) => {
                write!(f, "  {endmembers} endmembers: ELBO {elbo:.2}")
            }
            Event::Counted(Evidence { endmembers, elbo: None }) => {
                write!(f, "  {endmembers} endmembers: failed")
            }
            Event::Device(info) => {
                let name = [&*info.name, &info.driver].join(" ");
                write!(f, "device: {} ({})", name.trim_end(), info.reason)
            }
            Event::DeviceGivenUp { name, reason } => {
                write!(f, "{name} cannot go on ({reason}); the CPU does it")
            }
            Event::DeviceLost { reason } => write!(
                f,
                "{reason}; it is opened once more, and the fit goes on from what was kept of it"
            ),
            Event::EffectiveBands { counted, bands, reason } => {
                write!(f, "effective bands: {counted:.1} of {bands} ({reason})")
            }
            Event::Neighbours { correlation, exact } => neighbours(f, *correlation, *exact),
            Event::CommonMixture { gain, kept } => mixture(f, *gain, *kept),
            Event::Concentration { gain, learned } => concentration(f, *gain, *learned),
            Event::Library { chosen, of } => library(f, chosen, *of),
            Event::Searching(settings) => searching(f, settings),
            Event::Search(search::Event::Steps(done, total)) => {
                write!(f, "search: step {done} of {total}")
            }
            Event::Search(search::Event::Judged(one)) => judged(f, one),
            Event::LearnedFrom { pixels, of } => write!(
                f,
                "spectra and noise are learned from {pixels} of {of} pixels; then each pixel gets \
                 its posterior"
            ),
            Event::Outliers { count, of, aside: true } => write!(
                f,
                "outliers: {count} of {of} pixels are unlike all others: the scene is learned \
                 without them, and their abundances say little"
            ),
            Event::Outliers { count, of, aside: false } => write!(
                f,
                "{count} of {of} pixels are unlike the others, too many to be outliers: more \
                 endmembers may explain them"
            ),
            Event::HeldCube(held) => held.fmt(f),
            Event::Shade(of) => shade(f, of),
            Event::Repeats { kept, of } => write!(
                f,
                "many pixels repeat one mixture: spectra and noise are learned from {kept} of {of} \
                 pixels; then each pixel gets its posterior"
            ),
            Event::SearchedPart { pixels: (pixels, of), bands: (bands, bands_of) } => {
                write!(f, "search: on {pixels} of {of} pixels, {bands} of {bands_of} bands")
            }
            Event::Start(how) => write!(f, "start: {how}"),
            Event::Progress(progress) => write!(
                f,
                "step {}/{}  {}  {:.1} s left",
                progress.step,
                progress.ceiling,
                progress.summary(),
                progress.left.as_secs_f64()
            ),
            Event::Fitted { steps, ceiling, seconds, elbo, stop, skipped } => {
                let elbo = elbo.map_or("none".to_owned(), |elbo| format!("{elbo:.3}"));
                write!(
                    f,
                    "fit: {steps} of {ceiling} steps in {seconds:.2} s, ELBO {elbo} nats a pixel; \
                     {}",
                    stop.sentence()
                )?;
                match skipped {
                    0 => Ok(()),
                    _ => write!(f, "; {skipped} steps were not finite and changed nothing"),
                }
            }
            Event::SpectraHeld => write!(
                f,
                "spectra: from that fit, with brightness, as bright as their purest pixels; held \
                 while the rest is fitted without"
            ),
            Event::Nesting => write!(
                f,
                "exact posterior: spectra with the pixels integrated out, some steps over all \
                 pixels"
            ),
            Event::Nested { steps, moved, settled, draws } => {
                let rest = match settled {
                    true => "",
                    false => {
                        "; they did not come to rest, and stand where the pixels were most probable"
                    }
                };
                write!(
                    f,
                    "exact posterior: spectra moved in {steps} steps by {moved:.2} posterior sds \
                     in all{rest}; {draws} draws of each pixel"
                )
            }
        }
    }
}

fn judged(f: &mut fmt::Formatter<'_>, one: &search::Solution) -> fmt::Result {
    let (origin, all) = (&one.origin, (one.evidence, one.elbo, one.probe_elbo));
    match all {
        (Some(evidence), _, _) => write!(f, "  {origin}: evidence {evidence:.3}"),
        (None, Some(elbo), _) => write!(f, "  {origin}: ELBO {elbo:.3}, gone on"),
        (None, None, Some(elbo)) => write!(f, "  {origin}: ELBO {elbo:.3}"),
        (None, None, None) => write!(f, "  {origin}: failed"),
    }
}

fn library(f: &mut fmt::Formatter<'_>, chosen: &[usize], of: usize) -> fmt::Result {
    let numbers: Vec<String> = chosen.iter().map(|i| format!("number {}", i + 1)).collect();
    write!(f, "library: {} of {of} spectra", numbers.join(", "))
}

fn neighbours(f: &mut fmt::Formatter<'_>, correlation: f64, exact: bool) -> fmt::Result {
    let which = match exact {
        true => "the exact posterior",
        false => "the guide's posterior, as evidence would be counted too often",
    };
    write!(
        f,
        "bands err together, and residuals of neighbouring pixels correlate by {correlation:.2}: \
         {which}"
    )
}

fn shade(f: &mut fmt::Formatter<'_>, shade: &search::Shade) -> fmt::Result {
    let (spread, follows) = (100.0 * shade.spread, 100.0 * shade.follows);
    write!(f, "brightness: spread by {spread:.1} %, {follows:.0} % of it from how materials mix")?;
    if let Some(gain) = shade.gain {
        write!(f, ", gains {gain:.3} nats a pixel")?;
    }
    let so = if shade.kept { "pixels differ in it" } else { "all have that of the spectra" };
    write!(f, ": {so}")
}

fn mixture(f: &mut fmt::Formatter<'_>, gain: f64, kept: bool) -> fmt::Result {
    let so = if kept { "many pixels share it" } else { "too little, so there is none" };
    write!(f, "a common mixture gains {gain:.3} nats a pixel: {so}")
}

fn concentration(f: &mut fmt::Formatter<'_>, gain: f64, learned: bool) -> fmt::Result {
    let so = if learned { "so it is" } else { "too little, so it is not" };
    write!(f, "a concentration that is learned gains {gain:.3} nats a pixel: {so}")
}

fn searching(f: &mut fmt::Formatter<'_>, settings: &search::Settings) -> fmt::Result {
    if let Some((origin, _)) = &settings.given {
        let steps = search::most_steps(settings, 1);
        return write!(
            f,
            "from {origin}: at most {steps} steps, in which evidence decides what the model needs"
        );
    }
    let end = match settings.seconds {
        Some(seconds) => format!("for {seconds} s"),
        None => format!("at most {} steps", search::most_steps(settings, settings.starts)),
    };
    write!(
        f,
        "search: up to {} starts, {} steps each; the best of each family go on for {} more; \
         up to {} moves a round; {end}",
        settings.starts,
        search::PROBE_STEPS,
        search::POLISH_STEPS,
        settings.moves,
    )
}
