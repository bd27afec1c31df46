//! Scenes that stay in their file and are read by rows: a fit of them is that of the scene in
//! memory, to the last bit, whatever the rows.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use ndarray::Array2;
use unmixel::rooms::io::{self, OpenOptions};
use unmixel::rooms::unmixing::each_block;
use unmixel::scene::{CubeSource, LoadOptions, Windows};
use unmixel::simulate::{Settings, simulate};
use unmixel::{Device, Fit, Init, PosteriorKind, Scene, Unmixing};

const ROWS: usize = 190;
const COLS: usize = 180;

/// A scene of more pixels than it is learned from, with pixels without data, single values that are
/// missing, and a band that most pixels lack.
fn odd_scene(folder: &tempfile::TempDir) -> PathBuf {
    let settings = Settings {
        rows: ROWS,
        cols: COLS,
        bands: 12,
        noise_sd: 0.01,
        brightness_sd: 0.2,
        no_data_fraction: 0.05,
        seed: 4,
        ..Settings::default()
    };
    let mut simulated = simulate(&settings).unwrap();
    let cube = &mut simulated.cube;
    for (at, value) in cube.indexed_iter_mut() {
        let ((row, col, band), place) = (at, at.0 * COLS + at.1);
        if *value != 0.0 && place % 97 == 3 && band == row % 12 {
            *value = f32::NAN;
        }
        // Far too bright for what all other bands hold.
        if *value != 0.0 && band == 7 && col % 5 != 0 {
            *value = 1e4;
        }
    }
    let path = folder.path().join("odd.img");
    io::write_envi(&path, cube.view(), Some(&simulated.wavelengths), None).unwrap();
    path
}

fn source(path: &Path) -> Box<dyn CubeSource> {
    io::open(path, &OpenOptions::default()).unwrap()
}

fn quick() -> Unmixing {
    Unmixing::new(3).steps(300).seed(5).init(Init::Vca).device(Device::cpu())
}

/// All that a fit says of the pixels, as bits: places, then values.
fn bits(fit: &Fit) -> (Vec<u32>, Vec<u32>) {
    let p = fit.posterior();
    let mut values = Vec::new();
    for table in [&p.abundance_mean, &p.abundance_sd, &p.abundance_q05, &p.abundance_q95] {
        values.extend(table.iter().map(|v| v.to_bits()));
    }
    values.extend(p.residual.iter().map(|v| v.to_bits()));
    values.extend(p.brightness.iter().flatten().map(|v| v.to_bits()));
    (fit.scene().places().to_vec(), values)
}

/// The same by rows.
fn by_rows(unmixing: &Unmixing, path: &Path, rows: usize) -> (Fit, Vec<u32>, Vec<u32>, usize) {
    let mut windows = unmixing.windows(source(path), "odd", &LoadOptions::default()).unwrap();
    let sample = unmixing.sample(&mut windows, 3, rows).unwrap();
    let fit = unmixing.learn(&sample, windows.valid()).unwrap();
    let scene = windows.geometry().clone();
    let (mut places, mut tables) = (Vec::new(), vec![Vec::new(); 6]);
    let pass = fit.pass(&scene).unwrap();
    let whole = each_block(&pass, &mut windows, (0, rows), &|| false, &mut |block| {
        let p = &block.posterior;
        places.extend(&block.places);
        let add = |table: &mut Vec<u32>, from: &Array2<f32>| {
            table.extend(from.iter().map(|v| v.to_bits()));
        };
        add(&mut tables[0], &p.abundance_mean);
        add(&mut tables[1], &p.abundance_sd);
        add(&mut tables[2], &p.abundance_q05);
        add(&mut tables[3], &p.abundance_q95);
        tables[4].extend(p.residual.iter().map(|v| v.to_bits()));
        tables[5].extend(p.brightness.iter().flatten().map(|v| v.to_bits()));
        Ok(())
    });
    assert!(whole.unwrap());
    (fit, places, tables.concat(), sample.places().len())
}

#[test]
fn a_fit_by_rows_is_the_fit_in_memory_to_the_bit() {
    let folder = tempfile::tempdir().unwrap();
    let path = odd_scene(&folder);
    let scene = Scene::open(&path).unwrap();
    assert!(scene.bands().len() == 10, "{:?}", scene.notes());
    let whole = quick().fit(&scene).unwrap();
    assert_eq!(whole.record().posterior, PosteriorKind::Exact);
    let (places, values) = bits(&whole);
    for rows in [1, 7, 64, 1000] {
        let (fit, own_places, own, sample) = by_rows(&quick(), &path, rows);
        assert!((20_000..30_000).contains(&sample), "{sample}");
        assert_eq!(fit.scene().notes(), scene.notes());
        assert!(own_places == places && own == values, "{rows} rows");
        let (p, q) = (fit.posterior(), whole.posterior());
        assert_eq!(p.endmember_mean, q.endmember_mean);
        assert_eq!(p.endmember_q95, q.endmember_q95);
        assert_eq!(p.noise_sd, q.noise_sd);
    }
    // Another seed draws other pixels.
    let (_, _, other, _) = by_rows(&quick().seed(6), &path, 64);
    assert!(other != values);
}

#[test]
fn rows_have_the_spectra_of_the_scene_in_memory() {
    let folder = tempfile::tempdir().unwrap();
    let path = odd_scene(&folder);
    let scene = Scene::open(&path).unwrap();
    let options = LoadOptions::default();
    let mut windows = Windows::open(source(&path), "odd", &options, (100, 3)).unwrap();
    assert_eq!(windows.valid(), scene.places().len());
    assert_eq!(windows.geometry().notes(), scene.notes());
    assert_eq!(windows.geometry().bands(), scene.bands());
    let mut n = 0;
    for first in (0..ROWS).step_by(37) {
        let (cube, places) = windows.rows(first..ROWS.min(first + 37)).unwrap();
        assert_eq!(places, scene.places()[n..n + places.len()]);
        for pixel in 0..cube.pixels() {
            assert_eq!(cube.spectrum_padded(pixel), scene.cube().spectrum_padded(n + pixel));
        }
        n += places.len();
    }
    assert_eq!(n, scene.places().len());
    let drawn = windows.drawn();
    assert_eq!(drawn.numbers.len(), 100);
    for (pixel, &number) in drawn.numbers.iter().enumerate() {
        assert_eq!(drawn.places[pixel], scene.places()[number]);
        assert_eq!(drawn.cube.spectrum(pixel), scene.cube().spectrum(number));
    }
    assert!(windows.rows(0..ROWS + 1).is_err());
}

#[test]
fn less_memory_on_the_device_means_fewer_pixels_to_learn_from() {
    let folder = tempfile::tempdir().unwrap();
    let path = odd_scene(&folder);
    let scene = Scene::open(&path).unwrap();
    let limited = quick().device_memory(2 << 20);
    let fit = limited.fit(&scene).unwrap();
    let learned = fit.guide().params.pixels as usize;
    assert!((2_000..15_000).contains(&learned), "{learned}");
    assert_eq!(fit.posterior().abundance_mean.nrows(), scene.places().len());
    let (_, _, own, sample) = by_rows(&limited, &path, 50);
    assert!(sample == learned && own == bits(&fit).1, "{sample} {learned}");
    let text = quick().device_memory(1000).fit(&scene).unwrap_err().to_string();
    assert!(text.contains("device memory 1000 bytes") && text.contains("2000 pixels"), "{text}");
    // The guide's posterior has to meet all of them.
    let guide = limited.posterior(PosteriorKind::Guide).fit(&scene).unwrap_err().to_string();
    assert!(guide.contains("needs all of them"), "{guide}");
}

#[test]
fn an_interrupt_ends_it_between_two_blocks() {
    let folder = tempfile::tempdir().unwrap();
    let path = odd_scene(&folder);
    let mut windows = quick().windows(source(&path), "odd", &LoadOptions::default()).unwrap();
    let sample = quick().sample(&mut windows, 3, 50).unwrap();
    let fit = quick().learn(&sample, windows.valid()).unwrap();
    let scene = windows.geometry().clone();
    let (stop, rows) = (AtomicBool::new(false), AtomicUsize::new(0));
    let pass = fit.pass(&scene).unwrap();
    let whole =
        each_block(&pass, &mut windows, (0, 10), &|| stop.load(Ordering::Relaxed), &mut |b| {
            rows.store(b.rows.end, Ordering::Relaxed);
            stop.store(b.rows.end == 30, Ordering::Relaxed);
            Ok(())
        });
    assert_eq!((whole.unwrap(), rows.into_inner()), (false, 30));
    // What cannot be done by rows is refused before anything is read.
    let of_guide = quick().posterior(PosteriorKind::Guide);
    let refused = of_guide.windows(source(&path), "odd", &LoadOptions::default());
    assert!(refused.err().unwrap().to_string().contains("all pixels in memory"));
    let drawn = quick().draws(3).windows(source(&path), "odd", &LoadOptions::default());
    assert!(drawn.err().unwrap().to_string().contains("draws 3"));
}
