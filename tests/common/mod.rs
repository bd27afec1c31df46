//! What several test files need: small problems with known content.
#![allow(dead_code, missing_docs, clippy::unwrap_used, clippy::panic, clippy::print_stderr)]

use std::sync::Arc;

use ndarray::{Array1, Array2};
use unmixel::engine::ground::math::Real;
use unmixel::engine::ground::rng::{self, Stream};
use unmixel::engine::guide::Guide;
use unmixel::engine::layout::{Params, ROW_GROUP, SEPARATE};
use unmixel::engine::model::{Common, Family, Held, Model, Noise, ScalePrior};
use unmixel::engine::passes;
use unmixel::engine::passes::buffers::Buffers;
use unmixel::engine::pixels::{Cube, Pixels};
use unmixel::engine::svi::{self, Settings};
use unmixel::engine::wait::block_on;

/// A number in (0, 1), the same on every machine.
pub fn uniform(seed: u64, index: u32) -> f64 {
    (f64::from(rng::philox([index, 0, 0, 99], rng::key(seed))[0]) + 0.5) / 4_294_967_296.0
}

/// A standard normal.
pub fn normal(seed: u64, index: u32) -> f64 {
    f64::from(rng::normal_at(rng::key(seed), Stream::Posterior, 0, 0, index, 0))
}

/// One fit's worth of input: mixtures of smooth spectra with noise.
pub struct Problem {
    pub model: Model,
    pub settings: Settings,
    pub params: Params,
    pub cube: Arc<Cube>,
    pub guide: Guide,
    pub endmembers: Array2<f64>,
    pub abundances: Array2<f32>,
}

impl Problem {
    pub fn new(model: Model, settings: Settings, pixels: usize, bands: usize) -> Problem {
        let k = model.endmembers;
        let endmembers = Array2::from_shape_fn((k, bands), |(i, l)| {
            0.45 + 0.3 * ((i + 1) as f64 * (l as f64 / bands as f64 * 3.0 + 0.7)).sin()
        });
        let mut abundances = Array2::from_shape_fn((pixels, k), |(n, i)| {
            -(uniform(1, (n * k + i) as u32).ln()) as f32 + 0.02
        });
        for mut row in abundances.rows_mut() {
            let sum = row.sum();
            row /= sum;
        }
        let mut cube = Cube::zeros(pixels, bands);
        for n in 0..pixels {
            for l in 0..bands {
                let mu: f64 =
                    (0..k).map(|i| f64::from(abundances[[n, i]]) * endmembers[[i, l]]).sum();
                cube.spectrum_mut(n)[l] = (mu + 0.02 * normal(2, (n * bands + l) as u32)) as f32;
            }
        }
        let cube = Arc::new(cube);
        let params = svi::params(&model, &settings, (pixels, bands)).unwrap();
        let brightness = model
            .brightness
            .map(|_| Array1::from_shape_fn(pixels, |n| 0.1 * normal(3, n as u32) as f32));
        let guide = Guide::around(
            &params,
            &model,
            &cube,
            endmembers.view(),
            abundances.view(),
            brightness.as_ref().map(|b| b.view()),
        );
        Problem { model, settings, params, cube, guide, endmembers, abundances }
    }

    /// Its pixels, in the order of everything else here.
    pub fn pixels(&self) -> Pixels {
        Pixels::as_given(Arc::clone(&self.cube))
    }

    /// The sizes of a run of every pass, what lies between them in memory.
    pub fn separate(&self) -> Params {
        Params { flags: self.params.flags | SEPARATE, ..self.params }
    }

    /// Working memory of [`Problem::separate`] at the start of a step.
    pub fn buffers<T: Real>(&self) -> Buffers<T> {
        let mut buffers = Buffers::new(&self.separate(), Arc::clone(&self.cube));
        let put = |to: &mut [T], from: &[f32]| {
            for (to, &from) in to.iter_mut().zip(from) {
                *to = T::of(f64::from(from));
            }
        };
        put(&mut buffers.globals, &self.guide.globals);
        put(&mut buffers.locals, &side_by_side(&self.params, &self.guide.locals));
        put(&mut buffers.prior_centre, &self.guide.prior_centre);
        put(&mut buffers.rank_sum, &self.guide.rank_sum);
        buffers
    }

    /// The parameters of the step that tests look at: not the first one, so that epoch and place
    /// count.
    pub fn step(&self) -> Params {
        Params {
            trace_slot: 2,
            rate_global: 0.02,
            rate_local: 0.1,
            correction_first: 2.0,
            correction_second: 3.0,
            ..self.separate().at(3)
        }
    }

    /// The first steps of a run.
    pub fn steps(&self, count: u32) -> Vec<Params> {
        (0..count)
            .map(|t| Params { trace_slot: t, flags: self.params.flags, ..self.step().at(t) })
            .collect()
    }
}

/// A guide of the pixels as passes have it.
pub fn side_by_side(p: &Params, locals: &[f32]) -> Vec<f32> {
    let columns = p.local_stride as usize;
    let mut to = vec![0.0; p.len(unmixel::engine::layout::Buf::Locals)];
    for (at, &x) in locals.iter().enumerate() {
        to[p.place_at(at / columns, columns) + ROW_GROUP * (at % columns)] = x;
    }
    to
}

/// The guide of a pixel, out of [`Buffers::locals`].
pub fn guide_of<T: Real>(p: &Params, locals: &[T], pixel: usize) -> Vec<T> {
    let columns = p.local_stride as usize;
    let first = p.place_at(pixel, columns);
    (0..columns).map(|column| locals[first + ROW_GROUP * column]).collect()
}

/// The sum over all pixels of products of loadings, a lower triangle, out of [`Buffers::locals`].
pub fn rank_sum<T: Real>(p: &Params, locals: &[T]) -> Vec<T> {
    let rank = p.rank as usize;
    let mut sum = vec![T::zero(); p.len(unmixel::engine::layout::Buf::RankSum)];
    for n in 0..p.pixels as usize {
        let guide = guide_of(p, locals, n);
        for row in guide[p.loadings_at()..].chunks_exact(rank.max(1)) {
            for l in 0..rank {
                for m in 0..=l {
                    sum[l * rank + m] = sum[l * rank + m] + row[l] * row[m];
                }
            }
        }
    }
    sum
}

/// Runs the passes up to and with `last` on the CPU.
pub fn run_to<T: Real>(params: &Params, buffers: &mut Buffers<T>, last: &str) {
    for (pass, run) in passes::all() {
        run(params, buffers);
        if pass.name == last {
            return;
        }
    }
    panic!("no pass {last}");
}

/// Near enough to the other Dirichlet that pixels are of both.
const COMMON: Common = Common { concentration: 5.0, sd: 0.7 };

/// The kinds of model that differ in what the passes do, small enough for finite differences. Bands
/// and batch are no multiples of four, several chunks and a padded quad are in play, and the step
/// that tests look at draws the group that is not full, and not last.
pub fn variants() -> Vec<(&'static str, Problem)> {
    let base = |k: usize| Model { concentration: 0.7 * k as f64, ..Model::new(k) };
    let settings = Settings { batch_size: 19, particles: 1, seed: 6, ..Settings::default() };
    let two = Settings { particles: 2, ..settings.clone() };
    let full = Settings { batch_size: 40, ..two.clone() };
    vec![
        ("plain, K = 3", Problem::new(base(3), settings.clone(), 71, 7)),
        (
            "isotropic noise, two particles",
            Problem::new(Model { noise: Noise::Isotropic, ..base(3) }, two.clone(), 71, 6),
        ),
        ("K = 1", Problem::new(base(1), settings.clone(), 71, 5)),
        ("K = 2, one band", Problem::new(base(2), settings.clone(), 71, 1)),
        (
            "brightness",
            Problem::new(Model { brightness: Some(0.5), ..base(3) }, two.clone(), 71, 7),
        ),
        (
            "brightness of a learned spread",
            Problem::new(
                Model { brightness: Some(0.5), brightness_spread: Some(0.8), ..base(3) },
                two.clone(),
                71,
                7,
            ),
        ),
        (
            "brightness, K = 1",
            Problem::new(Model { brightness: Some(0.5), ..base(1) }, two.clone(), 71, 7),
        ),
        (
            "variability",
            Problem::new(Model { variability: Some(0.05), ..base(3) }, two.clone(), 71, 7),
        ),
        (
            "concentration",
            Problem::new(Model { concentration_sd: Some(0.8), ..base(3) }, two.clone(), 71, 7),
        ),
        (
            "concentration, K = 1",
            Problem::new(Model { concentration_sd: Some(0.8), ..base(1) }, two.clone(), 71, 5),
        ),
        (
            "common mixture",
            Problem::new(Model { common: Some(COMMON), ..base(3) }, two.clone(), 71, 7),
        ),
        (
            "common mixture, K = 1",
            Problem::new(Model { common: Some(COMMON), ..base(1) }, two.clone(), 71, 5),
        ),
        (
            "covariance",
            Problem::new(Model { noise: Noise::Covariance, ..base(3) }, two.clone(), 71, 7),
        ),
        (
            "covariance, K = 1, one band",
            Problem::new(Model { noise: Noise::Covariance, ..base(1) }, settings.clone(), 71, 1),
        ),
        (
            "covariance, brightness, weighted",
            Problem::new(
                Model {
                    noise: Noise::Covariance,
                    brightness: Some(0.4),
                    likelihood_weight: 0.3,
                    regression_sd: 0.8,
                    ..base(2)
                },
                settings.clone(),
                71,
                10,
            ),
        ),
        (
            "everything, full rank, K = 6, weighted, log-normal noise",
            Problem::new(
                Model {
                    brightness: Some(0.4),
                    brightness_spread: Some(0.8),
                    variability: Some(0.03),
                    family: Family::FullRank,
                    likelihood_weight: 0.3,
                    concentration_sd: Some(0.8),
                    common: Some(COMMON),
                    noise_prior: ScalePrior::log_normal(-3.0, 1.0),
                    ..base(6)
                },
                full,
                40,
                9,
            ),
        ),
        (
            "low rank, everything",
            Problem::new(
                Model {
                    brightness: Some(0.4),
                    variability: Some(0.03),
                    family: Family::LowRank { rank: 5 },
                    likelihood_weight: 0.3,
                    concentration_sd: Some(0.8),
                    common: Some(COMMON),
                    ..base(3)
                },
                two.clone(),
                71,
                7,
            ),
        ),
        (
            "low rank, held spectra and variability",
            Problem::new(
                Model {
                    variability: Some(0.03),
                    family: Family::LowRank { rank: 3 },
                    held: Held::SpectraAndVariability,
                    ..base(3)
                },
                two.clone(),
                71,
                7,
            ),
        ),
        (
            "held spectra",
            Problem::new(
                Model { variability: Some(0.03), held: Held::Spectra, ..base(2) },
                settings.clone(),
                71,
                7,
            ),
        ),
        (
            "low rank, K = 1, one draw",
            Problem::new(
                Model { family: Family::LowRank { rank: 1 }, ..base(1) },
                settings.clone(),
                71,
                5,
            ),
        ),
        (
            "low rank, whole scene, covariance",
            Problem::new(
                Model { noise: Noise::Covariance, family: Family::LowRank { rank: 9 }, ..base(3) },
                Settings { batch_size: 40, ..settings.clone() },
                40,
                5,
            ),
        ),
    ]
}

/// The adapter for shader tests, by `UNMIXEL_GPU`: `require` (no adapter is a failure), `auto` (the
/// default: no adapter is a loud skip), `skip`. Hardware first.
pub fn adapter() -> Option<unmixel::engine::backend::gpu::Adapter> {
    let mode = std::env::var("UNMIXEL_GPU").unwrap_or_else(|_| "auto".into());
    assert!(
        ["require", "auto", "skip"].contains(&mode.as_str()),
        "UNMIXEL_GPU={mode}: give require, auto or skip"
    );
    if mode == "skip" {
        eprintln!("SKIPPED, UNMIXEL_GPU=skip: no shader ran in this test");
        return None;
    }
    let adapter = block_on(unmixel::engine::backend::gpu::adapters()).into_iter().next();
    match &adapter {
        Some(adapter) => {
            eprintln!("shaders on {} ({})", adapter.info().name, adapter.info().driver)
        }
        None if mode == "require" => panic!(
            "UNMIXEL_GPU=require, and there is no adapter: tests/run.sh installs a software one \
             on Debian"
        ),
        None => eprintln!(
            "SKIPPED, NO ADAPTER FOUND: no shader ran in this test; tests/run.sh installs a \
             software one on Debian"
        ),
    }
    adapter
}
