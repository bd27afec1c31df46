//! What is written: pictures are read back and looked at pixel by pixel.
// Helpers of tests may panic as tests do.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

use image::RgbImage;
use ndarray::{Array1, Array2, Array3, array};
use unmixel::Convention;
use unmixel::rooms::figures::{
    Colormap, Labels, MapText, NO_DATA, SpectraFigure, Trace, auto_range, composite_png,
    endmember_color, map_png, side_by_side_png, spectra_png, trace_png,
};
use unmixel::rooms::posterior::Posterior;
use unmixel::rooms::results::{
    DeviceReport, ElboReport, OutputFolder, Report, Results, RunReport, SceneReport, Stages,
    TruthView, write_all,
};
use unmixel::scene::{Band, Cube, Scaling, Scene, SceneParts, to_image};

const TEXT: MapText<'static> = MapText { title: "Soil", note: "", label: "abundance" };

fn decode(png: &[u8]) -> RgbImage {
    image::load_from_memory_with_format(png, image::ImageFormat::Png).unwrap().to_rgb8()
}

/// Where maps start: the left margin, and below the title the first pixel under the frame's line.
/// Found in the picture by its frame: the first long dark run from the margin.
fn map_corner(picture: &RgbImage) -> (u32, u32) {
    let frame = |x, y| picture.get_pixel(x, y).0 == [95, 95, 95];
    for y in 0..picture.height() - 20 {
        if (0..12).all(|i| frame(19, y + i) && (i > 0 || frame(20, y))) {
            return (20, y + 1);
        }
    }
    panic!("no map in the picture");
}

/// The colour in the middle of pixel (row, col) of a map drawn with squares of `scale`.
fn at(picture: &RgbImage, scale: u32, row: u32, col: u32) -> [u8; 3] {
    let (left, top) = map_corner(picture);
    picture.get_pixel(left + col * scale + scale / 2, top + row * scale + scale / 2).0
}

fn viridis(value: f64) -> [u8; 3] {
    colorous::VIRIDIS.eval_continuous(value).into_array()
}

fn close(a: [u8; 3], b: [u8; 3], tolerance: u8) -> bool {
    a.iter().zip(b).all(|(a, b)| a.abs_diff(b) <= tolerance)
}

/// True when a pixel of the outermost lines is not white: something reaches the edge, cut off.
fn touches_edge(picture: &RgbImage) -> bool {
    let (w, h) = picture.dimensions();
    picture.enumerate_pixels().any(|(x, y, p)| {
        (x < 3 || y < 3 || x + 3 >= w || y + 3 >= h) && p.0.iter().any(|&c| c < 250)
    })
}

/// 3 rows by 5 columns, the pixel at row 1, column 2 without data, band 3 of 6 left out.
fn scene(endmembers: usize) -> (Scene, Posterior) {
    let places: Vec<u32> = (0..15).filter(|&i| i != 7).collect();
    let n = places.len();
    let bands: Vec<Band> = [0, 1, 3, 4, 5]
        .map(|index| Band { index, wavelength: Some(400.0 + 10.5 * index as f64), fwhm: None })
        .into();
    let l = bands.len();
    let mean = Array2::from_shape_fn((n, endmembers), |(i, k)| {
        let weight = |k: usize| 1.0 + ((i + 3 * k) % 5) as f32;
        weight(k) / (0..endmembers).map(weight).sum::<f32>()
    });
    let spectra =
        Array2::from_shape_fn((endmembers, l), |(k, b)| 0.1 * (k + 1) as f64 + 0.01 * b as f64);
    let scene = Scene::new(SceneParts {
        name: "field".into(),
        rows: 3,
        cols: 5,
        bands,
        file_bands: 6,
        cube: Arc::new(Cube::zeros(n, l)),
        places,
        georeference: None,
        scaling: Scaling { gain: 1.0, offset: 0.0, rule: "as stored".into() },
        notes: vec![],
    })
    .unwrap();
    let posterior = Posterior {
        convention: Convention::Reflectance,
        brightness: None,
        variability: None,
        noise_correlation: None,
        concentration: 0.6,
        abundance_sd: Array2::from_elem((n, endmembers), 0.05),
        abundance_q05: mean.mapv(|w: f32| (w - 0.08).max(0.0)),
        abundance_q50: mean.clone(),
        abundance_q95: mean.mapv(|w: f32| (w + 0.08).min(1.0)),
        draws_worth: None,
        abundance_mean: mean,
        endmember_q05: &spectra - 0.02,
        endmember_q95: &spectra + 0.02,
        endmember_sd: spectra.mapv(|v| v / 10.0),
        endmember_mean: spectra,
        noise_sd: vec![0.01; l],
        mean_abundance: vec![1.0 / endmembers as f64; endmembers],
        residual: (0..n).map(|i| 0.001 * i as f32).collect(),
    };
    (scene, posterior)
}

fn results<'a>(scene: &'a Scene, posterior: &'a Posterior, names: &'a [String]) -> Results<'a> {
    let trace = &[(1, -900.0), (2, 10.0), (3, 12.0)];
    let formats = &[unmixel::rooms::results::Format::Png, unmixel::rooms::results::Format::Npy];
    Results {
        scene,
        formats,
        nearest: &[],
        posterior,
        drawn: None,
        names,
        truth: None,
        trace,
        trace_window: 2,
        stopped_at: Some(3),
    }
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

fn listing(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn a_map_shows_viridis_on_its_scale_with_row_0_on_top() {
    let values = array![[0.0f32, 0.25, 1.0], [0.5, f32::NAN, 0.75]];
    let picture = decode(&map_png(&values, &TEXT, (0.0, 1.0), Colormap::Viridis).unwrap());
    // 3 columns: squares have the largest size allowed.
    for ((row, col), &value) in values.indexed_iter() {
        let found = at(&picture, 96, row as u32, col as u32);
        if value.is_nan() {
            assert_eq!(found, NO_DATA);
        } else {
            let wanted = viridis(f64::from(value));
            assert!(close(found, wanted, 3), "({row}, {col}): {found:?}, not {wanted:?}");
        }
    }
    assert_eq!(at(&picture, 96, 0, 0), viridis(0.0));
    assert_eq!(at(&picture, 96, 0, 2), viridis(1.0));
}

#[test]
fn maps_are_enlarged_without_blur() {
    let values = Array2::from_shape_fn((70, 100), |(r, c)| ((r + c) % 2) as f32);
    let picture = decode(&map_png(&values, &TEXT, (0.0, 1.0), Colormap::Viridis).unwrap());
    let (left, top) = map_corner(&picture);
    let map = image::imageops::crop_imm(&picture, left, top, 700, 490).to_image();
    for (x, y, pixel) in map.enumerate_pixels() {
        assert_eq!(pixel.0, viridis(f64::from((x / 7 + y / 7) % 2)), "at {x}, {y}");
    }
}

#[test]
fn values_beyond_the_scale_take_its_ends() {
    let values = array![[-5.0f32, 9.0]];
    let picture = decode(&map_png(&values, &TEXT, (0.0, 1.0), Colormap::Viridis).unwrap());
    let (low, high) = (viridis(0.0), viridis(1.0));
    let colors: Vec<_> = picture.pixels().map(|p| p.0).collect();
    assert!(colors.iter().filter(|&&c| c == low).count() >= 96 * 96);
    assert!(colors.iter().filter(|&&c| c == high).count() >= 96 * 96);
}

#[test]
fn odd_shapes_are_drawn_whole() {
    let long = "A name far longer than any map of a few pixels is wide, with a verylongwordinitthat\
                cannotbebrokenanywhereatallbecauseithasnospaces";
    let text = MapText { title: long, note: long, label: "standard deviation" };
    for (rows, cols) in [(1, 1), (3, 200), (200, 3), (1, 4100), (0, 0), (0, 5)] {
        let values = Array2::from_elem((rows, cols), 0.5);
        let png = map_png(&values, &text, (0.0, 0.04), Colormap::Magma).unwrap();
        assert!(!touches_edge(&decode(&png)), "{rows} x {cols}");
        let png = side_by_side_png(&values, &values, long, Some(0.1)).unwrap();
        assert!(!touches_edge(&decode(&png)), "{rows} x {cols} beside the truth");
        let cube = Array3::from_elem((rows, cols, 7), 0.14);
        let png = composite_png(&cube, &vec![long.to_owned(); 7], long).unwrap();
        assert!(!touches_edge(&decode(&png)), "{rows} x {cols} composite");
    }
}

#[test]
fn large_maps_are_reduced_by_the_mean() {
    // Blocks of 2 x 2 with mean 0.5, the last column without data.
    let values =
        Array2::from_shape_fn(
            (40, 4002),
            |(r, c)| {
                if c >= 4000 { f32::NAN } else { ((r + c) % 2) as f32 }
            },
        );
    let picture = decode(&map_png(&values, &TEXT, (0.0, 1.0), Colormap::Viridis).unwrap());
    assert!(picture.width() < 2400, "{}", picture.width());
    let count = |color: [u8; 3]| picture.pixels().filter(|p| p.0 == color).count();
    // Table entry 128 is the middle's.
    let middle = colorous::VIRIDIS.eval_rational(128, 256).into_array();
    assert!(count(middle) >= 20 * 2000, "{}", count(middle));
    assert!(count(NO_DATA) >= 20);
}

#[test]
fn a_map_without_data_is_grey() {
    let values = Array2::from_elem((4, 6), f32::NAN);
    let range = auto_range(values.iter().copied());
    assert_eq!(range, (0.0, 1.0));
    let picture = decode(&map_png(&values, &TEXT, range, Colormap::Magma).unwrap());
    for row in 0..4 {
        for col in 0..6 {
            assert_eq!(at(&picture, 96, row, col), NO_DATA);
        }
    }
}

#[test]
fn automatic_scales_end_at_round_numbers_and_ignore_a_few_outliers() {
    assert_eq!(auto_range((0..=1000).map(|i| i as f32 * 3.7e-5)).1, 0.04);
    let outlier = (0..1000).map(|i| if i == 5 { 50.0 } else { 0.0173 });
    assert!(auto_range(outlier).1 <= 0.02001);
    assert_eq!(auto_range([0.0; 4].into_iter()), (0.0, 1.0));
}

#[test]
fn the_composite_mixes_the_hues_of_the_legend() {
    let cube =
        Array3::from_shape_vec((1, 4, 2), vec![1.0, 0.0, 0.0, 1.0, 0.5, 0.5, f32::NAN, f32::NAN])
            .unwrap();
    let picture = decode(&composite_png(&cube, &names(&["a", "b"]), "mix").unwrap());
    let [first, second, between, missing] = [0, 1, 2, 3].map(|col| at(&picture, 96, 0, col));
    assert_eq!((first, second, missing), (endmember_color(0), endmember_color(1), NO_DATA));
    for c in 0..3 {
        let (low, high) = (first[c].min(second[c]), first[c].max(second[c]));
        assert!((low..=high).contains(&between[c]) && between != first && between != second);
    }
    // The legend: a square of each hue below the map.
    let below = map_corner(&picture).1 + 96 + 5;
    for color in [first, second, missing] {
        let square = picture.enumerate_pixels().filter(|(_, y, p)| *y > below && p.0 == color);
        assert!(square.count() >= 150);
    }
}

#[test]
fn hues_of_endmembers_differ() {
    for a in 0..40 {
        assert!(!close(endmember_color(a), NO_DATA, 25));
        for b in 0..a {
            assert_ne!(endmember_color(a), endmember_color(b), "{a} and {b}");
        }
    }
}

#[test]
fn the_difference_is_red_where_the_estimate_is_too_high() {
    let truth = array![[0.2f32, 0.8], [0.5, 0.5]];
    let estimate = array![[0.7f32, 0.3], [0.5, 0.5]];
    let picture = decode(&side_by_side_png(&truth, &estimate, "Soil", None).unwrap());
    assert!(close(at(&picture, 96, 0, 0), viridis(0.2), 3));
    // The difference is the last map: look for its squares from the right.
    let (_, top) = map_corner(&picture);
    let squares: Vec<_> = (0..picture.width())
        .map(|x| picture.get_pixel(x, top + 48).0)
        .filter(|&[r, g, b]| r.abs_diff(b) > 60 && g < 60)
        .collect();
    let red = squares.iter().position(|[r, _, b]| r > b);
    let blue = squares.iter().rposition(|[r, _, b]| b > r);
    assert!(red.unwrap() < blue.unwrap(), "red on the left, blue on the right");
}

#[test]
fn spectra_show_every_endmember_and_break_at_gaps() {
    let index = (0..40).chain(80..120);
    let bands: Vec<_> = index
        .map(|index| Band { index, wavelength: Some(400.0 + 5.0 * index as f64), fwhm: None })
        .collect();
    let mean = Array2::from_shape_fn((2, 80), |(k, _)| 0.2 + 0.3 * k as f64);
    let (low, high) = (&mean - 0.03, &mean + 0.03);
    let draw = |bands: &[Band]| {
        let names = names(&["Soil", "Tree"]);
        let (mean, q05, q95) = (&mean, &low, &high);
        let spectra = SpectraFigure {
            title: "t",
            bands,
            names: &names,
            mean,
            q05,
            q95,
            truth: None,
            sad: &[],
            variability: None,
            unit: "reflectance",
        };
        decode(&spectra_png(&spectra).unwrap())
    };
    let picture = draw(&bands);
    assert_eq!(picture.dimensions(), (1200, 700));
    assert!(!touches_edge(&picture));
    let columns_of = |picture: &RgbImage, k| -> Vec<u32> {
        let color = endmember_color(k);
        let row = (0..700)
            .max_by_key(|&y| (0..1000).filter(|&x| picture.get_pixel(x, y).0 == color).count())
            .unwrap();
        (0..1000).filter(|&x| picture.get_pixel(x, row).0 == color).collect()
    };
    for k in 0..2 {
        let columns = columns_of(&picture, k);
        let widest = columns.windows(2).map(|w| w[1] - w[0]).max().unwrap();
        assert!(widest > 200, "the line runs on over the gap: {widest}");
    }
    // Without the gap there is one line.
    let close: Vec<_> = (0..80)
        .map(|index| Band { index, wavelength: Some(400.0 + index as f64), fwhm: None })
        .collect();
    let columns = columns_of(&draw(&close), 0);
    assert!(columns.len() > 700 && columns.windows(2).all(|w| w[1] - w[0] < 5));
}

#[test]
fn spectra_without_finite_values_or_bands_are_drawn() {
    let nan = Array2::from_elem((3, 4), f64::NAN);
    let bands: Vec<_> = (0..4).map(|index| Band { index, wavelength: None, fwhm: None }).collect();
    let many = vec!["x".repeat(300); 3];
    for (bands, values) in [(&bands[..], &nan), (&[][..], &Array2::zeros((3, 0)))] {
        let png = spectra_png(&SpectraFigure {
            title: &"t".repeat(900),
            bands,
            names: &many,
            mean: values,
            q05: values,
            q95: values,
            truth: Some(values),
            sad: &[f64::NAN],
            variability: Some(values),
            unit: "u",
        });
        assert!(!touches_edge(&decode(&png.unwrap())));
    }
}

#[test]
fn the_trace_is_not_flattened_by_its_first_steps() {
    // The last nine tenths climb by 10, after a start lower by a million.
    let points: Vec<(u32, f64)> =
        (0..1000).map(|i| (i, if i < 20 { -1e6 } else { 100.0 + 0.01 * f64::from(i) })).collect();
    let picture = |stopped_at| {
        let trace = Trace { title: "t", points: &points, window: 10, stopped_at };
        decode(&trace_png(&trace).unwrap())
    };
    let plain = picture(None);
    let curve = [0x00, 0x77, 0xBB];
    // Below the legend, which holds a sample of the line.
    let rows: Vec<_> = (90..plain.height())
        .filter(|&y| (0..plain.width()).any(|x| close(plain.get_pixel(x, y).0, curve, 40)))
        .collect();
    assert!(rows.last().unwrap() - rows[0] > 300, "the curve fills the height");
    let stop = [0xCC, 0x33, 0x11];
    let marked = |p: &RgbImage| p.pixels().filter(|p| close(p.0, stop, 60)).count();
    assert_eq!(marked(&plain), 0);
    assert!(marked(&picture(Some(900))) > 200);
}

#[test]
fn odd_traces_are_drawn() {
    for points in [
        vec![],
        vec![(1, f64::NAN)],
        vec![(1, 5.0)],
        vec![(1, f64::MAX), (2, f64::MIN)],
        vec![(7, 3.0); 50],
    ] {
        let trace = Trace { title: "", points: &points, window: 0, stopped_at: Some(u32::MAX) };
        assert!(!touches_edge(&decode(&trace_png(&trace).unwrap())), "{points:?}");
    }
}

#[test]
fn values_go_to_their_pixels() {
    let (scene, posterior) = scene(2);
    let image = to_image(&scene, posterior.abundance_mean.view()).unwrap();
    assert_eq!(image.dim(), (3, 5, 2));
    assert!(image[(1, 2, 0)].is_nan() && image[(1, 2, 1)].is_nan());
    assert_eq!(image.iter().filter(|v| v.is_nan()).count(), 2);
    // Pixel 8 of the image is the 8th valid one, number 7.
    assert_eq!(image[(1, 3, 1)], posterior.abundance_mean[(7, 1)]);
    assert_eq!(image[(0, 4, 0)], posterior.abundance_mean[(4, 0)]);

    let wrong = Array2::<f32>::zeros((3, 2));
    let error = to_image(&scene, wrong.view()).unwrap_err().to_string();
    assert!(error.contains("3 pixels") && error.contains("14"), "{error}");
    let mut outside = scene.into_parts();
    outside.places[13] = 15;
    let error = Scene::new(outside).unwrap_err().to_string();
    assert!(error.contains("place 15") && error.contains("3 x 5"), "{error}");
}

#[test]
fn a_whole_set_is_written() {
    let temporary = tempfile::tempdir().unwrap();
    let path = temporary.path().join("deep/out");
    let (scene, posterior) = scene(2);
    let names = names(&["Grass/dry, 2%", "Grass/dry, 2%"]);
    let truth = TruthView {
        names: names.clone(),
        endmembers: Some(posterior.endmember_mean.clone()),
        abundances: Some(Array3::from_elem((3, 5, 2), 0.5)),
        sad: vec![0.1, 0.2],
        rmse: Some(0.1),
    };
    let results = Results { truth: Some(&truth), ..results(&scene, &posterior, &names) };
    let folder = OutputFolder::prepare(&path, false).unwrap();
    let files = write_all(&folder, &results).unwrap();
    assert!(!path.exists(), "nothing is seen before all of it is");
    assert!(folder.commit("fit").unwrap().is_empty());
    assert_eq!(
        files,
        [
            "abundance_grass_dry_2.png",
            "abundance_grass_dry_2_sd.png",
            "abundance_grass_dry_2_2.png",
            "abundance_grass_dry_2_2_sd.png",
            "abundance_grass_dry_2_width.png",
            "abundance_grass_dry_2_2_width.png",
            "composite.png",
            "endmembers.png",
            "elbo.png",
            "residual.png",
            "truth_grass_dry_2.png",
            "truth_grass_dry_2_2.png",
            "abundance_mean.npy",
            "abundance_sd.npy",
            "residual.npy",
            "abundance_q05.npy",
            "abundance_q50.npy",
            "abundance_q95.npy",
            "endmembers.csv",
        ]
    );
    drop(folder);
    assert_eq!(listing(temporary.path()), ["deep"]);
    let mut sorted = files.clone();
    sorted.push("record.json".into());
    sorted.sort();
    assert_eq!(listing(&path), sorted, "and nothing else");
    let permissions = fs::metadata(path.join("endmembers.csv")).unwrap().permissions();
    let plain = temporary.path().join("plain");
    fs::write(&plain, "").unwrap();
    assert_eq!(permissions, fs::metadata(&plain).unwrap().permissions());

    // The map of the file is the array's: row 2, column 4 and row 1, column 2 (no data).
    let picture = decode(&fs::read(path.join("abundance_grass_dry_2.png")).unwrap());
    let npy: Array3<f32> = ndarray_npy::read_npy(path.join("abundance_mean.npy")).unwrap();
    assert_eq!(npy.dim(), (3, 5, 2));
    assert!(npy[(1, 2, 0)].is_nan());
    assert_eq!(npy[(2, 4, 1)], posterior.abundance_mean[(13, 1)]);
    for ((row, col, k), &value) in npy.indexed_iter().filter(|((_, _, k), _)| *k == 0) {
        let found = at(&picture, 96, row as u32, col as u32);
        let wanted = if value.is_nan() { NO_DATA } else { viridis(f64::from(value)) };
        assert!(close(found, wanted, 4), "({row}, {col}, {k}): {found:?}, not {wanted:?}");
    }
    // The map of widths is that of the two quantiles: magma from zero on, no data as everywhere.
    let of = |name: &str| -> Array3<f32> { ndarray_npy::read_npy(path.join(name)).unwrap() };
    let (low, high) = (of("abundance_q05.npy"), of("abundance_q95.npy"));
    assert!((high[(2, 4, 1)] - low[(2, 4, 1)] - 0.16).abs() < 1e-6);
    let widths = decode(&fs::read(path.join("abundance_grass_dry_2_width.png")).unwrap());
    assert!(close(at(&widths, 96, 1, 2), NO_DATA, 4));
    assert!(!close(at(&widths, 96, 2, 4), NO_DATA, 4));
    let sd: Array3<f32> = ndarray_npy::read_npy(path.join("abundance_sd.npy")).unwrap();
    assert_eq!(sd[(0, 0, 1)], 0.05);

    let mut table = csv::Reader::from_path(path.join("endmembers.csv")).unwrap();
    let header: Vec<String> = table.headers().unwrap().iter().map(str::to_owned).collect();
    assert_eq!(header[..4], ["band", "wavelength_nm", "Grass/dry, 2%_mean", "Grass/dry, 2%_sd"]);
    assert_eq!(header[6], "Grass/dry, 2% (2)_mean");
    let lines: Vec<csv::StringRecord> = table.records().map(|r| r.unwrap()).collect();
    assert_eq!(lines.len(), 5);
    let first: Vec<&str> = lines.iter().map(|l| &l[0]).collect();
    assert_eq!(first, ["1", "2", "4", "5", "6"], "band 3 is left out");
    assert_eq!(&lines[2][1], "431.5");
    let column =
        |c: usize| -> Array1<f64> { lines.iter().map(|l| l[c].parse().unwrap()).collect() };
    assert_eq!(column(6), posterior.endmember_mean.row(1));
    assert_eq!(column(4), posterior.endmember_q05.row(0));
    assert_eq!(column(5), posterior.endmember_q95.row(0));
}

#[test]
fn a_store_of_chunks_holds_the_same_maps_and_goes_with_its_run() {
    use unmixel::rooms::io::{self, OpenOptions};
    use unmixel::rooms::results::Format;
    let temporary = tempfile::tempdir().unwrap();
    let path = temporary.path().join("out");
    let (scene, posterior) = scene(2);
    let names = names(&["Grass", "Soil"]);
    let write = |formats: &[Format], force| {
        let results = Results { formats, ..results(&scene, &posterior, &names) };
        let folder = OutputFolder::prepare(&path, force).unwrap();
        let files = write_all(&folder, &results).unwrap();
        folder.commit("fit").unwrap();
        files
    };
    let files = write(&[Format::Npy, Format::Zarr], false);
    assert!(files.contains(&"unmixing.zarr".to_owned()), "{files:?}");
    let store = path.join("unmixing.zarr");
    for array in ["abundance_mean", "abundance_sd", "abundance_q05", "abundance_q95"] {
        let npy: Array3<f32> = ndarray_npy::read_npy(path.join(format!("{array}.npy"))).unwrap();
        let options = OpenOptions { variable: Some(array.into()), ..OpenOptions::default() };
        let mut source = io::open(&store, &options).unwrap();
        let header = source.header();
        assert_eq!((header.rows, header.cols, header.bands), npy.dim());
        let mut found = vec![0.0; npy.len()];
        source.read_rows(0, 3, &mut found).unwrap();
        let bits = |v: &f32| if v.is_nan() { u32::MAX } else { v.to_bits() };
        assert!(found.iter().map(bits).eq(npy.iter().map(bits)), "{array}");
    }
    let group: serde_json::Value =
        serde_json::from_slice(&fs::read(store.join(".zmetadata")).unwrap()).unwrap();
    assert_eq!(group["metadata"]["endmember_name/.zarray"]["dtype"], "<U5");
    assert!(store.join("residual/record.json").is_file(), "every file is on record");

    // Results of another kind leave it, other results of this kind do not; a note in it stays.
    put(&path, true, "rank", &[("rank.json", "5")]);
    assert!(store.join("residual/0.0").is_file());
    write(&[Format::Npy, Format::Zarr], true);
    assert!(store.join("residual/0.0").is_file());
    write(&[Format::Npy], true);
    assert!(!store.exists());
    write(&[Format::Zarr], true);
    fs::write(store.join("residual/note.txt"), "mine").unwrap();
    write(&[Format::Npy], true);
    assert_eq!(listing(&store), ["residual"]);
    assert_eq!(listing(&store.join("residual")), ["note.txt"]);
}

#[test]
fn one_endmember_one_pixel_and_no_names_are_enough() {
    let temporary = tempfile::tempdir().unwrap();
    let (scene, mut posterior) = scene(1);
    let mut parts = scene.into_parts();
    (parts.rows, parts.cols, parts.places) = (1, 1, vec![0]);
    parts.cube = Arc::new(Cube::zeros(1, parts.bands.len()));
    posterior.abundance_mean = array![[1.0]];
    posterior.abundance_sd = array![[0.0]];
    posterior.abundance_q05 = array![[1.0]];
    posterior.abundance_q50 = array![[1.0]];
    posterior.abundance_q95 = array![[1.0]];
    posterior.residual = vec![0.0];
    for band in &mut parts.bands {
        band.wavelength = None;
    }
    let scene = Scene::new(parts).unwrap();
    let folder = OutputFolder::prepare(temporary.path(), false).unwrap();
    let files = write_all(&folder, &results(&scene, &posterior, &[])).unwrap();
    folder.commit("fit").unwrap();
    assert_eq!(files[0], "abundance_endmember_1.png");
    let png = fs::read(temporary.path().join(&files[0])).unwrap();
    assert_eq!(at(&decode(&png), 96, 0, 0), viridis(1.0));
    let table = fs::read_to_string(temporary.path().join("endmembers.csv")).unwrap();
    assert!(table.starts_with("band,wavelength_nm,endmember 1_mean,"), "{table}");
    assert!(table.contains("\n1,,0.1,"), "{table}");
}

#[test]
fn results_that_do_not_belong_together_are_refused() {
    let temporary = tempfile::tempdir().unwrap();
    let (scene, mut posterior) = scene(2);
    posterior.endmember_sd = Array2::zeros((2, 4));
    let folder = OutputFolder::prepare(temporary.path(), false).unwrap();
    let error = write_all(&folder, &results(&scene, &posterior, &[])).unwrap_err().to_string();
    assert!(error.contains("(2, 4)") && error.contains("(2, 5)"), "{error}");
    assert!(listing(temporary.path()).is_empty());
}

#[test]
fn names_become_safe_and_unique() {
    let given = names(&[
        "Grass/dry, 2%",
        "Grass/dry, 2%",
        "",
        "../..",
        "水",
        "Soil",
        "SOIL_sd",
        "a\nb",
        "CON",
    ]);
    let labels = Labels::new(&given, 10);
    assert_eq!(
        labels.files,
        [
            "grass_dry_2",
            "grass_dry_2_2",
            "endmember_3",
            "endmember_4",
            "endmember_5",
            "soil",
            "soil_sd_2",
            "a_b",
            "con",
            "endmember_10"
        ]
    );
    assert_eq!(labels.shown[1], "Grass/dry, 2% (2)");
    assert_eq!(labels.shown[2], "endmember 3");
    assert_eq!(labels.shown[4], "水");
    assert_eq!(labels.shown[7], "a b");
    // Pictures of means and deviations never share a name.
    let tricky = names(&["x_sd", "x", "x_sd_sd", "x", &"long ".repeat(100), &"long ".repeat(99)]);
    let files = Labels::new(&tricky, 6).files;
    let mut all: Vec<_> = files.iter().flat_map(|f| [f.clone(), format!("{f}_sd")]).collect();
    let count = all.len();
    all.sort();
    all.dedup();
    assert_eq!(all.len(), count, "{files:?}");
    assert!(files.iter().all(|f| f.len() < 80));
}

#[test]
fn a_folder_with_files_needs_force() {
    let temporary = tempfile::tempdir().unwrap();
    let file = temporary.path().join("keep.txt");
    fs::write(&file, "mine").unwrap();
    let error = OutputFolder::prepare(temporary.path(), false).unwrap_err();
    assert!(error.is_bad_input());
    assert!(error.to_string().contains("--force"), "{error}");
    let folder = OutputFolder::prepare(temporary.path(), true).unwrap();
    folder.write("keep.txt", |to| to.write_all(b"new")).unwrap();
    assert_eq!(fs::read_to_string(&file).unwrap(), "mine");
    // A stranger that has the name of a result gives way, and stays.
    let told = folder.commit("fit").unwrap();
    assert!(told[0].contains("keep.txt") && told[0].contains("keep.txt.kept-1"), "{told:?}");
    assert_eq!(fs::read_to_string(&file).unwrap(), "new");
    let aside = temporary.path().join("keep.txt.kept-1");
    assert_eq!(fs::read_to_string(&aside).unwrap(), "mine");
    drop(folder);
    assert_eq!(listing(temporary.path()), ["keep.txt", "keep.txt.kept-1", "record.json"]);
}

fn put(path: &Path, force: bool, kind: &str, files: &[(&str, &str)]) -> Vec<String> {
    let folder = OutputFolder::prepare(path, force).unwrap();
    for (name, text) in files {
        folder.write(name, |to| to.write_all(text.as_bytes())).unwrap();
    }
    folder.commit(kind).unwrap()
}

#[test]
fn force_removes_what_this_program_wrote_there_and_nothing_else() {
    let temporary = tempfile::tempdir().unwrap();
    let path = temporary.path().join("out");
    put(&path, false, "fit", &[("a.png", "1"), ("b.png", "2"), ("c.csv", "3"), ("d.npy", "4")]);
    // Changed since: no longer what was written.
    fs::write(path.join("b.png"), "drawn over").unwrap();
    fs::write(path.join("thesis.txt"), "three years").unwrap();
    fs::write(temporary.path().join("outside.png"), "mine").unwrap();
    // A record that names files outside, and a file with another content.
    let record = path.join("record.json");
    let mut forged: serde_json::Value =
        serde_json::from_slice(&fs::read(&record).unwrap()).unwrap();
    let entry = forged["files"][0].clone();
    for name in ["../outside.png", "thesis.txt", "/etc/hostname"] {
        let mut entry = entry.clone();
        entry["name"] = name.into();
        forged["files"].as_array_mut().unwrap().push(entry);
    }
    fs::write(&record, forged.to_string()).unwrap();
    // Another kind of result leaves those of a fit.
    assert!(put(&path, true, "rank", &[("rank.json", "5")]).is_empty());
    assert!(path.join("a.png").exists() && path.join("d.npy").exists());
    // An input of the run stays, too.
    let folder = OutputFolder::prepare(&path, true).unwrap();
    folder.protect(path.join("d.npy"));
    folder.write("c.csv", |to| to.write_all(b"new")).unwrap();
    assert!(folder.commit("fit").unwrap().is_empty());
    drop(folder);
    let left = ["b.png", "c.csv", "d.npy", "rank.json", "record.json", "thesis.txt"];
    assert_eq!(listing(&path), left);
    assert_eq!(fs::read_to_string(path.join("b.png")).unwrap(), "drawn over");
    assert_eq!(fs::read_to_string(path.join("c.csv")).unwrap(), "new");
    assert_eq!(listing(temporary.path()), ["out", "outside.png"]);
}

#[test]
fn two_processes_do_not_share_a_folder() {
    let temporary = tempfile::tempdir().unwrap();
    let path = temporary.path().join("out");
    let first = OutputFolder::prepare(&path, false).unwrap();
    for force in [false, true] {
        let error = OutputFolder::prepare(temporary.path().join("./out"), force).unwrap_err();
        let told = error.to_string();
        assert!(error.is_bad_input() && told.contains("another unmixel"), "{told}");
        assert!(told.contains(&std::process::id().to_string()), "{told}");
    }
    first.write("a", |to| to.write_all(b"1")).unwrap();
    first.commit("fit").unwrap();
    drop(first);
    assert!(OutputFolder::prepare(&path, true).is_ok());
}

#[test]
fn what_is_read_from_a_result_is_what_was_written() {
    let temporary = tempfile::tempdir().unwrap();
    let path = temporary.path().join("out");
    put(&path, false, "fit", &[("a.npy", "1"), ("report.json", "{}")]);
    unmixel::rooms::results::check(&path, &["a.npy", "report.json"]).unwrap();
    let refused = |name: &str, says: &str| {
        let error = unmixel::rooms::results::check(&path, &[name]).unwrap_err();
        assert!(error.is_bad_input() && error.to_string().contains(says), "{error}");
    };
    refused("b.npy", "not on record");
    // As long as before.
    fs::write(path.join("a.npy"), "2").unwrap();
    refused("a.npy", "another run");
    fs::remove_file(path.join("a.npy")).unwrap();
    refused("a.npy", "missing");
    fs::remove_file(path.join("record.json")).unwrap();
    refused("report.json", "record.json");
}

#[test]
fn places_that_cannot_be_written_are_refused_at_once() {
    let temporary = tempfile::tempdir().unwrap();
    let file = temporary.path().join("file");
    fs::write(&file, "mine").unwrap();
    let below = file.join("out");
    for path in [file.as_path(), below.as_path(), Path::new("/proc/unmixel/out"), Path::new("")] {
        let error = OutputFolder::prepare(path, true).unwrap_err();
        assert!(error.is_bad_input());
        let named = error.to_string().contains(&path.display().to_string());
        assert!(named, "{path:?}: {error}");
    }
    assert_eq!(fs::read_to_string(&file).unwrap(), "mine");
    assert_eq!(listing(temporary.path()), ["file"]);
}

#[test]
fn a_failing_writer_leaves_nothing_behind() {
    let temporary = tempfile::tempdir().unwrap();
    let path = temporary.path().join("a/b");
    let folder = OutputFolder::prepare(&path, false).unwrap();
    folder.write("kept", |to| to.write_all(b"first")).unwrap();
    for name in ["kept", "other"] {
        let error = folder
            .write(name, |to| {
                to.write_all(&[7; 100_000])?;
                Err(io::Error::from(io::ErrorKind::StorageFull))
            })
            .unwrap_err();
        assert!(error.to_string().contains(name), "{error}");
    }
    for name in ["../out", "", "a/b", "..", "/a", "record.json"] {
        assert!(folder.write(name, |_| Ok(())).is_err(), "{name}");
        assert!(folder.inner(name).is_err(), "{name}");
    }
    drop(folder);
    assert!(listing(temporary.path()).is_empty());
}

#[test]
fn a_folder_that_was_not_used_goes_again() {
    let temporary = tempfile::tempdir().unwrap();
    drop(OutputFolder::prepare(temporary.path().join("a/b/c"), false).unwrap());
    assert!(listing(temporary.path()).is_empty());
    // One that was there before stays.
    let there = temporary.path().join("there");
    fs::create_dir(&there).unwrap();
    drop(OutputFolder::prepare(&there, false).unwrap());
    assert!(there.is_dir());
}

#[test]
fn a_full_disk_is_an_error_that_names_the_file() {
    let (scene, posterior) = scene(1);
    let full = Path::new("/dev/full");
    let Ok(mut device) = fs::OpenOptions::new().write(true).open(full) else { return };
    let error = unmixel::rooms::results::write_endmembers(
        scene.bands(),
        &names(&["a"]),
        &posterior,
        &[],
        &mut device,
    );
    assert_eq!(error.unwrap_err().kind(), io::ErrorKind::StorageFull);
    let image = to_image(&scene, posterior.abundance_mean.view()).unwrap();
    assert!(unmixel::rooms::results::write_npy(&image, &mut device).is_err());
    assert!(device.flush().is_ok());
}

#[test]
fn reports_of_the_same_run_differ_in_the_run_alone() {
    let temporary = tempfile::tempdir().unwrap();
    let (scene, _) = scene(2);
    let folder = OutputFolder::prepare(temporary.path(), false).unwrap();
    let write = |seconds: f64| {
        let trace = [(1, f64::NAN), (2, 3.5)];
        let stages = Stages(vec![("write".into(), seconds), ("fit".into(), f64::INFINITY)]);
        let mut report = Report {
            unmixel: "0.1.0",
            scene: SceneReport::new(&scene, "data/field.mat"),
            settings: serde_json::json!({ "endmembers": 2, "rate": f64::NAN }),
            seed: u64::MAX,
            device: DeviceReport::default(),
            steps_run: 2,
            steps_ceiling: 10,
            stop_reason: "the ELBO settled".into(),
            interrupted: false,
            skipped_steps: 0,
            elbo: ElboReport::new(&trace, Some(f64::NEG_INFINITY)),
            estimates: serde_json::Value::Null,
            search: None,
            trust: None,
            scores: None,
            files: names(&["elbo.png"]),
            run: RunReport::current(names(&["unmixel", "fit"]), Some(1), stages),
        };
        report.write(&folder).unwrap();
        fs::read_to_string(folder.staged("report.json").unwrap()).unwrap()
    };
    let (first, second) = (write(1.0), write(2.0));
    let parse = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
    let mut values = [parse(&first), parse(&second)];
    assert_eq!(values[0]["scene"]["bands_used"], serde_json::json!([1, 2, 4, 5, 6]));
    assert_eq!(values[0]["scene"]["pixels_used"], 14);
    assert_eq!(values[0]["seed"], u64::MAX);
    assert_eq!(values[0]["elbo"]["trace"][0], serde_json::json!({ "step": 1, "elbo": null }));
    assert!(values[0]["elbo"]["final_per_pixel"].is_null());
    assert_eq!(values[0]["files"], serde_json::json!(["elbo.png", "report.json", "record.json"]));
    assert!(values[0]["run"]["seconds"]["fit"].is_null());
    assert!(
        first.find("\"write\": 1.0").unwrap() < first.find("\"fit\": null").unwrap(),
        "in order"
    );
    assert_ne!(values[0], values[1]);
    for value in &mut values {
        value.as_object_mut().unwrap().remove("run");
    }
    assert_eq!(values[0], values[1]);
}

#[test]
fn the_same_results_give_the_same_bytes() {
    let (scene, posterior) = scene(3);
    let names = names(&["a", "b", "c"]);
    let write = || {
        let temporary = tempfile::tempdir().unwrap();
        let folder = OutputFolder::prepare(temporary.path(), false).unwrap();
        let mut files = write_all(&folder, &results(&scene, &posterior, &names)).unwrap();
        folder.commit("fit").unwrap();
        files.push("record.json".into());
        files.iter().map(|f| fs::read(temporary.path().join(f)).unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(write(), write());
}
