//! Which array of a file is the scene, and how its axes and its pixels lie.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "common/folder.rs"]
mod folder;
#[path = "common/mat5.rs"]
mod mat5;

use std::path::{Path, PathBuf};

use folder::Folder;
use mat5::Var;
use ndarray::{Array, Array2, Array3, Axis, Dimension, ShapeBuilder};
use unmixel::rooms::io::{self, Axis as Along, OpenOptions, PixelOrder, parse_axes, truth};
use unmixel::scene::{self, CubeSource, LoadOptions, Scene};

const ROWS: usize = 9;
const COLS: usize = 13;
const BANDS: usize = 10;
const PIXELS: usize = ROWS * COLS;

/// Spectra of a shape that all pixels share, smooth over the image.
fn value(row: usize, col: usize, band: usize) -> f64 {
    let spectrum = 0.2 + 0.15 * (band as f64 * 0.9).sin();
    let place = 1.0 + 0.2 * (row as f64 * 0.5).sin() + 0.2 * (col as f64 * 0.35).cos();
    spectrum * place + 1e-4 * ((row * 7 + col * 3 + band * 5) % 10) as f64
}

/// As `value`, without any pattern in the image.
fn patternless(row: usize, col: usize, band: usize) -> f64 {
    let scrambled = (row * 7919 + col * 104_729 + 31) % 97;
    (0.2 + 0.15 * (band as f64 * 0.9).sin()) * (1.0 + scrambled as f64 / 200.0)
}

fn cube(of: fn(usize, usize, usize) -> f64) -> Array3<f64> {
    Array3::from_shape_fn((ROWS, COLS, BANDS), |(r, c, b)| of(r, c, b))
}

fn nm() -> Vec<f64> {
    (0..BANDS).map(|b| 450.0 + 37.5 * b as f64).collect()
}

/// The cube's values with the axes in this order (0 row, 1 column, 2 band), the last fastest.
fn ordered(of: fn(usize, usize, usize) -> f64, axes: [usize; 3]) -> Vec<f64> {
    cube(of).permuted_axes(axes).iter().copied().collect()
}

/// MATLAB's bands x pixels, column by column and row by row.
fn by_column(of: fn(usize, usize, usize) -> f64) -> Var<'static> {
    Var::double("Y", &[BANDS, PIXELS], ordered(of, [1, 0, 2]))
}

fn by_row(of: fn(usize, usize, usize) -> f64) -> Var<'static> {
    Var::double("Y", &[BANDS, PIXELS], ordered(of, [0, 1, 2]))
}

fn number(name: &'static str, value: usize) -> Var<'static> {
    Var::double(name, &[1, 1], vec![value as f64])
}

fn wavelengths() -> Var<'static> {
    Var::double("wavelength", &[1, BANDS], nm())
}

impl Folder {
    fn mat(&self, vars: &[Var<'_>]) -> PathBuf {
        self.put("s.mat", mat5::file(vars, false, false))
    }
}

fn npy<T: ndarray_npy::WritableElement, D: Dimension>(array: &Array<T, D>) -> Vec<u8> {
    let mut bytes = Vec::new();
    ndarray_npy::WriteNpyExt::write_npy(array, &mut bytes).unwrap();
    bytes
}

fn npz(folder: &Folder, arrays: &[(&str, ndarray::ArrayD<f64>)]) -> PathBuf {
    let path = folder.0.path().join("s.npz");
    let mut file = ndarray_npy::NpzWriter::new(std::fs::File::create(&path).unwrap());
    for (name, array) in arrays {
        file.add_array(*name, array).unwrap();
    }
    file.finish().unwrap();
    path
}

/// Largest difference between what was read and the cube.
fn off(source: &mut dyn CubeSource, of: fn(usize, usize, usize) -> f64) -> f64 {
    let h = source.header().clone();
    assert_eq!((h.rows, h.cols, h.bands), (ROWS, COLS, BANDS), "{:?}", h.notes);
    let mut all = vec![0.0; PIXELS * BANDS];
    source.read_rows(0, ROWS, &mut all).unwrap();
    let pairs = all.iter().zip(ordered(of, [0, 1, 2]));
    pairs.map(|(a, b)| (f64::from(*a) - b).abs()).fold(0.0, f64::max)
}

/// Reads the file and asserts that it holds the cube; gives the notes.
fn is_cube(path: &Path, options: &OpenOptions, of: fn(usize, usize, usize) -> f64) -> String {
    let mut source = io::open(path, options).unwrap_or_else(|e| panic!("{e}"));
    // f32 of values below 1.
    let off = off(&mut *source, of);
    assert!(off < 1e-7, "{off}: {:?}", source.header().notes);
    source.header().notes.join(" ")
}

fn plain() -> OpenOptions {
    OpenOptions::default()
}

fn refusal(path: &Path, options: &OpenOptions, words: &[&str]) {
    let error = io::open(path, options).err().expect("this file must be refused");
    assert!(error.is_bad_input());
    for word in words {
        assert!(error.to_string().contains(word), "`{word}` is missing in: {error}");
    }
}

#[test]
fn a_wrong_cube_is_seen() {
    let folder = Folder::new();
    let path = folder.put("s.npy", npy(&cube(value)));
    let mut source = io::open(&path, &plain()).unwrap();
    assert!(off(&mut *source, value) < 1e-7);
    assert!(off(&mut *source, patternless) > 0.01);
}

#[test]
fn the_cube_is_told_from_what_lies_beside_it() {
    let folder = Folder::new();
    let rgb = || Var {
        stored: 2,
        class: 9,
        ..Var::double(
            "rgb",
            &[ROWS, COLS, 3],
            (0..PIXELS * 3).map(|i| (i * 7 % 200) as f64).collect(),
        )
    };
    let truth = || {
        let map = |i: usize| (i % 10) as f64 / 10.0;
        let both = (0..PIXELS).map(map).chain((0..PIXELS).map(|i| 1.0 - map(i))).collect();
        Var::double("A_gt", &[ROWS, COLS, 2], both)
    };
    let labels = || Var::double("gt", &[ROWS, COLS], (0..PIXELS).map(|i| (i % 5) as f64).collect());
    let spectra = || Var::double("V", &[2, BANDS], vec![0.3; 2 * BANDS]);
    let image = |name| Var::double(name, &[ROWS, COLS, BANDS], ordered(value, [2, 1, 0]));
    let flat = |name: &'static str| Var { name, ..by_column(value) };
    let size = || [number("lines", ROWS), number("Samples", COLS)];
    let cases: [Vec<Var<'_>>; 6] = [
        vec![image("I"), truth(), rgb(), labels(), wavelengths()],
        vec![rgb(), image("whatever"), labels()],
        vec![flat("pixels"), number("nRow", ROWS), number("nCol", COLS), rgb(), wavelengths()],
        [vec![flat("Y"), spectra()], size().into()].concat_vars(),
        [vec![spectra(), flat("Z")], size().into()].concat_vars(),
        vec![image("hsi"), Var::double("noisy_small", &[4, 4, BANDS], vec![0.2; 16 * BANDS])],
    ];
    for (i, vars) in cases.iter().enumerate() {
        let notes = is_cube(&folder.mat(vars), &plain(), value);
        assert!(notes.contains("was taken as"), "{i}: {notes}");
    }
    for (vars, words) in [
        (vec![rgb()], &["`rgb`", "picture"][..]),
        (vec![truth()], &["`A_gt`", "abundances"]),
        (vec![labels()], &["`gt`", "few different whole numbers"]),
        (vec![truth(), labels(), rgb()], &["no array that is a scene", "`gt`", "`rgb`"]),
        (vec![image("first"), image("other")], &["`first`", "`other`", "variable"]),
    ] {
        refusal(&folder.mat(&vars), &plain(), words);
    }
    // The caller decides.
    let both = folder.mat(&[image("first"), image("other"), rgb()]);
    let named = |name: &str| OpenOptions { variable: Some(name.into()), ..plain() };
    is_cube(&both, &named("other"), value);
    assert_eq!(io::open(&both, &named("rgb")).unwrap().header().bands, 3);
    refusal(&both, &named("third"), &["`third`", "`first`", "`rgb`"]);
}

/// Joins lists of variables.
trait Concat<'a> {
    fn concat_vars(self) -> Vec<Var<'a>>;
}

impl<'a> Concat<'a> for [Vec<Var<'a>>; 2] {
    fn concat_vars(self) -> Vec<Var<'a>> {
        self.into_iter().flatten().collect()
    }
}

#[test]
fn axes_follow_wavelengths_sizes_and_values() {
    let folder = Folder::new();
    let bands_first = cube(value).permuted_axes([2, 0, 1]).as_standard_layout().into_owned();
    let lines = cube(value).permuted_axes([0, 2, 1]).as_standard_layout().into_owned();
    let list = ndarray::arr1(&nm()).into_dyn();
    for name in ["cube", "reflectance", "arr_0"] {
        for turned in [bands_first.clone(), lines.clone(), cube(value)] {
            let path = npz(&folder, &[(name, turned.into_dyn()), ("wvl", list.clone())]);
            is_cube(&path, &plain(), value);
        }
    }
    // Without wavelengths the values speak for bands first, and the custom against it.
    let path = folder.put("s.npy", npy(&bands_first));
    refusal(
        &path,
        &plain(),
        &["bands x rows x columns", "rows x columns x bands", "rows,columns,bands"],
    );
    let axes = |text: &str| OpenOptions { axes: Some(parse_axes(text).unwrap()), ..plain() };
    is_cube(&path, &axes("bands,rows,cols"), value);
    is_cube(&folder.put("s.npy", npy(&lines)), &axes("row,band,col"), value);
    // Axes of length 1 and half-precision numbers are no matter.
    let one = cube(value).insert_axis(Axis(0));
    is_cube(&folder.put("s.npy", npy(&one)), &plain(), value);
    // Bands x pixels and pixels x bands, by the size alone.
    let size = OpenOptions { rows: Some(ROWS), cols: Some(COLS), ..plain() };
    let pixels = cube(value).into_shape_with_order((PIXELS, BANDS)).unwrap();
    let turned = pixels.t().as_standard_layout().into_owned();
    is_cube(&folder.put("s.npy", npy(&pixels)), &size, value);
    is_cube(&folder.put("s.npy", npy(&turned)), &size, value);
    assert!(parse_axes("rows,cols").is_err() && parse_axes("a,b,c").is_err());
    assert_eq!(parse_axes("b, r, c").unwrap(), [Along::Band, Along::Row, Along::Column]);
}

/// An image whose rows repeat: its columns are lines of few directions, and no spectra.
#[test]
fn rows_that_repeat_are_no_bands() {
    let folder = Folder::new();
    let spectrum = |col: usize, band: usize| {
        let (a, b) = ((band as f64 * 0.11).sin(), (band as f64 * 0.05).cos());
        let share = ((col * 37) % 24) as f64 / 24.0;
        0.4 + 0.2 * (share * a + (1.0 - share) * b) + 1e-3 * ((col * 7 + band * 5) % 9) as f64
    };
    let cube = Array3::from_shape_fn((60, 24, 40), |(_, col, band)| spectrum(col, band));
    let path = npz(&folder, &[("cube", cube.into_dyn())]);
    let source = io::open(&path, &plain()).unwrap();
    let header = source.header();
    assert_eq!((header.rows, header.cols, header.bands), (60, 24, 40));
}

#[test]
fn sizes_have_many_names() {
    let folder = Folder::new();
    for (rows, cols) in [
        ("nRow", "nCol"),
        ("lines", "samples"),
        ("H", "W"),
        ("rows", "cols"),
        ("n_rows", "n_cols"),
        ("Height", "Width"),
    ] {
        let path = folder.mat(&[by_column(patternless), number(rows, ROWS), number(cols, COLS)]);
        is_cube(&path, &plain(), patternless);
    }
    let listed = Var::double("imSize", &[1, 3], vec![ROWS as f64, COLS as f64, BANDS as f64]);
    is_cube(&folder.mat(&[by_column(patternless), listed]), &plain(), patternless);
}

#[test]
fn pixels_in_one_line_lie_as_their_patterns_say_else_as_is_the_custom() {
    use PixelOrder::{Column, Row};
    let folder = Folder::new();
    let size = || [number("nRow", ROWS), number("nCol", COLS)];
    let with =
        |y: Var<'static>, more: Vec<Var<'static>>| folder.mat(&[vec![y], more].concat_vars());
    // Patterns decide, whatever the custom.
    is_cube(&with(by_column(value), size().into()), &plain(), value);
    let notes = is_cube(&with(by_row(value), size().into()), &plain(), value);
    assert!(notes.contains("row by row") && notes.contains("alike"), "{notes}");
    // Without patterns: MATLAB's custom, and that of the toolbox whose files state H, W, L, N and
    // p.
    let notes = is_cube(&with(by_column(patternless), size().into()), &plain(), patternless);
    assert!(notes.contains("state the order of pixels"), "{notes}");
    let toolbox = || {
        vec![
            number("H", ROWS),
            number("W", COLS),
            number("L", BANDS),
            number("N", PIXELS),
            number("p", 3),
        ]
    };
    is_cube(&with(by_row(patternless), toolbox()), &plain(), patternless);
    // The caller decides.
    for (order, y) in [(Row, by_row(patternless)), (Column, by_column(patternless))] {
        let options = OpenOptions { pixel_order: Some(order), ..plain() };
        is_cube(&with(y, size().into()), &options, patternless);
    }
    // NumPy's order of bytes says nothing of pixels.
    let flat = cube(patternless).into_shape_with_order((PIXELS, BANDS)).unwrap();
    let mut fortran = Array2::zeros((PIXELS, BANDS).f());
    fortran.assign(&flat);
    let options = OpenOptions { rows: Some(ROWS), cols: Some(COLS), ..plain() };
    is_cube(&folder.put("s.npy", npy(&fortran)), &options, patternless);
}

fn load(path: &Path) -> Scene {
    scene::load(&mut *io::open(path, &plain()).unwrap(), "s", &LoadOptions::default()).unwrap()
}

#[test]
fn truths_do_not_follow_the_order_of_bytes() {
    let folder = Folder::new();
    let scene = load(&folder.put("s.npy", npy(&cube(value))));
    let share = |p: usize| ((p * 7919) % 89) as f64 / 88.0;
    let maps =
        Array2::from_shape_fn((2, PIXELS), |(k, p)| if k == 0 { share(p) } else { 1.0 - share(p) });
    let mut fortran = Array2::zeros((2, PIXELS).f());
    fortran.assign(&maps);
    let read = |maps: Array2<f64>| {
        let path = npz(&folder, &[("A", maps.into_dyn())]);
        truth::read(path, &scene).unwrap().abundances.unwrap()
    };
    let (a, b) = (read(maps), read(fortran));
    assert_eq!(a, b);
    assert_eq!(a[(1, 2, 0)], share(COLS + 2) as f32);
}

#[test]
fn what_is_said_of_bands_is_found_under_every_name() {
    let folder = Folder::new();
    let image = || Var::double("I", &[ROWS, COLS, BANDS], ordered(value, [2, 1, 0]));
    let flags = |bad: f64| (0..BANDS).map(|b| if b < 2 { bad } else { 1.0 - bad }).collect();
    let list = |name, values: Vec<f64>| Var::double(name, &[1, values.len()], values);
    for extra in [
        list("bbl", flags(0.0)),
        list("good_wavelengths", flags(0.0)),
        list("badBands", flags(1.0)),
        list("bad_bands", vec![1.0, 2.0]),
        list("SlectBands", (3..=BANDS).map(|b| b as f64).collect()),
    ] {
        let name = extra.name;
        let scene = load(&folder.mat(&[image(), extra]));
        assert_eq!(scene.bands()[0].index, 2, "{name}: {:?}", scene.notes());
        assert_eq!(scene.bands().len(), BANDS - 2);
    }
    for name in ["wavelength", "wl", "lambda", "WVL", "band_centers", "anything"] {
        let scene = load(&folder.mat(&[image(), list(name, nm()), list("fwhm", vec![8.0; BANDS])]));
        assert_eq!(scene.bands()[1].wavelength, Some(487.5), "{name}");
        assert_eq!(scene.bands()[1].fwhm, Some(8.0), "{name}");
    }
    let micro: Vec<f64> = nm().iter().map(|v| v / 1e3).collect();
    let scene = load(&folder.mat(&[image(), list("wl", micro), list("fwhm", vec![0.008; BANDS])]));
    // Micrometres times 1000 in f64.
    assert!((scene.bands()[1].fwhm.unwrap() - 8.0).abs() < 1e-9);
    let scene = load(&folder.mat(&[image(), number("nodata", 7)]));
    assert!(scene.notes().iter().any(|n| n.contains("`nodata`")), "{:?}", scene.notes());
}

#[test]
fn matlab_version_4_is_read() {
    let folder = Folder::new();
    for big_endian in [false, true] {
        let word = |v: u32| if big_endian { v.to_be_bytes() } else { v.to_le_bytes() };
        let mut bytes = Vec::new();
        let mut matrix = |name: &str, rows: usize, cols: usize, values: &[f64]| {
            for v in [
                if big_endian { 1000 } else { 0 },
                rows as u32,
                cols as u32,
                0,
                name.len() as u32 + 1,
            ] {
                bytes.extend(word(v));
            }
            bytes.extend(name.bytes().chain([0]));
            for v in values {
                bytes.extend(if big_endian { v.to_be_bytes() } else { v.to_le_bytes() });
            }
        };
        matrix("nRow", 1, 1, &[ROWS as f64]);
        matrix("nCol", 1, 1, &[COLS as f64]);
        matrix("Y", BANDS, PIXELS, &ordered(value, [1, 0, 2]));
        let whole = bytes.clone();
        is_cube(&folder.put("s.mat", &whole), &plain(), value);
        for len in [whole.len() - 1, 100, 40, 21] {
            refusal(&folder.put("s.mat", &whole[..len]), &plain(), &["s.mat"]);
        }
    }
}

#[test]
fn files_that_are_something_else_are_named() {
    let folder = Folder::new();
    for (bytes, word) in [
        (&b"\x89HDF\r\n\x1a\n and more"[..], "HDF5"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git-LFS"),
        (b"<!DOCTYPE html><html><head></head></html>", "HTML"),
    ] {
        refusal(&folder.put("s.mat", bytes), &plain(), &[word]);
    }
}
