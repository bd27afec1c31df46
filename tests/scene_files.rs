//! Scenes, truths and spectra through files: made-up ones of every layout, damaged ones, and (where
//! `UNMIXEL_DATA` names the folder) published ones.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test fails by panicking, and says on the screen what it leaves out"
)]

#[path = "common/mat5.rs"]
mod mat5;

use std::path::{Path, PathBuf};

use mat5::Var;
use ndarray::{Array, Array2, Array3, ShapeBuilder};
use proptest::prelude::*;
use unmixel::Error;
use unmixel::rooms::io::OpenOptions;
use unmixel::rooms::io::{self, library, truth};
use unmixel::scene::{self, CubeSource, LoadOptions, Scene};

const ROWS: usize = 3;
const COLS: usize = 4;
const BANDS: usize = 5;

/// A different whole number below 127 at every place of a cube that is not square, so that any
/// mix-up of axes shows and every type holds it exactly.
fn value(row: usize, col: usize, band: usize) -> f64 {
    (1 + row * 40 + col * 8 + band) as f64
}

fn cube() -> Array3<f32> {
    Array3::from_shape_fn((ROWS, COLS, BANDS), |(r, c, b)| value(r, c, b) as f32)
}

/// The cube's values with the axes in the given order (0 row, 1 column, 2 band), the last fastest.
fn ordered(axes: [usize; 3]) -> Vec<f64> {
    cube().permuted_axes(axes).iter().map(|v| f64::from(*v)).collect()
}

/// MATLAB's bands x pixels: bands fastest, then rows, then columns.
fn matlab_flat() -> Vec<f64> {
    ordered([1, 0, 2])
}

fn dir() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

fn put(dir: &Path, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
    let path = dir.join(name);
    std::fs::write(&path, bytes).unwrap();
    path
}

fn open(path: &Path) -> unmixel::Result<Box<dyn CubeSource>> {
    io::open(path, &OpenOptions::default())
}

fn sized(rows: usize, cols: usize) -> OpenOptions {
    OpenOptions { rows: Some(rows), cols: Some(cols), ..Default::default() }
}

/// Opens and loads, with no scaling.
fn load(path: &Path) -> unmixel::Result<Scene> {
    scene::load(&mut *open(path)?, "test", &LoadOptions { scale: Some(1.0), ..Default::default() })
}

/// Asserts that the source gives exactly the cube: whole, and row by row.
fn assert_cube(mut source: Box<dyn CubeSource>, what: &str) {
    let h = source.header().clone();
    assert_eq!((h.rows, h.cols, h.bands), (ROWS, COLS, BANDS), "{what}");
    let mut all = vec![0.0; ROWS * COLS * BANDS];
    source.read_rows(0, ROWS, &mut all).unwrap();
    let expected: Vec<f32> = cube().iter().copied().collect();
    assert_eq!(all, expected, "{what}");
    let mut row = vec![0.0; COLS * BANDS];
    for r in 0..ROWS {
        source.read_rows(r, 1, &mut row).unwrap();
        assert_eq!(row, expected[r * COLS * BANDS..][..COLS * BANDS], "{what}, row {r}");
    }
    assert!(source.read_rows(ROWS, 1, &mut row).is_err());
}

/// The message of a refusal, which must hold all of `words`.
fn refusal<T>(result: unmixel::Result<T>, words: &[&str]) -> String {
    let error = result.err().expect("this file must be refused");
    assert!(error.is_bad_input(), "{error}");
    let message = error.to_string();
    for word in words {
        assert!(message.contains(word), "`{word}` is missing in: {message}");
    }
    message
}

// ---- ENVI ----

fn envi_header(interleave: &str, data_type: u8, byte_order: u8, offset: usize) -> String {
    format!(
        "ENVI\nsamples = {COLS}\nLines   = {ROWS}\nbands = {BANDS}\nheader offset = \
         {offset}\nData Type = {data_type}\ninterleave = {interleave}\nbyte order = {byte_order}\n"
    )
}

fn envi_bytes(values: &[f64], data_type: u8, byte_order: u8) -> Vec<u8> {
    let bytes = |v: f64| match data_type {
        1 => (v as u8).to_le_bytes().to_vec(),
        2 => (v as i16).to_le_bytes().to_vec(),
        3 => (v as i32).to_le_bytes().to_vec(),
        4 => (v as f32).to_le_bytes().to_vec(),
        5 => v.to_le_bytes().to_vec(),
        12 => (v as u16).to_le_bytes().to_vec(),
        13 => (v as u32).to_le_bytes().to_vec(),
        14 => (v as i64).to_le_bytes().to_vec(),
        _ => (v as u64).to_le_bytes().to_vec(),
    };
    values
        .iter()
        .flat_map(|v| {
            let mut b = bytes(*v);
            if byte_order == 1 {
                b.reverse();
            }
            b
        })
        .collect()
}

/// A float32 bip pair under `dir`, its header ending in `extra`; gives the header's path.
fn envi(dir: &Path, values: &[f64], extra: &str) -> PathBuf {
    put(dir, "s.img", envi_bytes(values, 4, 0));
    put(dir, "s.hdr", envi_header("bip", 4, 0, 0) + extra)
}

#[test]
fn envi_every_interleave_type_and_byte_order() {
    let dir = dir();
    for (interleave, axes) in [("bsq", [2, 0, 1]), ("bil", [0, 2, 1]), ("BIP", [0, 1, 2])] {
        for data_type in [1, 2, 3, 4, 5, 12, 13, 14, 15] {
            for byte_order in [0, 1] {
                let mut bytes = vec![0xaa; 7];
                bytes.extend(envi_bytes(&ordered(axes), data_type, byte_order));
                let data = put(dir.path(), "s.dat", bytes);
                let header =
                    put(dir.path(), "s.hdr", envi_header(interleave, data_type, byte_order, 7));
                let what = format!("{interleave} {data_type} {byte_order}");
                assert_cube(open(&header).unwrap(), &what);
                let source = open(&data).unwrap();
                assert_eq!(source.header().integer, !matches!(data_type, 4 | 5));
                assert_cube(source, &what);
            }
        }
    }
}

#[test]
fn envi_pairs_are_found_under_every_custom() {
    let bytes = envi_bytes(&ordered([0, 1, 2]), 4, 0);
    for (data, header) in [
        ("a", "a.hdr"),
        ("a.img", "a.hdr"),
        ("a.img", "a.img.hdr"),
        ("a.BIL", "a.hdr"),
        ("a.sli", "a.HDR"),
        ("a.b.raw", "a.b.hdr"),
    ] {
        let dir = dir();
        let data = put(dir.path(), data, &bytes);
        let header = put(dir.path(), header, envi_header("bip", 4, 0, 0));
        assert_cube(open(&data).unwrap(), "by the data");
        assert_cube(open(&header).unwrap(), "by the header");
    }
    let dir = dir();
    let alone = put(dir.path(), "b.hdr", envi_header("bip", 4, 0, 0));
    refusal(open(&alone), &["b.hdr", "data file is missing", ".bsq"]);
}

#[test]
fn envi_size_mismatch_names_both_sizes() {
    let dir = dir();
    let header = put(dir.path(), "s.hdr", envi_header("bip", 4, 0, 0));
    // 3 x 4 x 5 x 4 bytes.
    for found in [0, 239] {
        put(dir.path(), "s.img", vec![0; found]);
        refusal(open(&header), &["s.img", "240", &found.to_string(), "3 lines x 4 samples"]);
    }
}

#[test]
fn envi_hostile_headers_are_refused() {
    let dir = dir();
    put(dir.path(), "s.img", vec![0; 240]);
    for (from, to, word) in [
        ("samples = 4", "samples = -4", "samples"),
        ("samples = 4", "samples = 4294967295", "bytes"),
        ("samples = 4", "samples = 99999999999999999999", "samples"),
        ("bands = 5", "bands = 0", "bands"),
        ("header offset = 0", "header offset = 18446744073709551615", "more bytes"),
        ("header offset = 0", "header offset = -1", "header offset"),
        ("Data Type = 4", "Data Type = 6", "data type"),
        ("byte order = 0", "byte order = 2", "byte order"),
        ("interleave = bip", "interleave = bop", "interleave"),
        ("samples = 4\n", "", "lacks `samples`"),
        ("ENVI", "ENVY", "ENVI"),
        ("byte order = 0", "byte order = 0\nbbl = {1, 0", "never closed"),
        ("byte order = 0", "byte order = 0\nfile compression = 1", "compressed"),
    ] {
        let text = envi_header("bip", 4, 0, 0);
        assert!(text.contains(from), "the test's own header lacks {from}");
        let header = put(dir.path(), "s.hdr", text.replace(from, to));
        refusal(open(&header), &[word]);
    }
    let huge = "samples = 4294967295\nLines = 4294967295\nbands = 4294967295";
    let text = envi_header("bip", 4, 0, 0).replace("samples = 4\nLines   = 3\nbands = 5", huge);
    let header = put(dir.path(), "s.hdr", text);
    refusal(open(&header), &["more bytes than any file"]);
}

#[test]
fn envi_wavelengths_come_in_nanometres() {
    let dir = dir();
    let values = ordered([0, 1, 2]);
    for (extra, nm) in [
        ("wavelength = {0.4, 0.5,\n 0.6, 0.7, 2.5}", 400.0),
        ("wavelength = {400 500 600 700 800}", 400.0),
        ("wavelength units = Micrometers\nwavelength = {0.4, 0.5, 0.6, 0.7, 2.5}", 400.0),
        ("Wavelength Units = Nanometers\nWAVELENGTH = {400, 500, 600, 700, 800}", 400.0),
    ] {
        let source = open(&envi(dir.path(), &values, extra)).unwrap();
        // 0.4 * 1000 may differ from 400 in the last bit.
        assert!((source.header().wavelengths.as_ref().unwrap()[0] - nm).abs() < 1e-9, "{extra}");
    }
    let source = open(&envi(dir.path(), &values, "wavelength = {1, 2}")).unwrap();
    assert!(source.header().wavelengths.is_none());
    assert!(source.header().notes[0].contains("2 wavelengths for 5 bands"));
}

#[test]
fn envi_library_is_no_scene_and_no_image_is_a_library() {
    let dir = dir();
    let path = envi(dir.path(), &ordered([0, 1, 2]), "file type = ENVI Spectral Library\n");
    refusal(open(&path), &["spectral library", "--init"]);
    let path = envi(dir.path(), &ordered([0, 1, 2]), "file type = ENVI Standard\n");
    refusal(library::read(&path), &["image, not spectra"]);
}

// ---- MATLAB ----

#[test]
fn matlab_layouts_agree_on_a_scene_that_is_not_square() {
    let dir = dir();
    let n = ROWS * COLS;
    let scalars = || {
        vec![
            Var { stored: 2, ..Var::double("nRow", &[1, 1], vec![ROWS as f64]) },
            Var::double("NCOL", &[1, 1], vec![COLS as f64]),
            // The crate that this reader replaces refuses whole files for an int32.
            Var { stored: 5, class: 12, ..Var::double("nBand", &[1, 1], vec![BANDS as f64]) },
        ]
    };
    let transposed = ordered([2, 1, 0]);
    for big_endian in [false, true] {
        for compressed in [false, true] {
            for stored in [2, 3, 5, 7, 9] {
                let layouts = [
                    ("V", vec![BANDS, n], matlab_flat(), true),
                    ("Y", vec![BANDS, n], matlab_flat(), true),
                    ("Y", vec![n, BANDS], transposed.clone(), true),
                    ("anything", vec![ROWS, COLS, BANDS], transposed.clone(), false),
                ];
                for (name, dims, values, flat) in layouts {
                    let what = format!("{name} {dims:?} {big_endian} {compressed} {stored}");
                    let mut vars = if flat { scalars() } else { Vec::new() };
                    vars.push(Var { name, dims, values, stored, class: 6 });
                    vars.push(Var { class: 1, ..Var::double("cood", &[1, 1], vec![]) });
                    let path = put(dir.path(), "s.mat", mat5::file(&vars, big_endian, compressed));
                    assert_cube(open(&path).unwrap(), &what);
                }
            }
        }
    }
}

#[test]
fn matlab_without_a_size_asks_for_it() {
    let dir = dir();
    let var = || Var::double("Y", &[BANDS, ROWS * COLS], matlab_flat());
    let path = put(dir.path(), "s.mat", mat5::file(&[var()], false, false));
    refusal(open(&path), &["s.mat", "12", "--rows and --cols"]);
    assert_cube(io::open(&path, &sized(ROWS, COLS)).unwrap(), "both flags");
    let rows = OpenOptions { rows: Some(ROWS), ..Default::default() };
    assert_cube(io::open(&path, &rows).unwrap(), "one flag");
    refusal(io::open(&path, &sized(5, 5)), &["5 rows x 5 columns", "5 x 12"]);
    refusal(io::open(&path, &OpenOptions { rows: Some(5), ..Default::default() }), &["5", "12"]);
    refusal(io::open(&path, &OpenOptions { rows: Some(0), ..Default::default() }), &["12"]);
    refusal(io::open(&path, &sized(usize::MAX, 2)), &["x 2 columns"]);
    let wrong = Var::double("nRow", &[1, 1], vec![-3.0]);
    let path = put(dir.path(), "s.mat", mat5::file(&[var(), wrong], false, false));
    refusal(open(&path), &["nRow", "-3"]);
}

#[test]
fn matlab_extras_are_honoured() {
    let dir = dir();
    let with = |extra: Var| {
        let y = Var::double("Y", &[ROWS, COLS, BANDS], ordered([2, 1, 0]));
        put(dir.path(), "s.mat", mat5::file(&[y, extra], false, false))
    };
    let path = with(Var::double("wavelength", &[1, 5], vec![0.4, 0.5, 0.6, 0.7, 0.8]));
    assert_eq!(open(&path).unwrap().header().wavelengths.as_ref().unwrap()[1], 500.0);
    let path = with(Var::double("maxValue", &[1, 1], vec![200.0]));
    let scene = scene::load(&mut *open(&path).unwrap(), "s", &LoadOptions::default()).unwrap();
    assert_eq!(scene.scaling().gain, 1.0 / 200.0);
    assert!(scene.scaling().rule.contains("maxValue"));
    let path = with(Var::double("SlectBands", &[3, 1], vec![1.0, 3.0, 5.0]));
    let used: Vec<_> = load(&path).unwrap().bands().iter().map(|b| b.index).collect();
    assert_eq!(used, [0, 2, 4]);
    // As many as there are bands: they were selected before the file was written.
    let path = with(Var::double("SlectBands", &[5, 1], vec![3.0, 5.0, 9.0, 10.0, 11.0]));
    assert_eq!(load(&path).unwrap().bands().len(), BANDS);
}

#[test]
fn matlab_refusals_say_what_was_found() {
    let dir = dir();
    let cell = || Var { class: 1, ..Var::double("stuff", &[2, 2], vec![]) };
    let path = put(dir.path(), "a.mat", mat5::file(&[cell()], false, false));
    refusal(open(&path), &["a.mat", "`stuff` (a cell array)", "`V` or `Y`"]);
    let two = [Var::double("P", &[2, 2], vec![1.0; 4]), Var::double("Q", &[2, 2], vec![1.0; 4])];
    let path = put(dir.path(), "b.mat", mat5::file(&two, false, false));
    refusal(open(&path), &["`P` (2 x 2)", "`Q` (2 x 2)"]);
    let mut v73 = mat5::file(&[cell()], false, false);
    v73[125] = 2;
    let path = put(dir.path(), "c.mat", v73);
    refusal(open(&path), &["v7.3", "-v7", "Python"]);
    let mut v4 = mat5::file(&[cell()], false, false);
    v4[..4].copy_from_slice(&[0, 0, 3, 0xe8]);
    v4[126] = 0;
    let path = put(dir.path(), "d.mat", v4);
    refusal(open(&path), &["d.mat"]);
    let path = put(dir.path(), "e.mat", b"MATLAB 5.0");
    refusal(open(&path), &["10 bytes", "cut short"]);
    let mut zlib = mat5::file(&[Var::double("Y", &[5, 12], matlab_flat())], false, true);
    let middle = 128 + (zlib.len() - 128) / 2;
    zlib[middle..].fill(0xff);
    let path = put(dir.path(), "f.mat", zlib);
    refusal(open(&path), &["variable number 1", "damaged"]);
}

// ---- NumPy ----

/// Writes one array as NPY bytes.
fn npy<T: ndarray_npy::WritableElement, D: ndarray::Dimension>(array: &Array<T, D>) -> Vec<u8> {
    let mut bytes = Vec::new();
    ndarray_npy::WriteNpyExt::write_npy(array, &mut bytes).unwrap();
    bytes
}

fn fortran<T: Copy + num_traits::Zero>(array: &Array3<T>) -> Array3<T> {
    let mut out = Array3::zeros(array.dim().f());
    out.assign(array);
    out
}

#[test]
fn numpy_types_and_orders() {
    let dir = dir();
    macro_rules! check {
        ($($t:ty),*) => {$({
            let array = cube().mapv(|v| v as $t);
            for array in [fortran(&array), array] {
                let what = format!("{} {:?}", stringify!($t), array.strides());
                let bytes = npy(&array);
                assert_cube(open(&put(dir.path(), "s.npy", &bytes)).unwrap(), &what);
                let mut npz = ndarray_npy::NpzWriter::new_compressed(
                    std::fs::File::create(dir.path().join("s.npz")).unwrap());
                npz.add_array("whatever", &array).unwrap();
                npz.add_array("wavelengths", &ndarray::arr1(&[1.0, 1.1, 1.2, 1.3, 1.4])).unwrap();
                npz.finish().unwrap();
                let source = open(&dir.path().join("s.npz")).unwrap();
                assert_eq!(source.header().wavelengths.as_ref().unwrap()[0], 1000.0);
                assert_cube(source, &what);
            }
        })*};
    }
    check!(u8, i8, u16, i16, u32, i32, u64, i64, f32, f64);
    // Big-endian: the same bytes turned round, under a header that says so.
    let mut bytes = npy(&cube());
    let at = bytes.windows(3).position(|w| w == b"<f4").unwrap();
    bytes[at] = b'>';
    let start = bytes.len() - ROWS * COLS * BANDS * 4;
    bytes[start..].chunks_exact_mut(4).for_each(<[u8]>::reverse);
    assert_cube(open(&put(dir.path(), "s.npy", bytes)).unwrap(), "big-endian");
}

#[test]
fn numpy_flat_pixels_are_row_major() {
    let dir = dir();
    let flat = cube().into_shape_with_order((ROWS * COLS, BANDS)).unwrap();
    let mut columns = Array2::zeros((ROWS * COLS, BANDS).f());
    columns.assign(&flat);
    for array in [flat, columns] {
        let path = put(dir.path(), "s.npy", npy(&array));
        refusal(open(&path), &["12", "--rows and --cols"]);
        assert_cube(io::open(&path, &sized(ROWS, COLS)).unwrap(), "flat");
        refusal(io::open(&path, &sized(4, 4)), &["4 rows x 4 columns", "12"]);
    }
}

#[test]
fn numpy_refusals() {
    let dir = dir();
    let good = npy(&cube());
    let path = put(dir.path(), "s.npy", &good[..good.len() - 1]);
    refusal(open(&path), &["240 bytes", "239"]);
    // Headers of the same length, so that nothing else breaks.
    let swap = |from: &str, to: &str| {
        let text: String = good.iter().map(|b| char::from(*b)).collect();
        assert!(text.contains(from) && from.len() == to.len(), "{text:?}");
        let bytes: Vec<u8> = text.replace(from, to).chars().map(|c| c as u8).collect();
        put(dir.path(), "s.npy", bytes)
    };
    refusal(open(&swap("(3, 4, 5)", "(9999999)")), &["s.npy"]);
    refusal(
        open(&swap("(3, 4, 5)}               ", "(4294967295,4294967295)} ")),
        &["any machine"],
    );
    refusal(open(&swap("<f4", "<c8")), &["<c8"]);
    refusal(open(&swap("3, 4, 5", "-3,4, 5")), &["s.npy"]);
    let nested =
        format!("\u{93}NUMPY\u{1}\u{0}\u{10}\u{27}{}{}\n", "[".repeat(5_000), "]".repeat(4_999));
    let nested: Vec<u8> = nested.chars().map(|c| c as u8).collect();
    refusal(open(&put(dir.path(), "n.npy", nested)), &["nested"]);
    let four = Array::<f32, _>::zeros((2, 2, 2, 2));
    refusal(open(&put(dir.path(), "four.npy", npy(&four))), &["four.npy"]);
}

#[test]
fn unknown_files_are_refused_with_advice() {
    let dir = dir();
    for (name, bytes, words) in [
        ("a.tif", &b"II*\0...."[..], ["TIFF", "damaged"]),
        ("a.nc", b"\x89HDF\r\n\x1a\n....", ["HDF5", "damaged"]),
        ("a.xyz", b"hello", ["NPZ", ".hdr"]),
        ("empty", b"", ["NPZ", ".hdr"]),
    ] {
        refusal(open(&put(dir.path(), name, bytes)), &words);
    }
    refusal(open(dir.path()), &["folder"]);
    assert!(matches!(open(&dir.path().join("nowhere.npy")), Err(Error::Io { .. })));
}

// ---- masks and scales ----

#[test]
fn bands_and_pixels_without_data_are_left_out_and_told() {
    let dir = dir();
    let mut c = cube();
    let nan = f32::NAN;
    c[(0, 0, 0)] = -0.25; // one negative value
    c.slice_mut(ndarray::s![.., .., 1]).fill(-9999.0); // a dead band
    c.slice_mut(ndarray::s![.., .., 3]).fill(7.0); // a constant one
    c.slice_mut(ndarray::s![0, 1, ..]).fill(-9999.0); // pixels without data: ignore value,
    c.slice_mut(ndarray::s![0, 2, ..]).fill(0.0); // zero,
    c.slice_mut(ndarray::s![0, 3, ..]).fill(nan); // NaN
    c[(1, 0, 2)] = nan; // pixels that lack one value
    c[(1, 1, 4)] = -9999.0;
    c[(1, 2, 1)] = nan; // in a band that is left out anyway: no loss
    let values: Vec<f64> = c.iter().map(|v| f64::from(*v)).collect();
    for extra in ["", "data ignore value = -9999\n"] {
        let scene = load(&envi(dir.path(), &values, extra)).unwrap();
        let used: Vec<_> = scene.bands().iter().map(|b| b.index).collect();
        assert_eq!(used, [0, 2, 4], "{:?}", scene.notes());
        assert_eq!(scene.file_bands(), BANDS);
        assert_eq!(scene.places(), [0, 6, 7, 8, 9, 10, 11]);
        assert_eq!(scene.cube().pixels(), 7);
        assert_eq!(scene.cube().spectrum(0), [-0.25, 3.0, 5.0]);
        assert_eq!(scene.cube().spectrum(1), [57.0, 59.0, 61.0]);
        // The padding stays zero.
        assert_eq!(scene.cube().padded()[3], 0.0);
        let notes = scene.notes().join(" ");
        for words in [
            "2 of 5 bands",
            "1 without a value",
            "1 constant",
            "3 of 12 pixels hold no data",
            "2 of 12 pixels lack a valid value in more than a quarter",
            "1 values are negative and stay so",
        ] {
            assert!(notes.contains(words), "`{words}` is missing in: {notes}");
        }
    }
    // The file's flags come first.
    let scene = load(&envi(dir.path(), &values, "bbl = {0, 1, 1, 1, 1}\n")).unwrap();
    assert_eq!(scene.bands().iter().map(|b| b.index).collect::<Vec<_>>(), [2, 4]);
    assert!(!scene.notes().join(" ").contains("negative"), "band 0 held the negative value");
    refusal(load(&envi(dir.path(), &values, "bbl = {0, 0, 0, 0, 0}\n")), &["all of its 5 bands"]);
}

#[test]
fn minus_9999_in_one_band_is_filled_and_in_all_bands_is_no_data() {
    let dir = dir();
    let mut values = ordered([0, 1, 2]);
    values[0] = -9999.0;
    let scene = load(&envi(dir.path(), &values, "")).unwrap();
    assert_eq!(scene.cube().pixels(), 12);
    assert!(scene.notes().join(" ").contains("1 single values of 1 pixels"));
    values[5..10].fill(-9999.0);
    let scene = load(&envi(dir.path(), &values, "")).unwrap();
    assert_eq!(scene.places()[..2], [0, 2], "the second pixel lacks all values");
    assert_eq!(scene.cube().pixels(), 11);
}

#[test]
fn degenerate_scenes_are_defined() {
    let dir = dir();
    let path = |name: &str, cube: Array3<f32>| put(dir.path(), name, npy(&cube));
    refusal(load(&path("zero.npy", Array3::zeros((3, 4, 5)))), &["all 12 pixels are no data"]);
    refusal(load(&path("nan.npy", Array3::from_elem((3, 4, 5), f32::NAN))), &["no data"]);
    refusal(load(&path("one.npy", Array3::from_elem((3, 4, 5), 1.0))), &["5 constant"]);
    refusal(load(&path("dark.npy", cube().mapv(|v| -v))), &["above zero"]);
    refusal(
        scene::load(
            &mut *open(&path("d.npy", cube().mapv(|v| -v))).unwrap(),
            "d",
            &LoadOptions::default(),
        ),
        &["above zero"],
    );
    refusal(open(&path("empty.npy", Array3::zeros((3, 0, 5)))), &["3 rows x 0 columns"]);
    let pixel = load(&path("pixel.npy", Array3::from_elem((1, 1, 5), 0.25))).unwrap();
    assert_eq!((pixel.cube().pixels(), pixel.cube().bands()), (1, 5));
    let band = cube().slice(ndarray::s![.., .., 2..3]).to_owned();
    let band = load(&path("band.npy", band)).unwrap();
    assert_eq!((band.cube().pixels(), band.cube().bands()), (12, 1));
    // Every pixel lacks two of five bands, and each band still has most of its values.
    let mut holes = Array3::from_shape_fn((5, 1, 5), |(r, _, b)| (r + b + 1) as f32);
    (0..5).for_each(|i| (0..2).for_each(|j| holes[(i, 0, (i + j) % 5)] = f32::NAN));
    refusal(load(&path("holes.npy", holes)), &["no valid pixel is left", "5 lack a value"]);
    for scale in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let mut source = open(&dir.path().join("pixel.npy")).unwrap();
        let result = scene::load(
            &mut *source,
            "s",
            &LoadOptions { scale: Some(scale), ..Default::default() },
        );
        refusal(result, &["scale", "above 0"]);
    }
}

/// A source that only has a size, to see that sizes are refused before anything is read.
struct Claim(scene::Header);

impl CubeSource for Claim {
    fn header(&self) -> &scene::Header {
        &self.0
    }
    fn read_rows(&mut self, _: usize, _: usize, _: &mut [f32]) -> unmixel::Result<()> {
        panic!("nothing may be read of a scene that is too large")
    }
}

#[test]
fn sizes_beyond_the_limits_are_refused() {
    for (rows, cols, bands, word) in [
        (1 << 16, 1 << 16, 4, "pixels"),
        (usize::MAX, 2, 4, "pixels"),
        (2, 2, usize::MAX - 8, "bands"),
        (1, 0, 4, "empty"),
        // One row alone takes 2^32 x 2^16 x 4 bytes.
        (1, u32::MAX as usize, 1 << 16, "memory"),
    ] {
        let header = scene::Header { rows, cols, bands, ..Default::default() };
        refusal(scene::load(&mut Claim(header), "big", &LoadOptions::default()), &["big", word]);
    }
}

#[test]
fn scales_are_stated_guessed_or_given() {
    let dir = dir();
    let load = |factor: f64, extra: &str, scale: Option<f64>| {
        let values: Vec<f64> = ordered([0, 1, 2]).iter().map(|v| v * factor).collect();
        let path = envi(dir.path(), &values, extra);
        scene::load(&mut *open(&path).unwrap(), "s", &LoadOptions { scale, ..Default::default() })
            .unwrap()
    };
    for (factor, extra, scale, gain, word) in [
        (0.01, "", None, 1.0, "taken as reflectance"),
        (1.0, "", None, 1e-2, "times 100"),
        (10.0, "", None, 1e-3, "times 1000"),
        (50.0, "", None, 1e-4, "scale of 5000"),
        (50.0, "", Some(5000.0), 2e-4, "as asked"),
        (1.0, "reflectance scale factor = 250\n", None, 1.0 / 250.0, "reflectance scale factor"),
        (1.0, "reflectance scale factor = 250\n", Some(125.0), 1.0 / 125.0, "as asked"),
        (1000.0, "", None, 1e-5, "no usual scale"),
    ] {
        let scene = load(factor, extra, scale);
        // Divisions in f64: only the last bit may differ.
        let error = (scene.scaling().gain / gain - 1.0).abs();
        assert!(error < 1e-12, "{factor} {extra}: {:?}", scene.scaling());
        assert!(scene.scaling().rule.contains(word), "{}", scene.scaling().rule);
        assert!(scene.notes().contains(&scene.scaling().rule));
        // f32 holds seven digits.
        let expected = value(1, 2, 3) * factor * gain;
        let got = f64::from(scene.cube().spectrum(COLS + 2)[3]);
        assert!((got / expected - 1.0).abs() < 1e-6, "{got} {expected}");
    }
    let scene = load(
        1.0,
        "data gain values = {1, 2, 3, 4, 5}\ndata offset values = {0, 0, 0, 0, 9}\n",
        None,
    );
    // Gains that lead to a radiance, which is brought to the order of 1.
    assert_eq!(scene.cube().spectrum(0), [0.001, 0.004, 0.009, 0.016, 0.034]);
    assert!(scene.scaling().rule.contains("band to band"), "{}", scene.scaling().rule);
}

#[test]
fn one_hot_pixel_does_not_set_the_scale() {
    // 2000 values around 4000, one of 60000: the percentile stays below, the maximum does not.
    let mut hot =
        Array3::from_shape_fn((20, 20, 5), |(r, c, b)| (3000 + r * 40 + c * 5 + b) as f32);
    hot[(3, 3, 3)] = 60_000.0;
    let dir = dir();
    let path = put(dir.path(), "hot.npy", npy(&hot));
    let scene = scene::load(&mut *open(&path).unwrap(), "hot", &LoadOptions::default()).unwrap();
    assert_eq!(scene.scaling().gain, 1e-4, "{}", scene.scaling().rule);
}

// ---- writing ----

#[test]
fn written_cubes_come_back() {
    let dir = dir();
    let nm = [400.0, 500.5, 600.0, 700.0, 2450.0];
    let npz = dir.path().join("w.npz");
    io::write_npz(&npz, cube().view(), Some(&nm)).unwrap();
    let (header, data) =
        io::write_envi(dir.path().join("w.img"), cube().view(), Some(&nm), Some(-9999.0)).unwrap();
    assert_eq!(open(&header).unwrap().header().ignore_value, Some(-9999.0));
    for path in [&npz, &header, &data] {
        let source = open(path).unwrap();
        assert_eq!(source.header().wavelengths.as_deref(), Some(&nm[..]));
        assert_cube(source, &path.display().to_string());
    }
    // A view in another order of memory is written in the order of its axes.
    let turned = cube().permuted_axes([1, 0, 2]);
    io::write_npz(&npz, turned.permuted_axes([1, 0, 2]).view(), None).unwrap();
    assert_cube(open(&npz).unwrap(), "turned");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 3, "no temporary file stays");
    refusal(io::write_npz(&npz, cube().view(), Some(&[1.0])), &["1 wavelengths for 5 bands"]);
    assert!(io::write_npz(dir.path().join("no/where.npz"), cube().view(), None).is_err());
}

// ---- truths ----

/// Abundances of two endmembers that differ at every place.
fn abundances() -> Array3<f32> {
    Array3::from_shape_fn((ROWS, COLS, 2), |(r, c, k)| (r * 10 + c + 100 * k) as f32)
}

fn endmembers() -> Array2<f64> {
    Array2::from_shape_fn((2, BANDS), |(k, b)| 0.1 + (k * 10 + b) as f64)
}

fn a_scene(dir: &Path) -> Scene {
    // Band 1 is left out, so that bands in use and bands of the file differ.
    load(&envi(
        dir,
        &ordered([0, 1, 2]),
        "bbl = {1, 0, 1, 1, 1}\nwavelength = {500, 600, 700, 800, 900}\n",
    ))
    .unwrap()
}

#[test]
fn truths_of_every_layout_agree() {
    let dir = dir();
    let scene = a_scene(dir.path());
    let npz = dir.path().join("t.npz");
    io::write_truth(&npz, endmembers().view(), abundances().view()).unwrap();
    let f64s = |a: Vec<f32>| a.into_iter().map(f64::from).collect::<Vec<_>>();
    // Column-major: the axis that comes last here runs fastest.
    let flat = f64s(abundances().permuted_axes([1, 0, 2]).iter().copied().collect());
    let maps = f64s(abundances().permuted_axes([2, 1, 0]).iter().copied().collect());
    let m: Vec<f64> = endmembers().iter().copied().collect();
    let m_turned: Vec<f64> = endmembers().t().iter().copied().collect();
    let n = ROWS * COLS;
    let mut paths = vec![npz];
    for (i, vars) in [
        [Var::double("M", &[BANDS, 2], m.clone()), Var::double("A", &[2, n], flat.clone())],
        [
            Var::double("E", &[BANDS, 2], m.clone()),
            Var::double("A", &[ROWS, COLS, 2], maps.clone()),
        ],
        [Var::double("M", &[2, BANDS], m_turned), Var::double("A", &[n, 2], maps)],
    ]
    .iter()
    .enumerate()
    {
        paths.push(put(dir.path(), &format!("{i}.mat"), mat5::file(vars, false, i == 0)));
    }
    for path in paths {
        let truth = truth::read(&path, &scene).unwrap();
        assert_eq!(truth.endmembers, Some(endmembers()), "{}", path.display());
        assert_eq!(truth.abundances, Some(abundances()), "{}", path.display());
    }
    let only =
        put(dir.path(), "a.mat", mat5::file(&[Var::double("A", &[2, n], flat)], false, false));
    let truth = truth::read(&only, &scene).unwrap();
    assert_eq!((truth.endmembers, truth.abundances), (None, Some(abundances())));
}

#[test]
fn truths_that_do_not_fit_are_refused() {
    let dir = dir();
    let scene = a_scene(dir.path());
    let mat = |vars: &[Var]| put(dir.path(), "t.mat", mat5::file(vars, false, false));
    let ones = |name, dims: &[usize]| Var::double(name, dims, vec![1.0; dims.iter().product()]);
    refusal(truth::read(mat(&[ones("M", &[6, 2])]), &scene), &["t.mat", "`M` is 6 x 2", "5 bands"]);
    refusal(truth::read(mat(&[ones("A", &[2, 13])]), &scene), &["`A` is 2 x 13", "12 pixels"]);
    refusal(
        truth::read(mat(&[ones("A", &[4, 3, 2])]), &scene),
        &["4 x 3 x 2", "3 rows x 4 columns"],
    );
    let both = [ones("M", &[5, 3]), ones("A", &[2, 12])];
    refusal(truth::read(mat(&both), &scene), &["3 endmembers", "of 2"]);
    refusal(truth::read(mat(&[ones("Z", &[5, 3])]), &scene), &["`Z` (5 x 3)"]);
    let holes = Var::double("A", &[2, 12], vec![f64::NAN; 24]);
    refusal(truth::read(mat(&[holes]), &scene), &["not finite", "row 0, column 0"]);
}

// ---- spectra ----

#[test]
fn spectra_of_every_layout_agree() {
    let dir = dir();
    let scene = a_scene(dir.path());
    let want = ndarray::arr2(&[[0.1, 0.3, 0.4, 0.5], [0.6, 0.8, 0.9, 1.0]]);
    let all = ndarray::arr2(&[[0.1, 0.2, 0.3, 0.4, 0.5], [0.6, 0.7, 0.8, 0.9, 1.0]]);
    let mut npz =
        ndarray_npy::NpzWriter::new(std::fs::File::create(dir.path().join("s.npz")).unwrap());
    npz.add_array("endmembers", &all).unwrap();
    npz.finish().unwrap();
    let m: Vec<f64> = all.iter().copied().collect();
    put(dir.path(), "s.mat", mat5::file(&[Var::double("M", &[5, 2], m.clone())], true, true));
    put(
        dir.path(),
        "rows.csv",
        "\u{feff}Class,0.5,0.6,0.7,0.8,0.9\nsoil,0.1,0.2,0.3,0.4,0.5\n\"tree, \
         dry\",0.6,0.7,0.8,0.9,1.0\n",
    );
    put(
        dir.path(),
        "cols.csv",
        "# from a field trip\nwavelength,soil,\"tree, \
         dry\"\n500,0.1,0.6\n600,0.2,0.7\n700,0.3,0.8\n800,0.4,0.9\n900,0.5,1.0\n",
    );
    put(
        dir.path(),
        "own.csv",
        "band,wavelength,soil_mean,soil_sd,soil_q05,soil_q95,\"tree, dry_mean\",\"tree, dry_sd\"\n\
         0,500,0.1,9,9,9,0.6,9\n2,700,0.3,9,9,9,0.8,9\n\
         3,800,0.4,9,9,9,0.9,9\n4,900,0.5,9,9,9,1.0,9\n",
    );
    put(
        dir.path(),
        "unnamed.csv",
        "band,wavelength,soil_mean,\"tree, \
         dry_mean\"\n0,,0.1,0.6\n2,,0.3,0.8\n3,,0.4,0.9\n4,,0.5,1.0\n",
    );
    put(dir.path(), "l.sli", envi_bytes(&m, 5, 1));
    put(
        dir.path(),
        "l.hdr",
        "ENVI\nsamples = 5\nlines = 2\nbands = 1\ndata type = 5\nbyte order = 1\ninterleave = bsq\n\
         file type = ENVI Spectral Library\nwavelength units = Micrometers\n\
         wavelength = {0.5,0.6,0.7,0.8,0.9}\n\
         spectra names = {soil,\n tree; dry}\n",
    );
    for name in
        ["s.npz", "s.mat", "rows.csv", "cols.csv", "own.csv", "unnamed.csv", "l.sli", "l.hdr"]
    {
        let read = library::read(dir.path().join(name)).unwrap();
        if name.ends_with("csv") {
            assert_eq!(read.names.as_ref().unwrap()[1], "tree, dry", "{name}");
        }
        if name.starts_with('l') {
            assert_eq!(read.names.as_ref().unwrap()[1], "tree; dry");
        }
        let got = read.for_scene(&scene).unwrap();
        assert_eq!(got.dim(), want.dim(), "{name}");
        // The ENVI file stores f64 but is read as f32: seven digits.
        assert!(got.iter().zip(&want).all(|(a, b)| (a - b).abs() < 1e-6), "{name}: {got}");
    }
}

#[test]
fn spectra_are_interpolated_onto_the_scene() {
    let dir = dir();
    let scene = a_scene(dir.path());
    let read = |text: &str| library::read(put(dir.path(), "s.csv", text)).unwrap();
    // Reflectance is the wavelength in micrometres; unsorted, one channel deleted, two the same.
    let s = read(
        "wavelength,a\n0.95,0.95\n0.45,0.45\n0.69,-1.23e34\n0.75,0.75\n0.75,0.75\n0.85,0.85\n",
    );
    let got = s.for_scene(&scene).unwrap();
    for (b, v) in scene.bands().iter().zip(got.row(0)) {
        // Interpolating a straight line in f64.
        assert!((v * 1000.0 - b.wavelength.unwrap()).abs() < 1e-9, "{v}");
    }
    // As many bands as the file, but others.
    let s = read("wavelength,a\n495,0.495\n595,0.595\n695,0.695\n795,0.795\n895,0.895\n");
    // The last band lies 5 nm beyond the end, where the last value is held.
    assert!((s.for_scene(&scene).unwrap()[(0, 1)] - 0.7).abs() < 1e-9);
    assert!((s.for_scene(&scene).unwrap()[(0, 3)] - 0.895).abs() < 1e-9);
    let s = read("wavelength,a\n600,0.6\n700,0.7\n800,0.8\n");
    refusal(s.for_scene(&scene), &["`a`", "600.0 to 800.0 nm", "500.0 nm"]);
    let s = read("band,a\n1,0.6\n2,0.7\n3,0.8\n");
    refusal(s.for_scene(&scene), &["3 bands", "of which it uses 4", "wavelengths"]);
    let s = read("band,a\n1,0.6\n2,0.7\n3,\n4,0.8\n");
    refusal(s.for_scene(&scene), &["`a`", "deleted channels"]);
    let s = read("wavelength,a\n500,1000\n900,9000\n");
    assert_eq!(s.scaling.gain, 1e-4);
    // 9000 / 10000 in f64.
    assert!((s.for_scene(&scene).unwrap()[(0, 3)] - 0.9).abs() < 1e-12);
}

#[test]
fn tables_that_hold_no_spectra_are_refused() {
    let dir = dir();
    for (text, words) in [
        ("", &["s.csv", "empty"][..]),
        ("wavelength,a\n", &["no rows"]),
        ("wavelength,a\n500,x\n", &["line 2", "`x`"]),
        ("wavelength,a\n500\n", &["line 2", "1 fields"]),
        ("wavelength\n500\n", &["no column"]),
        ("wavelength,a\n500,0\n", &["above zero"]),
        ("wavelength,a\n-5,0.5\n", &["-5"]),
        ("wavelength,a\n500,0.1\n,0.2\n", &["NaN"]),
    ] {
        refusal(library::read(put(dir.path(), "s.csv", text)), words);
    }
}

// ---- damage ----

/// Everything that reads files, on one that may be damaged: no panic, and no scene with other
/// values than numbers.
fn survive(path: &Path, reference: &Scene) {
    for options in [OpenOptions::default(), sized(ROWS, COLS)] {
        if let Ok(mut source) = io::open(path, &options)
            && let Ok(scene) = scene::load(&mut *source, "x", &LoadOptions::default())
        {
            assert_eq!(scene.bands().len(), scene.cube().bands());
            assert_eq!(scene.places().len(), scene.cube().pixels());
            assert!(scene.cube().padded().iter().all(|v| v.is_finite() && *v >= -0.5));
        }
    }
    let _ = truth::read(path, reference);
    if let Ok(spectra) = library::read(path) {
        let _ = spectra.for_scene(reference);
    }
}

/// Small files of each format, by name.
fn samples() -> Vec<(&'static str, Vec<u8>)> {
    let dir = dir();
    let vars = || {
        [
            Var { stored: 2, ..Var::double("nRow", &[1, 1], vec![3.0]) },
            Var::double("nCol", &[1, 1], vec![4.0]),
            Var::double("Y", &[5, 12], matlab_flat()),
            Var::double("A", &[2, 12], vec![0.5; 24]),
            Var::double("M", &[5, 2], vec![0.5; 10]),
        ]
    };
    let npz = dir.path().join("s.npz");
    io::write_npz(&npz, cube().view(), Some(&[1.0, 2.0, 3.0, 4.0, 5.0])).unwrap();
    let truth = dir.path().join("t.npz");
    io::write_truth(&truth, endmembers().view(), abundances().view()).unwrap();
    let header = envi_header("bil", 4, 0, 0)
        + "wavelength = {1, 2, 3, 4, 5}\nbbl = {1,1,1,0,1}\ndata ignore value = -9999\n\
           data gain values = {1,1,1,2,1}\n";
    vec![
        ("s.mat", mat5::file(&vars(), false, false)),
        ("z.mat", mat5::file(&vars(), true, true)),
        ("s.npy", npy(&cube())),
        ("s.npz", std::fs::read(npz).unwrap()),
        ("t.npz", std::fs::read(truth).unwrap()),
        ("s.hdr", header.into_bytes()),
        ("s.csv", b"\xef\xbb\xbfwavelength,a,b\n0.5,0.1,0.2\n0.6,0.3,0.4\n0.9,0.5,0.6\n".to_vec()),
    ]
}

#[test]
fn truncation_anywhere_is_survived() {
    let dir = dir();
    let reference = a_scene(dir.path());
    put(dir.path(), "s.img", envi_bytes(&ordered([0, 2, 1]), 4, 0));
    for (name, bytes) in samples() {
        for len in 0..bytes.len() {
            survive(&put(dir.path(), name, &bytes[..len]), &reference);
        }
    }
}

#[test]
fn a_truncated_cube_is_never_read_as_a_whole_one() {
    let dir = dir();
    for (name, bytes) in samples().into_iter().take(4) {
        // The cube ends before the last variable of the MATLAB files does.
        let len = if name.ends_with("mat") { bytes.len() / 2 } else { bytes.len() - 1 };
        assert!(open(&put(dir.path(), name, &bytes)).is_ok(), "{name}");
        assert!(open(&put(dir.path(), name, &bytes[..len])).is_err(), "{name}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 2000, failure_persistence: None, ..Default::default()
    })]

    #[test]
    fn mutation_anywhere_is_survived(
        which in 0..7usize,
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        inside_header in any::<bool>(),
    ) {
        thread_local! {
            static STATE: (tempfile::TempDir, Scene, Vec<(&'static str, Vec<u8>)>) = {
                let dir = dir();
                let reference = a_scene(dir.path());
                put(dir.path(), "s.img", envi_bytes(&ordered([0, 2, 1]), 4, 0));
                (dir, reference, samples())
            };
        }
        STATE.with(|(dir, reference, samples)| {
            let (name, bytes) = &samples[which];
            let mut bytes = bytes.clone();
            // Half of the time the first 300 bytes only, where the sizes are.
            let len = if inside_header { bytes.len().min(300) } else { bytes.len() };
            for (index, byte) in &edits {
                bytes[index.index(len)] = *byte;
            }
            survive(&put(dir.path(), name, bytes), reference);
        });
    }
}

// ---- published files ----

/// The folder of published files, or `None` (said on the screen) where there is none.
fn data() -> Option<PathBuf> {
    let folder = std::env::var_os("UNMIXEL_DATA").map(PathBuf::from);
    if folder.is_none() {
        eprintln!("not run: set UNMIXEL_DATA to the folder of published scenes.");
    }
    folder
}

#[test]
fn published_samson_reads_alike_from_every_file() {
    let Some(data) = data() else { return };
    let options = sized(95, 95);
    let read = |name: &str| {
        let mut source = io::open(data.join("samson").join(name), &options).unwrap();
        scene::load(&mut *source, name, &LoadOptions::default()).unwrap()
    };
    let mat = read("samson_dataset.mat");
    assert_eq!((mat.rows(), mat.cols(), mat.file_bands()), (95, 95, 156));
    for other in ["samson_scene.npz", "samson_1.mat"] {
        let scene = read(other);
        assert_eq!(scene.cube().pixels(), 95 * 95);
        assert_eq!(scene.places(), mat.places());
        // The files hold the same numbers in f32 and f64, one of them rounded to six digits.
        let worst = scene
            .cube()
            .padded()
            .iter()
            .zip(mat.cube().padded())
            .map(|(a, b)| (a - b).abs())
            .fold(0.0, f32::max);
        assert!(worst < 1e-5, "{other}: {worst}");
    }
    refusal(open(&data.join("samson/samson_dataset.mat")), &["9025", "--rows and --cols"]);
    for (a, b) in [
        ("samson_truth_peak.npz", "samson_dataset.mat"),
        ("samson_truth_reflectance.npz", "samson_truth_reflectance.mat"),
    ] {
        let a = truth::read(data.join("samson").join(a), &mat).unwrap();
        let b = truth::read(data.join("samson").join(b), &mat).unwrap();
        assert_eq!(a.abundances.as_ref().unwrap().dim(), (95, 95, 3));
        // Both are the same f64 numbers; the square image makes a transposed one differ.
        assert_eq!(a, b);
    }
    let init = library::read(data.join("samson/samson_dataset.mat")).unwrap();
    assert_eq!(init.for_scene(&mat).unwrap().dim(), (3, mat.bands().len()));
}

#[test]
fn published_envi_files_read() {
    let Some(data) = data() else { return };
    let folder = data.join("readers/envi");
    let emit = folder.join("emit20250324t221005_jpl_unmix_ex");
    let mut source = open(&emit).unwrap();
    let scene = scene::load(&mut *source, "emit", &LoadOptions::default()).unwrap();
    assert_eq!((scene.rows(), scene.cols(), scene.file_bands()), (10, 10, 285));
    assert!(scene.bands().len() < 285, "bbl flags the water bands: {:?}", scene.notes());
    assert_eq!(scene.scaling().gain, 1.0, "EMIT delivers reflectance");
    let first = scene.bands()[0].wavelength.unwrap();
    assert!((first - 381.0).abs() < 0.1, "{first} nm");
    let library = folder.join("library_berlin.sli");
    refusal(open(&library), &["spectral library"]);
    let berlin = library::read(&library).unwrap();
    assert_eq!(berlin.values.dim(), (75, 177));
    assert_eq!(berlin.names.as_ref().unwrap()[0], "red clay tile 1");
    assert!(berlin.wavelengths.as_ref().unwrap()[0] > 300.0, "nanometres");
    let basic = library::read(folder.join("emit_basic_endmember_library.csv")).unwrap();
    assert_eq!(basic.names.as_ref().unwrap().len(), 5);
    assert_eq!(basic.for_scene(&scene).unwrap().dim(), (5, scene.bands().len()));
    refusal(library::read(folder.join("library_berlin.csv")), &["where a number belongs"]);
}

#[test]
fn published_files_that_are_no_scenes_are_refused() {
    let Some(data) = data() else { return };
    for (name, words) in [
        ("mat/corrupted_zlib_data.mat", &["damaged"][..]),
        ("mat/testcell_7.4_GLNX86.mat", &["`testcell` (a cell array)"]),
        ("mat/teststruct_7.4_GLNX86.mat", &["`teststruct.doublefield`"]),
        ("mat/testsparse_7.4_GLNX86.mat", &["`testsparse` (a sparse matrix)"]),
        ("mat/testdouble_4.2c_SOL2.mat", &["testdouble"]),
        ("mat/testfile1.mat", &["rows x columns x bands"]),
        ("mat/testfile2.mat", &["mat"]),
        ("mat/testfile3.mat", &["mat"]),
        ("mat/testmatrix_6.5.1_GLNX86.mat", &["testmatrix"]),
        ("mat/testmatrix_7.4_GLNX86.mat", &["testmatrix"]),
    ] {
        let message = refusal(open(&data.join("readers").join(name)), words);
        eprintln!("{message}");
    }
    for name in ["tif/enmap_potsdam_tile_128_0.tif", "tif/enmap_potsdam_tile_128_32.tif"] {
        assert_eq!(open(&data.join("readers").join(name)).unwrap().header().bands, 224, "{name}");
    }
}
