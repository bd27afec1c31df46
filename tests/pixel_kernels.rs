//! The pixels' posterior on a GPU against its twin on the CPU.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod common;

use common::Problem;
use ndarray::Array2;
use unmixel::engine::model::{Common, Family, Model, Noise};
use unmixel::engine::pixels::{Cube, Pixels};
use unmixel::engine::svi::Settings;
use unmixel::engine::wait::block_on;
use unmixel::rooms::convention::Convention;
use unmixel::rooms::posterior::Posterior;
use unmixel::rooms::posterior::nested::{NOISE_SHAPES, Nested, SHAPES, SceneNormal, Shared};

/// Models with each kind of latent, and without.
fn models() -> Vec<(&'static str, Model)> {
    let bright = Model { brightness: Some(0.3), family: Family::FullRank, ..Model::new(3) };
    let common = Some(Common { concentration: 12.0, sd: 1.5 });
    vec![
        ("plain", Model::new(3)),
        ("brightness", bright.clone()),
        ("variability", Model { variability: Some(0.02), ..bright.clone() }),
        ("one noise", Model { noise: Noise::Isotropic, ..Model::new(4) }),
        ("common mixture", Model { common, ..bright.clone() }),
        ("all, of seven", Model { common, variability: Some(0.02), endmembers: 7, ..bright }),
        ("common mixture without brightness", Model { common, ..Model::new(2) }),
        ("one endmember", Model { brightness: Some(0.3), ..Model::new(1) }),
    ]
}

fn nested<'a>(problem: &'a Problem, pixels: &'a Pixels) -> Nested<'a> {
    Nested::given(&problem.guide, pixels, &SceneNormal::of_guide(&problem.guide)).unwrap()
}

/// As [`nested`], with spectra that vary along shapes that bands share: some of them, so that there
/// are endmembers with all of their shapes, with some and with none.
fn varying<'a>(problem: &'a Problem, pixels: &'a Pixels, size: f64) -> Nested<'a> {
    let (k, bands) = (problem.model.endmembers, pixels.bands());
    let some = |at: usize| if at % 5 == 3 { 0.0 } else { 1.0 + at as f64 / 10.0 };
    let shared = Shared {
        sds: (0..k * SHAPES).map(|at| size * some(at)).collect(),
        noise_sds: (0..NOISE_SHAPES).map(|at| 0.1 * size * some(at + 3)).collect(),
        noise: (0..bands).map(|l| 4e-4 * (1.0 + l as f64 / 9.0)).collect(),
        variability: (0..k * bands).map(|at| 1e-4 * (1.0 + (at % 7) as f64)).collect(),
        // Sparser than that of the guide.
        dirichlet: Some((0..k).map(|i| 0.1 + 0.02 * (i % 4) as f64).collect()),
    };
    let scene = SceneNormal::of_guide(&problem.guide).varying(shared);
    Nested::given(&problem.guide, pixels, &scene).unwrap()
}

/// The largest difference of the two, in units that each answer is good to: means and quantiles
/// in posterior sds and 0.001 of a share, sds and brightness as a ratio.
fn difference(a: &Posterior, b: &Posterior) -> f64 {
    let mut worst = 0.0f64;
    let mut meet = |off: f32, unit: f32| worst = worst.max(f64::from(off.abs() / unit));
    for ((n, k), &sd) in a.abundance_sd.indexed_iter() {
        let unit = 0.05 * sd + 1e-3;
        meet(a.abundance_mean[[n, k]] - b.abundance_mean[[n, k]], unit);
        meet(a.abundance_q05[[n, k]] - b.abundance_q05[[n, k]], 2.0 * unit);
        meet(a.abundance_q50[[n, k]] - b.abundance_q50[[n, k]], 2.0 * unit);
        meet(a.abundance_q95[[n, k]] - b.abundance_q95[[n, k]], 2.0 * unit);
        meet(sd - b.abundance_sd[[n, k]], unit);
    }
    if let (Some(a), Some(b)) = (&a.brightness, &b.brightness) {
        a.iter().zip(b).for_each(|(a, b)| meet(a / b - 1.0, 2e-3));
    }
    worst
}

/// The mean difference of each quantile, in the units of [`difference`]: a share of what one value
/// may be off by, as a draw in another cell leads either way.
fn shift(a: &Posterior, b: &Posterior) -> f64 {
    let units = &a.abundance_sd * 0.05 + 1e-3;
    let pairs = [
        (&a.abundance_q05, &b.abundance_q05),
        (&a.abundance_q50, &b.abundance_q50),
        (&a.abundance_q95, &b.abundance_q95),
    ];
    let shift = |(a, b): (&Array2<f32>, &Array2<f32>)| {
        f64::from(((a - b) / &units).mean().unwrap_or(0.0).abs())
    };
    pairs.map(shift).into_iter().fold(0.0, f64::max)
}

/// Points are the same words on both, so that draws agree but for the rounding of logarithms: 1e-6
/// of a value, and now and then another cell of a table, one draw of 512. With another seed a mean
/// is off by the noise of some hundred weighted draws, a tenth of an sd.
#[test]
fn kernels_agree_with_their_twin_and_others_do_not() {
    let Some(adapter) = common::adapter() else { return };
    let mut zeros = 0;
    for (name, model) in models() {
        // More pixels than a group of sixteen, and not a multiple.
        let problem = Problem::new(model, Settings::default(), 37, 21);
        let pixels = problem.pixels();
        let nested_here = nested(&problem, &pixels);
        let cpu = Posterior::nested(&nested_here, Convention::Peak, &|| false).unwrap();
        let found =
            block_on(Posterior::nested_by(&nested_here, Convention::Peak, &adapter, &|| false));
        let gpu = found.unwrap().unwrap();
        let off = difference(&cpu, &gpu);
        println!(
            "{name}: {off:.3}, worth {:?}",
            cpu.draws_worth.as_ref().unwrap().iter().copied().fold(f32::INFINITY, f32::min)
        );
        assert!(off < 1.0, "{name}: {off}");
        let shift = shift(&cpu, &gpu);
        println!("{name}: quantiles {shift:.4}");
        assert!(shift < 0.02, "{name}: quantiles are off by {shift}");
        // Where a twentieth of the draws have nothing of an endmember, that is the quantile.
        let none = |of: &Posterior| of.abundance_q05.mapv(|q| q == 0.0);
        let (here, there) = (none(&cpu), none(&gpu));
        zeros += here.iter().filter(|&&none| none).count();
        assert!(here == there, "{name}: zeros are others");
        let worths = cpu.draws_worth.iter().zip(&gpu.draws_worth);
        for (a, b) in worths.flat_map(|(a, b)| a.iter().zip(b)) {
            // The number of rounds is another where the worth is near its bound.
            assert!((a / b - 1.0).abs() < 0.05 || (a.min(*b) - 100.0).abs() < 5.0, "{a} {b}");
        }
        let other = Settings { seed: 1, ..Settings::default() };
        let other = Problem::new(problem.model.clone(), other, 37, 21);
        let reseeded = nested(&other, &pixels);
        let other = Posterior::nested(&reseeded, Convention::Peak, &|| false).unwrap();
        let off = difference(&cpu, &other);
        // A single endmember has all of every pixel.
        assert!(off > 1.0 || problem.model.endmembers == 1, "{name}: {off} with another seed");
    }
    assert!(zeros > 50, "{zeros} quantiles of zero are too few to tell");
}

/// Sums over bands are made in another order than on the CPU, and what shapes explain is taken out
/// of them again: a few digits of seven.
#[test]
fn kernels_take_out_what_bands_share_as_their_twin_does() {
    let Some(adapter) = common::adapter() else { return };
    for (name, model) in models() {
        let problem = Problem::new(model, Settings::default(), 37, 21);
        let pixels = problem.pixels();
        let here = varying(&problem, &pixels, 0.1);
        let cpu = Posterior::nested(&here, Convention::Peak, &|| false).unwrap();
        let found = block_on(Posterior::nested_by(&here, Convention::Peak, &adapter, &|| false));
        let off = difference(&cpu, &found.unwrap().unwrap());
        println!("{name}: {off:.3}");
        assert!(off < 1.0, "{name}: {off}");
        let other = varying(&problem, &pixels, 0.15);
        let other = Posterior::nested(&other, Convention::Peak, &|| false).unwrap();
        let off = difference(&cpu, &other);
        assert!(off > 1.0 || problem.model.endmembers == 1, "{name}: {off} with other shapes");
    }
}

/// An interrupt is heard, and nothing comes of it.
#[test]
fn an_interrupt_leaves_nothing() {
    let Some(adapter) = common::adapter() else { return };
    let problem = Problem::new(Model::new(2), Settings::default(), 20, 9);
    let pixels = problem.pixels();
    let nested = nested(&problem, &pixels);
    let found = block_on(Posterior::nested_by(&nested, Convention::Peak, &adapter, &|| true));
    assert!(found.unwrap().is_none());
}

/// A part of a scene may hold no data at all: a device goes on with the next one.
#[test]
fn no_pixels_have_an_answer_without_rows() {
    let Some(adapter) = common::adapter() else { return };
    let problem = Problem::new(Model::new(2), Settings::default(), 20, 9);
    let none = Pixels::as_given(Cube::zeros(0, 9));
    let nested = nested(&problem, &none);
    let found = block_on(Posterior::nested_by(&nested, Convention::Peak, &adapter, &|| false));
    assert_eq!(found.unwrap().unwrap().abundance_mean.dim(), (0, 2));
}

/// What the kernels do not take is an error, which the CPU answers instead.
#[test]
fn more_endmembers_than_kernels_take_are_refused() {
    let Some(adapter) = common::adapter() else { return };
    let model = Model { brightness: Some(0.3), ..Model::new(32) };
    let problem = Problem::new(model, Settings::default(), 20, 33);
    let pixels = problem.pixels();
    let nested = nested(&problem, &pixels);
    let found = block_on(Posterior::nested_by(&nested, Convention::Peak, &adapter, &|| false));
    let error = found.unwrap_err().to_string();
    assert!(error.contains("32 endmembers"), "{error}");
}
