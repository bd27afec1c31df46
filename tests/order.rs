//! What leaves a fit follows the rows of the cube, whatever the order in which the engine had its
//! pixels.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use common::Problem;
use ndarray::Array2;
use unmixel::Convention;
use unmixel::engine::guide::Guide;
use unmixel::engine::model::Model;
use unmixel::engine::pixels::Pixels;
use unmixel::engine::svi::Settings;
use unmixel::rooms::posterior::Posterior;
use unmixel::rooms::posterior::draws::Draws;
use unmixel::rooms::posterior::nested::Nested;
use unmixel::rooms::score::calibration::{Known, nested_places, places};
use unmixel::rooms::starts;

const PIXELS: usize = 90;

fn problem() -> Problem {
    let model = Model { brightness: Some(0.5), ..Model::new(3) };
    Problem::new(model, Settings::default(), PIXELS, 8)
}

/// The guide that a fit of these pixels begins with.
fn begin(problem: &Problem, pixels: &Pixels) -> Guide {
    let spectra = problem.endmembers.clone();
    starts::begin(&problem.model, &problem.settings, pixels, spectra).unwrap()
}

#[test]
fn the_posterior_of_shuffled_pixels_is_that_of_the_pixels_as_they_lie() {
    let problem = problem();
    let (lie, shuffled) = (problem.pixels(), Pixels::of(&problem.cube));
    let (guide, other) = (begin(&problem, &lie), begin(&problem, &shuffled));
    assert_ne!(guide.locals, other.locals, "the guide has them in the engine's order");
    let convention = Convention::Reflectance;
    let (expected, found) =
        (Posterior::new(&guide, &lie, convention), Posterior::new(&other, &shuffled, convention));
    // The draws of a pixel are the same points for all of them: equal, not close.
    assert_eq!(found.abundance_mean, expected.abundance_mean);
    assert_eq!(found.abundance_sd, expected.abundance_sd);
    assert_eq!(found.brightness, expected.brightness);
    assert_eq!(found.residual, expected.residual);
    // With the engine's order taken for the cube's it is another one.
    let wrong = Posterior::new(&other, &lie, convention);
    assert_ne!(wrong.abundance_mean, expected.abundance_mean);
    assert_ne!(wrong.residual, expected.residual);
}

#[test]
fn a_sample_of_pixels_comes_back_in_the_order_of_the_cube() {
    let problem = problem();
    let sample = Pixels::sample(&problem.cube, 30);
    let every: Vec<usize> = (0..PIXELS).step_by(3).collect();
    let lie = Pixels::as_given(problem.cube.select(&every));
    let of = |pixels: &Pixels| {
        let guide = begin(&problem, pixels);
        Posterior::new(&guide, pixels, Convention::Reflectance).abundance_mean
    };
    assert_eq!(of(&sample).dim(), (30, 3));
    assert_eq!(of(&sample), of(&lie));
}

/// Largest difference of means of draws from these means, in sds.
fn off(draws: &Draws, posterior: &Posterior) -> f32 {
    let mut largest = 0.0f32;
    for n in 0..PIXELS {
        let drawn = draws.abundances(n);
        for k in 0..3 {
            let mean = drawn.iter().map(|w| w[k]).sum::<f32>() / drawn.len() as f32;
            let (expected, sd) = (posterior.abundance_mean[[n, k]], posterior.abundance_sd[[n, k]]);
            largest = largest.max((mean - expected).abs() / sd);
        }
    }
    largest
}

#[test]
fn draws_of_a_pixel_are_those_of_its_row() {
    let problem = problem();
    let (lie, shuffled) = (problem.pixels(), Pixels::of(&problem.cube));
    let guide = begin(&problem, &shuffled);
    let convention = Convention::Reflectance;
    let posterior = Posterior::new(&guide, &shuffled, convention);
    // Means of 400 draws are off by a twentieth of an sd, and the largest of 270 by four times
    // that.
    let right = off(&Draws::new(&guide, &shuffled, convention, 400), &posterior);
    assert!(right < 0.25, "{right}");
    let wrong = off(&Draws::new(&guide, &lie, convention, 400), &posterior);
    assert!(wrong > 1.0, "{wrong}");
}

/// The mean of how far apart numbers are.
fn apart(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).sum::<f64>() / a.len() as f64
}

fn known<'a>(endmembers: &'a Array2<f64>, abundances: &'a Array2<f32>) -> Known<'a> {
    let (endmembers, abundances) = (endmembers.view(), abundances.view());
    Known { convention: Convention::Reflectance, endmembers, abundances, matching: &[0, 1, 2] }
}

#[test]
fn truths_are_placed_in_the_order_of_the_cube() {
    let problem = problem();
    let (lie, shuffled) = (problem.pixels(), Pixels::of(&problem.cube));
    let (guide, other) = (begin(&problem, &lie), begin(&problem, &shuffled));
    let truth = known(&problem.endmembers, &problem.abundances);
    let expected = places(&guide, &lie, &truth).unwrap().abundances;
    let found = places(&other, &shuffled, &truth).unwrap().abundances;
    // Places move with the draws, which are many for each pixel and few for the scene: other draws
    // in the order of the image tell by how much.
    let mut reseeded = begin(&problem, &lie);
    reseeded.params.seed_low ^= 1;
    let again = places(&reseeded, &lie, &truth).unwrap().abundances;
    let (noise, off) = (apart(&again, &expected), apart(&found, &expected));
    assert!(off < 1.5 * noise && noise < 0.06, "{off} {noise}");
    let wrong = places(&other, &lie, &truth).unwrap().abundances;
    assert!(apart(&wrong, &expected) > 0.15, "{}", apart(&wrong, &expected));

    // The spectra's part is found once: from a guide that no step has fitted, Newton's method comes
    // to rest with some draws and not with others.
    let scene = Nested::new(&guide, &lie, None, &|| false).unwrap().unwrap().scene();
    let nested = |guide: &Guide, pixels: &Pixels, abundances: &Array2<f32>| {
        let nested = Nested::given(guide, pixels, &scene).unwrap();
        let posterior = Posterior::nested(&nested, Convention::Reflectance, &|| false).unwrap();
        let means: Vec<f64> = posterior.abundance_mean.iter().map(|&w| w.into()).collect();
        (means, nested_places(&nested, &known(&problem.endmembers, abundances)).unwrap().abundances)
    };
    let (means, expected) = nested(&guide, &lie, &problem.abundances);
    let (found_means, found) = nested(&other, &shuffled, &problem.abundances);
    // 800 weighted draws, of which some hundred count.
    assert!(apart(&found_means, &means) < 0.01, "{}", apart(&found_means, &means));
    assert!(apart(&found, &expected) < 0.06, "{}", apart(&found, &expected));
    let mut reversed = problem.abundances.clone();
    reversed.invert_axis(ndarray::Axis(0));
    let (_, wrong) = nested(&other, &shuffled, &reversed);
    assert!(apart(&wrong, &expected) > 0.15, "{}", apart(&wrong, &expected));
}
