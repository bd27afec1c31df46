//! Scores against closed forms and against brute force.

use ndarray::{Array1, Array2, array, s};
use proptest::prelude::*;
use rand::{RngExt, SeedableRng, rngs::ChaCha8Rng};
use std::f64::consts::{FRAC_PI_2, FRAC_PI_4, PI};
use unmixel::rooms::convention::{Convention, convert};
use unmixel::rooms::score::{sad, score};

fn angle(a: &[f64], b: &[f64]) -> f64 {
    sad(Array1::from(a.to_vec()).view(), Array1::from(b.to_vec()).view())
}

fn uniform(rows: usize, cols: usize, rng: &mut ChaCha8Rng) -> Array2<f64> {
    Array2::from_shape_simple_fn((rows, cols), || rng.random())
}

fn simplex(n: usize, k: usize, rng: &mut ChaCha8Rng) -> Array2<f32> {
    let mut shares = uniform(n, k, rng);
    for mut row in shares.rows_mut() {
        let sum = row.sum();
        row /= sum;
    }
    shares.mapv(|w| w as f32)
}

/// Columns `order[j]` of `from` at j.
fn columns(from: &Array2<f32>, order: &[usize]) -> Array2<f32> {
    from.select(ndarray::Axis(1), order)
}

fn permutations(k: usize) -> Vec<Vec<usize>> {
    if k == 0 {
        return vec![vec![]];
    }
    let mut all = vec![];
    for shorter in permutations(k - 1) {
        for at in 0..k {
            let mut longer = shorter.clone();
            longer.insert(at, k - 1);
            all.push(longer);
        }
    }
    all
}

#[test]
fn spectral_angles_have_their_closed_forms() {
    // A few roundings of f64 each.
    let close = |found: f64, expected: f64| assert!((found - expected).abs() < 1e-15, "{found}");
    close(angle(&[1.0, 0.0], &[1.0, 1.0]), FRAC_PI_4);
    close(angle(&[1.0, 0.0], &[0.0, 5.0]), FRAC_PI_2);
    close(angle(&[1.0, 2.0], &[-2.0, -4.0]), PI);
    close(angle(&[0.3, 0.2, 0.7], &[0.6, 0.4, 1.4]), 0.0);
    close(angle(&[1e300, 1e300], &[1e-300, 0.0]), FRAC_PI_4);
    // tan(angle) = 1e-9: the arc cosine of a rounded cosine gives 0 or 2e-8.
    let small = angle(&[1.0, 0.0], &[1.0, 1e-9]);
    assert!((small / 1e-9 - 1.0).abs() < 1e-6, "{small}");
}

#[test]
fn an_angle_that_does_not_exist_is_a_right_angle() {
    assert_eq!(angle(&[0.0, 0.0], &[1.0, 1.0]), FRAC_PI_2);
    assert_eq!(angle(&[], &[]), FRAC_PI_2);
    assert_eq!(angle(&[f64::NAN, 1.0], &[1.0, 1.0]), FRAC_PI_2);
    assert_eq!(angle(&[1.0, 1.0], &[1.0, f64::INFINITY]), FRAC_PI_2);
}

#[test]
fn a_permuted_truth_scores_zero_and_the_matching_undoes_the_permutation() {
    let rng = &mut ChaCha8Rng::seed_from_u64(0);
    let (truth, shares) = (uniform(5, 12, rng), simplex(30, 5, rng));
    for order in permutations(5) {
        let estimate = truth.select(ndarray::Axis(0), &order);
        let found = score(
            estimate.view(),
            columns(&shares, &order).view(),
            Some(truth.view()),
            Some(shares.view()),
        )
        .unwrap();
        // Estimate e holds truth order[e].
        assert!((0..5).all(|t| order[found.matching[t]] == t), "{order:?} {found:?}");
        // Equal spectra in equal arithmetic.
        assert_eq!(found.mean_sad, Some(0.0));
        assert_eq!(found.abundance_rmse, Some(0.0));
    }
}

#[test]
fn errors_are_not_zero_when_something_is_wrong() {
    let rng = &mut ChaCha8Rng::seed_from_u64(1);
    let (truth, shares) = (uniform(3, 12, rng), simplex(30, 3, rng));
    // One spectrum spoilt: only its angle moves. Two columns of abundances exchanged: the
    // spectra's matching stands, and both columns are in error.
    let mut spoilt = truth.clone();
    spoilt[[1, 4]] += 0.3;
    let exchanged = columns(&shares, &[0, 2, 1]);
    let found =
        score(spoilt.view(), exchanged.view(), Some(truth.view()), Some(shares.view())).unwrap();
    assert_eq!(found.matching, [0, 1, 2]);
    let sad = found.sad.unwrap();
    assert!(sad[0] == 0.0 && sad[1] > 0.05 && sad[2] == 0.0, "{sad:?}");
    // The mean of three, of which two are zero.
    assert!((found.mean_sad.unwrap() - sad[1] / 3.0).abs() < 1e-15);
    let each = found.abundance_rmse_each.unwrap();
    assert!(each[0] == 0.0 && each[1] > 0.1 && each[2] == each[1], "{each:?}");
}

#[test]
fn pooled_rmse_is_the_root_over_pixels_and_endmembers() {
    let truth = array![[1.0_f32, 0.0], [0.5, 0.5], [f32::NAN, 0.5], [0.25, 0.75]];
    let found = array![[0.5_f32, 0.5], [0.5, 0.5], [9.0, 9.0], [0.0, 1.0]];
    let spectra = array![[1.0, 0.0], [0.0, 1.0]];
    let result =
        score(spectra.view(), found.view(), Some(spectra.view()), Some(truth.view())).unwrap();
    // Errors 0.5, 0, 0.25 in both columns; the third pixel has no truth. Squares of binary
    // fractions are exact, the mean and the root round once each.
    let expected = ((0.25 + 0.0625) / 3.0_f64).sqrt();
    assert!((result.abundance_rmse.unwrap() - expected).abs() < 1e-15);
    assert_eq!(result.pixels, Some(3));
    // Pooled is not the mean of each: errors of 0 and 1 pool to the root of a half.
    let found = array![[0.0_f32, 1.0]];
    let truth = array![[0.0_f32, 0.0]];
    let result =
        score(spectra.view(), found.view(), Some(spectra.view()), Some(truth.view())).unwrap();
    assert!((result.abundance_rmse.unwrap() - 0.5_f64.sqrt()).abs() < 1e-15);
    assert_eq!(result.abundance_rmse_each.unwrap(), [0.0, 1.0]);
}

#[test]
fn without_true_spectra_abundances_decide_and_without_abundances_spectra() {
    let rng = &mut ChaCha8Rng::seed_from_u64(2);
    let (truth, shares) = (uniform(4, 9, rng), simplex(40, 4, rng));
    let order = [2, 0, 3, 1];
    let mixed = columns(&shares, &order);
    // The estimate's own spectra say otherwise and are not asked.
    let found = score(truth.view(), mixed.view(), None, Some(shares.view())).unwrap();
    assert!((0..4).all(|t| order[found.matching[t]] == t), "{found:?}");
    assert_eq!((found.abundance_rmse, found.sad, found.mean_sad), (Some(0.0), None, None));

    let found = score(truth.view(), mixed.view(), Some(truth.view()), None).unwrap();
    assert_eq!(found.matching, [0, 1, 2, 3]);
    assert_eq!((found.abundance_rmse, found.abundance_rmse_each, found.pixels), (None, None, None));
}

#[test]
fn matching_minimises_the_sum_and_not_one_pair_at_a_time() {
    // In the plane: truths at 0 and 20 degrees, estimates at 11 and 40. The closest pair (20, 11)
    // taken first leaves (0, 40): 49 degrees in all; the other way round 31.
    let at = |degrees: f64| [degrees.to_radians().cos(), degrees.to_radians().sin()];
    let truth = array![at(0.0), at(20.0)];
    let estimate = array![at(40.0), at(11.0)];
    let shares = Array2::zeros((1, 2));
    let found = score(estimate.view(), shares.view(), Some(truth.view()), None).unwrap();
    assert_eq!(found.matching, [1, 0]);
    // Degrees through cosines and back: a few roundings.
    assert!((found.mean_sad.unwrap() - 15.5_f64.to_radians()).abs() < 1e-14);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn matching_agrees_with_the_best_of_all_permutations(k in 1_usize..6, seed in any::<u64>()) {
        let rng = &mut ChaCha8Rng::seed_from_u64(seed);
        let (truth, estimate) = (uniform(k, 4, rng), uniform(k, 4, rng));
        let total = |matching: &[usize]| -> f64 {
            matching.iter().enumerate().map(|(t, &e)| sad(truth.row(t), estimate.row(e))).sum()
        };
        let best = permutations(k).iter().map(|p| total(p)).fold(f64::INFINITY, f64::min);
        let shares = Array2::zeros((1, k));
        let found = score(estimate.view(), shares.view(), Some(truth.view()), None).unwrap();
        // Costs are rounded to 2^-50 of the largest before they are compared.
        prop_assert!((total(&found.matching) - best).abs() < 1e-13);
        prop_assert!((found.mean_sad.unwrap() * k as f64 - best).abs() < 1e-13);
    }

    #[test]
    fn peak_abundances_mix_to_the_same_shape(k in 1_usize..6, seed in any::<u64>()) {
        let rng = &mut ChaCha8Rng::seed_from_u64(seed);
        let (spectra, shares) = (uniform(k, 7, rng) + 0.01, simplex(8, k, rng));
        let (peaked, moved) = convert(spectra.view(), shares.view(), Convention::Peak).unwrap();
        for (before, after) in shares.rows().into_iter().zip(moved.rows()) {
            let wide = |row: ndarray::ArrayView1<f32>| row.mapv(f64::from);
            // Brightness apart the mixture stays; shares are rounded to f32, 6e-8 each.
            let moved_by = sad(wide(before).dot(&spectra).view(), wide(after).dot(&peaked).view());
            prop_assert!(moved_by < 1e-6, "{}", moved_by);
            prop_assert!((after.sum() - 1.0).abs() < 1e-6);
        }
    }
}

#[test]
fn conventions_have_their_closed_forms() {
    let spectra = array![[0.1, 0.5], [0.25, 0.05], [0.0, 0.0]];
    let shares = array![[0.2_f32, 0.8, 0.0], [0.0, 0.0, 1.0], [0.0, 0.0, 0.0]];
    let (same, same_shares) =
        convert(spectra.view(), shares.view(), Convention::Reflectance).unwrap();
    assert_eq!((&same, &same_shares), (&spectra, &shares));

    let (peaked, moved) = convert(spectra.view(), shares.view(), Convention::Peak).unwrap();
    assert_eq!(peaked, array![[0.2, 1.0], [1.0, 0.2], [0.0, 0.0]]);
    // 0.2 * 0.5 : 0.8 * 0.25 = 1 : 2, rounded to f32; what has no peak and what has no sum stays.
    assert!((moved[[0, 0]] - 1.0 / 3.0).abs() < 1e-7 && (moved[[0, 1]] - 2.0 / 3.0).abs() < 1e-7);
    assert_eq!(moved.slice(s![1.., ..]), shares.slice(s![1.., ..]));
    // Peak-normalised spectra have a peak of one: again changes nothing but rounding to f32.
    let (again, again_shares) = convert(peaked.view(), moved.view(), Convention::Peak).unwrap();
    assert_eq!(again, peaked);
    assert!(again_shares.iter().zip(&moved).all(|(a, b)| (a - b).abs() < 1e-6));
}

#[test]
fn scores_depend_on_the_convention() {
    let rng = &mut ChaCha8Rng::seed_from_u64(3);
    let spectra = array![[0.1, 0.5], [0.25, 0.05]];
    let shares = simplex(20, 2, rng);
    let (peaked, moved) = convert(spectra.view(), shares.view(), Convention::Peak).unwrap();
    let found =
        score(spectra.view(), shares.view(), Some(peaked.view()), Some(moved.view())).unwrap();
    // Angles do not see a scale (rounding apart), abundances do: 0.5 becomes 2/3.
    assert!(found.mean_sad.unwrap() < 1e-15, "{found:?}");
    assert!(found.abundance_rmse.unwrap() > 0.05, "{found:?}");
}

#[test]
fn refusals_are_sentences_that_say_what_to_do() {
    let (spectra, shares) = (Array2::<f64>::ones((3, 4)), Array2::<f32>::ones((5, 3)));
    let message = |truth: Option<Array2<f64>>, true_shares: Option<Array2<f32>>| {
        score(
            spectra.view(),
            shares.view(),
            truth.as_ref().map(|t| t.view()),
            true_shares.as_ref().map(|t| t.view()),
        )
        .unwrap_err()
        .to_string()
    };
    let no_match = "The truth has 4 endmembers and the estimate has 3; only equal numbers can be \
                    matched, so fit with 4 endmembers or give another truth.";
    assert_eq!(message(Some(Array2::ones((4, 4))), None), no_match);
    assert_eq!(message(None, Some(Array2::ones((5, 4)))), no_match);
    assert!(message(Some(Array2::ones((3, 6))), None).contains("6 bands"));
    assert!(message(None, Some(Array2::ones((6, 3)))).contains("6 pixels"));
    assert!(message(None, None).starts_with("There is no truth"));
    assert!(message(None, Some(Array2::from_elem((5, 3), f32::NAN))).contains("no pixel"));
    let holed = array![[1.0, 1.0, 1.0, 1.0], [1.0, f64::NAN, 1.0, 1.0], [1.0, 1.0, 1.0, 1.0]];
    assert!(message(Some(holed), None).contains("spectrum 2 holds NaN in band 2"));

    let mut bad = shares.clone();
    bad[[4, 1]] = f32::INFINITY;
    let wrong = score(spectra.view(), bad.view(), None, Some(shares.view())).unwrap_err();
    assert!(wrong.to_string().contains("abundance of inf in pixel 4"), "{wrong}");
    let none = Array2::<f64>::ones((0, 4));
    assert!(score(none.view(), Array2::ones((5, 0)).view(), None, Some(shares.view())).is_err());
    assert!(convert(spectra.view(), Array2::ones((5, 2)).view(), Convention::Peak).is_err());
}

#[test]
fn a_score_is_written_as_json_with_its_names() {
    let spectra = array![[1.0, 0.0], [0.0, 1.0]];
    let shares = array![[0.5_f32, 0.5]];
    let found = score(spectra.view(), shares.view(), Some(spectra.view()), None).unwrap();
    let json = serde_json::to_value(&found).unwrap();
    assert_eq!(json["matching"], serde_json::json!([0, 1]));
    assert_eq!(json["mean_sad"], serde_json::json!(0.0));
    assert!(json["abundance_rmse"].is_null());
    assert_eq!(serde_json::to_value(Convention::Peak).unwrap(), "peak");
}
