//! Simulated scenes hold what their settings say.
#![allow(clippy::unwrap_used)]

use ndarray::{Array1, Axis, s};
use proptest::prelude::*;
use unmixel::rooms::score::sad;
use unmixel::simulate::{Maps, Mixing, Settings, Simulated, simulate};

/// No noise, no shade: the mixture alone.
fn plain() -> Settings {
    Settings { noise_sd: 0.0, brightness_sd: 0.0, ..Settings::default() }
}

/// Brightness times mixture, (rows, cols, bands).
fn means(scene: &Simulated) -> ndarray::Array3<f64> {
    let (rows, cols, bands) = scene.cube.dim();
    ndarray::Array3::from_shape_fn((rows, cols, bands), |(r, c, l)| {
        let shares = scene.abundances.slice(s![r, c, ..]);
        let mix: f64 =
            shares.iter().zip(scene.endmembers.column(l)).map(|(&w, c)| f64::from(w) * c).sum();
        f64::from(scene.brightness[[r, c]]) * mix
    })
}

fn largest_abundance(scene: &Simulated, endmember: usize) -> f32 {
    scene.abundances.slice(s![.., .., endmember]).iter().copied().fold(0.0, f32::max)
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None, ..ProptestConfig::with_cases(100)
    })]

    #[test]
    fn every_size_gives_a_sound_scene(
        (rows, cols, bands) in (1_usize..14, 1_usize..14, 1_usize..14),
        k in 1_usize..14,
        pure in any::<bool>(),
        maps in prop::sample::select(vec![Maps::Smooth, Maps::Dirichlet, Maps::Dominant]),
        holes in 0.0..0.99_f64,
        seed in any::<u64>(),
    ) {
        let k = k.min(bands);
        let smooth = maps == Maps::Smooth;
        let settings = Settings {
            rows, cols, bands, endmembers: k, pure_pixels: pure,
            maps, no_data_fraction: holes, shared_variability_sd: 0.1, signal_noise: 0.02,
            variability_sd: 0.1, band_correlation: 0.9, seed, ..Settings::default()
        };
        let scene = simulate(&settings).unwrap();
        prop_assert_eq!(scene.cube.dim(), (rows, cols, bands));
        prop_assert_eq!(scene.abundances.dim(), (rows, cols, k));
        prop_assert_eq!(scene.brightness.dim(), (rows, cols));
        prop_assert_eq!(scene.endmembers.dim(), (k, bands));
        prop_assert_eq!((scene.names.len(), scene.wavelengths.len()), (k, bands));
        prop_assert!(scene.endmembers.iter().all(|c| (0.0..=1.0).contains(c)));
        prop_assert!(scene.brightness.iter().all(|b| b.is_finite() && *b > 0.0));
        let limit = if pure { 1.0 } else { 0.8_f32.max(1.0 / k as f32) };
        for pixel in scene.abundances.lanes(Axis(2)) {
            // Rounded from f64 to f32, which also moves the limit by 6e-8.
            prop_assert!(pixel.iter().all(|&w| w >= 0.0 && w <= limit + 1e-6), "{}", pixel);
            prop_assert!((pixel.sum() - 1.0).abs() < 1e-6, "{}", pixel);
        }
        let mut missing = 0;
        for spectrum in scene.cube.lanes(Axis(2)) {
            let nan = spectrum.iter().filter(|y| y.is_nan()).count();
            prop_assert!(nan == 0 || nan == bands);
            missing += usize::from(nan > 0);
        }
        let pixels = rows * cols;
        // The squares of a dominant mixture are kept, too, as many as there is room for.
        let wanted = (holes * pixels as f64).round() as usize;
        let squares = maps == Maps::Dominant;
        let most = if (pure && smooth) || squares { k.min(pixels) } else { 1 };
        let least = if squares { 1 } else { most };
        let missed = wanted.min(pixels - most)..=wanted.min(pixels - least);
        prop_assert!(missed.contains(&missing), "{} of {:?}", missing, missed);
        if pure && smooth && pixels >= k {
            for j in 0..k {
                let lanes = scene.cube.lanes(Axis(2));
                let found = scene.abundances.lanes(Axis(2)).into_iter().zip(lanes)
                    .any(|(w, y)| w[j] == 1.0 && !y[0].is_nan());
                prop_assert!(found, "endmember {} has no pure pixel with data", j);
            }
        }
    }
}

#[test]
fn without_noise_the_cube_is_brightness_times_mixture() {
    let settings = Settings {
        rows: 13,
        cols: 29,
        bands: 40,
        noise_sd: 0.0,
        brightness_sd: 0.3,
        ..Settings::default()
    };
    let scene = simulate(&settings).unwrap();
    for (y, mean) in scene.cube.iter().zip(&means(&scene)) {
        // Shares, brightness and values of at most 3 are each rounded to f32, 6e-8.
        assert!((f64::from(*y) - mean).abs() < 1e-6);
    }
}

#[test]
fn log_brightness_has_the_sd_asked_for() {
    let settings = Settings { brightness_sd: 0.25, ..Settings::default() };
    let log = simulate(&settings).unwrap().brightness.mapv(|b| f64::from(b).ln());
    // Standardised over the image, then stored in f32.
    assert!((log.std(0.0) - 0.25).abs() < 1e-6 && log.mean().unwrap().abs() < 1e-6);
    assert!(simulate(&plain()).unwrap().brightness.iter().all(|&b| b == 1.0));
}

#[test]
fn noise_has_the_sd_and_the_correlation_asked_for() {
    for rho in [0.0, 0.9] {
        let settings = Settings {
            noise_sd: 0.02,
            band_correlation: rho,
            rows: 70,
            cols: 60,
            bands: 50,
            ..plain()
        };
        let scene = simulate(&settings).unwrap();
        let noise = scene.cube.mapv(f64::from) - means(&scene);
        let n = noise.len() as f64;
        let variance = noise.iter().map(|e| e * e).sum::<f64>() / n;
        // 4200 independent pixels at the least: the variance has a relative sd of at most
        // sqrt(2 / 4200) = 0.02, in truth less; four of them.
        assert!((variance / 0.02_f64.powi(2) - 1.0).abs() < 0.08, "{variance}");
        let lag = |by: usize| {
            let (a, b) = (noise.slice(s![.., .., ..-(by as isize)]), noise.slice(s![.., .., by..]));
            (&a * &b).mean().unwrap() / variance
        };
        // A correlation over 4200 pixels has an sd of at most 1 / sqrt(4200) = 0.015; four.
        assert!((lag(1) - rho).abs() < 0.06, "{}", lag(1));
        assert!((lag(3) - rho.powi(3)).abs() < 0.06, "{}", lag(3));
        // Pixels are independent of each other, also across rows.
        let (up, down) = (noise.slice(s![..-1, .., ..]), noise.slice(s![1.., .., ..]));
        assert!(((&up * &down).mean().unwrap() / variance).abs() < 0.06);
    }
}

#[test]
fn variability_grows_with_the_share_and_the_reflectance() {
    let settings = Settings { variability_sd: 0.1, rows: 80, bands: 30, ..plain() };
    let scene = simulate(&settings).unwrap();
    let deviation = scene.cube.mapv(f64::from) - means(&scene);
    let mut ratio = 0.0;
    for ((row, col, band), e) in deviation.indexed_iter() {
        let shares = scene.abundances.slice(s![row, col, ..]);
        let variance: f64 = shares
            .iter()
            .zip(scene.endmembers.column(band))
            .map(|(&w, c)| (0.1 * f64::from(w) * c).powi(2))
            .sum();
        ratio += e * e / variance / deviation.len() as f64;
    }
    // 240 000 squared standard normals: an sd of sqrt(2 / 240 000) = 0.003; five.
    assert!((ratio - 1.0).abs() < 0.015, "{ratio}");
}

#[test]
fn pure_pixels_are_there_when_asked_for_and_only_then() {
    for k in [2, 3, 6, 12] {
        let pure = simulate(&Settings { endmembers: k, bands: 60, ..plain() }).unwrap();
        let mixed = simulate(&Settings { endmembers: k, bands: 60, pure_pixels: false, ..plain() })
            .unwrap();
        for j in 0..k {
            assert_eq!(largest_abundance(&pure, j), 1.0);
            // Rounded to f32. Every material still takes part.
            let largest = largest_abundance(&mixed, j);
            assert!((0.5..0.8 + 1e-6).contains(&largest), "{largest}");
        }
    }
}

#[test]
fn abundances_from_the_dirichlet_have_its_moments() {
    for k in [1, 2, 3, 5] {
        let settings = Settings { maps: Maps::Dirichlet, endmembers: k, bands: 6, ..plain() };
        let scene = simulate(&settings).unwrap();
        let (pixels, k) = (10_000.0, k as f64);
        let (mean, alpha) = (1.0 / k, 0.2 * k);
        let variance = mean * (1.0 - mean) / (alpha + 1.0);
        for map in scene.abundances.mapv(f64::from).axis_iter(Axis(2)) {
            // Five standard errors; a variance of values in 0 to 1 is known to 0.5 / sqrt(pixels).
            let found = map.mean().unwrap();
            assert!((found - mean).abs() <= 5.0 * (variance / pixels).sqrt() + 1e-9, "{found}");
            assert!((map.var(0.0) - variance).abs() <= 2.5 / pixels.sqrt(), "{}", map.var(0.0));
            // P(w < 0.001) of a Beta(0.2, 0.2 (K - 1)) is near 0.001^0.2 / (0.2 B): small ones
            // occur.
            let small = map.iter().filter(|&&w| w < 1e-3).count() as f64 / pixels;
            assert!(k == 1.0 || (0.1..0.4).contains(&small), "{small}");
        }
        for pixel in scene.abundances.lanes(Axis(2)) {
            assert!((pixel.sum() - 1.0).abs() < 1e-6 && pixel.iter().all(|w| *w >= 0.0));
        }
        let limit = 0.8_f32.max(1.0 / k as f32);
        let mixed = simulate(&Settings { pure_pixels: false, ..settings }).unwrap();
        assert!(mixed.abundances.iter().all(|&w| w <= limit));
        let mean = mixed.abundances.mean().unwrap();
        assert!((f64::from(mean) - 1.0 / k).abs() < 1e-6);
    }
}

#[test]
fn maps_are_smooth_and_mixed() {
    let scene = simulate(&plain()).unwrap();
    let maps = &scene.abundances;
    let step = (&maps.slice(s![1.., .., ..]) - &maps.slice(s![..-1, .., ..])).mapv(f32::abs);
    let far = (&maps.slice(s![50.., .., ..]) - &maps.slice(s![..50, .., ..])).mapv(f32::abs);
    // Neighbours are several times more alike than pixels half an image apart.
    assert!(5.0 * step.mean().unwrap() < far.mean().unwrap());
    let mixed = maps.lanes(Axis(2)).into_iter().filter(|w| w.iter().all(|&w| w < 0.9)).count();
    assert!((500..9_000).contains(&mixed), "{mixed} of 10 000 pixels are mixed");
}

#[test]
fn materials_are_distinct_and_shaped_as_their_names_say() {
    let settings = Settings { rows: 2, cols: 2, bands: 211, endmembers: 24, ..plain() };
    let scene = simulate(&settings).unwrap();
    for j in 0..24 {
        for other in 0..j {
            let angle = sad(scene.endmembers.row(j), scene.endmembers.row(other));
            // 0.1 is what random ones keep; the named ones are farther apart by design.
            assert!(angle > 0.1, "{} and {}: {angle}", scene.names[j], scene.names[other]);
        }
    }
    assert_eq!(scene.names[..3], ["soil", "vegetation", "water"]);
    // 10 nm a band.
    let at = |j: usize, nm: usize| scene.endmembers[[j, (nm - 400) / 10]];
    assert!(at(0, 450) < at(0, 700) && at(0, 700) < at(0, 1300) && at(0, 2200) < at(0, 2130));
    assert!(at(1, 550) > 1.5 * at(1, 480) && at(1, 550) > 1.5 * at(1, 670));
    assert!(at(1, 800) > 8.0 * at(1, 670) && at(1, 1450) < 0.5 * at(1, 1300));
    assert!(at(1, 1940) < 0.5 * at(1, 1700) && at(1, 970) < at(1, 900));
    assert!(at(2, 540) > 0.05 && at(2, 540) < 0.1 && at(2, 900) < 0.005 && at(2, 2000) < 0.005);
    assert_eq!((scene.wavelengths[0], scene.wavelengths[210]), (400.0, 2500.0));
}

#[test]
fn a_seed_is_a_scene_whatever_the_number_of_threads() {
    let settings =
        Settings { rows: 33, cols: 21, bands: 12, no_data_fraction: 0.1, ..Settings::default() };
    let with = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| simulate(&settings).unwrap())
    };
    // NaN is not equal to itself: bits are compared.
    let bits = |scene: &Simulated| scene.cube.mapv(f32::to_bits);
    let (one, three) = (with(1), with(3));
    assert_eq!(bits(&one), bits(&three));
    assert_eq!(one.abundances, three.abundances);
    let other = simulate(&Settings { seed: 1, ..settings.clone() }).unwrap();
    assert_ne!(one.abundances, other.abundances);
    assert_ne!(bits(&one), bits(&other));
}

#[test]
fn one_setting_does_not_move_the_rest_of_the_scene() {
    let base = simulate(&Settings::default()).unwrap();
    let changed = simulate(&Settings {
        noise_sd: 0.1,
        no_data_fraction: 0.3,
        band_correlation: 0.5,
        ..Settings::default()
    })
    .unwrap();
    assert_eq!(base.abundances, changed.abundances);
    assert_eq!(base.brightness, changed.brightness);
    assert_eq!(base.endmembers, changed.endmembers);
    assert_ne!(base.cube, changed.cube);
}

#[test]
fn holes_lie_together() {
    let scene = simulate(&Settings { no_data_fraction: 0.2, ..plain() }).unwrap();
    let missing =
        scene.cube.map_axis(Axis(2), |spectrum| f64::from(u8::from(spectrum[0].is_nan())));
    assert_eq!(missing.sum(), 2000.0);
    let pairs = &missing.slice(s![1.., ..]) * &missing.slice(s![..-1, ..]);
    // A fifth scattered at random would have a fifth of its neighbours missing.
    assert!(pairs.sum() / missing.slice(s![1.., ..]).sum() > 0.7);
}

#[test]
fn settings_outside_their_range_are_refused_by_name() {
    let message = |settings: Settings| simulate(&settings).unwrap_err().to_string();
    let d = Settings::default;
    let cases = [
        (Settings { rows: 0, ..d() }, "rows 0: "),
        (Settings { cols: 0, ..d() }, "cols 0: "),
        (Settings { bands: 0, ..d() }, "bands 0: "),
        (Settings { endmembers: 0, ..d() }, "endmembers 0: "),
        (Settings { endmembers: 5, bands: 4, ..d() }, "endmembers 5: "),
        (Settings { rows: usize::MAX, ..d() }, "size 18446744073709551615 rows, 100 cols, "),
        (Settings { rows: 1 << 20, cols: 1 << 20, ..d() }, "size 1048576 rows, 1048576 cols, "),
        (Settings { noise_sd: -1.0, ..d() }, "noise -1: "),
        (Settings { noise_sd: f64::NAN, ..d() }, "noise NaN: "),
        (Settings { noise_sd: 1.5, ..d() }, "noise 1.5: "),
        (Settings { brightness_sd: -0.1, ..d() }, "brightness -0.1: "),
        (Settings { brightness_sd: f64::INFINITY, ..d() }, "brightness inf: "),
        (Settings { variability_sd: 2.0, ..d() }, "variability 2: "),
        (Settings { band_correlation: 1.0, ..d() }, "band correlation 1: "),
        (Settings { band_correlation: -0.5, ..d() }, "band correlation -0.5: "),
        (Settings { no_data_fraction: 1.0, ..d() }, "no data 1: "),
    ];
    for (settings, start) in cases {
        let message = message(settings);
        assert!(message.starts_with(start) && message.ends_with('.'), "{message}");
    }
}

#[test]
fn a_single_band_has_its_wavelength() {
    let scene =
        simulate(&Settings { rows: 1, cols: 1, bands: 1, endmembers: 1, ..plain() }).unwrap();
    assert_eq!(scene.wavelengths, [1450.0]);
    assert_eq!(Array1::from(scene.cube.into_raw_vec_and_offset().0).len(), 1);
}

#[test]
fn a_rare_and_close_material_is_planted() {
    let plain = Settings { endmembers: 4, rows: 40, cols: 50, bands: 30, ..plain() };
    let settings = Settings { rare_share: 0.003, close_angle: 0.1, ..plain.clone() };
    let scene = simulate(&settings).unwrap();
    let angle = sad(scene.endmembers.row(0), scene.endmembers.row(3));
    // Round-off of a rotation.
    assert!((angle - 0.1).abs() < 1e-12, "{angle}");
    assert!(scene.endmembers.iter().all(|c| (0.0..=1.0).contains(c)));
    let held = |least: f32| {
        let rare = scene.abundances.slice(s![.., .., 3]);
        rare.iter().filter(|&&w| w >= least).count()
    };
    // 0.3 % of 2,000 pixels alone, twice as many mixed, and none elsewhere.
    assert_eq!((held(1.0), held(1e-9)), (6, 18));
    for pixel in scene.abundances.lanes(Axis(2)) {
        // Rounded from f64 to f32, four times.
        assert!((pixel.sum() - 1.0).abs() < 1e-6);
    }
    for k in 0..3 {
        assert_eq!(largest_abundance(&scene, k), 1.0, "endmember {k} has no pure pixel");
    }
    // Other draws stay as they are without it.
    let other = simulate(&plain).unwrap();
    assert_eq!(other.endmembers.slice(s![..3, ..]), scene.endmembers.slice(s![..3, ..]));
    assert_eq!(other.brightness, scene.brightness);
    for (wrong, says) in [
        (Settings { rare_share: 0.5, ..plain.clone() }, "rare 0.5"),
        (Settings { rare_share: f64::NAN, ..plain.clone() }, "rare NaN"),
        (Settings { rare_share: 0.01, endmembers: 1, ..plain.clone() }, "rare 0.01"),
        (Settings { rare_share: 0.01, pure_pixels: false, ..plain.clone() }, "pure pixels"),
        (Settings { close_angle: 1.5, ..plain.clone() }, "rad apart"),
        (Settings { close_angle: -0.1, ..plain.clone() }, "close -0.1"),
        (Settings { close_angle: 0.1, endmembers: 1, ..plain.clone() }, "close 0.1"),
    ] {
        let said = simulate(&wrong).unwrap_err().to_string();
        assert!(said.contains(says), "{said}");
    }
    // One pixel is all rare; sizes that hold nothing else are sound.
    let one = Settings { rows: 1, cols: 1, rare_share: 0.1, ..plain };
    assert_eq!(simulate(&one).unwrap().abundances.dim(), (1, 1, 4));
}

#[test]
fn one_mixture_fills_a_scene_but_for_squares() {
    for pure in [true, false] {
        let settings =
            Settings { endmembers: 5, maps: Maps::Dominant, pure_pixels: pure, ..plain() };
        let scene = simulate(&settings).unwrap();
        let common = scene.abundances.slice(s![0, 0, ..]);
        let lanes = scene.abundances.lanes(Axis(2));
        let same = lanes.into_iter().filter(|pixel| *pixel == common).count();
        // Squares of a third of a cell along both sides: a ninth of the pixels, and rounding.
        assert!((8_500..9_500).contains(&same), "{same}");
        assert!(common.iter().all(|&w| w <= 0.6), "{common}");
        for k in 0..5 {
            assert_eq!(largest_abundance(&scene, k) == 1.0, pure, "endmember {k}");
        }
    }
}

#[test]
fn what_is_less_than_the_least_abundance_is_nothing() {
    let settings = Settings { maps: Maps::Dirichlet, least_abundance: 0.1, ..plain() };
    let scene = simulate(&settings).unwrap();
    assert!(scene.abundances.iter().all(|&w| w == 0.0 || w >= 0.1));
    assert!(scene.abundances.iter().any(|&w| w == 0.0));
    let other = simulate(&Settings { least_abundance: 0.0, ..settings }).unwrap();
    assert!(other.abundances.iter().any(|&w| w > 0.0 && w < 0.1));
}

/// Relative deviations of a scene from what its materials have without variability and noise,
/// (pixels, bands).
fn deviations(settings: &Settings) -> ndarray::Array2<f64> {
    let scene = simulate(settings).unwrap();
    let means = means(&scene);
    let (rows, cols, bands) = means.dim();
    ndarray::Array2::from_shape_fn((rows * cols, bands), |(n, l)| {
        let at = [n / cols, n % cols, l];
        f64::from(scene.cube[at]) / means[at] - 1.0
    })
}

#[test]
fn bands_share_how_a_material_varies() {
    let settings = Settings { endmembers: 1, shared_variability_sd: 0.06, ..plain() };
    let off = deviations(&settings);
    let (n, l) = off.dim();
    let variance = off.iter().map(|x| x * x).sum::<f64>() / (n * l) as f64;
    // Three shapes of mean square one along the bands, but for what they cut off of a wave.
    assert!((variance.sqrt() / 0.06 - 1.0).abs() < 0.1, "{}", variance.sqrt());
    let next = (0..l - 1).map(|b| off.column(b).dot(&off.column(b + 1))).sum::<f64>();
    let own = (0..l - 1).map(|b| off.column(b).dot(&off.column(b))).sum::<f64>();
    assert!(next / own > 0.98, "{}", next / own);
    // Half of the variance is smooth over the image.
    let across = |step: usize| -> f64 {
        let pairs = (0..n - step).map(|a| off.row(a).dot(&off.row(a + step)));
        pairs.sum::<f64>() / (n - step) as f64 / l as f64 / variance
    };
    assert!((0.3..0.6).contains(&across(1)), "{}", across(1));
    // Variability that each band has for itself: seen.
    let own = Settings { shared_variability_sd: 0.0, variability_sd: 0.06, ..settings };
    let off = deviations(&own);
    let next = (0..l - 1).map(|b| off.column(b).dot(&off.column(b + 1))).sum::<f64>();
    assert!(next.abs() < 0.1 * off.iter().map(|x| x * x).sum::<f64>());
}

#[test]
fn noise_may_grow_with_the_signal() {
    let settings = Settings { signal_noise: 0.03, ..plain() };
    let off = deviations(&settings);
    let variance = off.iter().map(|x| x * x).sum::<f64>() / off.len() as f64;
    // A million normals.
    assert!((variance.sqrt() / 0.03 - 1.0).abs() < 0.01, "{}", variance.sqrt());
}

#[test]
fn some_pixels_may_hold_what_is_no_material_of_the_scene() {
    let settings = Settings { outlier_share: 0.02, ..plain() };
    let (odd, all) = (simulate(&settings).unwrap(), simulate(&plain()).unwrap());
    assert_eq!((&odd.endmembers, &odd.abundances), (&all.endmembers, &all.abundances));
    let pairs = odd.cube.lanes(Axis(2)).into_iter().zip(all.cube.lanes(Axis(2)));
    let differ = pairs.filter(|(a, b)| a != b).count();
    let pixels = settings.rows * settings.cols;
    assert_eq!(differ, (0.02 * pixels as f64).round() as usize);
    assert!(odd.cube.iter().all(|&y| (0.0..=1.5).contains(&y)));
    let said = simulate(&Settings { outlier_share: 0.3, ..plain() }).unwrap_err().to_string();
    assert!(said.starts_with("outliers 0.3"), "{said}");
}

#[test]
fn grains_that_are_mixed_are_darker_than_fields_side_by_side() {
    let settings = Settings { mixing: Mixing::Intimate, ..plain() };
    let off = deviations(&settings);
    assert!(off.iter().all(|&x| x < 1e-6));
    assert!(off.iter().any(|&x| x < -0.2));
    let linear = deviations(&plain());
    assert!(linear.iter().all(|x| x.abs() < 1e-5));
}

#[test]
fn a_last_material_may_be_all_but_black() {
    let (dark, plain) = (Settings { dark: 0.05, ..plain() }, plain());
    let (dark, plain) = (simulate(&dark).unwrap(), simulate(&plain).unwrap());
    let off = &dark.endmembers.row(2) - &(&plain.endmembers.row(2) * 0.05);
    assert!(off.iter().all(|x| x.abs() < 1e-15));
    assert_eq!(dark.endmembers.slice(s![..2, ..]), plain.endmembers.slice(s![..2, ..]));
    for (wrong, says) in [
        (Settings { dark: 0.0, ..Settings::default() }, "dark 0"),
        (Settings { dark: f64::NAN, ..Settings::default() }, "dark NaN"),
        (Settings { least_abundance: 0.34, ..Settings::default() }, "least abundance 0.34"),
        (Settings { least_abundance: -0.1, ..Settings::default() }, "least abundance -0.1"),
        (Settings { shared_variability_sd: 0.6, ..Settings::default() }, "shared variability 0.6"),
        (Settings { signal_noise: -1.0, ..Settings::default() }, "signal noise -1"),
    ] {
        let said = simulate(&wrong).unwrap_err().to_string();
        assert!(said.starts_with(says), "{said}");
    }
}
