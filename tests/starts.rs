//! Starts: exact abundances, corners found, and a defined answer for every input.

use nalgebra::{DMatrix, DVector};
use ndarray::{Array2, array, s};
use proptest::prelude::*;
use rand::{RngExt, SeedableRng, rngs::ChaCha8Rng};
use std::collections::HashSet;
use unmixel::rooms::score::score;
use unmixel::rooms::starts::{Init, fcls, nfindr, nnls, purest, random, start, vca};
use unmixel::scene::Cube;
use unmixel::simulate::{Settings, simulate};

fn cube_of(spectra: &Array2<f64>) -> Cube {
    let mut cube = Cube::zeros(spectra.nrows(), spectra.ncols());
    for (pixel, spectrum) in spectra.outer_iter().enumerate() {
        let values = cube.spectrum_mut(pixel).iter_mut();
        values.zip(spectrum).for_each(|(to, &from)| *to = from as f32);
    }
    cube
}

fn uniform(rows: usize, cols: usize, rng: &mut ChaCha8Rng) -> Array2<f64> {
    Array2::from_shape_simple_fn((rows, cols), || rng.random())
}

/// Noise-free mixtures of at most 0.9 of anything, with the pure spectra at `pure`.
fn mixtures(endmembers: &Array2<f64>, n: usize, pure: &[usize], rng: &mut ChaCha8Rng) -> Cube {
    let k = endmembers.nrows();
    let mut shares = uniform(n, k, rng);
    for mut row in shares.rows_mut() {
        row.mapv_inplace(|u| -f64::ln(u + 1e-12));
        let sum = row.sum();
        row.mapv_inplace(|e| 0.9 * e / sum + 0.1 / k as f64);
        let top = row.iter().copied().fold(0.0, f64::max);
        if top > 0.9 {
            row.mapv_inplace(|w| 0.5 * w + 0.5 / k as f64);
        }
    }
    for (j, &pixel) in pure.iter().enumerate() {
        shares.row_mut(pixel).fill(0.0);
        shares[[pixel, j]] = 1.0;
    }
    cube_of(&shares.dot(endmembers))
}

fn spectra_of(cube: &Cube, pixels: &[usize]) -> Array2<f64> {
    Array2::from_shape_fn((pixels.len(), cube.bands()), |(j, l)| cube.spectrum(pixels[j])[l].into())
}

fn cost(spectrum: &[f32], endmembers: &Array2<f64>, shares: &[f64]) -> f64 {
    let fit = |l: usize| shares.iter().zip(endmembers.column(l)).map(|(w, c)| w * c).sum::<f64>();
    spectrum.iter().enumerate().map(|(l, &y)| (f64::from(y) - fit(l)).powi(2)).sum()
}

/// The best of the minima on all supports, each from its optimality equations.
fn by_enumeration(spectrum: &[f32], endmembers: &Array2<f64>) -> Vec<f64> {
    let k = endmembers.nrows();
    let mut best = (f64::INFINITY, vec![]);
    for mask in 1..1_u32 << k {
        let support: Vec<usize> = (0..k).filter(|j| mask >> j & 1 == 1).collect();
        let n = support.len();
        let matrix = DMatrix::from_fn(n + 1, n + 1, |a, b| match (a == n, b == n) {
            (false, false) => endmembers.row(support[a]).dot(&endmembers.row(support[b])),
            (true, true) => 0.0,
            _ => 1.0,
        });
        let rhs = DVector::from_fn(n + 1, |a, _| match a == n {
            true => 1.0,
            false => {
                let c = endmembers.row(support[a]);
                spectrum.iter().zip(c).map(|(&y, c)| f64::from(y) * c).sum()
            }
        });
        let Some(solution) = matrix.lu().solve(&rhs) else { continue };
        if (0..n).any(|a| solution[a] < 0.0) {
            continue;
        }
        let mut shares = vec![0.0; k];
        support.iter().enumerate().for_each(|(a, &j)| shares[j] = solution[a]);
        let here = cost(spectrum, endmembers, &shares);
        if here < best.0 {
            best = (here, shares);
        }
    }
    best.1
}

#[test]
fn fcls_agrees_with_the_enumeration_of_all_supports() {
    let rng = &mut ChaCha8Rng::seed_from_u64(1);
    let mut clipped_differs = 0;
    for trial in 0..60 {
        let k = 1 + trial % 5;
        let endmembers = uniform(k, 7, rng);
        // Far outside the simplex as well as inside: every kind of support occurs.
        let spectra = uniform(20, 7, rng) * 3.0 - 1.0;
        let inside = uniform(20, k, rng).dot(&endmembers) / k as f64;
        for cube in [cube_of(&spectra), cube_of(&inside)] {
            let shares = fcls(&cube, &endmembers).unwrap();
            for pixel in 0..cube.pixels() {
                let exact = by_enumeration(cube.spectrum(pixel), &endmembers);
                for (w, e) in shares.row(pixel).iter().zip(&exact) {
                    // Well-conditioned in f64; the result is rounded to f32, 6e-8.
                    assert!((f64::from(*w) - e).abs() < 1e-6, "{shares:?} {exact:?}");
                }
                clipped_differs += usize::from(exact.contains(&0.0));
            }
        }
    }
    // The comparison means something only if the constraints bind in many pixels.
    assert!(clipped_differs > 500, "{clipped_differs}");
}

#[test]
fn nnls_agrees_with_the_enumeration_of_all_supports() {
    let rng = &mut ChaCha8Rng::seed_from_u64(7);
    let (mut bound, mut apart) = (0, 0);
    for trial in 0..60 {
        let k = 1 + trial % 5;
        let endmembers = uniform(k, 7, rng);
        // Half of the pixels have every kind of sign, the others are mixtures of any total.
        let spectra = uniform(20, 7, rng) * 3.0 - 1.0;
        let inside = uniform(20, k, rng).dot(&endmembers);
        for cube in [cube_of(&spectra), cube_of(&inside)] {
            let amounts = nnls(&cube, &endmembers).unwrap();
            for pixel in 0..cube.pixels() {
                let mut best = (f64::INFINITY, vec![0.0; k]);
                for mask in 0..1_u32 << k {
                    let support: Vec<usize> = (0..k).filter(|j| mask >> j & 1 == 1).collect();
                    let n = support.len();
                    let matrix = DMatrix::from_fn(7, n, |l, a| endmembers[[support[a], l]]);
                    let y = DVector::from_fn(7, |l, _| f64::from(cube.spectrum(pixel)[l]));
                    // By singular values: no normal equations as in the solver.
                    let solution = match n {
                        0 => DVector::zeros(0),
                        _ => matrix.svd(true, true).solve(&y, 1e-12).unwrap(),
                    };
                    if solution.iter().any(|&w| w < 0.0) {
                        continue;
                    }
                    let mut shares = vec![0.0; k];
                    support.iter().enumerate().for_each(|(a, &j)| shares[j] = solution[a]);
                    let here = cost(cube.spectrum(pixel), &endmembers, &shares);
                    if here < best.0 {
                        best = (here, shares);
                    }
                }
                for (w, e) in amounts.row(pixel).iter().zip(&best.1) {
                    // Rounded to f32, 6e-8 of amounts up to 4; the rest is conditioning.
                    assert!((f64::from(*w) - e).abs() < 1e-6, "{amounts:?} {:?}", best.1);
                }
                bound += usize::from(best.1.contains(&0.0));
                apart += usize::from((best.1.iter().sum::<f64>() - 1.0).abs() > 0.1);
            }
        }
    }
    // The comparison means something only if the signs bind, and the sum is not one.
    assert!(bound > 500 && apart > 1000, "{bound} {apart}");
    assert!(nnls(&Cube::zeros(3, 4), &Array2::zeros((2, 5))).is_err());
    assert_eq!(
        nnls(&Cube::zeros(2, 4), &Array2::ones((2, 4))).unwrap(),
        Array2::<f32>::zeros((2, 2))
    );
}

#[test]
fn fcls_recovers_mixtures_of_similar_spectra() {
    // Spectra that differ by 1e-3: what is stored in f32 at 0.5 (3e-8) moves shares by about 1e-4.
    let rng = &mut ChaCha8Rng::seed_from_u64(2);
    let endmembers = 0.5 + 1e-3 * uniform(3, 50, rng);
    let truth = array![[0.2, 0.3, 0.5], [0.0, 0.4, 0.6], [1.0, 0.0, 0.0]];
    let shares = fcls(&cube_of(&truth.dot(&endmembers)), &endmembers).unwrap();
    for (w, t) in shares.iter().zip(&truth) {
        assert!((f64::from(*w) - t).abs() < 3e-4, "{shares}");
    }
}

#[test]
fn fcls_gives_the_share_of_equal_endmembers_to_the_first() {
    let (a, b) = ([0.1, 0.5, 0.9], [0.8, 0.2, 0.3]);
    let endmembers = ndarray::stack![ndarray::Axis(0), array![a, a, b], array![b, b, b]];
    let halves = array![[0.45, 0.35, 0.6]];
    let shares = fcls(&cube_of(&halves), &endmembers.slice(s![0, .., ..]).to_owned()).unwrap();
    for (w, expected) in shares.iter().zip([0.5, 0.0, 0.5]) {
        // f32 storage of the pixel, 3e-8, over differences of 0.3 and more.
        assert!((w - expected).abs() < 1e-6, "{shares}");
    }
    let same = fcls(&cube_of(&halves), &endmembers.slice(s![1, .., ..]).to_owned()).unwrap();
    assert_eq!(same, array![[1.0, 0.0, 0.0]]);
    let zero = fcls(&cube_of(&halves), &Array2::zeros((2, 3))).unwrap();
    assert_eq!(zero, array![[1.0, 0.0]]);
}

#[test]
fn fcls_fits_points_on_a_line_of_collinear_endmembers() {
    let (a, b) = (array![0.1, 0.5, 0.9], array![0.8, 0.2, 0.3]);
    let middle = (&a + &b) / 2.0;
    let pixel = (&a * 0.25 + &b * 0.75).insert_axis(ndarray::Axis(0));
    let endmembers = ndarray::stack![ndarray::Axis(0), a, middle, b];
    let cube = cube_of(&pixel);
    let shares = fcls(&cube, &endmembers).unwrap();
    let wide: Vec<f64> = shares.iter().map(|&w| w.into()).collect();
    // Exact fit but for rounding to f32 (6e-8) in the pixel and in the shares; squared, 1e-13.
    assert!(cost(cube.spectrum(0), &endmembers, &wide) < 1e-12, "{shares}");
}

#[test]
fn fcls_refuses_sizes_that_do_not_agree() {
    let cube = Cube::zeros(3, 4);
    let error = fcls(&cube, &Array2::zeros((2, 5))).unwrap_err().to_string();
    assert_eq!(
        error,
        "The endmembers have 5 bands and the cube has 4; give both at the same bands."
    );
    assert!(fcls(&cube, &Array2::zeros((0, 4))).is_err());
    assert_eq!(fcls(&Cube::zeros(0, 4), &Array2::ones((2, 4))).unwrap().dim(), (0, 2));
}

/// Values that break arithmetic, among ordinary ones.
fn hostile() -> impl Strategy<Value = f64> {
    prop_oneof![
        4 => -1.0..2.0_f64,
        2 => Just(0.0),
        1 => Just(1e-30),
        1 => Just(1e30),
        1 => Just(-1e18),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn fcls_is_on_the_simplex_whatever_comes(
        (k, bands) in (1_usize..7, 1_usize..10),
        values in prop::collection::vec(hostile(), 200),
        twins in any::<bool>(),
        spoilt in any::<bool>(),
    ) {
        let mut next = values.into_iter().cycle();
        let mut endmembers = Array2::from_shape_simple_fn((k, bands), || next.next().unwrap());
        if twins && k > 1 {
            let first = endmembers.row(0).to_owned();
            endmembers.row_mut(k - 1).assign(&first);
        }
        if spoilt {
            endmembers[[0, 0]] = f64::NAN;
        }
        let cube = cube_of(&Array2::from_shape_simple_fn((9, bands), || next.next().unwrap()));
        let amounts = nnls(&cube, &endmembers).unwrap();
        prop_assert!(amounts.iter().all(|&w| w >= 0.0), "{}", amounts);
        let shares = fcls(&cube, &endmembers).unwrap();
        for row in shares.rows() {
            prop_assert!(row.iter().all(|&w| (0.0..=1.0).contains(&w)), "{}", row);
            // K values rounded to f32 each.
            prop_assert!((row.sum() - 1.0).abs() < 1e-6, "{}", row);
        }
    }

    #[test]
    fn vca_takes_different_pixels_whatever_comes(
        (n, bands) in (1_usize..12, 1_usize..7),
        values in prop::collection::vec(hostile(), 60),
        seed in any::<u64>(),
        k in 1_usize..7,
    ) {
        let mut next = values.into_iter().cycle();
        let cube = cube_of(&Array2::from_shape_simple_fn((n, bands), || next.next().unwrap()));
        let k = k.min(n).min(bands);
        let found = [vca(&cube, k, seed), random(&cube, k, seed), nfindr(&cube, k, seed)];
        for picked in found.map(Result::unwrap) {
            prop_assert_eq!(picked.len(), k);
            prop_assert!(picked.iter().all(|&pixel| pixel < n));
            prop_assert_eq!(picked.iter().collect::<HashSet<_>>().len(), k);
        }
    }
}

#[test]
fn vca_finds_planted_pure_pixels() {
    for (k, bands) in [(2, 20), (3, 20), (5, 30), (8, 30), (4, 4), (6, 6)] {
        let rng = &mut ChaCha8Rng::seed_from_u64(k as u64);
        let endmembers = uniform(k, bands, rng);
        let planted: Vec<usize> = (0..k).map(|j| 17 + 31 * j).collect();
        let cube = mixtures(&endmembers, 400, &planted, rng);
        let mut chance = 0;
        for seed in 0..10 {
            let found: HashSet<usize> = vca(&cube, k, seed).unwrap().into_iter().collect();
            assert_eq!(found, planted.iter().copied().collect(), "K = {k}, L = {bands}");
            chance += usize::from(found == random(&cube, k, seed).unwrap().into_iter().collect());
        }
        // Random pixels do not find them: there is something to find.
        assert_eq!(chance, 0);
    }
}

#[test]
fn vca_is_not_drawn_to_nearly_black_pixels() {
    let rng = &mut ChaCha8Rng::seed_from_u64(5);
    let endmembers = uniform(3, 20, rng);
    let mut cube = mixtures(&endmembers, 300, &[10, 20, 30], rng);
    // All light in one band: a corner in perspective, were it not five orders too dark.
    cube.spectrum_mut(77).fill(0.0);
    cube.spectrum_mut(77)[4] = 1e-5;
    for seed in 0..10 {
        let mut found = vca(&cube, 3, seed).unwrap();
        found.sort_unstable();
        assert_eq!(found, [10, 20, 30]);
    }
}

#[test]
fn vca_with_one_endmember_takes_the_pixel_along_the_mean() {
    // The mean is (0.4, 0.4): pixel 2 lies along it, though pixel 0 and 1 are brighter.
    let cube = cube_of(&array![[0.9, 0.1], [0.1, 0.9], [0.2, 0.2], [0.0, 0.0]]);
    assert_eq!(vca(&cube, 1, 0).unwrap(), [2]);
    assert_eq!(vca(&Cube::zeros(1, 1), 1, 0).unwrap(), [0]);
}

#[test]
fn vca_repeats_no_spectrum_while_others_are_left() {
    // One direction only, each spectrum many times over: three different ones for K = 3.
    let shape = array![0.2, 0.4, 0.1, 0.3];
    let spectra = Array2::from_shape_fn((60, 4), |(pixel, l)| {
        shape[l] * [1.0, 1.0, 2.0, 1.0, 3.0][pixel % 5]
    });
    let cube = cube_of(&spectra);
    for seed in 0..10 {
        for picked in [vca(&cube, 3, seed).unwrap(), random(&cube, 3, seed).unwrap()] {
            let levels: HashSet<u32> =
                picked.iter().map(|&pixel| cube.spectrum(pixel)[0].to_bits()).collect();
            assert_eq!(levels.len(), 3, "{picked:?}");
        }
    }
}

#[test]
fn vca_does_not_depend_on_the_number_of_threads() {
    let scene =
        simulate(&Settings { rows: 61, cols: 83, bands: 30, ..Settings::default() }).unwrap();
    let flat = scene.cube.mapv(f64::from).into_shape_with_order((61 * 83, 30)).unwrap();
    let cube = cube_of(&flat);
    let with = |threads: usize, seed: u64| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| start(&cube, 3, &Init::Vca, false, seed).unwrap())
    };
    let one = with(1, 7);
    assert_eq!(one, with(2, 7));
    assert_eq!(one, with(5, 7));
    // Equality would be empty if every seed gave the same start.
    let random = |seed| start(&cube, 3, &Init::Random, false, seed).unwrap();
    assert_eq!(random(7), random(7));
    assert_ne!(random(7), random(8));
}

#[test]
fn purest_takes_the_mean_of_the_most_abundant_pixels() {
    // 10 pixels, so the least of 5 counts; spectra (pixel, pixel^2).
    let cube = cube_of(&Array2::from_shape_fn((10, 2), |(n, l)| (n as f64).powi(l as i32 + 1)));
    let mut shares = Array2::zeros((10, 3));
    for n in 0..10 {
        shares[[n, 0]] = n as f32 / 10.0;
        shares[[n, 1]] = if n < 7 { 1.0 } else { 0.5 };
    }
    let current = array![[9.0, 9.0], [9.0, 9.0], [0.3, 0.4]];
    let means = purest(&cube, &shares, &current).unwrap();
    // Pixels 5 to 9; all seven that tie at 1; and what no pixel holds stays. Small whole numbers
    // are exact.
    assert_eq!(means.row(0), array![7.0, 51.0]);
    assert_eq!(means.row(1), array![3.0, 13.0]);
    assert_eq!(means.row(2), array![0.3, 0.4]);
    assert!(purest(&cube, &shares, &Array2::zeros((3, 3))).is_err());
}

#[test]
fn purest_takes_ten_percent_of_a_large_scene_and_not_more_than_there_are() {
    let ramp = |n: usize| Array2::from_shape_fn((n, 1), |(pixel, _)| pixel as f64 + 1.0);
    let mean = |n: usize| {
        let shares = ramp(n).mapv(|v| (v / n as f64) as f32);
        purest(&cube_of(&ramp(n)), &shares, &Array2::zeros((1, 1))).unwrap()[[0, 0]]
    };
    // The last 100 of 1000 are 901 to 1000; of 2 pixels both count. Exact in f64.
    assert_eq!(mean(1000), 950.5);
    assert_eq!(mean(2), 1.5);
    // Six pure pixels of value 7 in a scene where 10 % are 100: the mixtures of value 1 stay out.
    let rare = |pixel: usize| if pixel < 6 { (1.0, 7.0) } else { (0.3, 1.0) };
    let shares = Array2::from_shape_fn((1000, 1), |(pixel, _)| rare(pixel).0 as f32);
    let cube = cube_of(&Array2::from_shape_fn((1000, 1), |(pixel, _)| rare(pixel).1));
    assert_eq!(purest(&cube, &shares, &Array2::zeros((1, 1))).unwrap()[[0, 0]], 7.0);
}

#[test]
fn a_start_beats_chance_on_a_simulated_scene() {
    let settings = Settings {
        rows: 60,
        cols: 50,
        bands: 100,
        endmembers: 4,
        brightness_sd: 0.0,
        ..Settings::default()
    };
    let scene = simulate(&settings).unwrap();
    let cube = cube_of(&scene.cube.mapv(f64::from).into_shape_with_order((3000, 100)).unwrap());
    let truth = scene.abundances.into_shape_with_order((3000, 4)).unwrap();
    let errors = |init: &Init| {
        let found = start(&cube, 4, init, false, 3).unwrap();
        let score = score(
            found.endmembers.view(),
            found.abundances.view(),
            Some(scene.endmembers.view()),
            Some(truth.view()),
        )
        .unwrap();
        (score.mean_sad.unwrap(), score.abundance_rmse.unwrap())
    };
    let (sad, rmse) = errors(&Init::Vca);
    // Noise of 0.01 averaged over 30 pixels leaves 0.002 on spectra of 0.02 (water) to 0.4.
    assert!(sad < 0.06 && rmse < 0.05, "{sad} {rmse}");
    // The paper's own choice of projection fails here, as the scene holds water: both are needed.
    let perspective = spectra_of(&cube, &vca(&cube, 4, 3).unwrap());
    let (paper_sad, _) = errors(&Init::Spectra(perspective));
    assert!(paper_sad > 2.0 * sad, "{paper_sad}");
    let (chance_sad, chance_rmse) = errors(&Init::Random);
    assert!(chance_sad > 2.0 * sad && chance_rmse > 2.0 * rmse, "{chance_sad} {chance_rmse}");
    // With the true spectra only noise is left in the abundances: 0.01 over spectra whose
    // differences have norms of 0.5 and more.
    let (exact_sad, exact_rmse) = errors(&Init::Spectra(scene.endmembers.clone()));
    assert!(exact_sad < 1e-7 && exact_rmse < 0.03, "{exact_sad} {exact_rmse}");
}

#[test]
fn refusals_name_the_option_and_the_way_out() {
    let cube = Cube::zeros(4, 3);
    let message = |k, init: &Init| start(&cube, k, init, false, 0).unwrap_err().to_string();
    assert_eq!(
        message(0, &Init::Vca),
        "endmembers 0: a scene needs at least 1 endmember; give 1 or more."
    );
    assert_eq!(
        message(4, &Init::Random),
        "endmembers 4: the scene has 3 bands in use, and no more endmembers than bands can be \
         told apart; give 1 to 3."
    );
    let narrow = start(&Cube::zeros(2, 9), 5, &Init::Vca, false, 0).unwrap_err().to_string();
    assert!(narrow.starts_with("endmembers 5: the scene has only 2 valid pixels"), "{narrow}");
    assert!(start(&Cube::zeros(0, 9), 1, &Init::Vca, true, 0).is_err());

    let wrong = message(2, &Init::Spectra(Array2::zeros((3, 3))));
    assert!(wrong.starts_with("init: it gives 3 spectra"), "{wrong}");
    let wrong = message(2, &Init::Spectra(Array2::zeros((2, 5))));
    assert!(wrong.starts_with("init: its spectra have 5 bands, but the scene has 3"), "{wrong}");
    let wrong = message(2, &Init::Spectra(array![[0.0, 1.0, 2.0], [0.0, f64::NAN, 0.0]]));
    assert!(wrong.starts_with("init: spectrum 2 holds NaN in band 2"), "{wrong}");

    let mut holed = cube.clone();
    holed.spectrum_mut(2)[1] = f32::NAN;
    let given = Init::Spectra(Array2::zeros((1, 3)));
    for init in Init::FAMILIES.into_iter().chain([given]) {
        let wrong = start(&holed, 1, &init, true, 0).unwrap_err().to_string();
        assert!(wrong.starts_with("Pixel 2 of the cube holds NaN in band 1"), "{wrong}");
    }
    // Far behind the block of values that is looked at first.
    let mut large = Cube::zeros(1000, 3);
    large.spectrum_mut(700)[2] = f32::INFINITY;
    let wrong = start(&large, 1, &Init::Vca, true, 0).unwrap_err().to_string();
    assert!(wrong.starts_with("Pixel 700 of the cube holds inf in band 2"), "{wrong}");
}

#[test]
fn a_start_of_nothing_but_zeros_is_finite() {
    let given = Init::Spectra(Array2::zeros((3, 5)));
    for init in Init::FAMILIES.into_iter().chain([given]) {
        let start = start(&Cube::zeros(6, 5), 3, &init, true, 0).unwrap();
        assert!(start.endmembers.iter().all(|&v| v == 0.0));
        assert!(start.abundances.rows().into_iter().all(|row| row.sum() == 1.0));
    }
}
