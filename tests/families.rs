//! Families of starts and candidates for moves: what each is there for, and odd scenes.
#![allow(clippy::unwrap_used, clippy::panic)]

use ndarray::{Array2, Axis, array, concatenate};
use rand::{RngExt, SeedableRng, rngs::ChaCha8Rng};
use unmixel::scene::Cube;
use unmixel::score::{match_spectra, sad};
use unmixel::simulate::{Settings, Simulated, simulate};
use unmixel::starts::{
    Init, Proposal, choose_from_library, cluster_candidates, families, fcls_with_brightness,
    nfindr, residual_candidates, start,
};

fn cube_of(spectra: &Array2<f64>) -> Cube {
    let mut cube = Cube::zeros(spectra.nrows(), spectra.ncols());
    for (pixel, spectrum) in spectra.outer_iter().enumerate() {
        let values = cube.spectrum_mut(pixel).iter_mut();
        values.zip(spectrum).for_each(|(to, &from)| *to = from as f32);
    }
    cube
}

/// A shaded scene with water; its last endmember fills 0.3 % and is 0.12 rad from the first.
fn hard(seed: u64) -> (Simulated, Cube) {
    let simulated = simulate(&Settings {
        rows: 80,
        cols: 90,
        bands: 60,
        endmembers: 4,
        noise_sd: 0.004,
        brightness_sd: 0.3,
        rare_share: 0.003,
        close_angle: 0.12,
        seed,
        ..Settings::default()
    })
    .unwrap();
    let cube = simulated.scene("hard").unwrap().cube().clone();
    (simulated, cube)
}

/// Twice the area of a triangle of pixels in the first two bands.
fn area(points: &Array2<f64>, corners: &[usize]) -> f64 {
    let side = |a: usize, b: usize, axis| points[[corners[b], axis]] - points[[corners[a], axis]];
    (side(0, 1, 0) * side(0, 2, 1) - side(0, 1, 1) * side(0, 2, 0)).abs()
}

#[test]
fn nfindr_finds_the_largest_triangle() {
    let rng = &mut ChaCha8Rng::seed_from_u64(3);
    let mut largest = 0;
    for seed in 0..30 {
        // Two directions only, so that areas are the same before and after the projection.
        let mut points = Array2::from_shape_simple_fn((14, 3), || rng.random::<f64>());
        points.column_mut(2).fill(0.5);
        points.mapv_inplace(|v| f64::from(v as f32));
        let found = nfindr(&cube_of(&points), 3, seed).unwrap();
        let own = area(&points, &found);
        let mut most = 0.0_f64;
        for a in 0..14 {
            for place in 0..3 {
                let mut other = found.clone();
                other[place] = a;
                // No exchange of one corner gains more than round-off of the projection.
                assert!(area(&points, &other) <= own * (1.0 + 1e-8), "{found:?} {other:?}");
            }
            for b in 0..a {
                for c in 0..b {
                    most = most.max(area(&points, &[a, b, c]));
                }
            }
        }
        largest += usize::from(own >= most * (1.0 - 1e-8));
    }
    // Exchanges of single corners can end in a smaller one, from four beginnings rarely.
    assert!(largest >= 28, "{largest}");
}

#[test]
fn clusters_begin_at_a_material_that_fills_three_pixels_in_a_thousand() {
    for seed in 0..3 {
        let (simulated, cube) = hard(seed);
        let nearest = |init: &Init| {
            let found = start(&cube, 4, init, true, 0).unwrap();
            let angles = found.endmembers.rows().into_iter();
            angles.map(|c| sad(c, simulated.endmembers.row(3))).fold(9.0, f64::min)
        };
        let (own, others) = (nearest(&Init::Clusters), nearest(&Init::VcaNormalised));
        // Less than half of its distance to the material that it is like; corners of the cloud are
        // at that one.
        assert!(own < 0.06 && others > 0.06, "seed {seed}: {own} {others}");

        let candidates = cluster_candidates(&cube, 4, 1).unwrap();
        let total: f64 = candidates.iter().map(|c| c.weight).sum();
        // Twenty shares that are rounded once each.
        assert!((total - 1.0).abs() < 1e-12 && candidates.len() <= 20);
        assert!(candidates.windows(2).all(|pair| pair[0].weight >= pair[1].weight));
    }
}

#[test]
fn the_worst_explained_pixels_show_the_endmember_that_is_missing() {
    for seed in 0..3 {
        let (simulated, cube) = hard(seed);
        let known = simulated.endmembers.select(Axis(0), &[0, 1, 2]);
        let (shares, log) = fcls_with_brightness(&cube, &known).unwrap();
        let fitted = |n: usize| {
            let bright = f64::from(log[n]).exp();
            shares.row(n).mapv(|w| bright * f64::from(w)).dot(&known)
        };
        let candidates = residual_candidates(&cube, fitted, 4, 0).unwrap();
        let rare = simulated.endmembers.row(3);
        let angles: Vec<f64> = candidates.iter().map(|c| sad(c.spectrum.view(), rare)).collect();
        assert!(candidates.len() <= 4);
        assert!(candidates.iter().map(|c| c.weight).sum::<f64>() <= 1.0 + 1e-12);
        assert!(angles.iter().any(|&angle| angle < 0.05), "seed {seed}: {angles:?}");
    }
}

#[test]
fn candidates_of_odd_fits_are_defined() {
    let cube = cube_of(&array![[0.1, 0.4], [0.3, 0.2], [0.5, 0.5]]);
    let exact =
        |n: usize| ndarray::Array1::from_iter(cube.spectrum(n).iter().map(|&y| f64::from(y)));
    assert_eq!(residual_candidates(&cube, exact, 3, 0).unwrap(), []);
    assert_eq!(residual_candidates(&cube, |_| array![f64::NAN, 0.0], 3, 0).unwrap(), []);
    assert!(residual_candidates(&cube, |_| array![0.0, 0.0], 0, 0).is_err());
    assert!(residual_candidates(&cube, |_| array![0.0], 2, 0).is_err());
    let found = residual_candidates(&cube, |_| array![0.0, 0.0], 9, 0).unwrap();
    assert!((1..=3).contains(&found.len()));
    // All of the residual is in the three pixels.
    assert!((found.iter().map(|c| c.weight).sum::<f64>() - 1.0).abs() < 1e-12);
}

#[test]
fn families_are_different_and_the_same_again() {
    let (_, cube) = hard(0);
    let with = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| families(&cube, 4, &Init::FAMILIES, 8, true, 5).unwrap())
    };
    let found: Vec<Proposal> = with(1);
    assert!(found == with(3));
    assert_eq!(found.len(), 8);
    let first: Vec<&str> = found.iter().take(4).map(|p| p.family).collect();
    assert!(first.contains(&"vca") && first.contains(&"clusters"), "{first:?}");
    for (i, a) in found.iter().enumerate() {
        assert!(a.misfit.is_finite() && a.misfit > 0.0);
        for b in &found[..i] {
            let pairs = match_spectra(a.endmembers.view(), b.endmembers.view()).unwrap();
            assert!(pairs.iter().any(|&(_, angle)| angle > 0.005));
        }
    }
    // The first round is what each family alone gives.
    for proposal in found.iter().filter(|p| p.seed == 5) {
        let init = Init::FAMILIES.into_iter().find(|i| i.name() == proposal.family).unwrap();
        let alone = start(&cube, 4, &init, true, 5).unwrap();
        assert_eq!(alone.endmembers, proposal.endmembers, "{}", proposal.family);
    }
}

#[test]
fn families_of_odd_scenes_are_defined() {
    // One pixel and band, one spectrum many times, fewer different spectra than endmembers, all
    // black.
    let repeated = Array2::from_shape_fn((40, 6), |(n, l)| 0.1 + 0.1 * ((n % 2) * l) as f64);
    for (spectra, k) in [
        (array![[0.4]], 1),
        (Array2::from_elem((30, 5), 0.3), 3),
        (repeated, 4),
        (Array2::zeros((9, 4)), 2),
        (Array2::from_shape_fn((50, 1), |(n, _)| n as f64), 1),
    ] {
        let cube = cube_of(&spectra);
        for brightness in [false, true] {
            let found = families(&cube, k, &Init::FAMILIES, 6, brightness, 0).unwrap();
            assert!((1..=6).contains(&found.len()));
            for proposal in &found {
                assert_eq!(proposal.endmembers.dim(), (k, cube.bands()));
                assert!(proposal.endmembers.iter().all(|c| c.is_finite()), "{proposal:?}");
                assert!(proposal.misfit.is_finite());
            }
        }
        assert!(!cluster_candidates(&cube, k, 0).unwrap().is_empty());
    }
    assert!(families(&cube_of(&array![[0.4]]), 2, &Init::FAMILIES, 3, true, 0).is_err());
    let wrong = [Init::Spectra(Array2::zeros((2, 2)))];
    assert!(families(&cube_of(&array![[0.4]]), 1, &wrong, 3, true, 0).is_err());
    assert_eq!(families(&cube_of(&array![[0.4]]), 1, &[], 3, true, 0).unwrap(), []);
}

#[test]
fn a_library_gives_the_spectra_that_are_in_the_scene() {
    let settings =
        Settings { rows: 40, cols: 50, bands: 60, noise_sd: 0.003, ..Settings::default() };
    let many = simulate(&Settings { endmembers: 12, ..settings.clone() }).unwrap().endmembers;
    let simulated = simulate(&Settings { endmembers: 4, ..settings }).unwrap();
    let scene = simulated.scene("library").unwrap();
    let cube = scene.cube();
    // Decoys around the true ones, and every spectrum at half of its brightness.
    let library = concatenate(
        Axis(0),
        &[many.slice(ndarray::s![4.., ..]), (&simulated.endmembers * 0.5).view()],
    )
    .unwrap();
    for seed in 0..4 {
        assert_eq!(choose_from_library(cube, 4, &library, seed).unwrap(), [8, 9, 10, 11]);
    }
    let few = choose_from_library(cube, 13, &library, 0).unwrap_err().to_string();
    assert!(few.starts_with("init: it gives 12 spectra, and the fit has 13 endmembers"), "{few}");
    assert!(choose_from_library(cube, 2, &Array2::zeros((3, 9)), 0).is_err());
    assert!(choose_from_library(cube, 2, &Array2::from_elem((3, 60), f64::NAN), 0).is_err());
}

#[test]
fn what_is_rare_in_a_large_scene_is_not_lost() {
    // 40,000 pixels of two materials, and eight of a third: of these chance takes two or three into
    // the random part, too few for a mean of five.
    let spectra = array![
        [0.5, 0.4, 0.3, 0.2, 0.2, 0.1],
        [0.1, 0.2, 0.2, 0.4, 0.5, 0.5],
        [0.3, 0.1, 0.5, 0.1, 0.4, 0.2],
    ];
    let rng = &mut ChaCha8Rng::seed_from_u64(2);
    let mut shares = Array2::zeros((40_000, 3));
    for mut row in shares.rows_mut() {
        row[0] = rng.random();
        row[1] = 1.0 - row[0];
    }
    for pixel in [1, 123, 3_000, 20_000, 20_001, 31_000, 39_000, 39_999] {
        shares.row_mut(pixel).assign(&array![0.0, 0.0, 1.0]);
    }
    let mut values = shares.dot(&spectra);
    values.mapv_inplace(|v| v + 0.004 * (rng.random::<f64>() - 0.5));
    let cube = cube_of(&values);
    for seed in 0..3 {
        let found = start(&cube, 3, &Init::VcaNormalised, true, seed).unwrap();
        let angles = found.endmembers.rows().into_iter().map(|c| sad(c, spectra.row(2)));
        let nearest = angles.fold(9.0, f64::min);
        // Noise of 0.001 in a mean of eight.
        assert!(nearest < 0.01, "seed {seed}: {nearest}");
        assert_eq!(found.abundances.nrows(), 40_000);
    }
}
