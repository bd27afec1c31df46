//! The scale of scenes, values for no data and gaps: each rule on scenes made up for it.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use ndarray::{Array3, s};
use unmixel::scene::{self, CubeSource, Header, LoadOptions, Mask, NoData, Scene};

const ROWS: usize = 9;
const COLS: usize = 12;
const BANDS: usize = 16;

/// Two materials in changing shares: reflectance from 0.05 to 0.62.
fn cube() -> Array3<f32> {
    Array3::from_shape_fn((ROWS, COLS, BANDS), |(r, c, b)| {
        let share = ((r * 7 + c * 5) % 11) as f32 / 10.0;
        let (x, y) = (b as f32 / BANDS as f32, 0.5 + 0.08 * (b as f32 * 0.7).sin());
        share * (0.05 + 0.3 * x) + (1.0 - share) * y + 0.001 * ((r + 3 * c + b) % 4) as f32
    })
}

/// A cube in memory with whatever a file may say of it.
struct Made {
    header: Header,
    cube: Array3<f32>,
}

impl Made {
    fn new(cube: Array3<f32>) -> Self {
        let (rows, cols, bands) = cube.dim();
        Made { header: Header { rows, cols, bands, ..Header::default() }, cube }
    }

    fn with(mut self, change: impl FnOnce(&mut Header)) -> Self {
        change(&mut self.header);
        self
    }

    fn load(mut self, options: &LoadOptions) -> unmixel::Result<Scene> {
        scene::load(&mut self, "made", options)
    }

    fn scene(self) -> Scene {
        self.load(&LoadOptions::default()).unwrap()
    }
}

impl CubeSource for Made {
    fn header(&self) -> &Header {
        &self.header
    }

    fn read_rows(&mut self, first: usize, count: usize, out: &mut [f32]) -> unmixel::Result<()> {
        let rows = self.cube.slice(s![first..first + count, .., ..]);
        out.iter_mut().zip(rows).for_each(|(to, &from)| *to = from);
        Ok(())
    }
}

/// The largest relative difference between two scenes of the same pixels and bands.
fn apart(a: &Scene, b: &Scene) -> f32 {
    assert_eq!(a.places(), b.places(), "{:?} {:?}", a.notes(), b.notes());
    assert_eq!(a.bands(), b.bands());
    let pairs = a.cube().padded().iter().zip(b.cube().padded());
    pairs.map(|(a, b)| (a - b).abs() / b.abs().max(0.01)).fold(0.0, f32::max)
}

fn has_note(scene: &Scene, words: &str) -> bool {
    scene.notes().iter().any(|note| note.contains(words))
}

// f32 holds seven digits; two roundings stay below this.
const ROUNDING: f32 = 1e-6;

#[test]
fn every_power_of_ten_gives_the_same_reflectance() {
    let right = Made::new(cube()).scene();
    assert_eq!(right.scaling().gain, 1.0);
    for power in [-9, -6, -4, -3, -2, 2, 3, 4, 6, 9] {
        let scaled = Made::new(cube().mapv(|v| (f64::from(v) * 10f64.powi(power)) as f32)).scene();
        assert!(apart(&scaled, &right) < ROUNDING, "10^{power}: {}", scaled.scaling().rule);
        assert!(has_note(&scaled, &scaled.scaling().rule));
    }
    // Comparator: another factor is seen.
    let half = Made::new(cube().mapv(|v| v * 0.5)).scene();
    assert!(apart(&half, &right) > 0.4);
}

#[test]
fn whole_numbers_at_their_types_full_scale() {
    for (largest, factor, gain) in [
        (32767.0, 40_000.0, 1.0 / 32767.0),
        (255.0, 400.0, 1.0 / 255.0),
        (65535.0, 9e4, 1.0 / 65535.0),
    ] {
        let made = Made::new(cube().mapv(|v| (v * factor).round()));
        let scene = made.with(|h| (h.integer, h.largest) = (true, Some(largest))).scene();
        assert_eq!(scene.scaling().gain, gain, "{}", scene.scaling().rule);
    }
}

#[test]
fn a_stated_factor_is_held_against_the_values() {
    let right = Made::new(cube()).scene();
    let stated = |cube: Array3<f32>, gain: f64| {
        Made::new(cube)
            .with(|h| h.stated_scale = Some((vec![gain], vec![0.0], "scale factor".into())))
            .scene()
    };
    let times = |factor: f32| cube().mapv(|v| v * factor);
    for (factor, gain, contradicts) in [
        (1e4, 1e-4, false),
        (1.0, 1e-4, true),
        (1e4, 1e4, true),
        (1e4, 1.0, true),
        (100.0, 1e-4, true),
    ] {
        let scene = stated(times(factor), gain);
        assert!(
            apart(&scene, &right) < 3.0 * ROUNDING,
            "{factor} {gain}: {}",
            scene.scaling().rule
        );
        assert_eq!(has_note(&scene, "contradicts"), contradicts, "{:?}", scene.notes());
    }
    // The user wins, contradiction or not.
    let options = LoadOptions { scale: Some(2.0), ..LoadOptions::default() };
    assert_eq!(Made::new(times(1e4)).load(&options).unwrap().scaling().gain, 0.5);
}

#[test]
fn stray_values_neither_set_the_scale_nor_stay() {
    let right = Made::new(cube()).scene();
    let mut odd = cube();
    for (i, v) in [30.0, 900.0, -700.0, 1e32, f32::INFINITY, 50.0].into_iter().enumerate() {
        odd[(i, 2 * i, 3 * i % BANDS)] = v;
    }
    let scene = Made::new(odd.clone()).scene();
    assert_eq!(scene.scaling().gain, 1.0);
    // Filled from the pixel's other bands by the mean spectrum: near, not equal, in six values.
    assert!(apart(&scene, &right) < 0.5, "{:?}", scene.notes());
    assert!(has_note(&scene, "6 single values of 6 pixels"), "{:?}", scene.notes());
    // Half of a pixel is too much.
    odd.slice_mut(s![4, 4, ..8]).fill(f32::NAN);
    let scene = Made::new(odd).scene();
    assert!(has_note(&scene, "1 of 108 pixels lack"), "{:?}", scene.notes());
}

#[test]
fn clouds_over_water_are_no_strays() {
    // Ten pixels of cloud at 0.7 in a lake of 0.02, times 10000.
    let lake = Array3::from_shape_fn((40, 60, BANDS), |(r, c, b)| {
        let cloud = r == 3 && c < 10;
        let v = if cloud { 0.7 } else { 0.02 } + 0.001 * ((r + c + b) % 5) as f32;
        (v * 1e4).round()
    });
    let scene = Made::new(lake).with(|h| (h.integer, h.largest) = (true, Some(32767.0))).scene();
    assert_eq!(scene.scaling().gain, 1e-4, "{}", scene.scaling().rule);
    assert_eq!(scene.places().len(), 2400);
    assert!(!has_note(&scene, "single values"), "{:?}", scene.notes());
}

#[test]
fn fills_of_any_sign_are_no_data() {
    for fill in [9999.0, 1e20, 9.96921e36, f32::MAX, -1.0, -999.0, 65535.0, 55537.0, -3.4e38] {
        let mut filled = cube();
        filled.slice_mut(s![0, .., ..]).fill(fill);
        filled.slice_mut(s![1..4, 0, ..]).fill(fill);
        // A single band of another pixel, too.
        filled[(5, 5, 5)] = fill;
        let scene = Made::new(filled.clone()).scene();
        assert_eq!(scene.scaling().gain, 1.0, "{fill}: {}", scene.scaling().rule);
        assert_eq!(scene.places().len(), ROWS * COLS - COLS - 3, "{fill}: {:?}", scene.notes());
        assert_eq!(scene.bands().len(), BANDS, "{fill}");
        assert!(has_note(&scene, "15 of 108 pixels hold no data"), "{:?}", scene.notes());
        // A user who knows better: nothing but NaN stands for no data.
        if fill == 9999.0 {
            let options = LoadOptions {
                no_data: NoData::Values(vec![]),
                scale: Some(1e4),
                ..Default::default()
            };
            let all = Made::new(filled).load(&options).unwrap();
            assert_eq!(all.places().len(), ROWS * COLS, "{:?}", all.notes());
        }
    }
}

#[test]
fn stated_fills_are_known_by_the_digits_of_the_header() {
    let mut filled = cube();
    filled.slice_mut(s![0, .., ..]).fill(f32::MAX);
    let scene = Made::new(filled).with(|h| h.ignore_value = Some(3.40282e38)).scene();
    assert_eq!(scene.places().len(), ROWS * COLS - COLS);
    // A flat material within the range of the others is one.
    let mut flat = cube();
    flat.slice_mut(s![0, .., ..]).fill(0.3);
    assert_eq!(Made::new(flat).scene().places().len(), ROWS * COLS);
}

#[test]
fn single_gaps_are_filled_and_told() {
    let right = Made::new(cube()).scene();
    let mut gaps = cube();
    let mut count = 0;
    for (i, v) in gaps.iter_mut().enumerate() {
        if i % 47 == 5 {
            *v = 0.0;
            count += 1;
        }
    }
    let scene = Made::new(gaps).with(|h| h.ignore_value = Some(0.0)).scene();
    assert_eq!(scene.places().len(), ROWS * COLS);
    assert!(has_note(&scene, &format!("{count} single values")), "{:?}", scene.notes());
    let worst = scene
        .cube()
        .padded()
        .iter()
        .zip(right.cube().padded())
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, f32::max);
    // Shares of two materials move the level between neighbours by less than this.
    assert!(worst < 0.06, "{worst}");
    assert!(worst > 0.0);
}

#[test]
fn bands_and_pixels_are_dropped_as_asked() {
    let nm: Vec<f64> = (0..BANDS).map(|b| 400.0 + 100.0 * b as f64).collect();
    let made = || Made::new(cube()).with(|h| h.wavelengths = Some(nm.clone()));
    let options = LoadOptions {
        drop_bands: vec![1, 3],
        drop_wavelengths: vec![(800.0, 1000.0)],
        ..LoadOptions::default()
    };
    let scene = made().load(&options).unwrap();
    let used: Vec<usize> = scene.bands().iter().map(|b| b.index).collect();
    assert_eq!(used, [1, 3, 7, 8, 9, 10, 11, 12, 13, 14, 15]);
    assert!(has_note(&scene, "5 dropped as asked"), "{:?}", scene.notes());
    for bad in [vec![0], vec![17]] {
        let options = LoadOptions { drop_bands: bad, ..LoadOptions::default() };
        assert!(made().load(&options).unwrap_err().to_string().contains("1 to 16"));
    }
    let options = LoadOptions { drop_wavelengths: vec![(1.0, 2.0)], ..LoadOptions::default() };
    assert!(Made::new(cube()).load(&options).unwrap_err().is_bad_input());
    let keep = (0..ROWS * COLS).map(|i| i % 3 != 0).collect();
    let mask = Mask::new(ROWS, COLS, keep).unwrap();
    let options = LoadOptions { mask: Some(mask), ..LoadOptions::default() };
    let scene = made().load(&options).unwrap();
    assert_eq!(scene.places().len(), 72);
    assert!(scene.places().iter().all(|i| i % 3 != 0));
    assert!(has_note(&scene, "36 of 108 pixels were left out because the mask is 0"));
    let small = Mask::new(2, 2, vec![true; 4]).unwrap();
    let options = LoadOptions { mask: Some(small), ..LoadOptions::default() };
    assert!(made().load(&options).unwrap_err().to_string().contains("2 rows x 2 columns"));
}

#[test]
fn a_window_is_a_scene_of_its_own() {
    let whole = Made::new(cube()).scene();
    let window = |rows, cols| scene::window(Box::new(Made::new(cube())), rows, cols);
    let mut part = window(2..7, 3..11).unwrap();
    let part = scene::load(&mut *part, "part", &LoadOptions::default()).unwrap();
    assert_eq!((part.rows(), part.cols()), (5, 8));
    for (pixel, place) in part.places().iter().enumerate() {
        let (row, col) = (*place as usize / 8 + 2, *place as usize % 8 + 3);
        assert_eq!(part.cube().spectrum(pixel), whole.cube().spectrum(row * COLS + col));
    }
    for (rows, cols) in [(0..10, 0..2), (3..3, 0..2), (0..2, 0..13)] {
        assert!(window(rows, cols).is_err_and(|e| e.is_bad_input()));
    }
}

#[test]
fn noise_in_the_windows_of_water_vapour_is_dropped_where_the_file_says_nothing() {
    let nm: Vec<f64> = (0..120).map(|b| 1000.0 + 10.0 * b as f64).collect();
    let wet = |w: f64| (1350.0..=1440.0).contains(&w) || (1810.0..=1940.0).contains(&w);
    let noise = |i: usize| ((i * 7919) % 1000) as f32 / 1000.0 - 0.5;
    let scene = Array3::from_shape_fn((ROWS, COLS, 120), |(r, c, b)| {
        let smooth = 0.3 + 0.02 * (r + c) as f32 / 20.0 + 0.1 * (b as f32 / 25.0).sin();
        if wet(nm[b]) { 0.3 + noise(r * 31 + c * 17 + b * 101) } else { smooth }
    });
    let made = |flags: Option<Vec<bool>>| {
        Made::new(scene.clone()).with(|h| {
            h.wavelengths = Some(nm.clone());
            h.good_bands = flags;
        })
    };
    let dry = made(None).scene();
    assert!(dry.bands().iter().all(|b| b.wavelength.is_some_and(|w| !wet(w))), "{:?}", dry.notes());
    assert!(dry.bands().len() >= 120 - 28 && has_note(&dry, "water vapour"), "{:?}", dry.notes());
    // The file's word and the user's come first.
    let mut flags = vec![true; 120];
    flags[0] = false;
    assert_eq!(made(Some(flags)).scene().bands().len(), 119);
    let options = LoadOptions { keep_water_bands: true, ..LoadOptions::default() };
    assert_eq!(made(None).load(&options).unwrap().bands().len(), 120);
}
