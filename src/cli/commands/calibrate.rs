//! `unmixel calibrate`: scenes whose truth is known, fitted, and how many truths the intervals
//! hold.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::ValueEnum;
use unmixel::engine::backend::{Choice, device};
use unmixel::engine::pixels::Pixels;
use unmixel::rooms::figures::{CalibrationCurve, CalibrationPanel, calibration_png};
use unmixel::rooms::posterior::nested::Nested;
use unmixel::rooms::results::OutputFolder;
use unmixel::rooms::score::Reference;
use unmixel::rooms::score::calibration::{self, Known, Places, coverage};
use unmixel::simulate::{self, Maps, simulate};
use unmixel::{Device, EffectiveBands, Error, Result, Unmixing};

use crate::cli::args::{CalibrateArgs, GuideArg, WorldArg};
use crate::cli::{Done, commit, options, print, tables};

/// Probabilities of the central intervals in the table.
const LEVELS: [f64; 4] = [0.5, 0.8, 0.9, 0.95];
/// Those in the file and the picture: every twentieth.
const CURVE: usize = 19;
/// Mean spectral angle in radians, about 6 degrees, beyond which a fit has found other endmembers.
const OTHER_MODE: f64 = 0.1;
/// Correlation of adjacent bands' errors where they err together: 64 bands then tell as much as 7.
const CORRELATION: f64 = 0.8;
/// Abundances from here on are counted once more by themselves: a normal in the logit is a poor
/// likeness of the posterior of a smaller one.
const LARGE: f32 = 0.1;
/// Most scenes a setting: their seeds must not meet those of other runs' scenes.
const MOST_SCENES: u64 = 1000;

/// What is simulated, and how many bands the fit counts.
#[derive(Debug, Clone, Copy, serde::Serialize)]
struct Case {
    world: WorldArg,
    endmembers: usize,
    pure_pixels: bool,
    band_correlation: f64,
    /// As many bands count as `fit` takes by default; all if not.
    default_bands: bool,
}

impl Case {
    /// Of the model's world errors that are correlated and weights that are not the default, too.
    fn all(worlds: &[WorldArg]) -> Vec<Case> {
        let mut cases = Vec::new();
        for &world in worlds {
            let of_model = world == WorldArg::Model;
            for endmembers in [3, 5] {
                for pure_pixels in [true, false] {
                    let correlations = if of_model { &[0.0, CORRELATION][..] } else { &[0.0] };
                    for &band_correlation in correlations {
                        for default_bands in if of_model { &[false, true][..] } else { &[true] } {
                            cases.push(Case {
                                world,
                                endmembers,
                                pure_pixels,
                                band_correlation,
                                default_bands: *default_bands,
                            });
                        }
                    }
                }
            }
        }
        cases
    }

    fn name(&self) -> String {
        let pixels = if self.pure_pixels { "pure pixels" } else { "none pure" };
        let start = format!("K = {}, {pixels}", self.endmembers);
        if self.world != WorldArg::Model {
            let world = self.world.to_possible_value();
            return format!("{start}, {}", world.as_ref().map_or("", |w| w.get_name()));
        }
        let errors = if self.band_correlation > 0.0 { "correlated" } else { "independent" };
        let bands = if self.default_bands { "default" } else { "all" };
        format!("{start}, {errors} errors, {bands} bands")
    }

    /// The scene: abundances, brightness and variability as the model has them, but for what is
    /// another world's.
    fn scene(&self, seed: u64) -> simulate::Settings {
        let model = simulate::Settings {
            rows: 20,
            cols: 25,
            bands: 64,
            endmembers: self.endmembers,
            noise_sd: 0.01,
            maps: Maps::Dirichlet,
            pure_pixels: self.pure_pixels,
            brightness_sd: 0.2,
            variability_sd: 0.05,
            band_correlation: self.band_correlation,
            seed,
            ..simulate::Settings::default()
        };
        let shared = simulate::Settings {
            noise_sd: 0.005,
            variability_sd: 0.0,
            shared_variability_sd: 0.06,
            ..model.clone()
        };
        match self.world {
            WorldArg::Model => model,
            WorldArg::Shared => shared,
            WorldArg::SharedAr => simulate::Settings { band_correlation: 0.9, ..shared },
            WorldArg::Signal => simulate::Settings { signal_noise: 0.03, ..model },
            WorldArg::Zeros => simulate::Settings { least_abundance: 0.1, ..model },
            WorldArg::Dark => simulate::Settings { dark: 0.05, ..model },
            WorldArg::Flat => simulate::Settings { maps: Maps::Flat, ..model },
            WorldArg::Dominant => simulate::Settings { maps: Maps::Dominant, ..model },
        }
    }

    /// What `unmixel fit` does, but for what the case says.
    fn unmixing(&self, guide: GuideArg, seed: u64) -> Unmixing {
        let bands = match self.default_bands {
            true => EffectiveBands::default(),
            false => EffectiveBands::All,
        };
        options::family(Unmixing::new(self.endmembers), guide).effective_bands(bands).seed(seed)
    }
}

/// One fit against its truth.
struct Fit {
    seed: u64,
    steps: usize,
    mean_sad: f64,
    rmse: f64,
    places: Places,
    /// Under the exact posterior.
    exact: Places,
    /// Its steps, in posterior sds.
    exact_steps: Vec<f64>,
    /// Places of abundances of at least [`LARGE`].
    large: Vec<f64>,
}

impl Fit {
    fn is_other_mode(&self) -> bool {
        self.mean_sad > OTHER_MODE
    }
}

/// The fits of one case with one guide.
struct Row {
    case: Case,
    guide: String,
    fits: Vec<Fit>,
}

/// Levels and the shares of truths inside.
type Curve = Vec<(f64, f64)>;

impl Row {
    fn pooled<'a>(&'a self, of: impl Fn(&'a Fit) -> &'a [f64], matched: bool) -> Vec<f64> {
        let counted = self.fits.iter().filter(|fit| !(matched && fit.is_other_mode()));
        counted.flat_map(|fit| of(fit).iter().copied()).collect()
    }

    fn cells(&self, places: &[f64]) -> Vec<String> {
        let share =
            |level| coverage(places, level).map_or("-".into(), |s| format!("{:.0}", 100.0 * s));
        LEVELS.into_iter().map(share).collect()
    }

    fn mean(&self, of: impl Fn(&Fit) -> f64) -> f64 {
        self.fits.iter().map(of).sum::<f64>() / self.fits.len().max(1) as f64
    }

    fn other_modes(&self) -> usize {
        self.fits.iter().filter(|fit| fit.is_other_mode()).count()
    }

    fn json(&self) -> serde_json::Value {
        let of = |matched| {
            let abundances = self.pooled(|fit| &fit.places.abundances, matched);
            let endmembers = self.pooled(|fit| &fit.places.endmembers, matched);
            let exact_abundances = self.pooled(|fit| &fit.exact.abundances, matched);
            let exact_endmembers = self.pooled(|fit| &fit.exact.endmembers, matched);
            let large = self.pooled(|fit| &fit.large, matched);
            serde_json::json!({
                "abundances": curve(&abundances),
                "large_abundances": curve(&large),
                "endmembers": curve(&endmembers),
                "exact_abundances": curve(&exact_abundances),
                "exact_endmembers": curve(&exact_endmembers),
            })
        };
        let fits: Vec<_> = self
            .fits
            .iter()
            .map(|fit| {
                serde_json::json!({
                    "seed": fit.seed,
                    "steps": fit.steps,
                    "mean_sad": fit.mean_sad,
                    "abundance_rmse": fit.rmse,
                    "other_mode": fit.is_other_mode(),
                    "abundances_in_90": coverage(&fit.places.abundances, 0.9),
                    "endmembers_in_90": coverage(&fit.places.endmembers, 0.9),
                    "exact_steps": fit.exact_steps,
                    "exact_abundances_in_90": coverage(&fit.exact.abundances, 0.9),
                    "exact_endmembers_in_90": coverage(&fit.exact.endmembers, 0.9),
                })
            })
            .collect();
        serde_json::json!({
            "name": self.case.name(),
            "case": self.case,
            "guide": self.guide,
            "other_modes": self.other_modes(),
            "observed": of(false),
            "observed_without_other_modes": of(true),
            "fits": fits,
        })
    }
}

fn curve(places: &[f64]) -> Curve {
    let levels = (1..=CURVE).map(|i| i as f64 / (CURVE + 1) as f64);
    levels.filter_map(|level| Some((level, coverage(places, level)?))).collect()
}

/// Simulates, fits, counts, writes.
pub fn run(args: &CalibrateArgs, interrupted: &Arc<AtomicBool>) -> Result<Done> {
    if !(1..=MOST_SCENES).contains(&args.scenes) {
        return Err(Error::option(
            format!("--scenes {}", args.scenes),
            format!("give 1 to {MOST_SCENES} scenes a setting"),
        ));
    }
    let cases = Case::all(&args.world);
    cases[0].unmixing(GuideArg::FullRank, 0).steps(args.steps).check()?;
    let choice: Choice = args.device.parse()?;
    let mut device = Arc::new(device::choose(&choice)?);
    let folder = OutputFolder::prepare(&args.out, args.force)?;
    tell!("device: {} ({})", device.info.name, device.info.reason);
    let guides = match args.guide.is_empty() {
        true => GuideArg::value_variants(),
        false => &args.guide,
    };

    let (mut rows, mut stopped): (Vec<Row>, bool) = (Vec::new(), false);
    let total = cases.len() * guides.len();
    'all: for case in &cases {
        for &guide_arg in guides {
            let guide =
                guide_arg.to_possible_value().map_or_else(String::new, |v| v.get_name().to_owned());
            let mut row = Row { case: *case, guide, fits: Vec::new() };
            for scene in 0..args.scenes {
                let seed = args.seed.wrapping_mul(MOST_SCENES).wrapping_add(scene);
                let fitted = loop {
                    match fit(case, guide_arg, seed, &device, args.steps, interrupted) {
                        // Nobody asked for this device by name.
                        Err(error @ (Error::Device(_) | Error::DeviceLost(_)))
                            if choice == Choice::Auto && !device.is_cpu() =>
                        {
                            tell!("{} cannot go on ({error}); the CPU does", device.info.name);
                            device = Arc::new(Device::cpu());
                        }
                        fitted => break fitted?,
                    }
                };
                match fitted {
                    Some(fit) => row.fits.push(fit),
                    None => {
                        // What was fitted counts; how many there are is with each row.
                        rows.extend((!row.fits.is_empty()).then_some(row));
                        stopped = true;
                        break 'all;
                    }
                }
            }
            tell!(
                "{} of {total}: {}, {}: 90 % intervals hold {} % of abundances, {} % of endmember \
                 values; exact {} and {} %",
                rows.len() + 1,
                case.name(),
                row.guide,
                row.cells(&row.pooled(|fit| &fit.places.abundances, false))[2],
                row.cells(&row.pooled(|fit| &fit.places.endmembers, false))[2],
                row.cells(&row.pooled(|fit| &fit.exact.abundances, false))[2],
                row.cells(&row.pooled(|fit| &fit.exact.endmembers, false))[2],
            );
            rows.push(row);
        }
    }
    if rows.is_empty() {
        return Err(Error::Interrupted);
    }
    write(args, &folder, &cases, &rows)?;
    commit(&folder, "calibrate")?;
    print(&table(&rows).to_string())?;
    print(&format!("calibration.json, calibration.png in {}", folder.path().display()))?;
    Ok(if stopped { Done::Interrupted } else { Done::Whole })
}

/// Fits one scene as `unmixel fit` would; none when interrupted.
fn fit(
    case: &Case,
    guide: GuideArg,
    seed: u64,
    device: &Arc<Device>,
    steps: u32,
    interrupted: &Arc<AtomicBool>,
) -> Result<Option<Fit>> {
    let simulated = simulate(&case.scene(seed))?;
    let scene = simulated.scene("simulated")?;
    let flag = Arc::clone(interrupted);
    let stop = move || flag.load(Ordering::Relaxed);
    let unmixing = case.unmixing(guide, seed).steps(steps).device(Arc::clone(device));
    let fit = match unmixing.stop_when(stop.clone()).fit(&scene) {
        Ok(fit) if fit.record().interrupted => return Ok(None),
        Err(Error::Interrupted) => return Ok(None),
        other => other?,
    };
    // With brightness the data do not tell the scale of a spectrum: all in relation to peaks.
    let reference = Reference::new(&scene, &simulated.truth());
    let score = fit.score(&reference)?.peak;
    let known = reference.in_convention(fit.convention())?;
    let (Some(true_c), Some(true_w)) = (known.endmembers, known.abundances) else {
        return Err(Error::Scene("a simulated scene has a truth".into()));
    };
    let known = Known {
        convention: fit.convention(),
        endmembers: true_c.view(),
        abundances: true_w.view(),
        matching: &score.matching,
    };
    // A fit's guide follows the scene's pixels.
    let pixels = Pixels::as_given(scene.cube().clone());
    let places = calibration::places(fit.guide(), &pixels, &known)?;
    let at_rest = fit.search().and_then(|found| found.at_rest.as_deref());
    let Some(nested) = Nested::new(fit.guide(), &pixels, at_rest, &stop)? else { return Ok(None) };
    Ok(Some(Fit {
        seed,
        steps: fit.record().trace.len(),
        mean_sad: score.mean_sad.unwrap_or(f64::NAN),
        rmse: score.abundance_rmse.unwrap_or(f64::NAN),
        large: true_w
            .iter()
            .zip(&places.abundances)
            .filter(|(w, _)| **w >= LARGE)
            .map(|(_, place)| *place)
            .collect(),
        exact: calibration::nested_places(&nested, &known)?,
        exact_steps: nested.steps,
        places,
    }))
}

fn table(rows: &[Row]) -> comfy_table::Table {
    let mut table = tables::table(&[
        "setting",
        "guide",
        "abundances in 50, 80, 90, 95 %",
        "from 0.1 on",
        "endmember values",
        "exact: abundances",
        "endmember values",
        "RMSE",
        "other mode",
    ]);
    for row in rows {
        table.add_row([
            row.case.name(),
            row.guide.clone(),
            row.cells(&row.pooled(|fit| &fit.places.abundances, false)).join("  "),
            row.cells(&row.pooled(|fit| &fit.large, false)).join("  "),
            row.cells(&row.pooled(|fit| &fit.places.endmembers, false)).join("  "),
            row.cells(&row.pooled(|fit| &fit.exact.abundances, false)).join("  "),
            row.cells(&row.pooled(|fit| &fit.exact.endmembers, false)).join("  "),
            format!("{:.3}", row.mean(|fit| fit.rmse)),
            format!("{} of {}", row.other_modes(), row.fits.len()),
        ]);
    }
    table
}

fn write(args: &CalibrateArgs, folder: &OutputFolder, cases: &[Case], rows: &[Row]) -> Result<()> {
    let json = serde_json::json!({
        "unmixel": env!("CARGO_PKG_VERSION"),
        "scenes": args.scenes,
        "seed": args.seed,
        "steps": args.steps,
        "draws": calibration::DRAWS,
        "other_mode_from_mean_sad": OTHER_MODE,
        "large_abundances_from": LARGE,
        "rows": rows.iter().map(Row::json).collect::<Vec<_>>(),
    });
    folder.write("calibration.json", |to| writeln!(to, "{json:#}"))?;
    let panels: Vec<CalibrationPanel> = cases
        .iter()
        .map(|case| CalibrationPanel {
            title: case.name(),
            curves: rows
                .iter()
                .filter(|row| row.case.name() == case.name())
                .map(|row| CalibrationCurve {
                    name: row.guide.clone(),
                    exact: curve(&row.pooled(|fit| &fit.exact.abundances, false)),
                    abundances: curve(&row.pooled(|fit| &fit.places.abundances, false)),
                    endmembers: curve(&row.pooled(|fit| &fit.places.endmembers, false)),
                })
                .collect(),
        })
        .collect();
    let png = calibration_png(&panels)?;
    folder.write("calibration.png", |to| to.write_all(&png))
}
