//! `unmixel calibrate`: scenes whose truth is known, fitted, and how many truths the intervals hold.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::ValueEnum;
use ndarray::{Array2, Array3, Axis};
use unmixel::engine::backend::device::Device;
use unmixel::engine::backend::{Choice, device};
use unmixel::engine::model::{BRIGHTNESS_SD, Model, VARIABILITY_SCALE};
use unmixel::engine::svi::{self, Outcome, Settings, Stop};
use unmixel::figures::{CalibrationCurve, CalibrationPanel, calibration_png};
use unmixel::posterior::Posterior;
use unmixel::posterior::nested::Nested;
use unmixel::results::OutputFolder;
use unmixel::scene::Cube;
use unmixel::score::calibration::{self, Ranks, Truth, coverage};
use unmixel::score::{Convention, convert, score};
use unmixel::search;
use unmixel::simulate::{self, Maps, simulate};
use unmixel::starts::{self, Init};
use unmixel::statistics::effective::default_bands;
use unmixel::{Error, Result};

use crate::cli::args::{CalibrateArgs, GuideArg};
use crate::cli::run::guide_of;
use crate::cli::search::WORTH_A_SEARCH;
use crate::cli::{Done, commit, print, tables};

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
    endmembers: usize,
    pure_pixels: bool,
    band_correlation: f64,
    /// As many bands count as `fit` takes by default; all if not.
    default_bands: bool,
}

impl Case {
    fn all() -> Vec<Case> {
        let mut cases = Vec::new();
        for endmembers in [3, 5] {
            for pure_pixels in [true, false] {
                for band_correlation in [0.0, CORRELATION] {
                    for default_bands in [false, true] {
                        cases.push(Case {
                            endmembers,
                            pure_pixels,
                            band_correlation,
                            default_bands,
                        });
                    }
                }
            }
        }
        cases
    }

    fn name(&self) -> String {
        let pixels = if self.pure_pixels { "pure pixels" } else { "none pure" };
        let errors = if self.band_correlation > 0.0 { "correlated" } else { "independent" };
        let bands = if self.default_bands { "default" } else { "all" };
        format!("K = {}, {pixels}, {errors} errors, {bands} bands", self.endmembers)
    }

    /// The scene: abundances, brightness and variability as the model has them.
    fn scene(&self, seed: u64) -> simulate::Settings {
        simulate::Settings {
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
            no_data_fraction: 0.0,
            rare_share: 0.0,
            close_angle: 0.0,
            seed,
        }
    }

    /// The model as `unmixel fit` has it, but for what the case says.
    fn model(&self, guide_arg: GuideArg, cube: &Cube) -> Model {
        let all = cube.bands() as f64;
        let counted = match self.default_bands {
            true => default_bands(cube, self.endmembers).0,
            false => all,
        };
        Model {
            brightness: Some(BRIGHTNESS_SD),
            variability: Some(VARIABILITY_SCALE),
            likelihood_weight: counted / all,
            guide: guide_of(guide_arg),
            ..Model::new(self.endmembers)
        }
    }
}

/// One fit against its truth.
struct Fit {
    seed: u64,
    steps: usize,
    mean_sad: f64,
    rmse: f64,
    ranks: Ranks,
    /// Those of the nested posterior.
    nested: Ranks,
    /// Its steps, in posterior sds.
    nested_steps: Vec<f64>,
    /// Ranks of abundances of at least [`LARGE`].
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

    fn cells(&self, ranks: &[f64]) -> Vec<String> {
        let share =
            |level| coverage(ranks, level).map_or("-".into(), |s| format!("{:.0}", 100.0 * s));
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
            let abundances = self.pooled(|fit| &fit.ranks.abundances, matched);
            let endmembers = self.pooled(|fit| &fit.ranks.endmembers, matched);
            let nested_abundances = self.pooled(|fit| &fit.nested.abundances, matched);
            let nested_endmembers = self.pooled(|fit| &fit.nested.endmembers, matched);
            let large = self.pooled(|fit| &fit.large, matched);
            serde_json::json!({
                "abundances": curve(&abundances),
                "large_abundances": curve(&large),
                "endmembers": curve(&endmembers),
                "nested_abundances": curve(&nested_abundances),
                "nested_endmembers": curve(&nested_endmembers),
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
                    "abundances_in_90": coverage(&fit.ranks.abundances, 0.9),
                    "endmembers_in_90": coverage(&fit.ranks.endmembers, 0.9),
                    "nested_steps": fit.nested_steps,
                    "nested_abundances_in_90": coverage(&fit.nested.abundances, 0.9),
                    "nested_endmembers_in_90": coverage(&fit.nested.endmembers, 0.9),
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

fn curve(ranks: &[f64]) -> Curve {
    let levels = (1..=CURVE).map(|i| i as f64 / (CURVE + 1) as f64);
    levels.filter_map(|level| Some((level, coverage(ranks, level)?))).collect()
}

/// Simulates, fits, counts, writes.
pub fn run(args: &CalibrateArgs, interrupted: &Arc<AtomicBool>) -> Result<Done> {
    if !(1..=MOST_SCENES).contains(&args.scenes) {
        return Err(Error::option(
            format!("--scenes {}", args.scenes),
            format!("give 1 to {MOST_SCENES} scenes a setting"),
        ));
    }
    let settings = Settings { steps: args.steps, ..Settings::default() };
    let cases = Case::all();
    svi::check(&Model::new(cases[0].endmembers), &settings)?;
    let device = device::choose(&args.device.parse::<Choice>()?)?;
    let folder = OutputFolder::prepare(&args.out, args.force)?;
    tell!("device: {} ({})", device.info.name, device.info.reason);
    let guides = match args.guide.is_empty() {
        true => GuideArg::value_variants(),
        false => &args.guide,
    };

    let mut rows: Vec<Row> = Vec::new();
    let total = cases.len() * guides.len();
    'all: for case in &cases {
        for &guide_arg in guides {
            let guide =
                guide_arg.to_possible_value().map_or_else(String::new, |v| v.get_name().to_owned());
            let mut row = Row { case: *case, guide, fits: Vec::new() };
            for scene in 0..args.scenes {
                let seed = args.seed.wrapping_mul(MOST_SCENES).wrapping_add(scene);
                match fit(case, guide_arg, seed, &device, &settings, interrupted)? {
                    Some(fit) => row.fits.push(fit),
                    None => break 'all,
                }
            }
            tell!(
                "{} of {total}: {}, {}: 90 % intervals hold {} % of abundances, {} % of endmember values; nested {} and {} %",
                rows.len() + 1,
                case.name(),
                row.guide,
                row.cells(&row.pooled(|fit| &fit.ranks.abundances, false))[2],
                row.cells(&row.pooled(|fit| &fit.ranks.endmembers, false))[2],
                row.cells(&row.pooled(|fit| &fit.nested.abundances, false))[2],
                row.cells(&row.pooled(|fit| &fit.nested.endmembers, false))[2],
            );
            rows.push(row);
        }
    }
    write(args, &folder, &settings, &cases, &rows)?;
    commit(&folder, "calibrate")?;
    print(&table(&rows).to_string())?;
    print(&format!("calibration.json, calibration.png in {}", folder.path().display()))?;
    Ok(if rows.len() < total { Done::Interrupted } else { Done::Whole })
}

/// Fits one scene as `unmixel fit` would; none when interrupted.
fn fit(
    case: &Case,
    guide_arg: GuideArg,
    seed: u64,
    device: &Device,
    settings: &Settings,
    interrupted: &Arc<AtomicBool>,
) -> Result<Option<Fit>> {
    let simulated = simulate(&case.scene(seed))?;
    let mut scene = simulated.scene("simulated")?;
    scene.scatter();
    let order: Vec<usize> = scene.pixel_index.iter().map(|&pixel| pixel as usize).collect();
    let cube = Arc::new(scene.cube);
    let model = case.model(guide_arg, &cube);
    let settings = Settings { seed, ..settings.clone() };
    let stop = || interrupted.load(Ordering::Relaxed);
    let (state, warm) = match settings.steps < WORTH_A_SEARCH {
        true => {
            let start = starts::start(&cube, case.endmembers, &Init::Vca, true, seed)?;
            (svi::begin(&model, &settings, &cube, &start)?, false)
        }
        false => {
            let budget = search::Settings::default();
            let found = search::search(device, &model, &settings, &budget, &cube, &|_| (), &stop)?;
            (found.state, found.fitted)
        }
    };
    let settings = Settings { warm, ..settings };
    let outcome = svi::fit(device, &model, &settings, &cube, state, &mut |_| (), &stop)?;
    if outcome.stop == Stop::Interrupted {
        return Ok(None);
    }
    // With brightness the data do not tell the scale of a spectrum: all in relation to peaks.
    let convention = Convention::Peak;
    let (true_c, true_w) =
        (simulated.endmembers.view(), flat(&simulated.abundances).select(Axis(0), &order));
    let (true_c, true_w) = convert(true_c, true_w.view(), convention)?;
    let posterior =
        Posterior::new(&outcome.params, &cube, &outcome.globals, &outcome.locals, convention);
    let score = score(
        posterior.endmember_mean.view(),
        posterior.abundance_mean.view(),
        Some(true_c.view()),
        Some(true_w.view()),
    )?;
    let truth = Truth {
        convention,
        endmembers: true_c.view(),
        abundances: true_w.view(),
        matching: &score.matching,
    };
    let ranks = calibration::ranks(&outcome, &truth)?;
    let Outcome { params, globals, locals, prior_centre, .. } = &outcome;
    let nested = Nested::new(params, &cube, globals, locals, prior_centre, &stop)?;
    let Some(nested) = nested else { return Ok(None) };
    Ok(Some(Fit {
        seed,
        steps: outcome.trace.len(),
        mean_sad: score.mean_sad.unwrap_or(f64::NAN),
        rmse: score.abundance_rmse.unwrap_or(f64::NAN),
        large: true_w
            .iter()
            .zip(&ranks.abundances)
            .filter(|(w, _)| **w >= LARGE)
            .map(|(_, rank)| *rank)
            .collect(),
        nested: calibration::nested_ranks(&nested, &truth)?,
        nested_steps: nested.steps,
        ranks,
    }))
}

/// Maps (rows, cols, K) as a list of pixels (N, K).
fn flat(maps: &Array3<f32>) -> Array2<f32> {
    let (rows, cols, k) = maps.dim();
    Array2::from_shape_fn((rows * cols, k), |(n, i)| maps[[n / cols, n % cols, i]])
}

fn table(rows: &[Row]) -> comfy_table::Table {
    let mut table = tables::table(&[
        "setting",
        "guide",
        "abundances in 50, 80, 90, 95 %",
        "from 0.1 on",
        "endmember values",
        "nested: abundances",
        "endmember values",
        "RMSE",
        "other mode",
    ]);
    for row in rows {
        table.add_row([
            row.case.name(),
            row.guide.clone(),
            row.cells(&row.pooled(|fit| &fit.ranks.abundances, false)).join("  "),
            row.cells(&row.pooled(|fit| &fit.large, false)).join("  "),
            row.cells(&row.pooled(|fit| &fit.ranks.endmembers, false)).join("  "),
            row.cells(&row.pooled(|fit| &fit.nested.abundances, false)).join("  "),
            row.cells(&row.pooled(|fit| &fit.nested.endmembers, false)).join("  "),
            format!("{:.3}", row.mean(|fit| fit.rmse)),
            format!("{} of {}", row.other_modes(), row.fits.len()),
        ]);
    }
    table
}

fn write(
    args: &CalibrateArgs,
    folder: &OutputFolder,
    settings: &Settings,
    cases: &[Case],
    rows: &[Row],
) -> Result<()> {
    let json = serde_json::json!({
        "unmixel": env!("CARGO_PKG_VERSION"),
        "scenes": args.scenes,
        "seed": args.seed,
        "svi": settings,
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
                    nested: curve(&row.pooled(|fit| &fit.nested.abundances, false)),
                    abundances: curve(&row.pooled(|fit| &fit.ranks.abundances, false)),
                    endmembers: curve(&row.pooled(|fit| &fit.ranks.endmembers, false)),
                })
                .collect(),
        })
        .collect();
    let png = calibration_png(&panels)?;
    folder.write("calibration.png", |to| to.write_all(&png))
}
