//! Coverage where it is known: truths drawn from the guide itself.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod common;

use common::{Problem, normal};
use ndarray::Array2;
use unmixel::convention::{Convention, convert};
use unmixel::engine::ground::math::softplus;
use unmixel::engine::model::{Family, Model};
use unmixel::engine::svi::Settings;
use unmixel::score::calibration::{Known, coverage, place, places};

const LEVELS: [f64; 4] = [0.5, 0.8, 0.9, 0.95];

/// Whether all coverages are what they should be, but for five standard errors of a share of
/// `count` independent truths.
fn nominal(places: &[f64], count: usize) -> bool {
    LEVELS.iter().all(|&level| {
        let error = (level * (1.0 - level) / count as f64).sqrt();
        (coverage(places, level).unwrap() - level).abs() < 5.0 * error
    })
}

#[test]
fn intervals_of_a_known_normal_are_nominal_and_half_as_wide_ones_are_not() {
    let count = 2000;
    let with = |width: f64| -> Vec<f64> {
        (0..count)
            .map(|i| {
                let draws =
                    (0..399).map(|d| 3.0 + width * 2.0 * normal(8, i * 399 + d)).map(|x| (x, 1.0));
                place(&(3.0 + 2.0 * normal(9, i)), draws)
            })
            .collect()
    };
    assert!(nominal(&with(1.0), count as usize));
    assert!(!nominal(&with(0.5), count as usize));
    assert!(!nominal(&with(2.0), count as usize));
    // 90 % of a normal half as wide reach 0.822 sds: 59 % of the truths.
    let half = coverage(&with(0.5), 0.9).unwrap();
    assert!((half - 0.589).abs() < 5.0 * 0.011, "{half}");
}

/// A fit that says what its guide says, with truths drawn from a guide `wider` times as wide.
fn drawn(family: Family, convention: Convention, wider: f64) -> (Vec<f64>, Vec<f64>) {
    let model = Model { family, brightness: Some(1.0), ..Model::new(3) };
    let problem = Problem::new(model, Settings::default(), 700, 230);
    let (p, mut fit) = (problem.params, problem.guide.clone());
    let (g, latents, stride) = (p.globals as usize, p.latents as usize, p.local_stride as usize);
    for (n, guide) in fit.locals.chunks_exact_mut(stride).enumerate() {
        guide[latents..2 * latents].fill(-0.7);
        for (i, t) in guide[2 * latents..].iter_mut().enumerate() {
            *t = normal(21, (3 * n + i) as u32) as f32;
        }
    }
    let of = |j: usize| (f64::from(fit.globals[j]), wider * f64::from(fit.globals[g + j]).exp());
    let endmembers = Array2::from_shape_fn((3, 230), |(k, l)| {
        let (loc, scale) = of(k * p.stride() + l);
        softplus(loc + scale * normal(22, (230 * k + l) as u32))
    });
    let mut abundances = Array2::<f32>::zeros((700, 3));
    for (n, mut row) in abundances.rows_mut().into_iter().enumerate() {
        let guide: Vec<f64> =
            fit.locals[n * stride..][..stride].iter().map(|&x| x.into()).collect();
        let eps: Vec<f64> = (0..2).map(|i| normal(23, (2 * n + i) as u32)).collect();
        // Equation 8, written out for two logits.
        let t = if stride > 2 * latents { guide[2 * latents] } else { 0.0 };
        let x = [eps[0], eps[1] + t * eps[0]];
        let z = [0, 1].map(|j| (guide[j] + wider * guide[latents + j].exp() * x[j]).exp());
        let sum = z[0] + z[1] + 1.0;
        row.assign(&ndarray::arr1(&[z[0] / sum, z[1] / sum, 1.0 / sum].map(|w| w as f32)));
    }
    let (c, w) = convert(endmembers.view(), abundances.view(), convention).unwrap();
    // The estimate has its endmembers in another order than the truth.
    let order = [2, 0, 1];
    let (c, w) = (c.select(ndarray::Axis(0), &order), w.select(ndarray::Axis(1), &order));
    let (endmembers, abundances) = (c.view(), w.view());
    let truth = Known { convention, endmembers, abundances, matching: &order };
    let places = places(&fit, &problem.pixels(), &truth).unwrap();
    (places.abundances, places.endmembers)
}

#[test]
fn truths_drawn_from_the_guide_are_covered_as_promised() {
    for family in [Family::MeanField, Family::FullRank] {
        let (abundances, endmembers) = drawn(family, Convention::Reflectance, 1.0);
        // The three abundances of a pixel count as one truth.
        assert!(nominal(&abundances, 700), "{family:?}");
        assert!(nominal(&endmembers, 690), "{family:?}");
        let (abundances, endmembers) = drawn(family, Convention::Reflectance, 2.0);
        assert!(!nominal(&abundances, 700), "{family:?}");
        assert!(!nominal(&endmembers, 690), "{family:?}");
    }
}

#[test]
fn conversion_to_peaks_keeps_abundances_covered() {
    let (abundances, _) = drawn(Family::FullRank, Convention::Peak, 1.0);
    assert!(nominal(&abundances, 700));
}

#[test]
fn sizes_that_do_not_agree_are_refused() {
    let problem = Problem::new(Model::new(3), Settings::default(), 20, 6);
    let (c, w) = (problem.endmembers.view(), problem.abundances.view());
    let with = |endmembers, abundances, matching: &[usize]| {
        let convention = Convention::Reflectance;
        places(
            &problem.guide,
            &problem.pixels(),
            &Known { convention, endmembers, abundances, matching },
        )
    };
    assert!(with(c, w, &[0, 1, 2]).is_ok());
    for refused in [
        with(c.slice(ndarray::s![.., 1..]), w, &[0, 1, 2]),
        with(c, w.slice(ndarray::s![1.., ..]), &[0, 1, 2]),
        with(c, w, &[0, 1]),
        with(c, w, &[0, 1, 3]),
    ] {
        assert!(refused.unwrap_err().to_string().contains("sizes must agree"));
    }
}
